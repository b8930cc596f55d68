# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --map and --from: what is planned, told and refused."""

import pytest

from conftest import Command
from moving import MEMS, PATIENCE, killed, wait_until, written
from test_plan import flows
from tree import MIB, Tree

WEB = ["move", "/web", "--to", "2-3"]


def plan(run, *args, code=0):
    return run.json("move", *args, "--dry-run", code=code)


def ways(target):
    return {way["from"]: way["to"] for way in target["map"]["nodes"]}


def distances(machine, *rows):
    for node, row in enumerate(rows):
        machine.write(f"sys/devices/system/node/node{node}/distance", row + "\n")


def test_relative_is_the_rule(run):
    (target,) = plan(run, "/web", "--to", "2-3")["targets"]
    assert target["map"] == {
        "rule": "relative",
        "nodes": [{"from": 0, "to": 2}, {"from": 1, "to": 3}],
    }
    said = plan(run, "/web", "--to", "2-3", "--map", "relative")["targets"]
    assert said == [target]


def test_pairs(run):
    (target,) = plan(run, "/web", "--to", "2-3", "--map", "0:3,1:2")["targets"]
    assert target["map"]["rule"] == "pairs"
    assert ways(target) == {0: 3, 1: 2}
    assert flows(target) == {(0, 3): 100 * MIB, (1, 2): 60 * MIB}
    assert run(*WEB, "--map", "0:3,1:2", "--dry-run").stdout.splitlines()[:3] == [
        "/web: nodes 0-1 -> 2-3, 2 processes, 160.0M to move, map pairs (stock-v2)",
        "  node 0 -> 3      100.0M",
        "  node 1 -> 2       60.0M",
    ]


def test_nodes_that_are_not_named_go_by_relative_place(run):
    (target,) = plan(run, "/web", "--to", "2-3", "--map", "0:3")["targets"]
    assert flows(target) == {(0, 3): 160 * MIB - 60 * MIB, (1, 3): 60 * MIB}


def test_inside_the_nodes_it_has(run):
    """No mask changes, and there is something to do."""
    out = plan(run, "/web", "--to", "0-1", "--map", "0:1,1:0")
    (target,) = out["targets"]
    assert out["state"] == "planned" and target["change"] is True
    assert flows(target) == {(0, 1): 100 * MIB, (1, 0): 60 * MIB}
    again = plan(run, "/web", "--to", "0-1", "--map", "0:0,1:1")
    assert again["state"] == "unchanged"


def test_where_nothing_is_now(run, machine):
    machine.charge("/web", {"anon": [100 * MIB, 0, 0, 0]})
    machine.process(100, "httpd", [("", {0: 20000}, "")])
    machine.process(101, "worker", [("", {0: 5600}, "")])
    result = run(*WEB, "--map", "0:3,1:2", "--dry-run")
    assert result.stdout.splitlines()[1:3] == [
        "  node 0 -> 3      100.0M",
        "  node 1 -> 2           0",
    ]


def test_memory_outside_can_be_named(run):
    """/db has 8 MiB on node 0, which is none of its nodes."""
    (target,) = plan(run, "/db", "--to", "1-2", "--map", "0:2,2:1")["targets"]
    assert ways(target) == {0: 2, 2: 1, 3: 2}
    assert flows(target)[(0, 2)] == 8 * MIB and target["stray"] == 8 * MIB


def test_distance(run, machine):
    distances(machine, "10 15 30 20", "15 10 20 30", "30 20 10 15", "20 30 15 10")
    (target,) = plan(run, "/web", "--to", "2-3", "--map", "distance")["targets"]
    assert target["map"]["rule"] == "distance" and ways(target) == {0: 3, 1: 2}
    assert flows(target) == {(0, 3): 100 * MIB, (1, 2): 60 * MIB}


def test_equal_distances_share_the_load(run):
    (target,) = plan(run, "/web", "--to", "2-3", "--map", "distance")["targets"]
    assert ways(target) == {0: 2, 1: 3}


def test_from(run):
    (target,) = plan(run, "/web", "--to", "1-2", "--from", "0")["targets"]
    assert target["map"]["from"] == "0" and ways(target) == {0: 1, 1: 1}
    assert flows(target) == {(0, 1): 100 * MIB}
    text = run("move", "/web", "--to", "1-2", "--from", "0", "--dry-run").stdout
    assert text.splitlines()[0].endswith(", map relative, from 0 only (stock-v2)")


def test_from_and_map(run):
    args = ["/web", "--to", "1-2", "--from", "0", "--map", "0:2"]
    (target,) = plan(run, *args)["targets"]
    assert ways(target) == {0: 2, 1: 1}


def test_a_process_alone(tmp_path):
    tree = Tree(tmp_path, version=0)
    tree.process(10, "one", [("", {0: 256, 1: 512}, "")], allowed="0-1")
    (target,) = plan(Command(tree), 10, "--to", "2-3", "--map", "0:3,1:2")["targets"]
    assert flows(target) == {(0, 3): MIB, (1, 2): 2 * MIB}


# ---- who moves ----


def test_the_engine_moves_what_it_would_place_the_same(kernel):
    run = Command(kernel)
    for how in ("relative", "distance", "0:2,1:3", "1:3"):
        (target,) = plan(run, "/web", "--to", "2-3", "--map", how)["targets"]
        assert target["backend"] == "engine-v2", how
    (target,) = plan(run, "/web", "--to", "2-3", "--map", "0:3")["targets"]
    assert target["backend"] == "stock-v2"


# ---- refusals ----

USAGE = [
    (["--map", "0"], '--map "0": can be relative, distance or pairs of nodes such as'),
    (["--map", ""], '--map "": can be relative, distance or pairs'),
    (["--map", "0:2,"], '--map "0:2,": can be relative, distance or pairs'),
    (["--map", "near"], '--map "near": can be relative, distance or pairs'),
    (["--map", "0:1024"], "--map 0:1024: node numbers end at 1023"),
    (["--map", "0:2,0:3"], "--map 0:2,0:3: a node is named twice as the one to leave"),
    (["--map", "0:1"], "--map 0:1: node 1 is not one of those of --to (2-3)"),
    (["--map"], "--map: needs a value"),
    (["--from", "x"], '--from "x": not a list of nodes such as'),
    (["--from", ""], '--from "": not a list of nodes such as'),
    (
        ["--from", "1", "--map", "0:2"],
        "--map 0:2: node 0 is not one of those of --from (1)",
    ),
]


@pytest.mark.parametrize("args, text", USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_usage(run, args, text):
    result = run(*WEB, *args)
    assert result.returncode == 2
    assert result.stderr.startswith(f"cgmigrate: move: {text}")


@pytest.mark.parametrize("option", [["--map", "distance"], ["--from", "0"]])
def test_goes_with_to(run, option):
    result = run("move", "100", "--into", "/db", *option)
    assert result.returncode == 2
    assert f"move: {option[0]}: goes with --to" in result.stderr


REFUSED = [
    (
        ["--map", "2:3"],
        "/web: map 2:3: node 2 is not one of its nodes (0-1) and has none of its "
        "memory",
    ),
    (
        ["--from", "0"],
        "/web: node 1 is not among those to leave, nor among those it is to have "
        "(2-3)",
    ),
    (
        ["--from", "0-1,3"],
        "/web: from 3: node 3 is not one of its nodes (0-1) and has none of its memory",
    ),
]


@pytest.mark.parametrize("args, text", REFUSED, ids=lambda v: " ".join(v)[:12])
def test_refused_before_anything_changes(machine, live, args, text):
    out = live.json(*WEB, *args, code=4)
    assert out["state"] == "refused" and out["error"]["message"] == text
    assert machine.read(MEMS) == "0-1\n"
    assert live.json("report")["jobs"] == []


def test_no_room_where_it_was_named(run, machine):
    """By relative place some would go to node 2."""
    machine.node(3, free=50 * MIB, cache=0)
    assert plan(run, "/web", "--to", "2-3")["state"] == "planned"
    text = plan(run, "/web", "--to", "2-3", "--map", "0:3", code=4)["error"]["message"]
    assert text.startswith("no room on nodes 3: 160.0M are to come, there is room for")
    out = plan(run, "/web", "--to", "2-3", "--map", "0:3", "--force")
    assert out["state"] == "planned"


def test_cgroups_below_with_nodes_of_their_own(run, machine):
    machine.cgroup("/web/sub", "0", charged={"anon": [0, 0, 0, 0]})
    notes = plan(run, "/web", "--to", "2-3", "--map", "0:3")["notes"]
    assert notes[0] == {
        "severity": "warning",
        "message": "/web/sub: has nodes of its own (0), and the kernel moves what "
        "leaves them by relative place",
    }


def test_the_engine_would_bring_in_what_is_outside(kernel):
    """/db/a may not have node 0, on which some of its memory is."""
    kernel.cgroup("/db/a", "2", charged={"anon": [MIB, 0, MIB, 0]})
    kernel.engine("/db/a")
    args = ["/db/a", "--to", "3", "--map", "0:3,2:3"]
    run = Command(kernel)
    assert plan(run, *args)["state"] == "planned"  # as the kernel would
    args[2:] = ["2-3", "--map", "0:3,2:2"]
    text = plan(run, *args, code=4)["error"]["message"]
    assert text.startswith("/db/a: memory on node 0 cannot be placed: its parent has")


# ---- a move that is stopped ----


@pytest.fixture
def moving(kernel, begin):
    """The nodes are widened, and the kernel has not looked at that yet."""
    kernel.write("sys/fs/cgroup/web/cgroup.procs", "")
    process = begin("--to", "2-3", "--map", "0:3,1:2")
    written(kernel, "0-3")
    return process


def test_wide_until_the_memory_has_moved(kernel, moving):
    kernel.engine("/web")
    wait_until(lambda: kernel.read(MEMS) == "2-3")
    moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 0


def test_somebody_else_writes(kernel, moving):
    kernel.write(MEMS, "1\n")
    kernel.engine("/web")
    _, err = moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 7 and "somebody else changed" in err
    assert kernel.read(MEMS) == "1\n"


def test_interrupted(kernel, moving):
    moving.send_signal(2)
    out, err = moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 5 and kernel.read(MEMS) == "0-3"
    assert "cpuset.mems is left at 0-3" in err
    assert "to finish:  cgmigrate move /web --to 2-3 --map 0:3,1:2\n" in out
    assert "to go back: cgmigrate move /web --to 0-1 --map 3:0,2:1\n" in out


def test_killed(kernel, live, moving):
    killed(moving)
    (told,) = live.json("report", "j1")["jobs"][0]["interrupted"]
    assert told["stage"] == "old and new nodes"
    assert told["finish"] == "cgmigrate move /web --to 2-3 --map 0:3,1:2"
    assert told["undo"] == "cgmigrate move /web --to 0-1 --map 3:0,2:1"


def test_cancelled_by_another(kernel, live, moving):
    """The process moves, not the kernel: it is the one that is told."""
    live("cancel", "/web", "--timeout", "50ms")
    moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 5


def ways_on(kernel, live, begin, *args):
    """What a killed move of /web would be ended and taken back with."""
    kernel.write("sys/fs/cgroup/web/cgroup.procs", "")
    process = begin(*args)
    wait_until(lambda: kernel.read(MEMS) not in ("0-1\n", ""))
    killed(process)
    (told,) = live.json("report", "j1")["jobs"][0]["interrupted"]
    return told["finish"], told["undo"]


def test_what_cannot_be_told_apart_stays(kernel, live, begin):
    """On node 1 there is what was to leave it, and what has come from node 0."""
    assert ways_on(kernel, live, begin, "--to", "1-3", "--map", "0:1,1:3") == (
        "cgmigrate move /web --to 1-3 --map 0:1,1:1",
        "cgmigrate move /web --to 0-1 --map 1:1,3:1",
    )


def test_from_is_said_as_pairs(kernel, live, begin):
    assert ways_on(kernel, live, begin, "--to", "1-2", "--from", "0") == (
        "cgmigrate move /web --to 1-2 --map 0:1,1:1",
        "cgmigrate move /web --to 0-1 --map 1:1",
    )


@pytest.mark.long
def test_memory_is_handled_right(kernel, valgrind):
    kernel.write("sys/fs/cgroup/web/cgroup.procs", "")
    check = Command(kernel, valgrind, write=True)
    for args in (
        [*WEB, "--map", "0:3,1:2"],
        [*WEB, "--map", "0:3", "--map", "distance", "--dry-run", "-J"],
        [*WEB, "--map", "0:3,0:2"],
        [*WEB, "--map", "5:3", "--from", "5"],
        ["move", "/db", "--to", "1-3", "--from", "2", "--map", "2:1"],
    ):
        assert check(*args).returncode != 99, args
