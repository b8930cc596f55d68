# SPDX-License-Identifier: GPL-2.0
"""A node whose memory is taken away while pages move to it, and from it."""

import glob
import os

import pytest

from ktest import machine, pages
from ktest.cpusets import Since, accounted, cached_on, start_slowly, wait_until
from ktest.machine import PAGE, mib

PAGES = mib(32)
# Beside the node that goes, these are left, and one to go to.
OLD, OTHER = [0, 1], 2
RATE = "4M"
KINDS = {
    "anon": {},
    "locked": dict(lock=1),
    "thp": dict(kind="thp", stripe=mib(2)),
    "shared": dict(kind="shared"),
}
MEMORY = "/sys/devices/system/memory"


class Dimm:
    """A node whose memory can all be taken away."""

    def __init__(self, node, blocks):
        self.node = node
        self.blocks = blocks

    def _set(self, block, state):
        machine.write(f"{MEMORY}/{block}/state", state)

    def take(self):
        for block in self.blocks:
            self._set(block, "offline")

    def give(self):
        """Back what was taken."""
        for block in self.blocks:
            if machine.read(f"{MEMORY}/{block}/state").strip() == "offline":
                self._set(block, "online_movable")


def find_dimm():
    for node in machine.memory_nodes():
        found = glob.glob(f"{machine.NODE}/node{node}/memory[0-9]*")
        blocks = [os.path.basename(path) for path in found]
        zones = {
            machine.read(f"{MEMORY}/{block}/valid_zones").split()[0] for block in blocks
        }
        if blocks and zones == {"Movable"}:
            return Dimm(node, blocks)
    return None


@pytest.fixture
def dimm():
    dimm = find_dimm()
    if not dimm:
        pytest.skip("no node's memory can be taken away: vm --hotplug")
    yield dimm
    dimm.give()


def has_memory(node):
    return node in machine.parse_list(machine.read(f"{machine.NODE}/has_memory"))


def take_on_the_way(cpuset, dimm, since):
    """Take the node away in the middle of a slow move, and let the rest go at once."""
    assert cpuset.stat()["migrate_pending"] == 1
    assert 0 < since.gained()["migrate_moved"] < PAGES

    dimm.take()

    assert not has_memory(dimm.node)
    cpuset.write("max", "max")


def move_and_take(top, spawn, old, new, dimm, kind):
    """The node goes while memory is on its way there, or from there."""
    cpuset = top.mkdir("a", mems=old)
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=old, **{"stripe": 16, **KINDS[kind]})
    load("work", writers=1, verifiers=1, rest=500)
    since = start_slowly(cpuset, new, RATE, mib(4))
    assert dimm.node in load.where("memory")
    take_on_the_way(cpuset, dimm, since)
    return cpuset, load, since


def check_end(cpuset, load, since, nodes):
    """Nothing is pending, nothing lost, and pages are on these nodes."""
    cpuset.wait_idle()
    load.rest()
    assert set(load.where("memory")) <= set(nodes)
    change = since.gained()
    assert change["migrate_scanned"] == accounted(change)
    load.verify()


@pytest.mark.parametrize("kind", KINDS)
def test_while_pages_go_to_it(top, spawn, dimm, kind):
    """They end on the other node of the set."""
    new = [OTHER, dimm.node]
    cpuset, load, since = move_and_take(top, spawn, OLD, new, dimm, kind)

    check_end(cpuset, load, since, [OTHER])
    assert cpuset.mems() == [OTHER]


@pytest.mark.parametrize("kind", KINDS)
def test_while_pages_leave_it(top, spawn, dimm, kind):
    cpuset, load, since = move_and_take(top, spawn, [dimm.node], [0], dimm, kind)

    check_end(cpuset, load, since, [0])
    # It can be left once more when it is back.
    dimm.give()
    cpuset.set_mems([dimm.node])
    assert load.where("memory") == {dimm.node: PAGES}
    load.verify()


@pytest.mark.v2only("a v1 cpuset without nodes sends its tasks to its parent")
def test_the_only_node_of_a_cpuset(top, spawn, dimm):
    """Then it has its parent's nodes, and the memory has to be on one of them."""
    cpuset, load, since = move_and_take(top, spawn, [0], [dimm.node], dimm, "anon")

    left = [node for node in machine.memory_nodes() if node != dimm.node]
    check_end(cpuset, load, since, left)
    assert cpuset.mems() == left


def test_while_the_job_is_held(top, spawn, dimm):
    cpuset = top.mkdir("a", mems=OLD)
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=OLD, stripe=16)
    since = Since(cpuset)
    cpuset.write("hold", "1")
    cpuset.set_mems([OTHER, dimm.node])
    dimm.take()
    cpuset.write("hold", "0")

    cpuset.wait_idle()
    assert load.where("memory") == {OTHER: PAGES}
    assert since.gained()["migrate_moved"] >= PAGES
    load.verify()


def hidden(charged, spawn, old, node):
    """A memfd on a node that nobody maps."""
    cpuset = charged("a", mems=old)
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind="memfd", nodes=node)
    load("hide", "memory")
    return cpuset, load


def check_hidden(cpuset, load, since, node):
    """It is on a node, but for what is too little to be looked for."""
    cpuset.wait_idle()
    load("show", "memory")
    load("touch", "memory")
    where = load.where("memory")
    assert all(each == node or where[each] < mib(1) for each in where), where
    change = since.gained()
    assert change["migrate_scanned"] == accounted(change)
    load.verify()


CHARGED = pytest.mark.v2only("memory is charged to cgroups of the same hierarchy")


@CHARGED
def test_while_cache_goes_to_it(charged, spawn, dimm):
    cpuset, load = hidden(charged, spawn, OLD, OLD[1])
    since = start_slowly(cpuset, [OTHER, dimm.node], RATE)
    wait_until(lambda: cached_on(cpuset, dimm.node) > mib(2), "some to arrive")
    take_on_the_way(cpuset, dimm, since)

    check_hidden(cpuset, load, since, OTHER)


@CHARGED
def test_while_cache_leaves_it(charged, spawn, dimm):
    cpuset, load = hidden(charged, spawn, [dimm.node], dimm.node)
    since = start_slowly(cpuset, [0], RATE)
    wait_until(lambda: cached_on(cpuset, 0) > mib(2), "some to leave")
    take_on_the_way(cpuset, dimm, since)

    check_hidden(cpuset, load, since, 0)


def test_exempt_memory_goes_too(top, spawn, dimm):
    """Who takes a node away needs the place."""
    cpuset = top.mkdir("a", mems=[0, dimm.node])
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, nodes=dimm.node)
    load("advise", "memory", "nomigrate")
    before = pages.frames(load.pid, address, PAGES)

    dimm.take()

    assert load.where("memory") == {0: PAGES}
    assert not set(before) & set(pages.frames(load.pid, address, PAGES))
    assert "nm" in pages.flags(load.pid, address + PAGE)
    load.verify()
