# SPDX-License-Identifier: GPL-2.0
"""Defects D, G: who waits for a move that is not theirs, and for how long."""

import itertools
import statistics

import pytest

from ktest.machine import mib
from ktest.timing import Background, Repeated

SIZE = mib(256)


@pytest.fixture
def unrelated(top, spawn):
    """What others do in the cgroup tree meanwhile, by name."""
    places = itertools.cycle([top.mkdir("u0"), top.mkdir("u1")])
    bystander = spawn(next(places))

    def make_and_remove():
        top.mkdir("new").rmdir()

    def attach():
        next(places).attach(bystander)

    return {"mkdir and rmdir": make_and_remove, "attach": attach}


@pytest.mark.defect("D")
def test_nobody_else_waits(top, spawn, unrelated, defects):
    """Of three moves, since a busy host keeps anybody from anything now and then."""
    cpusets = [top.mkdir("a", mems="0"), top.mkdir("b", mems="1")]
    load = spawn(cpusets[0])
    load.alloc("memory", SIZE, nodes=0)
    waited = {name: [] for name in unrelated}
    for node in (1, 0, 1):
        move = Background(cpusets[node].attach, load)
        others = {name: Repeated(call) for name, call in unrelated.items()}
        duration = move.join()
        for name, other in others.items():
            waited[name].append(max(other.stop()) / duration)
            assert defects or len(other.seconds) >= 5, name
        assert load.where("memory") == {node: SIZE}
    load.verify()

    least = {name: min(parts) for name, parts in waited.items()}
    if defects:
        assert min(least.values()) > 0.5, waited
    else:
        assert max(least.values()) < 0.25, waited


def longest_stall(load, call, *args):
    """Longest mmap and munmap of one page while a call runs, in seconds."""
    load("probe")
    call(*args)
    return int(load("probed")["max"]) / 1e6


@pytest.mark.defect("G")
def test_stall_does_not_grow_with_size(top, spawn, defects):
    """As much is moved in one piece as in eight: a busy host disturbs the probe as
    often in both, and the middle of several samples is compared. A stall that grew
    with the size would be eight times as long."""
    pieces = 8
    jobs = {}
    for size, times in ((mib(48), pieces), (pieces * mib(48), 1)):
        cpuset = top.mkdir(f"a{size}", mems="0")
        load = spawn(cpuset)
        load.alloc("memory", size, nodes=0)
        jobs[size] = (cpuset, load, times)

    def back_and_forth(cpuset, mems, times):
        for i in range(times):
            cpuset.set_mems(mems[i % 2])

    def sample():
        stalls = {size: [] for size in jobs}
        for mems in ("10", "01", "10", "01"):
            for size, (cpuset, load, times) in jobs.items():
                order = mems if times == 1 else "10"
                stall = longest_stall(load, back_and_forth, cpuset, order, times)
                stalls[size].append(stall)
        return stalls

    # What disturbs one set of samples from outside does not disturb three.
    seen = []
    for _ in range(3):
        seen.append(sample())
        small, large = map(statistics.median, seen[-1].values())
        if (large > 2.5 * small) == defects:
            break
    for _, load, _ in jobs.values():
        load.verify()
    assert (large > 2.5 * small) == defects, seen
