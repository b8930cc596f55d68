# SPDX-License-Identifier: GPL-2.0
"""cgmigrate in a cpuset that lacks the nodes memory is to go to: who moves it then."""

import pytest
from conftest import Command
from tree import Tree

BY_KERNEL = (
    "the caller may use nodes 0 only, so the kernel moves the memory to nodes {}, "
    "in one go and with no bound on stalls"
)
REFUSED = (
    "{}: it is the caller who moves this memory to nodes {}, and the caller may use "
    "nodes 0 only: call from a cpuset that has them all"
)


def confined(tree, allowed="0"):
    tree.status("self", "cgmigrate", caps="000001ffffffffff", allowed=allowed)
    return Command(tree, write=True)


def old_machine(tmp_path, flag):
    tree = Tree(tmp_path, version=1)
    for path, nodes, pids in (("/web", "0-1", [100]), ("/db", "2-3", [])):
        more = {"cpuset.cpus": "0\n", "cpuset.memory_migrate": f"{flag}\n"}
        tree.cgroup(path, nodes, pids=pids, more=more)
    tree.process(100, "one", [("", {0: 256}, "")])
    return tree


def test_the_kernel_moves_at_once(machine):
    """The cpuset never has the old and the new nodes together."""
    run = confined(machine)
    out = run.json("move", "/web", "--to", "2-3", code=3)
    assert machine.read("sys/fs/cgroup/web/cpuset.mems") == "2-3"
    (target,) = out["targets"]
    assert target["backend"] == "stock-v2"
    assert any(BY_KERNEL.format("2-3") in note["message"] for note in out["notes"])
    left = sum(r["bytes"] for r in target["rows"] if r["reason"] == "left")
    assert left == 160 << 20, "what a file tree's kernel did not move"


def test_what_the_kernel_moved_is_told(machine):
    """It tells of no page: what has left a node has moved."""
    before = {"anon": [100 << 20, 60 << 20, 0, 0]}
    machine.cgroup("/web", "0-2", pids=[100], charged=before)
    machine.process(100, "httpd", [("", {0: 25600, 1: 15360}, "")])
    out = confined(machine).json("move", "/web", "--to", "1-2", code=3)
    kept = {
        (row["reason"], row["from"]): row["bytes"] for row in out["targets"][0]["rows"]
    }
    assert kept == {("left", 0): 100 << 20, ("inplace", 1): 60 << 20}


def test_processes_go_at_once(machine):
    run = confined(machine)
    out = run.json("move", "100", "--into", "/db", code=3)
    assert any(BY_KERNEL.format("2-3") in note["message"] for note in out["notes"])
    assert machine.read("sys/fs/cgroup/db/cpuset.mems") == "2-3\n"
    assert machine.read("sys/fs/cgroup/db/cgroup.procs").startswith("100")


@pytest.mark.parametrize("way", [("/web", "--to", "2-3"), ("100", "--into", "/db")])
def test_v1_asks_its_flag(tmp_path, way):
    """Where the kernel does not move memory either, nothing is changed."""
    tree = old_machine(tmp_path, flag=0)
    error = confined(tree).json("move", *way, code=4)["error"]
    assert error["message"].endswith(
        "and the kernel does not: its cpuset.memory_migrate is 0"
    )
    assert tree.read("sys/fs/cgroup/cpuset/web/cpuset.mems") == "0-1\n"
    tree = old_machine(tmp_path, flag=1)
    assert BY_KERNEL.format("2-3") in confined(tree)("move", "--dry-run", *way).stderr


@pytest.mark.parametrize(
    "way, name, nodes",
    [
        (("settle", "/db"), "/db", "2"),
        (("move", "/web", "--to", "2-3", "--map", "0:3,1:2"), "/web", "2-3"),
    ],
)
def test_what_the_caller_has_to_move_is_refused(machine, way, name, nodes):
    error = confined(machine).json(*way, code=4)["error"]
    assert error["message"] == REFUSED.format(name, nodes)
    assert machine.read("sys/fs/cgroup/web/cpuset.mems") == "0-1\n"


def test_pages_alone_are_refused(tmp_path):
    tree = Tree(tmp_path, version=0)
    tree.process(10, "one", [("", {0: 256}, "")], allowed="0-1")
    error = confined(tree).json("move", 10, "--to", "2-3", code=4)["error"]
    assert error["message"] == REFUSED.format(10, 2)
    inside = confined(tree, allowed="0,2").json("move", 10, "--to", "2-3", "--dry-run")
    assert inside["state"] == "planned", "node 2 is all it needs"


def test_the_engine_is_not_bound(kernel):
    out = confined(kernel).json("move", "/web", "--to", "2-3", "--dry-run")
    assert out["notes"] == [] and out["state"] == "planned"


@pytest.mark.parametrize("allowed", ["2-3", "0-3", ""])
def test_who_has_the_nodes_is_not_bound(machine, allowed):
    """Without cpusets in the kernel, nodes are not told at all."""
    out = confined(machine, allowed).json("move", "/web", "--to", "2-3", "--dry-run")
    assert out["notes"] == []
