# SPDX-License-Identifier: GPL-2.0
"""Defects F, F': a destination that is nearly full."""

import pytest

from ktest import machine
from ktest.machine import mib

JOB = mib(48)
ROOM = mib(12)
FULL = 1


@pytest.fixture
def nearly_full(spawn):
    """Node 1 with ROOM pages free above its low watermark."""
    machine.drop_caches()
    filler = spawn()
    machine.protect_from_oom(filler.pid)
    filler("nodefill", node=FULL, leave=ROOM)
    return filler


@pytest.mark.core
@pytest.mark.defect("F")
def test_full_destination_uses_the_rest_of_the_set(top, spawn, nearly_full, defects):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", JOB, nodes=0)
    failed = machine.vmstat("pgmigrate_fail")

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
        assert room["free"] >= room["low"]
        stat, events = cpuset.stat(), cpuset.events()
        assert stat["migrate_fail_nomem"] == 0
        assert (events["migrate_done"], events["migrate_partial"]) == (1, 0)


@pytest.mark.core
@pytest.mark.defect("F'")
def test_full_destination_alone(top, spawn, nearly_full, defects):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    machine.protect_from_oom(load.pid)
    load.alloc("memory", JOB, nodes=0)
    # Born where its memory may be: it only has to fault a little in.
    victim = spawn(cpuset)
    victim.alloc("more", 64)
    killed = machine.vmstat("oom_kill")

    cpuset.set_mems("1")

    room = machine.node_pages(FULL)
    stayed = load.where("memory")[0]
    if defects:
        assert room["free"] < room["min"]
        victim.send("fill", "more")
        assert victim.process.wait() == -9
        assert machine.vmstat("oom_kill") > killed
    else:
        assert room["free"] >= room["low"]
        # What else these processes have there may be among the failures.
        elsewhere = sum(machine.mapped(each.pid).get(0, 0) for each in (load, victim))
        assert 0 < stayed <= cpuset.stat()["migrate_fail_nomem"] <= elsewhere
        assert cpuset.events()["migrate_partial"] == 1
        victim.fill("more", "")
        assert machine.vmstat("oom_kill") == killed
    load.verify()
