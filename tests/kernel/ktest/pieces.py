# SPDX-License-Identifier: GPL-2.0
"""A node whose free memory is in small pieces, which compaction cannot join."""

import contextlib
import re

from ktest import machine
from ktest.load import nearly_full

COMPACT_LOCKED = "/proc/sys/vm/compact_unevictable_allowed"
# What the kernel keeps free would be in large pieces. Then it is less than one such.
KEEPS_FREE = {"/proc/sys/vm/min_free_kbytes": "1024"}
SPARE = 128


def free_blocks(node, order):
    """Free blocks of a node that are of this order or larger."""
    zones = re.compile(rf"(?m)^Node {node}, zone +\w+ (.*)")
    found = zones.findall(machine.read("/proc/buddyinfo"))
    return sum(sum(map(int, counts.split()[order:])) for counts in found)


def cut_up(filler, node, rows, parts):
    """Take memory of a node row by row, keep one part of each and free the other."""
    filler("mempolicy", mode="bind", nodes=node)
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
def in_pieces(spawn, node, order, leave):
    """A node has so many pages free above its low watermark, few together as a folio.

    Less than a huge page of them comes from what the kernel keeps, and may be whole.
    """
    row = 1 << order
    parts = {"stays": row // 4, "goes": row - row // 4}
    rows = (machine.node_pages(node)["low"] + leave) // parts["goes"]
    with machine.settings({COMPACT_LOCKED: "0"}), contextlib.ExitStack() as stack:
        with machine.settings(KEEPS_FREE):
            full = nearly_full(spawn, node, leave=rows * row + SPARE)
            (filler,) = stack.enter_context(full)
            cut_up(filler, node, rows, parts)
        yield filler
