# SPDX-License-Identifier: GPL-2.0
"""Memory policies of a process follow its cpuset, and pages follow the policies."""

import pytest

from ktest import machine
from ktest.cpusets import Since, moved_by
from ktest.machine import mib, parse_list

pytestmark = pytest.mark.core

PAGES = mib(2)


def policy(load, name):
    reply = load("policy", name)
    return reply["mode"], parse_list(reply["nodes"])


def bound(top, spawn, mode, nodes, mems="0-1", fill=None, **keys):
    """A region with a policy; its pages lie where fill says, or by the policy."""
    cpuset = top.mkdir("a", mems=mems)
    load = spawn(cpuset)
    address = load.alloc("memory", PAGES)
    if fill is not None:
        load.fill("memory", fill)
    load("mbind", "memory", mode=mode, nodes=nodes, **keys)
    if fill is None:
        load("rewrite", "memory")
    return cpuset, load, address


@pytest.mark.parametrize("node", [0, 1])
def test_policy_is_rebound(top, spawn, node):
    cpuset, load, _ = bound(top, spawn, "bind", node)
    assert load.where("memory") == {node: PAGES}

    cpuset.set_mems("2-3")

    assert policy(load, "memory") == ("bind", [node + 2])
    assert load.where("memory") == {node + 2: PAGES}
    load.verify()


@pytest.mark.parametrize("mode", ["preferred", "preferred-many"])
def test_preference_is_kept(top, spawn, mode):
    """The kernel remembers what was preferred; it restricts no page."""
    cpuset, load, _ = bound(top, spawn, mode, 1)
    assert load.where("memory") == {1: PAGES}

    cpuset.set_mems("2-3")

    assert policy(load, "memory") == (mode, [1])
    assert load.where("memory") == {3: PAGES}
    load.verify()


def test_policy_of_some_pages_only(top, spawn):
    """Each mapping by its own policy, the rest by relative place."""
    cpuset, load, _ = bound(top, spawn, "bind", 1, fill=1, count=PAGES // 2)

    cpuset.set_mems("0,2")

    assert load.where("memory", count=PAGES // 2) == {2: PAGES // 2}
    assert policy(load, "memory") == ("bind", [2])
    load.verify()


def test_policy_is_rebound_when_held(top, spawn):
    cpuset, load, _ = bound(top, spawn, "bind", 0)
    cpuset.write("hold", "1")

    cpuset.set_mems("2-3")

    assert policy(load, "memory") == ("bind", [2])
    assert load.where("memory") == {0: PAGES}
    load.alloc("fresh", 16)
    load("mbind", "fresh", mode="bind", nodes="2")
    load("rewrite", "fresh")
    assert load.where("fresh") == {2: 16}
    cpuset.write("hold", "0")
    cpuset.wait_idle()
    assert load.where("memory") == {2: PAGES}
    load.verify()


def test_child_inherits_the_rebound_policy(top, spawn):
    cpuset, load, _ = bound(top, spawn, "bind", 1)
    cpuset.set_mems("2-3")
    child = load.fork()
    assert policy(child, "memory") == ("bind", [3])
    cpuset.set_mems("0-1")
    assert policy(child, "memory") == policy(load, "memory") == ("bind", [1])
    assert load.where("memory") == {1: PAGES}


def test_static_policy_is_not_remapped(top, spawn):
    """Its own node is in the policy, the mapped one is not: the page stays."""
    cpuset, load, _ = bound(top, spawn, "bind", 1, flag="static")
    since = Since(cpuset)

    cpuset.set_mems("1-2")

    assert policy(load, "memory") == ("bind", [1])
    assert load.where("memory") == {1: PAGES}
    assert since.gained()["migrate_inplace"] >= PAGES
    load.verify()


FULL_TARGET = [
    pytest.param("0", {}, "1-2", id="bind"),
    pytest.param("0-1", {"flag": "static"}, "1-2", id="static", marks=pytest.mark.long),
    pytest.param("0-1", {"flag": "static"}, "1", id="alone", marks=pytest.mark.long),
]


@pytest.mark.parametrize("nodes, keys, mems", FULL_TARGET)
def test_bound_to_a_full_node(top, spawn, fill_node, nodes, keys, mems):
    """What has no room on the node of its policy stays, though others have room."""
    size = mib(24)
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", size, nodes=0)
    load("mbind", "memory", mode="bind", nodes=nodes, **keys)
    filler = fill_node(1, mib(8))

    change = moved_by(cpuset, mems)

    # A static one is said to be what it was set to.
    assert policy(load, "memory") == ("bind", parse_list(nodes) if keys else [1])
    where = load.where("memory")
    assert set(where) == {0, 1}
    assert machine.node_pages(2)["unused"] > machine.node_pages(2)["high"] + size
    if mems == "1":
        # What else the process has there may be among them.
        there = machine.mapped(load.pid)[0]
        assert where[0] <= change["migrate_fail_nomem"] <= there
    else:
        assert change["migrate_fail_nomem"] == where[0]
    assert (change["migrate_done"], change["migrate_partial"]) == (0, 1)
    load.verify()

    filler.close()
    moved_by(cpuset)
    assert load.where("memory") == {1: size}
    load.verify()


def test_interleave_keeps_its_order(top, spawn):
    cpuset, load, address = bound(top, spawn, "interleave", "0-1")
    before = load.pages("memory")
    assert set(before) == {0, 1}

    cpuset.set_mems("2-3")

    assert policy(load, "memory") == ("interleave", [2, 3])
    assert load.pages("memory") == [node + 2 for node in before]
    load.verify()


def test_new_pages_follow_the_rebound_policy(top, spawn):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES)
    load("mbind", "memory", mode="bind", nodes="1")
    load("rewrite", "memory", count=PAGES // 2)

    cpuset.set_mems("2-3")
    load("rewrite", "memory")

    assert load.where("memory") == {3: PAGES}


def test_policy_of_a_thread(top, spawn):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load("mempolicy", mode="bind", nodes="1")

    cpuset.set_mems("2-3")

    load.alloc("memory", 16)
    load("rewrite", "memory")
    assert load.where("memory") == {3: 16}
