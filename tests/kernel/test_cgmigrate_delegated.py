# SPDX-License-Identifier: GPL-2.0
"""cgmigrate for nobody, who owns a subtree: what moves, what does not, and why."""

import os

import pytest

from ktest import machine
from ktest.command import assert_adds_up, cgmigrate, told
from ktest.delegation import AS_NOBODY, THEIRS, delegate, make_his
from ktest.machine import mib
from ktest.marks import later
from ktest.placement import assert_placed, misplaced
from ktest.process import NOBODY

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command"),
    pytest.mark.v2only("a v1 hierarchy is not delegated"),
    pytest.mark.alike,
]

SMALL = mib(4)


@pytest.fixture
def mine(top):
    cpuset = top.mkdir("mine", mems="0-3")
    delegate(cpuset)
    return cpuset


@pytest.fixture
def job(mine, spawn):
    """A process of nobody's on nodes 0 and 1, that works on memory of its own."""
    cpuset = make_his(mine, "a", "0-1")
    load = spawn(cpuset, prefix=THEIRS)
    assert os.stat(f"/proc/{load.pid}").st_uid == NOBODY
    load.alloc("anon", mib(8), nodes=(0, 1), stripe=16)
    load.alloc("shmem", SMALL, kind="shared", nodes=(0, 1), stripe=16)
    load.alloc("thp", SMALL, kind="thp", nodes=(0, 1), stripe=mib(2))
    load.threads(2)
    load("work", writers=1, verifiers=1, rest=500)
    return cpuset, load


def placed(load, regions=("anon", "shmem", "thp")):
    return {region: load.pages(region) for region in regions}


def stayed(out, **wanted):
    """Bytes of the rows with these members."""
    rows = out["targets"][0]["rows"]
    rows = [row for row in rows if wanted.items() <= row.items()]
    return sum(row["bytes"] for row in rows)


def notes(out):
    return " ".join(out["result"]["notes"])


@pytest.mark.parametrize("new", [[2, 3], [1, 2]], ids=["disjoint", "overlapping"])
def test_every_page_of_his_own_moves(job, name, engine, new):
    cpuset, load = job
    before = placed(load)

    result = cgmigrate(
        "move", name(cpuset), "--to", machine.format_list(new), **AS_NOBODY
    )

    # The code of libraries is everybody's: on stock it may stay on node 1.
    assert result.returncode in ((0,) if engine else (0, 3)), result
    assert cpuset.mems() == new
    assert_placed(load, before, [[0, 1], new])


@pytest.mark.parametrize(
    "new", [[2, 3], *later([1, 2])], ids=["disjoint", "overlapping"]
)
def test_into_another_one_of_his(mine, job, name, engine, new):
    """Who moves has to be allowed to write to what is above both ends, too."""
    cpuset, load = job
    other = make_his(mine, "b", new)
    args = ("move", load.pid, "--into", name(other))
    before = placed(load)
    os.chown(mine.file("procs"), 0, 0)
    result = cgmigrate(*args, **AS_NOBODY)
    assert result.returncode == 4, result
    assert f"{name(mine)}/cgroup.procs, which is above both" in result.stderr
    assert load.pid in cpuset.procs() and other.mems() == new
    assert placed(load) == before

    os.chown(mine.file("procs"), NOBODY, NOBODY)
    result = cgmigrate(*args, **AS_NOBODY)

    assert result.returncode in ((0,) if engine else (0, 3)), result
    assert load.pid in other.procs() and other.mems() == new
    assert_placed(load, before, [[0, 1], new])


def test_what_he_shares_is_told(job, name, engine):
    """Without the engine it stays where it may be, and the reason is named."""
    cpuset, load = job
    load.alloc("ours", SMALL, kind="shared", nodes=(0, 1), stripe=16)
    twin = load.fork()
    twin("touch", "ours")
    was = load.pages("ours")

    out = told(
        "move", name(cpuset), "--to", "1-2", code=0 if engine else 3, **AS_NOBODY
    )

    assert_adds_up(out)
    if engine:
        assert not misplaced(was, load.pages("ours"), [[0, 1], [1, 2]])
        return
    assert out["state"] == "partial" and cpuset.mems() == [1, 2]
    # Those outside were moved by the kernel, which asks nobody.
    assert set(load.pages("ours")) == {1}
    told_of = stayed(out, reason="fail_perm", kind="shmem")
    assert told_of >= was.count(1) * machine.PAGE
    text = cgmigrate("move", name(cpuset), "--to", "0-1", **AS_NOBODY).stdout
    assert "needs CAP_SYS_NICE" in text, text
    twin.close()
    # What it has written since the fork it has copied, wherever it ran.
    load.rest()
    load.verify()


def test_a_process_of_others_is_named(job, spawn, name, engine):
    """It can be in there because root put it there."""
    cpuset, load = job
    theirs = spawn(cpuset)
    theirs.alloc("memory", SMALL, nodes=(0, 1))
    before = placed(load)

    out = told("move", name(cpuset), "--to", "2-3", **AS_NOBODY)

    # The kernel takes it along in any case.
    assert set(theirs.where("memory")) == {2, 3}
    assert_placed(load, before, [[0, 1], [2, 3]])
    theirs.verify()
    if not engine:
        said = f"{theirs.pid}: is somebody else's, or closed to us, and CAP_SYS_PTRACE"
        assert said in notes(out) and "only the kernel could move them" in notes(out)


def test_what_only_its_owner_can_settle(mine, top, spawn, name, engine):
    """Root's process is born in his cgroup, with memory where that may have none."""
    here, home = make_his(mine, "a", "2-3"), top.mkdir("home", mems="0-1")
    parent = spawn(home)
    parent.alloc("memory", SMALL, nodes=(0, 1))
    child = parent.fork(cgroup=here)
    parent("rewrite", "memory")
    assert set(child.where("memory")) == {0, 1}

    out = told("settle", name(here), code=0 if engine else 3, **AS_NOBODY)

    if engine:
        assert set(child.where("memory")) <= {2, 3}
        return
    assert out["state"] == "partial"
    assert set(child.where("memory")) == {0, 1}
    assert f"{child.pid}: is somebody else's" in notes(out)
    assert "CAP_SYS_PTRACE is missing" in notes(out)
    assert "stay where they are" in notes(out)


def test_what_is_not_his(mine, top, spawn, name):
    """The files he would have to write are named."""
    other, inside = top.mkdir("other", mems="0-1"), make_his(mine, "a", "0-1")
    load = spawn(other)
    load.alloc("memory", SMALL, nodes=(0, 1))
    for cpuset in (mine, other):
        result = cgmigrate("move", name(cpuset), "--to", "2-3", **AS_NOBODY)
        assert result.returncode == 4, result
        said = f"{name(cpuset)}: no permission to write cpuset.mems: "
        assert said in result.stderr
    result = cgmigrate("move", load.pid, "--into", name(inside), **AS_NOBODY)
    assert result.returncode == 4, result
    assert f"{name(top)}/cgroup.procs, which is above both" in result.stderr
    assert set(load.where("memory")) == {0, 1}
