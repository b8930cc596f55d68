# SPDX-License-Identifier: GPL-2.0
"""Signals to a command that waits for a move: what it leaves, and who goes on."""

import os
import signal
import subprocess

import pytest

from conftest import Command, failing
from moving import MEMS, PATIENCE, STOP, moves_end, wait_until, written
from tree import MIB

MAX = "sys/fs/cgroup/web/cpuset.mems.migrate.max"


def is_left(process, live, code, out):
    """The command has ended, and another process has the job."""
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code and f"{out}: job j1\n" in text
    (job,) = live.json("report")["jobs"]
    assert job["state"] == "running" and job["pid"] != process.pid
    return job["pid"]


def ends(live, state):
    """The other process sees the job to its end."""
    wait_until(lambda: live.json("report")["jobs"][0]["state"] != "running")
    assert live.json("report")["jobs"][0]["state"] == state


@pytest.mark.parametrize("rate", [[], ["--rate", "5M"]], ids=["", "rate"])
def test_a_terminal_that_is_closed(kernel, live, begin, rate):
    process = begin("--to", "2-3", *rate)
    written(kernel, "2-3")
    assert kernel.read(MAX).strip() == (str(5 * MIB) if rate else "max")
    process.send_signal(signal.SIGHUP)
    is_left(process, live, 0, "started")
    assert kernel.read(STOP) == ""
    moves_end(kernel)
    ends(live, "done")
    assert kernel.read(MAX).strip() == "max"


@pytest.mark.parametrize("rate", [[], ["--rate", "5M"]], ids=["", "rate"])
def test_interrupted_twice(kernel, live, begin, rate):
    process = begin("--to", "2-3", *rate)
    written(kernel, "2-3")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: kernel.read(STOP) == "1")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    is_left(process, live, 5, "left: told to stop, not waited for")
    moves_end(kernel, "migrate_left 100\n")
    ends(live, "cancelled")
    assert kernel.read(MAX).strip() == "max"


def test_what_goes_on_alone_can_be_stopped(kernel, live, begin):
    process = begin("--to", "2-3")
    written(kernel, "2-3")
    process.send_signal(signal.SIGHUP)
    os.kill(is_left(process, live, 0, "started"), signal.SIGTERM)
    wait_until(lambda: kernel.read(STOP) == "1")
    moves_end(kernel, "migrate_left 100\n")
    ends(live, "cancelled")


@pytest.fixture
def full():
    """Have a process and its children find no room for what they replace: full(pid)."""
    tracers = []

    def one(pid):
        words = ["strace", "-f", "-p", str(pid), "-o", "/dev/null"]
        words += ["-e", "trace=renameat", "-e", "inject=renameat:error=ENOSPC"]
        tracers.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True))
        assert "attached" in tracers[-1].stderr.readline()
        return tracers[-1]

    yield one
    for tracer in tracers:
        tracer.terminate()
        tracer.communicate()


STAYS = "the move cannot be left to a process of its own: {}; it is waited for\n"


@pytest.mark.parametrize(
    "signals", [[signal.SIGHUP], [signal.SIGINT] * 2], ids=["closed", "interrupted"]
)
def test_nobody_else_without_a_record(kernel, live, begin, full, signals):
    """A record that names who has left would make others take the job for killed."""
    process = begin("--to", "2-3")
    written(kernel, "2-3")
    wait_until(lambda: live.json("report")["jobs"])
    tracer = full(process.pid)
    for number in signals:
        process.send_signal(number)
        if number == signal.SIGINT:
            wait_until(lambda: kernel.read(STOP) == "1")
    said = STAYS.format("No space left on device")
    assert process.stderr.readline() == f"cgmigrate: move: {said}"
    (job,) = live.json("report")["jobs"]
    assert job["state"] == "running" and job["pid"] == process.pid
    tracer.terminate()
    tracer.wait()
    stopped = signal.SIGINT in signals
    moves_end(kernel, "migrate_left 100\n" if stopped else "")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == (5 if stopped else 0)
    assert live.json("report")["jobs"][0]["state"] == (
        "cancelled" if stopped else "done"
    )


def test_nobody_else_at_all(kernel):
    lonely = failing(kernel, None, "clone", "EAGAIN")
    result = lonely("move", "/web", "--to", "2-3", "--no-wait", "--rate", "5M")
    assert STAYS.format("Resource temporarily unavailable") in result.stderr
    assert result.returncode == 0 and "done: " in result.stdout
    assert kernel.read(MAX).strip() == "max"
    assert Command(kernel).json("report")["jobs"][0]["state"] == "done"


def test_nohup_is_obeyed(kernel, waiting):
    process = waiting("move", "/web", "--to", "2-3", prefix=["nohup"])
    written(kernel, "2-3")
    process.send_signal(signal.SIGHUP)
    moves_end(kernel)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "done: " in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_apply_goes_on_later(kernel, live, waiting, number):
    process = waiting("apply", "--evict", "0-1")
    wait_until(lambda: kernel.read(MEMS) != "0-1\n")
    process.send_signal(number)
    wait_until(lambda: kernel.read(STOP) == "1")
    moves_end(kernel, "migrate_left 100\n")
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 5 and "cgmigrate apply --continue" in out
    refused = live.json("apply", "--evict", "0", code=4)["error"]["message"]
    assert refused.startswith("the last apply was interrupted")
    assert live.json("apply", "--continue")["exit"] == 0
