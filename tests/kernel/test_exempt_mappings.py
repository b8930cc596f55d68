# SPDX-License-Identifier: GPL-2.0
"""MADV_NOMIGRATE belongs to a mapping: what it lives through, and what it does not."""

import re

import pytest

from ktest import machine, pages
from ktest.balancer import balancing, run_on
from ktest.cpusets import moved_by, reasons, wait_until
from ktest.machine import PAGE, mib

PAGES = mib(4)
HALF = PAGES // 2


@pytest.fixture
def load(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.cpuset = cpuset
    return load


def mappings(load, address, count):
    """Of which mappings these pages are: how many each has of them."""
    end = address + count * PAGE
    found = []
    for line in machine.read(f"/proc/{load.pid}/maps").splitlines():
        first, last = (int(word, 16) for word in line.split()[0].split("-"))
        inside = min(last, end) - max(first, address)
        if inside > 0:
            found.append(inside // PAGE)
    return found


def exempt(load, address, count):
    """Pages of these that smaps says are exempt."""
    found, at = 0, address
    for size in mappings(load, address, count):
        found += size * ("nm" in pages.flags(load.pid, at))
        at += size * PAGE
    return found


@pytest.mark.core
def test_moved_to_other_addresses(load):
    load.alloc("memory", PAGES, nodes=0)
    load("advise", "memory", "nomigrate")

    address = int(load("remap", "memory")["addr"], 16)

    assert exempt(load, address, PAGES) == PAGES
    change = moved_by(load.cpuset, "1")
    assert load.where("memory") == {0: PAGES}
    assert reasons(change)["skip_exempt"] == PAGES
    load.verify()


@pytest.mark.core
def test_split_and_merged(load):
    """A part that becomes like its neighbours is one mapping with them again."""
    address = load.alloc("memory", PAGES, nodes=0)
    middle = {"from": PAGES // 4, "count": HALF}
    load("advise", "memory", "nomigrate")
    whole = mappings(load, address, PAGES)

    # Split by something else, both parts keep it.
    load("lock", "memory", **middle)
    assert len(mappings(load, address, PAGES)) == len(whole) + 2
    assert exempt(load, address, PAGES) == PAGES
    load("unlock", "memory", **middle)
    assert mappings(load, address, PAGES) == whole

    load("advise", "memory", "migrate", **middle)
    assert len(mappings(load, address, PAGES)) == len(whole) + 2
    assert exempt(load, address, PAGES) == HALF
    change = moved_by(load.cpuset, "1")
    assert load.where("memory", **middle) == {1: HALF}
    assert load.where("memory") == {0: HALF, 1: HALF}
    assert reasons(change)["skip_exempt"] == HALF

    load("advise", "memory", "nomigrate", **middle)
    assert mappings(load, address, PAGES) == whole
    change = moved_by(load.cpuset, "2")
    assert load.where("memory") == {0: HALF, 1: HALF}
    load.verify()


@pytest.mark.core
@pytest.mark.v2only("CLONE_INTO_CGROUP")
def test_dropped_by_exec(load):
    """Nothing of a new program is exempt."""
    address = load.alloc("memory", PAGES, nodes=0)
    load("advise", "memory", "nomigrate")
    child = load.spawn(load.cpuset)
    assert "nm" in pages.flags(child.pid, address)

    program = child.go()

    kept = re.findall(r"(?m)^VmFlags:.* nm", machine.read(f"/proc/{program.pid}/smaps"))
    assert not kept
    program.alloc("memory", HALF, nodes=0)
    change = moved_by(load.cpuset, "1")
    assert program.where("memory") == {1: HALF}
    assert load.where("memory") == {0: PAGES}
    assert reasons(change)["skip_exempt"] == PAGES
    program.verify()
    load.verify()


@pytest.mark.long
def test_left_alone_by_numa_balancing(load):
    """Its pages are used on another node, to which the others go."""
    load.cpuset.set_mems("0-1")
    load.alloc("memory", PAGES, nodes=0)
    load("advise", "memory", "nomigrate", count=HALF)
    load("work", writers=2, rest=20)
    run_on(load, 1)

    with balancing():
        wait_until(
            lambda: load.where("memory", **{"from": HALF}).get(1, 0) > HALF // 2,
            "the balancer to move what it may",
        )

    load.rest()
    assert load.where("memory", count=HALF) == {0: HALF}
    load.verify()


def compact(node):
    machine.write(f"{machine.NODE}/node{node}/compact", "1")


def moved_by_compaction(load):
    """Pages of exempt memory that have got other frames, with holes beside them."""
    # Frames above are taken, never those below: of what is around one is above.
    around = [("near", mib(48)), ("far", mib(48))]
    load.alloc(*around[0])
    # Pages of both come from the same blocks, and those of one go.
    address = load.alloc("memory", PAGES)
    load.alloc("holes", 3 * PAGES)
    for first in range(0, PAGES, 16):
        load("rewrite", "memory", **{"from": first, "count": 16})
        load("rewrite", "holes", **{"from": 3 * first, "count": 48})
    load.alloc(*around[1])
    load("advise", "memory", "nomigrate")
    before = pages.frames(load.pid, address, PAGES)
    for name in ("holes", *dict(around)):
        load("free", name)

    compact(2)

    after = pages.frames(load.pid, address, PAGES)
    assert len(after) == len(before) == PAGES
    assert load.where("memory") == {2: PAGES}
    load.verify()
    return sum(now != was for was, now in zip(before, after))


@pytest.mark.long
def test_moved_by_compaction(top, spawn):
    """Within their node. Where they lie, and so whether any have to move, is chance."""
    cpuset = top.mkdir("a", mems="2")
    assert any(moved_by_compaction(spawn(cpuset)) for _ in range(5))
