# SPDX-License-Identifier: GPL-2.0
"""System calls that move memory, and advice, for which Python has nothing."""

import ctypes
import itertools
import mmap
import os

from ktest import machine

MIGRATE_PAGES, MOVE_PAGES, PIDFD_OPEN, PROCESS_MADVISE = 256, 279, 434, 440
PIDFD_GETFD, MBIND = 438, 237
IO_URING_SETUP, IO_URING_REGISTER = 425, 427
STRICT, MOVE, MOVE_ALL = 1, 2, 4  # MPOL_MF_STRICT and so on
BIND, INTERLEAVE, WEIGHTED_INTERLEAVE = 2, 3, 6  # MPOL_BIND and so on
CAP_SYS_NICE = 23
HUGETLB = mmap.MAP_PRIVATE | 0x40000 | 21 << 26  # MAP_HUGETLB | MAP_HUGE_2MB
UNTOUCHED = -9999  # a status that the kernel has not written
NOMIGRATE, MIGRATE, SOFT_OFFLINE, REMOVE, HUGEPAGE = 120, 121, 101, 9, 14

libc = ctypes.CDLL(None, use_errno=True)


def checked(value):
    """What a call returned, or its error as an exception."""
    if value < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return value


def masks_of(*sets):
    """Masks of sets of nodes, and their length as these calls want it: one too many."""
    words = max(itertools.chain(*sets), default=0) // 64 + 1
    masks = [(ctypes.c_ulong * words)() for nodes in sets]
    for mask, nodes in zip(masks, sets):
        for node in nodes:
            mask[node // 64] |= 1 << node % 64
    return *masks, ctypes.c_ulong(64 * words + 1)


def migrate_pages(pid, old, new):
    """Pages that could not be moved."""
    old, new, bits = masks_of(old, new)
    return checked(libc.syscall(MIGRATE_PAGES, pid, bits, old, new))


def addresses(address, count):
    """Where so many pages begin."""
    return [address + index * machine.PAGE for index in range(count)]


def try_move(pid, pages, nodes=None, flags=MOVE):
    """What move_pages() returns, or the number of its error, and each status."""
    count = len(pages)
    pages = (ctypes.c_void_p * count)(*pages)
    if nodes is not None:
        nodes = (ctypes.c_int * count)(*nodes)
    status = (ctypes.c_int * count)(*[UNTOUCHED] * count)
    count = ctypes.c_ulong(count)
    left = libc.syscall(MOVE_PAGES, pid, count, pages, nodes, status, flags)
    return -ctypes.get_errno() if left < 0 else left, list(status)


def move(pid, pages, nodes=None, flags=MOVE):
    """What move_pages() returns, and the status of each page; without nodes, ask."""
    left, status = try_move(pid, pages, nodes, flags)
    if left < 0:
        raise OSError(-left, os.strerror(-left))
    return left, status


def move_pages(pid, address, count, node):
    """The status of each page: its node, or a negative error."""
    return move(pid, addresses(address, count), [node] * count)[1]


def mbind(address, size, mode, nodes, flags=0):
    mask, bits = masks_of(nodes)
    start, size = ctypes.c_void_p(address), ctypes.c_size_t(size)
    checked(libc.syscall(MBIND, start, size, mode, mask, bits, flags))


def drop_capability(number):
    """Take it from the calling thread."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    data = (ctypes.c_uint32 * 6)()
    checked(libc.capget(header, data))
    # Twice three sets: effective, permitted, inheritable.
    data[number // 32 * 3] &= ~(1 << number % 32)
    checked(libc.capset(header, data))


def pin(address, size):
    """Pin memory of this process until it ends, as a buffer of an io_uring."""
    ring = checked(libc.syscall(IO_URING_SETUP, 1, (ctypes.c_uint32 * 30)()))
    vector = (ctypes.c_size_t * 2)(address, size)
    buffers = 0  # IORING_REGISTER_BUFFERS
    checked(libc.syscall(IO_URING_REGISTER, ring, buffers, vector, 1))


def take_fd(pid, number):
    """A file that another process has open."""
    pidfd = os.pidfd_open(pid)
    try:
        return checked(libc.syscall(PIDFD_GETFD, pidfd, number, 0))
    finally:
        os.close(pidfd)


class Mapping:
    """Pages of this process, each full of its number."""

    def __init__(self, count, flags=mmap.MAP_PRIVATE, advice=None):
        self.count = count
        self.memory = mmap.mmap(-1, count * machine.PAGE, flags)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        if advice is not None:
            self.advise(advice)
        self.write(count)

    def _text(self, count):
        return b"".join(bytes([n % 255 + 1]) * machine.PAGE for n in range(count))

    def write(self, count):
        """The first pages, with what they are to contain."""
        self.memory[: count * machine.PAGE] = self._text(count)

    def page(self, index):
        """What a page contains."""
        return self.memory[index * machine.PAGE : (index + 1) * machine.PAGE]

    def intact(self):
        return self.memory[:] == self._text(self.count)

    def addresses(self):
        return addresses(self.address, self.count)

    def nodes(self):
        """The node of each page."""
        return move(0, self.addresses())[1]

    def bind(self, mode, nodes, flags=0):
        mbind(self.address, self.count * machine.PAGE, mode, nodes, flags)

    def advise(self, advice):
        start, size = ctypes.c_void_p(self.address), self.count * machine.PAGE
        checked(libc.madvise(start, ctypes.c_size_t(size), advice))

    def advise_by_pidfd(self, advice):
        """The same through process_madvise()."""
        vector = (ctypes.c_size_t * 2)(self.address, self.count * machine.PAGE)
        fd = checked(libc.syscall(PIDFD_OPEN, os.getpid(), 0))
        try:
            one = ctypes.c_ulong(1)
            checked(libc.syscall(PROCESS_MADVISE, fd, vector, one, advice, 0))
        finally:
            os.close(fd)
