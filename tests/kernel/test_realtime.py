# SPDX-License-Identifier: GPL-2.0
"""A realtime task that never gives its CPU away does not keep a move from ending."""

import contextlib
import os
import signal

import pytest

from ktest import machine
from ktest.cpusets import moved_by, reasons
from ktest.machine import mib
from ktest.timing import timed

FAIR_SERVER = "/sys/kernel/debug/sched/fair_server"
PAGES = mib(8)
# Fewer than a batch of pages on their way to the LRU lists.
STALE = 10
# A second for each look at every CPU, and one after each pass.
PATIENCE = 30


@contextlib.contextmanager
def spinning(cpu):
    """A process that is never off its CPU if it can help it, and needs no memory."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            os.sched_setaffinity(0, {cpu})
            os.write(writer, b"!")
            while True:
                pass
        os._exit(1)
    try:
        assert os.read(reader, 1) == b"!"
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def hogged(pid, share):
    """Nobody else gets its CPU.

    What others have of it is taken away while it has that: 6.12 warns of a share which
    is changed while nobody has used it for less than its period.
    """
    with machine.settings({share: "0"}):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(50))
        yield


def bind(load, cpus):
    for tid in machine.threads(load.pid):
        os.sched_setaffinity(tid, cpus)


@pytest.mark.long
@pytest.mark.v2only(
    "with v1 cpusets 6.12 counts shares wrongly, and refuses to change any"
)
def test_pages_in_its_batches(top, spawn):
    """They cannot be had until it ends; all else moves, and the writer returns."""
    cpu = machine.cpus_of(3)[-1]
    share = f"{FAIR_SERVER}/cpu{cpu}/runtime"
    if not os.path.exists(share):
        pytest.skip(f"{share}: nobody can have a CPU for good, or no debugfs")
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    with spinning(cpu) as pid:
        # Which also empties the batches.
        machine.write("/proc/sys/vm/compact_memory", "1")
        bind(load, {cpu})
        load.alloc("stale", STALE, nodes=0)
        bind(load, set(range(os.cpu_count())) - {cpu})

        with hogged(pid, share):
            changes = []
            seconds = timed(lambda: changes.append(moved_by(cpuset, "1")))

    (change,) = changes
    assert seconds < PATIENCE, change
    assert load.where("memory") == {1: PAGES}
    assert load.where("stale") == {0: STALE}
    assert STALE <= reasons(change)["fail_busy"] < STALE + 32
    assert change["migrate_partial"] == 1
    load.verify()
    moved_by(cpuset)
    assert load.where("stale") == {1: STALE}
    load.verify()
