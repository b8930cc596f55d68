# SPDX-License-Identifier: GPL-2.0
"""Pages that KSM has merged, of one cpuset and of several."""

import pytest

from ktest.cpusets import moved_by, reasons, wait_until
from ktest.ksm import ksm, merged, merging, twins
from ktest.machine import mib

PAGES = mib(2)


@pytest.fixture(params=[1, 0], ids=["across-nodes", "each-node"])
def ksm_runs(request):
    """It merges pages of different nodes, or of the same only."""
    with merging(request.param):
        yield


def start(spawn, *sets):
    """Processes of these cpusets with the same contents, merged."""
    loads = [spawn(cpuset) for cpuset in sets]
    return loads, twins(loads, PAGES)


def test_merged_pages_move_and_stay_merged(top, spawn, ksm_runs):
    cpuset = top.mkdir("a", mems="0")
    loads, addresses = start(spawn, cpuset, cpuset)
    ksm("run", 0)

    change = moved_by(cpuset, "1")

    assert merged(loads, addresses, PAGES)
    for load in loads:
        assert load.where("twin") == {1: PAGES}
        load.verify()
    # Each page is counted once, though two map it.
    assert PAGES <= change["migrate_moved"] < 2 * PAGES
    assert change["migrate_done"] == 1, reasons(change)

    # What one writes is its own.
    loads[0]("rewrite", "twin", count=PAGES // 2)
    for load in loads:
        load.verify()
    assert loads[0].where("twin") == {1: PAGES}


@pytest.mark.core
def test_merged_pages_of_two_cpusets(top, spawn, ksm_runs):
    """They stay where one wants them; where none does, the last change wins."""
    mover, other = top.mkdir("a", mems="0"), top.mkdir("b", mems="0")
    loads, addresses = start(spawn, mover, other)
    ksm("run", 0)

    change = moved_by(mover, "1")

    assert reasons(change)["skip_shared"] >= PAGES
    assert merged(loads, addresses, PAGES)
    for load in loads:
        assert load.where("twin") == {0: PAGES}
        load.verify()

    change = moved_by(other, "2")

    assert change["migrate_moved"] >= PAGES
    assert merged(loads, addresses, PAGES)
    for load in loads:
        assert load.where("twin") == {2: PAGES}
        load.verify()


def test_while_pages_are_merged_and_written(top, spawn, ksm_runs):
    cpuset = top.mkdir("a", mems="0-1")
    loads, _ = start(spawn, cpuset, cpuset)
    loads[0]("work", writers=1, verifiers=1, rest=1000)
    loads[1]("work", verifiers=1, rest=1000)
    scans = ksm("full_scans")

    for mems in ("2-3", "1-2", "0-3", "3", "0-1"):
        moved_by(cpuset, mems)
    wait_until(lambda: ksm("full_scans") >= scans + 3, "KSM to look at all again")

    for load in loads:
        load.rest()
        load.verify()
    # What was merged across nodes may be where its other owner's page was.
    assert set(loads[0].where("twin")) | set(loads[1].where("twin")) <= {0, 1}
