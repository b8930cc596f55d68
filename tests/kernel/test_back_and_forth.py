# SPDX-License-Identifier: GPL-2.0
"""What a process has to pay later for having been moved often: nothing."""

import os

import pytest

from ktest import machine, pages
from ktest.machine import mib

PAGES = mib(1)
KINDS = ("anon", "thp", "shared", "memfd", "cow")
FILES = ("file", "private", "text")
# Each is two moves, of which the last ends where the first began.
MANY = pytest.param(50, marks=pytest.mark.long)
TURNS = pytest.mark.parametrize("turns", [5, MANY])


def faults(load):
    """Minor and major faults of a process, its ended threads included."""
    words = machine.read(f"/proc/{load.pid}/stat").rpartition(")")[2].split()
    return int(words[7]), int(words[9])


def page_tables(load):
    return machine.status_field(load.pid, "VmPTE")


def present(load, address, count):
    return pages.entries_with(load.pid, address, count, pages.PRESENT)


def check_idle(load, cpuset, places, turns):
    """It runs no more, has no faults, and all pages are mapped as before."""
    before = faults(load)
    size = page_tables(load)

    for _ in range(turns):
        cpuset.set_mems("1")
        cpuset.set_mems("0")

    assert faults(load) == before
    assert page_tables(load) == size
    for name, (address, count) in places.items():
        assert present(load, address, count) == count, name
    for name, (_, count) in places.items():
        assert load.where(name) == {0: count}, name
    load.verify()


@TURNS
def test_an_idle_process(top, spawn, turns):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    places = {}
    for kind in KINDS:
        count = mib(2) if kind == "thp" else PAGES
        places[kind] = load.alloc(kind, count, kind=kind, nodes=0), count
    load("rewrite", "cow", count=PAGES // 2)

    check_idle(load, cpuset, places, turns)

    assert pages.smaps(load.pid, places["thp"][0], "AnonHugePages") == mib(2)


@TURNS
def test_an_idle_process_with_files(top, spawn, disk, turns):
    """Of a disk, written to it before."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    places = {}
    for kind in FILES:
        path = f"{disk}/cpuset-migrate-{os.getpid()}-{kind}"
        places[kind] = load.alloc(kind, PAGES, kind=kind, path=path, nodes=0), PAGES
        os.unlink(path)
    load("rewrite", "private", count=PAGES // 2)
    os.sync()

    check_idle(load, cpuset, places, turns)


@pytest.mark.core
@pytest.mark.parametrize("kind", ["anon", "thp", "shared", "cow"])
def test_writing_is_no_fault(top, spawn, kind):
    """Permission to write comes along: no first write, no copy."""
    count = mib(2)
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    address = load.alloc("memory", count, kind=kind, nodes=0)
    # Also what was a page of the file until it was written.
    load("rewrite", "memory")
    nodes = load.pages("memory")
    load("rewrite", "memory")
    for mems in ("1", "2", "0"):
        cpuset.set_mems(mems)
    where = pages.frames(load.pid, address, count)
    before, _ = faults(load)

    load("rewrite", "memory")

    after, _ = faults(load)
    # Its stack and its heap may be written for the first time, too.
    assert after - before < 16
    assert load.pages("memory") == nodes
    # Nobody got a copy instead.
    assert pages.frames(load.pid, address, count) == where
    load.verify()
