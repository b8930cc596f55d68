# SPDX-License-Identifier: GPL-2.0
"""CPUs that come and go do not move the memory of cpusets that inherit nodes (J)."""

import pytest

from ktest import machine
from ktest.machine import jobs_of, mib

THREADS = 8
PAGES = mib(4)


@pytest.mark.core
@pytest.mark.v2only("cpusets that inherit their nodes")
def test_cpu_goes_and_comes(top, spawn):
    cpuset = top.mkdir("a")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=range(4))
    before = load.pages("memory")
    load.threads(THREADS - 2)
    cpu = machine.cpus_of(3)[-1]

    def go_and_come():
        with machine.offline(cpu):
            pass

    assert jobs_of(go_and_come, stock=False) == 0
    assert load.pages("memory") == before
    load.verify()
