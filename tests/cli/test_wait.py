# SPDX-License-Identifier: GPL-2.0
"""cgmigrate wait: for the kernel, and for jobs that processes run."""

import json
import os

import pytest

from conftest import Command
from moving import PATIENCE, moves_end
from test_others import started
from test_report import RUN, record


@pytest.fixture
def job(kernel):
    """A job, j1, that runs; this process stands for its own."""

    def add(backend, state="running", **more):
        pid = os.getpid()
        one = record("j1", state=state, pid=pid, pid_start=started(pid), **more)
        one["targets"][0]["backend"] = backend
        kernel.write(f"{RUN}/j1.json", json.dumps(one))

    return add


def still(what, result):
    assert result.returncode == 6
    assert result.stderr == f"cgmigrate: wait: {what}: still moving\n"


BY_PROCESS = [("stock-v2", {}), ("engine-v2", {"command": "apply", "steps": []})]


@pytest.mark.parametrize("backend, more", BY_PROCESS, ids=["stock", "apply"])
@pytest.mark.parametrize("target", ["/web", "/", "--all"])
def test_a_job_whose_process_moves(live, job, target, backend, more):
    job(backend, **more)
    still("j1", live("wait", target, "--timeout", "100ms"))
    job(backend, "partial", **more)
    assert live.json("wait", target)["state"] == "done"


def test_on_a_stock_kernel(machine):
    pid = os.getpid()
    one = record("j1", state="running", pid=pid, pid_start=started(pid))
    one["targets"][0]["backend"] = "stock-v2"
    machine.write(f"{RUN}/j1.json", json.dumps(one))
    for target in ("/web", "--all"):
        live = Command(machine, write=True)
        still("j1", live("wait", target, "--timeout", "100ms"))


def test_elsewhere(kernel, live, job):
    kernel.cgroup("/web/inner", "0")
    kernel.engine("/web/inner")
    job("stock-v2")
    for target in ("/db", "/web/inner"):
        assert live("wait", target).returncode == 0


def test_what_the_engine_moves_is_over_when_the_kernel_says_so(live, job):
    """The process that keeps its record may have something to do yet."""
    job("engine-v2")
    assert live("wait", "/web").returncode == 0
    still("j1", live("wait", "--all", "--timeout", "100ms"))


def test_all_is_what_nobody_watches_too(kernel, live):
    assert live("wait", "--all").returncode == 0
    kernel.cgroup("/db/inner", "2")
    kernel.engine("/db/inner", pending=1)
    still("/db/inner", live("wait", "--all", "--timeout", "100ms"))


def test_all_ends(kernel, live, begin, waiting):
    move = begin("--to", "2-3")
    process = waiting("wait", "--all")
    assert move.poll() is None and process.poll() is None
    moves_end(kernel)
    assert process.wait(PATIENCE) == 0 and move.wait(PATIENCE) == 0


@pytest.mark.long
def test_memory_is_handled_right(kernel, job, valgrind):
    job("stock-v2")
    check = Command(kernel, valgrind, write=True)
    for args in (["/web"], ["--all", "-J"], ["/", "j1"]):
        assert check("wait", "--timeout", "1ms", *args).returncode == 6, args
