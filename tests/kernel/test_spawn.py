# SPDX-License-Identifier: GPL-2.0
"""Processes that share an address space, and which of them it follows."""

import os
import signal
import types

import pytest

from ktest import machine
from ktest.cpusets import Since, wait_until
from ktest.load import Memory
from ktest.machine import jobs_of, mib

LARGE = mib(64)
PAGES = mib(4)

pytestmark = pytest.mark.core


@pytest.mark.v2only("CLONE_INTO_CGROUP")
def test_spawned_by_a_large_process(top, spawn):
    """Until it is a program it has its parent's memory, which stays its parent's."""
    own, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="1")
    load = spawn(own)
    load.alloc("memory", LARGE, nodes=0)
    since = Since(other)
    children = []

    jobs = jobs_of(lambda: children.append(load.spawn(other)), stock=False)

    (child,) = children
    assert other.procs() == [child.pid]
    assert jobs == 0 and since.nothing_gained()
    assert machine.mems_allowed(child.pid) == [1]
    other.set_mems("2")
    assert since.gained()["migrate_total"] == 0
    assert load.where("memory") == {0: LARGE}
    own.set_mems("3")
    assert load.where("memory") == {3: LARGE}

    program = child.go()
    program.alloc("memory", PAGES)
    program("rewrite", "memory")
    other.set_mems("1")
    assert program.where("memory") == {1: PAGES}
    assert load.where("memory") == {3: LARGE}
    load.verify()
    program.verify()


@pytest.mark.v2only("CLONE_INTO_CGROUP")
def test_spawned_again_and_again(top, spawn):
    """While the memory of its parent moves, as a service manager may do it."""
    own, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="1")
    load = spawn(own)
    load.alloc("memory", LARGE, nodes=0)
    since = Since(other)

    for mems in ("2", "0", "3"):
        own.set_mems(mems, nonblock=True)
        child = load.spawn(other)
        own.wait_idle()
        assert load.where("memory") == {int(mems): LARGE}
        child.go()

    assert since.nothing_gained()
    load.verify()


@pytest.fixture
def twins(top, spawn):
    """A process, and another with the same memory in another cpuset."""
    own, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="0")
    load = spawn(own)
    load.address = load.alloc("memory", PAGES, nodes=0)
    pid = int(load("twin")["pid"])
    other.attach(pid)
    return own, load, other, pid


def test_memory_is_that_of_its_maker(twins):
    own, load, other, pid = twins

    other.set_mems("1")
    assert machine.mems_allowed(pid) == [1]
    assert load.where("memory") == {0: PAGES}
    own.set_mems("2")
    assert load.where("memory") == {2: PAGES}
    other.set_mems("3")
    own.attach(pid)
    other.attach(pid)
    assert load.where("memory") == {2: PAGES}
    load.verify()


def test_memory_is_that_of_who_is_left(twins):
    own, load, other, pid = twins
    size = PAGES * machine.PAGE
    before = Memory(load).read(load.address, size)
    os.kill(load.pid, signal.SIGKILL)
    load.process.wait()
    wait_until(lambda: load.pid not in own.procs(), "it to be gone")

    other.set_mems("1")

    where = machine.mapped(pid)
    assert where[1] >= PAGES
    twin = types.SimpleNamespace(pid=pid)
    assert Memory(twin).read(load.address, size) == before
