# SPDX-License-Identifier: GPL-2.0
"""migrate_pages(2), move_pages(2) and mbind(2): the same with the engine as without."""

import collections
import contextlib
import itertools
import mmap
import os
import signal
from concurrent import futures
from errno import (
    EACCES,
    EBUSY,
    EFAULT,
    EINVAL,
    EIO,
    ENODEV,
    ENOENT,
    ENOMEM,
    EPERM,
    ESRCH,
)

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
from ktest.folios import folios_of
from ktest.hugetlb import make_pool
from ktest.machine import PAGE, mib
from ktest.placement import EVEN
from ktest.process import apart, as_nobody, refused

PAGES = mib(1)
HALF = PAGES // 2
HUGE = mib(2)
# More than a node has between its low watermark and what nobody gets, and some room.
LARGE, ROOM = mib(32), 512
# Huge pages enough for each weight to be met.
INTERLEAVED = 12 * HUGE
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

    def inside(function, count, how):
        cpuset.attach(os.getpid())
        memory = calls.Mapping(count, **how)
        memory.cpuset = cpuset
        cpuset.set_mems("0-2")
        assert set(memory.nodes()) == {0}
        function(memory)
        assert memory.intact()

    def start(function, count=PAGES, **how):
        apart(inside, function, count, how)

    return start


@pytest.fixture
def full(fill_node):
    """Node 1 has room for a part of LARGE; nobody is killed for want of more."""
    fill_node(1, ROOM)
    killed = machine.vmstat("oom_kill")
    yield
    assert machine.vmstat("oom_kill") == killed


@pytest.fixture(
    params=[([], 0), (["64kB"], 4), (["2048kB"], 9)], ids=["single", "64kB", "2048kB"]
)
def order(request):
    """Memory that asks for huge pages gets folios of one size: their order."""
    sizes, order = request.param
    with folios_of(*sizes):
        yield order


@pytest.fixture(params=[INTERLEAVE, WEIGHTED_INTERLEAVE], ids=["evenly", "by-weight"])
def interleaving(request, weights):
    """A way to do it, and how much each node gets then."""
    return request.param, EVEN if request.param == INTERLEAVE else weights


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


@pytest.mark.long
@both
def test_migrate_pages_to_a_full_node(full, load):
    """What has no room stays, the other node is for others; that is an error."""
    load.alloc("memory", LARGE, nodes=0)
    load("work", writers=1, verifiers=1, rest=500)

    assert refused(calls.migrate_pages, load.pid, [0], [1, 2]) == ENOMEM

    load.rest()
    assert set(load.where("memory")) == {0, 1}
    load.verify()


@both
def test_migrate_pages_of_the_pool(pool, load):
    """They go to free pages of the pool, which stays as it is."""
    make_pool(pool, {0: 4, 1: 4})
    load.alloc("memory", 4 * HUGE, kind="hugetlb", nodes=0)
    load("work", writers=1, verifiers=1, rest=500)

    assert calls.migrate_pages(load.pid, [0], [1]) == 0

    load.rest()
    assert load.where("memory") == {1: 4 * HUGE}
    assert pool.counts(0, 1) == [(4, 4), (4, 0)]
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
def test_move_pages_of_the_pool_by_any_part(pool, load):
    """As with other huge pages, and each is where the first page of it is."""
    make_pool(pool, {0: 4, 1: 4})
    address = load.alloc("memory", 4 * HUGE, kind="hugetlb", nodes=0)
    some = [0, 5, HUGE + 7, 3 * HUGE]
    parts = [address + page * PAGE for page in some]
    assert calls.move(load.pid, parts) == (0, [0] * 4)

    assert calls.move(load.pid, parts, [1] * 4) == (0, [1, -EBUSY, 1, 1])

    assert calls.move(load.pid, parts) == (0, [1] * 4)
    assert load.pages("memory") == [1] * 2 * HUGE + [0] * HUGE + [1] * HUGE
    assert pool.counts(0, 1) == [(4, 3), (4, 1)]
    load.verify()


@pytest.mark.long
@both
def test_move_pages_to_a_full_node(full, load):
    """An error, and nothing is said of any page, though some have moved."""
    address = load.alloc("memory", LARGE, nodes=0)
    load("work", writers=1, verifiers=1, rest=500)
    request = (load.pid, calls.addresses(address, LARGE), [1] * LARGE)

    left, status = calls.try_move(*request)

    assert (left, set(status)) == (-ENOMEM, {UNTOUCHED})
    load.rest()
    assert set(load.where("memory")) == {0, 1}
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


@pytest.mark.long
@both
def test_mbind_to_a_full_node(full, own):
    """Strictly that is a failure, else none; the policy is set, what has room moves."""

    def check(memory):
        assert refused(memory.bind, BIND, [1], MOVE | STRICT) == EIO
        assert set(memory.nodes()) == {0, 1}
        assert has_policy(memory, "bind:1")
        memory.bind(BIND, [1], MOVE)
        assert set(memory.nodes()) == {0, 1}

    own(check, LARGE)


@pytest.mark.long
@both
def test_mbind_moves_pages_of_the_pool(pool, own):
    make_pool(pool, {0: 4, 1: 4})

    def check(memory):
        memory.bind(BIND, [1], MOVE | STRICT)
        assert set(memory.nodes()) == {1}
        assert pool.counts(0, 1) == [(4, 4), (4, 0)]

    own(check, 4 * HUGE, flags=calls.HUGETLB)


def misplaced(memory, nodes, weights, order):
    """The first pages that are elsewhere than they are interleaved to."""
    wanted = placement.interleaved(memory.address, memory.count, nodes, weights, order)
    found = zip(itertools.count(), memory.nodes(), wanted)
    return [each for each in found if each[1] != each[2]][:16]


@both
def test_mbind_interleaves(own, order, interleaving):
    """Folio by folio, as many in a row as a node weighs."""
    mode, weights = interleaving

    def check(memory):
        memory.bind(mode, [1, 2], MOVE)
        assert not misplaced(memory, [1, 2], weights, order)

    own(check, INTERLEAVED, advice=calls.HUGEPAGE)


@pytest.mark.defect("O")
def test_mbind_interleaves_what_is_on_the_nodes_already(
    own, order, interleaving, defects
):
    """Each folio goes to its own node; on stock all stay where they were filled."""
    mode, weights = interleaving

    def check(memory):
        # Folios of 64 KiB that migrate_pages() has moved are split the next time.
        for nodes in [[0, 1, 2]] if order == 4 else [[0, 1, 2], [0, 2]]:
            memory.bind(mode, nodes, MOVE | STRICT)
            turn = nodes if not defects else [0]
            assert not misplaced(memory, turn, weights, order)

    own(check, INTERLEAVED, advice=calls.HUGEPAGE)


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
    there = collections.Counter()

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
        there[node] += status.count(node)

    while_changing(load.cpuset, call)

    assert any(there.values())
    load.rest()
    load.cpuset.set_mems("0")
    assert load.where("memory") == {0: PAGES}
    load.verify()


@pytest.mark.long
@both
def test_mbind_while_nodes_change(own):
    def check(memory):
        done = collections.Counter()

        def call(node):
            for mode, nodes in (BIND, [node]), (INTERLEAVE, [node, (node + 1) % 4]):
                try:
                    memory.bind(mode, nodes, MOVE | STRICT)
                    done[mode] += 1
                except OSError as error:
                    assert error.errno in (EINVAL, EIO)
                assert memory.intact()

        while_changing(memory.cpuset, call)
        assert done[BIND] and done[INTERLEAVE], done
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


@pytest.mark.long
def test_exempt_pages_of_the_pool(pool, own):
    """They stay, by whatever part and call they are asked for."""
    make_pool(pool, {0: 4, 1: 4})

    def check(memory):
        request = (0, [memory.address, memory.address + 5 * PAGE], [1, 1])
        memory.advise(calls.NOMIGRATE)
        assert calls.move(*request) == (0, [-EPERM] * 2)
        calls.migrate_pages(os.getpid(), [0], [1])
        assert refused(memory.bind, BIND, [1], MOVE | STRICT) == EIO
        assert set(memory.nodes()) == {0}
        assert pool.counts(0, 1) == [(4, 0), (4, 4)]
        memory.advise(calls.MIGRATE)
        assert calls.move(*request) == (0, [1, -EBUSY])
        assert memory.nodes()[HUGE - 1 : HUGE + 1] == [1, 0]

    own(check, 4 * HUGE, flags=calls.HUGETLB)
