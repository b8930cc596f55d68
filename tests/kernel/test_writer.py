# SPDX-License-Identifier: GPL-2.0
"""Who writes may be confined, starved or frozen: the move is the kernel's work."""

import os
import select

import pytest

from ktest import machine
from ktest.cpusets import Since, wait_until
from ktest.machine import mib

POWER = "/sys/power"
DELAY = "/sys/module/suspend/parameters/pm_test_delay"

SMALL = mib(8)
LARGE = mib(64)
# Seconds of moves, beside which it does not matter what a write itself takes.
ENOUGH = 0.3


def job(top, spawn, pages):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", pages, nodes=0)
    return cpuset, load


def seconds_of_write(writer, cpuset, mems):
    """How long a writer waits, which finds all pages moved."""
    reply = writer("write", cpuset.file("mems"), mems)
    assert cpuset.stat()["migrate_pending"] == 0
    return int(reply["usec"]) / 1e6


@pytest.mark.core
def test_confined_to_other_nodes(top, spawn):
    """It has neither the node that pages leave nor the one they go to."""
    cpuset, load = job(top, spawn, LARGE)
    writer = spawn(top.mkdir("w", mems="3"))
    load("work", writers=1, verifiers=1, rest=500)

    for mems in ("1", "2", "0"):
        seconds_of_write(writer, cpuset, mems)
        assert load.where("memory") == {int(mems): LARGE}

    load.rest()
    load.verify()


@pytest.mark.v2only("cpu.max")
def test_with_hardly_any_cpu_time(root, top, spawn):
    """1 % of a CPU, which would take it a hundred times as long."""
    cpuset, load = job(top, spawn, LARGE)
    for each in (root, top):
        each.write("cgroup.subtree_control", "+cpu")
    group = top.mkdir("w")
    starved, other = spawn(group), spawn()
    plain, turns = 0, 0
    while plain < ENOUGH:
        plain += seconds_of_write(other, cpuset, "12"[turns % 2])
        turns += 1
    group.write("cpu.max", "1000 100000")

    slow = sum(
        seconds_of_write(starved, cpuset, "03"[turn % 2]) for turn in range(turns)
    )

    assert load.where("memory") == {cpuset.mems()[0]: LARGE}
    load.verify()
    assert slow < 10 * plain, (turns, slow, plain)


@pytest.fixture
def waiting(top, spawn):
    """A writer in a cpuset of its own that waits for a slow move, under way."""
    cpuset, load = job(top, spawn, SMALL)
    cpuset.write("max", SMALL * machine.PAGE)
    group = top.mkdir("w")
    writer = spawn(group)
    since = Since(cpuset)
    writer.send("write", cpuset.file("mems"), "1")
    since.wait_moved(1)
    return cpuset, load, group, writer


def has_answered(writer):
    return bool(select.select([writer.sock], [], [], 0)[0])


@pytest.mark.v2only("cgroup.freeze")
def test_frozen(waiting):
    """The move goes on without its writer, which ends when it is thawed."""
    cpuset, load, group, writer = waiting

    group.write("cgroup.freeze", "1")

    cpuset.wait_idle()
    assert load.where("memory") == {1: SMALL}
    wait_until(lambda: "frozen 1" in group.read("cgroup.events"), "the freezer")
    assert not has_answered(writer)
    group.write("cgroup.freeze", "0")
    assert writer.receive()["bytes"] == "1"
    load.verify()


@pytest.fixture
def freezer():
    """A cgroup of the hierarchy that freezes, which suspends a machine too."""
    for line in machine.read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ", 1)
        if right.startswith("cgroup ") and "freezer" in right.split(",")[-1]:
            break
    else:
        pytest.skip("no hierarchy has the freezer controller")
    path = f"{left.split()[4]}/cpuset-migrate-test-{os.getpid()}"
    os.mkdir(path)
    yield path
    machine.write(f"{path}/freezer.state", "THAWED")
    for pid in machine.read(f"{path}/cgroup.procs").split():
        machine.write(f"{os.path.dirname(path)}/cgroup.procs", pid)
    os.rmdir(path)


@pytest.mark.v1only("freezer.state")
def test_frozen_as_for_suspend(waiting, freezer):
    """While it waits: it need not be waited for."""
    cpuset, load, _, writer = waiting
    machine.write(f"{freezer}/cgroup.procs", writer.pid)

    machine.write(f"{freezer}/freezer.state", "FROZEN")

    state = f"{freezer}/freezer.state"
    wait_until(lambda: machine.read(state).strip() == "FROZEN", "the freezer")
    assert cpuset.stat()["migrate_pending"] == 1
    cpuset.wait_idle()
    assert load.where("memory") == {1: SMALL}
    assert not has_answered(writer)
    machine.write(state, "THAWED")
    assert writer.receive()["bytes"] == "1"
    load.verify()


@pytest.fixture
def suspend():
    """Freezes all that a suspend does, the kernel's threads too, for a second."""
    if not os.path.exists(f"{POWER}/pm_test"):
        pytest.skip("the kernel is without CONFIG_SUSPEND or CONFIG_PM_DEBUG")
    with machine.settings({DELAY: "1"}):
        machine.write(f"{POWER}/pm_test", "freezer")
        yield lambda: machine.write(f"{POWER}/state", "freeze")
        machine.write(f"{POWER}/pm_test", "none")


@pytest.mark.core
@pytest.mark.debug
def test_suspended(waiting, suspend):
    """Neither who waits nor who moves keeps a machine from that, and both go on."""
    cpuset, load, _, writer = waiting
    cpuset.write("max", SMALL * machine.PAGE // 8)

    suspend()

    assert cpuset.stat()["migrate_pending"] == 1
    assert not has_answered(writer)
    cpuset.write("max", "max")
    assert writer.receive()["bytes"] == "1"
    assert load.where("memory") == {1: SMALL}
    load.verify()
