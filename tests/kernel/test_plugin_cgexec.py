# SPDX-License-Identifier: GPL-2.0
"""cgexec: what it starts is in its group, with and without the plugin."""

import os

import pytest

from ktest import machine
from ktest.machine import mib
from ktest.tools import COMMAND, Rules, Tools, outcome, run

pytestmark = pytest.mark.defect("plugin")


@pytest.fixture(autouse=True)
def installed():
    if not os.path.exists("/usr/bin/cgexec"):
        pytest.skip("libcgroup's tools are not installed (Debian: cgroup-tools)")
    if not os.access(COMMAND, os.X_OK):
        pytest.fail(f"{COMMAND} is missing: make tools")


@pytest.fixture
def tools(tmp_path):
    return Tools(tmp_path)


@pytest.fixture
def name(root):
    """The name libcgroup knows a cpuset by."""
    return lambda cpuset: cpuset.path[len(root.path) + 1 :]


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


def assert_lives_there(load, cpuset, name):
    """In the group, with the group's nodes, and what it touches is on them."""
    assert load.pid in cpuset.procs()
    assert cgroup_of(load.pid, cpuset.version) == f"/{name(cpuset)}"
    assert machine.mems_allowed(load.pid) == cpuset.mems()
    load.alloc("anon", mib(8))
    load("fill", "anon")
    assert set(load.where("anon")) <= set(cpuset.mems())
    assert sum(load.where("anon").values()) == mib(8)
    load.verify()


def test_the_payload_is_in_the_group(top, spawn, name, prefix):
    cpuset = top.mkdir("a", mems="2-3")
    words = [*prefix, "cgexec", "-g", f"cpuset:{name(cpuset)}"]
    assert_lives_there(spawn(prefix=words), cpuset, name)


def test_the_payload_is_where_a_rule_says(top, spawn, name, prefix):
    cpuset = top.mkdir("a", mems="1")
    with Rules(f"*:numaload cpuset {name(cpuset)}"):
        load = spawn(prefix=[*prefix, "cgexec"])
    assert_lives_there(load, cpuset, name)


def test_the_record_of_a_payload(top, spawn, tools, name):
    """It is the process of the tool, and what the tool had is not moved."""
    cpuset = top.mkdir("a", mems="2-3")
    words = [*tools.prefix(), "cgexec", "-g", f"cpuset:{name(cpuset)}"]
    load = spawn(prefix=words)
    (record,) = tools.records()
    assert record["tool"] == "cgexec" and record["action"] == "process"
    assert record["process"] == record["pid"] == load.pid
    assert record["after"]["cgroup"] == f"/{name(cpuset)}"
    assert record["after"]["nodes"] == "2-3" and record["moves"] == []


@pytest.mark.parametrize("how", ["group", "rule", "no rule"])
def test_the_exit_status_is_the_payloads(top, tools, name, how):
    cpuset = top.mkdir("a", mems="2-3")
    rule = [f"*:sh cpuset {name(cpuset)}"] if how == "rule" else []
    group = ["-g", f"cpuset:{name(cpuset)}"] if how == "group" else []
    words = ["cgexec", *group, "sh", "-c", "cat /proc/self/cgroup; exit 7"]
    with Rules(*rule):
        alone = run(*words)
        result = tools(*words)
    assert outcome(result) == outcome(alone)
    if how != "no rule":
        assert result.returncode == 7
        assert f":/{name(cpuset)}\n" in result.stdout
