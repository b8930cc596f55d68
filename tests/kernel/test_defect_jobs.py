# SPDX-License-Identifier: GPL-2.0
"""Defects A, I, I': a job for every thread, and what that does to placement."""

import pytest

from ktest.cpusets import Since
from ktest.machine import jobs_of, mib
from ktest.placement import misplaced
from ktest.timing import timed

THREADS = 64


@pytest.mark.core
@pytest.mark.debug
@pytest.mark.defect("A")
def test_one_job_for_many_threads(top, spawn, defects):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", mib(8), nodes=0)
    load.threads(THREADS - 2)
    since = None if defects else Since(cpuset)

    jobs = jobs_of(lambda: cpuset.set_mems("1"), defects)

    assert load.where("memory") == {1: mib(8)}
    load.verify()
    if defects:
        assert jobs == THREADS
    else:
        assert jobs == 1
        change = since.gained()
        assert (change["migrate_total"], change["migrate_start"]) == (1, 1)


@pytest.mark.timing
@pytest.mark.defect("A")
def test_time_does_not_grow_with_threads(top, spawn, defects):
    """By turns and the least of several, so that a busy host slows both alike."""
    times = {}
    for threads in (2, THREADS):
        cpuset = top.mkdir(f"a{threads}", mems="0")
        load = spawn(cpuset)
        load.alloc("memory", mib(16), nodes=0)
        if threads > 2:
            load.threads(threads - 2)
        times[cpuset] = []
    for mems in "1010101":
        for cpuset, seconds in times.items():
            seconds.append(timed(cpuset.set_mems, mems))

    few, many = map(min, times.values())
    if defects:
        assert many > 1.5 * few, times
    else:
        assert many < 1.5 * few, times


def assert_shifted(before, after, defects):
    """0-1 -> 1-2: what was on 0 is on 1, what was on 1 is on 2."""
    wrong = misplaced(before, after, [(0, 1), (1, 2)])
    if defects:
        assert set(after) == {2}
    else:
        assert not wrong, f"{len(wrong)} pages, first {wrong[:5]}"


@pytest.mark.core
@pytest.mark.defect("I")
def test_overlapping_sets_two_threads(top, spawn, defects):
    """The workload has two threads without being told so."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", mib(8), nodes=(0, 1))
    before = load.pages("memory")
    assert set(before) == {0, 1}

    cpuset.set_mems("1-2")

    assert_shifted(before, load.pages("memory"), defects)
    load.verify()


@pytest.mark.core
@pytest.mark.defect("I'")
@pytest.mark.parametrize("kind", ["shared", "memfd", "sysv"])
def test_overlapping_sets_shared_memory(top, spawn, defects, kind):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", mib(4), kind=kind, nodes=(0, 1))
    children = [load.fork(), load.fork()]
    for child in children:
        child("touch", "memory")
    before = load.pages("memory")
    assert set(before) == {0, 1}

    cpuset.set_mems("1-2")

    assert_shifted(before, load.pages("memory"), defects)
    for process in [load, *children]:
        process.verify()
