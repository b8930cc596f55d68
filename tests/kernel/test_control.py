# SPDX-License-Identifier: GPL-2.0
"""Waiting for a move and not waiting; holding, stopping, settling."""

import contextlib
import errno
import fcntl
import os
import select
import signal
import time

import pytest

from ktest import machine
from ktest.cpusets import Since, complaints, start_slowly, wait_until
from ktest.machine import mib
from ktest.placement import misplaced
from ktest.process import refused
from ktest.timing import Background

SMALL = mib(4)
LARGE = mib(128)


@pytest.fixture
def job(top, spawn):
    """A cpuset on node 0 and a process in it with 4 MiB there."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", SMALL, nodes=0)
    return cpuset, load


@pytest.fixture
def large_job(top, spawn):
    """As job with 128 MiB: long enough to be met under way, at full speed."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", LARGE, nodes=0)
    return cpuset, load


@pytest.mark.core
def test_plain_write_waits(job):
    cpuset, load = job
    assert cpuset.write("mems", "1") == 1
    assert cpuset.stat()["migrate_pending"] == 0
    assert load.where("memory") == {1: SMALL}


# What Go's os.OpenFile() wants to be told of a file.
GO = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


@pytest.mark.core
def test_as_go_opens_a_file(job):
    """It makes it O_NONBLOCK afterwards; what counts is how it is at the write."""
    cpuset, load = job
    cpuset.write("max", "1M")
    with contextlib.ExitStack() as stack:
        fd = os.open(cpuset.file("mems"), os.O_WRONLY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        stack.enter_context(select.epoll()).register(fd, GO)
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)

        assert os.write(fd, b"1") == 1
        assert cpuset.stat()["migrate_pending"] == 1
        assert load.where("memory")[0] > SMALL // 2

        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
        since = Since(cpuset)
        writer = Background(os.write, fd, b"2")
        since.wait_moved(mib(1))
        assert writer.running
        cpuset.write("max", "max")
        writer.join()

    assert cpuset.stat()["migrate_pending"] == 0
    assert load.where("memory") == {2: SMALL}
    load.verify()


HOLDERS = [("hold", "1", "0"), ("max", "0", "max")]


@pytest.mark.core
@pytest.mark.parametrize("name, on, off", HOLDERS, ids=["hold", "max"])
@pytest.mark.parametrize("nonblock", [False, True], ids=["plain", "nonblock"])
def test_held(job, name, on, off, nonblock):
    """A held job keeps its map; neither kind of write waits for it."""
    cpuset, load = job
    cpuset.write(name, on)
    assert cpuset.read(name) == on
    since = Since(cpuset)

    cpuset.set_mems("1", nonblock)

    assert machine.mems_allowed(load.pid) == [1]
    assert load.where("memory") == {0: SMALL}
    # The worker that would move it has to find it held first.
    wait_until(lambda: cpuset.stat()["migrate_held"] == 1, "the job to be held")
    assert cpuset.stat()["migrate_pending"] == 1
    assert since.gained()["migrate_moved"] == 0

    cpuset.write(name, off)
    cpuset.wait_idle()
    assert cpuset.read(name) == off
    assert load.where("memory") == {1: SMALL}
    assert cpuset.stat()["migrate_held"] == 0
    assert since.gained()["migrate_done"] == 1
    load.verify()


@pytest.mark.core
@pytest.mark.debug
def test_hold_while_it_runs(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", mib(32), nodes=0)
    since = start_slowly(cpuset, "1", "8M", mib(4))

    cpuset.write("hold", "1")
    # From here on nothing else keeps it from going on.
    cpuset.write("max", "max")
    wait_until(lambda: cpuset.stat()["migrate_held"] == 1, "the job to be held")
    held, account = load.pages("memory"), since.gained()
    assert 0 < held.count(1) < mib(32)
    assert 0 < account["migrate_moved"] < mib(32)
    time.sleep(0.5)
    assert load.pages("memory") == held
    assert since.gained() == account

    cpuset.write("hold", "0")
    cpuset.wait_idle()
    assert load.where("memory") == {1: mib(32)}
    assert since.gained()["migrate_done"] == 1
    load.verify()


@pytest.mark.core
def test_hold_binds_what_is_below(top, spawn):
    parent = top.mkdir("p", mems="0-3")
    child = parent.mkdir("c", mems="0")
    load = spawn(child)
    load.alloc("memory", SMALL, nodes=0)
    parent.write("hold", "1")

    child.set_mems("1")
    assert load.where("memory") == {0: SMALL}

    parent.write("hold", "0")
    child.wait_idle()
    assert load.where("memory") == {1: SMALL}


@pytest.mark.core
@pytest.mark.v2only("a v1 child does not follow its parent's mems")
@pytest.mark.parametrize("name, value", [("hold", "1"), ("max", "0")])
def test_hold_does_not_bind_what_comes_from_above(top, spawn, name, value):
    parent = top.mkdir("p", mems="0")
    child = parent.mkdir("c")
    load = spawn(child)
    load.alloc("memory", SMALL, nodes=0)
    child.write(name, value)

    parent.set_mems("1")

    assert load.where("memory") == {1: SMALL}


@pytest.mark.long
@pytest.mark.core
@pytest.mark.v2only("a v1 child does not follow its parent's mems")
def test_stop_does_not_bind_what_comes_from_above(top, spawn):
    """Not even if a write below took the job over: whoever is met under way."""
    parent = top.mkdir("p", mems="0")
    child = parent.mkdir("c")
    load = spawn(child)
    load.alloc("memory", mib(32), nodes=0)
    mems = os.open(child.file("mems"), os.O_WRONLY | os.O_NONBLOCK)
    stop = os.open(child.file("stop"), os.O_WRONLY)

    for other in (b"1", b"2") * 5:
        parent.set_mems("1-2", nonblock=True)
        os.write(mems, other)
        os.write(stop, b"1")
        child.wait_idle()
        where = load.where("memory")
        assert 0 not in where, where

        # Then the child has none of its own nodes left.
        parent.set_mems("0")
        assert load.where("memory") == {0: mib(32)}

    os.close(mems)
    os.close(stop)
    load.verify()


@pytest.mark.core
@pytest.mark.debug
@pytest.mark.v2only("a v1 child does not follow its parent's mems")
def test_hold_does_not_bind_who_was_forked_meanwhile(top, spawn):
    """Nor if they are found only after a write below, which looks for all others."""
    parent = top.mkdir("p", mems="0-3")
    child = parent.mkdir("c")
    load = spawn(child)
    load.alloc("memory", mib(8), nodes=0)
    parent.write("max", 1 << 18)
    parent.set_mems("2-3", nonblock=True)
    forked = load.fork()
    # What was shared is the child's alone now, where it was.
    load("rewrite", "memory")
    assert forked.where("memory")[0] > mib(4)

    child.write("hold", "1")
    child.set_mems("3", nonblock=True)
    parent.write("max", "max")

    wait_until(
        lambda: child.stat()["migrate_pending"] == child.stat()["migrate_held"],
        "everything to be done or held",
    )
    assert child.stat()["migrate_pending"] == 0
    for each in (load, forked):
        assert set(each.where("memory")) <= {2, 3}
        each.verify()


@pytest.mark.core
@pytest.mark.debug
def test_held_job_goes_where_its_owner_goes(top, spawn):
    """Who enters a cpuset with the same nodes leaves the hold of the old one behind."""
    first = top.mkdir("a", mems="0")
    load = spawn(first)
    load.alloc("memory", SMALL, nodes=0)
    first.write("hold", "1")
    first.set_mems("1")
    wait_until(lambda: first.stat()["migrate_held"] == 1, "the job to be held")

    top.mkdir("b", mems="1").attach(load)

    assert first.stat()["migrate_held"] == 0
    assert load.where("memory") == {1: SMALL}
    load.verify()


@pytest.mark.core
@pytest.mark.v1only("cpuset.memory_migrate")
def test_a_change_that_moves_nothing_ends_one_that_does(job):
    """What it has not moved is counted as left, and stays."""
    cpuset, load = job
    since = Since(cpuset)
    cpuset.write("hold", "1")
    cpuset.set_mems("1")
    wait_until(lambda: cpuset.stat()["migrate_held"] == 1, "the job to be held")

    cpuset.write("cpuset.memory_migrate", "0")
    cpuset.set_mems("2")

    cpuset.wait_idle()
    change = since.gained()
    assert machine.mems_allowed(load.pid) == [2]
    assert load.where("memory") == {0: SMALL}
    assert change["migrate_left"] >= SMALL
    assert change["migrate_moved"] == 0
    assert (change["migrate_stopped"], change["migrate_done"]) == (1, 0)

    cpuset.write("hold", "0")
    cpuset.write("cpuset.memory_migrate", "1")
    cpuset.write("settle", "1")
    assert load.where("memory") == {2: SMALL}
    load.verify()


@pytest.mark.core
def test_stop_before_it_starts(job):
    cpuset, load = job
    since = Since(cpuset)
    cpuset.write("hold", "1")
    cpuset.set_mems("1", nonblock=True)
    cpuset.write("stop", "1")
    cpuset.wait_idle()
    assert load.where("memory") == {0: SMALL}
    change = since.gained()
    assert change["migrate_moved"] == 0
    assert change["migrate_left"] >= SMALL

    cpuset.write("hold", "0")
    cpuset.write("settle", "1")
    assert load.where("memory") == {1: SMALL}
    load.verify()


@pytest.mark.core
def test_settle_brings_strays_in(top, spawn):
    cpuset = top.mkdir("a", mems="0-1")
    outside = spawn()
    outside.alloc("memory", SMALL, kind="shared")
    inside = outside.fork()
    cpuset.attach(inside)
    outside.fill("memory", (1, 2, 3))
    inside("touch", "memory")
    before = inside.pages("memory")

    cpuset.write("settle", "1")

    after = inside.pages("memory")
    assert set(after) <= {0, 1}
    kept = [now for was, now in zip(before, after) if was == 1]
    assert set(kept) == {1}
    inside.verify()


@pytest.mark.core
def test_settle_finds_who_is_forked_meanwhile(top, spawn):
    """It has pages to itself where the walk through its parent has been already."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", mib(8), nodes=0)
    load("advise", "memory", "nomigrate")
    cpuset.set_mems("1")
    load("advise", "memory", "migrate")
    assert load.where("memory") == {0: mib(8)}
    since = Since(cpuset)
    cpuset.write("max", mib(2) * machine.PAGE)
    cpuset.write("settle", "1", nonblock=True)
    since.wait_moved(1)

    child = load.fork()
    load("rewrite", "memory", **{"from": mib(4)})
    cpuset.write("max", "max")
    cpuset.wait_idle()

    for each in (load, child):
        assert each.where("memory") == {1: mib(8)}
        each.verify()


@pytest.mark.core
def test_settle_with_nothing_to_do(job):
    cpuset, load = job
    # Text that was shared with a program that has ended meanwhile moves now.
    cpuset.write("settle", "1")
    since = Since(cpuset)
    cpuset.write("settle", "1")
    assert load.where("memory") == {0: SMALL}
    assert since.gained()["migrate_moved"] == 0


BAD = [
    ("hold", ["2", "-1", "x", "01x"]),
    ("max", ["-1", "1.5", "x", "maximum", "18446744073709551616"]),
    ("stop", ["0", "2", "x"]),
    ("settle", ["0", "2", "x"]),
]


@pytest.mark.core
@pytest.mark.parametrize("name, values", BAD, ids=[name for name, _ in BAD])
def test_bad_input_changes_nothing(job, name, values):
    cpuset, load = job
    readable = name in ("hold", "max")
    before = cpuset.read(name) if readable else None
    since = Since(cpuset)
    for value in values:
        with pytest.raises(OSError) as refusal:
            cpuset.write(name, value)
        assert refusal.value.errno == errno.EINVAL, value
    assert not readable or cpuset.read(name) == before
    assert since.nothing_gained()


@pytest.mark.core
@pytest.mark.parametrize(
    "value, error",
    [
        ("x", errno.EINVAL),
        ("1-0", errno.EINVAL),
        ("1,,x", errno.EINVAL),
        ("4096", errno.ERANGE),
    ],
)
def test_bad_mems_change_nothing(job, value, error):
    cpuset, load = job
    since = Since(cpuset)
    assert refused(cpuset.write, "mems", value) == error
    assert machine.mems_allowed(load.pid) == [0]
    assert load.where("memory") == {0: SMALL}
    assert since.nothing_gained()


@pytest.mark.core
def test_write_only_files_cannot_be_read(job):
    cpuset, load = job
    for name in ("stop", "settle"):
        assert os.stat(cpuset.file(name)).st_mode & 0o444 == 0, name


def test_killed_writer_ends_and_the_move_goes_on(large_job, spawn):
    cpuset, load = large_job
    since = Since(cpuset)
    writer = spawn()
    writer.send("write", cpuset.file("mems"), "1")
    wait_until(lambda: since.gained()["migrate_moved"], "the move to be under way")

    os.kill(writer.pid, signal.SIGKILL)
    writer.process.wait()

    cpuset.wait_idle()
    assert load.where("memory") == {1: LARGE}
    assert since.gained()["migrate_done"] == 1
    load.verify()


def test_second_write_releases_the_first_writer(job):
    """Long before either move has ended, at a page a second; it is not held."""
    cpuset, load = job
    cpuset.write("max", machine.PAGE)
    since = Since(cpuset)
    first = Background(cpuset.set_mems, "1")
    since.wait_moved(1)
    assert first.running
    since = Since(cpuset)

    second = Background(cpuset.set_mems, "2")
    first.join()

    since.wait_moved(1)
    assert second.running
    stat = cpuset.stat()
    assert (stat["migrate_pending"], stat["migrate_held"]) == (1, 0)
    assert load.where("memory")[0] > SMALL // 2
    cpuset.write("max", "max")
    second.join()
    assert load.where("memory") == {2: SMALL}
    load.verify()


@pytest.fixture
def waiting_writer(large_job, spawn):
    """A writer that waits for a move of 128 MiB, under way."""
    cpuset, load = large_job
    since = Since(cpuset)
    writer = spawn()
    writer.send("write", cpuset.file("mems"), "1")
    wait_until(lambda: since.gained()["migrate_moved"], "the move to be under way")
    return cpuset, load, writer


def test_exit_during_a_move(waiting_writer):
    cpuset, load, writer = waiting_writer
    os.kill(load.pid, signal.SIGKILL)
    load.process.wait()
    writer.receive()
    cpuset.wait_idle()

    assert not complaints(cpuset)
    assert cpuset.stat()["migrate_moved"] < LARGE


def test_rmdir_while_a_writer_waits(waiting_writer, top):
    """The process goes elsewhere, its job goes with it, the cgroup can go."""
    cpuset, load, writer = waiting_writer
    other = top.mkdir("b", mems="0-1")

    other.attach(load, nonblock=True)
    cpuset.rmdir()

    writer.receive()
    other.wait_idle()
    load.verify()


@pytest.mark.v2only("cgroup.subtree_control")
def test_controller_taken_while_a_writer_waits(waiting_writer, top):
    cpuset, load, writer = waiting_writer

    top.control(False)

    assert not cpuset.has("stat")
    writer.receive()
    top.wait_idle()
    assert load.where("memory") == {1: LARGE}
    assert not complaints(top)
    load.verify()


@pytest.mark.core
@pytest.mark.debug
@pytest.mark.v2only("cgroup.subtree_control")
@pytest.mark.parametrize("mems", ["1", "0-1"])
def test_controller_taken_from_children_on_their_way(top, spawn, mems):
    """They are their parent's, which holds nobody, and go where they were to go."""
    parent = top.mkdir("p", mems="0-1")
    held, slow = (parent.mkdir(name, mems="0") for name in "xy")
    loads = [spawn(child) for child in (held, slow)]
    for load in loads:
        load.alloc("memory", SMALL, nodes=0)
        load("work", writers=1, verifiers=1, rest=500)
    held.write("hold", "1")
    held.set_mems("1")
    start_slowly(slow, "1", machine.PAGE)
    parent.set_mems(mems)
    wait_until(lambda: parent.stat()["migrate_held"] == 1, "one to be held")
    assert parent.stat()["migrate_pending"] == 2
    assert loads[0].where("memory") == {0: SMALL}

    parent.control(False)

    parent.wait_idle()
    for load in loads:
        assert machine.mems_allowed(load.pid) == machine.parse_list(mems)
        assert load.where("memory") == {1: SMALL}
        load.rest()
        load.verify()
    assert not complaints(parent)


@pytest.mark.core
@pytest.mark.v2only("a v1 child does not follow its parent's mems")
def test_change_below_one_that_is_held(top, spawn):
    """It obeys the hold above from then on, and its writer does not wait for that."""
    parent = top.mkdir("p", mems="0-1")
    child = parent.mkdir("x")
    load = spawn(child)
    load.alloc("memory", mib(4), nodes=(0, 1), stripe=16)
    before = load.pages("memory")
    parent.write("hold", "1")
    parent.set_mems("1-3", nonblock=True)

    child.set_mems("2-3")
    assert load.pages("memory") == before
    assert child.stat()["migrate_held"] == 1
    child.write("stop", "1")  # not his to stop
    assert child.stat()["migrate_held"] == 1
    parent.write("hold", "0")
    parent.wait_idle()

    masks = [[0, 1], [1, 2, 3], [2, 3]]
    assert not misplaced(before, load.pages("memory"), masks)
    load.verify()
