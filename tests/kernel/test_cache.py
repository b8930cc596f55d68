# SPDX-License-Identifier: GPL-2.0
"""Page cache and shared memory that nobody maps, charged to the cgroup (defect E)."""

import collections
import contextlib
import ctypes
import errno
import os
import threading
import time

import pytest

from ktest import calls, machine
from ktest.cpusets import (
    Since,
    accounted,
    cached_on,
    complaints,
    moved_by,
    reasons,
    wait_until,
)
from ktest.disks import SlowDisk, loop_device, run
from ktest.machine import mib
from ktest.marks import later
from ktest.process import apart, refused

pytestmark = pytest.mark.v2only("memory is charged to cgroups of the same hierarchy")

PAGES = mib(16)
KNOB = f"{machine.KNOBS}/pagecache"


@pytest.fixture
def shm(request):
    """A file on tmpfs, for what does not depend on the file system."""
    name = f"/dev/shm/cpuset-migrate-{os.getpid()}-one"
    yield name
    if os.path.exists(name):
        os.unlink(name)


def fill(load, path, pages=PAGES, nodes=0):
    """A file, its pages on these nodes and mapped by nobody."""
    load.alloc("cache", pages, kind="file", path=path, nodes=nodes)
    load("hide", "cache")
    os.sync()


def look(load):
    """Where the pages are: they are mapped again for that."""
    load("show", "cache")
    load("touch", "cache")
    where = load.where("cache")
    load.verify("cache")
    load("hide", "cache")
    return where


class Content:
    """What a file has now, which nobody writes any more."""

    def __init__(self, path):
        self.path = path
        self.bytes = self._read()

    def _read(self):
        with open(self.path, "rb", buffering=0) as file:
            return file.read()

    def kept(self):
        """In the cache, and on the disk if it is on one."""
        if self._read() != self.bytes:
            return False
        machine.drop_caches()
        return self._read() == self.bytes


@pytest.mark.core
@pytest.mark.defect("E")
def test_moves(charged, spawn, path, defects):
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, path)

    if defects:
        cpuset.set_mems("1")
        assert look(load) == {0: PAGES}
        return
    before = cached_on(cpuset, 0)
    change = moved_by(cpuset, "1", cache=True)

    assert before >= PAGES
    assert cached_on(cpuset, 1) - cached_on(cpuset, 0) >= PAGES - mib(1)
    assert look(load) == {1: PAGES}
    assert change["migrate_moved"] >= PAGES
    failed = {k: v for k, v in reasons(change).items() if k.startswith("fail")}
    assert not failed
    assert (change["migrate_done"], change["migrate_partial"]) == (1, 0)
    # An address space, but no cache, counts there.
    assert change["migrate_total"] == 1


@pytest.mark.core
def test_memfd(charged, spawn):
    """Memory that has no name anywhere, but a descriptor."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    load.alloc("cache", PAGES, kind="memfd", nodes=0)
    load("hide", "cache")

    for mems in ("1", "2-3"):
        change = moved_by(cpuset, mems, cache=True)
        assert change["migrate_moved"] >= PAGES
        assert cached_on(cpuset, 0) < mib(1)

    assert look(load) == {2: PAGES}


class Segment:
    """SysV shared memory that is there whether anybody has it attached or not."""

    def __init__(self, count):
        self.count = count
        size = ctypes.c_size_t(count * machine.PAGE)
        self.number = calls.checked(calls.libc.shmget(0, size, 0o600))
        self.text = b"".join(b"%-*d" % (machine.PAGE, n) for n in range(count))

    def _attached(self, function):
        attach, detach = calls.libc.shmat, calls.libc.shmdt
        attach.restype = ctypes.c_void_p
        address = attach(self.number, None, 0)
        assert address != ctypes.c_void_p(-1).value
        result = function(address)
        calls.checked(detach(ctypes.c_void_p(address)))
        return result

    def fill(self):
        self._attached(lambda at: ctypes.memmove(at, self.text, len(self.text)))

    def _look(self, address):
        assert ctypes.string_at(address, len(self.text)) == self.text
        pages = calls.addresses(address, self.count)
        return collections.Counter(calls.move(0, pages)[1])

    def look(self):
        """The number of its pages on each node; they are what they were."""
        return self._attached(self._look)

    def attached(self):
        """How many processes have it attached."""
        lines = machine.read("/proc/sysvipc/shm").splitlines()
        keys = lines[0].split()
        found = [dict(zip(keys, line.split())) for line in lines[1:]]
        (mine,) = [each for each in found if int(each["shmid"]) == self.number]
        return int(mine["nattch"])

    def remove(self):
        calls.checked(calls.libc.shmctl(self.number, 0, None))  # IPC_RMID


@pytest.fixture
def segment():
    segment = Segment(PAGES)
    yield segment
    segment.remove()


@pytest.mark.core
def test_sysv(charged, segment):
    """Filled by a process that has ended, and attached by nobody."""
    cpuset = charged("a", mems="0")

    def fill():
        cpuset.attach(os.getpid())
        segment.fill()

    apart(fill)
    assert segment.attached() == 0
    assert cached_on(cpuset, 0) >= PAGES - mib(1)

    change = moved_by(cpuset, "1", cache=True)

    assert PAGES <= change["migrate_moved"] < PAGES + mib(1)
    assert segment.attached() == 0
    assert segment.look() == {1: PAGES}


def test_of_nobody(charged, spawn, path):
    """What a process that has ended leaves behind; no process is in the cpuset."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, path)
    load.close()
    content = Content(path)

    change = moved_by(cpuset, "1", cache=True)

    assert PAGES <= change["migrate_moved"] < PAGES + mib(1)
    assert change["migrate_total"] == 0
    assert cached_on(cpuset, 0) < mib(1)
    assert cached_on(cpuset, 1) >= PAGES
    assert content.kept()


@pytest.mark.parametrize("old, new", [("0-1", "2-3"), ("0-1", "1-2"), ("1-2", "0-3")])
def test_relative_place(charged, spawn, shm, old, new):
    """As for mapped memory: also where an arrival looks like one that has to leave."""
    cpuset = charged("a", mems=old)
    load = spawn(cpuset)
    first, second = machine.parse_list(old)
    fill(load, shm, nodes=(first, second))
    assert look(load) == {first: PAGES // 2, second: PAGES // 2}

    moved_by(cpuset, new, cache=True)

    where = look(load)
    if new == "0-3":
        assert where == {first: PAGES // 2, second: PAGES // 2}
    else:
        first, second = machine.parse_list(new)
        assert where == {first: PAGES // 2, second: PAGES // 2}


@pytest.fixture
def slow_swap(tmp_path):
    """A swap device that takes its time to write a page."""
    with loop_device(tmp_path / "image", 64 << 20) as below:
        device = SlowDisk(below, 64 << 20)
        try:
            run("mkswap", device.path)
            run("swapon", "--priority", 100, device.path)
            device.delay_writes(100)
            try:
                yield
            finally:
                device.delay_writes(0)
                run("swapoff", device.path)
        finally:
            device.remove()


@pytest.mark.long
@pytest.mark.core
def test_while_it_is_swapped_out(charged, spawn, shm, slow_swap):
    """What is being written to swap is no file's any more, nor anonymous."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, shm)
    ended = threading.Event()

    def reclaim():
        while not ended.is_set():
            # There may be nothing left, for the moment.
            with contextlib.suppress(OSError):
                cpuset.write("memory.reclaim", "1M")
            time.sleep(0.01)

    written = machine.vmstat("pswpout")
    reclaimer = threading.Thread(target=reclaim)
    reclaimer.start()
    try:
        wait_until(lambda: machine.vmstat("pswpout") > written, "a page to be written")
        for mems in ("1", "0", "1"):
            moved_by(cpuset, mems, cache=True)
    finally:
        ended.set()
        reclaimer.join()

    wait_until(lambda: not machine.vmstat("nr_writeback"), "what is being written")
    moved_by(cpuset, cache=True)
    where = look(load)
    # For less than that no node is looked through.
    assert where.pop(0, 0) < mib(1)
    assert list(where) == [1]


def test_attach_takes_none_along(charged, spawn, shm):
    here, there = charged("a", mems="0"), charged("b", mems="1")
    load = spawn(here)
    fill(load, shm)

    there.attach(load)
    here.wait_idle()
    there.wait_idle()

    assert look(load) == {0: PAGES}


def test_settle_brings_it_in(charged, spawn, shm):
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    machine.write(KNOB, "0")
    try:
        fill(load, shm)
        change = moved_by(cpuset, "1")
        assert change["migrate_scanned"] < PAGES
        assert look(load) == {0: PAGES}
        # It was mapped for that by a process on the new nodes only.
    finally:
        machine.write(KNOB, "1")

    change = moved_by(cpuset, cache=True)

    assert change["migrate_moved"] >= PAGES
    assert look(load) == {1: PAGES}


def test_of_others_stays(charged, spawn, shm):
    """Cache of a cgroup beside it, and of one below it that has nodes of its own."""
    cpuset, beside = charged("a", mems="0"), charged("b", mems="0")
    spawn(cpuset)
    load = spawn(beside)
    fill(load, shm)

    change = moved_by(cpuset, "1", cache=True)

    assert change["migrate_scanned"] < PAGES
    assert look(load) == {0: PAGES}


def test_of_children(charged, spawn, shm):
    """Memory goes by the cpuset of the cgroup it is charged to, which may be above."""
    cpuset = charged("a", mems="0-1")
    cpuset.write("cgroup.subtree_control", "+memory")
    child = cpuset.mkdir("child", controlled=False)
    load = spawn(child)
    fill(load, shm, nodes=(0, 1))

    moved_by(cpuset, "2-3", cache=True)

    assert look(load) == {2: PAGES // 2, 3: PAGES // 2}


def test_of_a_child_with_other_nodes(charged, spawn, shm):
    cpuset = charged("a", mems="0-2")
    cpuset.write("cgroup.subtree_control", "+memory")
    child = cpuset.mkdir("child", mems="2")
    load = spawn(child)
    fill(load, shm, nodes=2)

    change = moved_by(cpuset, "1-2", cache=True)
    assert look(load) == {2: PAGES}
    assert change["migrate_moved"] < PAGES

    # Without a node of its own left, it has those of its parent.
    cpuset.set_mems("0-1")
    cpuset.wait_idle()
    assert 2 not in look(load)


def test_of_a_child_that_was_removed(charged, spawn, shm):
    cpuset = charged("a", mems="0")
    cpuset.write("cgroup.subtree_control", "+memory")
    child = cpuset.mkdir("child")
    load = spawn(child)
    fill(load, shm)
    cpuset.write("cgroup.subtree_control", "-memory -cpuset")
    cpuset.attach(load)
    child.rmdir()

    moved_by(cpuset, "1", cache=True)

    assert look(load) == {1: PAGES}


def test_next_to_nothing_is_not_looked_for(charged, spawn, shm):
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, shm, pages=64)

    change = moved_by(cpuset, "1")

    load("show", "cache")
    load("touch", "cache")
    assert load.where("cache") == {0: 64}
    assert change["migrate_done"] == 1


def fill_for_nobody(cpuset, path, count):
    """A file whose pages a process has left behind in a cpuset."""

    def fill_it():
        cpuset.attach(os.getpid())
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, count * machine.PAGE)

    apart(fill_it)
    assert cached_on(cpuset, 0) >= count - mib(1)


def looked_for(cpuset):
    """Chunks that a change of its nodes is done in, and what it gains."""
    since = Since(cpuset)
    with machine.Trace("cpuset_migrate:cpuset_migrate_chunk") as trace:
        cpuset.set_mems("1")
        cpuset.wait_idle()
    return len(trace.lines), since.gained()


def test_nothing_is_looked_for_where_there_is_none(charged, shm):
    """However much others have; where there is some it is found."""
    cpuset, beside = charged("a", mems="0"), charged("b", mems="0")
    fill_for_nobody(beside, shm, 16 * PAGES)

    chunks, change = looked_for(cpuset)
    assert chunks == change["migrate_scanned"] == change["migrate_usec"] == 0

    os.truncate(shm, PAGES * machine.PAGE)
    chunks, change = looked_for(beside)
    assert chunks and change["migrate_usec"]
    assert change["migrate_moved"] >= PAGES


def test_writer_does_not_wait_for_it(charged, spawn, shm):
    """It is back while the cache crawls along, a page a second, for an hour."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, shm)
    load.close()
    content = Content(shm)
    cpuset.write("max", machine.PAGE)
    since = Since(cpuset)

    cpuset.set_mems("1")

    stat = cpuset.stat()
    assert (stat["migrate_pending"], stat["migrate_held"]) == (1, 0)
    since.wait_moved(1)
    change = since.gained()
    assert change["migrate_moved"] < PAGES // 2
    assert (change["migrate_start"], change["migrate_done"]) == (1, 0)
    assert cached_on(cpuset, 0) > PAGES // 2

    # 16 MiB at 16 MiB a second, of which a tenth of a second's worth is free.
    start = time.monotonic()
    cpuset.write("max", "16M")
    cpuset.wait_idle()
    assert time.monotonic() - start > 0.7
    change = since.gained()
    assert change["migrate_moved"] >= PAGES
    assert (change["migrate_done"], change["migrate_partial"]) == (1, 0)
    assert cached_on(cpuset, 0) < mib(1)
    assert content.kept()


def test_stopped(charged, spawn, shm):
    """What was not looked at is left, and a settle brings it in."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, shm)
    load.close()
    content = Content(shm)
    cpuset.write("hold", "1")
    cpuset.set_mems("1")
    wait_until(lambda: cpuset.stat()["migrate_held"] == 1, "the cache to be held")
    since = Since(cpuset)

    cpuset.write("stop", "1")
    cpuset.wait_idle()

    change = since.gained()
    assert change["migrate_stopped"] == 1
    assert abs(change["migrate_left"] - PAGES) < mib(1)
    assert cached_on(cpuset, 0) >= PAGES
    cpuset.write("hold", "0")
    change = moved_by(cpuset, cache=True)
    assert change["migrate_moved"] >= PAGES
    assert cached_on(cpuset, 0) < mib(1)
    assert content.kept()


def test_two_changes_in_a_row(charged, spawn, shm):
    """It ends where both would have put it: 0 to 1 to 2, 1 to 2 to 3."""
    cpuset = charged("a", mems="0-1")
    load = spawn(cpuset)
    fill(load, shm, nodes=(0, 1))
    cpuset.write("hold", "1")
    cpuset.set_mems("1-2")
    cpuset.set_mems("2-3")
    cpuset.write("hold", "0")
    cpuset.wait_idle()

    assert look(load) == {2: PAGES // 2, 3: PAGES // 2}


ON_THE_WAY = {"settle": (1, 2), "2-3": (2, 3), "0-1": (0, 1)}


@pytest.mark.core
@pytest.mark.parametrize("more", ["2-3", *later("settle", "0-1")])
def test_a_change_on_the_way(charged, spawn, shm, more):
    """What has arrived looks like what has to leave, and goes on from there."""
    cpuset = charged("a", mems="0-1")
    load = spawn(cpuset)
    fill(load, shm, nodes=(0, 1))
    cpuset.write("max", "6M")
    cpuset.set_mems("1-2", nonblock=True)
    # Node 0 is left by then. Less than 1 MiB on 2 would not be looked for.
    wait_until(lambda: cached_on(cpuset, 2) > mib(2), "a part of node 1 to move")
    assert cached_on(cpuset, 2) < PAGES // 2 - mib(1)

    if more == "settle":
        cpuset.write("settle", "1", nonblock=True)
    else:
        cpuset.set_mems(more, nonblock=True)
    cpuset.write("max", "max")
    cpuset.wait_idle()

    assert look(load) == {node: PAGES // 2 for node in ON_THE_WAY[more]}


@pytest.mark.core
@pytest.mark.debug
def test_mapped_on_the_way(charged, spawn, shm):
    """By a process whose own memory has arrived; its pins are counted once."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, shm)
    load.alloc("held", 64, kind="shared", nodes=0)
    load("pin", "held", **{"from": 8, "count": 16})
    since = Since(cpuset)
    cpuset.write("max", "4M")

    cpuset.set_mems("1")
    load("show", "cache")
    load("touch", "cache")
    assert load.where("cache")[0] > PAGES // 2
    cpuset.write("max", "max")
    cpuset.wait_idle()

    change = since.gained()
    assert load.where("cache") == {1: PAGES}
    assert load.where("held") == {0: 16, 1: 48}
    assert change["migrate_scanned"] == accounted(change)
    assert reasons(change)["fail_pinned"] == 16
    load.verify()


@pytest.mark.long
def test_mapped_while_others_move(charged, spawn, shm):
    """By a process that has arrived; in the end nobody has what nobody maps."""
    cpuset = charged("a", mems="0")
    load, other = spawn(cpuset), spawn(cpuset)
    fill(load, shm)
    other.alloc("memory", PAGES, nodes=0)
    cpuset.write("max", "4M")

    cpuset.set_mems("1", nonblock=True)
    wait_until(lambda: cpuset.stat()["migrate_pending"] == 1, "the first to arrive")
    assert other.where("memory").get(0, 0) > PAGES // 4
    load("show", "cache")
    load("touch", "cache")
    assert load.where("cache") == {0: PAGES}
    cpuset.write("max", "max")
    cpuset.wait_idle()

    assert load.where("cache") == {1: PAGES}
    load.verify()


def test_settle_is_not_held_from_below(charged, spawn, shm):
    """Nor does it wait for who is."""
    parent = charged("a", mems="0-1")
    parent.write("cgroup.subtree_control", "+memory")
    cpuset = parent.mkdir("b", mems="0")
    load = spawn(cpuset)
    fill(load, shm)
    cpuset.write("hold", "1")
    cpuset.set_mems("1")
    parent.write("settle", "1")

    wait_until(lambda: cached_on(cpuset, 0) < mib(1), "the cache to move")
    cpuset.wait_idle()
    assert look(load) == {1: PAGES}


@pytest.mark.core
@pytest.mark.debug
def test_removed_while_held(top, charged, spawn, shm):
    """The cgroup goes at once; whatever the job had goes with it, but no content."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, shm)
    load.close()
    content = Content(shm)
    cpuset.write("hold", "1")
    cpuset.set_mems("1")
    wait_until(lambda: cpuset.stat()["migrate_held"] == 1, "the cache to be held")
    assert (top.stat()["migrate_pending"], top.stat()["migrate_held"]) == (1, 1)

    cpuset.rmdir()

    wait_until(lambda: not complaints(top), "its job to end")
    assert content.kept()


class Files:
    """Threads that write and check a file through read(2) and write(2)."""

    def __init__(self, path, pages):
        self.path = path
        self.pages = pages
        self.wrong = []
        self.rounds = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _page(self, number, version):
        return (b"%8d %8d " % (number, version)) * (machine.PAGE // 18) + b"." * (
            machine.PAGE % 18
        )

    def _run(self):
        fd = os.open(self.path, os.O_RDWR)
        version = 0
        while not self._end.is_set():
            for number in range(self.pages):
                os.pwrite(fd, self._page(number, version), number * machine.PAGE)
            for number in range(self.pages):
                found = os.pread(fd, machine.PAGE, number * machine.PAGE)
                if found != self._page(number, version):
                    self.wrong.append((number, version))
            version += 1
            self.rounds = version
        os.close(fd)

    def stop(self):
        self._end.set()
        self._thread.join()


@pytest.mark.core
def test_read_and_written_meanwhile(charged, spawn, path):
    """While somebody else reads and writes the file, and truncates its end."""
    cpuset = charged("a", mems="0-1")
    load = spawn(cpuset)
    fill(load, path, nodes=(0, 1))
    half = PAGES // 2
    files = Files(path, half // 4)
    try:
        for mems in ("2-3", "1-2", "0", "1-3", "0-1"):
            moved_by(cpuset, mems, cache=True)
            os.truncate(path, (PAGES - mib(1)) * machine.PAGE)
    finally:
        files.stop()
    assert files.rounds
    assert not files.wrong
    moved_by(cpuset, cache=True)
    assert cached_on(cpuset, 2) + cached_on(cpuset, 3) < mib(1)


def test_knob(charged, spawn, shm):
    machine.write(KNOB, "0")
    try:
        assert refused(machine.write, KNOB, "2x") == errno.EINVAL
        assert machine.read(KNOB).strip() == "0"
        cpuset = charged("a", mems="0")
        load = spawn(cpuset)
        fill(load, shm)
        change = moved_by(cpuset, "1")
        assert change["migrate_scanned"] < PAGES
    finally:
        machine.write(KNOB, "1")
    assert machine.read(KNOB).strip() == "1"


def test_left(charged, spawn, path):
    """Where its file says so: by changes and by settle, until it says otherwise."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(2), nodes=0)
    fill(load, path)
    cpuset.write("cache", "leave")
    assert cpuset.read("cache") == "leave"

    change = moved_by(cpuset, "1", cache=True)

    assert change["migrate_moved"] >= mib(2)
    assert change["migrate_scanned"] < PAGES
    assert change["migrate_done"] == 1
    assert load.where("anon") == {1: mib(2)}
    assert cached_on(cpuset, 0) > PAGES - mib(1)
    change = moved_by(cpuset, cache=True)
    assert change["migrate_scanned"] < PAGES
    assert cached_on(cpuset, 0) > PAGES - mib(1)

    cpuset.write("cache", "move")
    moved_by(cpuset, cache=True)
    assert cached_on(cpuset, 0) < mib(1)
    assert look(load) == {1: PAGES}


def test_left_when_others_have_moved_on(charged, spawn, shm):
    """What was left stays out of later changes, but for those of strays."""
    cpuset = charged("a", mems="0-1")
    load = spawn(cpuset)
    fill(load, shm, nodes=(0, 1))
    cpuset.write("cache", "leave")
    moved_by(cpuset, "1-2", cache=True)
    cpuset.write("cache", "move")

    # It is on 0, a stray, and on 1, from where it goes to 0.
    moved_by(cpuset, "0,3", cache=True)

    where = look(load)
    assert set(where) <= {0, 3} and sum(where.values()) == PAGES


@pytest.mark.parametrize("written_at, left", [("above", True), ("here", False)])
def test_left_by_what_is_above(charged, spawn, shm, written_at, left):
    """The cgroup that is written to decides, and those above it; not those below."""
    cpuset = charged("a", mems="0-1")
    cpuset.write("cgroup.subtree_control", "+memory")
    child = cpuset.mkdir("child")
    load = spawn(child)
    fill(load, shm, nodes=0)
    (cpuset if written_at == "above" else child).write("cache", "leave")

    cpuset.set_mems("2-3")
    cpuset.wait_idle()
    where = {0: PAGES} if left else {2: PAGES}
    assert look(load) == where

    # A change of the child obeys both.
    child.set_mems("3")
    child.wait_idle()
    assert look(load) == where


def test_left_takes_two_words(charged):
    cpuset = charged("a", mems="0")
    assert cpuset.read("cache") == "move"
    for wrong in ("", "drop", "Leave", "leaves", "1"):
        assert refused(cpuset.write, "cache", wrong or " ") == errno.EINVAL
    assert cpuset.read("cache") == "move"
    assert cpuset.mkdir("child").read("cache") == "move"


def test_move_under_way_goes_on(charged, spawn, shm):
    """What is written meanwhile is for changes to come."""
    cpuset = charged("a", mems="0")
    load = spawn(cpuset)
    fill(load, shm)
    cpuset.write("hold", "1")
    cpuset.set_mems("1")
    cpuset.write("cache", "leave")
    cpuset.write("hold", "0")
    cpuset.wait_idle()
    assert look(load) == {1: PAGES}
