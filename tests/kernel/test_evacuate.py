# SPDX-License-Identifier: GPL-2.0
"""Emptying a node: nodeN/evacuate moves whatever may be elsewhere."""

import errno
import os

import pytest

from ktest import machine
from ktest.machine import mib

PAGES = mib(8)
NODE = 2
KINDS = ["thp", "shared", "memfd"]
KINDS += [pytest.param(kind, marks=pytest.mark.debug) for kind in ("anon", "cow")]
FILE = f"/sys/devices/system/node/node{NODE}/evacuate"


def evacuate(node=NODE):
    """The number of the error that the kernel answers with, or 0."""
    try:
        machine.write(f"/sys/devices/system/node/node{node}/evacuate", "1")
    except OSError as error:
        return error.errno
    return 0


@pytest.fixture
def shm():
    if machine.file_system("/dev/shm") != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs")
    name = f"/dev/shm/cpuset-migrate-{os.getpid()}"
    yield name
    if os.path.exists(name):
        os.unlink(name)


@pytest.mark.core
@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_the_root(spawn, kind):
    """Mapped, written and read all the time, and of no cpuset but the root."""
    load, other = spawn(), spawn()
    # A write to a page of "cow" makes a new one, wherever the writer runs.
    cpus = set(range(os.cpu_count())) - set(machine.cpus_of(NODE))
    for tid in os.listdir(f"/proc/{load.pid}/task"):
        os.sched_setaffinity(int(tid), cpus)
    load.alloc("memory", PAGES, kind=kind, nodes=NODE)
    other.alloc("memory", mib(2), kind=kind, nodes=1)
    load("work", writers=1, verifiers=1, rest=500)

    assert evacuate() in (0, errno.EAGAIN)

    load.rest()
    assert NODE not in load.where("memory")
    assert other.where("memory") == {1: mib(2)}
    for each in (load, other):
        each.verify()


def test_what_nobody_maps(spawn, shm):
    load = spawn()
    load.alloc("cache", PAGES, kind="file", path=shm, nodes=NODE)
    load("hide", "cache")

    assert evacuate() in (0, errno.EAGAIN)

    load("show", "cache")
    load("touch", "cache")
    assert NODE not in load.where("cache")
    load.verify()


@pytest.mark.core
def test_a_cpuset_keeps_what_only_it_has(top, spawn):
    """Its one node; of two the other one takes all."""
    only, two = top.mkdir("a", mems=[NODE]), top.mkdir("b", mems=[NODE, 3])
    loads = [spawn(only), spawn(two)]
    for load in loads:
        load.alloc("memory", PAGES, nodes=NODE)

    assert evacuate() in (0, errno.EAGAIN)

    assert [load.where("memory") for load in loads] == [{NODE: PAGES}, {3: PAGES}]
    for load in loads:
        load.verify()


def test_what_is_exempt_stays(spawn):
    load = spawn()
    load.alloc("memory", PAGES, nodes=NODE)
    load("advise", "memory", "nomigrate")

    assert evacuate() in (0, errno.EAGAIN)

    assert load.where("memory") == {NODE: PAGES}
    load.verify()


def test_what_is_pinned_is_told(spawn):
    load = spawn()
    load.alloc("memory", PAGES, nodes=NODE)
    load("pin", "memory", count=16)

    assert evacuate() == errno.EAGAIN

    assert load.where("memory", count=16) == {NODE: 16}
    assert NODE not in load.where("memory", **{"from": 16})
    load("unpin")
    assert evacuate() in (0, errno.EAGAIN)
    assert NODE not in load.where("memory")
    load.verify()


def test_several_nodes_at_once(spawn):
    """Two that go at the same time, towards each other too."""
    load = spawn()
    load.alloc("memory", 2 * PAGES, nodes=(1, 2))
    load("work", writers=1, verifiers=1, rest=500)
    children = []
    for node in (1, 2):
        pid = os.fork()
        if not pid:
            os._exit(evacuate(node) not in (0, errno.EAGAIN))
        children.append(pid)
    assert not any(os.waitpid(pid, 0)[1] for pid in children)
    load.rest()
    assert evacuate() in (0, errno.EAGAIN)
    assert NODE not in load.where("memory")
    load.verify()


@pytest.mark.parametrize("text", ["0", "2", "-1", "x", "", "1 1"])
def test_bad_input_moves_nothing(spawn, text):
    load = spawn()
    load.alloc("memory", mib(1), nodes=NODE)
    with pytest.raises(OSError) as refused:
        fd = os.open(FILE, os.O_WRONLY)
        try:
            assert os.write(fd, text.encode() or b"\n")
        finally:
            os.close(fd)
    assert refused.value.errno == errno.EINVAL
    assert load.where("memory") == {NODE: mib(1)}


def test_only_for_root():
    pid = os.fork()
    if not pid:
        os.setuid(65534)
        os._exit(evacuate() != errno.EACCES)
    assert os.waitpid(pid, 0)[1] == 0
