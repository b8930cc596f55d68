# SPDX-License-Identifier: GPL-2.0
"""CPUs that come and go: they move no memory (J), and keep none from being moved."""

import contextlib
import re

import pytest

from ktest import machine
from ktest.cpusets import start_slowly
from ktest.machine import jobs_of, mib

THREADS = 8
PAGES = mib(4)


@pytest.mark.core
@pytest.mark.defect("J")
@pytest.mark.v2only("cpusets that inherit their nodes")
def test_cpu_goes_and_comes(top, spawn, defects):
    cpuset, other = top.mkdir("a"), top.mkdir("b")
    # Stock knows the nodes of a cpuset that somebody was put into.
    load = spawn(into=cpuset)
    load.alloc("memory", PAGES, nodes=range(4))
    before = load.pages("memory")
    load.threads(THREADS - 2)
    cpu = machine.cpus_of(3)[-1]

    def go_and_come():
        with machine.offline(cpu):
            pass
        # On stock that waits for all jobs; nobody is in there.
        other.set_mems("0")

    assert jobs_of(go_and_come, defects) == (THREADS if defects else 0)
    assert load.pages("memory") == before
    load.verify()


def cpus_of_chunks(since):
    """The CPUs that the next half a MiB is moved on."""
    moved = since.gained()["migrate_moved"]
    with machine.Trace("cpuset_migrate:cpuset_migrate_chunk") as trace:
        since.wait_moved(moved + mib(1) // 2)
    return {int(re.search(r"\[(\d+)\]", line)[1]) for line in trace.lines}


def test_cpus_go_that_move_it(top, spawn):
    """Those of the node it goes to, and those that do the work then."""
    count = mib(16)
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", count, nodes=0)
    load("work", writers=1, verifiers=1, rest=500)
    since = start_slowly(cpuset, "3", "2M")

    with contextlib.ExitStack() as stack:
        gone = set()
        for find in (lambda: machine.cpus_of(3), lambda: cpus_of_chunks(since)):
            cpus = set(find()) - gone - {0}  # there is no way to do without CPU 0
            for cpu in cpus:
                stack.enter_context(machine.offline(cpu))
            gone |= cpus
        assert not cpus_of_chunks(since) & gone
        assert cpuset.stat()["migrate_pending"] == 1
        assert since.gained()["migrate_moved"] < count

        cpuset.write("max", "max")
        cpuset.wait_idle()
        assert load.where("memory") == {3: count}

    assert since.gained()["migrate_done"] == 1
    load.rest()
    load.verify()
