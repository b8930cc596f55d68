# SPDX-License-Identifier: GPL-2.0
"""Whose turn it is, where more is to move than kernel threads may at a time."""

import os

import pytest

from ktest.machine import Trace, mib

PROCESSES = 16
PAGES = mib(4)


def load_up(load):
    load.alloc("memory", PAGES, nodes=0)
    return load


@pytest.fixture
def one(top, spawn):
    """One process in a cpuset of its own."""
    cpuset = top.mkdir("one", mems="0")
    yield cpuset, [load_up(spawn(cpuset))]
    cpuset.wait_idle()


@pytest.fixture
def crowd(top, spawn):
    """Many processes in one cpuset."""
    cpuset = top.mkdir("crowd", mems="0")
    first = spawn(cpuset)
    loads = [first, *(first.fork() for _ in range(PROCESSES - 1))]
    yield cpuset, [load_up(load) for load in loads]
    cpuset.wait_idle()


@pytest.mark.core
def test_many_processes_are_no_better_than_one(top, one, crowd):
    """A cpuset has its turns, however many of its processes wait for them."""
    with Trace("cpuset_migrate") as trace:
        # All of them want to move at the same moment, the many first.
        top.write("hold", "1")
        for cpuset, _ in (crowd, one):
            cpuset.set_mems("1", nonblock=True)
        top.write("hold", "0")
        for cpuset, _ in (crowd, one):
            cpuset.wait_idle()

    inode = str(os.stat(one[0].path).st_ino)
    starts = trace.events("cpuset_migrate_job_start")
    (mm,) = (start["mm"] for start in starts if start["cgroup"] == inode)
    chunks = trace.events("cpuset_migrate_chunk")
    moved = list(dict.fromkeys(chunk["mm"] for chunk in chunks))
    assert len(moved) == PROCESSES + 1
    assert moved.index(mm) < PROCESSES / 2
    for load in one[1] + crowd[1]:
        assert load.where("memory") == {1: PAGES}
        load.verify()
