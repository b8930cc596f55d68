# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --rate on the engine: limits that it sets, and puts back."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from conftest import COMMAND, Command, failing
from moving import MEMS, PATIENCE, killed, moves_end, wait_until, written
from tree import MIB

WEB = "sys/fs/cgroup/web/cpuset.mems.migrate.max"
DB = "sys/fs/cgroup/db/cpuset.mems.migrate.max"


@pytest.fixture
def moving(kernel, begin):
    """A move of /web at 1 MiB/s that the kernel has not ended."""
    process = begin("--to", "2-3", "--rate", "1M")
    wait_until(lambda: kernel.read(WEB) == str(MIB))
    written(kernel, "2-3")
    return process


def test_is_the_limit_while_it_moves(kernel, live, moving):
    assert live("limit", "/web").stdout == "/web: 1.0M/s\n"
    moves_end(kernel)
    out, _ = moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 0, out
    assert kernel.read(WEB) == "max"


def test_is_put_back_when_cancelled(kernel, moving):
    moving.send_signal(signal.SIGINT)
    stop = "sys/fs/cgroup/web/cpuset.mems.migrate.stop"
    wait_until(lambda: kernel.read(stop) == "1")
    moves_end(kernel, "migrate_left 100\n")
    moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 5
    assert kernel.read(WEB) == "max"


@pytest.mark.parametrize("how", [["--no-wait"], ["--timeout", "100ms"]])
def test_stays_when_the_command_leaves(kernel, live, how):
    kernel.engine("/web", pending=1, rate=8 * MIB)
    result = live("move", "/web", "--to", "2-3", "--rate", "1M", *how)
    assert result.returncode == (0 if how == ["--no-wait"] else 6), result
    assert kernel.read(WEB) == str(MIB)
    time.sleep(0.3)
    assert kernel.read(WEB) == str(MIB)
    moves_end(kernel)
    wait_until(lambda: kernel.read(WEB) == str(8 * MIB))
    wait_until(lambda: live.json("report")["jobs"][0]["state"] == "done")


def test_of_a_killed_command_is_put_back(kernel, live, moving):
    killed(moving)
    assert kernel.read(WEB) == str(MIB)
    # As long as the kernel goes on, it goes on at this rate.
    assert live("wait", "/db").stderr == live("limit", "/web").stderr == ""
    assert live("limit", "/web").stdout == "/web: 1.0M/s\n"
    moves_end(kernel)
    result = live("limit", "/web")
    assert result.stdout == "/web: 1.0M/s\n"
    assert result.stderr == (
        "cgmigrate: limit: /web: the limit that job j1, which was killed, had changed "
        "is still to be put back\n"
    )
    assert live("wait", "/web").stderr == (
        "cgmigrate: wait: /web: put back the limit that job j1, which was killed, "
        "had changed\n"
    )
    assert kernel.read(WEB) == "max"
    assert live("limit", "/web").stderr == ""
    assert "limits" not in live.json("report", "j1")["jobs"][0]


@pytest.mark.parametrize(
    "verb, code",
    [
        (["wait", "/web"], 0),
        (["cancel", "/web"], 0),
        (["settle", "/db"], 0),
        (["move", "/db", "--to", "0-1"], 0),
        (["limit", "/db", "--rate", "max"], 0),
        (["wait", "j1"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_any_verb_that_changes_puts_it_back(kernel, live, moving, verb, code):
    killed(moving)
    moves_end(kernel)
    assert live(*verb).returncode == code
    assert kernel.read(WEB) == "max"


def test_of_a_killed_command_that_somebody_changed_stays(kernel, live, moving):
    killed(moving)
    for rate in (2 * MIB, MIB):
        kernel.engine("/web", rate=rate)
        assert live("wait", "/web").stderr == ""
        assert kernel.read(WEB) == f"{rate}\n"


def test_of_a_killed_command_whose_cgroup_is_gone(kernel, live, moving):
    killed(moving)
    shutil.rmtree(os.path.join(kernel.path, "sys/fs/cgroup/web"))
    assert live("wait", "/db").returncode == 0
    assert "limits" not in live.json("report", "j1")["jobs"][0]


def test_two_for_one_cgroup_are_refused(kernel, live, moving):
    result = live("move", "/web", "--to", "1", "--rate", "5M")
    assert result.returncode == 4
    assert "/web: job j1 limits its moves with --rate" in result.stderr
    assert kernel.read(WEB) == str(MIB)
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "2-3"
    assert [job["job"] for job in live.json("report")["jobs"]] == ["j1"]
    assert live("move", "/db", "--to", "0-1", "--rate", "5M").returncode == 0
    assert kernel.read(DB) == "max"


@pytest.mark.parametrize("rate", [0, 1000, MIB])
def test_is_never_higher_than_what_is_there(kernel, live, rate):
    kernel.engine("/web", rate=rate)
    result = live("move", "/web", "--to", "2-3", "--rate", "1M")
    assert result.returncode == 0
    assert "has a limit that is as low or lower, and keeps it" in result.stderr
    assert kernel.read(WEB) == f"{rate}\n"


def test_record_says_what_was_there(kernel, live, moving):
    path = os.path.join(kernel.path, "run/cgmigrate/j1.json")
    with open(path, encoding="utf-8") as file:
        limits = json.load(file)["limits"]
    assert limits == [{"cgroup": "/web", "rate": MIB, "before": None}]
    moves_end(kernel)
    moving.communicate(timeout=PATIENCE)


def test_one_limit_for_two_processes_of_a_cgroup(kernel, live):
    kernel.engine("/db", rate=9 * MIB)
    result = live("move", "100", "101", "--into", "/db", "--rate", "1M")
    assert result.returncode == 0, result
    assert result.stderr == ""
    assert kernel.read(DB) == str(9 * MIB)


@pytest.mark.parametrize("call", ["write", "read"])
def test_of_a_killed_command_that_cannot_be_put_back_now(kernel, live, moving, call):
    killed(moving)
    moves_end(kernel)
    assert failing(kernel, WEB, call)("wait", "/db").returncode == 0
    kernel.write(WEB, f"{MIB}\n")
    assert "put back the limit that job j1" in live("wait", "/db").stderr
    assert kernel.read(WEB) == "max"


RECORD = "no record of the job can be kept (No space left on device)"


@pytest.mark.parametrize("number, text", [(1, RECORD), (2, "cannot record what limit")])
def test_without_a_record_no_limit(kernel, live, number, text):
    """Nobody could put back what there was before."""
    full = failing(kernel, None, "renameat", "ENOSPC", number)
    result = full("move", "/web", "--to", "2-3", "--rate", "1M")
    assert result.returncode == 4 and text in result.stderr, result
    assert kernel.read(WEB) == "max\n"
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "0-1\n"
    assert live.json("report")["jobs"] == []


def test_a_move_without_a_record_is_told(kernel):
    full = failing(kernel, None, "renameat", "ENOSPC", 1)
    result = full("move", "/web", "--to", "2-3")
    assert result.returncode == 0 and kernel.read(MEMS) == "2-3"
    assert result.stderr == (
        f"cgmigrate: move: {RECORD}: nothing keeps another one from moving the same "
        "memory\n"
    )


# ---- apply and undo ----


@pytest.fixture
def applying(kernel, live):
    """An apply at 1 MiB/s whose first move, of /db, the kernel has not ended."""
    kernel.engine("/web", pending=1)
    kernel.engine("/db", pending=1, rate=9 * MIB)
    process = background(kernel, "apply", "--swap", "/web", "/db", "--rate", "1M")
    wait_until(lambda: kernel.read("sys/fs/cgroup/db/cpuset.mems") == "0-1")
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def background(kernel, verb, *args):
    return subprocess.Popen(
        [COMMAND, verb, "--sysroot", kernel.path, "--write-sysroot", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_apply_limits_every_move(kernel, live, applying):
    (job,) = live.json("report")["jobs"]
    assert job["limits"] == [
        {"cgroup": "/db", "rate": MIB, "before": 9 * MIB},
        {"cgroup": "/web", "rate": MIB, "before": None},
    ]
    assert kernel.read(DB) == str(MIB) and kernel.read(WEB) == "max\n"
    moves_end(kernel, cgroup="/db")
    written(kernel, "2-3")
    assert kernel.read(DB) == str(9 * MIB) and kernel.read(WEB) == str(MIB)
    moves_end(kernel)
    out, _ = applying.communicate(timeout=PATIENCE)
    assert applying.returncode == 0, out
    assert kernel.read(DB) == str(9 * MIB) and kernel.read(WEB) == "max"


@pytest.mark.parametrize("args", [["apply", "--continue"], ["undo"]], ids=" ".join)
def test_of_a_killed_apply_is_put_back(kernel, live, applying, args):
    killed(applying)
    assert kernel.read(DB) == str(MIB)
    moves_end(kernel, cgroup="/db")
    moves_end(kernel)
    result = live(*args)
    assert result.returncode == 0, result
    assert "/db: put back the limit that job j1, which was killed" in result.stderr
    assert kernel.read(DB) == str(9 * MIB) and kernel.read(WEB) == "max\n"


def test_an_undo_has_one_too(kernel, live):
    assert live("apply", "--swap", "/web", "/db").returncode == 0
    assert live("undo", "--rate", "1M").returncode == 0
    jobs = live.json("report")["jobs"]
    assert "limits" not in jobs[0] and jobs[1]["limits"][0]["rate"] == MIB
    assert kernel.read(WEB) == kernel.read(DB) == "max"


def test_stock_kernels_have_none_to_record(machine):
    machine.cgroup("/a", "0")
    machine.cgroup("/b", "1")
    live = Command(machine, write=True)
    out = live.json("apply", "--swap", "/a", "/b", "--rate", "1M", "--max-stall", "1ms")
    assert out["state"] == "done" and "limits" not in out


@pytest.mark.long
def test_memory_is_handled_right(kernel, valgrind):
    check = Command(kernel, valgrind, write=True)
    for args in (
        ["move", "/web", "--to", "2-3", "--rate", "1M"],
        ["move", "/web", "--to", "0-1", "--rate", "1M", "--no-wait", "-J"],
        ["apply", "--swap", "/web", "/db", "--rate", "1M", "-J"],
        ["undo", "--rate", "1M"],
    ):
        assert check(*args).returncode == 0, args
