# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --map and --from: every page goes where it was told, and no other."""

import json
import shlex
import signal
import subprocess
import time

import pytest

from ktest import machine
from ktest.command import (
    COMMAND,
    assert_adds_up,
    busy,
    cgmigrate,
    end,
    start,
    told,
)
from ktest.cpusets import wait_until
from ktest.load import nearly_full
from ktest.machine import mib
from ktest.marks import later
from ktest.placement import by_distance, remap

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command"),
    pytest.mark.alike,
]


def text(nodes):
    return machine.format_list(nodes)


def pairs(ways):
    return ",".join(f"{old}:{new}" for old, new in ways.items())


def assert_went(load, before, ways):
    """What was on a node is where it was to go; the rest is where it was."""
    load.rest()
    for region, was in before.items():
        now = load.pages(region)
        assert len(now) == len(was)
        wrong = [
            (index, old, new)
            for index, (old, new) in enumerate(zip(was, now))
            if new != ways.get(old, old)
        ]
        assert not wrong, f"{region}: {len(wrong)} of {len(was)} pages, {wrong[:5]}"
    load.verify()


def moved(out):
    """The bytes that moved: {(from, to): bytes}."""
    found = {}
    for row in out["targets"][0]["rows"]:
        if row["reason"] == "moved":
            way = row["from"], row["to"]
            found[way] = found.get(way, 0) + row["bytes"]
    return found


def by_process(out):
    """Whether whole processes were moved, which the kernel does not account for."""
    return any(
        row["estimated"]
        for row in out["targets"][0]["rows"]
        if row["reason"] == "moved"
    )


WAYS = {
    "crossed": ([0, 1], [2, 3], {0: 3, 1: 2}),
    "folded": ([0, 1], [2, 3], {0: 3, 1: 3}),
    "chained": ([0, 1], [1, 2, 3], {0: 1, 1: 3}),
    "swapped": ([0, 1], [0, 1], {0: 1, 1: 0}),
    "swapped, and a third": ([0, 1, 2], [0, 1, 3], {0: 1, 1: 0, 2: 3}),
    "a ring": ([0, 1, 2], [0, 1, 2], {0: 1, 1: 2, 2: 0}),
}


def is_ring(ways):
    """Can no node be left before it is entered?"""
    left = {old: new for old, new in ways.items() if old != new}
    while any(new not in left for new in left.values()):
        left = {old: new for old, new in left.items() if new in left}
    return bool(left)


def cases():
    """Some are enough for every change, of what is listed still fewer."""
    for name, ways in WAYS.items():
        marks = [] if name in ("crossed", "a ring") else [pytest.mark.long]
        yield pytest.param(*ways, False, id=name, marks=marks)
        marks = [] if name == "crossed" else [pytest.mark.long]
        yield pytest.param(*ways, True, id=f"{name}, listed", marks=marks)


@pytest.mark.parametrize("old, new, ways, listed", cases())
def test_pairs(top, spawn, name, engine, old, new, ways, listed):
    """Listed: by pages also where the engine is, because somebody asked for a bound."""
    if listed and not engine:
        pytest.skip("pages are always listed here")
    cpuset = top.mkdir("a", mems=text(old))
    load = spawn(cpuset)
    before = busy(load, old)
    more = ["--max-stall", "5ms"] if listed else []

    out = told("move", name(cpuset), "--to", text(new), "--map", pairs(ways), *more)

    assert out["state"] == "done" and out["changed"] is True
    assert cpuset.mems() == new
    assert_went(load, before, ways)
    assert_adds_up(out)
    told_of = out["targets"][0]["map"]
    assert told_of["rule"] == "pairs"
    # Some pages of programs and libraries may be on other nodes.
    assert {way["from"]: way["to"] for way in told_of["nodes"]}.items() >= ways.items()
    assert by_process(out) == bool(engine and not listed and not is_ring(ways))
    for way in ways.items():
        pages = sum(was.count(way[0]) for was in before.values())
        assert moved(out)[way] >= pages * machine.PAGE


@pytest.mark.long
def test_nodes_that_are_not_named_go_by_relative_place(top, spawn, name):
    cpuset = top.mkdir("a", mems="0-2")
    load = spawn(cpuset)
    before = busy(load, [0, 1, 2])
    told("move", name(cpuset), "--to", "1-3", "--map", "1:3")
    ways = {node: remap(node, [0, 1, 2], [1, 2, 3]) for node in (0, 2)}
    assert_went(load, before, {**ways, 1: 3})


def test_from(top, spawn, name):
    """By relative place what is on node 1 would go to 2."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    before = busy(load, [0, 1])
    out = told("move", name(cpuset), "--to", "1-2", "--from", "0")
    assert_went(load, before, {0: 1})
    assert cpuset.mems() == [1, 2]
    # Libraries may have come in from elsewhere.
    assert (0, 1) in moved(out) and (1, 2) not in moved(out)
    out = told("move", name(cpuset), "--to", "2-3", "--from", "2", code=4)
    assert "node 1 is not among those to leave" in out["error"]["message"]


@pytest.mark.long
def test_distance(top, spawn, name):
    sets = (([0, 1], [2, 3]), ([2, 3], [0, 1]), ([0, 1], [1, 2]))
    for number, (old, new) in enumerate(sets):
        cpuset = top.mkdir(f"a{number}", mems=text(old))
        load = spawn(cpuset)
        before = busy(load, old, mib(4))
        ways = by_distance(old, new)
        out = told("move", name(cpuset), "--to", text(new), "--map", "distance")
        assert_went(load, before, ways)
        nodes = out["targets"][0]["map"]["nodes"]
        assert {way["from"]: way["to"] for way in nodes}.items() >= ways.items()
        load.close()


@pytest.mark.long
def test_distances_of_this_machine_matter(top, spawn, name):
    """With the table of distances.txt the nearest nodes are not those by place."""
    ways = by_distance([0, 1], [2, 3])
    if ways == {0: 2, 1: 3}:
        pytest.skip("give the guest --distances tests/kernel/distances.txt")
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    before = busy(load, [0, 1])
    told("move", name(cpuset), "--to", "2-3", "--map", "distance")
    assert_went(load, before, ways)


@pytest.mark.long
@pytest.mark.parametrize("ways", [{0: 1, 1: 0}, {0: 1, 1: 3}], ids=["swap", "chain"])
def test_shared_memory_moves_once(top, spawn, name, ways):
    """What came to a node by one process must not leave it by another."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("shared", mib(8), kind="shared", nodes=(0, 1), stripe=16)
    load.alloc("inherited", mib(8), nodes=(0, 1), stripe=16)
    before = {region: load.pages(region) for region in ("shared", "inherited")}
    children = [load.fork(), load.fork()]
    for child in children:
        child("touch", "shared")
    new = sorted(set(ways.values()))
    told("move", name(cpuset), "--to", text(new), "--map", pairs(ways))
    assert_went(load, before, ways)
    for child in children:
        for region, was in before.items():
            assert child.pages(region) == [ways[node] for node in was]
        child.verify()


@pytest.mark.long
def test_huge_pages(top, spawn, name):
    cpuset = top.mkdir("a", mems="0-1")
    pools = [f"{machine.NODE}/node{n}/hugepages/hugepages-2048kB" for n in range(4)]
    try:
        for pool in pools:
            machine.write(f"{pool}/nr_hugepages", "6")
        load = spawn(cpuset)
        load.alloc("huge", mib(8), kind="hugetlb", nodes=(0, 1))
        for to, ways in (("0-1", {0: 1, 1: 0}), ("2-3", {0: 3, 1: 2})):
            before = {"huge": load.pages("huge")}
            told("move", name(cpuset), "--to", to, "--map", pairs(ways))
            assert_went(load, before, ways)
        load.close()
    finally:
        for pool in pools:
            machine.write(f"{pool}/nr_hugepages", "0")


def confined(top, *words):
    """The command, called from a cpuset that has node 0 only."""
    here = top.mkdir("here", mems="0")
    words = [COMMAND, *map(str, words), "-J"]
    script = f"echo $$ >{here.path}/cgroup.procs; exec {shlex.join(words)}"
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
    out = json.loads(said.stdout)
    assert said.returncode == out["exit"], said
    return out


@pytest.mark.long
def test_a_caller_that_may_use_other_nodes_only(top, spawn, name):
    """It could not allocate what it is to move there: refused before it begins."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    before = busy(load, [0, 1])
    out = confined(top, "move", name(cpuset), "--to", "2-3", "--map", "0:3,1:2")
    assert out["exit"] == 4
    assert "the caller may use nodes 0 only" in out["error"]["message"]
    assert cpuset.mems() == [0, 1]
    assert_went(load, before, {})


@pytest.mark.parametrize("attach", [True, *later(False)], ids=["attach", "mems"])
def test_the_kernel_moves_for_a_caller_that_may_not(top, spawn, name, attach):
    """Its own move is not bound by the caller's nodes; no cpuset is left wide."""
    cpuset, other = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(cpuset)
    regions = busy(load, [0, 1])
    way = [load.pid, "--into", name(other)] if attach else [name(cpuset), "--to", "2-3"]
    out = confined(top, "move", *way)
    (target,) = out["targets"]
    assert out["exit"] in (0, 3), out
    assert (other if attach else cpuset).mems() == [2, 3]
    load.rest()
    for region in regions:
        assert {n for n in load.where(region) if isinstance(n, int)} <= {2, 3}
    load.verify()
    if target["backend"].startswith("stock"):
        assert any("in one go" in note for note in out["result"]["notes"])
        assert_adds_up(out)
    assert out["result"]["totals"]["moved"] >= mib(40)


@pytest.mark.long
def test_strays_are_not_settled_by_a_caller_that_may_not(top, spawn, name, engine):
    if engine:
        pytest.skip("the kernel settles")
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=(0, 1))
    if cpuset.version == 1:
        cpuset.write("cpuset.memory_migrate", "0")
        cpuset.set_mems("2-3")
    else:
        pytest.skip("memory follows wherever nodes change")
    out = confined(top, "settle", name(cpuset))
    assert out["exit"] == 4
    assert "the caller may use nodes 0 only" in out["error"]["message"]
    assert load.where("anon") == {0: mib(4), 1: mib(4)}


@pytest.mark.long
def test_cgroups_below(top, spawn, name):
    parent = top.mkdir("a", mems="0-1")
    child = parent.mkdir("b", mems="0-1" if parent.version == 1 else None)
    load = spawn(child)
    before = busy(load, [0, 1])
    told("move", name(parent), "--to", "0-1", "--map", "0:1,1:0")
    assert_went(load, before, {0: 1, 1: 0})


# ---- stopping, killing, controlling ----

SLOWLY = ["--rate", "5M", "-J"]


def begun(top, spawn, name, to, ways):
    """A move that has moved some of the pages."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(64), nodes=(0, 1), stripe=16)
    before = {"anon": load.pages("anon")}
    load.threads(3)
    load("work", writers=2, verifiers=1, rest=500)
    process = start("move", name(cpuset), "--to", to, "--map", pairs(ways), *SLOWLY)
    wait_until(lambda: load.pages("anon") != before["anon"], "the move to begin")
    return cpuset, load, before, process


def said_to_finish(out):
    (line,) = [line for line in out.splitlines() if line.startswith("to finish:")]
    return shlex.split(line.split(":", 1)[1])[1:]


@pytest.mark.long
def test_interrupted(top, spawn, name):
    ways = {0: 3, 1: 2}
    cpuset, load, before, process = begun(top, spawn, name, "2-3", ways)
    process.send_signal(signal.SIGINT)
    code, text_, _ = end(process)
    assert code == 5
    out = json.loads(text_)
    assert out["result"]["totals"]["left"] > 1 << 20
    assert_adds_up(out)
    assert cpuset.mems() == ([2, 3] if cpuset.version == 1 else [0, 1, 2, 3])
    load.verify()
    told("move", name(cpuset), "--to", "2-3", "--map", pairs(ways))
    assert cpuset.mems() == [2, 3]
    assert_went(load, before, ways)


@pytest.mark.long
def test_a_swap_that_is_interrupted(top, spawn, name):
    """Nobody can tell what was moved any more; all is allowed where it is."""
    ways = {0: 1, 1: 0}
    cpuset, load, before, process = begun(top, spawn, name, "0-1", ways)
    process.send_signal(signal.SIGINT)
    code, _, _ = end(process)
    assert code == 5 and cpuset.mems() == [0, 1]
    load.rest()
    load.verify()
    now = load.pages("anon")
    assert set(now) == {0, 1} and now != before["anon"]


@pytest.mark.long
def test_killed(top, spawn, name):
    ways = {0: 3, 1: 2}
    cpuset, load, before, process = begun(top, spawn, name, "2-3", ways)
    process.kill()
    end(process)
    assert cpuset.mems() == [0, 1, 2, 3]
    load.verify()
    job = json.loads(cgmigrate("report", "-J").stdout)["jobs"][-1]["job"]
    said = said_to_finish(cgmigrate("report", job).stdout)
    assert said == ["move", name(cpuset), "--to", "2-3", "--map", "0:3,1:2"]
    told(*said)
    assert cpuset.mems() == [2, 3]
    assert_went(load, before, ways)


@pytest.mark.long
def test_told_by_others(top, spawn, name, engine):
    """The process moves the pages, also where the kernel has the engine."""
    ways = {0: 1, 1: 0}
    cpuset, load, before, process = begun(top, spawn, name, "0-1", ways)
    assert told("pause", name(cpuset))["changed"]
    time.sleep(0.5)
    now = load.pages("anon")
    time.sleep(1)
    assert load.pages("anon") == now
    assert told("resume", name(cpuset))["changed"]
    wait_until(lambda: load.pages("anon") != now, "the move to go on")
    assert told("cancel", name(cpuset))["changed"]
    code, _, _ = end(process)
    assert code == 5 and cpuset.mems() == [0, 1]
    if engine:
        assert cpuset.read("hold") == "0"
    load.rest()
    load.verify()


# ---- room ----


@pytest.mark.long
def test_what_was_named_has_no_other_place(top, spawn, name):
    """Node 1 is nearly full: nothing goes to 2 instead, unless it has to."""
    cpuset = top.mkdir("a", mems="0")
    with nearly_full(spawn, 1, leave=mib(12)):
        load = spawn(cpuset)
        load.alloc("anon", mib(48), nodes=0)
        args = ["move", name(cpuset), "--to", "0-2", "--map", "0:1"]
        out = told(*args, code=4)
        assert "no room on nodes 1:" in out["error"]["message"]
        assert set(load.where("anon")) == {0}
        out = told(*args, "--force", code=3)
        assert set(load.where("anon")) == {0, 1} and cpuset.mems() == [0, 1, 2]
        stayed = load.where("anon")[0] * machine.PAGE
        assert out["result"]["totals"]["fail_nomem"] >= stayed
        assert_adds_up(out)
        room = machine.node_pages(1)
        assert room["free"] >= room["low"] - mib(1)
        load.verify()
