# SPDX-License-Identifier: GPL-2.0
"""Memory whose owner wants it to stay: madvise(MADV_NOMIGRATE)."""

import contextlib
import errno
import os

import pytest

from ktest import calls, machine, pages
from ktest.cpusets import moved_by, reasons
from ktest.machine import mib

PAGES = mib(4)
HALF = PAGES // 2
KNOB = f"{machine.KNOBS}/exempt"


@pytest.fixture
def load(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.cpuset = cpuset
    return load


@contextlib.contextmanager
def ignored():
    """The administrator does not want to hear of it."""
    machine.write(KNOB, "0")
    try:
        yield
    finally:
        machine.write(KNOB, "1")


@pytest.mark.core
@pytest.mark.parametrize("kind", ["anon", "thp", "cow", "shared"])
def test_stays_and_is_counted(load, kind):
    """The other half moves, and what stays is nobody's failure."""
    address = load.alloc("memory", PAGES, kind=kind, nodes=0)
    load("advise", "memory", "nomigrate", count=HALF)
    # A page of a file that is written anew is allocated where it may be.
    load("work", writers=int(kind != "cow"), verifiers=1, rest=500)

    change = moved_by(load.cpuset, "1")

    load.rest()
    assert load.where("memory", count=HALF) == {0: HALF}
    assert load.where("memory", **{"from": HALF}) == {1: HALF}
    assert reasons(change).get("skip_exempt") == HALF
    assert (change["migrate_done"], change["migrate_partial"]) == (1, 0)
    assert "nm" in pages.flags(load.pid, address)
    assert "nm" not in pages.flags(load.pid, address + HALF * machine.PAGE)
    load.verify()


def test_locked_too(load):
    load.alloc("memory", PAGES, nodes=0)
    load("lock", "memory")
    load("advise", "memory", "nomigrate")

    change = moved_by(load.cpuset, "1")

    assert load.where("memory") == {0: PAGES}
    assert reasons(change)["skip_exempt"] == PAGES
    load.verify()


def test_taken_back(load):
    """What stayed is outside of the nodes: asked for, it comes."""
    load.alloc("memory", PAGES, nodes=0)
    load("advise", "memory", "nomigrate")
    moved_by(load.cpuset, "1")
    assert load.where("memory") == {0: PAGES}

    load("advise", "memory", "migrate", count=HALF)
    change = moved_by(load.cpuset)

    assert load.where("memory", count=HALF) == {1: HALF}
    assert load.where("memory", **{"from": HALF}) == {0: HALF}
    assert reasons(change)["skip_exempt"] == HALF
    load.verify()


def test_children_inherit_it(load):
    load.alloc("memory", PAGES, nodes=0)
    load("advise", "memory", "nomigrate")
    child = load.fork()
    child("rewrite", "memory")
    assert child.where("memory") == {0: PAGES}

    change = moved_by(load.cpuset, "1")

    assert child.where("memory") == load.where("memory") == {0: PAGES}
    assert reasons(change)["skip_exempt"] == 2 * PAGES
    load.verify()
    child.verify()


def test_the_administrator_has_the_last_word(load):
    load.alloc("memory", PAGES, nodes=0)
    load("advise", "memory", "nomigrate")

    with ignored():
        change = moved_by(load.cpuset, "1")

    assert load.where("memory") == {1: PAGES}
    assert "skip_exempt" not in reasons(change)
    load.verify()


@pytest.mark.parametrize("text", ["2", "", "maybe", "-1"])
def test_knob_refuses(text):
    with pytest.raises(OSError) as refusal:
        machine.write(KNOB, text + "\n")
    assert refusal.value.errno == errno.EINVAL
    assert machine.read(KNOB) == "1\n"


@pytest.mark.long
def test_migrate_pages_leaves_it(load):
    load.cpuset.set_mems("0-1")
    load.alloc("memory", PAGES, nodes=0)
    load("advise", "memory", "nomigrate", count=HALF)

    calls.migrate_pages(load.pid, [0], [1])

    assert load.where("memory", count=HALF) == {0: HALF}
    assert load.where("memory", **{"from": HALF}) == {1: HALF}
    load.verify()


def test_move_pages_says_so(load):
    """Page by page, and where they are can be asked."""
    load.cpuset.set_mems("0-1")
    address = load.alloc("memory", 16, nodes=0)
    load("advise", "memory", "nomigrate", count=8)

    status = calls.move_pages(load.pid, address, 16, 1)

    assert status == [-errno.EPERM] * 8 + [1] * 8
    assert load.pages("memory") == [0] * 8 + [1] * 8
    load.verify()


def test_needs_a_capability():
    """As a place on a node is something that others may want."""
    mapping = calls.Mapping(4)
    pid = os.fork()
    if not pid:
        result = 1
        with contextlib.suppress(BaseException):
            os.setuid(65534)
            mapping.advise(calls.MIGRATE)
            try:
                mapping.advise(calls.NOMIGRATE)
            except PermissionError:
                result = 0
        os._exit(result)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_nobody_says_it_for_another():
    mapping = calls.Mapping(4)
    with pytest.raises(OSError) as refusal:
        mapping.advise_by_pidfd(calls.NOMIGRATE)
    assert refusal.value.errno == errno.EINVAL


def test_who_needs_the_place_gets_it():
    """A page with a failing frame has to go."""
    mapping = calls.Mapping(1)
    mapping.advise(calls.NOMIGRATE)
    before = pages.frames("self", mapping.address, 1)

    mapping.advise(calls.SOFT_OFFLINE)

    assert pages.frames("self", mapping.address, 1) != before
    assert mapping.intact()
