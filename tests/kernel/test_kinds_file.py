# SPDX-License-Identifier: GPL-2.0
"""Files: clean, dirty, written back, with private copies, text, no migrate method."""

import os

import pytest

from ktest import machine
from ktest.cpusets import moved_by, reasons
from ktest.machine import mib
from ktest.timing import Repeated

# More than all else that a workload has mapped.
PAGES = mib(8)
SOME = mib(2)
FEW = 256


@pytest.fixture
def path(disk):
    name = f"{disk}/cpuset-migrate-{os.getpid()}"
    yield name
    if os.path.exists(name):
        os.unlink(name)


def sync_file(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def verify_from_disk(load, path):
    """What the disk has is what was written last."""
    sync_file(path)
    load("hide", "file")
    machine.drop_caches()
    load("show", "file")
    load.verify("file")


@pytest.mark.parametrize(
    "state", ["clean", pytest.param("dirty", marks=pytest.mark.core)]
)
def test_mapped(top, spawn, path, state):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("file", SOME, kind="file", path=path, nodes=0)
    if state == "clean":
        sync_file(path)

    change = moved_by(cpuset, "1")

    where = load.where("file")
    # The kernel may have begun to write dirty pages to the disk just then.
    assert where.get(0, 0) <= (change["migrate_fail_busy"] if state == "dirty" else 0)
    assert change["migrate_moved"] >= where[1]
    load.verify()
    sync_file(path)
    moved_by(cpuset)
    assert load.where("file") == {1: SOME}
    load("rewrite", "file", count=SOME // 2)
    verify_from_disk(load, path)


def test_mapped_by_nobody(top, spawn, path):
    """Page cache that is not mapped stays and is not looked at."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("file", PAGES, kind="file", path=path, nodes=0)
    load("hide", "file")

    change = moved_by(cpuset, "1")

    assert change["migrate_scanned"] < PAGES
    load("show", "file")
    load("touch", "file")
    assert load.where("file") == {0: PAGES}
    load.verify()
    sync_file(path)
    moved_by(cpuset)
    assert load.where("file") == {1: PAGES}
    verify_from_disk(load, path)


def test_written_and_synced_all_the_time(top, spawn, path):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("file", mib(2), kind="file", path=path, nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=200)
    syncs = Repeated(lambda: sync_file(path))

    for mems in ("2-3", "1-2", "0-3", "3", "0-1"):
        moved_by(cpuset, mems)

    assert syncs.stop()
    load.rest()
    load.verify()
    sync_file(path)
    moved_by(cpuset)
    assert set(load.where("file")) <= {0, 1}
    verify_from_disk(load, path)


def test_private_mapping(top, spawn, path):
    """Copies and what was not copied move alike; the file does not see the copies."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    # Written through write(2), then mapped; what is written again is a copy.
    load.alloc("private", PAGES, kind="private", path=path, nodes=0)
    sync_file(path)
    load("rewrite", "private", count=PAGES // 2)

    change = moved_by(cpuset, "1")

    assert load.where("private") == {1: PAGES}
    assert change["migrate_moved"] >= PAGES
    load.verify()
    load("rewrite", "private", **{"from": PAGES // 2, "count": PAGES // 4})
    load.verify()


def test_text_of_one_process(top, spawn, path):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("file", FEW, kind="text", path=path, nodes=0)
    sync_file(path)

    moved_by(cpuset, "1")

    assert load.where("file") == {1: FEW}
    load.verify()


@pytest.mark.core
@pytest.mark.debug
def test_text_of_several_processes(top, spawn, path):
    """Who moves leaves the others their text; when it is alone, its text follows."""
    cpuset, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="0")
    load = spawn(cpuset)
    load.alloc("file", FEW, kind="text", path=path, nodes=0)
    sync_file(path)
    child = load.fork()
    child("touch", "file")
    other.attach(child)

    change = moved_by(cpuset, "1")

    assert load.where("file") == {0: FEW}
    # The workload itself and its libraries are such text, too.
    assert change["migrate_skip_shared"] >= FEW
    assert change["migrate_done"] == 1
    for each in (load, child):
        each.verify()

    child("free", "file")
    moved_by(cpuset)
    assert load.where("file") == {1: FEW}
    load.verify()


@pytest.mark.core
def test_file_system_without_a_migrate_method(ramfs, top, spawn):
    """ramfs has none, and its pages are always dirty."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("file", FEW, kind="file", path=f"{ramfs}/file", nodes=0)

    change = moved_by(cpuset, "1")

    assert load.where("file") == {0: FEW}
    assert reasons(change)["fail_fs"] == FEW
    assert (change["migrate_done"], change["migrate_partial"]) == (0, 1)
    load.verify()


@pytest.mark.core
def test_text_of_several_who_all_move(top, spawn, path):
    """Nobody stays who wants it where it was."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("file", FEW, kind="text", path=path, nodes=0)
    sync_file(path)
    child = load.fork()
    child("touch", "file")

    moved_by(cpuset, "1")

    assert load.where("file") == child.where("file") == {1: FEW}
    for each in (load, child):
        each.verify()
