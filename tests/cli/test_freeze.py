# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --freeze: who stands still, until when, and what a killed one says."""

import os
import pty
import signal
import subprocess

import pytest

from conftest import COMMAND, Command, failing, unwritable
from moving import MEMS, PATIENCE, STOP, killed, moves_end, wait_until, written
from tree import Tree

FREEZE = "sys/fs/cgroup/web/cgroup.freeze"
HOW = {"cgroup": "/web", "thaw": "echo 0 >/sys/fs/cgroup/web/cgroup.freeze"}


@pytest.fixture(autouse=True)
def freezer(machine):
    for path in ("/web", "/db"):
        machine.write(f"sys/fs/cgroup{path}/cgroup.freeze", "0\n")


@pytest.fixture
def moving(kernel, begin):
    """A move of /web that stands still for it, and that the kernel has not ended."""
    process = begin("--to", "2-3", "--freeze")
    written(kernel, "2-3")
    return process


def test_dry_run_says_who(run, machine):
    out = run.json("move", "/web", "/db", "--to", "1", "--freeze", "--dry-run")
    assert out["frozen"][0] == HOW
    assert [told["cgroup"] for told in out["frozen"]] == ["/web", "/db"]
    assert machine.read(FREEZE) == "0\n"


def test_until_the_end(kernel, moving):
    assert kernel.read(FREEZE) == "1"
    moves_end(kernel)
    moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 0
    assert kernel.read(FREEZE) == "0"


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_until_interrupted(kernel, moving, sig):
    moving.send_signal(sig)
    wait_until(lambda: kernel.read(STOP) == "1")
    assert kernel.read(FREEZE) == "1"
    moves_end(kernel, "migrate_left 100\n")
    moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 5
    assert kernel.read(FREEZE) == "0"


def test_a_terminal_that_goes_away(kernel, moving):
    moving.send_signal(signal.SIGHUP)
    moves_end(kernel)
    moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 0
    assert kernel.read(FREEZE) == "0"


def test_a_terminal_that_nobody_reads(kernel, begin):
    """Ctrl-S, or whoever shows it is frozen: it takes no byte more."""
    screen, terminal = pty.openpty()
    os.write(screen, b"\x13")
    process = begin("--to", "2-3", "--freeze", stderr=terminal)
    written(kernel, "2-3")
    assert kernel.read(FREEZE) == "1"
    moves_end(kernel)
    try:
        wait_until(lambda: kernel.read(FREEZE) == "0")
    finally:
        os.write(screen, b"\x11")
        process.communicate(timeout=PATIENCE)
        os.close(screen)
        os.close(terminal)


def test_a_terminal_that_wants_it_to_stop(moving):
    """Ctrl-Z, and "stty tostop"."""
    with open(f"/proc/{moving.pid}/status", encoding="ascii") as file:
        (mask,) = [line.split()[1] for line in file if line.startswith("SigIgn:")]
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        assert int(mask, 16) >> number - 1 & 1


@pytest.mark.parametrize("how", [["--no-wait"], ["--timeout", "100ms"]])
def test_until_the_process_left_behind_has_ended(kernel, live, how):
    kernel.engine("/web", pending=1)
    live("move", "/web", "--to", "2-3", "--freeze", *how)
    assert kernel.read(FREEZE) == "1"
    moves_end(kernel)
    wait_until(lambda: kernel.read(FREEZE) == "0")
    wait_until(lambda: live.json("report")["jobs"][0]["state"] == "done")
    assert live.json("report")["jobs"][0]["frozen"] == []


def test_a_start_that_fails(kernel):
    live = unwritable(kernel, f"{MEMS}.migrate.max")
    result = live("move", "/web", "--to", "2-3", "--freeze", "--rate", "10")
    assert result.returncode == 4
    assert kernel.read(FREEZE) == "0"


def test_a_start_that_fails_and_nobody_goes_on(kernel, live):
    """It is told at once, and as long as it is so."""
    stuck = failing(kernel, FREEZE, "write", when="2+")
    stuck.prefix += ["-P", f"{kernel.path}/{MEMS}.migrate.max"]
    result = stuck("move", "/web", "--to", "2-3", "--freeze", "--rate", "10")
    assert result.returncode == 4 and kernel.read(MEMS) == "0-1\n"
    assert f"it is still frozen: {HOW['thaw']}\n" in result.stderr
    kernel.write(FREEZE, "1\n")  # which the kernel has kept
    (job,) = live.json("report", "j1")["jobs"]
    assert job["state"] == "refused" and job["frozen"] == [HOW]
    text = live("report", "j1").stdout
    assert f"refused: {job['error']['message']}\n/web: is still frozen\n" in text
    said = f"/web: job j1 has left it frozen: {HOW['thaw']}\n"
    assert said in live("wait", "/web").stderr
    kernel.write(FREEZE, "0\n")
    assert live.json("report", "j1")["jobs"][0]["frozen"] == []
    assert live("wait", "/web").stderr == ""
    assert "frozen" not in live.json("report", "j1")["jobs"][0]


def test_what_was_frozen_stays_so(kernel, live):
    kernel.write(FREEZE, "1\n")
    out = live.json("move", "/web", "/db", "--to", "1", "--freeze")
    assert out["state"] == "done" and out["frozen"] == []
    assert kernel.read(FREEZE) == "1\n"
    assert kernel.read("sys/fs/cgroup/db/cgroup.freeze") == "0"


def test_killed(kernel, live, moving):
    """It stays frozen; every command says how to thaw it."""
    killed(moving)
    assert kernel.read(FREEZE) == "1"
    (job,) = live.json("report", "j1")["jobs"]
    assert job["frozen"] == [HOW]
    text = live("report", "j1").stdout
    assert f"/web: is still frozen\nto thaw:    {HOW['thaw']}\n" in text
    moves_end(kernel)
    said = (
        "cgmigrate: wait: /web: job j1, which was killed, has left it frozen: "
        f"{HOW['thaw']}\n"
    )
    assert live("wait", "/web").stderr == said
    assert live("wait", "/web").stderr == said
    assert kernel.read(FREEZE) == "1"
    kernel.write(FREEZE, "0\n")
    assert live("wait", "/web").stderr == ""
    assert "frozen" not in live.json("report", "j1")["jobs"][0]


def test_not_oneself(machine, kernel, live):
    """A shell that becomes the command tells its own number before."""
    script = (
        f"echo $$ >{machine.path}/sys/fs/cgroup/web/cgroup.procs; exec {COMMAND} move "
        f"--sysroot {machine.path} --write-sysroot /web --to 1 --freeze"
    )
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert result.returncode == 4
    assert "/web: cannot be frozen by a process in it" in result.stderr
    assert kernel.read(FREEZE) == "0\n" and kernel.read(MEMS) == "0-1\n"


def test_a_process_without_cpusets(machine, run):
    machine.write("proc/self/mountinfo", "21 1 0:20 / / rw - ext4 /dev/vda rw\n")
    result = run("move", "100", "--to", "2", "--freeze")
    assert result.returncode == 4
    assert "--freeze: a process alone is in no cgroup" in result.stderr


def test_usage(run):
    result = run("move", "/web", "--into", "/db", "--freeze")
    assert result.returncode == 2 and "--freeze: goes with --to" in result.stderr


# ---- v1 ----


@pytest.fixture
def old(tmp_path):
    """v1, with a freezer's hierarchy beside that of cpusets."""
    tree = Tree(tmp_path / "v1", version=1)
    tree.cgroup("/web", "0-1", pids=[100])
    tree.process(100, "httpd", [("", {0: 256}, "")])
    tree.write(
        "proc/self/mountinfo",
        tree.read("proc/self/mountinfo")
        + "27 21 0:25 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n",
    )
    for name, text in {
        "freezer.state": "THAWED\n",
        "freezer.self_freezing": "0\n",
        "cgroup.procs": "100\n",
    }.items():
        tree.write(f"sys/fs/cgroup/freezer/web/{name}", text)
    return tree


def test_v1(old):
    out = Command(old).json("move", "/web", "--to", "2-3", "--freeze", "--dry-run")
    how = "echo THAWED >/sys/fs/cgroup/freezer/web/freezer.state"
    assert out["frozen"] == [{"cgroup": "/web", "thaw": how}]


def test_v1_with_others_in_it(old):
    old.write("sys/fs/cgroup/freezer/web/cgroup.procs", "100\n300\n")
    result = Command(old)("move", "/web", "--to", "2-3", "--freeze", "--dry-run")
    assert result.returncode == 4
    words = "the cgroup of that name below /sys/fs/cgroup/freezer has other processes"
    assert words in result.stderr


def test_v1_without(old):
    os.rename(f"{old.path}/sys/fs/cgroup/freezer/web", f"{old.path}/elsewhere")
    result = Command(old)("move", "/web", "--to", "2-3", "--freeze", "--dry-run")
    assert result.returncode == 1
    assert "no such cgroup below /sys/fs/cgroup/freezer" in result.stderr


@pytest.mark.long
def test_memory_is_handled_right(kernel, valgrind):
    check = Command(kernel, valgrind, write=True)
    for args in (
        ["move", "/web", "/db", "--to", "1", "--freeze"],
        ["move", "/web", "--to", "2", "--freeze", "-J", "--no-wait"],
    ):
        assert check(*args).returncode == 0, args
