# SPDX-License-Identifier: GPL-2.0
"""A node whose memory is taken away while pages move to it, and from it."""

import glob
import os

import pytest

from ktest import machine, pages
from ktest.cpusets import Since, accounted, wait_until
from ktest.machine import PAGE, mib

PAGES = mib(32)
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


def moving(top, spawn, source, target, kind):
    """A job on its way from a node to a node."""
    cpuset = top.mkdir("a", mems=[source])
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind=kind, nodes=source)
    load("work", writers=1, verifiers=1, rest=500)
    since = Since(cpuset)
    cpuset.set_mems(target, nonblock=True)
    wait_until(
        lambda: since.gained()["migrate_moved"] or not cpuset.stat()["migrate_pending"],
        "the move to be under way",
    )
    return cpuset, load, since


def check_end(cpuset, load, since, nodes):
    """Nothing is pending, nothing lost, and pages are on these nodes."""
    cpuset.wait_idle()
    load.rest()
    assert set(load.where("memory")) <= set(nodes)
    change = since.gained()
    assert change["migrate_scanned"] == accounted(change)
    load.verify()


@pytest.mark.parametrize("kind", ["anon", "thp", "shared"])
def test_while_pages_go_to_it(top, spawn, dimm, kind):
    """They end on the other node of the set."""
    cpuset, load, since = moving(top, spawn, 0, [1, dimm.node], kind)
    dimm.take()

    assert not has_memory(dimm.node)
    check_end(cpuset, load, since, [1])
    assert cpuset.mems() == [1]


@pytest.mark.parametrize("kind", ["anon", "thp", "shared"])
def test_while_pages_leave_it(top, spawn, dimm, kind):
    cpuset, load, since = moving(top, spawn, dimm.node, [0], kind)
    dimm.take()

    assert not has_memory(dimm.node)
    check_end(cpuset, load, since, [0])
    # It can be left once more when it is back.
    dimm.give()
    cpuset.set_mems([dimm.node])
    assert load.where("memory") == {dimm.node: PAGES}
    load.verify()


@pytest.mark.v2only("a v1 cpuset without nodes sends its tasks to its parent")
def test_the_only_node_of_a_cpuset(top, spawn, dimm):
    """Then it has its parent's nodes, and the memory has to be on one of them."""
    cpuset, load, since = moving(top, spawn, 0, [dimm.node], "anon")
    dimm.take()

    left = [node for node in machine.memory_nodes() if node != dimm.node]
    check_end(cpuset, load, since, left)
    assert cpuset.mems() == left


def test_while_the_job_is_held(top, spawn, dimm):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    since = Since(cpuset)
    cpuset.write("hold", "1")
    cpuset.set_mems([1, dimm.node])
    dimm.take()
    cpuset.write("hold", "0")

    cpuset.wait_idle()
    assert load.where("memory") == {1: PAGES}
    assert since.gained()["migrate_moved"] >= PAGES
    load.verify()


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
