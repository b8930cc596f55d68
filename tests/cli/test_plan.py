# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --dry-run: what would move, and what is refused."""

import os

import pytest

from conftest import Command, failing
from tree import MIB, Tree


def plan(run, *args, code=0):
    return run.json("move", "--dry-run", *args, code=code)


def flows(target):
    return {(f["from"], f["to"]): f["bytes"] for f in target["flows"]}


def test_relative(run):
    out = plan(run, "/web", "--to", "2-3")
    (target,) = out["targets"]
    assert out["state"] == "planned" and out["changed"] is False
    assert target["from"] == "0-1" and target["to"] == "2-3"
    assert target["processes"] == 2
    assert flows(target) == {(0, 2): 100 * MIB, (1, 3): 60 * MIB}
    assert target["bytes"] == 160 * MIB


def test_overlapping(run):
    (target,) = plan(run, "/web", "--to", "1-2")["targets"]
    assert flows(target) == {(0, 1): 100 * MIB, (1, 2): 60 * MIB}


def test_fewer_nodes_fold(run):
    (target,) = plan(run, "/web", "--to", "1")["targets"]
    assert flows(target) == {(0, 1): 100 * MIB}


def test_more_nodes_move_nothing(run):
    (target,) = plan(run, "/web", "--to", "0-3")["targets"]
    assert target["bytes"] == 0 and target["change"] is True


def test_strays_go_to_the_nearest(run, machine):
    machine.write("sys/devices/system/node/node0/distance", "10 20 30 21\n")
    (target,) = plan(run, "/db", "--to", "2,3", code=0)["targets"]
    assert target["change"] is False and target["stray"] == 8 * MIB
    out = run.json("settle", "/db", "--dry-run")
    assert flows(out["targets"][0]) == {(0, 3): 8 * MIB}


def test_equally_near_strays_go_where_there_is_room(run, machine):
    machine.node(2, free=900 * MIB)
    out = run.json("settle", "/db", "--dry-run")
    assert flows(out["targets"][0]) == {(0, 2): 8 * MIB}


def test_nothing_to_do(run):
    out = plan(run, "/web", "--to", "0,1")
    assert out["state"] == "unchanged" and out["exit"] == 0
    result = run("move", "/web", "--to", "0-1")
    assert result.returncode == 0 and "nothing to do" in result.stdout


def test_nothing_to_do_points_at_strays(run):
    result = run("move", "/db", "--to", "2-3")
    assert "8.0M" in result.stdout and "cgmigrate settle /db" in result.stdout


def test_text(run):
    result = run("move", "/web", "--to", "2-3", "--dry-run")
    assert result.returncode == 0
    assert "/web: nodes 0-1 -> 2-3, 2 processes, 160.0M to move" in result.stdout
    assert "node 1 -> 3       60.0M" in result.stdout


def test_several_targets(run):
    out = plan(run, "/web", "/db", "--to", "1")
    assert [t["cgroup"] for t in out["targets"]] == ["/web", "/db"]
    room = {n["node"]: n for n in out["capacity"]}
    assert room[1]["incoming"] == (100 + 338) * MIB


def test_a_process_alone_stands_for_its_cgroup(run):
    (target,) = plan(run, 200, "--to", "0-1")["targets"]
    assert target["cgroup"] == "/db" and target["action"] == "mems"


def test_into(run):
    (target,) = plan(run, 100, "--into", "/db")["targets"]
    assert target["action"] == "attach" and target["cgroup"] == "/db"
    assert target["pids"] == [100] and target["from"] == "0-1"
    assert flows(target) == {(0, 2): 20000 * 4096, (1, 3): 10000 * 4096}


def test_cgroup_into_cgroup(run):
    (target,) = plan(run, "/web", "--into", "/db")["targets"]
    assert target["pids"] == [100, 101]


def test_into_where_it_is_already(run):
    assert plan(run, 100, "--into", "/web")["state"] == "unchanged"


def test_without_cpusets_a_process_moves_alone(tmp_path):
    tree = Tree(tmp_path, version=0)
    tree.process(10, "one", [("", {0: 256}, "")], allowed="0-1")
    (target,) = plan(Command(tree), 10, "--to", "2-3")["targets"]
    assert target["action"] == "pages" and target["backend"] == "move_pages"
    assert flows(target) == {(0, 2): MIB}


# ---- capacity ----


def test_capacity_is_told(run):
    out = plan(run, "/web", "--to", "2-3")
    node = {n["node"]: n for n in out["capacity"]}[2]
    assert node["incoming"] == 100 * MIB
    assert node["free"] == 512 * MIB and node["low_watermark"] == 8 * MIB


def test_no_room_is_refused(run, machine):
    machine.node(2, free=9 * MIB, cache=0)
    machine.node(3, free=9 * MIB, cache=0)
    out = plan(run, "/web", "--to", "2-3", code=4)
    assert (
        out["state"] == "refused" and "no room on nodes 2-3" in out["error"]["message"]
    )
    assert "160.0M" in out["error"]["message"]


def test_force_takes_what_does_not_fit(run, machine):
    machine.node(2, free=9 * MIB, cache=0)
    machine.node(3, free=9 * MIB, cache=0)
    assert plan(run, "/web", "--to", "2-3", "--force")["state"] == "planned"


def test_one_full_node_is_noted(run, machine):
    """What finds no room on its own node goes to another of the new ones."""
    machine.node(2, free=58 * MIB, cache=0)
    out = plan(run, "/web", "--to", "2-3")
    notes = [note["message"] for note in out["notes"]]
    assert notes == [
        "node 2: has room for 50.0M above its low watermark, 100.0M are to come"
    ]


def test_cache_has_to_make_room(run, machine):
    for node in (2, 3):
        machine.node(node, free=9 * MIB, cache=200 * MIB)
    out = plan(run, "/web", "--to", "2-3")
    assert [n["severity"] for n in out["notes"]] == ["note", "note", "warning"]


def test_what_leaves_makes_room(run, machine):
    """0-1 -> 1-2: node 1 gets 100M and gives 60M away."""
    machine.node(1, free=8 * MIB + 41 * MIB, cache=0)
    assert plan(run, "/web", "--to", "1-2")["notes"] == []


def test_huge_pages_that_leave_make_no_room(tmp_path):
    """They go back to their pool."""
    tree = Tree(tmp_path, memory=False)
    vmas = [("", {0: 12800}, ""), ("/anon_hugepage", {1: 50}, "huge anon=50")]
    tree.cgroup("/web", "0-1", pids=[10])
    tree.process(10, "both", vmas)
    pool = "sys/devices/system/node/node2/hugepages/hugepages-2048kB/free_hugepages"
    tree.write(pool, "50\n")
    for node in (1, 2):
        tree.node(node, free=9 * MIB, cache=0)
    out = plan(Command(tree), "/web", "--to", "1-2", code=4)
    assert "50.0M are to come, there is room for 2.0M" in out["error"]["message"]
    nodes = {n["node"]: n for n in out["capacity"]}
    assert nodes[1]["outgoing"] == 100 * MIB


def test_huge_pages_need_a_pool(tmp_path):
    tree = Tree(tmp_path, memory=False)
    tree.cgroup("/web", "0", pids=[10])
    tree.process(10, "huge", [("/anon_hugepage", {0: 10}, "huge anon=10")])
    pool = "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages"
    tree.write(pool, "4\n")
    out = plan(Command(tree), "/web", "--to", "1")
    node = {n["node"]: n for n in out["capacity"]}[1]
    assert node["huge_short"] == 12 * MIB and node["incoming"] == 0
    assert node["huge_incoming"] == 20 * MIB
    assert "12.0M of huge pages" in out["notes"][0]["message"]
    tree.write(pool, "10\n")
    assert plan(Command(tree), "/web", "--to", "1")["notes"] == []


# ---- refusals ----


def refused(run, *args):
    out = plan(run, *args, code=4)
    assert out["state"] == "refused" and out["changed"] is False
    return out["error"]["message"]


def test_node_without_memory(run):
    text = refused(run, "/web", "--to", "9")
    assert text == "/web: node 9 has no memory here; nodes with memory are 0-3"


def test_node_the_parent_lacks(run, machine):
    machine.cgroup("/web/sub", "0", charged={"anon": [MIB, 0, 0, 0]})
    assert "not allowed by its parent /web, which has 0-1" in refused(
        run, "/web/sub", "--to", "2"
    )


def test_root(run):
    assert "root cgroup" in refused(run, "/", "--to", "1")


def test_without_cpuset(run):
    assert "cgroup.subtree_control" in refused(run, "/idle", "--to", "1")


ROOM = ("--to", "2-3", "--dry-run")


def rooms(out):
    return {n["node"]: (n["room"], n["room_after"]) for n in out["capacity"]}


def test_dry_run_tells_the_room(machine, run):
    machine.node(3, free=28 * MIB)
    told = rooms(run.json("move", "/web", *ROOM))
    assert told == {
        0: (504 * MIB, 604 * MIB),
        1: (504 * MIB, 564 * MIB),
        2: (504 * MIB, 404 * MIB),
        3: (20 * MIB, -40 * MIB),
    }
    text = run("move", "/web", *ROOM, "--bytes").stdout
    lines = [line.split() for line in text.splitlines()]
    table = lines[lines.index(["NODE", "ROOM", "AFTER"]) + 1 :]
    assert table == [[str(n), *map(str, pair)] for n, pair in told.items()]
    assert "AFTER" not in run("move", "/web", "--to", "0-1", "--dry-run").stdout


def test_huge_pages_make_room_in_their_pool_only(machine, run):
    files = ("/anon_hugepage", {0: 10}, "huge anon=10")
    machine.process(100, "httpd", [("", {0: 256}, ""), files])
    machine.cgroup("/web", "0-1", pids=[100])
    os.unlink(f"{machine.path}/sys/fs/cgroup/web/memory.numa_stat")
    told = rooms(run.json("move", "/web", *ROOM))
    assert told[0] == (504 * MIB, 505 * MIB) and told[2] == (504 * MIB, 503 * MIB)


def test_dry_run_tells_how_long(run):
    def said(*args):
        return run("move", *args, *ROOM).stdout.splitlines()[-1]

    assert said("/web", "--rate", "1M") == "at 1.0M/s it takes at least 2:40"
    assert said("/web", "--rate", "100M") == "at 100.0M/s it takes at least 0:02"
    many = said("/web", "/db", "--rate", "1M")
    assert many == "at 1.0M/s for each it takes at least 2:40"
    assert "takes at least" not in said("/web")


def test_process_in_company(run):
    text = refused(run, 100, "--to", "2-3")
    assert "shares its cgroup /web with 1 other process; move them" in text
    assert "--into CGROUP" in text


def test_empty_cgroup_into(run, machine):
    machine.cgroup("/empty", "0")
    assert "no processes" in refused(run, "/empty", "--into", "/web")


def test_v1_children_come_first(tmp_path):
    tree = Tree(tmp_path, version=1)
    tree.cgroup("/web", "0-1")
    tree.cgroup("/web/sub", "0")
    text = refused(Command(tree), "/web", "--to", "2-3")
    assert "its child /web/sub has nodes 0" in text


def test_v2_children_are_warned_about(run, machine):
    machine.cgroup("/web/sub", "0", charged={"anon": [0, 0, 0, 0]})
    out = plan(run, "/web", "--to", "2-3")
    assert out["notes"][0]["severity"] == "warning"
    assert out["notes"][0]["message"].startswith("/web/sub: has nodes 0 of its own")


def test_units_are_changed_through_systemd(run, machine):
    machine.write("run/systemd/system/x", "")
    machine.cgroup("/system.slice/web.service", "0", charged={"anon": [MIB, 0, 0, 0]})
    for target in ("web.service", "/system.slice/web.service"):
        out = plan(run, target, "--to", "1")
        (note,) = out["notes"]
        assert "belongs to systemd (web.service), and is changed" in note["message"]
    assert plan(run, "web.service", "--to", "0")["notes"] == []


# What process 1 has no hand in: below a delegated unit, made by hand, of a user.
FOREIGN = [
    "/system.slice/web.service/mine",
    "/system.slice/web.service/mine.service",
    "/system.slice/mine/web.service",
    "/mine/web.service",
    "/user.slice/user-7.slice/user@7.service/app.slice/web.service",
    "/machine.slice/box.scope/system.slice/web.service",
]


@pytest.mark.parametrize("path", FOREIGN)
def test_what_looks_like_a_unit_is_written_directly(run, machine, path):
    machine.write("run/systemd/system/x", "")
    machine.cgroup(path, "0", charged={"anon": [MIB, 0, 0, 0]})
    assert plan(run, path, "--to", "1")["notes"] == []


@pytest.mark.parametrize("path", ["/a.slice/_cpu.slice", "/a.slice/run-x.mount"])
def test_units_of_other_kinds(run, machine, path):
    """An underscore keeps names of the kernel's apart from those of units."""
    machine.write("run/systemd/system/x", "")
    machine.cgroup(path, "0", charged={"anon": [MIB, 0, 0, 0]})
    name = path.split("/")[-1].removeprefix("_")
    (note,) = plan(run, path, "--to", "1")["notes"]
    assert f"belongs to systemd ({name})" in note["message"]


def test_a_unit_of_process_1_is_meant(run, machine):
    """Others may have the same name, and come first in the tree."""
    machine.write("run/systemd/system/x", "")
    mine = "/machine.slice/box.scope/system.slice/web.service"
    for path in (mine, "/system.slice/web.service"):
        machine.cgroup(path, "0", charged={"anon": [MIB, 0, 0, 0]})
    (target,) = plan(run, "web.service", "--to", "1")["targets"]
    assert target["cgroup"] == "/system.slice/web.service"


def test_only_units_can_persist(run, machine):
    out = run.json("move", "/web", "--to", "2-3", "--persist", code=4)
    assert out["error"]["message"].startswith("--persist: /web is not the cgroup of")
    result = run("move", "/web", "--into", "/db", "--persist")
    assert result.returncode == 2 and "--persist: goes with --to" in result.stderr
    machine.write("run/systemd/system/x", "")
    machine.cgroup("/system.slice/web.service", "0", charged={"anon": [MIB, 0, 0, 0]})
    assert plan(run, "web.service", "--to", "1", "--persist")["state"] == "planned"


def test_recorded_tree_is_not_written_to(run):
    out = run.json("move", "/web", "--to", "2-3", code=4)
    assert "recorded tree" in out["error"]["message"]
    result = run("move", "/web", "--to", "2-3")
    assert result.returncode == 4 and "recorded tree" in result.stderr


def test_v1_destination_without_nodes(tmp_path):
    tree = Tree(tmp_path, version=1)
    tree.cgroup("/web", "0-1", pids=[10], more={"cpuset.cpus": "0\n"})
    tree.process(10, "one", [("", {0: 256}, "")])
    tree.cgroup("/new", "", more={"cpuset.cpus": "\n"})
    tree.write("sys/fs/cgroup/cpuset/new/cpuset.effective_mems", "\n")
    assert "no nodes yet" in refused(Command(tree), 10, "--into", "/new")


@pytest.mark.parametrize(
    "args",
    [
        ("/web", "--to", "2-3"),
        ("/web", "--to", "9"),
        ("100", "--into", "/db"),
        ("/web", "/db", "--to", "1"),
        ("/nope", "--to", "1"),
    ],
)
def test_memory_is_handled_right(memcheck, args):
    for more in ([], ["-J"]):
        result = memcheck("move", "--dry-run", *args, *more)
        assert result.returncode in (0, 1, 4), result.stderr


# ---- users ----


@pytest.fixture
def alice(machine):
    """Her processes are all of /web, and with somebody else's in /db."""
    machine.write("etc/passwd", "alice:x:1000:1000::/:\n")
    for pid in (100, 101):
        machine.status(pid, "x", uid=1000)
    return machine


def test_a_user_stands_for_cgroups_of_her_own(alice, run):
    (target,) = plan(run, "@alice", "--to", "2-3")["targets"]
    assert target["cgroup"] == "/web" and target["action"] == "mems"


def test_a_user_in_company(alice, run):
    alice.cgroup("/db", "2-3", pids=[200, 201], charged={})
    alice.process(201, "psql", [("", {0: 256}, "")])
    alice.status(201, "psql", uid=1000)
    text = refused(run, "@alice", "--to", "2-3")
    assert "@alice: shares the cgroup /db with 1 process of others; move" in text


def zombie(tree, pid, path, threads=1):
    """It has exited, and nobody has waited for it: that is all there is of it."""
    hierarchy = "0::" if tree.version == 2 else "4:cpuset:"
    tree.write(f"proc/{pid}/cgroup", f"{hierarchy}{path}\n")
    tree.status(pid, "z", uid=1000, state="Z (zombie)", threads=threads)


def test_a_user_has_no_process_that_has_exited(alice, run):
    zombie(alice, 102, "/gone (deleted)")
    (target,) = plan(run, "@alice", "--to", "2-3")["targets"]
    assert target["cgroup"] == "/web"
    (target,) = plan(run, "@alice", "--into", "/db")["targets"]
    assert target["pids"] == [100, 101]
    assert "102: has exited" in run("move", 102, "--to", "2", "--dry-run").stderr


def test_one_whose_first_thread_has_exited(alice, run):
    alice.process(102, "rest", [])
    zombie(alice, 102, "/idle", threads=2)
    (target,) = plan(run, "@alice", "--into", "/db")["targets"]
    assert target["pids"] == [100, 101, 102]


def test_v1_a_process_that_has_exited_is_not_in_the_root(tmp_path):
    tree = Tree(tmp_path, version=1)
    tree.cgroup("/web", "0", pids=[100])
    tree.process(100, "httpd", [("", {0: 256}, "")])
    tree.status(100, "httpd", uid=1000)
    zombie(tree, 102, "/")
    (target,) = plan(Command(tree), "@1000", "--to", "1")["targets"]
    assert target["cgroup"] == "/web"


def test_a_cgroup_too_deep_for_its_path_to_be_told(machine):
    """The kernel tells paths up to 4095 bytes."""
    run = failing(machine, "proc/101/cgroup", "read", "ENAMETOOLONG")
    (target,) = plan(run, "/web", "--into", "/db")["targets"]
    assert target["pids"] == [100, 101]
    assert plan(run, 101, "--into", "/db")["targets"][0]["pids"] == [101]


def test_a_user_into_a_cgroup(alice, run):
    (target,) = plan(run, "@alice", "--into", "/db")["targets"]
    assert target["pids"] == [100, 101]
    result = run("move", "/web", "--into", "@alice", "--dry-run")
    assert result.returncode == 2 and "--into @alice: not a cgroup" in result.stderr
