# SPDX-License-Identifier: GPL-2.0
"""Whose turn it is, where more is to move than kernel threads may at a time."""

import pytest

from ktest.machine import mib
from ktest.placement import misplaced

PROCESSES = 16
PAGES = mib(8)


@pytest.fixture
def crowd(top, spawn):
    """Many processes in one cpuset."""
    cpuset = top.mkdir("crowd", mems="0")
    first = spawn(cpuset)
    loads = [first, *(first.fork() for _ in range(PROCESSES - 1))]
    for load in loads:
        load.alloc("memory", PAGES, nodes=0)
    yield cpuset, loads
    cpuset.wait_idle()


@pytest.mark.core
def test_many_processes_are_no_better_than_one(top, spawn, crowd):
    """A cpuset has its turns, however many of its processes wait for them."""
    many, loads = crowd
    one = top.mkdir("one", mems="0")
    load = spawn(one)
    load.alloc("memory", PAGES, nodes=0)
    before = load.pages("memory")

    many.set_mems("1", nonblock=True)
    one.set_mems("1")

    assert many.stat()["migrate_pending"] > PROCESSES / 2
    assert not misplaced(before, load.pages("memory"), [[0], [1]])
    load.verify()
    many.wait_idle()
    for load in loads:
        assert load.where("memory") == {1: PAGES}
        load.verify()
