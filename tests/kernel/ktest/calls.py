# SPDX-License-Identifier: GPL-2.0
"""System calls that move memory, and advice, for which Python has nothing."""

import ctypes
import mmap
import os

from ktest import machine

MIGRATE_PAGES, MOVE_PAGES, PIDFD_OPEN, PROCESS_MADVISE = 256, 279, 434, 440
PIDFD_GETFD = 438
MOVE = 2  # MPOL_MF_MOVE
NOMIGRATE, MIGRATE, SOFT_OFFLINE = 120, 121, 101

libc = ctypes.CDLL(None, use_errno=True)


def checked(value):
    """What a call returned, or its error as an exception."""
    if value < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return value


def migrate_pages(pid, old, new):
    """Pages that could not be moved."""
    masks = [ctypes.c_ulong(sum(1 << node for node in nodes)) for nodes in (old, new)]
    bits = ctypes.c_ulong(65)
    return checked(libc.syscall(MIGRATE_PAGES, pid, bits, *map(ctypes.byref, masks)))


def move_pages(pid, address, count, node):
    """The status of each page: its node, or a negative error."""
    pages = (ctypes.c_void_p * count)(
        *(address + index * machine.PAGE for index in range(count))
    )
    nodes = (ctypes.c_int * count)(*[node] * count)
    status = (ctypes.c_int * count)()
    count = ctypes.c_ulong(count)
    checked(libc.syscall(MOVE_PAGES, pid, count, pages, nodes, status, MOVE))
    return list(status)


def take_fd(pid, number):
    """A file that another process has open."""
    pidfd = os.pidfd_open(pid)
    try:
        return checked(libc.syscall(PIDFD_GETFD, pidfd, number, 0))
    finally:
        os.close(pidfd)


class Mapping:
    """Pages of this process, each with its number written in it."""

    def __init__(self, count):
        self.count = count
        self.memory = mmap.mmap(-1, count * machine.PAGE, mmap.MAP_PRIVATE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        for index in range(count):
            self.memory[index * machine.PAGE] = index & 0xFF

    def intact(self):
        return all(
            self.memory[index * machine.PAGE] == index & 0xFF
            for index in range(self.count)
        )

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
