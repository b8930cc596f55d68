# SPDX-License-Identifier: GPL-2.0
"""Pages that a slow device is writing: a move does not wait for it."""

import os

import pytest

from ktest import machine
from ktest.cpusets import moved_by, reasons, wait_until
from ktest.disks import start_writeback, under_writeback
from ktest.machine import mib

PAGES = 256
# Longer than a move takes wherever this runs.
SLOW_MS = 60000


def test_under_writeback(slow_disk, top, spawn):
    """They stay and say why; a settle brings them in when the device has them."""
    folder, device = slow_disk
    path = f"{folder}/file"
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("file", PAGES, kind="file", path=path, nodes=0)
    load.alloc("memory", mib(4), nodes=0)
    os.sync()
    load("rewrite", "file")
    device.delay_writes(SLOW_MS)
    start_writeback(path)
    assert under_writeback() >= PAGES

    change = moved_by(cpuset, "1")

    # Not one of them has been written meanwhile: nobody waited.
    assert under_writeback() >= PAGES
    assert load.where("memory") == {1: mib(4)}
    assert load.where("file") == {0: PAGES}
    assert reasons(change)["fail_busy"] == PAGES
    assert (change["migrate_done"], change["migrate_partial"]) == (0, 1)
    load.verify()

    device.delay_writes(0)
    wait_until(lambda: not under_writeback(), "pages to be written")
    change = moved_by(cpuset)
    assert load.where("file") == {1: PAGES}
    assert change["migrate_done"] == 1
    load("hide", "file")
    machine.drop_caches()
    load("show", "file")
    load.verify()


@pytest.mark.long
@pytest.mark.v2only("memory is charged to cgroups of the same hierarchy")
def test_unmapped_while_a_slow_device_writes(slow_disk, charged, spawn):
    """The cache of a cpuset does not wait for the device either."""
    folder, device = slow_disk
    path = f"{folder}/file"
    # More than what a node is not looked at for.
    count = 4 * PAGES
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    load.alloc("file", count, kind="file", path=path, nodes=0)
    os.sync()
    load("rewrite", "file")
    device.delay_writes(SLOW_MS)
    start_writeback(path)
    load("hide", "file")

    change = moved_by(cpuset, "1", cache=True)

    assert under_writeback() >= count
    assert reasons(change)["fail_busy"] == count
    assert (change["migrate_done"], change["migrate_partial"]) == (0, 1)

    device.delay_writes(0)
    wait_until(lambda: not under_writeback(), "pages to be written")
    change = moved_by(cpuset, cache=True)
    assert change["migrate_moved"] >= count
    assert not reasons(change).get("fail_busy")
    load("show", "file")
    load("touch", "file")
    assert load.where("file") == {1: count}
    load.verify()
