# SPDX-License-Identifier: GPL-2.0
"""Where the plugin's records go, and readers who do not read."""

import os
import socket
import threading

import pytest

from ktest.machine import mib
from ktest.marks import later
from ktest.tools import ENVIRONMENT, outcome, parse_record, preloaded, run

pytestmark = [
    pytest.mark.defect("plugin"),
    pytest.mark.usefixtures("cgroup_tools"),
    pytest.mark.alike,
]


@pytest.fixture
def cpuset(top):
    return top.mkdir("a", mems="0-1")


@pytest.fixture
def load(spawn, cpuset):
    """A process with memory in it."""
    process = spawn(cpuset)
    process.alloc("anon", mib(16), nodes=(0, 1))
    return process


def test_settings_that_nobody_understands(cpuset, load, group, tmp_path):
    """They are left out and told; everything else works."""
    report = tmp_path / "report"
    env = preloaded(
        rate="fast", max_stall="-1", wait="maybe", settle="", report=str(report)
    )
    result = run("cgset", "-r", "cpuset.mems=2-3", group(cpuset), env=env)
    assert outcome(result) == (0, "", "")
    assert set(load.where("anon")) == {2, 3}
    text = report.read_text()
    for word in ("RATE=fast", "MAX_STALL=-1", "WAIT=maybe"):
        assert f"{ENVIRONMENT}{word}: not understood" in text


@pytest.mark.parametrize(
    "report",
    ["relative", "fd:999", "fd:", "/no/such/folder/file", "/", "/dev/full", "journal"],
)
def test_a_report_that_cannot_be_written(cpuset, load, group, report):
    env = preloaded(report=report)
    result = run("cgset", "-r", "cpuset.mems=2-3", group(cpuset), env=env, cwd="/tmp")
    assert outcome(result) == (0, "", "")
    assert set(load.where("anon")) == {2, 3}
    assert not os.path.exists("/tmp/relative")


def reported(words, report, **more):
    """The outcome of a tool that reports to somewhere."""
    return outcome(run(*words, env=preloaded(report=report), **more))


def payload(cpuset, group):
    """Words for a tool that becomes another program after its record."""
    return ["cgexec", "-g", f"cpuset:{group(cpuset)}", "echo", "it runs"]


@pytest.fixture(params=["pipe", *later("FIFO", "socket")])
def ends(request, tmp_path):
    """A reader, a writer, and what names the writer in --report."""
    if request.param == "socket":
        reader, writer = (one.detach() for one in socket.socketpair())
    elif request.param == "pipe":
        reader, writer = os.pipe()
    else:
        path = str(tmp_path / "fifo")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(path, os.O_WRONLY)
    os.set_blocking(reader, True)
    opened = {reader, writer}

    class Ends:
        report = f"fd:{writer}" if request.param != "FIFO" else path
        passed = [writer] if request.param != "FIFO" else []

        @staticmethod
        def close(fd):
            opened.remove(fd)
            os.close(fd)

    Ends.reader, Ends.writer = reader, writer
    yield Ends
    for fd in opened:
        os.close(fd)


def fill(fd):
    """Write until there is no room."""
    os.set_blocking(fd, False)
    wrote = 0
    try:
        while True:
            wrote += os.write(fd, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(fd, True)
        return wrote


def test_a_reader_that_is_gone(cpuset, group, ends):
    """It must not keep a payload from being started."""
    ends.close(ends.reader)
    result = reported(payload(cpuset, group), ends.report, pass_fds=ends.passed)
    assert result == (0, "it runs\n", "")


def test_a_reader_that_does_not_read(cpuset, group, ends):
    """Nobody waits for it for ever."""
    fill(ends.writer)
    result = reported(payload(cpuset, group), ends.report, pass_fds=ends.passed)
    assert result == (0, "it runs\n", "")


def test_a_reader_that_is_slow(cpuset, group, ends):
    """It gets the record as a whole."""
    wrote = fill(ends.writer)
    results = []

    def use_tool():
        words = payload(cpuset, group)
        results.append(reported(words, ends.report, pass_fds=ends.passed))

    tool = threading.Thread(target=use_tool)
    tool.start()
    # It starts in three seconds at least where this is emulated.
    tool.join(0.5)
    text = b""
    while not text.endswith(b"\n"):
        text += os.read(ends.reader, 4096)
    tool.join()
    assert results == [(0, "it runs\n", "")]
    record = parse_record(text[wrote:].decode())
    assert record["tool"] == "cgexec" and record["returned"] == 0
