# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --timeout: left alone, or cancelled."""

import signal

import pytest

from conftest import Command
from moving import MEMS, PATIENCE, STOP, moves_end, wait_until

SOON = ["--to", "2-3", "--timeout", "100ms"]


def test_it_is_left(kernel, live, begin):
    process = begin(*SOON)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6 and "still running: job j1\n" in out
    assert kernel.read(STOP) == ""
    moves_end(kernel)
    wait_until(lambda: live.json("report")["jobs"][0]["state"] == "done")


def test_it_is_cancelled(kernel, live, begin):
    process = begin(*SOON, "--cancel-on-timeout")
    wait_until(lambda: kernel.read(STOP) == "1")
    moves_end(kernel, "migrate_left 100\n")
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6, out
    assert "to finish:  cgmigrate settle /web\n" in out
    assert "to go back: cgmigrate move /web --to 0-1\n" in out
    assert live.json("report")["jobs"][0]["state"] == "timeout"


def test_also_when_it_is_paused(kernel, live, begin):
    process = begin("--to", "2-3", "--timeout", "1s", "--cancel-on-timeout")
    wait_until(lambda: live.json("report")["jobs"])
    process.send_signal(signal.SIGUSR1)
    wait_until(lambda: kernel.read(STOP) == "1")
    moves_end(kernel, "migrate_left 100\n")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 6


@pytest.fixture
def stock(machine):
    """The command without the engine: it moves, and stands still in between."""
    words = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=ppoll"]
    words += ["-e", "inject=ppoll:delay_enter=200000"]
    return Command(machine, words, True)


def test_somebody_goes_on_without_the_engine(stock):
    result = stock("move", "/web", *SOON)
    assert result.returncode == 6 and "still running: job j1\n" in result.stdout
    asked = Command(stock.tree)
    wait_until(lambda: asked.json("report")["jobs"][0]["state"] == "done")
    assert stock.tree.read(MEMS) == "2-3"


def test_it_is_cancelled_without_the_engine(stock):
    result = stock("move", "/web", *SOON, "--cancel-on-timeout")
    assert result.returncode == 6
    assert "stopped half-way: cpuset.mems is left at 0-3" in result.stderr
    assert Command(stock.tree).json("report")["jobs"][0]["state"] == "timeout"
