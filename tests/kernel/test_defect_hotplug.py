# SPDX-License-Identifier: GPL-2.0
"""Defect J: CPUs that come and go move the memory of cpusets that inherit nodes."""

import pytest

from ktest import machine
from ktest.machine import jobs_of, mib

THREADS = 8
PAGES = mib(4)


@pytest.mark.core
@pytest.mark.debug
@pytest.mark.v2only("cpusets that inherit their nodes")
@pytest.mark.defect("J")
def test_cpu_goes_and_comes(top, spawn, defects):
    other = top.mkdir("b", mems="0")
    cpuset = top.mkdir("a")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=range(4))
    before = load.pages("memory")
    load.threads(THREADS - 2)
    cpu = machine.cpus_of(3)[-1]

    def go_and_come():
        with machine.offline(cpu):
            pass
        if defects:
            # That writer waits for whatever moves.
            other.set_mems("1")

    jobs = jobs_of(go_and_come, defects)

    assert load.pages("memory") == before
    load.verify()
    # Once when it goes, once when it comes.
    assert jobs == (2 * THREADS if defects else 0)
