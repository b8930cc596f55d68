# SPDX-License-Identifier: GPL-2.0
"""cgmigrate plan, apply and undo on real memory."""

import json

import pytest

from ktest import machine
from ktest.command import told
from ktest.machine import mib

pytestmark = [pytest.mark.defect("command"), pytest.mark.usefixtures("command")]


def job(top, spawn, label, node, size=24):
    """A cpuset on one node with a verifying load in it."""
    cpuset = top.mkdir(label, mems=str(node))
    load = spawn(cpuset)
    load.alloc("anon", mib(size), nodes=node)
    return cpuset, load


def where(load):
    load.verify()
    return set(load.where("anon"))


@pytest.fixture
def pair(top, spawn):
    """Jobs on nodes 0 and 1."""
    return job(top, spawn, "a", 0), job(top, spawn, "b", 1)


def test_swap_and_undo(pair, name):
    (a, load_a), (b, load_b) = pair
    out = told("apply", "--swap", name(a), name(b))
    assert out["state"] == "done" and out["result"]["totals"]["moved"] >= 48 << 20
    assert (a.mems(), b.mems()) == ([1], [0])
    assert (where(load_a), where(load_b)) == ({1}, {0})

    out = told("undo")
    assert out["state"] == "done"
    assert (a.mems(), b.mems()) == ([0], [1])
    assert (where(load_a), where(load_b)) == ({0}, {1})
    assert told("undo")["state"] == "unchanged"


@pytest.fixture
def nearly_full(spawn, pair):
    """Nodes 0 and 1 with 16 MiB free above their low watermarks."""
    machine.drop_caches()
    with machine.small_cpu_lists():
        fillers = []
        for node in (0, 1):
            filler = spawn()
            machine.offer_to_oom(filler.pid, 0)
            filler("nodefill", node=node, leave=mib(16))
            fillers.append(filler)
        yield fillers


def test_full_nodes_are_exchanged(pair, name, nearly_full):
    """Neither job fits beside the other."""
    (a, load_a), (b, load_b) = pair
    out = told("plan", "--swap", name(a), name(b))
    assert len({step["round"] for step in out["steps"]}) < len(out["steps"]) or any(
        step["step"] == "bounce" for step in out["steps"]
    )
    out = told("apply", "--swap", name(a), name(b))
    assert out["state"] == "done"
    assert (where(load_a), where(load_b)) == ({1}, {0})


def test_a_tree_moves_in_order(top, spawn, name, tmp_path):
    parent = top.mkdir("p", mems="0-1")
    jobs = [job(parent, spawn, f"c{n}", n, 8) for n in (0, 1)]
    targets = [{"cgroup": name(parent), "to": "2-3"}]
    targets += [{"cgroup": name(c), "to": str(n + 2)} for n, (c, _) in enumerate(jobs)]
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"targets": targets}))

    out = told("apply", file)

    kinds = [step["step"] for step in out["steps"]]
    assert kinds == ["widen", "move", "move", "narrow"]
    assert parent.mems() == [2, 3]
    assert [where(load) for _, load in jobs] == [{2}, {3}]
    told("undo")
    assert parent.mems() == [0, 1]
    assert [where(load) for _, load in jobs] == [{0}, {1}]
