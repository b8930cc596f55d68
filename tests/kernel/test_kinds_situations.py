# SPDX-License-Identifier: GPL-2.0
"""Situations of the process: memory limits, NUMA balancing, dying."""

import os
import signal

import pytest

from ktest import machine
from ktest.balancer import balancing, run_on, wait_balanced
from ktest.cpusets import complaints, moved_by, start_slowly, wait_until
from ktest.machine import PAGE, mib
from ktest.marks import later

PAGES = mib(16)
ROUND = ["2-3", "1-2", "0-3", "3", "0-1"]


def mixed_memory(load, nodes, pages):
    load.alloc("shared", pages // 2, kind="shared", nodes=nodes)
    private_memory(load, nodes, pages)


def private_memory(load, nodes, pages):
    load.alloc("anon", pages, nodes=nodes)
    load.alloc("thp", mib(4), kind="thp", nodes=nodes, stripe=mib(2))
    load.alloc("cow", pages // 2, kind="cow", nodes=nodes)
    load("rewrite", "cow", count=pages // 4)


@pytest.fixture
def limited(root, top):
    """A cpuset with the memory controller."""
    for cgroup in (root, top):
        if "memory" not in cgroup.read("cgroup.controllers").split():
            pytest.skip("the memory controller is not in this hierarchy")
        cgroup.write("cgroup.subtree_control", "+memory")
    return top.mkdir("a", mems="0-1")


def memory_events(cgroup):
    lines = cgroup.read("memory.events").splitlines()
    return {key: int(value) for key, value in map(str.split, lines)}


@pytest.mark.v2only("memory.max and memory.high")
@pytest.mark.parametrize("limit", ["memory.max", *later("memory.high")])
def test_at_the_limit(limited, spawn, limit):
    """Moving charges nothing: it neither reclaims nor kills."""
    load = spawn(limited)
    mixed_memory(load, (0, 1), PAGES)
    # A writer makes more copies.
    load("rewrite", "cow")
    load("work", writers=1, verifiers=1, rest=500)
    wait_until(lambda: int(load("progress")["written"]), "a page to be written")
    used = int(limited.read("memory.current"))
    # Each CPU may hold back some of what is charged.
    limited.write(limit, used + mib(2) * PAGE)
    before = memory_events(limited)

    for mems in ROUND:
        change = moved_by(limited, mems, cache=True)
        assert change["migrate_done"] == 1, change

    load.rest()
    assert set(load.where("anon")) <= {0, 1}
    assert memory_events(limited) == before
    load.verify()


def test_while_balancing(top, spawn):
    """Two that move the same pages: none is lost, and none is left outside."""
    with balancing():
        cpuset = top.mkdir("a", mems="0-1")
        load = spawn(cpuset)
        mixed_memory(load, (0, 1), mib(4))
        load("work", writers=2, verifiers=2, rest=100)

        # Node of the old set on which it is used: half or all of it is elsewhere.
        for mems, node in zip(ROUND, [1, 3, 1, 2]):
            run_on(load, node)
            wait_balanced()
            moved_by(cpuset, mems)
        moved_by(cpuset, ROUND[-1])

        load.rest()
        load.verify()
        moved_by(cpuset)
        for name in ("anon", "thp", "shared"):
            assert set(load.where(name)) <= {0, 1}


@pytest.mark.parametrize("after", [mib(8), *later(1, mib(16))])
def test_killed_while_it_moves(top, spawn, after):
    """The account adds up, nothing is left running, the memory is free again."""
    cpuset = top.mkdir("a", mems="0-1")
    machine.drop_caches()
    free = [machine.node_pages(node)["unused"] for node in machine.memory_nodes()]
    load = spawn(cpuset)
    load.alloc("shared", PAGES // 2, kind="shared", nodes=(0, 1))
    child = load.fork()
    child("touch", "shared")
    # What the child had too, a write would bring to the new nodes as a copy.
    private_memory(load, (0, 1), PAGES)
    load("work", writers=1, rest=500)
    since = start_slowly(cpuset, "2-3", mib(8) * PAGE, after)
    assert cpuset.stat()["migrate_pending"]
    # It is not the child only that has not arrived yet.
    assert set(load.where("anon")) & {0, 1}

    os.kill(load.pid, signal.SIGKILL)
    load.process.wait()
    cpuset.write("max", "max")
    cpuset.wait_idle()

    change = since.gained()
    assert change["migrate_total"] == 2
    assert change["migrate_start"] == 1
    assert not complaints(cpuset)
    assert child("adopt", "shared")["bad"] == "0"
    child.verify("shared")
    assert child.where("shared") == {2: PAGES // 4, 3: PAGES // 4}
    child.close()
    cpuset.kill()
    wait_until(lambda: all_free(free), "the memory to be free")
    assert not machine.vmstat("nr_isolated_anon")
    assert not machine.vmstat("nr_isolated_file")


def all_free(before):
    """Is about as much free on each node as there was before?"""
    machine.drop_caches()
    return all(
        machine.node_pages(node)["unused"] >= free - mib(1)
        for node, free in zip(machine.memory_nodes(), before)
    )
