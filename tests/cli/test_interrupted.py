# SPDX-License-Identifier: GPL-2.0
"""What cgmigrate report tells of a move whose command was killed."""

import os

import pytest

from test_report import add

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


def test_its_cgroup_may_be_gone(killed, run):
    os.unlink(os.path.join(killed.path, "sys/fs/cgroup/web/cpuset.mems"))
    assert run.json("report", "j3")["jobs"][0]["interrupted"] == []
    assert "unwatched" in run("report", "j3").stdout


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_others_are_not_asked(machine, run, state):
    add(machine, "j3", state=state)
    assert "interrupted" not in run.json("report", "j3")["jobs"][0]
