# SPDX-License-Identifier: GPL-2.0
"""The workload itself: a difference in its memory must not escape it."""

import os
import signal

import pytest

from ktest.load import Memory
from ktest.machine import PAGE, mib

pytestmark = pytest.mark.core


@pytest.mark.parametrize("offset", [0, 8, PAGE - 1])
def test_one_wrong_byte_is_seen(spawn, offset):
    load = spawn()
    address = load.alloc("memory", mib(1), nodes=0)
    load.verify()
    place = address + 7 * PAGE + offset
    memory = Memory(load)
    memory.write(place, bytes([memory.read(place, 1)[0] ^ 0x10]))

    assert load("verify")["bad"] == "1"


def test_exchanged_and_stale_pages_are_seen(spawn):
    load = spawn()
    address = load.alloc("memory", mib(1), nodes=0)
    memory = Memory(load)
    stale = memory.read(address + 3 * PAGE, PAGE)
    load("rewrite", "memory")
    load.verify()
    memory.write(address + 3 * PAGE, stale)
    memory.write(address + 6 * PAGE, memory.read(address + 5 * PAGE, PAGE))

    assert load("verify")["bad"] == "2"


def test_workers_see_it_too(spawn):
    load = spawn()
    address = load.alloc("memory", 1, nodes=0)
    Memory(load).write(address + 100, b"wrong")
    load("work", verifiers=1)
    while int(load("progress")["bad"]) == 0:
        pass
    assert int(load("rest")["bad"]) > 0


def test_a_killed_writer_leaves_nobody_waiting(spawn):
    """Often enough it is killed in the middle of a page."""
    torn = 0
    for _ in range(12):
        load = spawn()
        load.alloc("memory", 64, kind="shared", nodes=0)
        child = load.fork()
        load("work", writers=2)
        os.kill(load.pid, signal.SIGKILL)
        load.process.wait()
        adopted = child("adopt", "memory")
        assert adopted["bad"] == "0"
        torn += int(adopted["torn"])
        child.verify()
    assert torn
