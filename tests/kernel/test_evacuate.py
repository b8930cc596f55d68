# SPDX-License-Identifier: GPL-2.0
"""Emptying a node: nodeN/evacuate moves whatever may be elsewhere."""

import os
import re
import time
from errno import EACCES, EAGAIN, EINVAL

import pytest

from ktest import machine, pages
from ktest.hugetlb import make_pool
from ktest.ksm import ksm, merged, merging, twins
from ktest.machine import Trace, mib

PAGES = mib(8)
NODE = 2
HUGE = mib(2)
KINDS = [("thp", 0), ("memfd", 0)]
KINDS += [
    pytest.param(*kind, marks=pytest.mark.long) for kind in [("shared", 0), ("anon", 1)]
]
KINDS += [pytest.param(kind, 0, marks=pytest.mark.debug) for kind in ("anon", "cow")]
# How often it may take to get what was busy just then.
TRIES = 3
# Seconds after which ext4 commits its journal, and a bit.
COMMIT = 6
FILE = f"/sys/devices/system/node/node{NODE}/evacuate"


def drain(node=NODE):
    """Until it says that all is gone which may go: that comes soon."""
    answers, left = [EAGAIN], []
    while answers[-1] == EAGAIN and len(answers) <= TRIES:
        # What a file system's journal has yet to commit stays where it is.
        os.sync()
        with Trace("cpuset_migrate:cpuset_migrate_leave") as trace:
            answers.append(machine.evacuate(node))
        left += [said_of(line) for line in trace.lines if "=fail" in line]
    assert answers[-1] == 0, left[-8:]


def said_of(line):
    """What a trace says of a page that stays, and what the page is now."""
    what = line.partition("leave: ")[2]
    (bits,) = pages.frame_flags([int(re.search(r"pfn=(\w+)", what)[1], 16)])
    return f"{what} flags={bits:#x}"


@pytest.mark.core
@pytest.mark.parametrize("kind, lock", KINDS)
def test_memory_of_the_root(spawn, kind, lock):
    """Mapped, written and read all the time, and of no cpuset but the root."""
    load, other = spawn(), spawn()
    # A write to a page of "cow" makes a new one, wherever the writer runs.
    cpus = set(range(os.cpu_count())) - set(machine.cpus_of(NODE))
    for tid in os.listdir(f"/proc/{load.pid}/task"):
        os.sched_setaffinity(int(tid), cpus)
    load.alloc("memory", PAGES, kind=kind, nodes=NODE, lock=lock)
    other.alloc("memory", mib(2), kind=kind, nodes=1, lock=lock)
    load("work", writers=1, verifiers=1, rest=500)

    assert machine.evacuate(NODE) in (0, EAGAIN)

    load.rest()
    assert NODE not in load.where("memory")
    drain()
    assert other.where("memory") == {1: mib(2)}
    for each in (load, other):
        each.verify()


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "cache"])
def test_files(spawn, path, mapped):
    """Whether somebody maps them or not, and what is on the disk stays as it is."""
    load = spawn()
    load.alloc("file", PAGES, kind="file", path=path, nodes=NODE)
    os.sync()
    if not mapped:
        load("hide", "file")

    drain()

    if not mapped:
        load("show", "file")
        load("touch", "file")
    assert NODE not in load.where("file")
    load.verify()
    load("hide", "file")
    machine.drop_caches()
    load("show", "file")
    load.verify()


@pytest.mark.long
def test_what_a_journal_has_to_commit(disk):
    """Metadata that is changed where it was read comes along when it is written."""
    commit(disk)
    machine.drop_caches()
    os.sched_setaffinity(0, machine.cpus_of(NODE))
    try:
        os.unlink(f"{disk}/committed")
    finally:
        os.sched_setaffinity(0, range(os.cpu_count()))
    with Trace("cpuset_migrate:cpuset_migrate_leave") as trace:
        assert machine.evacuate(NODE) == EAGAIN
    left = trace.events("cpuset_migrate_leave")
    assert {page["reason"] for page in left if "fail" in page["reason"]} == {"fail_fs"}
    drain()


def commit(disk):
    """Have the journal forget what it had; it does when it commits once more."""
    for _ in range(2):
        with open(f"{disk}/committed", "w", encoding="ascii") as file:
            file.write("x")
        os.sync()
        time.sleep(COMMIT)
        os.sync()


def test_merged_pages(spawn):
    """They stay merged."""
    loads = [spawn() for _ in range(2)]
    with merging(1):
        addresses = twins(loads, HUGE, NODE)
        ksm("run", 0)

        drain()

        assert merged(loads, addresses, HUGE)
        for load in loads:
            assert NODE not in load.where("twin")
            load.verify()


def test_huge_pages_of_the_pool(pool, spawn):
    """They go to free ones elsewhere, and the pool stays as it is."""
    make_pool(pool, dict.fromkeys(range(4), 4))
    load = spawn()
    load.alloc("memory", 4 * HUGE, kind="hugetlb", nodes=NODE)
    load("work", writers=1, verifiers=1, rest=500)

    drain()

    load.rest()
    assert NODE not in load.where("memory")
    assert pool.counts(NODE) == [(4, 4)]
    assert [pool.total(node) for node in range(4)] == [4] * 4
    load.verify()


@pytest.mark.core
def test_a_cpuset_keeps_what_only_it_has(top, spawn):
    """Its one node; of two the other one takes all."""
    only, two = top.mkdir("a", mems=[NODE]), top.mkdir("b", mems=[NODE, 3])
    loads = [spawn(only), spawn(two)]
    for load in loads:
        load.alloc("memory", PAGES, nodes=NODE)

    drain()

    assert [load.where("memory") for load in loads] == [{NODE: PAGES}, {3: PAGES}]
    for load in loads:
        load.verify()


def test_what_is_exempt_stays(spawn):
    load = spawn()
    load.alloc("memory", PAGES, nodes=NODE)
    load("advise", "memory", "nomigrate")

    drain()

    assert load.where("memory") == {NODE: PAGES}
    load.verify()


@pytest.mark.long
@pytest.mark.v2only("memory is charged to cgroups of the same hierarchy")
def test_what_has_no_room_is_told(charged, spawn, fill_node):
    """On the one other node that its cpuset has."""
    cpuset = charged("a", mems=[NODE, 3])
    fill_node(3, 512)
    load = spawn(cpuset)
    # More than what reclaim may find to do there.
    load.alloc("memory", 4 * PAGES, nodes=NODE)

    assert [machine.evacuate(NODE) for _ in range(TRIES)] == [EAGAIN] * TRIES

    where = load.where("memory")
    assert set(where) <= {NODE, 3} and where[NODE] > PAGES
    load.verify()


def test_what_is_pinned_is_told(spawn):
    load = spawn()
    load.alloc("memory", PAGES, nodes=NODE)
    load("pin", "memory", count=16)

    assert [machine.evacuate(NODE) for _ in range(TRIES)] == [EAGAIN] * TRIES

    assert load.where("memory", count=16) == {NODE: 16}
    assert NODE not in load.where("memory", **{"from": 16})
    load("unpin")
    drain()
    assert NODE not in load.where("memory")
    load.verify()


def test_several_nodes_at_once(spawn):
    """Two that go at the same time, towards each other too."""
    load = spawn()
    load.alloc("memory", 2 * PAGES, nodes=(1, 2))
    load("work", writers=1, verifiers=1, rest=500)
    children = []
    for node in (1, 2):
        pid = os.fork()
        if not pid:
            os._exit(machine.evacuate(node) not in (0, EAGAIN))
        children.append(pid)
    assert not any(os.waitpid(pid, 0)[1] for pid in children)
    load.rest()
    drain()
    assert NODE not in load.where("memory")
    load.verify()


@pytest.mark.parametrize("text", ["0", "2", "-1", "x", "", "1 1"])
def test_bad_input_moves_nothing(spawn, text):
    load = spawn()
    load.alloc("memory", mib(1), nodes=NODE)
    with pytest.raises(OSError) as refused:
        fd = os.open(FILE, os.O_WRONLY)
        try:
            assert os.write(fd, text.encode() or b"\n")
        finally:
            os.close(fd)
    assert refused.value.errno == EINVAL
    assert load.where("memory") == {NODE: mib(1)}


def test_only_for_root():
    pid = os.fork()
    if not pid:
        os.setuid(65534)
        os._exit(machine.evacuate(NODE) != EACCES)
    assert os.waitpid(pid, 0)[1] == 0
