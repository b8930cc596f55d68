# SPDX-License-Identifier: GPL-2.0
"""cgexec: what it starts is in its group, with and without the plugin."""

import os

import pytest

from ktest import machine
from ktest.machine import mib
from ktest.marks import later
from ktest.tools import COMMAND, SEEN, Rules, objects, outcome, run, settings

pytestmark = [
    pytest.mark.defect("plugin"),
    pytest.mark.usefixtures("cgroup_tools"),
    pytest.mark.alike,
]


@pytest.fixture(params=["alone", "plugin"])
def prefix(request, tools):
    """What stands before the tool."""
    return tools.prefix() if request.param == "plugin" else []


def cgroup_of(pid, version):
    """The group that a process is in, as the kernel says."""
    for line in machine.read(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" if version == 2 else "cpuset" in controllers.split(","):
            return path
    return None


def assert_lives_there(load, cpuset, group):
    """In the group, with the group's nodes, and what it touches is on them."""
    assert load.pid in cpuset.procs()
    assert cgroup_of(load.pid, cpuset.version) == f"/{group(cpuset)}"
    assert machine.mems_allowed(load.pid) == cpuset.mems()
    load.alloc("anon", mib(8))
    load("fill", "anon")
    assert set(load.where("anon")) <= set(cpuset.mems())
    assert sum(load.where("anon").values()) == mib(8)
    load.verify()


def test_the_payload_is_in_the_group(top, spawn, group, prefix):
    cpuset = top.mkdir("a", mems="2-3")
    words = [*prefix, "cgexec", "-g", f"cpuset:{group(cpuset)}"]
    assert_lives_there(spawn(prefix=words), cpuset, group)


def test_the_payload_is_where_a_rule_says(top, spawn, group, prefix):
    cpuset = top.mkdir("a", mems="1")
    with Rules(f"*:numaload cpuset {group(cpuset)}"):
        load = spawn(prefix=[*prefix, "cgexec"])
    assert_lives_there(load, cpuset, group)


def test_the_record_of_a_payload(top, spawn, tools, group):
    """It is the process of the tool, and what the tool had is not moved."""
    cpuset = top.mkdir("a", mems="2-3")
    words = [*tools.prefix(), "cgexec", "-g", f"cpuset:{group(cpuset)}"]
    load = spawn(prefix=words)
    (record,) = tools.records()
    assert record["tool"] == "cgexec" and record["action"] == "process"
    assert record["process"] == record["pid"] == load.pid
    assert record["after"]["cgroup"] == f"/{group(cpuset)}"
    assert record["after"]["nodes"] == "2-3" and record["moves"] == []


@pytest.mark.parametrize("how", ["rule", *later("group", "no rule")])
def test_the_exit_status_is_the_payloads(top, tools, group, how):
    cpuset = top.mkdir("a", mems="2-3")
    rule = [f"*:sh cpuset {group(cpuset)}"] if how == "rule" else []
    into = ["-g", f"cpuset:{group(cpuset)}"] if how == "group" else []
    words = ["cgexec", *into, "sh", "-c", "cat /proc/self/cgroup; exit 7"]
    with Rules(*rule):
        alone = run(*words)
        result = tools(*words)
    assert outcome(result) == outcome(alone)
    if how != "no rule":
        assert result.returncode == 7
        assert f":/{group(cpuset)}\n" in result.stdout


# ---- what it starts gets nothing of the plugin ----


def test_the_payload_sees_nothing(top, tools, group):
    cpuset = top.mkdir("a", mems="2-3")
    words = ("cgexec", "-g", f"cpuset:{group(cpuset)}", "sh", "-c", SEEN)
    alone = run(*words)
    result = tools(*words)
    assert result.stderr == "" and result.returncode == 0
    assert objects(result.stdout) == objects(alone.stdout)
    assert settings(result.stdout) == []
    assert len(tools.records()) == 1


def test_a_descriptor_for_the_report_stays_here(top, group):
    cpuset = top.mkdir("a", mems="2-3")
    read, write = os.pipe()
    words = ["cgexec", "-g", f"cpuset:{group(cpuset)}", "sh", "-c", "ls /proc/self/fd"]
    result = run(
        *(COMMAND, "run", "--report", f"fd:{write}", "--", *words), pass_fds=[write]
    )
    assert str(write) not in result.stdout.split()
    os.close(write)
    with os.fdopen(read) as pipe:
        assert '"tool":"cgexec"' in pipe.read()
