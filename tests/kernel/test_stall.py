# SPDX-License-Identifier: GPL-2.0
"""The knob max_stall_usec: what it takes, and that batches follow it."""

import errno
import statistics

import pytest

from ktest import machine
from ktest.machine import Trace, mib

KNOB = f"{machine.KNOBS}/max_stall_usec"
DEFAULT = "2000"
CHUNK = "cpuset_migrate:cpuset_migrate_chunk"
PAGES = mib(8)
LARGE = mib(128)


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


def chunks(cpuset, mems, field):
    """What a field of the chunks of a move says."""
    with Trace(CHUNK) as trace:
        cpuset.set_mems(mems)
    return [int(each[field]) for each in trace.events("cpuset_migrate_chunk")]


@pytest.mark.core
def test_batches_follow_it(top, spawn):
    """Locked pages are all isolated, as many at a time as it allows."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0, lock=1)

    machine.write(KNOB, "1")
    small = max(chunks(cpuset, "1", "isolated"))
    assert load.where("memory") == {1: PAGES}
    machine.write(KNOB, "1000000")
    large = max(chunks(cpuset, "0", "isolated"))

    assert load.where("memory") == {0: PAGES}
    assert small <= 16
    assert large >= 256
    load.verify()


@pytest.mark.timing
def test_chunks_take_no_longer(top, spawn):
    """Half of it, and for the pages at hand; of some moves one on an idle host."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", LARGE, nodes=0)
    typical = []
    with machine.settings({f"{machine.KNOBS}/workers": "1"}):
        for usec in (500, 2000, 20000):
            machine.write(KNOB, usec)
            moves = (chunks(cpuset, mems, "walk_usec") for mems in "1210")
            typical.append(min(map(statistics.median, moves)))
            assert typical[-1] <= usec, typical
            load.verify()
    assert typical == sorted(set(typical)), typical
