# SPDX-License-Identifier: GPL-2.0
"""KSM at work, and processes whose memory it has merged."""

import contextlib
import os

import pytest

from ktest import machine, pages
from ktest.cpusets import wait_until

KSM = "/sys/kernel/mm/ksm"


def ksm(name, value=None):
    if value is None:
        return int(machine.read(f"{KSM}/{name}"))
    return machine.write(f"{KSM}/{name}", value)


@contextlib.contextmanager
def merging(across):
    """Pages of the same node are merged, and across nodes if told so."""
    if not os.path.isdir(KSM):
        pytest.skip("the kernel has no KSM")
    names = ("run", "sleep_millisecs", "pages_to_scan", "merge_across_nodes")
    before = {name: ksm(name) for name in names}
    ksm("run", 2)
    ksm("merge_across_nodes", across)
    ksm("sleep_millisecs", 10)
    ksm("pages_to_scan", 2000)
    ksm("run", 1)
    try:
        yield
    finally:
        ksm("run", 2)
        for name in reversed(names):
            ksm(name, before[name])


def merged(loads, addresses, count):
    """Whether all have the same page in each place."""
    one, *others = (
        pages.frames(load.pid, address, count)
        for load, address in zip(loads, addresses)
    )
    return len(one) == count and all(other == one for other in others)


def twins(loads, count, node=0):
    """Let processes have the same contents, merged; where each has it."""
    # The pattern depends on the name of the region and the number of the page.
    addresses = [load.alloc("twin", count, nodes=node) for load in loads]
    for load in loads:
        load("advise", "twin", "mergeable")
    wait_until(lambda: merged(loads, addresses, count), "KSM to merge")
    return addresses
