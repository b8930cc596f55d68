# SPDX-License-Identifier: GPL-2.0
"""Memory that is swapped out, in the swap cache, or compressed."""

import contextlib
import os

import pytest

from ktest import machine, pages
from ktest.cpusets import moved_by, wait_until
from ktest.disks import swap_on
from ktest.load import Memory, numbered
from ktest.machine import mib
from ktest.marks import later

# More than all else that a workload has mapped.
PAGES = mib(8)
KINDS = ["anon", "shared"]
SWAP_BYTES = 48 << 20
ZSWAP = "/sys/module/zswap/parameters/enabled"
STORED = "/sys/kernel/debug/zswap/stored_pages"


@pytest.fixture
def swap(disk):
    with swap_on(f"{disk}/cpuset-migrate-swap-{os.getpid()}", SWAP_BYTES) as path:
        yield path


@contextlib.contextmanager
def one_page_at_a_time():
    """A fault brings in the page it is about, and none beside it."""
    file = "/proc/sys/vm/page-cluster"
    before = machine.read(file)
    machine.write(file, "0")
    try:
        yield
    finally:
        machine.write(file, before)


def swapped(load, address):
    """Of shared memory the entries do not say it."""
    return pages.smaps(load.pid, address, "Swap")


def swap_out(load, address, name="memory", count=PAGES):
    """Out of the address space. Pages may wait in the swap cache to be freed."""

    def gone():
        # Pages in the LRU batch of a CPU stay; this empties those of all CPUs.
        machine.write("/proc/sys/vm/drop_caches", "1")
        load("advise", name, "pageout", count=count)
        return swapped(load, address) == count

    wait_until(gone, "memory to be swapped out")
    wait_until(lambda: not machine.vmstat("nr_writeback"), "it to be written")
    machine.drop_caches()


@pytest.mark.parametrize("kind", KINDS)
def test_swapped_out(top, spawn, swap, kind):
    """Stays in swap, is not counted, and comes back on the new nodes."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, kind=kind, nodes=0)
    swap_out(load, address)

    change = moved_by(cpuset, "1")

    assert swapped(load, address) == PAGES
    assert change["migrate_scanned"] < PAGES
    assert change["migrate_swapped"] == 0
    assert change["migrate_done"] == 1
    load.verify()
    # Pages that were waiting in the swap cache come as they are.
    moved_by(cpuset)
    assert load.where("memory") == {1: PAGES}


@pytest.mark.core
@pytest.mark.debug
def test_in_the_swap_cache(top, spawn, swap):
    """Brought in by a read: memory and swap have the same, and go on to."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", mib(2), nodes=0)
    swap_out(load, address, count=mib(2))
    load.verify()
    assert load.where("memory") == {0: mib(2)}
    assert machine.vmstat("nr_swapcached") >= mib(2)

    change = moved_by(cpuset, "1")

    assert load.where("memory") == {1: mib(2)}
    assert change["migrate_moved"] >= mib(2)
    assert machine.vmstat("nr_swapcached") >= mib(2)
    load.verify()
    load("rewrite", "memory", count=mib(1))
    swap_out(load, address, count=mib(2))
    load.verify()


def test_read_ahead_from_swap(top, spawn, swap):
    """Pages in the swap cache that nobody maps stay; a settle brings them in."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", mib(2), nodes=0)
    swap_out(load, address, count=mib(2))
    load("touch", "memory", count=8)

    moved_by(cpuset, "1")

    assert set(load.where("memory", count=8)) == {1}
    load.verify()
    moved_by(cpuset)
    assert load.where("memory") == {1: mib(2)}
    load.verify()


def test_halves(top, spawn, swap):
    """Of each second page the memory moves, of the others only what will be."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, nodes=(0, 1))
    with one_page_at_a_time():
        swap_out(load, address)
        for page in range(0, PAGES, 64):
            load("rewrite", "memory", **{"from": page, "count": 32})
        here = load.where("memory")
        assert here["absent"] == PAGES // 2

        change = moved_by(cpuset, "2-3")

        there = load.where("memory")
        assert there == {
            {0: 2, 1: 3}.get(node, node): count for node, count in here.items()
        }
        assert change["migrate_moved"] >= PAGES // 2
        load.verify()
        # What waited in the swap cache comes as it was.
        moved_by(cpuset)
        assert set(load.where("memory")) <= {2, 3}


def test_swapped_while_it_moves(top, spawn, swap):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", mib(4), nodes=(0, 1))
    load.alloc("shared", mib(2), kind="shared", nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=500)
    load("churn", threads=2, ops="pageout,fork", rest=200)

    for mems in ("2-3", "1-2", "0-3", "3", "0-1"):
        load("advise", "memory", "pageout")
        load("advise", "shared", "pageout")
        moved_by(cpuset, mems)

    load.calm()
    load.rest()
    load.verify()
    moved_by(cpuset)
    assert set(load.where("memory")) <= {0, 1, "absent"}


@pytest.fixture
def zswap(swap):
    if not os.path.exists(ZSWAP):
        pytest.skip("the kernel has no zswap")
    before = machine.read(ZSWAP)
    machine.write(ZSWAP, "Y")
    if not os.path.exists(STORED):
        pytest.skip("debugfs is not mounted")
    yield
    machine.write(ZSWAP, before)


@pytest.mark.parametrize("kind", ["anon", *later("shared")])
def test_compressed(top, spawn, zswap, kind):
    """As on a disk; the compressed copy stays, the page comes back on the new node."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", mib(2), kind=kind, nodes=0)
    # The pattern does not compress.
    memory, text = Memory(load), numbered(mib(2))
    memory.write(address, text)
    before = int(machine.read(STORED))
    swap_out(load, address, count=mib(2))
    assert int(machine.read(STORED)) - before >= mib(2)

    change = moved_by(cpuset, "1")

    assert swapped(load, address) == mib(2)
    assert change["migrate_done"] == 1
    load("touch", "memory", count=mib(1))
    assert load.where("memory", count=mib(1)) == {1: mib(1)}
    moved_by(cpuset, "2")
    assert load.where("memory", count=mib(1)) == {2: mib(1)}
    assert memory.read(address, len(text)) == text
