# SPDX-License-Identifier: GPL-2.0
"""Where pages go: every page against the oracle in ktest/placement.py."""

import pytest

from ktest.cpusets import Since
from ktest.machine import mib
from ktest.marks import later
from ktest.placement import misplaced

CHANGES = [
    ([0, 1], [2, 3]),
    ([0, 1], [1, 2]),
    ([1, 2], [0, 1]),
    ([0, 1, 2], [1, 2, 3]),
    ([0, 1], [2]),
    ([0], [1, 2]),
    ([0, 1, 2, 3], [1, 2]),
    *later(
        ([0, 2], [1, 2]),
        ([1, 2, 3], [0, 1, 2]),
        ([0, 1, 2], [0, 3]),
        ([1], [0, 1, 2, 3]),
        ([0, 1, 2], [3]),
    ),
]

# Three changes that no single change can express: 1 and 2 change places.
CROSSING = [[0, 1, 2], [0, 3], [1, 2]]

CHAINS = [
    [[0, 1], [2, 3], [0, 1]],
    CROSSING,
    [[0, 1], [1, 2], [2, 3], [1, 3]],
    *later(
        [[0, 1], [1, 2], [2, 3]],
        [[0, 1], [1, 2], [0, 1]],
        [[0, 1, 2], [1, 2, 3], [0, 3]],
        [[0, 1, 2], [1, 2, 3], [0, 1, 2], [0, 3]],
    ),
]

# How far each change gets before the next one comes, at a speed that leaves the rest
# of it to do for longer than that takes.
RATE = "8M"
REACHES = [mib(8), mib(4)]


def text(masks):
    return "->".join("".join(map(str, mask)) for mask in masks)


def mixed_memory(load, nodes, pages):
    """Regions of several kinds over these nodes, also seen by a child."""
    kinds = {
        "anon": dict(kind="anon", stripe=16),
        "block": dict(kind="anon"),
        "locked": dict(kind="anon", lock=1),
        "shared": dict(kind="shared", stripe=64),
        "memfd": dict(kind="memfd"),
        "cow": dict(kind="cow", stripe=32),
    }
    for name, keys in kinds.items():
        load.alloc(name, pages, nodes=nodes, **keys)
    load.alloc("thp", mib(2) * len(nodes), kind="thp", nodes=nodes, stripe=mib(2))
    return [*kinds, "thp"]


def assert_placed(process, before, masks):
    for name, was in before.items():
        wrong = misplaced(was, process.pages(name), masks)
        assert not wrong, f"{name}: {len(wrong)} of {len(was)} pages, {wrong[:5]}"
    process.verify()


@pytest.mark.core
@pytest.mark.parametrize("masks", CHANGES, ids=text)
def test_one_change(top, spawn, masks):
    cpuset = top.mkdir("a", mems=masks[0])
    load = spawn(cpuset)
    names = mixed_memory(load, masks[0], mib(1))
    child = load.fork()
    for name in names:
        child("touch", name)
    before = {name: load.pages(name) for name in names}
    assert set(before["anon"]) == set(masks[0])

    cpuset.set_mems(masks[1])

    assert_placed(load, before, masks)
    assert_placed(child, before, masks)


@pytest.mark.core
@pytest.mark.parametrize("masks", CHAINS, ids=text)
def test_changes_that_have_not_started(top, spawn, masks):
    """Held, then released: as if every change had been done in its turn."""
    cpuset = top.mkdir("a", mems=masks[0])
    load = spawn(cpuset)
    names = mixed_memory(load, masks[0], mib(1))
    before = {name: load.pages(name) for name in names}

    cpuset.write("hold", "1")
    for mask in masks[1:]:
        cpuset.set_mems(mask, nonblock=True)
    cpuset.write("hold", "0")
    cpuset.wait_idle()

    assert_placed(load, before, masks)


@pytest.mark.core
@pytest.mark.debug
def test_crossing_moves_each_page_once(top, spawn):
    cpuset = top.mkdir("a", mems=CROSSING[0])
    load = spawn(cpuset)
    load.alloc("memory", mib(6), nodes=(0, 1, 2))
    since = Since(cpuset)
    cpuset.write("hold", "1")
    for mask in CROSSING[1:]:
        cpuset.set_mems(mask, nonblock=True)
    cpuset.write("hold", "0")
    cpuset.wait_idle()

    assert load.pages("memory") == [1] * mib(2) + [2] * mib(2) + [1] * mib(2)
    assert since.gained()["migrate_moved"] < 2 * mib(6)


@pytest.mark.parametrize("masks", CHAINS, ids=text)
def test_next_change_while_one_runs(top, spawn, masks):
    """What a change has come to by then is where it put it, the rest is not."""
    cpuset = top.mkdir("a", mems=masks[0])
    load = spawn(cpuset)
    load.alloc("private", mib(16), nodes=masks[0], stripe=mib(1))
    load.alloc("shared", mib(16), kind="shared", nodes=masks[0], stripe=mib(1))
    names = ["private", "shared"]
    before = {name: load.pages(name) for name in names}

    cpuset.write("max", RATE)
    since = Since(cpuset)
    cpuset.set_mems(masks[1], nonblock=True)
    for mask, reach in zip(masks[2:], REACHES):
        since.wait_moved(reach)
        earlier, since = since, Since(cpuset)
        cpuset.set_mems(mask, nonblock=True)
        # The one before has not looked at all of them.
        assert earlier.gained()["migrate_scanned"] < mib(32)
    cpuset.write("max", "max")
    cpuset.wait_idle()

    assert_placed(load, before, masks)


@pytest.mark.core
@pytest.mark.parametrize("threads", [1, 16])
def test_threads_do_not_matter(top, spawn, threads):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.threads(threads)
    load.alloc("memory", mib(2), nodes=(0, 1), stripe=8)
    before = {"memory": load.pages("memory")}

    cpuset.set_mems("1-2")

    assert_placed(load, before, [[0, 1], [1, 2]])


@pytest.mark.core
@pytest.mark.v2only("a v1 child does not follow its parent's mems")
def test_change_inherited_from_a_parent(top, spawn):
    parent = top.mkdir("p", mems="0-1")
    children = [parent.mkdir("x"), parent.mkdir("y", mems="1")]
    loads = [spawn(child) for child in children]
    loads[0].alloc("memory", mib(2), nodes=(0, 1))
    loads[1].alloc("memory", mib(2), nodes=1)
    before = loads[0].pages("memory")

    parent.set_mems("1-2")

    assert not misplaced(before, loads[0].pages("memory"), [[0, 1], [1, 2]])
    # Node 1 is still among its parent's: nothing changed for this one.
    assert loads[1].where("memory") == {1: mib(2)}


@pytest.mark.core
def test_strays_go_the_shortest_distance(top, spawn):
    cpuset = top.mkdir("a", mems="0")
    outside = spawn()
    outside.alloc("memory", mib(3), kind="shared")
    inside = outside.fork()
    cpuset.attach(inside)
    outside.fill("memory", (0, 2, 3))
    inside("touch", "memory")
    before = inside.pages("memory")

    cpuset.set_mems("1-2")

    assert not misplaced(before, inside.pages("memory"), [[0], [1, 2]])
    inside.verify()
