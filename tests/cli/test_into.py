# SPDX-License-Identifier: GPL-2.0
"""Processes into another cgroup: some exit first, some are not let go."""

import os

import pytest

from conftest import Command
from tree import Tree

# No processes of this machine, whatever its pid_max.
PIDS = [4194304, 4194305, 4194306]
PROCS = "sys/fs/cgroup/db/cgroup.procs"


@pytest.fixture(params=["stock", "engine"])
def three(tmp_path, request):
    """Three processes in /web, nobody in /db."""
    tree = Tree(tmp_path, engine=request.param == "engine")
    tree.cgroup("/web", "0-1", pids=PIDS)
    tree.cgroup("/db", "0-1")
    for path in ("/web", "/db"):
        tree.engine(path)
    for pid in PIDS:
        tree.process(pid, "httpd", [("", {0: 256}, "")])
    return tree


def exits(tree, pid):
    for name in ("cgroup", "numa_maps", "maps", "status"):
        os.unlink(os.path.join(tree.path, f"proc/{pid}/{name}"))


def failing(tree, error, when):
    """Writes some of the processes to /db in vain."""
    path = os.path.join(tree.path, PROCS)
    how = ["-e", "trace=write", "-e", f"inject=write:error={error}:when={when}"]
    return Command(tree, ["strace", "-qq", "-o", "/dev/null", "-P", path, *how], True)


def test_one_that_has_exited_is_left_out(three):
    exits(three, PIDS[2])
    out = Command(three, write=True).json("move", "/web", "--into", "/db")
    (target,) = out["targets"]
    assert out["state"] == "done" and target["processes"] == 2
    assert three.read(PROCS) == str(PIDS[1])


def test_all_have_exited(three):
    for pid in PIDS:
        exits(three, pid)
    result = Command(three)("move", "/web", "--into", "/db", "--dry-run")
    assert result.returncode == 1
    assert f"{PIDS[2]}: no such process" in result.stderr


def test_one_that_is_not_let_go(three):
    out = failing(three, "EACCES", "2").json("move", "/web", "--into", "/db", code=3)
    assert out["state"] == "partial"
    (note,) = [n for n in out["result"]["notes"] if "cgroup.procs" in n]
    assert "Permission denied" in note
    assert three.read(PROCS) == str(PIDS[2])


def test_one_that_exits_at_the_last_moment(three):
    out = failing(three, "ESRCH", "2").json("move", "/web", "--into", "/db")
    assert out["state"] == "done"
    assert not [n for n in out["result"]["notes"] if "cgroup.procs" in n]


def test_none_is_let_go(three):
    result = failing(three, "EACCES", "1+")("move", "/web", "--into", "/db")
    assert result.returncode == 4 and "Permission denied" in result.stderr
