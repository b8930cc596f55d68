# SPDX-License-Identifier: GPL-2.0
"""NUMA balancing, made to look at memory all the time."""

import os

import pytest

from ktest import machine

SCHED = "/sys/kernel/debug/sched/numa_balancing"


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
