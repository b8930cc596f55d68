# SPDX-License-Identifier: GPL-2.0
"""Huge pages that go in pieces, since none can be had where they go."""

from ktest.cpusets import moved_by
from ktest.machine import mib
from ktest.pieces import HUGE_PAGES, free_huge, in_pieces

SIZE = mib(8)
TO = 1


def test_no_huge_page_to_be_had(top, spawn):
    """But single pages, and compaction makes hardly more of them."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    with in_pieces(spawn, TO, leave=mib(24)):
        load.alloc("memory", SIZE, kind="thp", nodes=0)
        load("work", writers=1, verifiers=1, rest=500)
        assert not free_huge(TO)

        change = moved_by(cpuset, str(TO))

        load.rest()
        assert load.where("memory") == {TO: SIZE}
        # Compaction of what others have there may find one or the other after all.
        split = change["migrate_split"] * HUGE_PAGES
        assert split >= SIZE // 2
        assert split + change["migrate_moved_thp"] == SIZE
        assert change["migrate_fail_nomem"] == 0
        assert change["migrate_done"] == 1
        load.verify()
