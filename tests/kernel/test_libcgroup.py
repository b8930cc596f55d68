# SPDX-License-Identifier: GPL-2.0
"""libcgroup 3: the plugin with it, its own tests, and the fixes it could have."""

import ctypes
import functools
import os
import subprocess
import sys
import tempfile

import pytest

from ktest import machine
from ktest.ftests import differences, numbers_of, run_ftests
from ktest.machine import mib
from ktest.tools import (
    BUILD,
    SEEN,
    Rules,
    objects,
    outcome,
    parse_record,
    run,
    settings,
)

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
    pytest.param(
        "091",
        id="as a whole",
        marks=pytest.mark.v1only("v2 attaches whole processes"),
    ),
    pytest.param("092", id="empty value"),
]


@pytest.fixture(autouse=True)
def built():
    if not os.path.exists(f"{BUILD}/libcgroup/id"):
        pytest.skip("libcgroup is not built, or not to be had: make libcgroup-patches")


def tool(name):
    return f"{TREES['stock']}/src/tools/{name}"


def test_cgclassify_takes_memory_along(top, spawn, tools, group):
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(8), nodes=(0, 1))
    load.alloc("new", mib(96))
    load("fault", "new", threads=24, rest=1000)
    words = (tool("cgclassify"), "-g", f"cpuset:{group(new)}", load.pid)
    record = tools.done(*words)
    load("faulted")
    assert load.pid in new.procs() and record["process"] == load.pid
    for region in ("anon", "new"):
        assert not {0, 1} & set(load.where(region))
    load.verify()


@pytest.mark.parametrize("command", ["cgset", "cgxset"])
def test_setting_nodes_takes_memory_along(top, spawn, tools, group, command):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=(0, 1))
    record = tools.done(tool(command), "-r", "cpuset.mems=2-3", group(cpuset))
    assert record["function"] == "cgroup_modify_cgroup"
    assert set(load.where("anon")) == {2, 3}
    load.verify()


@pytest.mark.parametrize("how", ["group", "rule"])
def test_the_payload_of_cgexec_sees_nothing(top, tools, group, how):
    """It is in its group, and has neither the plugin nor its settings."""
    cpuset = top.mkdir("a", mems="2-3")
    into = ["-g", f"cpuset:{group(cpuset)}"] if how == "group" else []
    script = f"cat /proc/self/cgroup; {SEEN}; exit 7"
    words = (tool("cgexec"), *into, "sh", "-c", script)
    with Rules(f"*:sh cpuset {group(cpuset)}"):
        alone = run(*words)
        result = tools(*words)
    assert (alone.returncode, result.returncode, result.stderr) == (7, 7, "")
    for text in (alone.stdout, result.stdout):
        assert f":/{group(cpuset)}\n" in text
    assert objects(result.stdout) == objects(alone.stdout)
    assert settings(result.stdout) == []
    (record,) = tools.records()
    assert record["after"]["cgroup"] == f"/{group(cpuset)}"


# ---- threads, and no group ----

LIBRARY = f"{TREES['stock']}/src/.libs/libcgroup.so.3"
MODULE = """
struct cgroup;
int cgroup_init(void);
struct cgroup *cgroup_new_cgroup(const char *name);
void *cgroup_add_controller(struct cgroup *group, const char *name);
int FUNCTION(struct cgroup *group, int tid);
int attach(const char *name, int tid)
{
    struct cgroup *group;
    int ret = cgroup_init();

    if (ret || !*name)
        return ret ? ret : FUNCTION(0, tid);
    group = cgroup_new_cgroup(name);
    return group && cgroup_add_controller(group, "cpuset") ? FUNCTION(group, tid) : -1;
}
"""
OPENER = """
import ctypes, sys
module = ctypes.CDLL(sys.argv[1])
print(module.attach(sys.argv[2].encode(), int(sys.argv[3])))
"""


@pytest.fixture
def attach(tools, tmp_path):
    """A function of the library, called by a program that has the plugin."""

    def call(function, group, tid):
        if not hasattr(ctypes.CDLL(LIBRARY), function):
            pytest.skip(f"this libcgroup has no {function}()")
        source = tmp_path / "module.c"
        source.write_text(MODULE)
        path = tmp_path / "module.so"
        build = ["gcc", "-shared", "-fPIC", f"-DFUNCTION={function}", "-o", str(path)]
        libs = os.path.dirname(LIBRARY)
        link = [f"-L{libs}", "-l:libcgroup.so.3"]
        subprocess.run([*build, str(source), *link], check=True)
        env = {**os.environ, "LD_LIBRARY_PATH": libs}
        result = tools(sys.executable, "-c", OPENER, path, group, tid, env=env)
        assert outcome(result) == (0, "0\n", "")
        (record,) = tools.records()
        assert record["action"] == "thread" and record["function"] == function
        return record

    return call


@pytest.fixture
def threaded(top, spawn):
    """Two groups for threads, and a process with all of its threads in the first."""
    domain = top.mkdir("domain", mems="0-3")
    pair = [domain.mkdir("x", mems="0-1"), domain.mkdir("y", mems="2-3")]
    for cpuset in pair:
        cpuset.write("cgroup.type", "threaded")
    load = spawn(domain)
    load.threads(4)
    for tid in machine.threads(load.pid):
        pair[0].attach_thread(tid)
    load.alloc("anon", mib(8), nodes=(0, 1))
    return load, *pair


def tids_of(cpuset):
    return {int(tid) for tid in cpuset.read("threads").split()}


@pytest.mark.v2only("threaded groups")
@pytest.mark.parametrize(
    "function", ["cgroup_attach_task_pid", "cgroup_attach_thread_tid"]
)
def test_a_thread_moves_no_memory(threaded, attach, group, function):
    load, old, new = threaded
    others = set(machine.threads(load.pid))
    tid = max(others - {load.pid})
    record = attach(function, group(new), tid)
    assert tids_of(new) == {tid} and tids_of(old) == others - {tid}
    assert load.where("anon") == {0: mib(4), 1: mib(4)}
    assert record["process"] == tid and record["moves"] == []
    load.verify()


@pytest.mark.v2only("threaded groups")
def test_cgclassify_into_a_threaded_group(threaded, tools, group):
    """A group that takes threads, one by one, and no process as a whole."""
    load, old, new = threaded
    words = (tool("cgclassify"), "-g", f"cpuset:{group(new)}", load.pid)
    alone = run(*words)
    assert alone.returncode == 0
    for tid in machine.threads(load.pid):
        old.attach_thread(tid)
    assert set(load.where("anon")) == {0, 1}

    result = tools(*words)

    assert outcome(result) == outcome(alone)
    assert tids_of(new) == set(machine.threads(load.pid))
    assert set(load.where("anon")) == {2, 3}
    load.verify()


def test_no_group_is_the_root(top, root, spawn, attach):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=(0, 1))
    record = attach("cgroup_attach_task_pid", "", load.pid)
    assert load.pid in root.procs()
    assert "group" not in record and record["after"]["cgroup"] == "/"
    assert load.where("anon") == {0: mib(4), 1: mib(4)}
    load.verify()


# ---- its own tests ----


@functools.cache
def results_of_its_tests(tools, report=None):
    numbers = numbers_of(TREES["stock"])
    where = "debian" if tools == "debian" else TREES["stock"]
    return run_ftests(TREES["stock"], where, numbers, report=report)


@pytest.mark.parametrize("tools", ["debian", "libcgroup-3"])
def test_its_tests_have_the_results_that_were_recorded(root, tools):
    """The same on every kernel; most of what they check is output and exit status."""
    found = results_of_its_tests(tools)
    results = {number: result for number, (result, _) in found.items()}
    passed = [number for number, result in results.items() if result == "passed"]
    print(f"{tools}: {len(passed)} of {len(found)} pass:", *passed)
    assert len(passed) >= PASSING[root.version]
    changed = differences(tools, results)
    said = {number: cause for number, (_, cause) in found.items() if cause}
    assert not changed, "\n".join([*changed, f"what they say: {said}"])


@pytest.mark.parametrize("tools", ["debian", "libcgroup-3"])
def test_its_tests_have_the_same_results_with_the_plugin(tools):
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as report:
        with_it = results_of_its_tests(tools, report=report.name)
        seen = {parse_record(line)["tool"] for line in report}
    print(f"{tools}: records of", *sorted(seen))
    assert with_it == results_of_its_tests(tools)
    assert seen, "no tool had the plugin"


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
