# SPDX-License-Identifier: GPL-2.0
"""cpuset.mems.events: what happened, and how a manager hears of it."""

import ctypes
import os
import select
import struct

import pytest

from ktest.cpusets import Since, sum_of
from ktest.machine import mib

pytestmark = pytest.mark.core

IN_MODIFY = 2
LONG_MS = 60_000


@pytest.fixture
def job(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", mib(4), nodes=0)
    return cpuset, load


def test_counts(job):
    cpuset, load = job
    before = cpuset.events()
    for count in (1, 2):
        cpuset.set_mems(str(count))
        assert cpuset.events() == {
            "migrate_start": before["migrate_start"] + count,
            "migrate_done": before["migrate_done"] + count,
            "migrate_partial": 0,
            "migrate_stopped": 0,
        }


def test_the_mask_in_force_is_no_change(job):
    cpuset, load = job
    cpuset.set_mems("1")
    since = Since(cpuset)

    cpuset.set_mems("1")

    assert since.nothing_gained()


def test_stopped(job):
    cpuset, load = job
    since = Since(cpuset)
    cpuset.write("hold", "1")
    cpuset.set_mems("1", nonblock=True)
    cpuset.write("stop", "1")
    cpuset.wait_idle()

    change = since.gained()
    assert change["migrate_stopped"] == 1
    assert change["migrate_done"] == 0


def test_poll(job):
    cpuset, load = job
    since = Since(cpuset)
    with open(cpuset.file("events"), encoding="ascii") as file:
        poll = select.poll()
        poll.register(file, select.POLLPRI)
        file.read()
        assert poll.poll(0) == []

        cpuset.set_mems("1", nonblock=True)

        assert poll.poll(LONG_MS), "no event came"
        while since.gained()["migrate_done"] == 0:
            file.seek(0)
            file.read()
            assert poll.poll(LONG_MS), "no event came for the end of the move"


def test_inotify(job):
    cpuset, load = job
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert fd >= 0
    watch = libc.inotify_add_watch(fd, cpuset.file("events").encode(), IN_MODIFY)
    assert watch >= 0

    cpuset.set_mems("1")

    assert select.select([fd], [], [], LONG_MS / 1000)[0], "no event came"
    descriptor, mask = struct.unpack_from("iI", os.read(fd, 4096))
    os.close(fd)
    assert (descriptor, mask) == (watch, IN_MODIFY)


def test_nothing_is_pending_when_the_end_is_told(job):
    """Who was woken looks once: no other event would come."""
    cpuset, load = job

    def ended():
        return sum_of(cpuset.events(), r"migrate_(done|partial)")

    with open(cpuset.file("events"), encoding="ascii") as file:
        poll = select.poll()
        poll.register(file, select.POLLPRI)
        for turn in range(20):
            before = ended()
            cpuset.set_mems(str((turn + 1) % 2), nonblock=True)
            while ended() == before:
                file.seek(0)
                file.read()
                assert poll.poll(LONG_MS), "no event came for the end of the move"
            assert cpuset.stat()["migrate_pending"] == 0
