# SPDX-License-Identifier: GPL-2.0
"""Huge pages of the pool: who may take which, and the pool's counts afterwards."""

import time

import pytest

from ktest import machine
from ktest.cpusets import moved_by, reasons
from ktest.hugetlb import Pool, make_pool
from ktest.load import nearly_full
from ktest.machine import mib

HUGE = mib(2)
GIGANTIC = mib(1024)
# Nodes for pages of 1 GiB: the first is taken apart by what lies below 4 GiB.
FROM, TO = 1, 2
# The first MiB and the last of each of two of them.
ENDS = [
    {"from": at, "count": mib(1)}
    for page in (0, GIGANTIC)
    for at in (page, page + GIGANTIC - mib(1))
]


# The pool has to be there until the processes are gone: it comes first.


@pytest.mark.core
def test_to_free_pages_of_the_pool(pool, top, spawn):
    make_pool(pool, {0: 4, 1: 6})
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", 4 * HUGE, kind="hugetlb", nodes=0)
    load("work", writers=1, verifiers=1, rest=500)
    assert pool.counts(0, 1) == [(4, 0), (6, 6)]

    change = moved_by(cpuset, "1")

    load.rest()
    assert load.where("memory") == {1: 4 * HUGE}
    assert change["migrate_moved"] >= 4 * HUGE
    assert change["migrate_fail_hugetlb"] == 0
    # Pages changed places, the pool did not.
    assert pool.counts(0, 1) == [(4, 4), (6, 2)]
    assert pool.reserved() == 0
    load.verify()


def test_pool_follows_where_it_is_empty(pool, top, spawn):
    """A page is made on the target, and the old one leaves the pool."""
    make_pool(pool, {0: 4, 1: 1})
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", 4 * HUGE, kind="hugetlb", nodes=0)

    change = moved_by(cpuset, "1")

    assert load.where("memory") == {1: 4 * HUGE}
    assert change["migrate_fail_hugetlb"] == 0
    (total0, free0), (total1, free1) = pool.counts(0, 1)
    # As many as before in all, as many in use.
    assert total0 + total1 == 5
    assert (total0 - free0, total1 - free1) == (0, 4)
    assert (pool.surplus(0), pool.surplus(1)) == (0, 0)
    load.verify()
    load("free", "memory")
    assert free_everywhere(pool) == 5


def free_everywhere(pool):
    return sum(pool.free(node) for node in machine.memory_nodes())


def test_what_is_reserved_stays_reserved(pool, top, spawn):
    """Somebody has mapped what is free and may still touch all of it."""
    make_pool(pool, {0: 4, 1: 4})
    cpuset, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="1")
    load, owner = spawn(cpuset), spawn(other)
    load.alloc("memory", 4 * HUGE, kind="hugetlb", nodes=0)
    owner.alloc("promised", 4 * HUGE, kind="hugetlb")
    assert pool.reserved() == 4

    moved_by(cpuset, "1")

    assert load.where("memory") == {1: 4 * HUGE}
    assert pool.reserved() == 4
    # Without its page it would be killed.
    owner.fill("promised", 1)
    assert owner.where("promised") == {1: 4 * HUGE}
    assert pool.reserved() == 0
    for each in (load, owner):
        each.verify()


def pair(top, spawn):
    """A process on node 0 and its child, in a cpuset of its own, with four pages."""
    first, second = top.mkdir("a", mems="0"), top.mkdir("b", mems="0")
    load = spawn(first)
    load.alloc("memory", 4 * HUGE, kind="hugetlb-shared", nodes=0)
    child = load.fork()
    second.attach(child)
    child("touch", "memory")
    assert child.where("memory") == {0: 4 * HUGE}
    return first, load, second, child


def test_shared_by_two_cpusets(pool, top, spawn):
    """It goes where both may have it, not where one of them may not."""
    make_pool(pool, {0: 4, 1: 4})
    first, load, second, child = pair(top, spawn)

    change = moved_by(first, "1")

    assert load.where("memory") == child.where("memory") == {0: 4 * HUGE}
    assert change["migrate_skip_shared"] >= 4 * HUGE
    assert (change["migrate_done"], change["migrate_partial"]) == (1, 0)
    assert pool.counts(0, 1) == [(4, 0), (4, 4)]

    moved_by(second, "0-1")
    assert child.where("memory") == {0: 4 * HUGE}
    change = moved_by(first)
    assert load.where("memory") == child.where("memory") == {1: 4 * HUGE}
    assert change["migrate_moved"] >= 4 * HUGE
    assert pool.counts(0, 1) == [(4, 4), (4, 0)]
    assert pool.reserved() == 0
    for each in (load, child):
        each.verify()


def test_shared_while_both_write(pool, top, spawn):
    """Moved from either side, each page counted once by whoever moves it."""
    make_pool(pool, {0: 4, 1: 4})
    first, load, second, child = pair(top, spawn)
    second.set_mems("0-1")
    for each in (load, child):
        each("work", writers=1, verifiers=1, rest=500)

    for cpuset, mems, node in ((first, "1", 1), (second, "0", 1), (first, "0", 0)):
        moved_by(cpuset, mems)
        assert child.where("memory") == {node: 4 * HUGE}
        assert load.where("memory") == {node: 4 * HUGE}

    for each in (load, child):
        each.rest()
        each.verify()
    assert pool.counts(0, 1) == [(4, 0), (4, 4)]


def test_no_page_to_be_had(pool, top, spawn):
    """They stay whole where they are, for want of a huge page, and keep their pool."""
    count = 16
    make_pool(pool, {0: count})
    with nearly_full(spawn, 1, leave=mib(1)) as (filler,):
        cpuset = top.mkdir("a", mems="0")
        load = spawn(cpuset)
        load.alloc("memory", count * HUGE, kind="hugetlb", nodes=0)

        change = moved_by(cpuset, "1")

        # Reclaim on the node may have made room for a few.
        stayed = load.where("memory")[0]
        moved = count * HUGE - stayed
        assert stayed >= count * HUGE // 2
        assert reasons(change)["fail_hugetlb"] == stayed
        assert change["migrate_partial"] == 1
        assert pool.counts(0, 1) == [(stayed // HUGE, 0), (moved // HUGE, 0)]
        load.verify()
        filler.close()

        # What the node can spare now.
        moved_by(cpuset)
        assert load.where("memory") == {1: count * HUGE}
        assert pool.counts(0, 1) == [(0, 0), (count, 0)]
        load.verify()


@pytest.mark.parametrize("count", [1, 4])
def test_pinned(pool, top, spawn, count):
    make_pool(pool, {0: 4, 1: 4})
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", 4 * HUGE, kind="hugetlb", nodes=0)
    load("pin", "memory", **{"from": 0, "count": (count - 1) * HUGE + 1})

    change = moved_by(cpuset, "1")

    assert reasons(change)["fail_pinned"] == count * HUGE
    assert load.where("memory").get(0) == count * HUGE
    load("unpin")
    moved_by(cpuset)
    assert load.where("memory") == {1: 4 * HUGE}
    assert pool.counts(0, 1) == [(4, 4), (4, 0)]
    load.verify()


@pytest.fixture
def gigantic_pool():
    """Pages of 1 GiB; those there were before are there again afterwards."""
    pool = Pool(1048576)
    if not pool.exists():
        pytest.skip("the machine has no huge pages of 1 GiB")
    before = {node: pool.total(node) for node in (FROM, TO)}
    yield pool
    for node, count in before.items():
        pool.resize(node, count)


def test_gigantic(gigantic_pool, top, spawn):
    """A page of 1 GiB moves to a free one of the pool, whole."""
    pool = gigantic_pool
    machine.drop_caches()
    make_pool(pool, {FROM: 1, TO: 1})
    cpuset = top.mkdir("a", mems=str(FROM))
    load = spawn(cpuset)
    load.alloc("memory", GIGANTIC, kind="gigantic")
    load.fill("memory", FROM, count=mib(8))

    change = moved_by(cpuset, str(TO))

    assert load.where("memory", count=mib(8)) == {TO: mib(8)}
    assert change["migrate_moved"] >= GIGANTIC
    assert pool.counts(FROM, TO) == [(1, 1), (1, 0)]
    load.verify()


def two_gigantic(top, spawn):
    """A process with two pages of 1 GiB, written at both ends of each."""
    cpuset = top.mkdir("a", mems=str(FROM))
    load = spawn(cpuset)
    load.alloc("memory", 2 * GIGANTIC, kind="gigantic")
    for end in ENDS:
        load.fill("memory", FROM, **end)
    return cpuset, load


def nodes_of_ends(load):
    """Where both pages are: the nodes of their first MiB, and of their last."""
    return [load.where("memory", **end) for end in ENDS]


@pytest.mark.long
def test_two_gigantic_and_one_place(gigantic_pool, top, spawn):
    """The first one that moves has it, and the other one is counted."""
    pool = gigantic_pool
    machine.drop_caches()
    make_pool(pool, {FROM: 2, TO: 1})
    cpuset, load = two_gigantic(top, spawn)

    change = moved_by(cpuset, str(TO))

    where = nodes_of_ends(load)
    assert where[0::2] == where[1::2]
    assert sorted(node for end in where[0::2] for node in end) == [FROM, TO]
    assert GIGANTIC <= change["migrate_moved"] < GIGANTIC + mib(24)
    assert reasons(change)["fail_hugetlb"] == GIGANTIC
    assert change["migrate_partial"] == 1
    assert pool.counts(FROM, TO) == [(2, 1), (1, 0)]
    load.verify()


@pytest.mark.long
def test_gigantic_under_a_limit(gigantic_pool, top, spawn):
    """They move whole, and are paid for afterwards: the second waits for that."""
    pool = gigantic_pool
    machine.drop_caches()
    make_pool(pool, {FROM: 2, TO: 2})
    cpuset, load = two_gigantic(top, spawn)
    cpuset.write("max", "256M")
    start = time.monotonic()

    change = moved_by(cpuset, str(TO))

    # 1 GiB at 256 MiB a second, of which a tenth of a second's worth is free.
    assert time.monotonic() - start > 3.5
    assert nodes_of_ends(load) == [{TO: mib(1)}] * len(ENDS)
    assert change["migrate_moved"] >= 2 * GIGANTIC
    assert change["migrate_done"] == 1
    assert pool.counts(FROM, TO) == [(2, 2), (2, 0)]
    load.verify()


def test_gigantic_without_a_place(gigantic_pool, top, spawn):
    """None is made: it would take the target's memory apart."""
    pool = gigantic_pool
    machine.drop_caches()
    make_pool(pool, {FROM: 1, TO: 0})
    cpuset = top.mkdir("a", mems=str(FROM))
    load = spawn(cpuset)
    load.alloc("memory", GIGANTIC, kind="gigantic")
    load.fill("memory", FROM, count=mib(8))

    change = moved_by(cpuset, str(TO))

    assert load.where("memory", count=mib(8)) == {FROM: mib(8)}
    assert reasons(change)["fail_hugetlb"] == GIGANTIC
    assert pool.counts(FROM, TO) == [(1, 0), (0, 0)]
    load.verify()
