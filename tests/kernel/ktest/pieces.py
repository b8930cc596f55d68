# SPDX-License-Identifier: GPL-2.0
"""A node whose free memory is in small pieces, which compaction cannot join."""

import contextlib
import re

import pytest

from ktest import machine
from ktest.hugetlb import Pool
from ktest.load import nearly_full

COMPACT_LOCKED = "/proc/sys/vm/compact_unevictable_allowed"
# What the kernel keeps free would be in large pieces. Then it is less than one such.
KEEPS_FREE = {"/proc/sys/vm/min_free_kbytes": "1024"}
SPARE = 128
HUGE = Pool(2048)
HUGE_PAGES = 512


def free_huge(node):
    """Free blocks of a node that a huge page can be made of."""
    zones = re.compile(rf"(?m)^Node {node}, zone +\w+ (.*)")
    found = zones.findall(machine.read("/proc/buddyinfo"))
    order = HUGE_PAGES.bit_length() - 1
    return sum(sum(map(int, counts.split()[order:])) for counts in found)


def cut_up(filler, node, rows, parts):
    """Take memory of a node row by row, keep one part of each and free the other.

    What others take meanwhile is missing at the end. It comes from another node.
    """
    filler("mempolicy", mode="preferred", nodes=node)
    for name, count in parts.items():
        filler.alloc(name, rows * count)
    for row in range(rows):
        for name, count in parts.items():
            filler("rewrite", name, **{"from": row * count, "count": count})
    filler("lock", "stays")
    filler("free", "goes")
    # Also empties the lists of CPUs of what was locked.
    machine.drop_caches()


@contextlib.contextmanager
def in_pieces(spawn, node, leave):
    """A node has about so many pages free above its low watermark, no huge page.

    What CPUs kept on their lists may make one afterwards: it is put into the pool.
    """
    if not HUGE.exists():
        pytest.skip(f"the machine has no pool of huge pages of {HUGE.kib} KiB")
    parts = {"stays": HUGE_PAGES // 4, "goes": HUGE_PAGES - HUGE_PAGES // 4}
    rows = (machine.node_pages(node)["low"] + leave) // parts["goes"]
    with machine.settings({COMPACT_LOCKED: "0"}), contextlib.ExitStack() as stack:
        with machine.settings(KEEPS_FREE):
            full = nearly_full(spawn, node, leave=rows * HUGE_PAGES + SPARE)
            (filler,) = stack.enter_context(full)
            cut_up(filler, node, rows, parts)
        stack.callback(HUGE.resize, node, HUGE.total(node))
        HUGE.resize(node, HUGE.total(node) + rows)
        yield filler
