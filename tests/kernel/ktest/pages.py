# SPDX-License-Identifier: GPL-2.0
"""What the kernel knows of the pages behind addresses of a process."""

import os
import re
import struct

from ktest import machine

ENTRY = 8
PRESENT, UFFD_WP = 63, 57
FRAME = (1 << 55) - 1
# A bit of /proc/kpageflags.
MLOCKED = 33


def pagemap(pid, address, count):
    """The entry of each page."""
    fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
    try:
        data = os.pread(fd, count * ENTRY, address // machine.PAGE * ENTRY)
    finally:
        os.close(fd)
    return struct.unpack(f"{count}Q", data)


def entries_with(pid, address, count, bit):
    """How many entries have a bit."""
    return sum(entry >> bit & 1 for entry in pagemap(pid, address, count))


def frames(pid, address, count):
    """The page frame of each page that is present."""
    entries = pagemap(pid, address, count)
    return [entry & FRAME for entry in entries if entry >> PRESENT & 1]


def frame_flags(numbers):
    """The bits of /proc/kpageflags of each page frame."""
    fd = os.open("/proc/kpageflags", os.O_RDONLY)
    try:
        found = [os.pread(fd, ENTRY, frame * ENTRY) for frame in numbers]
    finally:
        os.close(fd)
    return [struct.unpack("Q", data)[0] for data in found]


def pages_with(pid, address, count, flag):
    """How many pages that are present have a flag."""
    found = frame_flags(frames(pid, address, count))
    return sum(bits >> flag & 1 for bits in found)


def smaps_lines(pid, address):
    """What smaps says of the mapping with this address: {key: text}."""
    found, inside = {}, False
    for line in machine.read(f"/proc/{pid}/smaps").splitlines():
        bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if bounds:
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside:
            key, _, text = line.partition(":")
            found[key] = text
    return found


def smaps(pid, address, key):
    """Pages that a line of smaps counts in the mapping with this address."""
    return int(smaps_lines(pid, address)[key].split()[0]) * 1024 // machine.PAGE


def flags(pid, address):
    """The flags of the mapping with this address, two letters each."""
    return smaps_lines(pid, address)["VmFlags"].split()
