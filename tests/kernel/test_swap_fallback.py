# SPDX-License-Identifier: GPL-2.0
"""What has no place on the new nodes is swapped out, if that is wanted."""

import contextlib
import errno
import os

import pytest

from ktest import failures, machine
from ktest.cpusets import moved_by, reasons
from ktest.disks import swap_on
from ktest.failures import SLAB, Failing, span
from ktest.load import Memory, nearly_full
from ktest.machine import mib
from ktest.marks import later

JOB = mib(24)
ROOM = mib(2)
FULL = 1
SWAP_BYTES = 64 << 20
KNOB = f"{machine.KNOBS}/swap_fallback"


@contextlib.contextmanager
def allowed():
    """The administrator wants it."""
    assert machine.read(KNOB) == "0\n"
    machine.write(KNOB, "1")
    try:
        yield
    finally:
        machine.write(KNOB, "0")


@pytest.fixture
def swap(disk):
    with swap_on(f"{disk}/cpuset-migrate-swap-{os.getpid()}", SWAP_BYTES):
        yield


@pytest.fixture
def full_node(spawn):
    """Node 1 with ROOM pages free above its low watermark, that nobody can reclaim."""
    # Else reclaim takes what these tests themselves have there, and makes more room.
    assert machine.evacuate(FULL) in (0, errno.EAGAIN)
    # Nor does it swap out what has just come.
    with machine.settings({"/proc/sys/vm/swappiness": "0"}):
        with nearly_full(spawn, FULL, leave=ROOM) as (filler,):
            yield filler


@pytest.fixture
def load(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.cpuset = cpuset
    return load


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("anon", marks=pytest.mark.core),
        *later("thp"),
        "shared",
    ],
)
def test_goes_to_swap_and_comes_back(load, swap, full_node, kind):
    load.alloc("memory", JOB, kind=kind, nodes=0)

    with allowed():
        change = moved_by(load.cpuset, str(FULL))

    where = load.where("memory")
    assert 0 not in where, where
    assert where["absent"] > JOB // 2
    assert mib(2) < change["migrate_swapped"] <= where["absent"] + mib(1)
    # What has a file to go back to is not swapped.
    assert reasons(change).get("fail_nomem", 0) < mib(1)
    # Reclaim runs, and takes from the reserves what it needs itself.
    room = machine.node_pages(FULL)
    assert room["unused"] >= room["low"] - mib(1)

    full_node.close()
    load.verify()
    assert load.where("memory") == {FULL: JOB}


@pytest.mark.core
def test_comes_back_where_its_policy_says(load, swap, full_node):
    """There is room on another node of the set, but not of the policy."""
    load.cpuset.set_mems("0,2")
    load.alloc("memory", JOB)
    load("mbind", "memory", mode="bind", nodes="0")
    load("rewrite", "memory")
    assert load.where("memory") == {0: JOB}

    with allowed():
        change = moved_by(load.cpuset, f"{FULL},3")

    assert load("policy", "memory")["nodes"] == str(FULL)
    where = load.where("memory")
    assert set(where) <= {FULL, "absent"}, where
    assert where["absent"] > JOB // 2
    assert mib(2) < change["migrate_swapped"] <= where["absent"] + mib(1)
    full_node.close()
    load.verify()
    assert load.where("memory") == {FULL: JOB}


@pytest.mark.core
@pytest.mark.parametrize("kind", ["anon", *later("thp")])
def test_what_may_be_dropped(load, swap, full_node, kind):
    """MADV_FREE: it is as it was, or zeros; what was written since is as it was."""
    half = JOB // 2
    address = load.alloc("memory", JOB, kind=kind, nodes=0)
    load("advise", "memory", "free")
    load("rewrite", "memory", count=half)
    memory = Memory(load)
    size = JOB * machine.PAGE
    before = memory.read(address, size)

    with allowed():
        change = moved_by(load.cpuset, str(FULL))

    where = load.where("memory")
    assert where.get(0, 0) <= change["migrate_fail_nomem"]
    # It is for reclaim to find out what was written since; huge pages stay till then.
    assert kind == "anon" or where[0] > 0
    assert change["migrate_swapped"] <= half + mib(1)
    full_node.close()
    load("touch", "memory")
    after = memory.read(address, size)
    split = half * machine.PAGE
    assert after[:split] == before[:split]
    zeros = bytes(machine.PAGE)
    for at in range(split, size, machine.PAGE):
        page = after[at : at + machine.PAGE]
        assert page in (before[at : at + machine.PAGE], zeros), at // machine.PAGE
    load("rewrite", "memory", **{"from": half})
    load.verify()
    moved_by(load.cpuset)
    assert load.where("memory") == {FULL: JOB}


def test_only_what_has_no_place(load, swap, full_node):
    """There is room on another node of the set."""
    load.alloc("memory", JOB, nodes=0)

    with allowed():
        change = moved_by(load.cpuset, f"{FULL},2")

    assert change["migrate_swapped"] == 0
    assert set(load.where("memory")) <= {FULL, 2}
    load.verify()


def test_not_unless_it_is_wanted(load, swap, full_node):
    """What stays for want of room goes to swap as soon as that is wanted."""
    load.alloc("memory", JOB, nodes=0)

    change = moved_by(load.cpuset, str(FULL))

    assert change["migrate_swapped"] == 0
    stayed = load.where("memory")[0]
    assert JOB // 2 < stayed <= change["migrate_fail_nomem"]
    assert change["migrate_partial"] == 1
    load.verify()

    with allowed():
        change = moved_by(load.cpuset)
    assert change["migrate_swapped"] > stayed // 2
    assert 0 not in load.where("memory")
    full_node.close()
    load.verify()


def test_locked_memory_stays(load, swap, full_node):
    load.alloc("memory", JOB, nodes=0)
    load("lock", "memory")

    with allowed():
        change = moved_by(load.cpuset, str(FULL))

    where = load.where("memory")
    assert "absent" not in where
    assert where[0] <= change["migrate_fail_nomem"]
    assert change["migrate_partial"] == 1
    load.verify()


def test_without_swap(load, full_node):
    load.alloc("memory", JOB, nodes=0)

    with allowed():
        change = moved_by(load.cpuset, str(FULL))

    assert change["migrate_swapped"] == 0
    assert load.where("memory")[0] <= change["migrate_fail_nomem"]
    assert change["migrate_partial"] == 1
    load.verify()


@pytest.mark.core
def test_no_memory_to_remember_it(load, swap, full_node):
    """What is being written is not waited for; reclaim takes it when it is done."""
    failures.need()
    load.alloc("memory", JOB, kind="shared", nodes=0)

    with allowed(), Failing(SLAB, span("cm_swap_out")) as failing:
        change = moved_by(load.cpuset, str(FULL))
        assert failing.hits()

    assert change["migrate_swapped"] > 0
    assert load.where("memory").get(0, 0) <= change["migrate_fail_nomem"]
    full_node.close()
    load.verify()
    moved_by(load.cpuset)
    assert load.where("memory") == {FULL: JOB}


@pytest.mark.long
@pytest.mark.v2only("memory.swap.max")
def test_the_limit_of_the_group_holds(root, top, spawn, swap, full_node):
    for cgroup in (root, top):
        if "memory" not in cgroup.read("cgroup.controllers").split():
            pytest.skip("the memory controller is not in this hierarchy")
        cgroup.write("cgroup.subtree_control", "+memory")
    cpuset = top.mkdir("a", mems="0")
    if not cpuset.has("memory.swap.max"):
        pytest.skip("the kernel does not account for swap")
    load = spawn(cpuset)
    load.alloc("memory", JOB, nodes=0)
    cpuset.write("memory.swap.max", 0)

    with allowed():
        change = moved_by(cpuset, str(FULL))

    # What it had before it came here is charged elsewhere.
    assert change["migrate_swapped"] < mib(1)
    assert load.where("memory")[0] > mib(4)
    assert "absent" not in load.where("memory")
    assert int(cpuset.read("memory.swap.current")) == 0
    load.verify()


@pytest.mark.core
@pytest.mark.long
def test_while_it_is_used(load, swap, full_node):
    """Who writes and forks meanwhile loses nothing, and the account adds up."""
    load.alloc("memory", JOB, nodes=0)
    load.alloc("shared", mib(4), kind="shared", nodes=0)
    load("work", writers=1, verifiers=1, rest=2000)
    load("churn", threads=1, ops="pageout,fork", rest=500)

    with allowed():
        moved_by(load.cpuset, str(FULL))
        # While its memory is being freed, who needs some on that node could be
        # killed for want of it: the filler outlives that need.
        moved_by(load.cpuset, "2-3")
        full_node.close()

    load.calm()
    load.rest()
    load.verify()
    moved_by(load.cpuset)
    assert set(load.where("memory")) <= {2, 3, "absent"}


@pytest.mark.parametrize("text", ["2", "", "maybe", "-1"])
def test_knob_refuses(text):
    with pytest.raises(OSError) as refusal:
        machine.write(KNOB, text + "\n")
    assert refusal.value.errno == errno.EINVAL
    assert machine.read(KNOB) == "0\n"
