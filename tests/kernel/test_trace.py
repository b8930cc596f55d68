# SPDX-License-Identifier: GPL-2.0
"""Tracepoints: one simple move, from its beginning to its end."""

import os
import re

import pytest

from ktest.cpusets import moved_by
from ktest.machine import Trace, mib

PAGES = mib(4)
PINNED = 8
SYSTEM = "cpuset_migrate"

pytestmark = pytest.mark.core


def events(lines, name):
    """The fields of each event of that name."""
    found = [line.partition(f" {name}: ")[2] for line in lines if f" {name}: " in line]
    return [dict(word.split("=", 1) for word in text.split()) for text in found]


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

    (start,) = events(trace.lines, f"{SYSTEM}_job_start")
    (end,) = events(trace.lines, f"{SYSTEM}_job_end")
    chunks = events(trace.lines, f"{SYSTEM}_chunk")
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

    left = events(trace.lines, f"{SYSTEM}_leave")
    pinned = {each["pfn"] for each in left if each["reason"] == "fail_pinned"}
    assert len(pinned) == PINNED
    for each in left:
        if each["pfn"] in pinned:
            assert (each["node"], each["order"], each["maps"]) == ("0", "0", "1")
    load.verify()


@pytest.mark.parametrize("how", ["attach", "settle"])
def test_kind(load, top, how):
    with Trace(f"{SYSTEM}:{SYSTEM}_job_start") as trace:
        if how == "attach":
            top.mkdir("b", mems="1").attach(load)
        else:
            load.cpuset.write("settle", "1")

    kinds = [each["kind"] for each in events(trace.lines, f"{SYSTEM}_job_start")]
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
