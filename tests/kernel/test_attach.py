# SPDX-License-Identifier: GPL-2.0
"""Processes and threads that change their cpuset."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys

import pytest

from ktest import machine
from ktest.cpusets import Since, wait_until
from ktest.machine import mib
from ktest.placement import misplaced

pytestmark = pytest.mark.core

PAGES = mib(4)


@pytest.fixture
def pair(top):
    return top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")


def job(spawn, cpuset, nodes=(0, 1)):
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=nodes)
    return load


@pytest.mark.parametrize("nonblock", [False, True], ids=["plain", "nonblock"])
def test_attach(pair, spawn, nonblock):
    source, target = pair
    load = job(spawn, source)
    before = load.pages("memory")
    there, here = Since(target), Since(source)

    target.attach(load, nonblock)
    target.wait_idle()

    assert not misplaced(before, load.pages("memory"), [[0, 1], [2, 3]])
    assert there.gained()["migrate_done"] == 1
    assert there.gained()["migrate_moved"] >= PAGES
    assert here.nothing_gained()
    load.verify()


def test_plain_attach_waits(pair, spawn):
    source, target = pair
    load = job(spawn, source)
    target.attach(load)
    assert target.stat()["migrate_pending"] == 0
    assert set(load.where("memory")) == {2, 3}


def test_attach_to_a_held_cpuset(pair, spawn):
    source, target = pair
    load = job(spawn, source)
    target.write("hold", "1")
    target.attach(load)
    assert target.stat()["migrate_held"] == 1
    assert set(load.where("memory")) == {0, 1}
    target.write("hold", "0")
    target.wait_idle()
    assert set(load.where("memory")) == {2, 3}


@pytest.mark.debug
def test_attach_elsewhere_during_the_job(top, pair, spawn):
    """The job goes with the address space; both changes count for placement."""
    source, target = pair
    third = top.mkdir("c", mems="1-2")
    load = job(spawn, source)
    before = load.pages("memory")
    target.write("hold", "1")
    target.attach(load)

    third.attach(load)

    third.wait_idle()
    wrong = misplaced(before, load.pages("memory"), [[0, 1], [2, 3], [1, 2]])
    assert not wrong, wrong[:5]
    assert target.stat()["migrate_pending"] == 0
    load.verify()


@pytest.mark.debug
def test_exit_of_a_held_job(pair, spawn):
    source, target = pair
    load = job(spawn, source)
    target.write("hold", "1")
    target.attach(load)
    load.close()
    wait_until(lambda: target.stat()["migrate_pending"] == 0, "the job to go")
    target.rmdir()


@pytest.mark.debug
@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
def test_a_child_goes_where_its_parent_does(top, pair, spawn, leaves):
    """Not where those go whose change ends first, and finds it."""
    source, target = pair
    parent, small = job(spawn, source), spawn(top.mkdir("c", mems="1"))
    before = parent.pages("memory")
    target.write("hold", "1")
    target.attach(small)
    target.attach(parent)
    # Born after both have come, with pages of the parent.
    child = parent.fork()
    grandchild = child.fork()
    if leaves:
        top.mkdir("d", mems="2-3").attach(child, nonblock=True)
    since = Since(target)
    target.write("max", "1M")
    target.write("hold", "0")
    wait_until(lambda: since.gained()["migrate_done"], "the smaller one to arrive")
    assert target.stat()["migrate_pending"]
    target.write("max", "max")
    target.wait_idle()

    for load in (parent, child, grandchild):
        wrong = misplaced(before, load.pages("memory"), [[0, 1], [2, 3]])
        assert not wrong, wrong[:5]
        load.verify()


def test_out_of_the_root(top, spawn):
    cpuset = top.mkdir("a", mems="1-2")
    load = job(spawn, None, nodes=(0, 1, 2, 3))
    before = load.pages("memory")

    cpuset.attach(load)

    wrong = misplaced(before, load.pages("memory"), [[0, 1, 2, 3], [1, 2]])
    assert not wrong, wrong[:5]
    load.verify()


def test_into_the_root_moves_nothing(pair, root, spawn):
    load = job(spawn, pair[0])
    before = load.pages("memory")
    root.attach(load)
    assert load.pages("memory") == before


@pytest.fixture
def thread_pair(top, spawn):
    """Cpusets on node 0 and node 1 that threads of one process can be in."""
    domain = top.mkdir("domain", mems="0-3")
    pair = [domain.mkdir("x", mems="0"), domain.mkdir("y", mems="1")]
    if domain.version == 2:
        for cpuset in pair:
            cpuset.write("cgroup.type", "threaded")
    load = spawn(domain)
    tids = load.threads(2)
    load.alloc("memory", PAGES, nodes=0)
    for tid in machine.threads(load.pid):
        pair[0].attach_thread(tid)
    return load, tids, pair


def test_a_thread_moves_no_memory(thread_pair):
    load, tids, (source, target) = thread_pair
    target.attach_thread(tids[0])
    assert machine.mems_allowed(tids[0]) == [1]
    assert load.where("memory") == {0: PAGES}
    target.set_mems("2")
    assert load.where("memory") == {0: PAGES}


def test_memory_follows_the_leader(thread_pair):
    load, tids, (source, target) = thread_pair
    target.attach_thread(load.pid)
    assert load.where("memory") == {1: PAGES}
    source.set_mems("3")
    assert load.where("memory") == {1: PAGES}
    target.set_mems("2")
    assert load.where("memory") == {2: PAGES}
    load.verify()


def test_memory_follows_the_oldest_thread_of_a_dead_leader(thread_pair):
    load, tids, (source, target) = thread_pair
    load("leader-exit")
    wait_until(
        lambda: machine.status_field(load.pid, "State").startswith("Z"),
        "the leader to be a zombie",
    )
    # The control thread is the oldest now, and still in the first cpuset.
    target.attach_thread(tids[1])
    assert load.where("memory") == {0: PAGES}
    source.set_mems("2")
    assert load.where("memory") == {2: PAGES}
    load.verify()


@pytest.mark.v2only("CLONE_INTO_CGROUP")
def test_inherited_pages_are_strays_until_settled(top, spawn):
    cpuset = top.mkdir("a", mems="1")
    load = job(spawn, None, nodes=(0,))
    since = Since(cpuset)
    child = load.fork(cgroup=cpuset)
    assert machine.mems_allowed(child.pid) == [1]
    assert child.where("memory") == {0: PAGES}
    assert since.nothing_gained()
    # Copies of its own from here on; the parent's pages are not its business.
    child("rewrite", "memory", count=PAGES // 2)
    assert child.where("memory") == {0: PAGES // 2, 1: PAGES // 2}

    cpuset.write("settle", "1")

    assert child.where("memory") == {1: PAGES}
    load.verify()
    child.verify()


@pytest.mark.debug
@pytest.mark.v2only("CLONE_INTO_CGROUP")
def test_inherited_pages_come_with_the_next_change(top, spawn):
    cpuset = top.mkdir("a", mems="1")
    load = job(spawn, None, nodes=(0,))
    child = load.fork(cgroup=cpuset)

    cpuset.set_mems("2")

    assert child.where("memory") == {2: PAGES}
    child.verify()
    load.verify()


@pytest.mark.v1only("cpuset.memory_migrate")
def test_v1_moves_only_when_told(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    load = job(spawn, cpuset, nodes=(0,))
    cpuset.write("cpuset.memory_migrate", "0")
    cpuset.set_mems("1")
    assert machine.mems_allowed(load.pid) == [1]
    assert load.where("memory") == {0: PAGES}

    cpuset.write("settle", "1")
    assert load.where("memory") == {0: PAGES}

    cpuset.write("cpuset.memory_migrate", "1")
    cpuset.write("settle", "1")
    assert load.where("memory") == {1: PAGES}
    load.verify()


# Lives on in children only, each of which has its memory from the one before.
CHAIN = """
import mmap, os, sys, time
memory = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(memory), 4096):
    memory[at] = at >> 12 & 255
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
print(os.getpid(), flush=True)
sys.stdin.read()
bad = sum(memory[at] != at >> 12 & 255 for at in range(0, len(memory), 4096))
print("bad", bad, flush=True)
"""


def own_pages(pid, node):
    """Pages on a node that are of no file: text stays that others run too."""
    lines = machine.read(f"/proc/{pid}/numa_maps").splitlines()
    own = [line for line in lines if " anon=" in line and " file=" not in line]
    return sum(int(n) for n in re.findall(rf" N{node}=(\d+)", "\n".join(own)))


def test_who_forks_and_exits_all_the_time(top):
    """It may get away; then that is said, and settle brings it in."""
    cpuset = top.mkdir("a", mems="0")
    since = Since(cpuset)
    command = [sys.executable, "-c", CHAIN, str(mib(64) * machine.PAGE), "4"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        text=True,
        preexec_fn=lambda: cpuset.attach(os.getpid()),
    ) as chain:
        assert chain.stdout.readline() == "ready\n"
        cpuset.set_mems("1")
        pid = int(chain.stdout.readline())
        cpuset.wait_idle()

        change = since.gained()
        outside = own_pages(pid, 0)
        if change["migrate_left"]:
            assert change["migrate_partial"] == 1
        else:
            assert outside <= mib(1)
        cpuset.write("settle", "1")
        assert own_pages(pid, 0) <= mib(1)
        chain.stdin.close()
        assert chain.stdout.readline() == "bad 0\n"


@pytest.mark.debug
@pytest.mark.v2only("cgroup.subtree_control")
def test_controller_for_one_who_moves_among_others(top, spawn):
    """Who has nothing to move may be named before him, and behind."""
    parent = top.mkdir("p", mems="0")
    groups = [parent.mkdir(name, controlled=False) for name in "xyz"]
    load = job(spawn, groups[1], nodes=0)
    parent.write("hold", "1")
    parent.set_mems("1", nonblock=True)
    others = [job(spawn, group, nodes=1) for group in (groups[0], groups[2])]

    parent.control()
    parent.write("hold", "0")
    parent.wait_idle()

    assert [each.where("memory") for each in (load, *others)] == [{1: PAGES}] * 3
    load.verify()


@pytest.mark.core
def test_a_child_of_who_has_left_before_its_pages_have_moved(top, spawn):
    """All those before it have ended, so it is the last that has the pages."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=0)
    cpuset.write("hold", "1")
    cpuset.set_mems("1", nonblock=True)
    child = load.fork()
    other = top.mkdir("b", mems="1")
    other.attach(child)
    last = child.fork()
    for each in (child, load):
        os.kill(each.pid, signal.SIGKILL)
    load.process.wait()
    wait_until(lambda: other.procs() == [last.pid], "the others to end")

    cpuset.write("hold", "0")
    cpuset.wait_idle()
    other.wait_idle()

    assert last.where("memory") == {1: PAGES}
    last.verify()


@pytest.mark.core
@pytest.mark.debug
@pytest.mark.parametrize("ends", [False, True], ids=["stays", "ends"])
def test_a_child_that_leaves_before_its_pages_have_moved(top, spawn, ends):
    """To where the nodes are the same, before or after its parent had ended."""
    mems, where = ("2-3", {2: PAGES // 2, 3: PAGES // 2})
    if not ends:
        # What has arrived on 1 for one of them is not to go on for the other.
        mems, where = ("1-2", {1: PAGES // 2, 2: PAGES // 2})
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", PAGES, nodes=(0, 1))
    cpuset.write("hold", "1")
    cpuset.set_mems(mems, nonblock=True)
    child = load.fork()
    other = top.mkdir("b", mems=mems)

    other.attach(child)
    assert child.where("memory") == {0: PAGES // 2, 1: PAGES // 2}
    if ends:
        os.kill(load.pid, signal.SIGKILL)
        load.process.wait()
    cpuset.write("hold", "0")
    cpuset.wait_idle()
    other.wait_idle()

    assert child.where("memory") == where
    child.verify()
    if not ends:
        assert load.where("memory") == where
        load.verify()


@pytest.mark.debug
@pytest.mark.v2only("threaded cgroups")
def test_a_child_of_who_has_come_back(top, spawn):
    """It may have what its parent had where it was, though that is in place again."""
    first, second = top.mkdir("a", mems="0"), top.mkdir("b", mems="1")
    load = job(spawn, first, nodes=0)
    top.write("hold", "1")
    second.attach(load, nonblock=True)
    load.alloc("more", PAGES, nodes=1)
    first.attach(load, nonblock=True)
    child = load.fork()
    # What was shared is the child's alone now.
    load("rewrite", "more")

    top.write("hold", "0")
    for cpuset in (first, second):
        cpuset.wait_idle()

    for each in (load, child):
        assert each.where("memory") == each.where("more") == {0: PAGES}
        each.verify()


@pytest.mark.parametrize("held", [False, True], ids=["at once", "after a hold"])
def test_to_and_fro_does_not_make_a_move_begin_again(top, spawn, held):
    """Out of the cpuset whose nodes change into one below, and in again."""
    cpuset = top.mkdir("a", mems="0")
    below = top.mkdir("a/b", controlled=False)
    below.write("cgroup.type", "threaded")
    cpuset.control()
    load = spawn(cpuset)
    load.alloc("memory", mib(48), nodes=0)
    turns = itertools.cycle((below, cpuset))
    if held:
        # What is held makes no way, and goes on with whoever comes meanwhile.
        cpuset.write("hold", "1")
        cpuset.set_mems("1", nonblock=True)
        for group in (below, cpuset):
            group.attach(load, nonblock=True)

    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            for group in turns:
                group.attach(load, nonblock=True)
        os._exit(1)
    try:
        if held:
            cpuset.write("hold", "0")
            wait_until(lambda: 0 not in load.where("memory"), "it to arrive")
        else:
            cpuset.set_mems("1")
        assert 0 not in load.where("memory")
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    cpuset.wait_idle()
    assert load.where("memory") == {1: mib(48)}
    load.verify()
