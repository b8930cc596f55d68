# SPDX-License-Identifier: GPL-2.0
"""A subtree that belongs to somebody without privilege, who tries what he can."""

import contextlib
import ctypes
import errno
import itertools
import mmap
import os
import signal
import time

import pytest

from ktest import calls, machine
from ktest.cpusets import Since, start_slowly, wait_until
from ktest.delegation import THEIRS, child, delegate, make, make_his
from ktest.machine import PAGE, mib
from ktest.marks import later
from ktest.process import NOBODY, apart, as_nobody, refused

MIB = 1 << 20
SMALL = mib(4)
RATE = 2 * MIB
SECONDS = 6
SOON = 60

pytestmark = pytest.mark.v2only("a v1 hierarchy is not delegated with its limits")


@pytest.fixture
def mine(top):
    """Nobody's."""
    cpuset = top.mkdir("mine", mems="0-1")
    delegate(cpuset)
    return cpuset


@pytest.fixture
def job(mine, spawn):
    """A process of nobody's with 4 MiB on node 0, in a cpuset that he made."""
    cpuset = make_his(mine, "a", "0")
    load = spawn(cpuset, prefix=THEIRS)
    load.alloc("memory", SMALL, nodes=0)
    assert os.stat(cpuset.file("max")).st_uid == NOBODY
    assert os.stat(f"/proc/{load.pid}").st_uid == NOBODY
    return cpuset, load


@pytest.fixture
def others(top, spawn):
    """Root's process with 4 MiB on node 0, beside what is nobody's."""
    cpuset = top.mkdir("others", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", SMALL, nodes=0)
    return cpuset, load


# ---- the limit of the parent ----

OURS = ["max", "hold", "stop", "settle", "mems"]


@pytest.mark.core
@pytest.mark.parametrize("name", OURS)
def test_what_is_roots_he_cannot_write(mine, top, name):
    for cpuset in (mine, top):
        with pytest.raises(PermissionError):
            apart(as_nobody, cpuset.write, name, "1")


def to_and_fro(mine, _pid, turn):
    """Other nodes."""
    mems = str(1 - turn % 2)
    child(mine, "a").set_mems(mems, nonblock=True)


def new_limits(mine, pid, turn):
    """A limit of his own that is written again and again, above that of the parent."""
    child(mine, "a").write("max", ("max", "900M", "1G")[turn % 3])
    to_and_fro(mine, pid, turn)


def new_cgroups(mine, pid, turn):
    """Into a cgroup that was never there before, with all it may have saved up."""
    made = make(mine, f"new{turn}", str(1 - turn % 2))
    made.attach(pid, nonblock=True)


def stop_and_go(mine, pid, turn):
    """Stopped at once and started again, so that nothing is ever owed."""
    cpuset = child(mine, "a")
    to_and_fro(mine, pid, turn)
    cpuset.write("hold", turn % 2)
    cpuset.write("stop", "1")
    cpuset.write("hold", "0")
    cpuset.write("settle", "1", nonblock=True)


# Two of them are what the others do as well.
WAYS = later(to_and_fro, new_limits)
WAYS += [new_cgroups, stop_and_go]


def insist(way, mine, pid):
    """For some seconds, as fast as he can."""
    end = time.monotonic() + SECONDS
    for turn in itertools.count():
        if time.monotonic() > end:
            return turn
        with contextlib.suppress(OSError):
            way(mine, pid, turn)
        time.sleep(0.01)
    return 0


@pytest.mark.parametrize("kind", ["anon", *later("thp")])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_limit_of_the_parent_holds(mine, job, way, kind):
    cpuset, load = job
    load.alloc("more", SMALL, kind=kind, nodes=0)
    mine.write("max", RATE)
    since, start = Since(mine), time.monotonic()

    turns = apart(as_nobody, insist, way, mine, load.pid)

    moved, took = since.gained()["migrate_moved"] * PAGE, time.monotonic() - start
    # A tenth of a second is saved up, and a huge page goes into debt.
    assert moved <= RATE * (took + 0.1) + 2 * MIB, (moved, took, turns)
    # He did move memory: it is the limit that held him.
    assert turns > 3 and moved > MIB, (moved, turns)
    mine.write("max", "max")
    cpuset.write("max", "max")
    mine.wait_idle()
    load.verify()


# ---- memory of others ----


def try_calls(pid, address):
    """What every system call answers that names a process."""
    return [
        refused(calls.migrate_pages, pid, [0], [1]),
        refused(calls.move_pages, pid, address, 4, 1),
    ]


@pytest.mark.core
def test_he_cannot_take_a_process_in(mine, job, others):
    cpuset, load = others
    for theirs in (mine, job[0]):
        with pytest.raises(PermissionError):
            apart(as_nobody, theirs.attach, load.pid)
    assert load.pid in cpuset.procs()
    assert load.where("memory") == {0: SMALL}


def test_nor_put_his_own_among_others(mine, job, others):
    cpuset, load = others
    with pytest.raises(PermissionError):
        apart(as_nobody, cpuset.attach, job[1].pid)
    assert job[1].pid in child(mine, "a").procs()


def test_nor_name_one(job, others):
    _, load = others
    address = load.alloc("more", 4, nodes=0)
    assert apart(as_nobody, try_calls, load.pid, address) == [errno.EPERM] * 2
    assert load.where("memory") == {0: SMALL} and load.where("more") == {0: 4}
    assert apart(as_nobody, job[0].write, "settle", "1") == 1
    assert load.where("memory") == {0: SMALL}


@pytest.mark.core
def test_what_he_shares_with_others_stays_where_they_need_it(mine, job, others):
    """He maps what another may have on its node only, and goes elsewhere."""
    cpuset, load = others
    cpuset.set_mems("0")
    load.alloc("ours", SMALL, kind="shared", nodes=0)
    twin = load.fork()
    twin("touch", "ours")
    job[0].attach(twin)  # root lets him have it

    apart(as_nobody, job[0].set_mems, "1")

    assert job[1].where("memory") == {1: SMALL}
    assert load.where("ours") == twin.where("ours") == {0: SMALL}
    load.verify()


# ---- what root changes from above ----


def settle_again(cpuset, _turn):
    cpuset.write("settle", "1", nonblock=True)


def other_mems(cpuset, turn):
    """The same memory now, but once node 0 is gone one of two nodes or the other."""
    cpuset.set_mems(("0-1", "0,2")[turn % 2], nonblock=True)


@contextlib.contextmanager
def over_and_over(way, cpuset):
    """Nobody does so, as fast as he can; how often that was not refused."""
    done = ctypes.c_ulong.from_buffer(mmap.mmap(-1, PAGE))
    pid = os.fork()
    if not pid:
        os.setuid(NOBODY)
        for turn in itertools.count(1):
            with contextlib.suppress(OSError):
                way(cpuset, turn)
                done.value += 1
    try:
        yield done
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.core
@pytest.mark.parametrize(
    "way", [settle_again, other_mems], ids=lambda way: way.__name__
)
def test_he_cannot_make_it_begin_again(mine, job, way):
    """Root's write returns when the memory is there, whatever is written below."""
    cpuset, load = job
    load.alloc("much", mib(48), nodes=0)
    since = Since(mine)

    with over_and_over(way, cpuset) as done:
        wait_until(lambda: done.value > 10, "him to begin")
        before = done.value
        mine.set_mems("1-2")
        often = done.value - before
        assert 0 not in load.where("much")
        assert since.gained()["migrate_moved"] >= mib(48)
        assert often > 10

    mine.wait_idle()
    placed = load.where("much")
    assert placed in ({1: mib(48)}, {2: mib(48)})
    load.verify()


def write_mems(cpuset, mems):
    cpuset.set_mems(mems, nonblock=True)


@pytest.mark.core
@pytest.mark.debug
def test_what_he_allocates_meanwhile_is_where_it_may_be(mine, job):
    """His nodes are in force before his change has its turn."""
    cpuset, load = job
    cpuset.set_mems("0-1")
    load.alloc("fresh", SMALL)  # higher up than the next: looked at later
    load.alloc("much", mib(16), nodes=0)
    start_slowly(mine, "1-2", 4 * RATE)
    apart(as_nobody, write_mems, cpuset, "2")
    assert load.where("much").get(0), "root's change is done"

    load("fill", "fresh")
    seen = set(load.where("fresh"))
    while mine.stat()["migrate_pending"]:
        seen |= set(load.where("fresh"))
        time.sleep(0.02)

    assert seen == {2}
    assert load.where("much") == {2: mib(16)}
    load.verify()


@pytest.fixture
def crowd(top, spawn):
    """Several processes in a cpuset, and one worker that they will have to share."""
    knob = f"{machine.KNOBS}/workers"
    before = machine.read(knob)
    cpuset = top.mkdir("crowd", mems="0")
    for load in [spawn(cpuset) for _ in range(6)]:
        load.alloc("memory", mib(48), nodes=0)
    machine.write(knob, "1")
    yield cpuset
    cpuset.wait_idle()
    machine.write(knob, before)


@pytest.mark.long
@pytest.mark.core
def test_a_policy_that_was_made_meanwhile_is_kept(mine, job, crowd):
    """For the nodes that are in force, of which root's change does not know."""
    cpuset, load = job
    cpuset.set_mems("0-1")
    crowd.set_mems("3", nonblock=True)
    mine.set_mems("1-2", nonblock=True)
    apart(as_nobody, write_mems, cpuset, "1-2")

    load.alloc("bound", SMALL)
    load("mbind", "bound", mode="bind", nodes=2)
    load("fill", "bound")
    mine.wait_idle()

    assert load("policy", "bound")["nodes"] == "2"
    assert load.where("bound") == {2: SMALL}
    load.verify()


# ---- a job whose cgroup is gone ----


def hold(cpuset):
    cpuset.write("hold", "1")
    cpuset.set_mems("1", nonblock=True)


def crawl(cpuset):
    cpuset.write("max", PAGE)
    cpuset.set_mems("1", nonblock=True)


HOLDERS = pytest.mark.parametrize("how", [hold, crawl], ids=lambda how: how.__name__)


def remove(cpuset):
    """The owner's way: his own process, his own cgroup."""
    cpuset.kill()
    cpuset.rmdir()


@pytest.mark.core
@pytest.mark.debug
@HOLDERS
def test_a_job_goes_with_its_cgroup(mine, job, how):
    cpuset, load = job
    apart(as_nobody, how, cpuset)
    assert mine.stat()["migrate_pending"] == 1
    start = time.monotonic()

    apart(as_nobody, remove, cpuset)

    wait_until(lambda: not mine.stat()["migrate_pending"], "no job to be left")
    assert not mine.stat()["migrate_held"] and time.monotonic() - start < SOON
    assert not os.path.exists(f"/proc/{load.pid}") or load.process.wait(SOON) < 0
    mine.rmdir()


@pytest.mark.core
@HOLDERS
def test_root_removes_it_all_the_same(mine, job, others, how):
    """What he holds follows its process out, and binds nobody there."""
    cpuset, load = job
    apart(as_nobody, how, cpuset)
    start = time.monotonic()

    others[0].attach(load)
    cpuset.rmdir()

    assert mine.stat()["migrate_pending"] == 0
    assert others[0].wait_idle() < SOON and time.monotonic() - start < SOON
    mine.rmdir()
    load.verify()


@HOLDERS
def test_nobody_else_holds_it_open(mine, job, how):
    """A file of it that is open is no cgroup any more."""
    cpuset, load = job
    held = [os.open(cpuset.file(name), os.O_RDONLY) for name in ("stat", "events")]
    writer = os.open(cpuset.file("max"), os.O_RDWR)
    apart(as_nobody, how, cpuset)
    cpuset.kill()
    cpuset.rmdir()
    wait_until(lambda: not mine.stat()["migrate_pending"], "no job to be left")
    for fd in held:
        assert refused(os.read, fd, 4096) == errno.ENODEV
        os.close(fd)
    assert refused(os.write, writer, b"max") == errno.ENODEV
    os.close(writer)
    mine.rmdir()
