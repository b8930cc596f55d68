# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move and settle --cache: page cache that nobody maps."""

import os
import signal

import pytest

from conftest import Command, unwritable
from moving import PATIENCE, killed, moves_end, wait_until, written
from tree import MIB, Tree

WEB = "sys/fs/cgroup/web"
CACHE = f"{WEB}/cpuset.mems.migrate.cache"
RECLAIM = f"{WEB}/memory.reclaim"
# On node 0 there are 60 MiB that are clean and nobody maps, and 4 that are dirty.
CHARGED = {
    "anon": [100 * MIB, 60 * MIB, 0, 0],
    "file": [70 * MIB, 0, 0, 0],
    "file_mapped": [6 * MIB, 0, 0, 0],
    "file_dirty": [4 * MIB, 0, 0, 0],
}


def cached(tree):
    tree.charge("/web", CHARGED)
    tree.write(RECLAIM, "")
    return tree


@pytest.fixture
def full(kernel):
    """The engine, and page cache in /web."""
    return cached(kernel)


@pytest.fixture
def stock(machine):
    return Command(cached(machine), write=True)


@pytest.mark.parametrize(
    "args",
    [
        ["move", "/web", "--to", "2-3", "--cache", "burn"],
        ["settle", "/web", "--cache", ""],
    ],
)
def test_other_words(run, args):
    result = run(*args)
    assert result.returncode == 2
    assert "can be move, drop or leave" in result.stderr


def test_is_about_nodes(run):
    result = run("move", "/web", "--into", "/db", "--cache", "leave")
    assert result.returncode == 2 and "--cache: goes with --to" in result.stderr


def test_move_is_what_happens_anyhow(full, live):
    plain = live.json("move", "/web", "--to", "2-3", "--dry-run")
    assert (
        live.json("move", "/web", "--to", "2-3", "--dry-run", "--cache=move") == plain
    )
    assert plain["targets"][0]["bytes"] == 230 * MIB
    assert "cache" not in plain["targets"][0]


@pytest.mark.parametrize("how, stays, moves", [("drop", 60, 170), ("leave", 64, 166)])
def test_plan(full, live, how, stays, moves):
    args = ["/web", "--to", "2-3", "--cache", how, "--dry-run"]
    (target,) = live.json("move", *args)["targets"]
    assert target["cache"] == how and target["cache_bytes"] == stays * MIB
    assert target["bytes"] == moves * MIB
    assert target["flows"] == [
        {"from": 0, "to": 2, "bytes": (moves - 60) * MIB},
        {"from": 1, "to": 3, "bytes": 60 * MIB},
    ]
    word = "drop" if how == "drop" else "stay"
    assert f"{stays}.0M of page cache to {word}" in live("move", *args).stdout
    assert full.read(RECLAIM) == ""


def test_needs_less_room(full, live):
    """What is not to move is not to fit."""
    for node in (2, 3):
        full.node(node, free=100 * MIB, cache=0)
    args = ["/web", "--to", "2-3", "--dry-run"]
    assert live("move", *args).returncode == 4
    for how in ("drop", "leave"):
        assert live("move", *args, "--cache", how).returncode == 0


# ---- dropped ----


def test_is_dropped_before_it_moves(full, live):
    out = live.json("move", "/web", "--to", "2-3", "--cache", "drop")
    assert out["state"] == "done" and out["result"]["totals"]["dropped"] == 0
    # 60 MiB in two pieces; the file has the last one.
    assert full.read(RECLAIM) == f"{28 * MIB} swappiness=0"
    assert full.read(f"{WEB}/cpuset.mems") == "2-3"
    (job,) = live.json("report")["jobs"]
    assert job["targets"][0]["cache"] == "drop"


def test_stock_kernels_can_drop_too(stock):
    out = stock.json("move", "/web", "--to", "2-3", "--cache", "drop")
    assert out["state"] == "done"
    assert stock.tree.read(RECLAIM) == f"{28 * MIB} swappiness=0"
    rows = [r for r in out["targets"][0]["rows"] if r["reason"] == "skip_unmapped"]
    assert [(r["from"], r["kind"], r["bytes"]) for r in rows] == [
        (0, "file", 70 * MIB),
    ]


def test_only_what_is_outside_is_dropped_by_settle(full, live):
    full.cgroup("/web", "1-2", charged={**CHARGED, "file": [70 * MIB, 40 * MIB, 0, 0]})
    out = live.json("settle", "/web", "--cache", "drop")
    assert out["targets"][0]["cache_bytes"] == 60 * MIB
    assert full.read(RECLAIM) == f"{28 * MIB} swappiness=0"


def test_without_the_controller(machine):
    os.remove(os.path.join(machine.path, WEB, "memory.numa_stat"))
    result = Command(machine, write=True)(
        "move", "/web", "--to", "2-3", "--cache", "drop"
    )
    assert result.returncode == 4
    assert 'subtree_control lacks "memory"' in result.stderr
    assert machine.read(f"{WEB}/cpuset.mems") == "0-1\n"


def test_without_the_file(full, live):
    os.remove(os.path.join(full.path, RECLAIM))
    result = live("move", "/web", "--to", "2-3", "--cache", "drop")
    assert result.returncode == 4
    assert "this kernel has no memory.reclaim" in result.stderr
    assert full.read(f"{WEB}/cpuset.mems") == "0-1\n"


def test_on_cgroup_v1(tmp_path):
    tree = Tree(tmp_path, version=1)
    tree.cgroup("/web", "0-1")
    result = Command(tree, write=True)("move", "/web", "--to", "2-3", "--cache=drop")
    assert result.returncode == 4 and "memory.force_empty" in result.stderr
    assert tree.read("sys/fs/cgroup/cpuset/web/cpuset.mems") == "0-1\n"


def test_that_the_kernel_refuses(full):
    """Where the words are not understood nothing else is tried."""
    result = unwritable(full, RECLAIM)("move", "/web", "--to", "2-3", "--cache", "drop")
    assert result.returncode == 4
    assert "memory.reclaim: cannot write" in result.stderr
    assert full.read(f"{WEB}/cpuset.mems") == "0-1\n"


# ---- left ----


def test_engine_is_told_for_its_moment(full, begin):
    process = begin("--to", "2-3", "--cache", "leave")
    written(full, "2-3")
    wait_until(lambda: full.read(CACHE) == "move")
    moves_end(full)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and full.read(CACHE) == "move"


def test_of_a_killed_command_is_put_back(full, live, begin):
    process = begin("--to", "2-3", "--cache", "leave")
    written(full, "2-3")
    killed(process)
    full.write(CACHE, "leave\n")  # as if that had been a moment earlier
    assert live.json("report", "j1")["jobs"][0]["caches"] == ["/web"]
    result = live("wait", "/db")
    assert result.stderr == (
        "cgmigrate: wait: /web: page cache follows again; job j1, which was killed, "
        "had changed that\n"
    )
    assert full.read(CACHE) == "move"
    assert "caches" not in live.json("report", "j1")["jobs"][0]
    full.write(CACHE, "leave\n")
    assert live("wait", "/db").stderr == ""


def test_setting_of_others_stays(full, live):
    full.write(CACHE, "leave\n")
    assert "caches" not in live.json("move", "/web", "--to", "2-3", "--cache=leave")
    assert full.read(CACHE) == "leave\n"


def test_stock_kernels_leave_it_anyhow(stock):
    out = stock.json("move", "/web", "--to", "2-3", "--cache", "leave")
    assert out["state"] == "done" and "caches" not in out
    assert stock.tree.read(RECLAIM) == ""


def test_is_said_again_to_finish(full, begin):
    """Else a settle would bring in what was to stay."""
    process = begin("--to", "2-3", "--cache", "leave")
    written(full, "2-3")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: full.read(f"{WEB}/cpuset.mems.migrate.stop") == "1")
    moves_end(full, "migrate_left 100\n")
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 5
    assert "to finish:  cgmigrate settle /web --cache leave\n" in out
    assert "to go back: cgmigrate move /web --to 0-1\n" in out


@pytest.mark.long
def test_memory_is_handled_right(full, valgrind):
    check = Command(full, valgrind, write=True)
    for args in (
        ["move", "/web", "--to", "2-3", "--cache", "drop"],
        ["move", "/web", "--to", "0-1", "--cache", "leave", "-J"],
        ["settle", "/web", "--cache", "drop", "--dry-run"],
    ):
        assert check(*args).returncode == 0, args
