# SPDX-License-Identifier: GPL-2.0
"""cgmigrate --cache: page cache that nobody maps, on real files."""

import os

import pytest

from ktest import machine
from ktest.command import assert_adds_up, cgmigrate, told
from ktest.machine import mib

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command"),
    pytest.mark.v2only("memory is charged to cgroups of the same hierarchy"),
]

PAGES = mib(48)
BYTES = PAGES * machine.PAGE
SOME = mib(2) * machine.PAGE
ANON = mib(4)


def cached(cpuset, node, kind="file"):
    """Bytes a cgroup has on a node, as its memory controller says."""
    for line in cpuset.read("memory.numa_stat").splitlines():
        key, *values = line.split()
        if key == kind:
            return int(dict(v.split("=") for v in values)[f"N{node}"])
    raise AssertionError(f"memory.numa_stat has no line for {kind}")


def fill(load, path):
    """A file of clean pages on node 0 that nobody maps."""
    load.alloc("cache", PAGES, kind="file", path=path, nodes=0)
    load("hide", "cache")
    os.sync()


@pytest.fixture
def job(charged, spawn, disk):
    """A cgroup on node 0 with some memory of its own, and a file in cache."""
    path = f"{disk}/cpuset-migrate-{os.getpid()}"
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", ANON, nodes=0)
    fill(load, path)
    assert cached(cpuset, 0) >= BYTES
    yield cpuset, load
    os.unlink(path)


def assert_intact(load):
    load("show", "cache")
    load("touch", "cache")
    load.verify()
    assert load.where("anon") == {1: ANON}


def total(out, reason):
    return out["result"]["totals"][reason]


def test_moves_or_is_told_to_have_stayed(job, name, engine):
    cpuset, load = job

    out = told("move", name(cpuset), "--to", "1", "--cache", "move")

    assert out["state"] == "done" and "cache" not in out["targets"][0]
    assert total(out, "dropped") == 0
    if engine:
        assert total(out, "moved") >= BYTES
        assert cached(cpuset, 0) < SOME <= BYTES <= cached(cpuset, 1) + SOME
    else:
        assert total(out, "skip_unmapped") > BYTES - SOME
        assert cached(cpuset, 0) > BYTES - SOME
    assert_adds_up(out)
    assert_intact(load)


def test_is_dropped(job, name):
    cpuset, load = job
    swapped = machine.vmstat("pswpout")

    out = told("move", name(cpuset), "--to", "1", "--cache", "drop")

    (target,) = out["targets"]
    assert target["cache"] == "drop"
    assert BYTES - SOME < target["cache_bytes"] < BYTES + SOME
    assert BYTES - SOME < total(out, "dropped") < BYTES + SOME
    assert total(out, "moved") < ANON * machine.PAGE + 4 * SOME
    assert cached(cpuset, 0) < SOME and cached(cpuset, 1) < 2 * SOME
    dropped = [r for r in target["rows"] if r["reason"] == "dropped"]
    assert {(r["from"], r["to"], r["kind"]) for r in dropped} == {(0, None, "file")}
    assert machine.vmstat("pswpout") == swapped
    assert_adds_up(out)
    assert_intact(load)
    text = cgmigrate("report", out["job"]).stdout
    assert "of page cache dropped" in text


@pytest.mark.long
def test_is_left(job, name, engine):
    cpuset, load = job

    out = told("move", name(cpuset), "--to", "1", "--cache", "leave")

    assert out["state"] == "done" and out["targets"][0]["cache"] == "leave"
    assert out["targets"][0]["cache_bytes"] > BYTES - SOME
    assert cached(cpuset, 0) > BYTES - SOME
    assert total(out, "skip_unmapped") > BYTES - SOME
    assert total(out, "moved") < ANON * machine.PAGE + 4 * SOME
    assert_adds_up(out)
    if not engine:
        return
    assert cpuset.read("cache") == "move"
    # It is a stray now. A settle can leave it, too.
    told("settle", name(cpuset), "--cache", "leave")
    assert cached(cpuset, 0) > BYTES - SOME
    told("settle", name(cpuset))
    assert cached(cpuset, 0) < SOME
    assert_intact(load)


@pytest.mark.long
def test_strays_can_be_dropped(job, name):
    cpuset, load = job
    told("move", name(cpuset), "--to", "1", "--cache", "leave")

    out = told("settle", name(cpuset), "--cache", "drop")

    assert total(out, "dropped") > BYTES - SOME
    assert cached(cpuset, 0) < SOME
    assert_intact(load)


@pytest.mark.long
def test_shared_memory_is_not_dropped(charged, spawn, name, engine):
    if machine.file_system("/dev/shm") != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs")
    path = f"/dev/shm/cpuset-migrate-{os.getpid()}"
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", ANON, nodes=0)
    fill(load, path)
    try:
        out = told("move", name(cpuset), "--to", "1", "--cache", "drop")
        assert out["targets"][0]["cache_bytes"] < SOME
        assert total(out, "dropped") < SOME
        assert cached(cpuset, 1 if engine else 0, "shmem") > BYTES - SOME
        assert_intact(load)
    finally:
        os.unlink(path)


@pytest.mark.long
def test_what_is_mapped_is_not_asked_for(job, name, engine):
    cpuset, load = job
    load("show", "cache")
    load("touch", "cache")

    out = told("move", name(cpuset), "--to", "1", "--cache", "drop")

    assert out["targets"][0]["cache_bytes"] < SOME
    assert total(out, "dropped") < SOME
    assert load.where("cache") == {1: PAGES}
    assert_intact(load)


@pytest.mark.long
def test_with_a_map(charged, spawn, disk, name, engine):
    """Where the command moves the pages the engine is told so at every write."""
    path = f"{disk}/cpuset-migrate-{os.getpid()}"
    cpuset = charged("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", ANON, nodes=(0, 1))
    fill(load, path)
    try:
        args = ["--to", "2-3", "--map", "0:3,1:2", "--cache", "leave"]
        told("move", name(cpuset), *args)
        assert cached(cpuset, 0) > BYTES - SOME
        assert load.where("anon") == {3: ANON // 2, 2: ANON // 2}
        assert not engine or cpuset.read("cache") == "move"
    finally:
        os.unlink(path)


def test_without_the_controller(top, spawn, name):
    """Nothing is changed then."""
    cpuset = top.mkdir("a", mems="0")
    if cpuset.has("memory.numa_stat"):
        top.write("cgroup.subtree_control", "-memory")
    spawn(cpuset)
    out = told("move", name(cpuset), "--to", "1", "--cache", "drop", code=4)
    assert "subtree_control" in out["error"]["message"]
    assert cpuset.mems() == [0]
