# SPDX-License-Identifier: GPL-2.0
"""Interleaved memory is interleaved over the new nodes, page by page."""

import pytest

from ktest import machine
from ktest.cpusets import moved_by
from ktest.folios import folios_of
from ktest.load import nearly_full
from ktest.machine import PAGE, mib
from ktest.placement import EVEN, interleaved

PAGES = mib(8)
HUGE = mib(2)


def start(top, spawn, kind, mode, mems, **flags):
    """A process whose memory is interleaved over all nodes of its cpuset."""
    cpuset = top.mkdir("a", mems=mems)
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, kind=kind)
    load("mbind", "memory", mode=mode, nodes=mems, **flags)
    load("rewrite", "memory")
    load("work", writers=1, verifiers=1, rest=500)
    return cpuset, load, address


@pytest.mark.core
@pytest.mark.parametrize("kind, order", [("anon", 0), ("thp", 9)])
@pytest.mark.parametrize("mems, new", [("0-2", "0-1"), ("0-3", "1-3"), ("0-1", "2-3")])
def test_over_other_nodes(top, spawn, kind, order, mems, new):
    """Keeping their relative place, pages would end up unevenly."""
    cpuset, load, address = start(top, spawn, kind, "interleave", mems)

    change = moved_by(cpuset, new)

    load.rest()
    wanted = interleaved(address, PAGES, machine.parse_list(new), EVEN, order)
    assert load.pages("memory") == wanted
    assert change["migrate_done"] == 1 and change["migrate_split"] == 0
    load.verify()
    # Everything is where it belongs now; asked again, nothing moves.
    moved_by(cpuset)
    assert load.pages("memory") == wanted


@pytest.mark.parametrize("flag", ["static", "relative"])
def test_over_more_nodes(top, spawn, flag):
    """A policy that was given more nodes than there were has them all in the end."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES)
    load("mbind", "memory", mode="interleave", nodes="0-3", flag=flag)
    load("rewrite", "memory")
    assert set(load.where("memory")) == {0, 1}

    moved_by(cpuset, "0-3")

    assert load.pages("memory") == interleaved(address, PAGES, range(4), EVEN)
    load.verify()


@pytest.mark.parametrize("mems, new", [("0-2", "0-1"), ("0-1", "2-3"), ("0-3", "1-3")])
def test_weighted(top, spawn, weights, mems, new):
    cpuset, load, address = start(top, spawn, "anon", "weighted-interleave", mems)

    moved_by(cpuset, new)

    load.rest()
    nodes = machine.parse_list(new)
    assert load.pages("memory") == interleaved(address, PAGES, nodes, weights)
    load.verify()


@pytest.mark.parametrize("kind", ["anon", "thp"])
@pytest.mark.parametrize("begin", [1, 511, 700])
def test_as_it_would_be_allocated(top, spawn, kind, begin):
    """Also where a mapping begins in the middle of a huge page."""
    cpuset = top.mkdir("a", mems="0-2")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind=kind)
    load("mbind", "memory", mode="interleave", nodes="0-2", **{"from": begin})
    load("rewrite", "memory")
    before = load.pages("memory")

    moved_by(cpuset)
    assert load.pages("memory") == before

    moved_by(cpuset, "1-3")
    assert load.pages("memory")[begin:] == [node + 1 for node in before[begin:]]
    load.verify()


# Folios of these orders, and what gives them.
SIZES = {9: ["2048kB"], 4: ["64kB"], 0: []}
PART = 3 * HUGE


def elsewhere(load, address, nodes):
    """Pages that are not where one of their size has to be: [(order, index)]."""
    nodes = machine.parse_list(nodes)
    found = []
    for index, order in enumerate(SIZES):
        start = address + index * PART * PAGE
        wanted = interleaved(start, PART, nodes, EVEN, order)
        seen = load.pages("memory", count=PART, **{"from": index * PART})
        found += [(order, i) for i in range(PART) if seen[i] != wanted[i]]
    return found


@pytest.mark.parametrize("mems, new", [("0-2", "0-1"), ("0-3", "1-3")])
def test_folios_of_several_sizes(top, spawn, mems, new):
    """Each size takes turns of its own, in one mapping."""
    cpuset = top.mkdir("a", mems=mems)
    load = spawn(cpuset)
    address = load.alloc("memory", PART * len(SIZES), kind="thp")
    load("mbind", "memory", mode="interleave", nodes=mems)
    # Nothing is collapsed: huge pages are never wanted but while there is no other.
    with folios_of():
        for index, sizes in enumerate(SIZES.values()):
            with folios_of(*sizes):
                load("rewrite", "memory", count=PART, **{"from": index * PART})
        assert not elsewhere(load, address, mems)
        load("work", writers=1, verifiers=1, rest=500)

        change = moved_by(cpuset, new)

        load.rest()
        assert not elsewhere(load, address, new)
    assert change["migrate_done"] == 1 and change["migrate_split"] == 0
    load.verify()


def test_no_room_where_it_belongs(top, spawn):
    """It stays where it may be, and nobody calls that a failure."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES)
    load("mbind", "memory", mode="interleave", nodes="0-1", flag="static")
    load("rewrite", "memory")
    with nearly_full(spawn, 1, leave=mib(1)):
        change = moved_by(cpuset, "0-1")

    where = load.where("memory")
    assert set(where) <= {0, 1} and where[0] > PAGES // 2
    assert (change["migrate_done"], change["migrate_partial"]) == (1, 0)
    assert change["migrate_fail_nomem"] == 0
    load.verify()


@pytest.mark.parametrize("kind", ["shared", "cow"])
def test_memory_of_files_is_left_to_its_order(top, spawn, kind):
    """Their policy belongs to the file: pages keep their relative place."""
    cpuset = top.mkdir("a", mems="0-2")
    load = spawn(cpuset)
    load.alloc("memory", HUGE, kind=kind, nodes=(0, 1, 2))
    before = load.pages("memory")
    load("mbind", "memory", mode="interleave", nodes="0-2")

    moved_by(cpuset, "0-1")

    assert load.pages("memory") == [{2: 0}.get(node, node) for node in before]
    load.verify()
