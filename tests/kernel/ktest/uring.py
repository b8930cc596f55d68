# SPDX-License-Identifier: GPL-2.0
"""Writes through an io_uring, for which Python has nothing."""

import ctypes
import mmap
import os
import struct

from ktest.calls import IO_URING_SETUP, checked, libc

IO_URING_ENTER = 426
GETEVENTS = 1  # IORING_ENTER_GETEVENTS
WRITE = 23  # IORING_OP_WRITE
SQES = 0x10000000  # IORING_OFF_SQES
HERE = (1 << 64) - 1  # the current position of the file
ENTRY, RESULT = 64, 16
# Words of struct io_uring_params: sizes of the rings, and where what is in them.
SQ_ENTRIES, CQ_ENTRIES, SQ_TAIL, SQ_ARRAY, CQ_HEAD, CQ_CQES = 0, 1, 11, 16, 20, 25


class Ring:
    """An io_uring for one request at a time."""

    def __init__(self):
        params = (ctypes.c_uint32 * 30)()
        self.fd = checked(libc.syscall(IO_URING_SETUP, 1, params))
        self.at = list(params)
        end = self.at[CQ_CQES] + self.at[CQ_ENTRIES] * RESULT
        end = max(end, self.at[SQ_ARRAY] + 4 * self.at[SQ_ENTRIES])
        self.rings = mmap.mmap(self.fd, end, mmap.MAP_SHARED)
        self.entries = mmap.mmap(self.fd, ENTRY, mmap.MAP_SHARED, offset=SQES)

    def _word(self, place, value=None):
        """The word at a place of the rings; with a value, set it."""
        if value is not None:
            struct.pack_into("I", self.rings, place, value)
        return struct.unpack_from("I", self.rings, place)[0]

    def write(self, fd, data):
        """Write to a file and wait for the result, a length or a negative error."""
        text = ctypes.create_string_buffer(data, len(data))
        self.entries[:] = bytes(ENTRY)
        place = (HERE, ctypes.addressof(text), len(data))
        struct.pack_into("BBHiQQI", self.entries, 0, WRITE, 0, 0, fd, *place)
        tail = self._word(self.at[SQ_TAIL])
        self._word(self.at[SQ_ARRAY], 0)
        self._word(self.at[SQ_TAIL], tail + 1)
        enter = (IO_URING_ENTER, self.fd, 1, 1, GETEVENTS, None, 0)
        assert checked(libc.syscall(*enter)) == 1
        head = self._word(self.at[CQ_HEAD])
        at = self.at[CQ_CQES] + head % self.at[CQ_ENTRIES] * RESULT
        self._word(self.at[CQ_HEAD], head + 1)
        return struct.unpack_from("Qi", self.rings, at)[1]

    def close(self):
        self.rings.close()
        self.entries.close()
        os.close(self.fd)
