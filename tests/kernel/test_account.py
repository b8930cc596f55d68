# SPDX-License-Identifier: GPL-2.0
"""The account: every page that was looked at is in exactly one column."""

import pytest

from ktest import machine
from ktest.cpusets import Since, moved_by, sum_of
from ktest.machine import mib

STAT = """
    migrate_pending migrate_held migrate_total
    migrate_scanned migrate_moved migrate_moved_thp migrate_inplace migrate_gone
    migrate_split migrate_swapped migrate_left
    migrate_skip_vma migrate_skip_exempt migrate_skip_shared
    migrate_fail_nomem migrate_fail_pinned migrate_fail_busy migrate_fail_fs
    migrate_fail_nonlru migrate_fail_hugetlb
    migrate_usec migrate_chunk_max_usec
""".split()
EVENTS = "migrate_start migrate_done migrate_partial migrate_stopped".split()

PAGES = mib(8)


@pytest.mark.core
def test_keys(top):
    cpuset = top.mkdir("a", mems="0")
    assert list(cpuset.stat()) == STAT
    assert list(cpuset.events()) == EVENTS
    assert not any(cpuset.stat().values())


@pytest.mark.core
def test_root_has_none_of_the_files(root):
    for name in ("max", "hold", "stop", "settle", "events", "stat"):
        assert not root.has(name), name


@pytest.mark.core
@pytest.mark.parametrize("kind", ["anon", "shared", "memfd", "cow", "sysv"])
def test_every_page_moved_is_counted(top, spawn, kind):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind=kind, nodes=0)
    on_node = machine.mapped(load.pid)[0]

    change = moved_by(cpuset, "1")

    left = machine.mapped(load.pid).get(0, 0)
    assert load.where("memory") == {1: PAGES}
    assert change["migrate_total"] == 1
    assert change["migrate_moved"] >= PAGES
    # Shared pages of libraries may be dropped, or moved by nobody.
    assert abs(change["migrate_moved"] - (on_node - left)) <= mib(1)
    assert change["migrate_usec"] > 0
    assert cpuset.stat()["migrate_chunk_max_usec"] > 0


@pytest.mark.core
def test_shared_pages_are_counted_once(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind="shared", nodes=0)
    for _ in range(3):
        load.fork()("touch", "memory")

    change = moved_by(cpuset, "1")

    assert load.where("memory") == {1: PAGES}
    assert change["migrate_total"] == 4
    assert PAGES <= change["migrate_moved"] < 2 * PAGES


@pytest.mark.core
def test_pinned(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    load("pin", "memory", **{"from": 100, "count": 16})

    change = moved_by(cpuset, "1")

    assert change["migrate_fail_pinned"] == 16
    assert load.pages("memory")[100:116] == [0] * 16
    assert load.where("memory") == {0: 16, 1: PAGES - 16}
    assert (change["migrate_done"], change["migrate_partial"]) == (0, 1)
    load.verify()

    load("unpin")
    since = Since(cpuset)
    cpuset.write("settle", "1")
    assert load.where("memory") == {1: PAGES}
    assert since.gained()["migrate_done"] == 1
    load.verify()


def test_huge_pages_stay_whole(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind="thp", nodes=0)

    change = moved_by(cpuset, "1")

    assert load.where("memory") == {1: PAGES}
    assert change["migrate_moved_thp"] == PAGES
    assert change["migrate_split"] == 0
    load.verify()


@pytest.fixture
def huge_pools():
    """Eight 2 MiB pages on each of the nodes 0 and 1."""
    files = [
        f"{machine.NODE}/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
        for node in (0, 1)
    ]
    for file in files:
        machine.write(file, "8")
    if any(int(machine.read(file)) < 8 for file in files):
        pytest.skip("no room for eight 2 MiB pages on a node")
    yield
    for file in files:
        machine.write(file, "0")


def test_hugetlb(top, spawn, huge_pools):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", mib(8), kind="hugetlb", nodes=0)

    change = moved_by(cpuset, "1")

    assert load.where("memory") == {1: mib(8)}
    assert change["migrate_fail_hugetlb"] == 0
    load.verify()


@pytest.mark.core
def test_memory_that_cannot_move_is_skipped(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", 16, kind="secret", nodes=0)

    change = moved_by(cpuset, "1")

    assert change["migrate_skip_vma"] >= 16
    assert change["migrate_partial"] == 0
    load.verify()


@pytest.mark.core
def test_adds_up_under_load(top, spawn):
    """And to no less than there is all the time."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("private", PAGES, nodes=(0, 1))
    load.alloc("shared", PAGES, kind="shared", nodes=(0, 1))
    load.fork()
    load("work", writers=2, verifiers=1, rest=200)
    load("churn", rest=500)

    for mems in ("2-3", "1-2", "0-3", "1", "0-1"):
        # What comes and goes may count or not, and so may children.
        assert moved_by(cpuset, mems)["migrate_scanned"] >= 2 * PAGES

    load.calm()
    load.rest()
    load.verify()


@pytest.mark.core
def test_sums_over_the_subtree(top, spawn):
    parent = top.mkdir("p", mems="0-3")
    children = [parent.mkdir(name, mems="0") for name in "xy"]
    for child in children:
        spawn(child).alloc("memory", mib(1), nodes=0)

    above, below = Since(parent), [Since(child) for child in children]

    for child in children:
        child.set_mems("1")

    total, parts = above.gained(), [each.gained() for each in below]
    assert all(part["migrate_moved"] >= mib(1) for part in parts)
    for key in ("migrate_total", "migrate_scanned", "migrate_moved", *EVENTS):
        assert total[key] == sum(part[key] for part in parts), key
    assert total["migrate_start"] == 2


@pytest.mark.core
@pytest.mark.v2only("cpuset.mems.events.local")
def test_local_events(top):
    parent = top.mkdir("p", mems="0-3")
    child = parent.mkdir("c", mems="0")
    before = parent.read("events.local"), child.read("events.local")

    child.set_mems("1")

    assert list(parent.events()) == EVENTS
    assert parent.read("events.local") == before[0]
    assert child.read("events.local") != before[1]
    assert child.read("events.local") == child.read("events")


@pytest.mark.core
def test_no_page_moves_twice(top, spawn):
    """0-1 -> 1-2 with everything shared: each page is moved, and counted, once."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind="shared", nodes=(0, 1))
    child = load.fork()
    child("touch", "memory")

    change = moved_by(cpuset, "1-2")

    assert load.where("memory") == {1: PAGES // 2, 2: PAGES // 2}
    elsewhere = sum(sum(machine.mapped(each.pid).values()) for each in (load, child))
    assert change["migrate_moved"] <= elsewhere - PAGES
    assert sum_of(change, r"migrate_fail_\w+") == 0


@pytest.mark.core
def test_huge_page_under_two_policies_is_counted_once(top, spawn):
    """The walk stops within it, and goes on in what has moved already."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", mib(2), kind="thp", nodes=0)
    moved_by(cpuset, "0-1,3")
    without = moved_by(cpuset, "0-1")["migrate_scanned"]
    load("mbind", "memory", mode="bind", nodes="0", count=mib(1))

    change = moved_by(cpuset, "2-3")

    assert load.where("memory") == {2: mib(2)}
    assert change["migrate_moved_thp"] == mib(2)
    assert abs(change["migrate_scanned"] - without) < mib(1) / 4
    load.verify()
