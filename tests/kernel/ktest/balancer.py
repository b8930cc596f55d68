# SPDX-License-Identifier: GPL-2.0
"""NUMA balancing, made to look at memory all the time."""

import os

import pytest

from ktest import machine
from ktest.cpusets import wait_until

SCHED = "/sys/kernel/debug/sched/numa_balancing"
DONE = ["numa_hint_faults", "numa_pages_migrated"]


def balancing():
    """It is on for a while."""
    files = {
        f"{SCHED}/scan_delay_ms": "1",
        f"{SCHED}/scan_period_min_ms": "10",
        f"{SCHED}/scan_period_max_ms": "10",
        "/proc/sys/kernel/numa_balancing": "1",
    }
    if not all(os.path.exists(file) for file in files):
        pytest.skip("the kernel has no NUMA balancing, or debugfs is not mounted")
    return machine.settings(files)


def run_on(load, node):
    """All threads of a process have the CPUs of a node and no others."""
    cpus = set(machine.cpus_of(node))
    for tid in machine.threads(load.pid):
        os.sched_setaffinity(tid, cpus)


def wait_balanced():
    """Wait until more faults have told where memory is used, and pages have moved."""
    before = [machine.vmstat(count) for count in DONE]
    wait_until(
        lambda: all(machine.vmstat(now) > was for now, was in zip(DONE, before)),
        "the balancer to move pages",
    )
