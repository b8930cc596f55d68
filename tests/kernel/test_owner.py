# SPDX-License-Identifier: GPL-2.0
"""Cpusets whose files belong to a user who may do nothing else."""

import os

import pytest

from ktest import calls
from ktest.cpusets import Since, wait_until
from ktest.machine import mib
from ktest.process import NOBODY, apart

PAGES = mib(2)
FILES = ["mems", "procs", "hold", "max", "stop", "settle", "cache"]

pytestmark = pytest.mark.core


@pytest.fixture
def owned(top):
    cpuset = top.mkdir("a", mems="0")
    for name in FILES:
        os.chown(cpuset.file(name), NOBODY, NOBODY)
    return cpuset


def with_memory(cpuset, function):
    """Call a function with memory on node 0, by a user's process in a cpuset."""

    def inside():
        cpuset.attach(os.getpid())
        os.setuid(NOBODY)
        memory = calls.Mapping(PAGES)
        assert memory.nodes() == [0] * PAGES
        function(memory)
        assert memory.intact()

    apart(inside)


def test_moves(owned):
    def check(memory):
        for node in (1, 2, 0):
            owned.set_mems([node])
            assert owned.stat()["migrate_pending"] == 0
            assert memory.nodes() == [node] * PAGES

    with_memory(owned, check)


def test_holds_stops_and_settles(owned):
    def check(memory):
        owned.write("hold", "1")
        owned.set_mems("1")
        wait_until(lambda: owned.stat()["migrate_held"] == 1, "the job to be held")
        assert memory.nodes() == [0] * PAGES
        since = Since(owned)
        owned.write("stop", "1")
        owned.wait_idle()
        assert since.gained()["migrate_stopped"] == 1
        assert memory.nodes() == [0] * PAGES
        owned.write("hold", "0")
        owned.write("settle", "1")
        assert memory.nodes() == [1] * PAGES

    with_memory(owned, check)


def test_limits(owned):
    def check(memory):
        owned.write("max", "0")
        owned.set_mems("1")
        assert memory.nodes() == [0] * PAGES
        owned.write("max", "1G")
        owned.wait_idle()
        assert memory.nodes() == [1] * PAGES

    with_memory(owned, check)


def test_not_what_is_above(top, owned):
    def check(_memory):
        for name in FILES:
            with pytest.raises(PermissionError):
                os.close(os.open(top.file(name), os.O_WRONLY))

    with_memory(owned, check)
