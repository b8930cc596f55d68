# SPDX-License-Identifier: GPL-2.0
"""CPUs that come and go do not move the memory of cpusets that inherit nodes (J)."""

import pytest

from ktest import machine
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
