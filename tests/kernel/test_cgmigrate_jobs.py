# SPDX-License-Identifier: GPL-2.0
"""Moves that are told by another command to wait, go on or stop, and job records."""

import json
import signal
import time

import pytest

from ktest.command import (
    cgmigrate,
    end,
    start,
    start_slowly,
    told,
    wait_for_start,
)
from ktest.cpusets import wait_until
from ktest.machine import mib

pytestmark = [pytest.mark.defect("command"), pytest.mark.usefixtures("command")]


@pytest.mark.v2only("records are the same on v1")
def test_pause_resume_cancel(top, spawn, name, engine):
    """A move waits when told, goes on when told, and stops when told."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(64), nodes=(0, 1))
    if engine:
        assert told_changed("pause", name(cpuset))
        process = start("move", name(cpuset), "--to", "2-3", "-J")
    else:
        process = start("move", name(cpuset), "--to", "2-3", "-J", "--rate", "5M")
    wait_for_start(cpuset, engine)
    if not engine:
        assert told_changed("pause", "--all")
        time.sleep(0.5)

    before = load.where("anon")
    time.sleep(1)
    assert load.where("anon") == before and set(before) & {0, 1}
    job = json.loads(cgmigrate("report", "-J").stdout)["jobs"][-1]
    assert job["state"] == "running" and job["targets"][0]["cgroup"] == name(cpuset)

    if engine:  # the move that follows can still be told apart from a finished one
        cpuset.write("hold", "1")
        assert not told_changed("pause", name(cpuset))
    else:
        assert told_changed("resume", job["job"])
        wait_until(lambda: load.where("anon") != before, "the move to go on")
    assert told_changed("cancel", job["job"])

    code, text, _ = end(process)
    assert code == 5 and json.loads(text)["state"] == "cancelled"
    job = json.loads(cgmigrate("report", job["job"], "-J").stdout)["jobs"][0]
    assert job["state"] == "cancelled" and job["result"]["totals"]["left"] > 1 << 20
    if engine:
        assert told_changed("resume", "--all")
        told("settle", name(cpuset))
    else:
        told("move", name(cpuset), "--to", "2-3")
    assert set(load.where("anon")) <= {2, 3}
    load.verify()


def told_changed(*args):
    return told(*args)["changed"]


@pytest.mark.v2only("records are the same on v1")
def test_no_wait_leaves_a_record(top, spawn, name):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=(0, 1))
    job = told("move", name(cpuset), "--to", "2-3", "--no-wait")["job"]

    def record():
        return json.loads(cgmigrate("report", job, "-J").stdout)["jobs"][0]

    wait_until(lambda: record()["state"] != "running", "the record to be complete")
    assert record()["state"] == "done"
    assert record()["result"]["totals"]["moved"] >= 16 << 20


def record(job):
    return told("report", job)["jobs"][0]


@pytest.fixture
def under_way(top, spawn, name, engine):
    """A move of a job that takes long enough to be told something."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(64), nodes=(0, 1))
    process = start_slowly(cpuset, name(cpuset), engine, "-J")
    wait_for_start(cpuset, engine)
    yield cpuset, load, process
    if process.poll() is None:
        process.kill()
        process.wait()


def wait_for_record(job):
    wait_until(lambda: record(job)["state"] != "running", "the record to be complete")
    return record(job)


@pytest.mark.long
@pytest.mark.v2only("records are the same on v1")
def test_closed_terminal_leaves_the_move(under_way, engine):
    """Another process goes on with it, and nothing of it stays."""
    cpuset, load, process = under_way
    process.send_signal(signal.SIGHUP)
    code, text, _ = end(process)
    out = json.loads(text)
    assert code == 0 and out["state"] == "running"
    left = record(out["job"])
    assert left["state"] == "running" and left["pid"] != process.pid
    if engine:
        cpuset.write("hold", "0")
    assert wait_for_record(out["job"])["state"] == "done"
    assert set(load.where("anon")) <= {2, 3} and cpuset.mems() == [2, 3]
    load.verify()


@pytest.mark.long
@pytest.mark.v2only("records are the same on v1")
def test_interrupted_twice(under_way, name, engine):
    """Whether the second comes before the move has stopped or after, it is recorded."""
    cpuset, load, process = under_way
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    code, text, _ = end(process)
    out = json.loads(text)
    assert code == 5 and out["state"] in ("running", "cancelled")
    ended = wait_for_record(out["job"])
    assert ended["state"] == "cancelled"
    assert ended["result"]["totals"]["left"] > 1 << 20
    load.verify()
    if engine:
        cpuset.write("hold", "0")
        told("settle", name(cpuset))
    else:
        told("move", name(cpuset), "--to", "2-3")
    assert set(load.where("anon")) <= {2, 3} and cpuset.mems() == [2, 3]
    load.verify()


@pytest.mark.long
@pytest.mark.v2only("the journal is the same on v1")
def test_apply_that_is_interrupted_goes_on_later(top, spawn, name, engine, tmp_path):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(128), nodes=(0, 1))
    plan = tmp_path / "plan.json"
    target = {"cgroup": name(cpuset), "to": "2-3"}
    plan.write_text(json.dumps({"targets": [target]}))
    if engine:
        cpuset.write("hold", "1")
    process = start("apply", plan, "-J")
    if engine:
        wait_for_start(cpuset, engine)
    else:
        wait_until(lambda: cpuset.mems() == [0, 1, 2, 3], "the cpuset to be wide")
    process.send_signal(signal.SIGINT)
    code, text, _ = end(process)
    out = json.loads(text)
    assert code == 5 and out["state"] == "cancelled"
    assert set(load.where("anon")) & {0, 1}
    if engine:
        cpuset.write("hold", "0")

    assert told("apply", plan, code=4)["state"] == "refused"
    out = told("apply", "--continue")
    assert out["state"] == "done" and out["result"]["totals"]["moved"] > mib(1)
    assert cpuset.mems() == [2, 3] and set(load.where("anon")) <= {2, 3}
    load.verify()
    assert told("apply", "--continue")["state"] == "unchanged"


@pytest.mark.long
@pytest.mark.v2only("the journal is the same on v1")
def test_undo_that_is_interrupted_goes_on_later(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(64), nodes=0)
    told("apply", "--evict", "0")
    (node,) = cpuset.mems()
    if engine:
        cpuset.write("hold", "1")
    process = start("undo", *([] if engine else ["--rate", "8M"]), "-J")
    if engine:
        wait_for_start(cpuset, engine)
    else:
        wait_until(lambda: cpuset.mems() == [0, node], "the cpuset to be wide")
    process.send_signal(signal.SIGINT)
    code, text, _ = end(process)
    assert code == 5 and json.loads(text)["state"] == "cancelled"
    assert node in load.where("anon")
    if engine:
        cpuset.write("hold", "0")

    assert told("undo")["state"] == "done"
    assert cpuset.mems() == [0] and set(load.where("anon")) == {0}
    load.verify()
    assert told("undo")["state"] == "unchanged"


@pytest.mark.long
def test_limit_of_zero_holds(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=0)
    if not engine:
        assert cgmigrate("limit", name(cpuset), "--rate", "0").returncode == 4
        return
    assert told_changed("limit", name(cpuset), "--rate", "0")
    told("move", name(cpuset), "--to", "1", "--no-wait")
    time.sleep(0.5)
    assert set(load.where("anon")) == {0}
    assert told_changed("limit", name(cpuset), "--rate", "max")
    assert cgmigrate("wait", name(cpuset)).returncode == 0
    assert set(load.where("anon")) == {1}


def by_hand(engine):
    """Options that make a process move the pages, and not the engine, slowly."""
    return ["--rate", "8M", *(["--map", "0:3,1:2"] if engine else [])]


@pytest.fixture
def moving(top, spawn, name, engine):
    """A cpuset, its load, and a process that moves it to nodes 2 and 3."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(32), nodes=(0, 1))
    process = start("move", name(cpuset), "--to", "2-3", "-J", *by_hand(engine))
    wait_until(lambda: cpuset.mems() == [0, 1, 2, 3], "the cpuset to be wide")
    yield cpuset, load, process
    process.kill()
    process.communicate()


@pytest.mark.long
@pytest.mark.v2only("the rate of the command is the same on v1")
def test_a_pause_saves_nothing_up(top, spawn, name, engine):
    """After it the memory goes on as fast as it may, and no faster."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=(0, 1))
    process = start("move", name(cpuset), "--to", "2-3", "-J", "--rate", "6M")
    wait_for_start(cpuset, engine)
    assert told_changed("pause", name(cpuset))
    begun = time.monotonic()
    time.sleep(2)
    paused = time.monotonic() - begun
    assert told_changed("resume", name(cpuset))
    code, text, _ = end(process)
    assert code == 0
    result = json.loads(text)["result"]
    moving = result["elapsed_usec"] / 1e6 - paused
    # What a tenth of a second may have saved up, or is in one batch, goes at once.
    assert result["totals"]["moved"] <= (6 * moving + 2) * (1 << 20)


@pytest.mark.long
def test_another_one_is_refused_meanwhile(moving, name, tmp_path):
    """It would find the wide mask, and lose its own to the first at the end."""
    cpuset, load, process = moving
    job = json.loads(cgmigrate("report", "-J").stdout)["jobs"][-1]["job"]
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"targets": [{"cgroup": name(cpuset), "to": "1"}]}))
    told("pause", job)
    for args in (["move", name(cpuset), "--to", "1"], ["apply", spec]):
        result = cgmigrate(*args)
        assert result.returncode == 4, result
        assert f"job {job} is moving it" in result.stderr
        assert cpuset.mems() == [0, 1, 2, 3]
    told("resume", job)
    code, text, _ = end(process)
    assert code == 0 and json.loads(text)["state"] == "done"
    assert cpuset.mems() == [2, 3] and set(load.where("anon")) == {2, 3}
    told("move", name(cpuset), "--to", "1")
    assert cpuset.mems() == [1] and set(load.where("anon")) == {1}
    load.verify()


@pytest.mark.long
def test_of_three_that_start_at_once_one_moves(top, spawn, name, engine):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(32), nodes=(0, 1))
    args = ["move", name(cpuset), "--to", "2-3", *by_hand(engine)]
    ends = [end(process) for process in [start(*args) for _ in range(3)]]
    assert sorted(code for code, *_ in ends) == [0, 4, 4], ends
    assert cpuset.mems() == [2, 3] and set(load.where("anon")) == {2, 3}
    load.verify()


@pytest.mark.long
def test_one_that_was_killed_is_in_nobodys_way(moving, name):
    cpuset, load, process = moving
    process.kill()
    process.communicate()
    told("move", name(cpuset), "--to", "1")
    assert cpuset.mems() == [1] and set(load.where("anon")) == {1}
    load.verify()
