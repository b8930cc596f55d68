# SPDX-License-Identifier: GPL-2.0
"""The policy of shared memory belongs to all who map it, in whatever cpuset."""

import pytest

from ktest.cpusets import moved_by
from ktest.machine import mib, parse_list

PAGES = mib(2)
HALF = PAGES // 2

pytestmark = pytest.mark.core


def policy(load):
    reply = load("policy", "memory")
    return reply["mode"], parse_list(reply["nodes"])


@pytest.fixture(params=["shared", "memfd", "sysv"])
def pair(request, top, spawn):
    """Who sets the policy, in a cpuset of all nodes, and who only maps the memory."""
    setter = spawn(top.mkdir("a", mems="0-3"))
    cpuset = top.mkdir("b", mems="0-1")
    setter.alloc("memory", PAGES, kind=request.param)
    mapper = setter.fork()
    cpuset.attach(mapper)
    return setter, mapper, cpuset


def test_bound(pair):
    """Its pages move, inside the nodes of who changes; the policy stays what it is."""
    setter, mapper, cpuset = pair
    setter("mbind", "memory", mode="bind", nodes="1")
    setter("rewrite", "memory", count=HALF)
    mapper("touch", "memory", count=HALF)
    assert mapper.where("memory", count=HALF) == {1: HALF}
    assert policy(mapper) == ("bind", [1])

    change = moved_by(cpuset, "2-3")

    assert change["migrate_moved"] >= HALF
    assert mapper.where("memory", count=HALF) == {3: HALF}
    assert policy(setter) == policy(mapper) == ("bind", [1])
    # Who may have the node of the policy still gets its pages there.
    setter("rewrite", "memory", **{"from": HALF, "count": HALF // 2})
    assert setter.where("memory", **{"from": HALF, "count": HALF // 2}) == {
        1: HALF // 2
    }
    # Who may not gets them where it may have them.
    last = {"from": HALF + HALF // 2}
    mapper("rewrite", "memory", **last)
    assert set(mapper.where("memory", **last)) <= {2, 3}
    for each in (setter, mapper):
        each.verify()


def test_interleaved(pair):
    """Pages keep their relative place."""
    setter, mapper, cpuset = pair
    setter("mbind", "memory", mode="interleave", nodes="0-1")
    setter("rewrite", "memory")
    mapper("touch", "memory")
    before = mapper.pages("memory")
    assert set(before) == {0, 1}

    moved_by(cpuset, "2-3")

    assert mapper.pages("memory") == [node + 2 for node in before]
    assert policy(setter) == policy(mapper) == ("interleave", [0, 1])
    for each in (setter, mapper):
        each.verify()
