# SPDX-License-Identifier: GPL-2.0
"""cpuset.mems.events: what happened, and how a manager hears of it."""

import contextlib
import os
import select
import struct

import pytest

from ktest import calls
from ktest.cpusets import Since, sum_of
from ktest.machine import mib

pytestmark = pytest.mark.core

IN_MODIFY = 2
LONG_MS = 60_000
# Ten times as long as an event may be kept back.
SHORT_MS = 100


class Poll:
    """Hears by poll() of a file that has what was not read yet."""

    def __init__(self, path):
        self.file = open(path, encoding="ascii")
        self.poll = select.poll()
        self.poll.register(self.file, select.POLLPRI)
        self.read()

    def read(self):
        self.file.seek(0)
        self.file.read()

    def heard(self, milliseconds=LONG_MS):
        """Whether it has, or does within that time."""
        return bool(self.poll.poll(milliseconds))

    def close(self):
        self.file.close()


class Inotify:
    """Hears by inotify of a file that is modified."""

    def __init__(self, path):
        self.fd = calls.checked(calls.libc.inotify_init1(os.O_NONBLOCK))
        add = calls.libc.inotify_add_watch
        self.watch = calls.checked(add(self.fd, path.encode(), IN_MODIFY))

    def heard(self, milliseconds=LONG_MS):
        """Whether it was, or is within that time."""
        if not select.select([self.fd], [], [], milliseconds / 1000)[0]:
            return False
        descriptor, mask = struct.unpack_from("iI", os.read(self.fd, 4096))
        assert (descriptor, mask) == (self.watch, IN_MODIFY)
        return True

    def close(self):
        os.close(self.fd)


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
    with contextlib.closing(Poll(cpuset.file("events"))) as poll:
        assert not poll.heard(0)

        cpuset.set_mems("1", nonblock=True)

        assert poll.heard(), "no event came"
        poll.read()
        while since.gained()["migrate_done"] == 0:
            assert poll.heard(), "no event came for the end of the move"
            poll.read()


def test_inotify(job):
    cpuset, load = job
    with contextlib.closing(Inotify(cpuset.file("events"))) as inotify:
        cpuset.set_mems("1")
        assert inotify.heard(), "no event came"


@pytest.mark.v2only("cpuset.mems.events.local")
@pytest.mark.parametrize("way", [Poll, Inotify])
def test_who_hears_of_a_child(top, spawn, way):
    """Who looks at the events of its parent, but not who looks at the local ones."""
    parent = top.mkdir("p", mems="0-2")
    child = parent.mkdir("c", mems="0")
    load = spawn(child)
    load.alloc("memory", mib(1), nodes=0)
    with contextlib.ExitStack() as stack:

        def listen(cpuset, name):
            return stack.enter_context(contextlib.closing(way(cpuset.file(name))))

        both, local = listen(parent, "events"), listen(parent, "events.local")
        own = listen(child, "events.local")

        child.set_mems("1")

        assert both.heard() and own.heard()
        assert not local.heard(SHORT_MS)

        parent.set_mems("2")

        assert local.heard()
    assert load.where("memory") == {2: mib(1)}
    load.verify()


def test_nothing_is_pending_when_the_end_is_told(job):
    """Who was woken looks once: no other event would come."""
    cpuset, load = job

    def ended():
        return sum_of(cpuset.events(), r"migrate_(done|partial)")

    with contextlib.closing(Poll(cpuset.file("events"))) as poll:
        for turn in range(20):
            before = ended()
            cpuset.set_mems(str((turn + 1) % 2), nonblock=True)
            poll.read()
            while ended() == before:
                assert poll.heard(), "no event came for the end of the move"
                poll.read()
            assert cpuset.stat()["migrate_pending"] == 0
