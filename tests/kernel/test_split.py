# SPDX-License-Identifier: GPL-2.0
"""Huge pages that go in pieces: none can be had, or they have holes."""

import mmap
import os
import threading

from ktest import calls
from ktest.cpusets import moved_by
from ktest.machine import PAGE, mib
from ktest.pieces import HUGE_PAGES, free_huge, in_pieces
from ktest.process import apart

SIZE = mib(8)
TO = 1
LARGE = mib(32)


def test_no_huge_page_to_be_had(top, spawn):
    """But single pages, and compaction makes hardly more of them."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    with in_pieces(spawn, TO, leave=mib(24)):
        load.alloc("memory", SIZE, kind="thp", nodes=0)
        load("work", writers=1, verifiers=1, rest=500)
        assert not free_huge(TO)

        change = moved_by(cpuset, str(TO))

        load.rest()
        assert load.where("memory") == {TO: SIZE}
        # Compaction of what others have there may find one or the other after all.
        split = change["migrate_split"] * HUGE_PAGES
        assert split >= SIZE // 2
        assert split + change["migrate_moved_thp"] == SIZE
        assert change["migrate_fail_nomem"] == 0
        assert change["migrate_done"] == 1
        load.verify()


def maps_all_the_time(stop):
    """Waits for mmap_lock, over and over, so that others do not keep it for long."""
    while not stop.is_set():
        mmap.mmap(-1, PAGE).close()


def change_with_holes(cpuset):
    """Nodes of the pages that are left of huge ones, after an overlapping change."""
    cpuset.attach(os.getpid())
    memory = calls.Mapping(LARGE, advice=calls.HUGEPAGE)
    assert set(memory.nodes()) == {0}
    cpuset.set_mems("0-1")
    kept = [page for page in range(LARGE) if page % 8 not in (2, 3, 4)]
    for page in sorted(set(range(LARGE)) - set(kept)):
        memory.memory.madvise(mmap.MADV_DONTNEED, page * PAGE, PAGE)
    before = [memory.page(page) for page in kept]
    stop = threading.Event()
    thread = threading.Thread(target=maps_all_the_time, args=(stop,))
    thread.start()
    cpuset.set_mems("1-2")
    stop.set()
    thread.join()
    nodes = [node for node in memory.nodes() if node >= 0]
    assert [memory.page(page) for page in kept] == before
    return nodes


def test_with_holes_where_nodes_overlap(top):
    """A piece that has gone from 0 to 1 looks like one that has to go on to 2."""
    cpuset = top.mkdir("a", mems="0")

    nodes = apart(change_with_holes, cpuset)

    # khugepaged may fill one or the other meanwhile.
    assert len(nodes) >= LARGE * 5 // 8
    assert set(nodes) == {1}, {node: nodes.count(node) for node in set(nodes)}
