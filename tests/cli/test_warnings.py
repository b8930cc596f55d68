# SPDX-License-Identifier: GPL-2.0
"""Warnings: with --json they are in the object, and nowhere else."""

import json
import os
import shutil

import pytest

from conftest import VALIDATOR, Command, failing
from inject import files
from test_apply import Jobs
from test_report import add
from tree import MIB

WEB = "sys/fs/cgroup/web"
CPUS = {"nodes": "2-3", "configured": "0", "from": "0", "to": "1"}
HOW = "echo 0 >/sys/fs/cgroup/web/cgroup.freeze"

# What a killed job, j1, has left in /web, and what is said of it.
OWED = {
    "limits": ({"rate": MIB, "before": None}, "put back the limit that job j1, which"),
    "caches": ("/web", "page cache follows again; job j1, which was killed"),
    "cpus": (CPUS, "job j1 was killed: its CPUs are where the memory is now"),
    "frozen": ({"thaw": HOW}, f"job j1, which was killed, has left it frozen: {HOW}"),
}
# And what is said by those that change nothing.
STILL = {
    "limits": "the limit that job j1, which was killed, had changed is still to be",
    "caches": "page cache is still to follow again; job j1, which was killed",
    "cpus": "job j1 was killed: its CPUs are still to go where the memory is",
    "frozen": OWED["frozen"][1],
}
VERBS = [
    ["wait", "/db"],
    ["limit", "/db", "--rate", "max"],
    ["pause", "--all"],
    ["move", "/db", "--to", "2"],
    ["settle", "/db", "--no-wait"],
    ["apply", "--evict", "2"],
    ["move", "/db", "--to", "9"],
    ["wait", "/nope"],
    ["pause", "/"],
]
SHOWS = [
    ["limit", "/db"],
    ["limit", "--all"],
    ["move", "/db", "--to", "2", "--dry-run"],
    ["settle", "/db", "--dry-run"],
    ["apply", "--evict", "3", "--dry-run"],
    ["undo", "--dry-run"],
]


@pytest.fixture
def leave(kernel):
    """Something that a killed job has left."""

    def add_owed(key):
        owed, _ = OWED[key]
        one = owed if isinstance(owed, str) else {"cgroup": "/web", **owed}
        add(kernel, "j1", state="running", result=None, **{key: [one]})
        kernel.engine("/web", rate=MIB)
        kernel.write(f"{WEB}/cpuset.mems.migrate.cache", "leave\n")
        kernel.write(f"{WEB}/cpuset.cpus", "0-1\n")
        kernel.write(f"{WEB}/cgroup.freeze", "1\n")
        kernel.write(f"{WEB}/cgroup.events", "populated 1\nfrozen 1\n")

    return add_owed


def warnings(out):
    return [n["message"] for n in out["notes"] if n["severity"] == "warning"]


@pytest.mark.parametrize("key", OWED)
@pytest.mark.parametrize("args", VERBS, ids=" ".join)
def test_what_killed_jobs_have_left(live, leave, key, args):
    leave(key)
    result = live(*args, "-J")
    assert result.stderr == ""
    out = json.loads(result.stdout)
    VALIDATOR.validate(out)
    assert out["exit"] == result.returncode
    said = [text for text in warnings(out) if OWED[key][1] in text]
    assert len(said) == 1 and said[0].startswith("/web: "), out


@pytest.mark.parametrize("key", OWED)
@pytest.mark.parametrize("args", SHOWS, ids=" ".join)
def test_what_shows_leaves_it_there(kernel, live, leave, key, args):
    assert live("apply", "--evict", "2").returncode == 0
    leave(key)
    before = files(kernel.path)
    (said,) = [text for text in warnings(live.json(*args)) if STILL[key] in text]
    assert said.startswith("/web: ") and files(kernel.path) == before


@pytest.mark.parametrize("args", [["limit", "/db"], ["settle", "/db", "--dry-run"]])
def test_what_shows_forgets_nothing(kernel, live, leave, args):
    """Nobody is frozen any more, and the record of that stays as it is."""
    leave("frozen")
    kernel.write(f"{WEB}/cgroup.events", "populated 1\nfrozen 0\n")
    kernel.write(f"{WEB}/cgroup.freeze", "0\n")
    before = files(kernel.path)
    assert live(*args).stderr == "" and files(kernel.path) == before


def test_without_json_they_are_text(live, leave):
    leave("limits")
    result = live("wait", "/db")
    assert result.stdout == "" and OWED["limits"][1] in result.stderr


def test_where_there_are_none(live):
    assert "notes" not in live.json("wait", "/db")
    assert live.json("move", "/web", "--to", "2-3")["notes"] == []


def test_a_job_without_a_record(kernel):
    full = failing(kernel, None, "renameat", "ENOSPC", 1)
    (text,) = warnings(full.json("move", "/web", "--to", "2-3"))
    assert text.startswith("no record of the job can be kept (No space left on device)")


@pytest.fixture
def jobs(tmp_path):
    """/a on nodes 0 and 1, and /b on node 2."""
    tree = Jobs(tmp_path / "tree")
    tree.job("/a", "0-1", 10, 10)
    tree.job("/b", "2", 0, 0, 10)
    return tree


def test_a_removed_cgroup_that_undo_leaves_out(jobs):
    live = Command(jobs, write=True)
    live.json("apply", "--swap", "/a", "/b")
    shutil.rmtree(os.path.join(jobs.path, "sys/fs/cgroup/a"))
    out = live.json("undo")
    assert warnings(out) == ["/a: was removed since, and is left out"]
    assert jobs.mems("/b") == "2"


def test_a_node_that_is_gone(jobs):
    live = Command(jobs, write=True)
    live.json("apply", "--evict", "1")
    jobs.write("sys/devices/system/node/has_memory", "0,2-3\n")
    out = live.json("undo", "--force")
    words = "/a: had nodes 0-1, of which not all have memory any more"
    assert words in warnings(out)


@pytest.mark.long
def test_memory_is_handled_right(kernel, leave, valgrind):
    leave("limits")
    for args in (["wait", "/nope", "-J"], ["move", "/db", "--to", "2", "-J"]):
        leave("limits")
        assert Command(kernel, valgrind, write=True)(*args).returncode in (0, 1), args
