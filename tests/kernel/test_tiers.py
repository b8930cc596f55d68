# SPDX-License-Identifier: GPL-2.0
"""Nodes with slow memory, where reclaim puts what is not used: demotion."""

import contextlib
import glob
import threading

import pytest

from ktest import machine
from ktest.cpusets import accounted, moved_by
from ktest.machine import PAGE, mib

TIERS = "/sys/devices/virtual/memory_tiering/memory_tier*/nodelist"
DEMOTION = "/sys/kernel/mm/numa/demotion_enabled"
PAGES = mib(16)
HALF = PAGES // 2

pytestmark = pytest.mark.v2only("whose memory is demoted, and where to")


@pytest.fixture
def slow():
    """The nodes of the lowest tier, while demotion is on."""
    # The name of a tier has its distance; the lowest has the largest.
    files = sorted(glob.glob(TIERS), key=lambda name: int(name.split("tier")[-1][:-9]))
    tiers = [machine.parse_list(machine.read(file).strip()) for file in files]
    tiers = [tier for tier in tiers if tier]
    if len(tiers) < 2 or len(tiers[-1]) < 2:
        pytest.skip("no two nodes are slower than others: vm --slow-nodes 2")
    before = machine.read(DEMOTION).strip()
    machine.write(DEMOTION, "1")
    yield sorted(tiers[-1])
    machine.write(DEMOTION, before)


@pytest.fixture
def cpuset(root, top):
    """A cpuset whose memory can be reclaimed."""
    for cgroup in (root, top):
        cgroup.write("cgroup.subtree_control", "+memory")
    return top.mkdir("a", mems="0")


def demoted():
    """Pages that reclaim has put on slower nodes since boot."""
    kinds = ("kswapd", "direct", "khugepaged")
    return sum(machine.vmstat(f"pgdemote_{kind}") for kind in kinds)


def reclaim(cpuset, pages):
    """Ask for pages to be taken from it; there may not be so many."""
    with contextlib.suppress(BlockingIOError):
        cpuset.write("memory.reclaim", pages * PAGE)


@pytest.mark.defect("N")
def test_stays_inside_the_cpuset(slow, cpuset, spawn, defects):
    """What a cpuset has no slow node for is not demoted."""
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)

    reclaim(cpuset, HALF)

    where = load.where("memory")
    if defects:
        assert sum(where.get(node, 0) for node in slow) > HALF / 2
    else:
        assert where == {0: PAGES}
    load.verify()


def test_goes_to_a_slow_node_of_the_cpuset(slow, cpuset, spawn):
    """Not to another one that is as near."""
    cpuset.set_mems([0, slow[-1]])
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    load.alloc("file", PAGES, kind="shared", nodes=0)

    reclaim(cpuset, PAGES)

    for name in ("memory", "file"):
        assert set(load.where(name)) <= {0, slow[-1]}
    demoted = sum(load.where(name).get(slow[-1], 0) for name in ("memory", "file"))
    assert demoted > HALF
    load.verify()


def test_what_is_exempt_is_not_demoted(slow, cpuset, spawn):
    cpuset.set_mems([0, *slow])
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    load("advise", "memory", "nomigrate", count=HALF)

    reclaim(cpuset, PAGES)

    assert load.where("memory", count=HALF) == {0: HALF}
    rest = load.where("memory", **{"from": HALF})
    assert sum(rest.get(node, 0) for node in slow) > HALF / 2
    load.verify()


@pytest.mark.parametrize("kind", ["anon", "thp", "shared"])
def test_moves_between_tiers(slow, cpuset, spawn, kind):
    """To slow nodes and back, with what was node by node kept so."""
    cpuset.set_mems("0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind=kind, nodes=(0, 1), stripe=mib(2))
    load("work", writers=1, verifiers=1, rest=500)

    for mems in (slow, [0, 1]) * 2:
        change = moved_by(cpuset, mems)
        assert change["migrate_scanned"] == accounted(change)
        assert load.where("memory") == {node: HALF for node in mems}

    load.rest()
    load.verify()


def test_while_it_is_demoted(slow, cpuset, spawn):
    """Somebody else moves the same pages: none is lost, none is left outside."""
    everywhere = [0, 1, *slow]
    cpuset.set_mems(everywhere)
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=(0, 1), stripe=mib(2))
    load.alloc("shared", HALF, kind="shared", nodes=(0, 1), stripe=mib(2))
    load("work", writers=1, verifiers=1, rest=500)
    done = threading.Event()
    before = demoted()

    def press():
        while not done.is_set():
            reclaim(cpuset, mib(4))

    presser = threading.Thread(target=press)
    presser.start()
    try:
        for mems in ([0], slow, [0, slow[0]], [1, *slow], everywhere) * 2:
            moved_by(cpuset, mems)
    finally:
        done.set()
        presser.join()
    assert demoted() > before
    moved_by(cpuset, [0, slow[1]])

    load.rest()
    for name in ("memory", "shared"):
        assert set(load.where(name)) <= {0, slow[1]}
    load.verify()
