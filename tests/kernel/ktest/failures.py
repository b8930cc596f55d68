# SPDX-License-Identifier: GPL-2.0
"""What the kernel can be told to fail at (CONFIG_FAULT_INJECTION)."""

import functools
import os
import re

import pytest

from ktest import machine

DEBUGFS = "/sys/kernel/debug"
# What can be told to fail there, and what it has to be told besides.
SLAB = "failslab"
PAGES = "fail_page_alloc"
COPIES = "fail_cpuset_copy"
ALSO = {
    COPIES: {},
    SLAB: {"ignore-gfp-wait": "N"},
    PAGES: {"ignore-gfp-wait": "N", "ignore-gfp-highmem": "N", "min-order": "0"},
}
# More than there will be; how many are left of them tells how many there were.
MANY = 1_000_000_000
DEPTH = 32
ANYWHERE = (0, (1 << 64) - 1)


def need():
    """Skip the test where the kernel cannot do that."""
    if not os.path.exists(f"{DEBUGFS}/{SLAB}/require-start"):
        pytest.skip(
            "the kernel has no FAULT_INJECTION_STACKTRACE_FILTER, or no debugfs"
        )


@functools.cache
def symbols():
    """All of the kernel's, in the order of their addresses."""
    return machine.read("/proc/kallsyms")


@functools.cache
def place(name):
    """Where a function begins, and where the next one does."""
    found = re.search(rf"(?m)^([0-9a-f]+) [tT] {name}$", symbols())
    assert found, f"the kernel has no function {name}"
    follow = re.compile(rf"(?m)^(?!{found[1]})([0-9a-f]+) [tT] ")
    return int(found[1], 16), int(follow.search(symbols(), found.end())[1], 16)


def span(*names):
    """From the first of some functions to the end of the last one."""
    places = [place(name) for name in names]
    return min(first for first, _ in places), max(end for _, end in places)


class Failing:
    """While this lasts, something fails below a function.

    `kind` is SLAB or PAGES, which are allocations, or COPIES; `below` what span() says,
    `chance` of a hundred. Those below `but` do not fail.
    """

    def __init__(self, kind, below=ANYWHERE, chance=100, but=(0, 0)):
        self.folder = f"{DEBUGFS}/{kind}"
        self.values = {
            **ALSO[kind],
            "verbose": 0,
            "interval": 1,
            "times": MANY,
            "task-filter": "N",
            "stacktrace-depth": DEPTH,
            "require-start": below[0],
            "require-end": below[1],
            "reject-start": but[0],
            "reject-end": but[1],
            # Last: from here on they fail.
            "probability": chance,
        }

    def __enter__(self):
        for name, value in self.values.items():
            machine.write(f"{self.folder}/{name}", value)
        return self

    def __exit__(self, *_):
        machine.write(f"{self.folder}/probability", 0)

    def hits(self):
        """How many have failed."""
        return MANY - int(machine.read(f"{self.folder}/times"))
