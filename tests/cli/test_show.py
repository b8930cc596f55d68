# SPDX-License-Identifier: GPL-2.0
"""cgmigrate show: what lies where."""

import pytest

from conftest import Command
from tree import KIB, MIB, Tree

HEAD = ["CGROUP", "MEMS", "TOTAL", "N0", "N1", "N2", "N3", "STRAY"]


def test_cgroups_with_nodes_of_their_own_largest_first(run):
    rows = run.rows("show")
    assert rows[0] == HEAD
    assert [row[0] for row in rows[1:]] == ["/db", "/web"]
    web = ["/web", "0-1", 160 * MIB, 100 * MIB, 60 * MIB, 0, 0, 0]
    assert rows[2] == [str(cell) for cell in web]


def test_strays_are_counted_and_marked(run):
    rows = run.rows("show", "/db")
    assert rows[1][-1] == str(8 * MIB)
    lines = run("show", "/db").stdout.splitlines()
    assert lines[1].split()[3] == "8.0M*"
    assert "100.0M*" not in lines[1]


def test_kernel_memory_is_neither_total_nor_stray(run):
    total = int(run.rows("show", "/db")[1][2])
    assert total == (8 + 200 + 100 + 10 + 20) * MIB


def test_all(run):
    assert {row[0] for row in run.rows("show", "--all")[1:]} == {
        "/",
        "/db",
        "/web",
        "/idle",
    }


def test_without_cpuset_the_nodes_are_the_parents(run):
    assert run.rows("show", "/idle")[1][1] == "0-3"


def test_by_kind(run):
    rows = run.rows("show", "/db", "--by", "kind")
    assert rows[0][1] == "KIND"
    kinds = {row[1]: [int(cell) for cell in row[3:7]] for row in rows[1:]}
    assert kinds == {
        "anon": [8 * MIB, 0, 200 * MIB, 100 * MIB],
        "file": [0, 0, 10 * MIB, 0],
        "shmem": [0, 0, 0, 20 * MIB],
        "kernel": [16384, 0, 0, 0],
    }


def test_by_process(run):
    rows = run.rows("show", "/web", "--by", "process")
    assert rows[0][1:3] == ["PID", "COMMAND"]
    assert [row[1:3] for row in rows[1:]] == [["100", "httpd"], ["101", "worker"]]
    assert rows[1][4] == str(20000 * 4 * KIB)


def test_a_process(run):
    row = run.rows("show", 200)[1]
    assert row[0] == "200"
    assert row[3:7] == [str(p * 4 * KIB) for p in (2048, 0, 51200, 25600)]


def test_several_targets(run):
    assert [row[0] for row in run.rows("show", "/web", 200)[1:]] == ["200", "/web"]


def test_full_path_means_the_same(run):
    assert run.rows("show", "/sys/fs/cgroup/web") == run.rows("show", "/web")
    assert run.rows("show", "//web/") == run.rows("show", "/web")


def test_json(run):
    out = run.json("show", "/db")
    assert out["command"] == "show" and out["nodes"] == "0-3"
    (target,) = out["targets"]
    assert target["cgroup"] == "/db" and target["mems"] == "2-3"
    placement = target["placement"]
    assert placement["source"] == "charged"
    assert placement["stray"] == 8 * MIB
    assert placement["nodes"]["2"] == 210 * MIB
    assert placement["kinds"]["shmem"] == {"0": 0, "1": 0, "2": 0, "3": 20 * MIB}
    assert sum(placement["nodes"].values()) == placement["total"]


def test_json_by_process(run):
    (target,) = run.json("show", "/web", "--by", "process")["targets"]
    assert [p["command"] for p in target["processes"]] == ["httpd", "worker"]


def test_columns(run):
    result = run("show", "/web", "-o", "stray,cgroup,source", "-n", "-r")
    assert result.stdout.split() == ["0", "/web", "charged"]


def test_nothing_to_show(empty):
    result = Command(empty)("show")
    assert result.returncode == 0 and result.stdout == ""
    assert "--all" in result.stderr
    assert Command(empty).json("show")["targets"] == []


def test_memory_charged_elsewhere_is_taken_from_the_processes(empty):
    """Pages stay charged where they were first touched."""
    empty.cgroup("/new", "0-1", pids=[10], charged={"anon": [MIB, 0, 0, 0]})
    empty.process(10, "moved", [("", {1: 10240}, "")])
    (target,) = Command(empty).json("show", "/new")["targets"]
    assert target["placement"]["source"] == "mapped"
    assert target["placement"]["nodes"]["1"] == 40 * MIB


def test_kinds_of_mappings(tmp_path):
    tree = Tree(tmp_path, memory=False)
    tree.cgroup("/web", "0-1", pids=[10])
    vmas = [
        ("", {0: 100}, ""),
        ("/lib/libc.so", {1: 50}, "mapped=50 anon=10"),
        ("/dev/shm/seg", {0: 30}, "mapped=30"),
        ("/memfd:x\\040(deleted)", {1: 7}, "mapped=7"),
        ("/anon_hugepage\\040(deleted)", {1: 3}, "huge anon=3"),
    ]
    tree.process(10, "mix", vmas)
    (target,) = Command(tree).json("show", 10)["targets"]
    kinds = target["placement"]["kinds"]
    assert kinds["anon"]["0"] == 100 * 4096
    assert kinds["anon"]["1"] == 10 * 4096
    assert kinds["file"]["1"] == 40 * 4096
    assert kinds["shmem"] == {"0": 30 * 4096, "1": 7 * 4096, "2": 0, "3": 0}
    assert kinds["hugetlb"]["1"] == 6 * MIB


def test_shared_memory_is_counted_once(tmp_path):
    """Two processes that map the same 100 MiB have 100 MiB between them."""
    tree = Tree(tmp_path, memory=False)
    tree.cgroup("/web", "0-1", pids=[10, 11])
    for pid in (10, 11):
        tree.process(
            pid,
            "peer",
            [("/dev/shm/seg", {0: 25600}, "mapped=25600 mapmax=2")],
            pss={"Anon": 0, "File": 0, "Shmem": 50 * MIB},
        )
    (target,) = Command(tree).json("show", "/web")["targets"]
    assert target["placement"]["kinds"]["shmem"]["0"] == 100 * MIB


def test_v1(tmp_path):
    tree = Tree(tmp_path, version=1)
    tree.cgroup("/web", "1", pids=[10])
    tree.process(10, "one", [("", {1: 256, 2: 256}, "")])
    rows = Command(tree).rows("show", "/web")
    assert rows[1][1] == "1" and rows[1][-1] == str(MIB)
    assert Command(tree).rows("show", 10)[1][0] == "10"


def test_more_than_ten_nodes(tmp_path):
    tree = Tree(tmp_path, nodes=12)
    cells = [n * MIB for n in range(12)]
    tree.cgroup("/wide", "10-11", charged={"anon": cells})
    row = Command(tree).rows("show", "/wide")[1]
    assert row[1] == "10-11"
    assert row[3:15] == [str(cell) for cell in cells]


def test_a_process_that_exits_is_not_missed(machine, run):
    machine.cgroup("/web", "0-1", pids=[100, 999], charged=None)
    rows = run.rows("show", "/web", "--by", "process")
    assert [row[1] for row in rows[1:]] == ["100"]


@pytest.mark.parametrize("verb", ["show", "features"])
def test_memory_is_handled_right(memcheck, verb):
    for args in ([], ["-J"]):
        result = memcheck(verb, *args)
        assert result.returncode == 0, result.stderr


def test_memory_is_handled_right_by_process(memcheck):
    assert memcheck("show", "/web", "100", "--by", "process").returncode == 0
    assert memcheck("show", "/db", "--by", "kind", "-J").returncode == 0
    assert memcheck("show", "/nope").returncode == 1
