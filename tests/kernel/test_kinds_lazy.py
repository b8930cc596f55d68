# SPDX-License-Identifier: GPL-2.0
"""Memory that is not there, or need not be: zero pages, MADV_FREE, sparse heaps."""

import pytest

from ktest import machine, pages
from ktest.cpusets import moved_by, wait_until
from ktest.machine import mib

# More than all else that a workload has mapped.
PAGES = mib(8)


@pytest.mark.parametrize("kind", ["anon", "thp"])
def test_zero_pages(top, spawn, kind):
    """All processes have the one zero page: nobody's to move or to count."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, kind=kind)
    load("touch", "memory")
    assert pages.entries_with(load.pid, address, PAGES, pages.PRESENT) == PAGES
    zeros = set(pages.frames(load.pid, address, PAGES))
    assert len(zeros) == (1 if kind == "anon" else mib(2))

    change = moved_by(cpuset, "1")

    assert change["migrate_scanned"] < PAGES
    assert change["migrate_done"] == 1
    assert set(pages.frames(load.pid, address, PAGES)) == zeros
    load("rewrite", "memory")
    assert load.where("memory") == {1: PAGES}
    load.verify()


def test_sparse_reservation(top, spawn):
    """64 GiB of addresses with a page here and there."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    far = mib(64 << 10)
    load.alloc("heap", far, kind="noreserve")
    places = range(0, far, far // 64)
    for number, page in enumerate(places):
        load.fill("heap", number % 2, **{"from": page, "count": 8})

    change = moved_by(cpuset, "2-3")

    for number, page in enumerate(places):
        where = load.where("heap", **{"from": page, "count": 8})
        assert where == {2 + number % 2: 8}
    assert 64 * 8 <= change["migrate_moved"] < 64 * 8 + mib(8)


@pytest.mark.parametrize("kind", ["anon", "thp"])
def test_memory_that_may_be_dropped(top, spawn, kind):
    """MADV_FREE: what may be dropped still may, what was written since may not."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, kind=kind, nodes=0)
    load("advise", "memory", "free")
    load("rewrite", "memory", count=PAGES // 2)

    change = moved_by(cpuset, "1")

    where = load.where("memory")
    assert 0 not in where
    assert where[1] >= PAGES // 2
    assert change["migrate_done"] == 1
    # Nobody was short of memory, so nothing was dropped.
    load.verify()
    dirty = load.where("memory", count=PAGES // 2)
    assert dirty == {1: PAGES // 2}

    # Empties the lists of CPUs, from which nothing is dropped.
    machine.drop_caches()

    def rest_is_dropped():
        load("advise", "memory", "pageout", **{"from": PAGES // 2})
        present = pages.entries_with(load.pid, address, PAGES, pages.PRESENT)
        return present == PAGES // 2

    wait_until(rest_is_dropped, "memory to be dropped")
    load("rewrite", "memory", **{"from": PAGES // 2})
    load.verify()
