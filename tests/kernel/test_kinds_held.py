# SPDX-License-Identifier: GPL-2.0
"""Memory that somebody holds on to: locked, pinned, watched, or the kernel's own."""

import pytest

from ktest import machine, pages
from ktest.cpusets import moved_by, reasons
from ktest.load import Memory, numbered
from ktest.machine import mib

PAGES = mib(4)
HUGE = mib(2)


@pytest.mark.core
@pytest.mark.parametrize(
    "kind, onfault", [("anon", 0), ("anon", 1), ("thp", 0), ("shared", 0)]
)
def test_locked(top, spawn, kind, onfault):
    """Locked memory is locked to memory, not to a node."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, kind=kind, nodes=0)
    load("lock", "memory", onfault=onfault)
    load("work", writers=1, verifiers=1, rest=500)

    change = moved_by(cpuset, "1")

    load.rest()
    assert load.where("memory") == {1: PAGES}
    assert change["migrate_moved"] >= PAGES
    assert change["migrate_moved_thp"] == (PAGES if kind == "thp" else 0)
    assert pages.smaps(load.pid, address, "Locked") == PAGES
    # Whoever moves a huge page leaves it to reclaim to mark it as locked again.
    if kind != "thp":
        assert pages.pages_with(load.pid, address, PAGES, pages.MLOCKED) == PAGES
    load.verify()
    load("unlock", "memory")
    assert pages.smaps(load.pid, address, "Locked") == 0


def test_locked_halves_of_huge_pages(top, spawn):
    """A huge page of which a half is locked has small mappings, and stays whole."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind="thp", nodes=0)
    load("lock", "memory", count=HUGE // 2)

    change = moved_by(cpuset, "1")

    assert load.where("memory") == {1: PAGES}
    assert change["migrate_split"] == 0
    load.verify()


@pytest.mark.parametrize("kind", ["shared", "thp"])
def test_pinned(top, spawn, kind):
    """A huge page is pinned as a whole."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind=kind, nodes=0)
    load("pin", "memory", **{"from": HUGE + 100, "count": 16})
    stays = HUGE if kind == "thp" else 16

    change = moved_by(cpuset, "1")

    assert load.where("memory") == {0: stays, 1: PAGES - stays}
    assert change["migrate_fail_pinned"] == stays
    assert (change["migrate_done"], change["migrate_partial"]) == (0, 1)
    load.verify()

    load("unpin")
    change = moved_by(cpuset)
    assert load.where("memory") == {1: PAGES}
    assert stays <= change["migrate_moved"]
    assert change["migrate_done"] == 1
    load.verify()


def test_pages_of_the_kernel(top, spawn):
    """Mapped by the process, owned by an io_uring."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    ring = load("map-ring")
    address, count = int(ring["addr"], 16), int(ring["pages"])
    memory, text = Memory(load), numbered(count)
    memory.write(address, text)

    change = moved_by(cpuset, "1")

    assert reasons(change)["fail_nonlru"] == count
    assert change["migrate_partial"] == 1
    assert memory.read(address, len(text)) == text


def protected(load, address):
    """Entries that userfaultfd write-protects, of pages that are there or not."""
    return pages.entries_with(load.pid, address, PAGES, pages.UFFD_WP)


@pytest.mark.core
@pytest.mark.debug
@pytest.mark.parametrize("kind", ["anon", "thp"])
def test_write_protected_by_userfaultfd(top, spawn, kind):
    """Contents and protection come along; nobody sees a fault that is no write."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, kind=kind, nodes=0)
    load("uffd", "memory", protect=1, count=HUGE)
    load("work", verifiers=1, rest=500)

    change = moved_by(cpuset, "1")

    load.rest()
    assert load.where("memory") == {1: PAGES}
    assert change["migrate_moved"] >= PAGES
    assert change["migrate_split"] == 0
    assert protected(load, address) == HUGE
    assert load("uffd-faults") == {"protected": "0", "missing": "0"}
    load.verify()

    load("rewrite", "memory", count=16)
    assert load("uffd-faults") == {"protected": "16", "missing": "0"}
    assert protected(load, address) == HUGE - 16
    load.verify()


@pytest.mark.core
def test_write_protected_before_it_is_there(top, spawn):
    """Entries of shared memory that say no more than that stay as they are."""
    half = PAGES // 2
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES, kind="shared")
    load.fill("memory", 0, count=half)
    load("uffd", "memory", protect=1)
    load("work", verifiers=1, rest=500)

    change = moved_by(cpuset, "1")

    load.rest()
    assert load.where("memory") == {1: half, "absent": half}
    assert change["migrate_moved"] >= half
    assert protected(load, address) == PAGES
    assert load("uffd-faults") == {"protected": "0", "missing": "0"}
    load.verify()

    load("rewrite", "memory", count=16)
    assert load("uffd-faults") == {"protected": "16", "missing": "0"}
    load("rewrite", "memory", **{"from": half, "count": 16})
    assert load("uffd-faults") == {"protected": "16", "missing": "16"}
    assert protected(load, address) == PAGES - 32
    assert load.where("memory") == {1: half + 16, "absent": half - 16}
    load.verify()


@pytest.mark.parametrize("kind", ["anon", "shared"])
def test_missing_pages_are_reported_once(top, spawn, kind):
    """To userfaultfd a page that moves is never missing."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind=kind)
    load.fill("memory", 0, count=PAGES // 2)
    load("uffd", "memory")
    load("work", writers=2, verifiers=1, rest=200)

    for mems in ("1", "2-3", "0", "1"):
        moved_by(cpuset, mems)

    load.rest()
    assert load("uffd-faults") == {"protected": "0", "missing": "0"}
    assert load.where("memory") == {1: PAGES // 2, "absent": PAGES // 2}
    load("rewrite", "memory", **{"from": PAGES // 2, "count": 1})
    assert load("uffd-faults")["missing"] == "1"
    load.verify()


def test_secret_memory_stays(top, spawn):
    """It is not in the kernel's map of memory, so it cannot be copied."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("secret", 64, kind="secret", nodes=0)
    load.alloc("memory", PAGES, nodes=0)
    load("work", writers=1, verifiers=1, rest=500)

    change = moved_by(cpuset, "1")

    load.rest()
    assert load.where("memory") == {1: PAGES}
    # The kernel does not tell on which node secrets are, so they are counted.
    assert 64 <= change["migrate_skip_vma"] < 64 + machine.mib(1)
    assert change["migrate_done"] == 1
    load.verify()
