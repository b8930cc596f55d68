# SPDX-License-Identifier: GPL-2.0
"""cgmigrate --cpus and --freeze: threads go where memory goes, or stand still."""

import json
import os
import signal
import subprocess

import pytest

from ktest import machine
from ktest.command import cgmigrate, end, start_slowly, told, wait_for_start
from ktest.machine import mib
from ktest.marks import later

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command"),
    pytest.mark.alike,
]

APART_OR_NOT = pytest.mark.parametrize(
    "new",
    [
        pytest.param([2, 3], id="apart", marks=pytest.mark.long),
        pytest.param([1, 2], id="overlapping"),
    ],
)


def cpus_of(nodes):
    return [cpu for node in nodes for cpu in machine.cpus_of(node)]


def affinity(tids):
    return [sorted(os.sched_getaffinity(tid)) for tid in tids]


@pytest.fixture
def job(top, spawn):
    """A cpuset on nodes 0 and 1 with their CPUs, and a thread pinned to each.

    Threads: the process itself, which is not pinned, one on each CPU, one on all of
    them that says so, and one that runs anywhere.
    """
    if not all(machine.cpus_of(node) for node in range(4)):
        pytest.skip("a node has no CPU")
    cpuset = top.mkdir("a", mems="0-1")
    old = cpus_of([0, 1])
    cpuset.write("cpus", machine.format_list(old))
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=(0, 1))
    load.alloc("shared", mib(4), kind="shared", nodes=(0, 1), stripe=16)
    tids = load.threads(len(old) + 2)
    for tid, cpu in zip(tids, old):
        os.sched_setaffinity(tid, [cpu])
    os.sched_setaffinity(tids[-2], old)
    load("work", writers=2, verifiers=1, rest=500)
    return cpuset, load, tids, old


def assert_at(job, nodes):
    """CPUs and threads are those of the nodes, in the same order as before."""
    cpuset, load, tids, old = job
    cpus = cpus_of(nodes)
    assert machine.parse_list(cpuset.read("cpus")) == cpus
    pinned = [[cpus[k % len(cpus)]] for k in range(len(old))]
    assert affinity(tids) == pinned + [cpus, cpus]
    everybody = affinity(machine.threads(load.pid))
    assert all(set(where) <= set(cpus) for where in everybody)


@APART_OR_NOT
def test_follow_keeps_the_place_of_every_thread(job, name, new):
    cpuset, load, _, old = job
    to = machine.format_list(new)
    out = told("move", name(cpuset), "--to", to, "--cpus", "follow")
    assert out["state"] == "done" and out["result"]["notes"] == []
    cpus = out["targets"][0]["cpus"]
    assert machine.parse_list(cpus["before"]) == old
    assert machine.parse_list(cpus["after"]) == cpus_of(new)
    assert len(cpus["pinned"]) == len(old)
    assert_at(job, new)
    load.rest()
    load.verify()
    assert set(load.where("anon")) == set(load.where("shared")) == set(new)

    out = told("move", name(cpuset), "--to", "0-1", "--cpus", cpus["before"])
    assert out["state"] == "done"
    assert_at(job, [0, 1])
    assert set(load.where("anon")) == {0, 1}
    load.verify()


@pytest.mark.long
def test_follow_to_one_node(job, name):
    cpuset, load, _, _ = job
    told("move", name(cpuset), "--to", "3", "--cpus", "follow")
    assert_at(job, [3])
    load.rest()
    load.verify()
    assert set(load.where("anon")) == {3}


def test_keep_leaves_them_and_says_so(job, name):
    cpuset, load, _, _ = job
    result = cgmigrate("move", name(cpuset), "--to", "2-3")
    assert result.returncode == 0
    assert "memory and CPUs part" in result.stderr
    assert_at(job, [0, 1])
    load.rest()
    load.verify()


@pytest.mark.long
def test_killed_is_ended_by_the_next(job, name, engine):
    cpuset, load, tids, old = job
    load.alloc("more", mib(64), nodes=(0, 1))
    process = start_slowly(cpuset, name(cpuset), engine, "--cpus", "follow")
    wait_for_start(cpuset, engine)
    process.kill()
    end(process)
    wide = machine.parse_list(cpuset.read("cpus"))
    assert wide == sorted(old + cpus_of([2, 3]))
    assert affinity(tids)[: len(old)] == [[cpu] for cpu in old]
    if engine:
        cpuset.write("hold", "0")
        cpuset.wait_idle()
        assert cgmigrate("wait", name(cpuset)).returncode == 0
        assert_at(job, [2, 3])
    else:
        told("move", name(cpuset), "--to", "2-3", "--cpus", "follow")
        assert_at(job, [2, 3])
    load.rest()
    load.verify()


# ---- with apply and undo ----


@pytest.fixture
def apply_to(job, name, tmp_path):
    """The arguments of an apply of the job to some nodes."""

    def arguments(nodes):
        file = tmp_path / "spec.json"
        target = {"cgroup": name(job[0]), "to": nodes}
        file.write_text(json.dumps({"targets": [target]}))
        return ["apply", str(file), "--cpus", "follow"]

    return arguments


def state(job):
    """CPUs, where each thread may run, and the node of every page."""
    cpuset, load, tids, _ = job
    load.rest()
    load.verify()
    pages = [load.pages(region) for region in ("anon", "shared")]
    load("work", writers=2, verifiers=1, rest=500)
    return cpuset.read("cpus"), cpuset.mems(), affinity(tids), pages


@pytest.mark.long
@APART_OR_NOT
def test_apply_and_undo(job, apply_to, new):
    before = state(job)
    out = told(*apply_to(machine.format_list(new)))
    assert out["state"] == "done" and out["result"]["notes"] == []
    assert len(out["targets"][0]["cpus"]["pinned"]) == len(job[3])
    assert_at(job, new)
    assert set(state(job)[3][0]) == set(new)
    out = told("undo")
    assert out["state"] == "done" and out["result"]["notes"] == []
    assert state(job) == before


@pytest.mark.long
def test_undo_tells_threads_apart(job, apply_to):
    """Their CPUs have become one. A new thread, and one that has changed, go along."""
    _, load, tids, old = job
    before = affinity(tids)
    told(*apply_to("3"))
    assert_at(job, [3])
    (late,) = load.threads(1)
    os.sched_setaffinity(late, cpus_of([3])[:1])
    told("undo")
    assert affinity(tids) == before
    assert set(affinity([late])[0]) <= set(old)
    load.rest()
    load.verify()


# ---- standing still ----


def stands_still(cpuset):
    return "frozen 1" in cpuset.read("cgroup.events")


@pytest.mark.v2only("on v1 that is another hierarchy")
@pytest.mark.parametrize("how", ["end", *later("interrupt", "frozen before")])
def test_freeze(job, name, engine, how):
    cpuset, load, _, _ = job
    load.alloc("more", mib(32), nodes=(0, 1))
    if how == "frozen before":
        cpuset.write("cgroup.freeze", "1")
    args = ["--cpus", "follow", "--freeze", "-J"]
    process = start_slowly(cpuset, name(cpuset), engine, *args)
    wait_for_start(cpuset, engine)
    assert stands_still(cpuset)
    if how == "interrupt":
        process.send_signal(signal.SIGINT)
    elif engine:
        cpuset.write("hold", "0")
    code, text, _ = end(process)
    assert code == (5 if how == "interrupt" else 0), text
    assert cpuset.read("cgroup.freeze") == ("1" if how == "frozen before" else "0")
    cpuset.write("cgroup.freeze", "0")
    if how != "interrupt":
        assert_at(job, [2, 3])
        assert set(load.where("more")) == {2, 3}
    load.rest()
    load.verify()


@pytest.mark.long
@pytest.mark.v2only("on v1 that is another hierarchy")
def test_killed_while_frozen(job, name, engine):
    cpuset, load, _, _ = job
    load.alloc("more", mib(32), nodes=(0, 1))
    process = start_slowly(cpuset, name(cpuset), engine, "--freeze")
    wait_for_start(cpuset, engine)
    process.kill()
    end(process)
    if engine:
        cpuset.write("hold", "0")
        cpuset.wait_idle()
    said = cgmigrate("wait", name(cpuset)).stderr
    assert "has left it frozen: echo 0 >" in said and stands_still(cpuset)
    subprocess.run(["sh", "-c", said.split("frozen: ")[1]], check=True)
    assert cgmigrate("wait", name(cpuset)).stderr == ""
    load.rest()
    load.verify()
