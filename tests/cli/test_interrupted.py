# SPDX-License-Identifier: GPL-2.0
"""What cgmigrate report tells of a move whose command was killed."""

import os
import shlex
import subprocess

import pytest

from conftest import COMMAND, Command
from test_report import add, record
from tree import Tree

NOBODY = 4194304  # no process of this machine, whatever its pid_max

WAYS = {
    "0-1": ("old nodes", "move /web --to 2-3", None),
    "0-3": ("old and new nodes", "move /web --to 2-3", "move /web --to 0-1"),
    "2-3": ("new nodes", "settle /web", "move /web --to 0-1"),
    "1": ("changed by somebody else", None, None),
}


@pytest.fixture
def killed(machine):
    """Its process is gone and its record has no end."""
    add(machine, "j3", state="running", result=None)
    return machine


@pytest.mark.parametrize("mems", WAYS)
def test_where_a_killed_move_stands(killed, run, mems):
    stage, finish, undo = WAYS[mems]
    killed.write("sys/fs/cgroup/web/cpuset.mems", mems + "\n")
    (job,) = run.json("report", "j3")["jobs"]
    (told,) = job["interrupted"]
    assert told.pop("cgroup") == "/web" and told.pop("mems") == mems
    assert told.pop("stage") == stage
    ways = {"finish": finish, "undo": undo}
    assert told == {key: f"cgmigrate {way}" for key, way in ways.items() if way}

    lines = run("report", "j3").stdout.splitlines()
    assert f"/web: cpuset.mems is {mems}: {stage}" in lines
    assert (f"to finish:  cgmigrate {finish}" in lines) == bool(finish)
    assert (f"to go back: cgmigrate {undo}" in lines) == bool(undo)


HALF = {
    # old, new and nodes in force; what went where; how to finish, how to go back
    "overlapping": (
        ("0-1", "1-2", "0-2"),
        [(0, 1), (1, 2)],
        ("move /web --to 1-2", "move /web --to 0-1 --map 1:1,2:1"),
    ),
    "apart": (
        ("1-2", "0,3", "0-3"),
        [(1, 0), (2, 3)],
        ("move /web --to 0,3 --map 1:0,2:3", "move /web --to 1-2"),
    ),
    "around": (
        ("0,3", "1-2", "0-3"),
        [(0, 1), (3, 2)],
        ("move /web --to 1-2", "move /web --to 0,3 --map 1:0,2:3"),
    ),
    "not begun": (
        ("0-1", "1-2", "0-1"),
        [(0, 1), (1, 2)],
        ("move /web --to 1-2", None),
    ),
}


@pytest.mark.parametrize("case", HALF)
def test_the_way_keeps_the_relative_place(machine, run, case):
    """The order of the nodes in a mask with the old and the new ones says nothing."""
    (old, new, now), flows, ways = HALF[case]
    (target,) = record("j3")["targets"]
    nodes = [{"from": here, "to": there} for here, there in flows]
    target.update(backend="stock-v2", map={"rule": "relative", "nodes": nodes})
    target.update({"from": old, "to": new})
    add(machine, "j3", state="running", result=None, targets=[target])
    machine.write("sys/fs/cgroup/web/cpuset.mems", now + "\n")
    (told,) = run.json("report", "j3")["jobs"][0]["interrupted"]
    said = {"finish": f"cgmigrate {ways[0]}"}
    if ways[1]:
        said["undo"] = f"cgmigrate {ways[1]}"
    assert {key: told[key] for key in ("finish", "undo") if key in told} == said
    assert told.get("mixed") == ("1" if case == "overlapping" else None)
    words = "1: nodes of before and after it: what has come there cannot be told"
    assert (words in run("report", "j3").stdout) == (case == "overlapping")


def test_its_cgroup_may_be_gone(killed, run):
    os.unlink(os.path.join(killed.path, "sys/fs/cgroup/web/cpuset.mems"))
    assert run.json("report", "j3")["jobs"][0]["interrupted"] == []
    assert "unwatched" in run("report", "j3").stdout


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_others_are_not_asked(machine, run, state):
    add(machine, "j3", state=state)
    assert "interrupted" not in run.json("report", "j3")["jobs"][0]


ENTERED = {
    # cpuset.mems of where they go, where they are, what that is, how to finish
    "old, not there": ("2-3", "/web", "its own nodes, processes not there yet"),
    "wide": ("0-3", "/db", "old and new nodes"),
    "old, there": ("2-3", "/db", "its own nodes, processes there"),
    "foreign": ("1", "/db", "changed by somebody else"),
}
FINISH = {
    "old, not there": f"cgmigrate move {NOBODY} --into /db",
    "wide": "cgmigrate move /db --to 2-3",
    "old, there": "cgmigrate settle /db",
    "foreign": None,
}


@pytest.mark.parametrize("where", ENTERED)
def test_where_a_killed_attach_stands(machine, run, where):
    mems, home, stage = ENTERED[where]
    (target,) = record("j3")["targets"]
    target.update(action="attach", cgroup="/db", pids=[NOBODY])
    add(machine, "j3", state="running", result=None, targets=[target])
    machine.process(NOBODY, "goes", [("", {0: 256}, "")])
    machine.write(f"proc/{NOBODY}/cgroup", f"0::{home}\n")
    machine.write("sys/fs/cgroup/db/cpuset.mems", mems + "\n")
    (told,) = run.json("report", "j3")["jobs"][0]["interrupted"]
    assert told["cgroup"] == "/db" and told["stage"] == stage
    assert told.get("finish") == FINISH[where] and "undo" not in told


def test_all_of_many_are_told_and_nobody_else(machine, run):
    """Who has the number of one of them by now has not been asked for."""
    many = list(range(NOBODY - 699, NOBODY + 1))
    gone, unknown = many[7], many[9]
    (target,) = record("j3")["targets"]
    starts = [0 if pid == unknown else 1000 for pid in many]
    target.update(action="attach", cgroup="/db", pids=many, starts=starts)
    add(machine, "j3", state="running", result=None, targets=[target])
    for pid in many:
        machine.write(f"proc/{pid}/cgroup", "0::/web\n")
        start = 1001 if pid in (gone, unknown) else 1000
        stat = f"{pid} (a) b) S {'0 ' * 18}{start} 0\n"
        machine.write(f"proc/{pid}/stat", stat)
    (told,) = run.json("report", "j3")["jobs"][0]["interrupted"]
    words = told["finish"].split()
    assert words[:2] == ["cgmigrate", "move"] and words[-2:] == ["--into", "/db"]
    assert list(map(int, words[2:-2])) == [pid for pid in many if pid != gone]


def test_a_move_records_when_they_began(machine, run):
    machine.write("proc/101/stat", f"101 (worker) S {'0 ' * 18}1000 0\n")
    out = run.json("move", "/web", "--into", "/db", "--dry-run")
    assert out["targets"][0]["pids"] == [100, 101]
    assert out["targets"][0]["starts"] == [0, 1000]


# A step of a job sets its timer, if nothing else.
CHANGES = "move_pages,write,timerfd_settime"


def killed_at(tree, number, *args):
    """Run a move and kill it at its number-th call that may change something."""
    inject = f"inject={CHANGES}:signal=KILL:when={number}"
    words = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={CHANGES}", "-e", inject]
    words += [COMMAND, "move", *args, "--sysroot", tree.path, "--write-sysroot"]
    result = subprocess.run(words, capture_output=True, check=False)
    return result.returncode in (-9, 137)


def test_an_attach_killed_at_any_call(tmp_path):
    """What is told to finish it does so, and the cpuset is not left wide."""
    stages = set()
    for number in range(1, 100):
        tree = Tree(tmp_path / str(number))
        tree.cgroup("/web", "0-1", pids=[NOBODY])
        tree.cgroup("/db", "2-3")
        tree.process(NOBODY, "goes", [("", {0: 256, 1: 256}, "")])
        killed = killed_at(tree, number, f"{NOBODY}", "--into", "/db")
        mems = tree.read("sys/fs/cgroup/db/cpuset.mems").strip()
        # A file of a tree is empty between being opened and written.
        assert mems in ("2-3", "0-3", "")
        if not killed:
            break
        live = Command(tree, write=True)
        jobs = [
            job for job in live.json("report")["jobs"] if job["state"] == "unwatched"
        ]
        if not jobs or not mems:
            continue
        (told,) = live.json("report", jobs[0]["job"])["jobs"][0]["interrupted"]
        stages.add(told["stage"])
        result = live(*shlex.split(told["finish"])[1:])
        assert result.returncode in (0, 3), (number, result)
        assert tree.read("sys/fs/cgroup/db/cpuset.mems").strip() == "2-3"
    assert not killed and mems == "2-3"
    assert "old and new nodes" in stages and len(stages) > 1


@pytest.mark.parametrize("way", ["finish", "undo"])
def test_a_move_killed_at_any_call(tmp_path, way):
    """What is told to finish it does so, and what is told to go back goes back."""
    stages = set()
    for number in range(1, 100):
        tree = Tree(tmp_path / str(number))
        tree.cgroup("/web", "0-1", pids=[NOBODY])
        tree.process(NOBODY, "stays", [("", {0: 256, 1: 256}, "")])
        killed = killed_at(tree, number, "/web", "--to", "2-3")
        mems = tree.read("sys/fs/cgroup/web/cpuset.mems").strip()
        assert mems in ("0-1", "0-3", "2-3", "")
        if not killed:
            break
        live = Command(tree, write=True)
        jobs = [
            job for job in live.json("report")["jobs"] if job["state"] == "unwatched"
        ]
        if not jobs or not mems:
            continue
        (told,) = live.json("report", jobs[0]["job"])["jobs"][0]["interrupted"]
        stages.add(told["stage"])
        # There is nothing to go back from where nothing has changed yet.
        assert ("undo" in told) == (told["stage"] != "old nodes")
        if way in told:
            result = live(*shlex.split(told[way])[1:])
            assert result.returncode in (0, 3), (number, result)
        wanted = "2-3" if way == "finish" else "0-1"
        assert tree.read("sys/fs/cgroup/web/cpuset.mems").strip() == wanted
    assert not killed and mems == "2-3"
    assert stages == {"old nodes", "old and new nodes", "new nodes"}
