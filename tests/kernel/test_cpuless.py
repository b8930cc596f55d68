# SPDX-License-Identifier: GPL-2.0
"""A node of memory without CPUs, as memory goes to it and as it leaves."""

import contextlib

import pytest

from ktest import machine
from ktest.cpusets import moved_by
from ktest.machine import mib

PAGES = mib(8)


def without_cpus():
    return [node for node in machine.memory_nodes() if not machine.cpus_of(node)]


@pytest.fixture(params=["lost", "always"])
def bare(request):
    """A node that has lost its CPUs, and one that never had any."""
    with contextlib.ExitStack() as stack:
        if request.param == "lost":
            node = max(set(machine.memory_nodes()) - set(without_cpus()))
            for cpu in machine.cpus_of(node):
                stack.enter_context(machine.offline(cpu))
        elif not without_cpus():
            pytest.skip("all nodes have CPUs: vm --hotplug")
        else:
            node = without_cpus()[-1]
        assert machine.cpus_of(node) == []
        yield node


@pytest.mark.core
@pytest.mark.parametrize("kind", ["anon", "thp", "shared"])
def test_there_and_back(top, spawn, bare, kind):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind=kind, nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=500)

    # By relative place, and all of it.
    moved_by(cpuset, [1, bare])
    assert load.where("memory") == {1: PAGES // 2, bare: PAGES // 2}
    moved_by(cpuset, "0-1")
    assert load.where("memory") == {0: PAGES // 2, 1: PAGES // 2}
    change = moved_by(cpuset, [bare])
    assert load.where("memory") == {bare: PAGES}
    assert change["migrate_done"] == 1
    moved_by(cpuset, "0")
    assert load.where("memory") == {0: PAGES}

    load.rest()
    load.verify()


@pytest.mark.core
def test_attached_to_it(top, spawn, bare):
    source, target = top.mkdir("a", mems="0"), top.mkdir("b", mems=[bare])
    load = spawn(source)
    load.alloc("memory", PAGES, nodes=0)

    target.attach(load)
    assert load.where("memory") == {bare: PAGES}
    load.alloc("fresh", 64)
    load("rewrite", "fresh")
    assert load.where("fresh") == {bare: 64}
    source.attach(load)

    assert load.where("memory") == {0: PAGES}
    assert load.where("fresh") == {0: 64}
    load.verify()
