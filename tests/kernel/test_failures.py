# SPDX-License-Identifier: GPL-2.0
"""Every allocation of the engine that can fail does, and copies do.

Nothing is lost, nothing hangs.

Those it cannot do without (a job, a part, a map, a batch, all small) do not fail, and
the kernel does not let them.
"""

import contextlib
import errno
import os

import pytest

from ktest import failures, machine
from ktest.cpusets import Since, accounted, all_freed, moved_by, wait_until
from ktest.disks import start_writeback, under_writeback
from ktest.failures import COPIES, PAGES, SLAB, Failing, span
from ktest.folios import folios_of
from ktest.machine import mib

pytestmark = pytest.mark.core

SIZE = mib(2)
WORKERS = f"{machine.KNOBS}/workers"
EVACUATE = f"{machine.NODE}/node0/evacuate"
# Some of the engine's functions from each of its files that allocate: between the first
# and the last of them lies all of it.
ENGINE = """
    cpuset_change_begin cm_drain_lru cm_fast_take cm_job_alloc cm_map_alloc
    cm_map_alloc_composed cm_move_batch cm_count_left cm_swap_out cm_team_round
""".split()


@pytest.fixture(autouse=True)
def able():
    failures.need()


@pytest.fixture(autouse=True)
def nothing_kept(root):
    """What has failed does not keep the cpusets of a test."""
    with all_freed(root):
        yield


@pytest.fixture
def job(top, spawn):
    """A cpuset of one node, and a process in it."""
    cpuset = top.mkdir("a", mems="0")
    return cpuset, spawn(cpuset)


@pytest.fixture
def four_workers():
    with machine.settings({WORKERS: "4"}):
        yield


@pytest.fixture
def folios_are():
    """Memory that asks for huge pages gets folios of these sizes."""
    with contextlib.ExitStack() as stack:
        yield lambda sizes: stack.enter_context(folios_of(*sizes))


@pytest.fixture
def cpuset(top):
    return top.mkdir("a", mems="0-1")


@pytest.fixture
def load(cpuset, spawn):
    return spawn(cpuset)


@pytest.mark.parametrize("way", ["mems", "attach", "settle", "evacuate"])
def test_a_change_that_cannot_begin(top, spawn, way):
    """It is refused, and is as if it had never been."""
    cpuset, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="1")
    load = spawn(cpuset)
    load.alloc("memory", SIZE, nodes=0)
    act = {
        "mems": lambda: cpuset.set_mems("1"),
        "attach": lambda: other.attach(load),
        "settle": lambda: cpuset.write("settle", "1"),
        "evacuate": lambda: machine.write(EVACUATE, "1"),
    }[way]
    since = [Since(cpuset), Since(other)]

    with Failing(SLAB, span("cpuset_change_begin")) as failing:
        with pytest.raises(OSError) as refused:
            act()
        assert failing.hits() == 1
    assert refused.value.errno == errno.ENOMEM

    assert all(each.nothing_gained() for each in since)
    assert cpuset.mems() == [0] and load.pid in cpuset.procs()
    assert load.where("memory") == {0: SIZE}
    if way in ("mems", "attach"):
        act()
        assert load.where("memory") == {1: SIZE}
    load.verify()


def test_changes_that_cannot_be_composed(cpuset, load):
    """Their jobs are one; where a page should be, it is told by where it is."""
    load.alloc("memory", SIZE, nodes=(0, 1))
    since = Since(cpuset)
    cpuset.write("hold", "1")
    cpuset.set_mems("1-2", nonblock=True)

    with Failing(SLAB, span("cm_map_alloc_composed")) as failing:
        cpuset.set_mems("2-3", nonblock=True)
        assert failing.hits()
    cpuset.write("hold", "0")
    cpuset.wait_idle()

    where = load.where("memory")
    assert set(where) <= {2, 3} and sum(where.values()) == SIZE
    change = since.gained()
    assert change["migrate_scanned"] == accounted(change)
    load.verify()


def test_batches_that_cannot_be_drained(cpuset, load):
    """What a CPU has not put on a list yet may stay, and a settle brings it in."""
    with Failing(SLAB, span("cm_drain_lru")) as failing:
        for turn in range(10):
            load.alloc(f"memory{turn}", 8, nodes=turn % 2)
            moved_by(cpuset, "2-3")
            moved_by(cpuset, "0-1")
            if failing.hits():
                break
        assert failing.hits()
    moved_by(cpuset)

    for each in range(turn + 1):
        assert set(load.where(f"memory{each}")) <= {0, 1}
    load.verify()


def test_a_team_that_cannot_be_had(cpuset, load, four_workers):
    """One does it all."""
    load.alloc("memory", mib(32), nodes=(0, 1))

    with Failing(SLAB, span("cm_team_round")) as failing:
        moved_by(cpuset, "2-3")
        assert failing.hits()

    assert load.where("memory") == {2: mib(16), 3: mib(16)}
    load.verify()


def test_busy_pages_that_cannot_be_remembered(slow_disk, cpuset, load):
    """They are counted, and are on nodes where they may be."""
    folder, device = slow_disk
    load.alloc("file", SIZE, kind="file", path=f"{folder}/file", nodes=1)
    os.sync()
    load("rewrite", "file")
    device.delay_writes(60000)
    start_writeback(f"{folder}/file")
    assert under_writeback() >= SIZE // 2

    with Failing(SLAB, span("cm_count_left")) as failing:
        change = moved_by(cpuset, "1-2")
        assert failing.hits()

    assert change["migrate_fail_busy"] >= SIZE // 2
    device.delay_writes(0)
    wait_until(lambda: not under_writeback(), "pages to be written")
    assert set(load.where("file")) <= {1, 2}
    load.verify()


@pytest.mark.debug
def test_moved_pages_that_cannot_be_remembered(cpuset, load):
    """Of shared memory under a chain of nodes: it stays rather than move twice."""
    load.alloc("memory", SIZE, kind="shared", nodes=(0, 1))
    child = load.fork()
    child("touch", "memory")

    with Failing(SLAB, span("cm_move_batch"), but=span("cm_swap_out")) as failing:
        change = moved_by(cpuset, "1-2")
        assert failing.hits()

    where = load.where("memory")
    assert set(where) <= {0, 1, 2}
    # Tried over and over, as what is busy is.
    assert 0 < where[0] <= change["migrate_fail_busy"]
    moved_by(cpuset)
    assert set(load.where("memory")) <= {1, 2}
    for each in (load, child):
        each.verify()


@pytest.mark.parametrize(
    "function, kind, folios",
    [
        ("cm_alloc_pages", "anon", []),
        ("cm_alloc_pages", "shared", []),
        ("cm_fast_take", "thp", ["64kB"]),
        ("cm_move_batch", "thp", ["2048kB"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value,
)
def test_no_pages_one_way(job, folios_are, function, kind, folios):
    """The other way to move them is left: a huge page goes in pieces."""
    folios_are(folios)
    cpuset, load = job
    load.alloc("memory", SIZE, kind=kind, nodes=0)
    load("work", writers=1, verifiers=1, rest=500)

    # The name of a function that ends with a call is not on the stack below that.
    with Failing(PAGES, span(function)) as failing:
        change = moved_by(cpuset, "1")
        assert failing.hits()

    load.rest()
    assert load.where("memory") == {1: SIZE}
    assert change["migrate_moved_thp"] == 0
    assert change["migrate_split"] == (folios == ["2048kB"])
    load.verify()


@pytest.mark.parametrize(
    "kind, folios",
    [("anon", []), ("shared", []), ("thp", ["64kB"]), ("thp", ["2048kB"])],
)
def test_no_pages(job, folios_are, kind, folios):
    """The node has some, but nobody gets any: memory stays and says why."""
    folios_are(folios)
    cpuset, load = job
    load.alloc("memory", SIZE, kind=kind, nodes=0)
    load("work", writers=1, verifiers=1, rest=500)

    with Failing(PAGES, span(*ENGINE)) as failing:
        change = moved_by(cpuset, "1")
        assert failing.hits()

    load.rest()
    assert load.where("memory") == {0: SIZE}
    assert change["migrate_fail_nomem"] >= SIZE
    assert change["migrate_partial"] == 1
    load.verify()

    moved_by(cpuset)
    assert load.where("memory") == {1: SIZE}
    load.verify()


@pytest.mark.parametrize(
    "kind, folios",
    [("anon", []), ("thp", ["64kB"]), ("shared", [])],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value,
)
def test_no_copies_one_way(job, folios_are, kind, folios):
    """As of memory that cannot be read: it is mapped again, and moves the other way."""
    folios_are(folios)
    cpuset, load = job
    load.alloc("memory", SIZE, kind=kind, nodes=0)
    load("work", writers=1, verifiers=1, rest=500)

    with Failing(COPIES) as failing:
        change = moved_by(cpuset, "1")
        assert failing.hits() >= SIZE // 16

    load.rest()
    assert load.where("memory") == {1: SIZE}
    assert change["migrate_done"] == 1
    assert change["migrate_split"] == 0
    load.verify()


def all_arrived(cpuset, load, since):
    """Every page is accounted for, and nothing stays once nothing fails any more."""
    change = since.gained()
    assert change["migrate_scanned"] == accounted(change)
    cpuset.set_mems("0-1")
    load.calm()
    load.rest()
    moved_by(cpuset)
    for kind in ("anon", "thp", "shared"):
        assert set(load.where(kind)) <= {0, 1}
    load.verify()


@pytest.mark.debug
def test_copies_fail_now_and_then(cpuset, load, four_workers, folios_are):
    """Any of them, while memory is written, forked, unmapped and mapped again."""
    folios_are(["64kB"])
    for kind in ("anon", "thp", "shared"):
        load.alloc(kind, SIZE, kind=kind, nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=500)
    load("churn", threads=2, rest=100)
    since = Since(cpuset)

    with Failing(COPIES, chance=50) as failing:
        for mems in ("2-3", "1-2", "0-3", "3", "0-1"):
            cpuset.set_mems(mems)
        cpuset.wait_idle()
        assert failing.hits()

    all_arrived(cpuset, load, since)


@pytest.mark.debug
def test_now_and_then(cpuset, load, four_workers):
    """Any of them, while memory is written, forked, unmapped and mapped again."""
    for kind in ("anon", "thp", "shared", "cow"):
        load.alloc(kind, SIZE, kind=kind, nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=500)
    load("churn", threads=2, rest=100)
    since = Since(cpuset)

    with Failing(SLAB, span(*ENGINE), 20) as slab, Failing(
        PAGES, span(*ENGINE), 20
    ) as pages:
        for mems in ("2-3", "1-2", "0-3", "3", "0-1"):
            try:
                cpuset.set_mems(mems)
            except OSError as error:
                assert error.errno == errno.ENOMEM
        cpuset.wait_idle()
        assert slab.hits() and pages.hits()

    all_arrived(cpuset, load, since)
