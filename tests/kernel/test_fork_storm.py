# SPDX-License-Identifier: GPL-2.0
"""Forks at every moment of a change: between the mask, the policies, the pages."""

import pytest

from ktest import machine
from ktest.machine import mib, parse_list
from ktest.timing import Background

PAGES = mib(2)
TURNS = ["2-3", "1-2", "0-1"] * 3
CHILDREN = 32


def check(loads, nodes, bound):
    """All are on these nodes, and what is bound on one of them."""
    for each in loads:
        assert machine.mems_allowed(each.pid) == nodes
        reply = each("policy", "bound")
        assert (reply["mode"], parse_list(reply["nodes"])) == ("bind", [bound])
        assert each.where("bound") == {bound: PAGES}
        assert set(each.where("memory")) <= set(nodes)
        each.verify()


@pytest.mark.core
def test_children_are_where_their_parent_is(top, spawn):
    """Nodes, policies and pages."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=(0, 1))
    load.alloc("bound", PAGES)
    load("mbind", "bound", mode="bind", nodes="1")
    load("rewrite", "bound")

    def change():
        for mems in TURNS:
            cpuset.set_mems(mems)

    changes = Background(change)
    children = []
    while changes.running and len(children) < CHILDREN:
        children.append(load.fork())
        # A page of its own.
        children[-1]("rewrite", "memory", count=1)
    changes.join()
    cpuset.wait_idle()

    assert len(children) >= 4
    # The next change binds all anew, also what the storm had left behind.
    check((load, *children), [0, 1], bound=1)
    cpuset.set_mems("2-3")
    cpuset.wait_idle()
    check((load, *children), [2, 3], bound=3)
