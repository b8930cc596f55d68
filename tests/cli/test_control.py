# SPDX-License-Identifier: GPL-2.0
"""cgmigrate pause, resume, cancel and limit: files of the engine, messages, codes."""

import json
import os
import signal
import stat
import subprocess
import threading
import time

import pytest

from conftest import Command
from moving import PATIENCE, killed, moves_end, wait_until, written
from test_others import started
from test_report import RUN, add, record
from tree import MIB

WEB = "sys/fs/cgroup/web/cpuset.mems.migrate"
DB = "sys/fs/cgroup/db/cpuset.mems.migrate"


def changed(out):
    return {t.get("cgroup", t.get("job")): t["changed"] for t in out["targets"]}


def test_pause_and_resume(kernel, live):
    out = live.json("pause", "/web", "/db")
    assert out["state"] == "done" and out["changed"] is True
    assert changed(out) == {"/web": True, "/db": True}
    assert kernel.read(f"{WEB}.hold") == kernel.read(f"{DB}.hold") == "1"

    out = live.json("pause", "/web")
    assert out["state"] == "unchanged" and out["changed"] is False
    assert live("pause", "/web").stdout == "/web: is paused already\n"

    assert live("resume", "/web").stdout == "/web: goes on\n"
    assert kernel.read(f"{WEB}.hold") == "0" and kernel.read(f"{DB}.hold") == "1"
    assert live("resume", "/web").stdout == "/web: is not paused\n"


def test_pause_all_is_what_moves(kernel, live):
    kernel.cgroup("/web/sub", "0")
    kernel.engine("/web/sub", pending=1)
    kernel.engine("/web", pending=1)
    assert changed(live.json("pause", "--all")) == {"/web": True}
    assert live("resume", "--all").stdout == "/web: goes on\n"
    kernel.engine("/web", pending=0)
    kernel.engine("/web/sub", pending=0)
    assert live("pause", "--all").stdout == "nothing to do\n"
    assert live.json("resume", "--all")["state"] == "unchanged"


def test_resume_all_also_below_another(kernel, live):
    kernel.cgroup("/web/sub", "0")
    kernel.engine("/web/sub", hold=1)
    kernel.engine("/web", hold=1)
    assert changed(live.json("resume", "--all")) == {"/web": True, "/web/sub": True}


def test_cancel(kernel, live):
    assert live("cancel", "/web").stdout == "/web: nothing moves\n"
    assert kernel.read(f"{WEB}.stop") == ""
    kernel.engine("/web", pending=2)

    def stop_soon():
        while kernel.read(f"{WEB}.stop") != "1":
            time.sleep(0.01)
        moves_end(kernel)

    player = threading.Thread(target=stop_soon)
    player.start()
    assert live("cancel", "/web").stdout == "/web: stopped\n"
    player.join()


def test_cancel_does_not_wait_for_ever(kernel, live):
    kernel.engine("/web", pending=2)
    result = live("cancel", "/web", "--timeout", "100ms")
    assert result.returncode == 6
    assert result.stderr == "cgmigrate: cancel: /web: told to stop, still moving\n"
    assert kernel.read(f"{WEB}.stop") == "1"


def test_nothing_is_told_when_one_is_missing(kernel, live):
    for targets in (["/web", "/nope"], ["/web", "j7"]):
        assert live("pause", *targets).returncode == 1
        assert kernel.read(f"{WEB}.hold") == "0\n"
    assert live("limit", "/web", "/nope", "--rate", "0").returncode == 1
    assert kernel.read(f"{WEB}.max") == "max\n"


def test_limit(kernel, live):
    assert live("limit", "/web").stdout == "/web: no limit\n"
    assert live.json("limit", "/web")["targets"][0]["rate"] is None
    assert live("limit", "/web", "--rate", "500M").stdout == "/web: 500.0M/s\n"
    assert kernel.read(f"{WEB}.max") == str(500 * MIB)
    out = live.json("limit", "/web", "--rate", "500M")
    assert out["state"] == "unchanged" and out["targets"][0]["rate"] == 500 * MIB
    assert live("limit", "/web", "--rate", "0").stdout == "/web: 0, moves are held\n"
    assert live("limit", "/web", "--rate", "max").stdout == "/web: no limit\n"
    assert kernel.read(f"{WEB}.max") == "max"


def test_limit_all_is_those_that_have_one(kernel, live):
    assert live("limit", "--all").stdout == "no cgroup has a limit\n"
    assert live.json("limit", "--all")["targets"] == []
    kernel.engine("/web", rate=MIB)
    assert live("limit", "--all").stdout == "/web: 1.0M/s\n"
    kernel.cgroup("/db/sub", "2")
    kernel.engine("/db/sub", rate=0)
    out = live.json("limit", "--all")
    assert [(t["cgroup"], t["rate"]) for t in out["targets"]] == [
        ("/db/sub", 0),
        ("/web", MIB),
    ]
    assert out["changed"] is False
    out = live.json("limit", "--all", "--rate", "max")
    assert changed(out) == {"/db/sub": True, "/web": True}
    assert kernel.read(f"{WEB}.max") == "max"
    assert kernel.read(f"{DB}.max") == "max\n", "it had none"
    text = live("limit", "/web", "--all").stderr
    assert text.startswith("cgmigrate: limit: --all: means every cgroup")


def test_limit_all_on_a_stock_kernel(run):
    assert run.json("limit", "--all")["targets"] == []


# ---- the limit of a job ----


@pytest.fixture
def running(kernel, begin):
    """A job, j1, of the engine's in /web."""
    process = begin("--to", "2-3")
    written(kernel, "2-3")
    return process


def test_limit_of_a_job_is_its_cgroups(kernel, live, running):
    assert live("limit", "j1").stdout == "/web: no limit\n"
    assert live("limit", "j1", "--rate", "5M").stdout == "/web: 5.0M/s\n"
    assert kernel.read(f"{WEB}.max") == str(5 * MIB)
    assert kernel.read(f"{DB}.max") == "max\n"
    out = live.json("limit", "j1", "/db", "--rate", "5M")
    assert changed(out) == {"/web": False, "/db": True}
    moves_end(kernel)
    running.communicate(timeout=PATIENCE)
    assert live("limit", "/web").stdout == "/web: 5.0M/s\n", "it stays"


def test_limit_of_a_job_with_one_of_its_own_stays_too(kernel, live, begin):
    process = begin("--to", "2-3", "--rate", "1M")
    written(kernel, "2-3")
    assert live("limit", "j1", "--rate", "5M").returncode == 0
    moves_end(kernel)
    process.communicate(timeout=PATIENCE)
    assert kernel.read(f"{WEB}.max") == str(5 * MIB)


def test_limit_of_a_job_whose_command_was_killed(kernel, live, running):
    killed(running)
    assert live("limit", "j1", "--rate", "5M").stdout == "/web: 5.0M/s\n"
    assert kernel.read(f"{WEB}.max") == str(5 * MIB)


def runs(kernel, backend, cgroups):
    """A job, j1, of these cgroups: this process stands for its own."""
    targets = [{"cgroup": path, "backend": backend} for path in cgroups]
    pid = os.getpid()
    add(kernel, "j1", state="running", pid=pid, pid_start=started(pid), targets=targets)


def test_a_job_of_many_cgroups_and_of_one_twice(kernel, live):
    runs(kernel, "engine-v2", ["/db", "/db", "/web"])
    out = live.json("limit", "j1", "--rate", "5M")
    assert [t["cgroup"] for t in out["targets"]] == ["/db", "/web"]
    assert changed(out) == {"/db": True, "/web": True}
    assert kernel.read(f"{WEB}.max") == kernel.read(f"{DB}.max") == str(5 * MIB)
    out = live.json("pause", "j1")
    assert [t["cgroup"] for t in out["targets"]] == ["/db", "/web"]
    assert out["targets"][0]["changed"] is True


@pytest.mark.parametrize("rate", [[], ["--rate", "1M"]], ids=["", "rate"])
def test_a_job_that_has_ended_is_not_limited(kernel, live, rate):
    """What moves in its cgroups now is another one's."""
    add(kernel, "j1", state="done")
    said = "j1: has ended, and its cgroups are left as they are\n"
    assert live("limit", "j1", *rate).stdout == said
    out = live.json("limit", "j1", *rate)
    assert out["state"] == "unchanged"
    assert out["targets"] == [{"job": "j1", "changed": False}]
    assert kernel.read(f"{WEB}.max") == "max\n"


@pytest.mark.parametrize("backend", ["stock-v2", "move_pages"])
def test_a_job_that_no_limit_holds(kernel, live, backend):
    """Its own process moves the memory, also where there is an engine."""
    runs(kernel, backend, ["/db", "/web"])
    told = live("limit", "j1").stdout
    assert told.startswith("j1: its process moves the memory itself")
    assert changed(live.json("limit", "j1")) == {"j1": False}
    message = live.json("limit", "j1", "--rate", "1M", code=4)["error"]["message"]
    assert message == (
        "j1: its process moves the memory itself, which no limit of a cgroup holds; "
        '"cgmigrate move --rate" limits one move'
    )
    assert kernel.read(f"{WEB}.max") == "max\n"


def test_limit_of_no_such_job(kernel, live):
    result = live("limit", "/web", "j7", "--rate", "1M")
    assert result.returncode == 1
    assert 'j7: no such job; "cgmigrate report" lists them' in result.stderr
    assert kernel.read(f"{WEB}.max") == "max\n"


def test_no_permission_is_a_refusal(kernel):
    path = os.path.join(kernel.path, f"{WEB}.max")
    os.chmod(path, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    prefix = []
    if os.geteuid() == 0:
        for where, _, _ in os.walk(kernel.path):
            os.chmod(where, 0o755)
        parent = kernel.path
        while parent != "/":
            parent = os.path.dirname(parent)
            os.chmod(parent, os.stat(parent).st_mode | 0o055)
        prefix = ["setpriv", "--reuid=65534", "--clear-groups"]
    result = Command(kernel, prefix, write=True)("limit", "/web", "--rate", "1M")
    assert result.returncode == 4
    assert "cpuset.mems.migrate.max: Permission denied" in result.stderr


def test_stock_kernel_has_no_limit(run):
    out = run.json("limit", "/web")
    assert out["targets"] == [{"cgroup": "/web", "rate": None, "changed": False}]
    result = run("limit", "/web", "--rate", "1M")
    assert result.returncode == 4
    assert "no migration engine" in result.stderr
    assert '"cgmigrate move --rate" limits one move' in result.stderr


def test_stock_kernel_without_jobs(run):
    assert run("cancel", "/web").stdout == "/web: nothing moves\n"
    assert run("pause", "--all").stdout == "nothing to do\n"


def test_the_root_and_those_without_a_cpuset(kernel, live):
    result = live("pause", "/")
    assert (
        result.returncode == 4 and "/: the root cgroup has no settings" in result.stderr
    )
    result = live("limit", "/idle", "--rate", "1M")
    assert result.returncode == 4 and "cgroup.subtree_control" in result.stderr


def test_recorded_tree_is_not_written_to(kernel):
    result = Command(kernel)("pause", "/web")
    assert result.returncode == 4 and "recorded tree" in result.stderr


def test_a_job_that_has_ended_stands_for_nothing(kernel, live):
    """What moves the cgroup's memory now is another one's."""
    add(kernel, "j1", state="done")
    kernel.engine("/web", pending=1)
    for verb in ("cancel", "pause", "resume"):
        assert live(verb, "j1").stdout == "j1: has ended\n"
        assert changed(live.json(verb, "j1")) == {"j1": False}
    assert kernel.read(f"{WEB}.stop") == "" and kernel.read(f"{WEB}.hold") == "0\n"


def test_cancel_waits_for_the_process_too(kernel, live):
    """Of a job that the engine does not do."""
    code = (
        "import signal\n"
        "signal.signal(15, lambda number, frame: print(flush=True))\n"
        "print(flush=True)\ninput()"
    )
    with subprocess.Popen(
        ["python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        start = started(process.pid)
        job = record("j1", state="running", pid=process.pid, pid_start=start)
        job["targets"][0]["backend"] = "stock-v2"
        kernel.write(f"{RUN}/j1.json", json.dumps(job))
        result = live("cancel", "j1", "--timeout", "200ms")
        assert result.returncode == 6
        assert result.stderr == "cgmigrate: cancel: j1: told to stop, still moving\n"
        process.stdout.readline()

        def end_when_told():
            process.stdout.readline()
            time.sleep(0.3)
            process.stdin.close()

        ends = threading.Thread(target=end_when_told)
        ends.start()
        assert live("cancel", "j1").stdout == "j1: stopped\n"
        ends.join()


# ---- the process of an apply, which begins one round after the other ----


@pytest.fixture
def between(kernel):
    """An apply, j1, while no move is under way: its process notes its signals."""
    code = (
        "import signal, sys\n"
        "def note(number, frame): print(number, flush=True)\n"
        "signal.signal(10, note); signal.signal(12, note)\n"
        "print(flush=True)\nwhile True: signal.pause()"
    )
    with subprocess.Popen(
        ["python3", "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        job = record(
            "j1",
            command="apply",
            state="running",
            pid=process.pid,
            pid_start=started(process.pid),
            result=None,
            targets=[
                {"cgroup": path, "from": "0-1", "to": "2-3"} for path in ("/web", "/db")
            ],
            steps=[],
        )
        kernel.write(f"{RUN}/j1.json", json.dumps(job))
        yield process
        process.kill()


@pytest.mark.parametrize("target", ["j1", "/web", "/", "--all"])
def test_cancel_reaches_an_apply_between_its_rounds(live, between, target):
    assert live("cancel", target).stdout == "j1: stopped\n"
    assert between.wait(PATIENCE) == -signal.SIGTERM


@pytest.mark.parametrize(
    "target, holds", [("j1", "11"), ("/web", "10"), ("--all", "00")]
)
def test_so_does_pause(kernel, live, between, target, holds):
    for verb, number, flag in (("pause", 10, "1"), ("resume", 12, "0")):
        out = live.json(verb, target)
        assert changed(out)["j1"] is True
        assert int(between.stdout.readline()) == number
        for path, held in zip((WEB, DB), holds):
            want = flag if held == "1" else "0"
            assert kernel.read(f"{path}.hold").strip() == want
    assert between.poll() is None


def test_not_one_of_other_cgroups(kernel, live, between):
    kernel.cgroup("/other", "0")
    kernel.engine("/other")
    assert live("cancel", "/other").stdout == "/other: nothing moves\n"
    assert between.poll() is None


@pytest.fixture
def applying(kernel, waiting):
    """A swap whose first move, of /db, the kernel has not ended."""
    kernel.engine("/db", pending=1)
    process = waiting("apply", "--swap", "/web", "/db")
    wait_until(lambda: kernel.read("sys/fs/cgroup/db/cpuset.mems") == "0-1")
    return process


@pytest.mark.parametrize("target", ["j1", "/web", "--all"])
def test_cancel_ends_an_apply(kernel, live, applying, target):
    def stop_soon():
        wait_until(lambda: kernel.read(f"{DB}.stop") == "1")
        moves_end(kernel, "migrate_left 100\n", "/db")

    kernel.engine("/web", pending=0)
    player = threading.Thread(target=stop_soon)
    player.start()
    assert live("cancel", target).stdout == "j1: stopped\n"
    player.join()
    out, _ = applying.communicate(timeout=PATIENCE)
    assert applying.returncode == 5 and "cgmigrate apply --continue" in out
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "0-1\n"


def test_a_paused_apply_begins_nothing(kernel, live, applying):
    assert "j1: paused\n" in live("pause", "j1").stdout
    moves_end(kernel, cgroup="/db")
    time.sleep(0.5)
    assert applying.poll() is None
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "0-1\n"
    assert "j1: goes on\n" in live("resume", "j1").stdout
    moves_end(kernel)
    applying.communicate(timeout=PATIENCE)
    assert applying.returncode == 0
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "2-3"


@pytest.mark.long
def test_memory_is_handled_right(kernel, valgrind):
    check = Command(kernel, valgrind, write=True)
    for args in (
        ["pause", "/web"],
        ["resume", "--all", "-J"],
        ["cancel", "/db"],
        ["limit", "/web", "--rate", "1G"],
        ["limit", "/nope"],
        ["pause", "j1"],
        ["limit", "j1"],
    ):
        assert check(*args).returncode in (0, 1), args
