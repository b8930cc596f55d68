# SPDX-License-Identifier: GPL-2.0
"""Writes through an io_uring: in force when they end, and nobody waits for pages."""

import errno
import os

import pytest

from ktest import machine
from ktest.cpusets import wait_until
from ktest.machine import mib
from ktest.timing import Background
from ktest.uring import Ring

PAGES = mib(8)


@pytest.fixture
def ring():
    try:
        ring = Ring()
    except OSError as error:
        pytest.skip(f"no io_uring: {error}")
    yield ring
    ring.close()


def write(ring, path, text, flags=0):
    """What a write ends with, in good time."""
    fd = os.open(path, os.O_WRONLY | flags)
    call = Background(ring.write, fd, str(text).encode())
    wait_until(lambda: not call.running, "the write to end")
    call.join()
    os.close(fd)
    return call.result


@pytest.mark.core
@pytest.mark.parametrize("flags", [0, os.O_NONBLOCK], ids=["plain", "nonblock"])
@pytest.mark.parametrize("file", ["mems", "procs"])
def test_does_not_wait(top, spawn, ring, file, flags):
    """It would be one of the kernel's threads that waits."""
    source, target = top.mkdir("a", mems="0"), top.mkdir("b", mems="1")
    load = spawn(source)
    load.alloc("memory", PAGES, nodes=0)
    cpuset, text = (source, "1") if file == "mems" else (target, str(load.pid))
    # A plain write waits for what is slow.
    cpuset.write("max", mib(1) * machine.PAGE)

    assert write(ring, cpuset.file(file), text, flags) == len(text)

    assert machine.mems_allowed(load.pid) == [1]
    assert cpuset.stat()["migrate_pending"] >= 1
    assert load.where("memory")[0] > PAGES // 2
    cpuset.write("max", "max")
    cpuset.wait_idle()
    assert load.where("memory") == {1: PAGES}
    load.verify()


@pytest.mark.core
def test_held(top, spawn, ring):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    cpuset.write("hold", "1")

    assert write(ring, cpuset.file("mems"), "1") == 1

    wait_until(lambda: cpuset.stat()["migrate_held"] == 1, "the job to be held")
    assert load.where("memory") == {0: PAGES}
    assert write(ring, cpuset.file("hold"), "0") == 1
    cpuset.wait_idle()
    assert load.where("memory") == {1: PAGES}
    load.verify()


@pytest.mark.core
def test_refused(top, ring):
    cpuset = top.mkdir("a", mems="0")
    assert write(ring, cpuset.file("mems"), "x") == -errno.EINVAL
    assert write(ring, cpuset.file("procs"), 1 << 22) == -errno.ESRCH
    assert cpuset.mems() == [0]
