# SPDX-License-Identifier: GPL-2.0
"""Memory that a driver has mapped and moves itself: the sample driver's."""

import os
import subprocess
import time

import pytest

from ktest import calls, machine
from ktest.cpusets import Since, moved_by, reasons, wait_until
from ktest.machine import mib
from ktest.tools import BUILD

DEVICE = "/dev/numa_buffer"
PARAMETERS = "/sys/module/numa_buffer/parameters"
FOLLOW = f"{PARAMETERS}/follow"
PAGES = mib(8)
NO_NODE = 255


@pytest.fixture(scope="module", autouse=True)
def driver():
    """The module of this kernel, loaded."""
    flavour = os.uname().release.rsplit("-", 1)[-1]
    module = os.path.join(BUILD, "modules", flavour, "numa_buffer.ko")
    if not os.path.exists(module):
        pytest.skip(f"{module} is not there: scripts/kernel-module makes it")
    subprocess.run(["insmod", module], check=True)
    yield
    subprocess.run(["rmmod", "numa_buffer"], check=True)


def where(load, count=PAGES):
    """How many pages of its buffer are on which node, as the driver says."""
    folder = f"/proc/{load.pid}/fd"
    opened = [
        fd for fd in os.listdir(folder) if os.readlink(f"{folder}/{fd}") == DEVICE
    ]
    fd = calls.take_fd(load.pid, int(opened[0]))
    try:
        found = os.pread(fd, count, 0)
    finally:
        os.close(fd)
    assert len(found) == count
    return {node: found.count(node) for node in set(found)}


def buffer(load, nodes, pages=PAGES):
    load.alloc("memory", pages, kind="device", path=DEVICE, nodes=nodes)


@pytest.mark.core
def test_keeps_its_place(top, spawn):
    """With it, while it is written, and the account has it."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    buffer(load, (0, 1))
    assert where(load) == {0: PAGES // 2, 1: PAGES // 2}
    load("work", writers=1, verifiers=1, rest=500)

    change = moved_by(cpuset, "2-3")

    load.rest()
    assert where(load) == {2: PAGES // 2, 3: PAGES // 2}
    assert change["migrate_moved"] >= PAGES
    assert change["migrate_done"] == 1
    load.verify()


@pytest.mark.core
def test_shared_and_overlapping(top, spawn):
    """Two that map it are one step each: nothing moves twice."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    buffer(load, (0, 1))
    other = load.fork()

    moved_by(cpuset, "1-2")

    assert where(load) == {1: PAGES // 2, 2: PAGES // 2}
    load.verify()
    other.verify()


@pytest.mark.v2only("memory is charged to cgroups of the same hierarchy")
def test_charged_before_and_after(charged, spawn):
    """To who opened it, also what a kernel thread has put in its place."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    buffer(load, 0)

    def kernel():
        return int(
            dict(map(str.split, cpuset.read("memory.stat").splitlines()))["kernel"]
        )

    wait_until(lambda: kernel() >= PAGES * machine.PAGE, "pages to be charged")
    moved_by(cpuset, "1")

    assert where(load) == {1: PAGES}
    # What is counted is summed up every two seconds.
    time.sleep(3)
    assert kernel() >= PAGES * machine.PAGE
    load.close()
    wait_until(lambda: kernel() < PAGES * machine.PAGE // 2, "them to be given back")


def test_of_a_driver_that_does_not_move_it(top, spawn):
    """It stays, each page of it counted, and what is beside it goes."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("beside", mib(2), nodes=0)
    before = moved_by(cpuset)["migrate_skip_vma"]
    with machine.settings({FOLLOW: "N"}):
        load.alloc("memory", PAGES, kind="device", path=DEVICE)
        load.fill("memory", 0, count=PAGES // 2)

        change = moved_by(cpuset, "1")

    assert where(load) == {0: PAGES // 2, NO_NODE: PAGES - PAGES // 2}
    assert load.where("beside") == {1: mib(2)}
    assert change["migrate_skip_vma"] == before + PAGES // 2
    # It is no failure.
    assert (change["migrate_done"], change["migrate_partial"]) == (1, 0)
    load.verify()


def test_only_what_was_touched(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, kind="device", path=DEVICE)
    load("fill", "memory", nodes="0", count=PAGES // 4)

    moved_by(cpuset, "1")

    assert where(load) == {1: PAGES // 4, NO_NODE: PAGES - PAGES // 4}


def test_a_buffer_of_another_cpuset_stays(top, spawn):
    """Both are mapped through the same inode."""
    first, second = (top.mkdir(name, mems="0") for name in "ab")
    loads = [spawn(cpuset) for cpuset in (first, second)]
    for load in loads:
        buffer(load, 0)
        load("work", writers=1, verifiers=1, rest=500)

    moved_by(first, "1")

    for load in loads:
        load.rest()
        load.verify()
    assert [where(load) for load in loads] == [{1: PAGES}, {0: PAGES}]


def test_stopped(top, spawn):
    """It stays, is counted as left, and a settle brings it in."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    buffer(load, 0)
    since = Since(cpuset)
    cpuset.write("hold", "1")
    cpuset.set_mems("1")
    cpuset.write("stop", "1")
    cpuset.wait_idle()
    assert where(load) == {0: PAGES}
    assert since.gained()["migrate_left"] >= PAGES
    cpuset.write("hold", "0")

    change = moved_by(cpuset)

    assert where(load) == {1: PAGES}
    assert "fail_nomem" not in reasons(change)
    load.verify()


@pytest.mark.core
@pytest.mark.parametrize("reason", ["busy", "nomem"])
def test_what_the_driver_cannot_move(top, spawn, reason):
    """It stays, counted once, and comes when it can."""
    every = 8
    stays = PAGES // every
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    buffer(load, (0, 1))
    load("work", writers=1, verifiers=1, rest=500)

    with machine.settings({f"{PARAMETERS}/{reason}": every}):
        change = moved_by(cpuset, "2-3")

        assert where(load) == {
            0: stays // 2,
            1: stays // 2,
            2: (PAGES - stays) // 2,
            3: (PAGES - stays) // 2,
        }
        assert reasons(change)[f"fail_{reason}"] == stays
        assert PAGES - stays <= change["migrate_moved"]
        assert (change["migrate_done"], change["migrate_partial"]) == (0, 1)

        # Asked again, it says the same.
        change = moved_by(cpuset)
        assert reasons(change)[f"fail_{reason}"] == stays

    change = moved_by(cpuset)

    load.rest()
    assert set(where(load)) == {2, 3}
    assert stays <= change["migrate_moved"]
    assert (change["migrate_done"], change["migrate_partial"]) == (1, 0)
    load.verify()


@pytest.mark.core
@pytest.mark.debug
def test_under_load(top, spawn):
    """Moved all the time while two processes write and fork and unmap."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    buffer(load, (0, 1), mib(2))
    load.alloc("beside", mib(2), nodes=(0, 1))
    load("work", writers=2, verifiers=1, rest=100)
    load("churn", threads=2, ops="fork,mmap", rest=100)

    for mems in ("1-2", "2-3", "0-3", "3", "0-1"):
        since = Since(cpuset)
        cpuset.set_mems(mems, nonblock=True)
        wait_until(lambda: since.gained()["migrate_start"] == 1, "it to begin")
        cpuset.wait_idle()

    load.calm()
    load.rest()
    load.verify()
    moved_by(cpuset)
    assert set(where(load, mib(2))) <= {0, 1}
