# SPDX-License-Identifier: GPL-2.0
"""Defects F, F': a destination that is nearly full."""

import pytest

from ktest import machine
from ktest.cpusets import Since, wait_until
from ktest.machine import mib

JOB = mib(48)
ROOM = mib(12)
FULL = 1


@pytest.fixture
def nearly_full(fill_node):
    """Node 1 with ROOM pages free above its low watermark."""
    return fill_node(FULL, ROOM)


@pytest.mark.defect("F")
def test_full_destination_uses_the_rest_of_the_set(top, spawn, nearly_full, defects):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", JOB, nodes=0)
    failed = machine.vmstat("pgmigrate_fail")
    since = None if defects else Since(cpuset)

    cpuset.set_mems("1-2")

    failed = machine.vmstat("pgmigrate_fail") - failed
    where = load.where("memory")
    load.verify()
    if defects:
        # The write succeeded, node 2 is empty, and the counter knows of next to none.
        assert where[0] >= JOB - 2 * ROOM
        assert failed < where[0] / 100
    else:
        assert sum(where.values()) == JOB
        assert 0 not in where
        assert where[1] > ROOM / 2
        room = machine.node_pages(FULL)
        assert room["unused"] >= room["low"]
        change = since.gained()
        assert change["migrate_fail_nomem"] == 0
        assert (change["migrate_done"], change["migrate_partial"]) == (1, 0)


@pytest.mark.core
@pytest.mark.defect("F'")
def test_full_destination_alone(top, spawn, nearly_full, defects):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", JOB, nodes=0)
    # Who only wants a little more in the same place.
    modest = spawn(cpuset)
    modest.alloc("more", 64)
    killed = machine.vmstat("oom_kill")
    since = None if defects else Since(cpuset)

    cpuset.set_mems("1")

    room = machine.node_pages(FULL)
    if defects:
        assert room["free"] < room["min"]
        modest.send("fill", "more")
        wait_until(lambda: machine.vmstat("oom_kill") > killed, "somebody to be killed")
        return
    assert room["unused"] >= room["low"]
    stayed = load.where("memory")[0]
    # What else these processes have there may be among the failures.
    there = sum(machine.mapped(each.pid).get(0, 0) for each in (load, modest))
    change = since.gained()
    assert 0 < stayed <= change["migrate_fail_nomem"] <= there
    assert (change["migrate_done"], change["migrate_partial"]) == (0, 1)
    modest("fill", "more")
    assert machine.vmstat("oom_kill") == killed
    load.verify()
