# SPDX-License-Identifier: GPL-2.0
"""What is done to an address space of which a limit has let through a half."""

import time

import pytest

from ktest import machine, placement
from ktest.cpusets import Since, accounted, wait_until
from ktest.machine import PAGE, mib
from ktest.marks import later

BLOCK = mib(2)
BLOCKS = 8
# Slow enough to be met halfway, and then next to nothing.
RATE, CRAWL = 8 << 20, PAGE


def slowly(cpuset, mems, reached):
    """Start a change, and let it crawl as soon as it has come so far."""
    since = Since(cpuset)
    cpuset.write("max", RATE)
    cpuset.set_mems(mems, nonblock=True)
    wait_until(reached, "a part of it to be moved")
    cpuset.write("max", CRAWL)
    # A chunk may have been under way.
    time.sleep(0.2)
    assert cpuset.stat()["migrate_pending"] == 1
    return since


def release(cpuset, since):
    """Let it go on to its end; what the account gained."""
    cpuset.write("max", "max")
    cpuset.wait_idle()
    change = since.gained()
    assert change["migrate_scanned"] == accounted(change), change
    return change


def blocks(load, kind):
    """Regions of one size, in the order of their addresses."""
    places = {f"block{n}": 0 for n in range(BLOCKS)}
    for name in places:
        places[name] = load.alloc(name, BLOCK, kind=kind)
    return sorted(places, key=places.get)


class Halfway:
    """A process with memory that has moved, memory that has not, and room around."""

    def __init__(self, cpuset, load, kind, old, new):
        self.cpuset, self.load = cpuset, load
        self.masks = [machine.parse_list(old), machine.parse_list(new)]
        self.below, *self.filled, self.above = blocks(load, kind)
        self.low, self.high = self.filled[0], self.filled[-1]
        for number, name in enumerate(self.filled):
            nodes = self.masks[0]
            if kind == "thp":
                # A block is one page.
                nodes = nodes[number % len(nodes)]
            load.fill(name, nodes)
        self.before = {name: load.pages(name) for name in self.filled}
        self.since = slowly(cpuset, new, lambda: self.is_placed(self.low))
        # The cursor is between them.
        assert self.is_placed(self.low)
        assert load.pages(self.high) == self.before[self.high]

    def misplaced(self, name):
        after = self.load.pages(name)
        return placement.misplaced(self.before[name], after, self.masks)

    def is_placed(self, name):
        return not self.misplaced(name)

    def finish(self, but=None):
        """Every page has come to where the change wants it, and to no other node."""
        change = release(self.cpuset, self.since)
        names = [name for name in self.filled if name != but]
        wrong = {name: self.misplaced(name)[:3] for name in names}
        assert not any(wrong.values()), wrong
        assert (change["migrate_done"], change["migrate_left"]) == (1, 0), change
        self.load.verify()


@pytest.fixture
def halfway(top, spawn):
    def start(kind, old, new):
        cpuset = top.mkdir("a", mems=old)
        return Halfway(cpuset, spawn(cpuset), kind, old, new)

    return start


@pytest.mark.core
@pytest.mark.parametrize("kind", ["anon", "thp", *later("shared")])
@pytest.mark.parametrize("old, new", [("0", "1"), ("0-1", "2-3")])
def test_mremap_across_the_cursor(halfway, kind, old, new):
    """What was to come is where the walk has been already, and the other way round."""
    job = halfway(kind, old, new)

    job.load("remap", job.high, onto=job.below)
    job.load("remap", job.low, onto=job.above)

    assert job.is_placed(job.low)
    assert job.load.pages(job.high) == job.before[job.high]
    job.finish()


@pytest.mark.parametrize("kind", ["anon", "thp"])
def test_mremap_across_the_cursor_and_back(halfway, kind):
    job = halfway(kind, "0-1", "2-3")
    job.load("remap", job.high, onto=job.below)

    job.load("remap", job.high, onto=job.above)

    assert job.load.pages(job.high) == job.before[job.high]
    job.finish()


@pytest.mark.parametrize("kind", ["anon", *later("thp", "shared")])
@pytest.mark.parametrize("which, where", [("low", "above"), ("high", "below")])
def test_mremap_where_some_leave_what_others_reach(halfway, kind, which, where):
    """It is on the new nodes. Which of them, nobody can tell who did not see it go."""
    job = halfway(kind, "0-1", "1-2")
    name = getattr(job, which)

    job.load("remap", name, onto=getattr(job, where))

    job.finish(but=name)
    assert set(job.load.pages(name)) <= {1, 2}


@pytest.mark.core
@pytest.mark.parametrize("name, on, off", [("max", CRAWL, "max"), ("hold", "1", "0")])
def test_exec(top, spawn, name, on, off):
    """The old address space is nobody's business any more, the new one is."""
    pages = mib(64)
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("memory", pages, nodes=0)
    since = Since(cpuset)
    cpuset.write(name, on)
    cpuset.set_mems("1", nonblock=True)
    wait_until(
        lambda: cpuset.stat()["migrate_held" if name == "hold" else "migrate_moved"],
        "the job to be held",
    )
    unused = machine.node_pages(0)["unused"]

    load("exec")
    assert int(load("pid")["pid"]) == load.pid

    # Its memory is free at once, and what it gets now is on the new node.
    assert machine.node_pages(0)["unused"] - unused > pages // 2
    load.alloc("memory", mib(4))
    load("rewrite", "memory")
    assert load.where("memory") == {1: mib(4)}
    cpuset.write(name, off)
    cpuset.wait_idle()
    change = since.gained()
    assert change["migrate_scanned"] == accounted(change), change
    assert change["migrate_moved"] < pages // 2
    assert (change["migrate_start"], change["migrate_done"]) == (1, 1)
    assert change["migrate_total"] == 1 and change["migrate_left"] == 0
    load.verify()

    cpuset.set_mems("2")
    assert load.where("memory") == {2: mib(4)}
    load.verify()


@pytest.mark.core
@pytest.mark.parametrize("kind", ["anon", "shared"])
def test_stopped_in_an_overlapping_change(top, spawn, kind):
    """Then nothing tells a page that has moved from one that has not: nodes do."""
    pages = mib(16)
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", pages, kind=kind, nodes=(0, 1), stripe=16)
    started = {"count": mib(4)}
    since = slowly(cpuset, "1-2", lambda: 2 in load.where("memory", **started))
    cpuset.write("stop", "1")
    cpuset.wait_idle()
    change = since.gained()
    assert change["migrate_stopped"] == 1 and change["migrate_left"] > pages // 4
    stopped = load.pages("memory")
    assert set(stopped) == {0, 1, 2}

    cpuset.write("max", "max")
    cpuset.set_mems("2-3")

    # 1 to 2 and 2 to 3, whatever it was before; what is on neither, nearby.
    after = load.pages("memory")
    wrong = placement.misplaced(stopped, after, [[1, 2], [2, 3]])
    assert not wrong, wrong[:5]
    assert set(after) == {2, 3}
    load.verify()


def test_settled_after_it_was_stopped(top, spawn):
    """What is on a node of the cpuset stays there, wherever it was to go."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("memory", mib(16), nodes=(0, 1), stripe=16)
    slowly(cpuset, "1-2", lambda: 2 in load.where("memory", count=mib(4)))
    cpuset.write("stop", "1")
    cpuset.wait_idle()
    stopped = load.pages("memory")
    assert set(stopped) == {0, 1, 2}

    cpuset.write("max", "max")
    cpuset.write("settle", "1")

    wrong = placement.misplaced(stopped, load.pages("memory"), [[1, 2], [1, 2]])
    assert not wrong, wrong[:5]
    load.verify()
