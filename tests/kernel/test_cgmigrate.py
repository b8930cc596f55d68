# SPDX-License-Identifier: GPL-2.0
"""The cgmigrate command on real memory, every page against the oracle.

On a stock kernel these run with the tests of its defects: what the kernel's own
move gets wrong there (relative place of threads, full destinations), the command
has to get right.
"""

import json
import os
import pty
import re
import signal
import subprocess

import pytest

from ktest import machine
from ktest.command import (
    COMMAND,
    assert_adds_up,
    busy,
    cgmigrate,
    end,
    start_slowly,
    told,
    wait_for_start,
)
from ktest.cpusets import engine_files, wait_until
from ktest.load import nearly_full
from ktest.machine import mib
from ktest.marks import later
from ktest.placement import assert_placed, misplaced

pytestmark = [pytest.mark.defect("command"), pytest.mark.usefixtures("command")]


CHANGES = [
    ([0, 1], [1, 2]),
    pytest.param([0, 1, 2], [1, 2, 3], marks=pytest.mark.long),
    pytest.param([0, 1, 2, 3], [1, 2], marks=pytest.mark.long),
    pytest.param([0, 1], [2, 3], marks=pytest.mark.long),
    pytest.param([1, 2], [0, 1], marks=pytest.mark.long),
    pytest.param([0, 1, 2], [3], marks=pytest.mark.long),
    pytest.param([1], [0, 1, 2, 3], marks=pytest.mark.long),
]


@pytest.mark.parametrize(
    "old, new", CHANGES, ids=lambda nodes: "".join(map(str, nodes))
)
def test_every_page_keeps_its_relative_place(top, spawn, name, old, new):
    """Also with threads, and with shared memory: the stock kernel moves those twice."""
    cpuset = top.mkdir("a", mems=machine.format_list(old))
    load = spawn(cpuset)
    before = busy(load, old)

    out = told("move", name(cpuset), "--to", machine.format_list(new))

    assert out["state"] == "done" and out["changed"] is True
    assert cpuset.mems() == new
    assert_placed(load, before, [old, new])
    assert_adds_up(out)
    flows = out["targets"][0]["flows"]
    if flows:
        assert out["result"]["totals"]["moved"] > 0
    assert sum(row["bytes"] for row in flows) == out["targets"][0]["bytes"]


@pytest.mark.long
def test_processes_that_share_memory(top, spawn, name):
    """Overlapping sets: a page that two processes map moves once."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("shared", mib(8), kind="shared", nodes=(0, 1), stripe=16)
    load.alloc("inherited", mib(8), nodes=(0, 1), stripe=16)
    before = {r: load.pages(r) for r in ("shared", "inherited")}
    children = [load.fork(), load.fork()]
    for child in children:
        child("touch", "shared")

    told("move", name(cpuset), "--to", "1-2")

    assert_placed(load, before, [[0, 1], [1, 2]])
    for child in children:
        for region, was in before.items():
            assert not misplaced(was, child.pages(region), [[0, 1], [1, 2]])
        child.verify()


def test_children_move_with_their_parent(top, spawn, name):
    parent = top.mkdir("a", mems="0-1")
    if parent.version == 1:
        parent.mkdir("b", mems="0-1")
        text = told("move", name(parent), "--to", "2-3", code=4)["error"]["message"]
        assert "its child" in text and parent.mems() == [0, 1]
        return
    child = parent.mkdir("b")
    grandchild = child.mkdir("c", controlled=False)
    loads = [spawn(cpuset) for cpuset in (grandchild, child)]
    befores = [busy(load, [0, 1], mib(2)) for load in loads]

    told("move", name(parent), "--to", "2-3")

    assert child.mems() == [2, 3]
    for load, before in zip(loads, befores):
        assert_placed(load, before, [[0, 1], [2, 3]])


def test_huge_pages(top, spawn, name):
    cpuset = top.mkdir("a", mems="0-1")
    pools = [f"{machine.NODE}/node{n}/hugepages/hugepages-2048kB" for n in (0, 1, 2, 3)]
    try:
        for pool in pools:
            machine.write(f"{pool}/nr_hugepages", "4")
        load = spawn(cpuset)
        load.alloc("huge", mib(8), kind="hugetlb", nodes=(0, 1))
        before = {"huge": load.pages("huge")}
        out = told("move", name(cpuset), "--to", "2-3")
        rows = [r for r in out["targets"][0]["rows"] if r["kind"] == "hugetlb"]
        assert sum(r["bytes"] for r in rows) == 8 << 20
        assert_placed(load, before, [[0, 1], [2, 3]])
        load.close()
    finally:
        for pool in pools:
            machine.write(f"{pool}/nr_hugepages", "0")


def test_show_tells_the_truth(top, spawn, name):
    cpuset = top.mkdir("a", mems="0-2")
    load = spawn(cpuset)
    load.alloc("anon", mib(12), nodes=(0, 1, 2))
    load.alloc("shared", mib(6), kind="shared", nodes=(0, 2))
    cpuset.set_mems("0-2")

    (target,) = told_show(load.pid)
    kinds = target["placement"]["kinds"]
    for node, pages in load.where("shared").items():
        assert 0 <= kinds["shmem"][str(node)] - pages * machine.PAGE <= 64 << 10
    for node, pages in load.where("anon").items():
        assert 0 <= kinds["anon"][str(node)] - pages * machine.PAGE <= 4 << 20
    mapped = machine.mapped(load.pid)
    for node, total in target["placement"]["nodes"].items():
        assert abs(total - mapped.get(int(node), 0) * machine.PAGE) <= 64 << 10

    (target,) = told_show(name(cpuset))
    assert target["mems"] == "0-2" and target["cgroup"] == name(cpuset)


def numa_stat(cpuset):
    """What the memory controller has of a cgroup: {kind: {node: bytes}}."""
    found = {}
    for line in cpuset.read("memory.numa_stat").splitlines():
        key, *pairs = line.split()
        split = (pair.removeprefix("N").split("=") for pair in pairs)
        found[key] = {node: int(value) for node, value in split}
    found["file"] = {
        node: value - found["shmem"][node] for node, value in found["file"].items()
    }
    return {kind: found[kind] for kind in ("anon", "file", "shmem")}


def shown_and_charged(cpuset, path):
    """What the command and the memory controller say of a cgroup, at one time."""
    before, charged = None, numa_stat(cpuset)
    while before != charged:
        before = charged
        (target,) = told_show(path)
        charged = numa_stat(cpuset)
    return target["placement"], charged


def without_empty(nodes):
    return {node: value for node, value in nodes.items() if value}


@pytest.mark.v2only("memory is charged to cgroups of the same hierarchy")
def test_show_agrees_with_the_memory_controller(charged, spawn, name, disk):
    """Node by node, before a move and after it, also of what nobody maps."""
    cpuset = charged("a", mems="0-1")
    load = spawn(into=cpuset)
    path = f"{disk}/cpuset-migrate-show-{os.getpid()}"
    try:
        load.alloc("anon", mib(12), nodes=(0, 1))
        load.alloc("shmem", mib(6), kind="shared", nodes=(0, 1))
        load.alloc("file", mib(4), kind="file", path=path, nodes=(0, 1))
        load.alloc("hidden", mib(2), kind="memfd", nodes=0)
        load("hide", "hidden")
        for mems in ("0-1", "2-3"):
            if mems != "0-1":
                told("move", name(cpuset), "--to", mems)
                if engine_files(cpuset):
                    # Cache that nobody maps comes last.
                    cpuset.wait_idle()

            placement, charge = shown_and_charged(cpuset, name(cpuset))

            assert placement["source"] == "charged"
            total = {}
            for kind, nodes in charge.items():
                shown = placement["kinds"].get(kind, {})
                assert without_empty(shown) == without_empty(nodes), kind
                for node, value in nodes.items():
                    total[node] = total.get(node, 0) + value
                for node, pages in load.where(kind).items():
                    # What CPUs have not added to it yet.
                    least = (pages - mib(1)) * machine.PAGE
                    assert nodes[str(node)] >= least, (kind, node)
            assert without_empty(placement["nodes"]) == without_empty(total)
        load.verify("anon")
    finally:
        if os.path.exists(path):
            os.unlink(path)


def test_show_marks_what_is_locked_and_huge(top, spawn):
    load = spawn(top.mkdir("a", mems="0"))
    huge = load.alloc("huge", mib(4), kind="thp", nodes=0)
    locked = load.alloc("locked", mib(2), lock=1, nodes=0)

    (target,) = told_show(load.pid, "--by", "vma")
    found = {}
    for vma in target["vmas"]:
        for address in huge, locked:
            if int(vma["start"], 16) <= address < int(vma["end"], 16):
                found[address] = vma
    assert found[huge]["huge"] >= 4 << 20 and found[huge]["locked"] == 0
    assert found[locked]["locked"] >= 2 << 20
    assert target["huge"] >= 4 << 20 and target["locked"] >= 2 << 20
    for vma in target["vmas"]:
        assert vma["locked"] in (0, vma["placement"]["total"])


def test_policies_are_told_and_rebound(top, spawn, name):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    for region, flag in (("bound", {}), ("fixed", {"flag": "static"})):
        load.alloc(region, mib(2))
        load("mbind", region, mode="bind", nodes="1", **flag)
        load("rewrite", region)

    out = told("move", name(cpuset), "--to", "2-3")

    notes = [note["message"] for note in out["notes"]]
    binds = f"{load.pid} (numaload) binds 1 mapping to nodes 1: "
    assert binds + "rebound with the cpuset" in notes
    assert any(note.startswith(binds + "static, stays so, though") for note in notes)
    assert load("policy", "bound")["nodes"] == "3"
    assert load("policy", "fixed")["nodes"] == "1"


def told_show(*args):
    result = cgmigrate("show", *args, "-J")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["targets"]


@pytest.mark.parametrize(
    "new", [[2, 3], *later([1, 2])], ids=["disjoint", "overlapping"]
)
def test_into(top, spawn, name, new):
    here = top.mkdir("a", mems="0-1")
    there = top.mkdir("b", mems=machine.format_list(new))
    load = spawn(here)
    before = busy(load, [0, 1])

    out = told("move", load.pid, "--into", name(there))

    assert load.pid in there.procs() and there.mems() == new
    assert_placed(load, before, [[0, 1], new])
    assert_adds_up(out)
    again = told("move", load.pid, "--into", name(there))
    assert again["state"] == "unchanged" and again["changed"] is False


@pytest.mark.long
def test_into_disturbs_nobody_there(top, spawn, name):
    here, there = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    resident, load = spawn(there), spawn(here)
    resident.alloc("own", mib(8), nodes=(2, 3), stripe=16)
    before = resident.pages("own")
    load.alloc("anon", mib(8), nodes=(0, 1))

    told("move", name(here), "--into", name(there))

    assert resident.pages("own") == before
    assert here.procs() == [] and set(load.where("anon")) == {2, 3}


@pytest.fixture
def parent(top):
    """A process that has children all the time."""
    loop = "while :; do sleep 1000 & sleep 0.02; done"
    with subprocess.Popen(["sh", "-c", loop]) as process:
        yield process
        process.kill()


@pytest.mark.long
def test_into_with_who_is_born_meanwhile(top, parent, name):
    """Also those who are born before their parent's turn comes."""
    here, there = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    here.attach(parent.pid)
    wait_until(lambda: len(here.procs()) > 5, "children")

    result = cgmigrate("move", name(here), "--into", name(there))

    assert result.returncode == 0, result
    assert here.procs() == [] and parent.pid in there.procs()


def test_pid_alone_in_its_cgroup(top, spawn, name):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(4), nodes=0)
    told("move", load.pid, "--to", "3")
    assert cpuset.mems() == [3] and set(load.where("anon")) == {3}

    other = spawn(cpuset)
    out = told("move", load.pid, "--to", "2", code=4)
    assert "shares its cgroup" in out["error"]["message"]
    assert cpuset.mems() == [3]
    other.close()


@pytest.mark.v2only("a process can be born in another cgroup")
def test_settle_brings_strays_in(top, spawn, name):
    """A process that is born in another cgroup leaves its memory behind."""
    home, abroad = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(home)
    load.alloc("anon", mib(8), nodes=(0, 1))
    child = load.fork(cgroup=abroad)
    child("rewrite", "anon", count=mib(1))
    # What the parent has a copy of now is the child's alone, and where it was.
    load("rewrite", "anon", count=mib(2))
    strays = told_show(child.pid)[0]["placement"]["stray"]
    assert strays > 4 << 20

    out = told("settle", name(abroad))

    assert out["targets"][0]["action"] == "settle"
    assert set(child.where("anon")) <= {2, 3} or engine_files(abroad)
    for each in (load, child):
        each.verify()
    assert told_show(child.pid)[0]["placement"]["stray"] <= strays - (1 << 20)


# ---- stopping, killing, waiting ----


def slow_move(cpuset, engine, name, load, *more):
    """A move that takes long enough to be interrupted, and how to let it go on."""
    load.alloc("anon", mib(64), nodes=(0, 1))
    return start_slowly(cpuset, name(cpuset), engine, "-J", *more)


def test_interrupt_stops_and_reports(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    process = slow_move(cpuset, engine, name, load)
    wait_for_start(cpuset, engine)

    process.send_signal(signal.SIGINT)
    code, text, _ = end(process)

    assert code == 5
    out = json.loads(text)
    assert out["state"] == "cancelled" and out["result"]["totals"]["left"] > 1 << 20
    assert_adds_up(out)
    load.verify()
    if engine:
        assert cpuset.mems() == [2, 3]
        cpuset.write("hold", "0")
        told("settle", name(cpuset))
    else:
        assert cpuset.mems() == ([0, 1, 2, 3] if cpuset.version == 2 else [2, 3])
        told("move" if cpuset.version == 2 else "settle", name(cpuset), *rest(cpuset))
    load.verify()
    assert set(load.where("anon")) <= {2, 3} and cpuset.mems() == [2, 3]


def rest(cpuset):
    return ["--to", "2-3"] if cpuset.version == 2 else []


def test_killed_it_leaves_a_valid_cpuset(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    process = slow_move(cpuset, engine, name, load)
    wait_for_start(cpuset, engine)

    process.kill()
    end(process)

    if engine:  # the kernel goes on by itself
        cpuset.write("hold", "0")
        cpuset.wait_idle()
    else:
        assert cpuset.mems() == [0, 1, 2, 3]
        load.verify()
        told("move", name(cpuset), "--to", "2-3")
    assert cpuset.mems() == [2, 3] and set(load.where("anon")) == {2, 3}
    load.verify()


def test_timeout(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    process = slow_move(cpuset, engine, name, load, "--timeout", "700ms")
    code, text, _ = end(process)
    out = json.loads(text)
    assert code == 6 and out["exit"] == 6 and out["state"] == "running"
    # It goes on: in the kernel, or in a process that was left behind.
    assert cgmigrate("wait", name(cpuset), "--timeout", "100ms").returncode == 6
    if engine:
        cpuset.write("hold", "0")
    assert cgmigrate("wait", name(cpuset)).returncode == 0
    assert cpuset.mems() == [2, 3] and set(load.where("anon")) == {2, 3}
    load.verify()


@pytest.mark.long
def test_timeout_that_cancels(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    stop = ("--timeout", "700ms", "--cancel-on-timeout")
    process = slow_move(cpuset, engine, name, load, *stop)
    code, text, _ = end(process)
    out = json.loads(text)
    assert code == 6 and out["state"] == "timeout"
    assert out["result"]["totals"]["left"] > 1 << 20
    assert_adds_up(out)
    assert set(load.where("anon")) & {0, 1}
    load.verify()


def test_no_wait(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(32), nodes=(0, 1))
    if engine:
        cpuset.write("hold", "1")

    out = told("move", name(cpuset), "--to", "2-3", "--no-wait")

    assert out["state"] == "running"
    if engine:
        assert cpuset.mems() == [2, 3] and cpuset.stat()["migrate_pending"]
        cpuset.write("hold", "0")
        assert cgmigrate("wait", name(cpuset)).returncode == 0
    else:
        wait_until(lambda: cpuset.mems() == [2, 3], "the process left behind")
    assert set(load.where("anon")) == {2, 3}
    load.verify()


def test_somebody_else_writes(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    process = slow_move(cpuset, engine, name, load)
    wait_for_start(cpuset, engine)

    cpuset.set_mems("0-3", nonblock=True)
    cpuset.set_mems("1,3", nonblock=True)
    if engine:
        cpuset.write("hold", "0")
    code, text, _ = end(process)

    assert code == 7 and json.loads(text)["state"] == "superseded"
    assert cpuset.mems() == [1, 3]
    load.verify()


def test_dry_run_changes_nothing(top, spawn, name):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=(0, 1))
    out = told("move", name(cpuset), "--to", "2-3", "--dry-run")
    assert out["state"] == "planned" and out["targets"][0]["bytes"] >= 8 << 20
    assert cpuset.mems() == [0, 1] and set(load.where("anon")) == {0, 1}


def test_nothing_to_do(top, name):
    cpuset = top.mkdir("a", mems="0-1")
    out = told("move", name(cpuset), "--to", "0-1")
    assert out["state"] == "unchanged" and out["changed"] is False


# ---- room, pins, privilege ----


@pytest.fixture
def full_node(spawn):
    """Node 1 with 12 MiB free above its low watermark."""
    with nearly_full(spawn, 1, leave=mib(12)) as (filler,):
        yield filler


@pytest.mark.long
def test_full_node_uses_the_others(top, spawn, name, full_node):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(48), nodes=0)

    out = told("move", name(cpuset), "--to", "1-2")

    where = load.where("anon")
    assert 0 not in where and where[2] > sum(where.values()) / 2
    room = machine.node_pages(1)
    assert room["free"] >= room["low"] - mib(1)
    assert out["result"]["totals"]["fail_nomem"] == 0
    load.verify()


@pytest.mark.long
def test_no_room_is_refused_and_forced_is_partial(top, spawn, name, full_node, engine):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(48), nodes=0)
    kills = machine.vmstat("oom_kill")

    out = told("move", name(cpuset), "--to", "1", code=4)
    assert "no room" in out["error"]["message"] and cpuset.mems() == [0]

    out = told("move", name(cpuset), "--to", "1", "--force", code=3)
    assert out["state"] == "partial"
    stayed = load.where("anon")[0] * machine.PAGE
    assert stayed > 20 << 20
    assert abs(out["result"]["totals"]["fail_nomem"] - stayed) <= 8 << 20
    assert_adds_up(out)
    room = machine.node_pages(1)
    assert room["free"] >= room["low"] - mib(1)
    assert machine.vmstat("oom_kill") == kills
    load.verify()
    if not engine and cpuset.version == 2:
        assert cpuset.mems() == [0, 1]
        assert "no room for the rest" in " ".join(out["result"]["notes"])
    else:
        assert cpuset.mems() == [1]


def test_pinned_pages_stay_and_are_named(top, spawn, name):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=0)
    load("pin", "anon", **{"from": 0, "count": 64})

    out = told("move", name(cpuset), "--to", "2", code=3)

    assert out["result"]["totals"]["fail_pinned"] == 64 * machine.PAGE
    assert load.where("anon") == {0: 64, 2: mib(8) - 64}
    row = [r for r in out["targets"][0]["rows"] if r["reason"] == "fail_pinned"]
    assert sum(r["bytes"] for r in row) == 64 * machine.PAGE
    load("unpin")
    told("settle", name(cpuset))
    assert load.where("anon") == {2: mib(8)}


@pytest.mark.long
def test_whose_pinned_pages_are(top, spawn, name):
    """Also on stock v2, where the cpuset keeps the old node for what stayed."""
    cpuset = top.mkdir("a", mems="0")
    other, load = spawn(cpuset), spawn(cpuset)
    other.alloc("anon", mib(8), nodes=0)
    load.alloc("before", mib(8), nodes=0)
    address = load.alloc("anon", mib(8), kind="shared", nodes=0)
    load("pin", "anon", **{"from": 0, "count": mib(4)})

    out = told("move", name(cpuset), "--to", "2", code=3)

    owner = out["result"]["owners"][0]
    assert owner["pid"] == load.pid and owner["command"] == "numaload"
    assert owner["bytes"] > 3 << 20
    vma = owner["vmas"][0]
    assert vma["bytes"] == 4 << 20 and vma["kind"] == "shmem"
    assert int(vma["start"], 16) == address
    result = cgmigrate("report", out["job"])
    lines = result.stdout.splitlines()
    at = lines.index("mostly of:")
    assert lines[at + 1].split()[:2] == [str(load.pid), "numaload"]
    assert lines[at + 2].split()[0] == vma["start"]
    load("unpin")
    load.verify()


def test_without_permission_nothing_changes(top, name):
    cpuset = top.mkdir("a", mems="0-1")
    result = cgmigrate("move", name(cpuset), "--to", "2-3", user=65534, group=65534)
    assert result.returncode == 4
    assert "no permission to write cpuset.mems" in result.stderr
    assert cpuset.mems() == [0, 1]


def terminal_output(fd, until=None):
    """What is written to a terminal, up to some words or to its end."""
    seen = b""
    while until is None or until not in seen:
        try:
            seen += os.read(fd, 4096)
        except OSError:  # the last writer has closed it
            break
    return seen


def test_progress_on_a_terminal(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(64), nodes=(0, 1))
    if engine:
        cpuset.write("hold", "1")
    rate = [] if engine else ["--rate", "30M"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "move", name(cpuset), "--to", "2-3", *rate],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    seen = terminal_output(ours, until=b"held" if engine else None)
    if engine:
        cpuset.write("hold", "0")
        seen += terminal_output(ours)
    code, out, _ = end(process)
    assert code == 0 and "done:" in out
    text = seen.decode()
    assert re.search(r"\r  \S+ of \d+\.\d[KMG]  \d+%  \S+/s", text), text
    if engine:
        assert "  held\x1b" in text
    else:
        assert re.search(r"ETA \d+:\d\d", text), text
    assert text.endswith("\r\x1b[K")


def test_without_a_terminal_there_is_no_progress(top, spawn, name):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(4), nodes=(0, 1))
    result = cgmigrate("move", name(cpuset), "--to", "2-3")
    assert result.returncode == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{name(cpuset)}: nodes 0-1 -> 2-3, 1 process")
    assert lines[-1].startswith("done: ")


@pytest.mark.long
@pytest.mark.timing
def test_stall_bound_is_followed(top, spawn, name, engine):
    """A tighter bound makes smaller batches: stock kernels only."""
    if engine:
        pytest.skip("the engine has a bound of its own")
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(32), nodes=0)

    def longest(node, bound):
        """The longest batch, as the command measured it, in microseconds."""
        out = told("move", name(cpuset), "--to", node, "--max-stall", bound)
        assert set(load.where("anon")) == {node}
        return out["result"]["max_batch_usec"]

    # Whatever else the machine does makes a batch longer, so the best try counts.
    tight, loose = [], []
    for _ in range(3):
        tight.append(longest(1, "500us"))
        loose.append(longest(0, "8ms"))
    print(f"longest batch: 500us {tight}, 8ms {loose}")
    load.verify()
    assert 0 < min(tight) < min(loose)


@pytest.mark.long
def test_busy_pages_are_tried_again(top, spawn, name, engine):
    """What is pinned when it is met, and is not any more when all else has moved."""
    if engine:
        pytest.skip("there the kernel tries again, not the command")
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(64), nodes=(0, 1))
    load("pin", "anon", **{"from": 0, "count": 64})
    process = start_slowly(cpuset, name(cpuset), engine, "-J")
    wait_for_start(cpuset, engine)
    # It has met them when those behind them have begun to move.
    wait_until(lambda: load.where("anon", count=mib(1)).get(2), "pages to move")
    assert load.where("anon", count=64) == {0: 64}

    load("unpin")
    code, text, _ = end(process)

    out = json.loads(text)
    totals = out["result"]["totals"]
    assert code == 0 and out["state"] == "done"
    assert not {k: v for k, v in totals.items() if k.startswith("fail") and v}
    assert load.where("anon", count=64) == {2: 64}
    assert set(load.where("anon")) == {2, 3} and cpuset.mems() == [2, 3]
    load.verify()


@pytest.mark.long
@pytest.mark.v2only("cgroup.subtree_control")
def test_children_that_were_given_the_controller(top, spawn, name):
    """A stock kernel does not know where all but one of them were before."""
    parent = top.mkdir("p")
    children = [parent.mkdir(child, controlled=False) for child in "xy"]
    loads = [spawn(child) for child in children]
    for load in loads:
        load.alloc("memory", mib(8), nodes=0)
    parent.control()

    for nodes in ([1], [2, 3]):
        for child, load in zip(children, loads):
            told("move", name(child), "--to", machine.format_list(nodes))
            assert child.mems() == nodes
            assert set(load.where("memory")) <= set(nodes)
            load.verify()
