# SPDX-License-Identifier: GPL-2.0
"""Defects B, C, C', K, L: memory and masks that stay behind for ever."""

import pytest

from ktest import machine
from ktest.cpusets import wait_until
from ktest.machine import mib

PAGES = mib(4)


@pytest.mark.core
@pytest.mark.v2only("CLONE_INTO_CGROUP")
@pytest.mark.defect("B")
def test_born_in_a_cgroup(top, spawn, defects):
    cpuset = top.mkdir("a")
    load = spawn(into=cpuset)
    load.alloc("memory", PAGES, nodes=0)

    places = []
    for mems in "1", "2":
        cpuset.set_mems(mems)
        places.append(load.where("memory"))

    load.verify()
    if defects:
        assert places == [{0: PAGES}, {0: PAGES}]
    else:
        assert places == [{1: PAGES}, {2: PAGES}]


@pytest.mark.core
@pytest.mark.v2only("cgroup.subtree_control")
@pytest.mark.defect("C")
def test_controller_taken_from_children(top, spawn, defects):
    parent = top.mkdir("p", mems="0-3")
    loads = [spawn(parent.mkdir("x")), spawn(parent.mkdir("y", mems="2"))]

    parent.control(False)

    masks = [machine.mems_allowed(load.pid) for load in loads]
    if defects:
        assert masks == [[0, 1, 2, 3], [2]]
    else:
        assert masks == [[0, 1, 2, 3]] * 2


@pytest.mark.core
@pytest.mark.debug
@pytest.mark.v2only("cgroup.subtree_control")
@pytest.mark.defect("C'")
def test_controller_given_to_children(top, spawn, defects):
    parent = top.mkdir("p")
    children = [parent.mkdir(name, controlled=False) for name in "xy"]
    loads = [spawn(child) for child in children]
    for load in loads:
        load.alloc("memory", PAGES, nodes=0)

    parent.control()
    for child in children:
        child.set_mems("1")
    first = [load.where("memory") for load in loads]
    for child in children:
        child.set_mems("2")
    second = [load.where("memory") for load in loads]

    for load in loads:
        load.verify()
    if defects:
        assert first.count({0: PAGES}) >= 1
        assert second.count({0: PAGES}) >= 1
    else:
        assert first == [{1: PAGES}] * 2
        assert second == [{2: PAGES}] * 2


@pytest.mark.core
@pytest.mark.defect("K")
def test_attach_with_dead_leader(top, spawn, defects):
    source = top.mkdir("a", mems="0")
    target = top.mkdir("b", mems="1")
    load = spawn(source)
    load.alloc("memory", PAGES, nodes=0)
    load("leader-exit")
    wait_until(
        lambda: machine.status_field(load.pid, "State").startswith("Z"),
        "the leader to be a zombie",
    )

    target.attach(load)

    load.verify()
    expected = 0 if defects else 1
    assert load.where("memory") == {expected: PAGES}


@pytest.mark.core
@pytest.mark.defect("L")
def test_pages_outside_the_old_mems(top, spawn, root, defects):
    cpuset = top.mkdir("a", mems="0")
    outside = spawn()
    outside.alloc("memory", PAGES, kind="shared")
    inside = outside.fork()
    cpuset.attach(inside)
    # The parent is still in the root cpuset: it can put pages on any node.
    outside.fill("memory", 3)
    inside("touch", "memory")
    assert inside.where("memory") == {3: PAGES}

    cpuset.set_mems("1")

    inside.verify()
    expected = 3 if defects else 1
    assert inside.where("memory") == {expected: PAGES}
