# SPDX-License-Identifier: GPL-2.0
"""Several threads of the kernel that move one address space."""

import contextlib
import errno
import glob
import itertools
import re
import time

import pytest

from ktest import machine
from ktest.cpusets import Since, accounted, moved_by, wait_until
from ktest.machine import Trace, mib
from ktest.process import refused
from ktest.timing import Repeated, timed

KNOB = f"{machine.KNOBS}/workers"
CHUNK = "cpuset_migrate_chunk"
# Two rounds of four.
PAGES = mib(64)
LARGE = mib(256)
# Moves to look at, and at most, until CPUs of the guest ran at the same time.
FEW, MANY = 3, 6


@pytest.fixture(autouse=True)
def four():
    before = machine.read(KNOB)
    machine.write(KNOB, "4")
    yield
    machine.write(KNOB, before)


@pytest.mark.parametrize("value", ["0", "65", "-1", "x", "2.5", "18446744073709551617"])
def test_bad_input_changes_nothing(value):
    assert refused(machine.write, KNOB, value) == errno.EINVAL
    assert machine.read(KNOB).strip() == "4"


@pytest.mark.core
@pytest.mark.parametrize("kind", ["anon", "thp", "shared"])
def test_every_page_moves_once(top, spawn, kind):
    """While it is written, read, forked and unmapped, and everything is counted."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind=kind, nodes=(0, 1), stripe=mib(2))
    load("work", writers=1, verifiers=1, rest=500)

    for mems in ("2-3", "1-2", "0-1"):
        change = moved_by(cpuset, mems)
        first, second = machine.parse_list(mems)
        assert load.where("memory") == {first: PAGES // 2, second: PAGES // 2}
        assert PAGES <= change["migrate_moved"] < PAGES + mib(24)
        assert change["migrate_total"] == 1
    load.rest()
    load.verify()


@pytest.mark.core
def test_held_and_released(top, spawn):
    """Where it was held it goes on, with nothing left out or moved twice."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=(0, 1))

    # A limit would have one worker do it alone, so it is met when it is at full speed.
    for turn in range(20):
        mems = ("1-2", "2-3", "0-1")[turn % 3]
        caught, change = hold_midway(cpuset, load, mems)
        first, second = machine.parse_list(mems)
        assert load.where("memory") == {first: PAGES // 2, second: PAGES // 2}
        assert PAGES <= change["migrate_moved"] < PAGES + mib(16)
        assert change["migrate_scanned"] == accounted(change)
        if caught:
            break
    assert caught
    load.verify()


def hold_midway(cpuset, load, mems):
    """Hold a move once something has moved, and let it go on; what it gained.

    Also says whether it had not ended by then; nothing moves while it is held.
    """
    since = Since(cpuset)
    cpuset.set_mems(mems, nonblock=True)
    since.wait_moved(1)
    cpuset.write("hold", "1")
    wait_until(
        lambda: cpuset.stat()["migrate_pending"] == cpuset.stat()["migrate_held"],
        "the job to be held or to end",
    )
    held, account = load.pages("memory"), since.gained()
    caught = account["migrate_held"] == 1 and account["migrate_moved"] < PAGES
    if caught:
        time.sleep(0.2)
        assert load.pages("memory") == held
        assert since.gained() == account
    cpuset.write("hold", "0")
    cpuset.wait_idle()
    return caught, since.gained()


@pytest.mark.core
def test_another_change_meanwhile(top, spawn):
    """0 to 1 to 2 and 1 to 2 to 3, wherever the first change was by then."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=500)
    for _ in range(3):
        cpuset.set_mems("1-2", nonblock=True)
        cpuset.set_mems("2-3")
        assert load.where("memory") == {2: PAGES // 2, 3: PAGES // 2}
        moved_by(cpuset, "0-1")
        assert load.where("memory") == {0: PAGES // 2, 1: PAGES // 2}
    load.rest()
    load.verify()


@pytest.mark.core
@pytest.mark.debug
def test_dies_while_it_moves(top, spawn):
    """As many as it takes, until one has not moved as a whole."""
    for turn in range(20):
        cpuset = top.mkdir(f"a{turn}", mems="0")
        load = spawn(cpuset)
        load.alloc("memory", PAGES, nodes=0)
        since = Since(cpuset)
        cpuset.set_mems("1", nonblock=True)
        since.wait_moved(1)
        cpuset.kill()
        cpuset.wait_idle()
        change = since.gained()
        assert (change["migrate_start"], change["migrate_total"]) == (1, 1)
        ends = sum(change[f"migrate_{end}"] for end in ("done", "partial", "stopped"))
        assert ends == 1
        assert change["migrate_scanned"] == accounted(change)
        if change["migrate_moved"] < PAGES:
            break
    assert change["migrate_moved"] < PAGES


@pytest.mark.v2only("cpu.max")
def test_who_keeps_mmap_lock_keeps_no_worker(root, top, spawn):
    """Processes that hardly run, most of the time with mmap_lock taken for writing."""
    for cgroup in (root, top):
        if "cpu" not in cgroup.read("cgroup.controllers").split():
            pytest.skip("the cpu controller is not in this hierarchy")
        cgroup.write("cgroup.subtree_control", "+cpu")
    slow, other = top.mkdir("slow", mems="0"), top.mkdir("other", mems="0")
    stuck = [spawn(slow) for _ in range(6)]
    for each in stuck:
        each.alloc("memory", mib(1), nodes=0)
        each("churn", threads=4, ops="mprotect,mmap")
    load = spawn(other)
    load.alloc("memory", mib(4), nodes=0)
    slow.write("cpu.max", "1000 1000000")

    slow.set_mems("1", nonblock=True)
    for mems in "121212":
        moved_by(other, mems)
        assert load.where("memory") == {int(mems): mib(4)}
    assert slow.stat()["migrate_pending"] > 0

    slow.write("cpu.max", "max 100000")
    slow.wait_idle()
    for each in stuck:
        each("calm")
        assert each.where("memory") == {1: mib(1)}
        each.verify()


class Lowest:
    """The fewest free pages of a node while this is open, beside its low watermark."""

    def __init__(self, node):
        self.node = node
        self.low = machine.node_pages(node)["low"]
        self.fewest = machine.node_pages(node)["unused"]

    def __enter__(self):
        self._looks = Repeated(self._look, 0.001)
        return self

    def _look(self):
        self.fewest = min(self.fewest, machine.node_pages(self.node)["unused"])

    def __exit__(self, *_exc):
        self.looks = len(self._looks.stop())


def test_many_leave_the_low_watermark_alone(top, spawn, fill_node):
    """All workers of several processes go to one node, which has not enough room."""
    room, each = mib(12), mib(16)
    cpuset = top.mkdir("a", mems="0")
    loads = [spawn(cpuset) for _ in range(4)]
    for load in loads:
        load.alloc("memory", each, nodes=0)
    fill_node(1, room)
    killed = machine.vmstat("oom_kill")

    with Lowest(1) as seen:
        change = moved_by(cpuset, "1")

    assert seen.looks > 10
    assert seen.fewest >= seen.low - machine.counter_drift(), vars(seen)
    at_end = machine.node_pages(1)
    assert at_end["unused"] >= at_end["low"]
    stayed = sum(load.where("memory").get(0, 0) for load in loads)
    assert stayed
    assert stayed <= change["migrate_fail_nomem"] < stayed + mib(8)
    assert machine.vmstat("oom_kill") == killed
    for load in loads:
        load.verify()


def test_who_allocates_there_does_not_reclaim(top, spawn, fill_node):
    """Also when all that there was above the low watermark has been taken."""
    cpuset, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="1")
    load, bystander = spawn(cpuset), spawn(other)
    load.alloc("memory", PAGES, nodes=0)
    fill_node(1, mib(12))
    stalls = direct_reclaims()
    bystander("churn", threads=1, ops="mmap")

    change = moved_by(cpuset, "1")

    assert int(bystander.calm()["done"]) > 10
    assert change["migrate_fail_nomem"]
    assert direct_reclaims() == stalls
    load.verify()


def direct_reclaims():
    """How often somebody had to make room himself, since boot."""
    found = re.findall(r"(?m)^allocstall_\w+ (\d+)", machine.read("/proc/vmstat"))
    return sum(map(int, found))


def at_once(trace):
    """How many threads had a chunk at the same time, at most."""
    steps = []
    for chunk in trace.events(CHUNK):
        took = int(chunk["walk_usec"]) + int(chunk["move_usec"])
        steps.append((chunk["seconds"] - took / 1e6, 1))
        steps.append((chunk["seconds"], -1))
    return max(itertools.accumulate(step for _, step in sorted(steps)))


def most_at_once(cpuset):
    """The same, of several moves; it should be more than one."""
    most = 0
    for turn in range(MANY):
        with Trace(f"cpuset_migrate:{CHUNK}") as trace:
            cpuset.set_mems(str((turn + 1) % 2))
        most = max(most, at_once(trace))
        if turn >= FEW - 1 and most > 1:
            break
    return most


@pytest.mark.parametrize("workers", [1, 4])
def test_as_many_as_it_says(top, spawn, workers):
    machine.write(KNOB, workers)
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    load("work", writers=1, verifiers=1, rest=500)

    most = most_at_once(cpuset)

    assert most == 1 if workers == 1 else 1 < most <= workers
    load.rest()
    load.verify()


def kworkers():
    """CPU time of each worker of the kernel so far, in microseconds."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/comm"):
        folder = path.removesuffix("/comm")
        with contextlib.suppress(OSError):
            if machine.read(path).startswith("kworker/"):
                run = int(machine.read(f"{folder}/schedstat").split()[0]) // 1000
                found[int(folder.removeprefix("/proc/"))] = run
    return found


def cost(cpuset, mems):
    """CPU time of a move as it is told, and as the scheduler has it; pages, seconds."""
    since, before = Since(cpuset), kworkers()
    with Trace(f"cpuset_migrate:{CHUNK}") as trace:
        seconds = timed(cpuset.set_mems, mems)
    after, change = kworkers(), since.gained()
    movers = {chunk["thread"] for chunk in trace.events(CHUNK)}
    spent = sum(after[each] - before.get(each, 0) for each in movers)
    return change["migrate_usec"], spent, change["migrate_moved"], seconds


@pytest.mark.timing
@pytest.mark.parametrize("workers", [1, 4])
def test_cpu_time_is_told(top, spawn, workers):
    """As much as they had, and no more than so many can have."""
    machine.write(KNOB, workers)
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", LARGE, nodes=0)

    told, spent, _, seconds = cost(cpuset, "1")

    assert told == pytest.approx(spent, rel=0.25)
    assert told <= workers * seconds * 1e6
    load.verify()


@pytest.mark.timing
def test_a_limit_bounds_cpu_time(top, spawn):
    """An eighth of the pages a second takes less than half: its chunks are smaller."""
    machine.write(KNOB, 1)
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    told, _, moved, seconds = cost(cpuset, "1")
    free = told / seconds
    cpuset.write("max", int(moved * machine.PAGE / seconds / 8))

    told, spent, _, seconds = cost(cpuset, "0")

    assert told / seconds < free / 2
    assert spent / seconds < free / 2
    load.verify()
