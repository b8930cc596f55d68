# SPDX-License-Identifier: GPL-2.0
"""Memory that processes of different cpusets share, and only one of them changes."""

import pytest

from ktest.cpusets import moved_by, reasons
from ktest.machine import mib

PAGES = mib(2)
KINDS = pytest.mark.parametrize("kind", ["anon", "thp", "shared", "cow"])


@pytest.fixture
def share(top, spawn):
    """A process on node 0 and its child, in a cpuset of its own, with one memory."""

    def start(kind, others):
        first, second = top.mkdir("a", mems="0"), top.mkdir("b", mems="0")
        load = spawn(first)
        load.alloc("memory", PAGES, kind=kind, nodes=0)
        child = load.fork()
        second.attach(child)
        child("touch", "memory")
        assert child.where("memory") == {0: PAGES}
        second.set_mems(others)
        return first, load, second, child

    return start


def verify(*loads):
    for load in loads:
        load.verify()


@pytest.mark.core
@pytest.mark.debug
@KINDS
def test_stays_where_another_cpuset_wants_it(share, kind):
    """On the new node the other would have memory that it may not have."""
    first, load, second, child = share(kind, "0,2-3")

    change = moved_by(first, "1")

    assert load.where("memory") == child.where("memory") == {0: PAGES}
    assert reasons(change)["skip_shared"] >= PAGES
    assert change["migrate_done"] == 1
    verify(load, child)

    # Alone with it, the first takes it along.
    child.close()
    second.kill()
    change = moved_by(first)
    assert load.where("memory") == {1: PAGES}
    assert change["migrate_moved"] >= PAGES
    verify(load)


@KINDS
def test_goes_where_both_may_have_it(share, kind):
    first, load, _, child = share(kind, "0-3")

    change = moved_by(first, "1")

    assert load.where("memory") == child.where("memory") == {1: PAGES}
    assert change["migrate_moved"] >= PAGES
    verify(load, child)


def test_the_last_change_wins_where_neither_node_is_right(share):
    """Held where it is, it would be wrong for both."""
    first, load, second, child = share("shared", "0")
    second.write("hold", "1")
    second.set_mems("3")
    assert child.where("memory") == {0: PAGES}

    moved_by(first, "1")

    assert load.where("memory") == {1: PAGES}
    verify(load, child)


@pytest.mark.parametrize("kind", ["shared", "anon"])
def test_stays_where_one_keeps_it(share, kind):
    """By MADV_NOMIGRATE, whoever else wants it elsewhere."""
    first, load, second, child = share(kind, "0-1")
    child("advise", "memory", "nomigrate")

    change = moved_by(first, "1")

    assert load.where("memory") == child.where("memory") == {0: PAGES}
    assert reasons(change)["skip_exempt"] >= PAGES
    verify(load, child)


def test_halves_of_a_huge_page(share):
    """Each process maps another half of it, and none of its pages is mapped twice."""
    first, load, second, child = share("thp", "0,2-3")
    load("rewrite", "memory", count=PAGES // 2)
    child("rewrite", "memory", **{"from": PAGES // 2})

    moved_by(first, "1")

    assert child.where("memory", count=PAGES // 2) == {0: PAGES // 2}
    assert load.where("memory", count=PAGES // 2) == {1: PAGES // 2}
    verify(load, child)
