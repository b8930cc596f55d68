# SPDX-License-Identifier: GPL-2.0
"""Defect P: pages of a file made one huge page stay in the books of where they were."""

import time

import pytest

from ktest import machine
from ktest.cpusets import numa_stat, wait_until
from ktest.machine import mib

PAGES = mib(2)
SHMEM = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
# The kernel sums up what CPUs have counted every two seconds.
SUMMED_UP = 5


@pytest.fixture(autouse=True)
def aligned():
    """Shared memory begins where a huge page can."""
    machine.write(SHMEM, "advise")
    yield
    machine.write(SHMEM, "never")


def shmem_of(cpuset):
    """Pages of shared memory that a cgroup has on each node, as it says."""
    for line in numa_stat(cpuset):
        key, *values = line.split()
        if key == "shmem":
            pairs = (value[1:].split("=") for value in values)
            found = {int(n): int(size) // machine.PAGE for n, size in pairs}
            return {node: pages for node, pages in found.items() if pages}
    raise AssertionError("memory.numa_stat has no line for shmem")


@pytest.mark.defect("P")
@pytest.mark.v2only("memory is charged to cgroups of the same hierarchy")
def test_account_of_a_collapsed_file(charged, spawn, defects):
    """Filled on two nodes by a process of one cgroup, collapsed in another one."""
    first, second = charged("a", mems="0-1"), charged("b", mems="0-1")
    load = spawn(first)
    load.alloc("memory", PAGES, kind="shared", nodes=(0, 1))
    wait_until(lambda: sum(shmem_of(first).values()) >= PAGES, "filled")
    assert shmem_of(first)[1] == PAGES // 2
    second.attach(load)

    load("advise", "memory", "collapse")

    (node,) = load.where("memory")
    if not defects:
        wait_until(lambda: shmem_of(second) == {node: PAGES}, "collapsed")
        # A page that the process shares with its children, whatever else it has.
        assert sum(shmem_of(first).values()) <= 1
    load.verify()
    load.close()
    if defects:
        time.sleep(SUMMED_UP)
        assert sum(shmem_of(first).values()) == PAGES
    else:
        wait_until(lambda: not shmem_of(second), "freed")
        wait_until(lambda: not shmem_of(first), "freed")
