# SPDX-License-Identifier: GPL-2.0
"""cpuset.memory_migrate of cgroup v1, which a move changes for a moment."""

import json
import os
import subprocess

import pytest
from conftest import COMMAND, Command
from tree import Tree

WEB = "sys/fs/cgroup/cpuset/web"
FLAG = f"{WEB}/cpuset.memory_migrate"
# What a move by the engine needs, and what a stopped one on a stock kernel clears.
WAYS = {
    "engine": (0, ["move", "/web", "--to", "2-3"]),
    "engine, into": (0, ["move", "100", "--into", "/web"]),
    "stock": (
        1,
        ["move", "/web", "--to", "2-3", "--timeout=1us", "--cancel-on-timeout"],
    ),
}


def machine(path, before, engine):
    tree = Tree(path, version=1, engine=engine)
    more = {"cpuset.cpus": "0\n", "cpuset.memory_migrate": f"{before}\n"}
    if engine:
        name = "cpuset.memory_migrate"
        more |= {
            f"{name}_stat": "migrate_pending 0\nmigrate_held 0\n",
            f"{name}_events": "migrate_stopped 0\n",
            f"{name}_max": "max\n",
            f"{name}_hold": "0\n",
            f"{name}_cache": "move\n",
        }
    tree.cgroup("/web", "0-1", more=more)
    tree.cgroup("/db", "0-1", pids=[100], more=more)
    tree.process(100, "one", [("", {0: 256}, "")])
    return tree


def killed_at(tree, number, args):
    """Run a command and kill it at its number-th write."""
    words = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=write"]
    words += ["-e", f"inject=write:signal=KILL:when={number}"]
    words += [COMMAND, *args, "--sysroot", tree.path, "--write-sysroot"]
    result = subprocess.run(words, capture_output=True, check=False)
    return result.returncode in (-9, 137)


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_write(tmp_path, way):
    """The next command finds it changed, and puts it back."""
    before, args = WAYS[way]
    changed = 0
    for number in range(1, 60):
        tree = machine(tmp_path / str(number), before, way.startswith("engine"))
        killed = killed_at(tree, number, args)
        found = tree.read(FLAG)
        live = Command(tree, write=True)
        shown = live("limit", "/db")
        assert tree.read(FLAG) == found, "it only shows"
        other = live("wait", "/db")
        found = found.strip()
        if not found:  # a file of a tree is empty between being opened and written
            found = "0"
        if found != str(before):
            assert killed and "put back the cpuset.memory_migrate that" in other.stderr
            assert "/web: the cpuset.memory_migrate that job j1" in shown.stderr
            changed += 1
        assert tree.read(FLAG).strip() in (str(before), ""), number
        if not killed:
            break
    assert not killed and changed


def test_what_cannot_be_put_back_is_not_forgotten(tmp_path):
    """The next command does it, and tells of it."""
    before, args = WAYS["stock"]
    for number in range(1, 60):
        tree = machine(tmp_path / str(number), before, False)
        assert killed_at(tree, number, args), "it was never changed"
        if tree.read(FLAG).strip() == "0":
            break
    words = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=write"]
    words += ["-P", os.path.join(tree.path, FLAG), "-e", "inject=write:error=EIO"]
    words += [COMMAND, "wait", "/db", "--sysroot", tree.path, "--write-sysroot"]
    subprocess.run(words, capture_output=True, check=False)
    assert tree.read(FLAG).strip() != "1"

    out = Command(tree, write=True).json("wait", "/db")

    assert tree.read(FLAG).strip() == "1"
    assert any("cpuset.memory_migrate" in note["message"] for note in out["notes"])


def test_of_others_stays(tmp_path):
    """What was changed when nothing of a killed command is left to be put back."""
    tree = machine(tmp_path, 0, True)
    live = Command(tree, write=True)
    out = live.json("move", "/web", "--to", "2-3")
    assert out["state"] == "done"
    assert tree.read(FLAG).strip() == "0"
    tree.write(FLAG, "1\n")
    assert live("wait", "/db").stderr == ""
    assert tree.read(FLAG) == "1\n"


def test_that_it_cannot_be_put_back_is_a_note(tmp_path):
    """The nodes are in force: the move goes on, and its result says so."""
    tree = machine(tmp_path, 0, True)
    words = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=write"]
    words += ["-P", os.path.join(tree.path, FLAG)]
    words += ["-e", "inject=write:error=EIO:when=2"]
    words += [COMMAND, "move", "/web", "--to", "2-3", "-J"]
    words += ["--sysroot", tree.path, "--write-sysroot"]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    out = json.loads(result.stdout)
    assert (result.returncode, out["state"]) == (0, "done"), out
    assert tree.read(f"{WEB}/cpuset.mems") == "2-3"
    (note,) = out["result"]["notes"]
    assert "cpuset.memory_migrate" in note and "memory follows from now on" in note
