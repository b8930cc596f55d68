# SPDX-License-Identifier: GPL-2.0
"""migrate_pages(2), move_pages(2) and mbind(2): the same with the engine as without."""

import contextlib
import itertools
import mmap
import os
import signal
from concurrent import futures
from errno import EACCES, EBUSY, EFAULT, EINVAL, EIO, ENODEV, ENOENT, EPERM, ESRCH

import pytest

from ktest import calls, machine, pages, placement
from ktest.calls import (
    BIND,
    INTERLEAVE,
    MOVE,
    MOVE_ALL,
    STRICT,
    UNTOUCHED,
    WEIGHTED_INTERLEAVE,
)
from ktest.machine import PAGE, mib
from ktest.process import apart, as_nobody, refused

PAGES = mib(1)
HALF = PAGES // 2
HUGE = mib(2)
# Nodes that do not exist: one that could, and one beyond all that can.
ABSENT, BEYOND = 40, 1500
# An id that no process ever has, and that of one without memory of its own.
NO_PID, KTHREADD = 1 << 22, 2
TURNS = ["0-1", "2-3", "1-2", "0-3"]

both = pytest.mark.defect("calls")


@pytest.fixture
def load(top, spawn):
    cpuset = top.mkdir("a", mems="0-3")
    load = spawn(cpuset)
    load.cpuset = cpuset
    return load


def without_nice(function, *args):
    """Whoever may do anything else, but not this."""
    calls.drop_capability(calls.CAP_SYS_NICE)
    return function(*args)


@pytest.fixture
def own(top):
    """Let a function have memory on node 0, its process in a cpuset of nodes 0-2."""
    cpuset = top.mkdir("b", mems="0")

    def inside(function):
        cpuset.attach(os.getpid())
        memory = calls.Mapping(PAGES)
        memory.cpuset = cpuset
        cpuset.set_mems("0-2")
        assert memory.nodes() == [0] * PAGES
        function(memory)
        assert memory.intact()

    return lambda function: apart(inside, function)


@contextlib.contextmanager
def sharer():
    """A child that has all memory of this process too."""
    pid = os.fork()
    if not pid:
        while True:
            signal.pause()
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def change(cpuset, rounds):
    for mems in TURNS * rounds:
        cpuset.set_mems(mems)


def while_changing(cpuset, call, rounds=4):
    """Call with one node after the other until a cpuset has had all turns so often."""
    with futures.ThreadPoolExecutor(1) as pool:
        writer = pool.submit(change, cpuset, rounds)
        for node in itertools.cycle(range(4)):
            call(node)
            if writer.done():
                break
        writer.result()


def relative(node, old, new):
    """Where migrate_pages() puts a page; nodes of both sets may keep theirs."""
    if node not in old or (len(old) != len(new) and node in new):
        return node
    return placement.remap(node, old, new)


WAYS = [("0", "3"), ("0-1", "2-3"), ("0-1", "1-2"), ("0-2", "2-3"), ("0-3", "1")]


@both
@pytest.mark.parametrize(
    "kind, lock", [("anon", 0), ("anon", 1), ("thp", 0), ("shared", 1)]
)
@pytest.mark.parametrize("old, new", WAYS)
def test_migrate_pages_by_relative_place(load, kind, lock, old, new):
    """Locked pages too."""
    load.alloc("memory", 4 * HUGE, kind=kind, nodes=range(4), lock=lock)
    before = load.pages("memory")
    old, new = machine.parse_list(old), machine.parse_list(new)

    assert calls.migrate_pages(load.pid, old, new) == 0

    assert load.pages("memory") == [relative(node, old, new) for node in before]
    load.verify()


@both
@pytest.mark.parametrize("kind, stays, counted", [("anon", 16, 16), ("thp", HUGE, 1)])
def test_migrate_pages_counts_what_is_pinned(load, kind, stays, counted):
    """A huge page counts as one."""
    load.alloc("memory", 2 * HUGE, kind=kind, nodes=0)
    load("pin", "memory", **{"from": HUGE + 100, "count": 16})

    assert calls.migrate_pages(load.pid, [0], [1]) == counted

    assert load.where("memory") == {0: stays, 1: 2 * HUGE - stays}
    load("unpin")
    assert calls.migrate_pages(load.pid, [0], [1]) == 0
    assert load.where("memory") == {1: 2 * HUGE}
    load.verify()


@both
def test_migrate_pages_leaves_what_is_shared(load):
    """To move it needs CAP_SYS_NICE, to leave it is no failure."""
    load.alloc("memory", PAGES, nodes=0)
    child = load.fork()
    child("rewrite", "memory", count=HALF)

    assert apart(without_nice, calls.migrate_pages, load.pid, [0], [1]) == 0
    assert load.pages("memory") == [1] * HALF + [0] * HALF

    assert calls.migrate_pages(load.pid, [0], [1]) == 0
    assert load.where("memory") == {1: PAGES}
    assert child.where("memory", **{"from": HALF}) == {1: HALF}
    load.verify()
    child.verify()


@both
def test_migrate_pages_to_nodes_the_process_may_not_have(load):
    """That needs CAP_SYS_NICE, even if there are others that it may have."""
    load.cpuset.set_mems("0-1")
    load.alloc("memory", PAGES, nodes=0)

    for new in [2], [1, 2]:
        call = (calls.migrate_pages, load.pid, [0], new)
        assert apart(without_nice, refused, *call) == EPERM
    assert load.where("memory") == {0: PAGES}
    assert apart(without_nice, calls.migrate_pages, load.pid, [0], [1]) == 0
    assert load.where("memory") == {1: PAGES}

    assert calls.migrate_pages(load.pid, [1], [2]) == 0
    assert load.where("memory") == {2: PAGES}
    load.verify()


@both
def test_migrate_pages_to_nodes_the_caller_may_not_have(load, top):
    """They are left out, with CAP_SYS_NICE too, and some node has to be left."""
    load.alloc("memory", PAGES, nodes=0)
    callers = top.mkdir("b", mems="0-1")

    def call(new):
        callers.attach(os.getpid())
        return calls.migrate_pages(load.pid, [0], new)

    assert apart(refused, call, [2]) == EINVAL
    for new in [], [ABSENT], [BEYOND]:
        assert refused(calls.migrate_pages, load.pid, [0], new) == EINVAL
    assert load.where("memory") == {0: PAGES}
    assert apart(call, [1, 2]) == 0
    assert load.where("memory") == {1: PAGES}
    load.verify()


@both
def test_whose_memory(load):
    """Not that of another user, nor of nobody; one's own needs no capability."""
    address = load.alloc("memory", 1, nodes=0)
    call = (calls.move_pages, load.pid, address, 1, 1)
    assert apart(as_nobody, refused, *call) == EPERM
    call = (calls.migrate_pages, load.pid, [0], [1])
    assert apart(as_nobody, refused, *call) == EPERM
    assert load.where("memory") == {0: 1}
    for pid, error in (NO_PID, ESRCH), (KTHREADD, EINVAL):
        assert refused(calls.migrate_pages, pid, [0], [1]) == error
        assert refused(calls.move_pages, pid, address, 1, 1) == error

    def move_own():
        memory = calls.Mapping(PAGES)
        assert calls.move(0, memory.addresses(), [1] * PAGES) == (0, [1] * PAGES)
        assert memory.nodes() == [1] * PAGES and memory.intact()

    apart(as_nobody, move_own)


@both
def test_move_pages_says_something_of_each(load):
    """On its way, asked for again, there already, zeros, never touched, not mapped."""
    address = load.alloc("memory", 5)
    load.fill("memory", 0, count=2)
    load.fill("memory", 1, **{"from": 2, "count": 1})
    load("touch", "memory", **{"from": 3, "count": 1})
    some = [address, address, *calls.addresses(address, 5)[1:], PAGE]

    nothing = [-EFAULT, -ENOENT, -EFAULT]
    assert calls.move(load.pid, some) == (0, [0, 0, 0, 1, *nothing])
    assert calls.move(load.pid, some, [1] * 7) == (0, [1, -EBUSY, 1, 1, *nothing])
    assert calls.move(load.pid, some) == (0, [1, 1, 1, 1, *nothing])
    assert calls.move(load.pid, [], []) == (0, [])
    load.verify()


@both
def test_move_pages_by_any_part_of_a_huge_page(load):
    """All of it comes, and stays one."""
    address = load.alloc("memory", 2 * HUGE, kind="thp", nodes=0)
    parts = [address + 5 * PAGE, address + 7 * PAGE]

    assert calls.move(load.pid, parts, [1, 1]) == (0, [1, -EBUSY])

    assert load.pages("memory") == [1] * HUGE + [0] * HUGE
    assert pages.smaps(load.pid, address, "AnonHugePages") == 2 * HUGE
    load.verify()


@both
def test_move_pages_leaves_what_is_shared(load):
    address = load.alloc("memory", PAGES, nodes=0)
    child = load.fork()
    child("rewrite", "memory", count=HALF)
    all_of_it = calls.addresses(address, PAGES)
    request = (load.pid, all_of_it, [1] * PAGES)

    assert calls.move(*request) == (0, [1] * HALF + [-EACCES] * HALF)
    assert load.pages("memory") == [1] * HALF + [0] * HALF
    assert calls.move(load.pid, all_of_it[HALF:], [0] * HALF) == (0, [0] * HALF)

    assert apart(without_nice, refused, calls.move, *request, MOVE_ALL) == EPERM
    assert calls.move(*request, MOVE_ALL) == (0, [1] * PAGES)
    assert load.where("memory") == {1: PAGES}
    assert child.where("memory", **{"from": HALF}) == {1: HALF}
    load.verify()
    child.verify()


@both
@pytest.mark.parametrize(
    "node, error", [(-1, ENODEV), (ABSENT, ENODEV), (BEYOND, ENODEV), (3, EACCES)]
)
def test_move_pages_ends_at_a_bad_node(load, node, error):
    """Also one that the process may not have; what came before has moved."""
    load.cpuset.set_mems("0-2")
    address = load.alloc("memory", 4, nodes=0)
    request = (load.pid, calls.addresses(address, 4), [1, 1, node, 1])

    assert refused(calls.move, *request) == error

    assert load.pages("memory") == [1, 1, 0, 0]
    load.verify()


@both
@pytest.mark.parametrize(
    "nodes, left, after",
    [
        ([1] * 8, 2, [1, 0, 0, 1, 1, 1, 1, 1]),
        ([1] * 4 + [2] * 4, 6, [1, 0, 0, 1, 0, 0, 0, 0]),
    ],
)
def test_move_pages_counts_what_is_left(load, nodes, left, after):
    """Pinned pages, and all for which it is another node's turn then."""
    address = load.alloc("memory", 8, nodes=0)
    load("pin", "memory", **{"from": 1, "count": 2})

    assert calls.move(load.pid, calls.addresses(address, 8), nodes)[0] == left

    assert load.pages("memory") == after
    load.verify()


@both
def test_move_pages_with_other_flags(load):
    address = load.alloc("memory", 1, nodes=0)
    for nodes, flags in itertools.product([[1], None], [STRICT, MOVE | 8, 16]):
        assert refused(calls.move, load.pid, [address], nodes, flags) == EINVAL
    assert load.where("memory") == {0: 1}


def has_policy(memory, text):
    maps = machine.read("/proc/self/numa_maps")
    return f"{memory.address:08x} {text} " in maps


@both
def test_mbind_strictly(own):
    """If pages are elsewhere and are not to be moved, nothing is done at all."""

    def check(memory):
        assert refused(memory.bind, BIND, [1], STRICT) == EIO
        assert memory.nodes() == [0] * PAGES
        assert not has_policy(memory, "bind:1")
        memory.bind(BIND, [0], STRICT)
        assert has_policy(memory, "bind:0")

    own(check)


@both
def test_mbind_leaves_what_is_shared(own):
    """Even strictly that is no failure."""

    def check(memory):
        with sharer():
            memory.write(HALF)
            memory.bind(BIND, [1], MOVE | STRICT)
            assert memory.nodes() == [1] * HALF + [0] * HALF
            memory.bind(BIND, [1], MOVE_ALL)
            assert memory.nodes() == [1] * PAGES

    own(check)


@both
def test_mbind_leaves_what_is_pinned(own):
    """Strictly that is a failure, but the rest has moved and the policy is set."""

    def check(memory):
        calls.pin(memory.address, 4 * PAGE)
        assert refused(memory.bind, BIND, [1], MOVE | STRICT) == EIO
        assert memory.nodes() == [0] * 4 + [1] * (PAGES - 4)
        assert has_policy(memory, "bind:1")
        memory.bind(BIND, [2], MOVE)
        assert memory.nodes() == [0] * 4 + [2] * (PAGES - 4)

    own(check)


@both
def test_mbind_interleaves(own):
    """Page by page."""

    def check(memory):
        first = memory.address // PAGE
        memory.bind(INTERLEAVE, [1, 2], MOVE)
        assert memory.nodes() == [1 + (first + n) % 2 for n in range(PAGES)]

    own(check)


@pytest.mark.defect("O")
def test_mbind_interleaves_what_is_on_the_nodes_already(own, defects):
    """Each page goes to its own node; on stock all stay where they were filled."""

    def check(memory):
        first = memory.address // PAGE
        for nodes in [0, 1, 2], [0, 2]:
            memory.bind(INTERLEAVE, nodes, MOVE | STRICT)
            turn = nodes if not defects else [0]
            wanted = [turn[(first + n) % len(turn)] for n in range(PAGES)]
            assert memory.nodes() == wanted

    own(check)


@both
def test_mbind_interleaves_by_weight(own, weights):
    """As many pages in a row as a node weighs."""

    def check(memory):
        memory.bind(WEIGHTED_INTERLEAVE, [1, 2], MOVE)
        wanted = placement.interleaved(memory.address, PAGES, [1, 2], weights)
        assert memory.nodes() == wanted

    own(check)


@pytest.mark.defect("O")
def test_mbind_interleaves_by_weight_what_is_on_the_nodes_already(
    own, weights, defects
):
    """Each page goes to its own node; on stock all stay where they were filled."""

    def check(memory):
        for nodes in [0, 1, 2], [0, 2]:
            memory.bind(WEIGHTED_INTERLEAVE, nodes, MOVE | STRICT)
            turn = nodes if not defects else [0]
            wanted = placement.interleaved(memory.address, PAGES, turn, weights)
            assert memory.nodes() == wanted

    own(check)


@pytest.mark.defect("O")
def test_mbind_interleaves_several_mappings_at_once(own, defects):
    """Each file begins with another node. On stock all are interleaved as the first."""

    def check(_memory):
        files = [calls.Mapping(HALF, mmap.MAP_SHARED) for _ in range(8)]
        exact = []
        for memory in files:
            memory.bind(BIND, [0], MOVE)
        for low, high in itertools.permutations(files, 2):
            if low.address + HALF * PAGE != high.address:
                continue
            calls.mbind(low.address, 2 * HALF * PAGE, INTERLEAVE, [1, 2], MOVE)
            moved = high.nodes()
            high.advise(calls.REMOVE)
            high.write(HALF)
            exact.append(moved == high.nodes())
        assert exact and all(exact) is not defects
        assert all(memory.intact() for memory in files)

    own(check)


@both
def test_mbind_refuses(own):
    """Of several nodes, it takes those that the cpuset has."""

    def check(memory):
        for nodes in [], [3], [ABSENT], [BEYOND]:
            assert refused(memory.bind, BIND, nodes, MOVE) == EINVAL
        assert refused(memory.bind, BIND, [1], MOVE | 8) == EINVAL
        assert refused(calls.mbind, memory.address + 1, PAGE, BIND, [1]) == EINVAL
        assert refused(calls.mbind, PAGE, PAGE, BIND, [1], MOVE) == EFAULT
        bind_all = (memory.bind, BIND, [1], MOVE_ALL)
        assert apart(without_nice, refused, *bind_all) == EPERM
        assert memory.nodes() == [0] * PAGES
        memory.bind(BIND, [2, 3], MOVE)
        assert memory.nodes() == [2] * PAGES

    own(check)


@both
def test_migrate_pages_while_nodes_change(load):
    load.alloc("memory", PAGES, nodes=(0, 1))
    load.alloc("huge", 2 * HUGE, kind="thp", nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=500)
    size = int(machine.status_field(load.pid, "VmSize").split()[0]) * 1024 // PAGE

    def call(node):
        left = calls.migrate_pages(load.pid, [node], [(node + 1) % 4])
        assert 0 <= left <= size

    # Each moves all of the process: that takes its time.
    while_changing(load.cpuset, call, rounds=1)

    load.rest()
    load.cpuset.set_mems("0")
    assert load.where("memory") == {0: PAGES}
    assert load.where("huge") == {0: 2 * HUGE}
    load.verify()


@both
def test_move_pages_while_nodes_change(load):
    address = load.alloc("memory", PAGES, nodes=(0, 1))
    load("work", writers=1, verifiers=1, rest=500)

    def call(node):
        request = (load.pid, calls.addresses(address, PAGES), [node] * PAGES)
        try:
            left, status = calls.move(*request)
        except OSError as error:
            # Of another node the cpuset has none just now.
            assert error.errno == EACCES
            return
        assert 0 <= left <= PAGES
        known = {node, -EBUSY, -ENOENT}
        assert set(status) <= (known | {UNTOUCHED} if left else known)

    while_changing(load.cpuset, call)

    load.rest()
    load.cpuset.set_mems("0")
    assert load.where("memory") == {0: PAGES}
    load.verify()


@pytest.mark.long
@both
def test_mbind_while_nodes_change(own):
    def check(memory):
        def call(node):
            for mode, nodes in (BIND, [node]), (INTERLEAVE, [node, (node + 1) % 4]):
                try:
                    memory.bind(mode, nodes, MOVE | STRICT)
                except OSError as error:
                    assert error.errno in (EINVAL, EIO)
                assert memory.intact()

        while_changing(memory.cpuset, call)
        memory.cpuset.set_mems("0")
        assert memory.nodes() == [0] * PAGES

    own(check)


def test_exempt_from_mbind_and_move_all(own):
    """That it stays is a failure for those who are strict; where it is can be asked."""

    def check(memory):
        stays = [0] * PAGES
        memory.advise(calls.NOMIGRATE)
        memory.bind(BIND, [1], MOVE)
        assert memory.nodes() == stays
        assert refused(memory.bind, BIND, [2], MOVE_ALL | STRICT) == EIO
        assert has_policy(memory, "bind:2")
        request = (0, memory.addresses(), [1] * PAGES, MOVE_ALL)
        assert calls.move(*request) == (0, [-EPERM] * PAGES)
        assert memory.nodes() == stays
        memory.advise(calls.MIGRATE)
        memory.bind(BIND, [1], MOVE | STRICT)
        assert memory.nodes() == [1] * PAGES

    own(check)
