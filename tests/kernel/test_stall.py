# SPDX-License-Identifier: GPL-2.0
"""The knob max_stall_usec: what it takes, and that batches follow it."""

import errno
import re

import pytest

from ktest import machine
from ktest.machine import Trace, mib

KNOB = f"{machine.KNOBS}/max_stall_usec"
DEFAULT = "2000"
CHUNK = "cpuset_migrate:cpuset_migrate_chunk"
PAGES = mib(8)


@pytest.fixture(autouse=True)
def restored():
    before = machine.read(KNOB)
    yield
    machine.write(KNOB, before)


@pytest.mark.parametrize(
    "text", ["0", "1000001", "-1", "", "x", "2.5", "1 2", "18446744073709551617"]
)
def test_bad_input_changes_nothing(text):
    assert machine.read(KNOB) == f"{DEFAULT}\n"
    with pytest.raises(OSError) as refusal:
        machine.write(KNOB, text + "\n")
    assert refusal.value.errno == errno.EINVAL
    assert machine.read(KNOB) == f"{DEFAULT}\n"


@pytest.mark.parametrize("text", ["1", "1000000", "2000"])
def test_good_input_is_kept(text):
    machine.write(KNOB, text)
    assert machine.read(KNOB) == f"{text}\n"


def largest_batch(cpuset, mems):
    with Trace(CHUNK) as trace:
        cpuset.set_mems(mems)
    assert trace.lines
    return max(int(re.search(r"isolated=(\d+)", line)[1]) for line in trace.lines)


@pytest.mark.core
def test_batches_follow_it(top, spawn):
    """Locked pages are all isolated, as many at a time as it allows."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0, lock=1)

    machine.write(KNOB, "1")
    small = largest_batch(cpuset, "1")
    assert load.where("memory") == {1: PAGES}
    machine.write(KNOB, "1000000")
    large = largest_batch(cpuset, "0")

    assert load.where("memory") == {0: PAGES}
    assert small <= 16
    assert large >= 256
    load.verify()
