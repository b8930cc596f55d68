# SPDX-License-Identifier: GPL-2.0
"""Policies that leave no choice, and a full node: what has no room stays."""

import pytest

from ktest import machine
from ktest.cpusets import moved_by, reasons
from ktest.machine import mib

PAGES = mib(24)
ROOM = mib(6)


@pytest.mark.parametrize(
    "nodes, flag, source, mems, full",
    [
        # The policy is bound to node 3, and node 2 has room.
        ("1", None, 1, "2-3", 3),
    ],
    ids=["bind"],
)
def test_goes_nowhere_else(top, spawn, fill_node, nodes, flag, source, mems, full):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=source)
    load("mbind", "memory", mode="bind", nodes=nodes, flag=flag)
    load.alloc("free", PAGES, nodes=source)
    filler = fill_node(full, ROOM)
    killed = machine.vmstat("oom_kill")

    change = moved_by(cpuset, mems)

    where = load.where("memory")
    assert set(where) == {source, full}
    assert where[full] <= ROOM
    # Who has no policy finds room elsewhere.
    assert source not in load.where("free")
    assert where[source] <= reasons(change)["fail_nomem"] < where[source] + mib(1)
    assert change["migrate_partial"] == 1
    room = machine.node_pages(full)
    assert room["unused"] >= room["low"]
    assert machine.vmstat("oom_kill") == killed
    load.verify()

    filler.close()
    change = moved_by(cpuset)
    assert load.where("memory") == {full: PAGES}
    assert change["migrate_done"] == 1
    load.verify()
