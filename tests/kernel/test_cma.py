# SPDX-License-Identifier: GPL-2.0
"""Memory that is exempt, in frames that somebody needs in one piece."""

import glob
import os

import pytest

from ktest import machine, pages
from ktest.machine import mib

DEBUG = "/sys/kernel/debug/cma"
PAGES = mib(48)


class Area:
    """Frames that are set aside for contiguous allocations, and others' until then."""

    def __init__(self, folder):
        self.folder = folder
        self.base, self.count = (
            int(machine.read(f"{folder}/{name}")) for name in ("base_pfn", "count")
        )

    def __contains__(self, frame):
        return self.base <= frame < self.base + self.count

    def node(self):
        """Where they are."""
        block = int(machine.read("/sys/devices/system/memory/block_size_bytes"), 16)
        number = self.base * machine.PAGE // block
        (link,) = glob.glob(f"/sys/devices/system/memory/memory{number}/node[0-9]*")
        return int(os.path.basename(link)[len("node") :])

    def allocate(self, count):
        """Somebody needs so many of them."""
        machine.write(f"{self.folder}/alloc", str(count))

    def free(self, count):
        machine.write(f"{self.folder}/free", str(count))


@pytest.fixture
def area():
    found = [Area(folder) for folder in glob.glob(f"{DEBUG}/*")]
    found = [area for area in found if area.count >= PAGES]
    if not found:
        pytest.skip("no area for contiguous memory: boot with hugetlb_cma=1:1G")
    return found[0]


@pytest.mark.long
def test_exempt_memory_gives_way(top, spawn, area):
    """What is exempt from following a cpuset keeps no frames from others."""
    node = area.node()
    load = spawn(top.mkdir("a", mems=str(node)))
    # Others get such frames where more than half of what is free are some.
    address = load.alloc("memory", PAGES, nodes=node)
    load("advise", "memory", "nomigrate")
    before = pages.frames(load.pid, address, PAGES)
    inside = sum(frame in area for frame in before)
    assert inside > PAGES // 4

    area.allocate(area.count)
    try:
        after = pages.frames(load.pid, address, PAGES)
        assert len(after) == PAGES and not any(frame in area for frame in after)
        assert "nm" in pages.flags(load.pid, address)
        load.verify()
    finally:
        area.free(area.count)
