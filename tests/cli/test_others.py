# SPDX-License-Identifier: GPL-2.0
"""Jobs on one cgroup at the same time: which of them are refused."""

import json
import os
import subprocess

import pytest

from conftest import Command
from moving import PATIENCE, moves_end, written
from test_apply import JOURNAL
from test_report import RUN, record

WEB = "sys/fs/cgroup/web/cpuset.mems"
STEPS = {"command": "apply", "steps": []}


def started(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[19]


@pytest.fixture
def earlier(kernel):
    """Another job, j1, that runs: this process stands for its own."""

    def add(cgroup="/web", backend="stock-v2", pid=os.getpid(), **more):
        job = record("j1", state="running", pid=pid, pid_start=started(pid), **more)
        job["targets"][0].update(cgroup=cgroup, backend=backend)
        kernel.write(f"{RUN}/j1.json", json.dumps(job))

    return add


@pytest.fixture
def untouched(kernel, live):
    """Checks that a command is refused, with these words, and changes nothing."""
    kernel.cgroup("/web/inner", "0")
    kernel.engine("/web/inner")

    def check(*args, words="job j1 is moving it: "):
        out = live.json(*args, code=4)
        assert out["state"] == "refused" and out["changed"] is False
        message = out["error"]["message"]
        assert f'{words}"cgmigrate wait j1" or "cgmigrate cancel j1"' in message
        assert kernel.read(WEB) == "0-1\n"
        assert kernel.read("sys/fs/cgroup/web/inner/cpuset.mems") == "0\n"
        assert [job["job"] for job in live.json("report")["jobs"]] == ["j1"]
        assert not os.path.exists(os.path.join(kernel.path, JOURNAL))

    return check


@pytest.mark.parametrize(
    "args",
    [
        ["move", "/web", "--to", "2-3"],
        ["move", "/web", "--to", "2-3", "--map", "0:3,1:2"],
        ["move", "/web", "--to", "2-3", "--no-wait"],
        ["move", "200", "--into", "/web"],
        ["apply", "--evict", "0"],
        ["apply", "--evict", "1"],
    ],
    ids=" ".join,
)
def test_what_another_process_moves(earlier, untouched, args):
    earlier()
    untouched(*args)


def test_strays_too(kernel, earlier, live):
    earlier("/db")
    assert live("settle", "/db").returncode == 4
    assert kernel.read("sys/fs/cgroup/db/cpuset.mems.migrate.settle") == ""


@pytest.mark.parametrize(
    "running, wanted", [("/web", "/web/inner"), ("/web/inner", "/web")]
)
def test_what_is_above_and_below(earlier, untouched, running, wanted):
    earlier(running)
    words = f"{wanted}: job j1 is moving {running}: "
    untouched("move", wanted, "--to", "1", words=words)


@pytest.mark.parametrize("running", ["/webmail", "/we", "/web/inner/x", "/db"])
def test_what_is_elsewhere_is_no_reason(kernel, earlier, live, running):
    kernel.cgroup("/web/other", "0")
    kernel.engine("/web/other")
    earlier(running)
    assert live("move", "/web/other", "--to", "1").returncode == 0
    assert kernel.read("sys/fs/cgroup/web/other/cpuset.mems") == "1"


def test_the_engine_has_the_last_word(kernel, earlier, live):
    """Of its own moves the later one supersedes the earlier."""
    earlier(backend="engine-v2")
    assert live("move", "/web", "--to", "2-3").returncode == 0
    assert kernel.read(WEB) == "2-3"


def test_but_not_about_an_apply(earlier, untouched):
    earlier(backend="engine-v2", **STEPS)
    untouched("move", "/web", "--to", "2-3")


def test_an_apply_does_not_come_in_between(kernel, begin, live):
    process = begin("--to", "2-3")
    written(kernel, "2-3")
    result = live("apply", "--evict", "2")
    assert result.returncode == 4 and "/web: job j1 is moving it: " in result.stderr
    assert kernel.read(WEB) == "2-3"
    moves_end(kernel)
    assert process.wait(PATIENCE) == 0
    assert live("apply", "--evict", "3").returncode == 0


def test_nor_an_undo(kernel, earlier, live):
    assert live("apply", "--swap", "/web", "/db").returncode == 0
    earlier()
    for verb in (["undo"], ["undo", "--force"]):
        result = live(*verb)
        assert result.returncode == 4 and "job j1 is moving it" in result.stderr
        assert kernel.read(WEB) == "2-3"
        assert json.loads(kernel.read(JOURNAL))["state"] == "applied"
    os.unlink(os.path.join(kernel.path, f"{RUN}/j1.json"))
    assert live("undo").returncode == 0 and kernel.read(WEB) == "0-1"


@pytest.mark.parametrize("reaped", [False, True])
def test_a_process_that_is_gone_is_no_reason(kernel, earlier, live, reaped):
    with subprocess.Popen(["sleep", "1000"]) as process:
        earlier(pid=process.pid)
        process.kill()
        if reaped:
            process.wait()
        else:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert live("move", "/web", "--to", "2-3").returncode == 0
    assert kernel.read(WEB) == "2-3"


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_nor_is_one_that_has_ended(kernel, earlier, live, state):
    earlier()
    job = json.loads(kernel.read(f"{RUN}/j1.json"))
    kernel.write(f"{RUN}/j1.json", json.dumps({**job, "state": state}))
    assert live("move", "/web", "--to", "2-3").returncode == 0


def test_nor_one_that_has_somebody_elses_number(kernel, earlier, live):
    earlier()
    job = json.loads(kernel.read(f"{RUN}/j1.json"))
    kernel.write(f"{RUN}/j1.json", json.dumps({**job, "pid_start": "1"}))
    assert live("move", "/web", "--to", "2-3").returncode == 0


@pytest.mark.long
def test_memory_is_handled_right(kernel, earlier, valgrind):
    earlier()
    check = Command(kernel, valgrind, write=True)
    for args in (
        ["move", "/web", "--to", "2-3"],
        ["apply", "--swap", "/web", "/db", "-J"],
    ):
        assert check(*args).returncode == 4, args
