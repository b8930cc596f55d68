# SPDX-License-Identifier: GPL-2.0
"""Folios between a page and a huge page: they stay whole however often they move."""

import pytest

from ktest import machine
from ktest.folios import SIZES, folios_of
from ktest.machine import mib

FOLIO = 64 << 10


@pytest.fixture
def only_64k():
    """Memory that asks for huge pages gets folios of 64 KiB."""
    with folios_of("64kB"):
        yield


def stat(name):
    """What happened to folios of 64 KiB since boot."""
    return int(machine.read(f"{SIZES}/hugepages-64kB/stats/{name}"))


def filled(top, spawn, nodes, mems):
    cpuset = top.mkdir("a", mems=mems)
    load = spawn(cpuset)
    before = stat("anon_fault_alloc")
    load.alloc("memory", mib(8), kind="thp", nodes=nodes)
    assert stat("anon_fault_alloc") - before >= mib(8) * machine.PAGE // FOLIO
    return cpuset, load


@pytest.mark.core
@pytest.mark.defect("M")
def test_moved_many_times(top, spawn, only_64k, defects):
    cpuset, load = filled(top, spawn, 0, "0")
    before = stat("split")
    for mems in ("1", "2", "3", "0"):
        cpuset.set_mems(mems)
        assert load.where("memory") == {int(mems): mib(8)}
    load.verify()
    if defects:
        assert stat("split") - before > mib(8) * machine.PAGE // FOLIO // 2
    else:
        assert stat("split") == before


@pytest.mark.core
@pytest.mark.debug
def test_written_while_they_move(top, spawn, only_64k):
    cpuset, load = filled(top, spawn, (0, 1), "0-1")
    load("work", writers=2, verifiers=1, rest=200)
    for mems in ("2-3", "1-2", "0-1"):
        cpuset.set_mems(mems)
    counts = load.rest()
    assert int(counts["written"]) and int(counts["verified"])
    load.verify()
    assert set(load.where("memory")) <= {0, 1}


@pytest.mark.core
def test_after_a_fork(top, spawn, only_64k):
    """Once shared, mapped once again: not exclusive any more, moved all the same."""
    cpuset, load = filled(top, spawn, 0, "0")
    child = load.fork()
    child.verify()
    child.close()
    cpuset.set_mems("1")
    assert load.where("memory") == {1: mib(8)}
    load.verify()
