# SPDX-License-Identifier: GPL-2.0
"""Stock kernels: moves that were killed half-way, which go on or back page by page.

The cpuset has the old and the new nodes then, and their order in that mask says
nothing of where memory is to go.
"""

import json
import shlex

import pytest

from ktest import machine
from ktest.command import cgmigrate, end, start, told
from ktest.cpusets import wait_until
from ktest.machine import mib

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command", "stock"),
    pytest.mark.v2only("pairs of nodes are the same on v1"),
]

# Old and new nodes, and where what is on a node goes, on and back. Nobody knows whether
# what is on a node of both has moved: it stays.
CASES = {
    "overlapping": ([0, 1], [1, 2], {0: 1}, {2: 1}),
    "apart": ([1, 2], [0, 3], {1: 0, 2: 3}, {0: 1, 3: 2}),
    "around": ([0, 3], [1, 2], {0: 1, 3: 2}, {1: 0, 2: 3}),
}
# In the other ways the mask's order happens to be right.
WAYS = [
    ("overlapping", False),
    ("overlapping", True),
    ("apart", False),
    ("around", True),
]
MIXED = "1: nodes of before and after it: what has come there cannot be told"


@pytest.fixture
def stock(engine):
    if engine:
        pytest.skip("the engine goes on by itself")


class Half:
    """A cpuset of which something has killed the move when some pages were moved."""

    def __init__(self, cpuset, load, case):
        self.cpuset = cpuset
        self.load = load
        self.old, self.new, self.on, self.back = CASES[case]
        self.was = load.pages("anon")

    def kill(self, process):
        # A page on its way is on no node.
        reached = set(self.new) - set(self.old)
        wait_until(lambda: reached & set(self.load.pages("anon")), "pages")
        process.kill()
        end(process)
        assert self.cpuset.mems() == sorted({*self.old, *self.new})
        self.half = self.load.pages("anon")
        assert set(self.half) - set(self.old) and set(self.half) - set(self.new)

    def assert_at_end(self, back):
        ways = self.back if back else self.on
        assert self.cpuset.mems() == (self.old if back else self.new)
        assert self.load.pages("anon") == [ways.get(node, node) for node in self.half]
        self.load.verify()
        if back and not set(self.old) & set(self.new):
            assert self.load.pages("anon") == self.was


@pytest.fixture
def make(top, spawn):
    def one(case):
        old = CASES[case][0]
        cpuset = top.mkdir("a", mems=machine.format_list(old))
        load = spawn(cpuset)
        load.alloc("anon", mib(32), nodes=old, stripe=16)
        return Half(cpuset, load, case)

    return one


@pytest.mark.parametrize("case, back", WAYS)
def test_a_move_that_was_killed(make, name, case, back):
    half = make(case)
    to = machine.format_list(half.new)
    half.kill(start("move", name(half.cpuset), "--to", to, "--rate", "8M"))
    job = json.loads(cgmigrate("report", "-J").stdout)["jobs"][-1]["job"]
    (way,) = told("report", job)["jobs"][0]["interrupted"]
    assert way.get("mixed") == ("1" if case == "overlapping" else None)
    assert (MIXED in cgmigrate("report", job).stdout) == (case == "overlapping")
    told(*shlex.split(way["undo" if back else "finish"])[1:])
    half.assert_at_end(back)


@pytest.mark.parametrize("case, back", WAYS)
def test_an_apply_that_was_killed(make, name, case, back, tmp_path):
    half = make(case)
    target = {"cgroup": name(half.cpuset), "to": machine.format_list(half.new)}
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"targets": [target]}))
    half.kill(start("apply", spec, "--rate", "8M"))
    words = ["undo"] if back else ["apply", "--continue"]
    out = told(*words)
    assert any(MIXED in note["message"] for note in out["notes"]) == (
        case == "overlapping"
    )
    half.assert_at_end(back)
