# SPDX-License-Identifier: GPL-2.0
"""Shared memory: mapped here, elsewhere, by several cpusets, by nobody."""

import os

import pytest

from ktest import machine
from ktest.cpusets import moved_by, reasons
from ktest.machine import mib

# More than all else that a workload has mapped.
PAGES = mib(4)
KINDS = ["shared", "memfd", "sysv", "tmpfs"]


@pytest.fixture
def alloc():
    """Map shared memory of a kind; files are removed when the test ends."""
    paths = []

    def start(load, name, pages, kind, **more):
        if kind != "tmpfs":
            return load.alloc(name, pages, kind=kind, **more)
        if machine.file_system("/dev/shm") != "tmpfs":
            pytest.skip("/dev/shm is no tmpfs")
        paths.append(f"/dev/shm/cpuset-migrate-{os.getpid()}-{load.pid}-{name}")
        return load.alloc(name, pages, kind="file", path=paths[-1], **more)

    yield start
    for path in paths:
        os.unlink(path)


@pytest.mark.core
@pytest.mark.parametrize("kind", KINDS)
def test_mapped(top, spawn, alloc, kind):
    """Moved once, whoever of the cpuset maps it."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    alloc(load, "memory", PAGES, kind, nodes=(0, 1))
    child = load.fork()
    child("touch", "memory")
    for each in (load, child):
        each("work", writers=1, verifiers=1, rest=500)

    change = moved_by(cpuset, "2-3")

    for each in (load, child):
        each.rest()
        assert each.where("memory") == {2: PAGES // 2, 3: PAGES // 2}
        each.verify()
    assert PAGES <= change["migrate_moved"] < 2 * PAGES


@pytest.mark.parametrize("kind", ["memfd", "tmpfs"])
def test_mapped_by_nobody(top, spawn, alloc, kind):
    """Stays, and is not looked at; a settle brings it in when it is mapped again."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    alloc(load, "memory", PAGES, kind, nodes=0)
    load("hide", "memory")

    change = moved_by(cpuset, "1")

    assert change["migrate_scanned"] < PAGES
    load("show", "memory")
    load("touch", "memory")
    assert load.where("memory") == {0: PAGES}
    load.verify()

    change = moved_by(cpuset)

    assert load.where("memory") == {1: PAGES}
    assert change["migrate_moved"] >= PAGES
    load.verify()


def test_touched_in_part(top, spawn, alloc):
    """Pages of a mapping that this process has not touched are not mapped."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    alloc(load, "memory", PAGES, "memfd", nodes=0)
    load("hide", "memory")
    load("show", "memory")
    load("touch", "memory", count=16)
    known = load.where("memory")[0]
    assert 16 <= known < PAGES

    moved_by(cpuset, "1")

    assert load.where("memory")[1] == known
    load("touch", "memory")
    assert load.where("memory") == {0: PAGES - known, 1: known}
    load.verify()


def test_sysv_attached_elsewhere_only(top, spawn):
    """Memory follows who has it mapped, not who made it."""
    cpuset, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind="sysv", nodes=0)
    child = load.fork()
    child("touch", "memory")
    other.attach(child)
    load("free", "memory")

    change = moved_by(cpuset, "1")

    assert change["migrate_scanned"] < PAGES
    assert child.where("memory") == {0: PAGES}
    change = moved_by(other, "1")
    assert child.where("memory") == {1: PAGES}
    assert change["migrate_moved"] >= PAGES
    child.verify()


@pytest.mark.parametrize(
    "kind", [pytest.param("shared", marks=pytest.mark.core), *KINDS[1:]]
)
def test_mapped_by_two_cpusets(top, spawn, alloc, kind):
    """They stay where one wants them; where none does, the last change wins."""
    mover, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="0")
    load = spawn(mover)
    alloc(load, "memory", PAGES, kind, nodes=0)
    child = load.fork()
    child("touch", "memory")
    other.attach(child)
    for each in (load, child):
        each("work", writers=1, verifiers=1, rest=500)

    change = moved_by(mover, "1")
    assert PAGES <= reasons(change)["skip_shared"] < 2 * PAGES
    assert child.where("memory") == {0: PAGES}

    change = moved_by(other, "2")
    assert PAGES <= change["migrate_moved"] < 2 * PAGES
    assert load.where("memory") == {2: PAGES}

    change = moved_by(mover)
    assert PAGES <= reasons(change)["skip_shared"] < 2 * PAGES
    moved_by(other, "1-2")
    change = moved_by(mover)
    assert PAGES <= change["migrate_moved"] < 2 * PAGES
    assert child.where("memory") == {1: PAGES}
    for each in (load, child):
        each.rest()
        each.verify()


def test_private_copies_of_two_cpusets(top, spawn):
    """After a fork: what is shared stays for the child, copies follow their owner."""
    mover, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="0")
    load = spawn(mover)
    load.alloc("memory", PAGES, nodes=0)
    child = load.fork()
    other.attach(child)
    child("rewrite", "memory", count=PAGES // 2)

    change = moved_by(mover, "1")

    assert load.where("memory") == {0: PAGES // 2, 1: PAGES // 2}
    assert child.where("memory") == {0: PAGES}
    assert change["migrate_moved"] >= PAGES // 2
    moved_by(other, "2")
    assert child.where("memory") == {2: PAGES}
    assert load.where("memory") == {2: PAGES // 2, 1: PAGES // 2}
    for each in (load, child):
        each.verify()
