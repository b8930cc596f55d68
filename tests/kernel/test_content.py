# SPDX-License-Identifier: GPL-2.0
"""Contents: nothing a process wrote is lost, whatever it does while it is moved."""

import pytest

from ktest.cpusets import Since
from ktest.machine import mib
from ktest.marks import later

ROUND = ["2-3", "1-2", "0-3", "3", "0-1"]
# There is more than that to move, in all steps of a round but one.
LEAST = 2 * mib(4)
OPS = ["free", "gup", "file", "fork", *later("mmap", "mprotect", "wp")]
OPS += [pytest.param(op, marks=pytest.mark.debug) for op in ("dontneed", "mremap")]


def busy_process(spawn, cpuset, pages, writers, verifiers, rest):
    load = spawn(cpuset)
    load.alloc("anon", pages, nodes=(0, 1))
    load.alloc("thp", mib(4), kind="thp", nodes=(0, 1), stripe=mib(2))
    load.alloc("locked", pages // 4, nodes=(0, 1), lock=1)
    load.alloc("shared", pages // 2, kind="shared", nodes=(0, 1))
    load.alloc("sysv", pages // 4, kind="sysv", nodes=(0, 1))
    load.alloc("cow", pages // 2, kind="cow", nodes=(0, 1))
    load("work", writers=writers, verifiers=verifiers, rest=rest)
    return load


def move_around(cpuset, rounds):
    since = Since(cpuset)
    for _ in range(rounds):
        for mems in ROUND:
            cpuset.set_mems(mems)
    assert since.gained()["migrate_moved"] >= rounds * LEAST


def finish(load):
    load.calm()
    counts = load.rest()
    assert int(counts["written"]) and int(counts["verified"])
    load.verify()


@pytest.mark.core
@pytest.mark.parametrize("op", OPS)
def test_while_the_address_space_changes(top, spawn, op):
    cpuset = top.mkdir("a", mems="0-1")
    load = busy_process(spawn, cpuset, mib(2), 1, 1, 500)
    load("churn", threads=2, ops=op, rest=100)

    move_around(cpuset, 1)

    assert int(load("progress")["written"])
    finish(load)
    assert set(load.where("anon")) <= {0, 1}


@pytest.mark.core
@pytest.mark.debug
def test_while_files_on_a_disk_change(top, spawn, disk):
    """Written both ways, cut off, punched, synced, dropped, mapped and read anew."""
    cpuset = top.mkdir("a", mems="0-1")
    load = busy_process(spawn, cpuset, mib(1), 1, 1, 500)
    load("churn", threads=3, ops="file", path=disk)

    move_around(cpuset, 2)

    finish(load)


@pytest.mark.long
def test_everything_at_once(top, spawn):
    cpuset = top.mkdir("a", mems="0-1")
    load = busy_process(spawn, cpuset, mib(16), 2, 2, 100)
    load("churn", threads=2, rest=100)

    move_around(cpuset, 1)

    finish(load)
    assert set(load.where("anon")) <= {0, 1}


@pytest.mark.core
@pytest.mark.debug
def test_children_with_shared_and_private_copies(top, spawn):
    """All processes write the shared region; each has its own copy of the rest."""
    cpuset = top.mkdir("a", mems="0-1")
    load = busy_process(spawn, cpuset, mib(2), 1, 1, 500)
    children = [load.fork() for _ in range(2)]
    for child in children:
        child("work", writers=1, verifiers=1, rest=500)

    move_around(cpuset, 1)

    for process in [load, *children]:
        process.rest()
        process.verify()


@pytest.mark.core
@pytest.mark.debug
def test_changes_faster_than_they_can_be_done(top, spawn):
    cpuset = top.mkdir("a", mems="0-1")
    load = busy_process(spawn, cpuset, mib(4), 2, 1, 200)
    load("churn", rest=200)
    since = Since(cpuset)

    for _ in range(4):
        for mems in ROUND:
            cpuset.set_mems(mems, nonblock=True)
    cpuset.wait_idle()

    assert since.gained()["migrate_moved"] >= mib(1)
    finish(load)
    assert set(load.where("anon")) <= {0, 1}
    assert set(load.where("shared")) <= {0, 1}


def test_dirty_file_pages(top, spawn, disk):
    """Mapped pages of a file, written all the time."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("file", mib(4), kind="file", path=f"{disk}/numaload", nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=200)

    move_around(cpuset, 1)

    load.rest()
    load.verify()
