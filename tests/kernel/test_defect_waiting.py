# SPDX-License-Identifier: GPL-2.0
"""Defects D, G: who waits for a move that is not theirs, and for how long."""

import itertools
import time

import pytest

from ktest.machine import mib
from ktest.timing import Background, Repeated, timed

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
    source = top.mkdir("a", mems="0")
    target = top.mkdir("b", mems="1")
    load = spawn(source)
    load.alloc("memory", SIZE, nodes=0)
    move = Background(target.attach, load)
    others = {name: Repeated(call) for name, call in unrelated.items()}
    duration = move.join()
    longest = {name: max(other.stop()) for name, other in others.items()}
    counts = {name: len(other.seconds) for name, other in others.items()}

    assert load.where("memory") == {1: SIZE}
    load.verify()
    if defects:
        assert min(longest.values()) > 0.5 * duration, (longest, duration)
    else:
        assert max(longest.values()) < 0.25 * duration, (longest, duration)
        assert min(counts.values()) >= 5, counts


def longest_stall(load, call, *args):
    """Longest mmap and munmap of one page while a call runs, in seconds."""
    load("probe")
    call(*args)
    return int(load("probed")["max"]) / 1e6


@pytest.mark.defect("G")
def test_stall_does_not_grow_with_size(top, spawn, defects):
    """The least of several is taken: a busy host makes some stalls longer, none
    shorter. What it does to the probe when nothing is moved is the floor."""
    small, large = mib(48), mib(384)
    stall = {}
    for size, moves in ((small, "10101"), (large, "101")):
        cpuset = top.mkdir(f"a{size}", mems="0")
        load = spawn(cpuset)
        load.alloc("memory", size, nodes=0)
        stall[size] = min(longest_stall(load, cpuset.set_mems, to) for to in moves)
        load.verify()
        if size == small:
            load.close()
    if defects:
        assert stall[large] > 2 * stall[small], stall
        return
    duration = timed(cpuset.set_mems, "0")
    stall["idle"] = min(longest_stall(load, time.sleep, duration) for _ in range(3))
    assert stall[large] < 2 * max(stall[small], stall["idle"]), stall
