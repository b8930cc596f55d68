# SPDX-License-Identifier: GPL-2.0
"""Tracepoints: one simple move, from its beginning to its end."""

import os
import re

import pytest

from ktest import pages
from ktest.cpusets import moved_by
from ktest.disks import start_writeback
from ktest.machine import Trace, mib

PAGES = mib(4)
FEW = 256
HUGE = mib(2)
# Longer than a move takes wherever this runs.
SLOW_MS = 60000
PINNED = 8
SYSTEM = "cpuset_migrate"

pytestmark = pytest.mark.core


@pytest.fixture
def load(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.cpuset = cpuset
    load.alloc("memory", PAGES, nodes=0, lock=1)
    return load


def test_one_move(load):
    load("pin", "memory", count=PINNED)

    with Trace(SYSTEM) as trace:
        change = moved_by(load.cpuset, "1")

    (start,) = trace.events(f"{SYSTEM}_job_start")
    (end,) = trace.events(f"{SYSTEM}_job_end")
    chunks = trace.events(f"{SYSTEM}_chunk")
    assert start["kind"] == "mems"
    assert (start["move"], start["chained"]) == ("1", "0")
    assert int(start["cgroup"]) == os.stat(load.cpuset.path).st_ino
    assert {each["mm"] for each in chunks} == {start["mm"]} == {end["mm"]}
    for key in ("cgroup", "placement"):
        assert end[key] == start[key]
    assert end["stopped"] == "0"
    assert int(end["passes"]) == 1 + max(int(each["pass"]) for each in chunks)
    assert sum(int(each["isolated"]) for each in chunks) >= PAGES - PINNED
    # Begun first, and ended last.
    names = [re.search(rf"{SYSTEM}_(\w+): ", line)[1] for line in trace.lines]
    assert (names[0], names[-1]) == ("job_start", "job_end")
    assert load.where("memory") == {0: PINNED, 1: PAGES - PINNED}
    assert change["migrate_fail_pinned"] == PINNED
    assert int(end["outside"]) >= PINNED


def test_pages_that_stay_say_why(load):
    load("pin", "memory", count=PINNED)

    with Trace(SYSTEM) as trace:
        moved_by(load.cpuset, "1")

    left = trace.events(f"{SYSTEM}_leave")
    pinned = {each["pfn"] for each in left if each["reason"] == "fail_pinned"}
    assert len(pinned) == PINNED
    for each in left:
        if each["pfn"] in pinned:
            assert (each["node"], each["order"], each["maps"]) == ("0", "0", "1")
    load.verify()


def of_two(load, top, mems):
    """Memory that a child in a cpuset of its own maps too."""
    load.alloc("left", FEW, kind="shared", nodes=0)
    child = load.fork()
    child("touch", "left")
    top.mkdir("b", mems=mems).attach(child)
    return child


def stay_pinned(load, _):
    address = load.alloc("left", HUGE, kind="thp", nodes=0)
    load("pin", "left", **{"from": 100, "count": 8})
    return pages.frames(load.pid, address, HUGE)


def stay_shared(load, top):
    of_two(load, top, "0")


def stay_exempt(load, top):
    child = of_two(load, top, "0-1")
    child("advise", "left", "nomigrate")


def stay_of_ramfs(load, ramfs):
    load.alloc("left", FEW, kind="file", path=f"{ramfs}/file", nodes=0)


def stay_busy(load, slow_disk):
    folder, device = slow_disk
    address = load.alloc("left", FEW, kind="file", path=f"{folder}/file", nodes=0)
    os.sync()
    load("rewrite", "left")
    device.delay_writes(SLOW_MS)
    start_writeback(f"{folder}/file")
    return pages.frames(load.pid, address, FEW)


def stay_with_the_kernel(load, _):
    load("map-ring")


# How to let something stay for a reason, and the fixture that needs. What returns page
# frames is not alone with it.
STAY = {
    "fail_pinned": (stay_pinned, "top"),
    "skip_shared": (stay_shared, "top"),
    "skip_exempt": (stay_exempt, "top"),
    "fail_fs": (stay_of_ramfs, "ramfs"),
    "fail_busy": (stay_busy, "slow_disk"),
    "fail_nonlru": (stay_with_the_kernel, "top"),
}


@pytest.mark.parametrize("reason", STAY)
def test_every_page_that_stays_is_told(request, reason):
    """Once or more often, with the reason that the account has."""
    stay, fixture = STAY[reason]
    # A file system has to be there until nobody has a file of it: it comes first.
    there = request.getfixturevalue(fixture)
    load = request.getfixturevalue("load")
    frames = stay(load, there)

    with Trace(f"{SYSTEM}:{SYSTEM}_leave") as trace:
        change = moved_by(load.cpuset, "1")

    told = {
        int(each["pfn"], 16): 1 << int(each["order"])
        for each in trace.events(f"{SYSTEM}_leave")
        if each["reason"] == reason
    }
    if frames:
        told = {frame: told[frame] for frame in frames if frame in told}
    assert 0 < sum(told.values()) == change[f"migrate_{reason}"]
    load.verify()


@pytest.mark.parametrize("how", ["attach", "settle"])
def test_kind(load, top, how):
    with Trace(f"{SYSTEM}:{SYSTEM}_job_start") as trace:
        if how == "attach":
            top.mkdir("b", mems="1").attach(load)
        else:
            load.cpuset.write("settle", "1")

    kinds = [each["kind"] for each in trace.events(f"{SYSTEM}_job_start")]
    assert kinds == [how]


@pytest.mark.parametrize("lock", [0, 1], ids=["fast", "usual"])
def test_reason_of_moved_pages(top, spawn, lock):
    """As whoever watches all migrations sees it, on either path."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0, lock=lock)

    with Trace("migrate:mm_migrate_pages", "succeeded > 0") as trace:
        cpuset.set_mems("1")

    moved = 0
    for line in trace.lines:
        if "reason=cpuset" in line:
            moved += int(re.search(r"nr_succeeded=(\d+)", line)[1])
    assert load.where("memory") == {1: PAGES}
    assert PAGES <= moved < PAGES + mib(16)
    load.verify()
