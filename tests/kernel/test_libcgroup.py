# SPDX-License-Identifier: GPL-2.0
"""libcgroup 3: the plugin with it, its own tests, and the fixes it could have."""

import os

import pytest

from ktest.ftests import numbers_of, run_ftests
from ktest.machine import mib
from ktest.tools import BUILD, Tools

pytestmark = [pytest.mark.defect("plugin"), pytest.mark.long]

TREES = {name: f"{BUILD}/libcgroup/{name}" for name in ("stock", "patched")}
# Those of its tests that have to pass, by hierarchy, or the comparison means little.
PASSING = {1: 5, 2: 5}
# What libcgroup-plugin/patches adds.
PATCHED = [
    pytest.param("089", id="may not be written"),
    pytest.param(
        "090",
        id="memory_migrate",
        marks=pytest.mark.v2only("the setting is one of v1, where it is written"),
    ),
]


@pytest.fixture(autouse=True)
def built():
    if not os.path.exists(f"{BUILD}/libcgroup/id"):
        pytest.skip("libcgroup is not built, or not to be had: make libcgroup-patches")


@pytest.fixture
def tools(tmp_path):
    return Tools(tmp_path)


@pytest.fixture
def name(root):
    """The name libcgroup knows a cpuset by."""
    return lambda cpuset: cpuset.path[len(root.path) + 1 :]


def tool(name):
    return f"{TREES['stock']}/src/tools/{name}"


def test_cgclassify_takes_memory_along(top, spawn, tools, name):
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(8), nodes=(0, 1))
    load.alloc("new", mib(96))
    load("fault", "new", threads=24, rest=1000)
    words = (tool("cgclassify"), "-g", f"cpuset:{name(new)}", load.pid)
    record = tools.done(*words)
    load("faulted")
    assert load.pid in new.procs() and record["process"] == load.pid
    for region in ("anon", "new"):
        assert not {0, 1} & set(load.where(region))
    load.verify()


@pytest.mark.parametrize("command", ["cgset", "cgxset"])
def test_setting_nodes_takes_memory_along(top, spawn, tools, name, command):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=(0, 1))
    record = tools.done(tool(command), "-r", "cpuset.mems=2-3", name(cpuset))
    assert record["function"] == "cgroup_modify_cgroup"
    assert set(load.where("anon")) == {2, 3}
    load.verify()


def test_its_tests_have_the_same_results_with_the_plugin(root):
    """On Debian's tools; most of what they check is output and exit status."""
    numbers = numbers_of(TREES["stock"])
    without = run_ftests(TREES["stock"], "debian", numbers)
    with_it = run_ftests(TREES["stock"], "debian", numbers, plugin=True)
    assert with_it == without
    passed = [number for number, (result, _) in without.items() if result == "passed"]
    print(f"v{root.version}: {len(passed)} of {len(without)} pass:", *passed)
    assert len(passed) >= PASSING[root.version]


@pytest.mark.parametrize("number", PATCHED)
def test_a_patch_mends_what_its_test_is_about(number):
    """Each comes with a test in the style of libcgroup's own."""
    tests = TREES["patched"]
    before, _ = run_ftests(tests, TREES["stock"], [number])[number]
    after, cause = run_ftests(tests, TREES["patched"], [number])[number]
    if after == "skipped":
        pytest.skip(cause)
    assert after == "passed", cause
    assert before == "failed", "its test passes without the patch"
