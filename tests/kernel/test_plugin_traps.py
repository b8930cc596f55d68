# SPDX-License-Identifier: GPL-2.0
"""What a library that is put between a tool and libcgroup can get wrong."""

import os
import shutil
import subprocess
import sys

import pytest

from ktest import cpusets, machine
from ktest.machine import mib
from ktest.tools import (
    NOBODY,
    PLUGIN,
    SEEN,
    Rules,
    objects,
    outcome,
    preloaded,
    run,
    settings,
    symbolic_copy,
)

pytestmark = [
    pytest.mark.defect("plugin"),
    pytest.mark.long,
    pytest.mark.usefixtures("cgroup_tools"),
]


@pytest.fixture
def pair(top, spawn):
    """Two cpusets, and a process with memory in the first."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(16), nodes=(0, 1))
    return old, new, load


# ---- failures stay as they are ----

FAILURES = [
    ("cgclassify", "-g", "cpuset:no/such/group", "1"),
    ("cgclassify", "-g", "nosuch:/", "1"),
    ("cgclassify", "-g", "cpuset:{b}", "4194303"),
    ("cgclassify", "-g", "cpuset:{b}", "2"),
    ("cgclassify", "{pid}"),
    ("cgset", "-r", "cpuset.mems=77", "{a}"),
    ("cgset", "-r", "cpuset.mems=77", "-r", "cpuset.cpus=0", "{a}"),
    ("cgset", "-r", "cpuset.cpus=0", "-r", "cpuset.mems=77", "{a}"),
    ("cgset", "-r", "cpuset.mems=x", "-r", "cpuset.cpus=0", "{a}"),
    ("cgset", "-r", "cpuset.mems= ", "-r", "cpuset.cpus=0", "{a}"),
    ("cgset", "-r", "cpuset.mems=0", "-r", "cpuset.cpus=0", "{p}"),
    ("cgset", "-r", "cpuset.mems=0", "-r", "cpuset.memory_migrate=0", "{p}"),
    ("cgset", "-r", "cpuset.mems=77", "-r", "cpuset.memory_migrate=1", "{a}"),
    ("cgset", "-r", "cpuset.mems=x", "{a}"),
    ("cgset", "-r", "cpuset.mems=", "{a}"),
    ("cgset", "-r", "cpuset.mems= ", "{a}"),
    ("cgset", "-r", "cpuset.nosuch=1", "-r", "cpuset.mems=2", "{a}"),
    ("cgset", "-r", "cpuset.mems=2", "-r", "cpuset.nosuch=1", "{a}"),
    ("cgset", "-r", "cpuset.mems=1", "no/such/group"),
    ("cgset", "-r", "nosuch.mems=1", "{a}"),
    ("cgset", "{a}"),
    ("cgexec", "-g", "cpuset:no/such/group", "true"),
    ("cgexec", "-g", "cpuset:{b}", "/no/such/program"),
    ("cgexec", "-g", "cpuset:{b}", "sh", "-c", "exit 7"),
    ("cgdelete", "-g", "cpuset:no/such/group"),
    ("cgdelete", "-g", "cpuset:{top}"),
    ("cgconfigparser", "-l", "/no/such/file"),
    ("cgcreate", "-g", "nosuch:/x"),
]


@pytest.mark.parametrize("command", FAILURES, ids=" ".join)
def test_a_failure_is_the_tools_own(top, pair, tools, group, command):
    """Exit status, words and what was changed before it are as without the plugin."""
    old, new, load = pair
    parent = top.mkdir("p", mems="0-1")
    child = parent.mkdir("child", mems="1")
    for cpuset in (old, child, parent):
        cpuset.write("cpus", "0-1")
    names = {"a": group(old), "b": group(new), "p": group(parent), "top": group(top)}
    words = [word.format(**names, pid=load.pid) for word in command]
    files = [
        cpuset.file(name)
        for cpuset in (old, new, parent)
        for name in ("mems", "cpus", "cpuset.memory_migrate")
        if cpuset.has(name)
    ]

    def state():
        return {path: machine.read(path) for path in files if os.path.exists(path)}

    if top.version == 1:
        old.write("cpuset.memory_migrate", "0")
    before = state()
    alone = run(*words)
    wanted = state()
    for path, text in before.items():
        if text != wanted[path]:
            machine.write(path, text)
    assert state() == before
    result = tools(*words)
    assert outcome(result) == outcome(alone)
    assert state() == wanted
    for record in tools.records():
        assert record["returned"] == 0 or 50000 <= record["returned"] <= 50021


def test_without_permission(pair, tools, group):
    old, new, load = pair
    for words in (
        ("cgset", "-r", "cpuset.mems=2", group(old)),
        ("cgclassify", "-g", f"cpuset:{group(new)}", load.pid),
    ):
        alone = run(*words, user=NOBODY)
        assert alone.returncode != 0
        result = run(*words, user=NOBODY, env=preloaded())
        assert outcome(result) == outcome(alone)
    assert old.mems() == [0, 1] and load.pid in old.procs()


def test_nodes_of_a_populated_group_cannot_be_taken(pair, tools, group):
    """The kernel refuses: ENOSPC. Its memory and its nodes stay."""
    old, _, load = pair
    assert tools("cgset", "-r", "cpuset.mems= ", group(old)).returncode != 0
    assert old.mems() == [0, 1]
    assert set(load.where("anon")) == {0, 1}


def test_nodes_of_an_empty_group_can_be_taken(pair, tools, group):
    """No value is not understood by the tool, a space is, and reaches the kernel."""
    _, new, _ = pair
    record = tools.done("cgset", "-r", "cpuset.mems= ", group(new))
    assert new.read("mems") == ""
    assert record["moves"] == []


@pytest.mark.v1only("on v2 a group without nodes has its parent's")
@pytest.mark.parametrize("tool", ["cgclassify", "cgexec"])
def test_a_destination_without_nodes(top, pair, tools, group, tool):
    """Nobody can enter it: no space left on device."""
    old, _, load = pair
    bare = cpusets.Cpuset(top.version, os.path.join(top.path, "bare"))
    os.mkdir(bare.path)
    bare.write("cpuset.memory_migrate", "1")
    assert bare.read("mems") == ""
    what = load.pid if tool == "cgclassify" else "true"
    words = (tool, "-g", f"cpuset:{group(bare)}", what)
    alone = run(*words)
    assert alone.returncode != 0
    result = tools(*words)
    assert outcome(result) == outcome(alone)
    assert load.pid in old.procs() and bare.procs() == []
    assert set(load.where("anon")) == {0, 1}


# ---- others are left alone ----


def test_the_payload_keeps_what_was_preloaded_before(pair, tools, group):
    _, new, _ = pair
    other = "/lib/x86_64-linux-gnu/libm.so.6"
    words = ("cgexec", "-g", f"cpuset:{group(new)}", "sh", "-c", SEEN)
    for before in (other, f"{other}:{other}", f" {other} "):
        env = {**os.environ, "LD_PRELOAD": before}
        result = tools(*words, env=env)
        assert result.returncode == 0
        (found,) = settings(result.stdout)
        assert found.strip(" ") == f"LD_PRELOAD={before.strip()}"
        assert os.path.realpath(other) in objects(result.stdout)


def test_no_effect_where_libcgroup_is_not_called(tools):
    result = tools("sh", "-c", SEEN)
    assert result.returncode == 0 and result.stderr == ""
    ours = {os.path.basename(o) for o in objects(result.stdout) if "cgmigrate" in o}
    assert ours == {"libcgroup-cgmigrate.so"}
    assert not [o for o in objects(result.stdout) if "jansson" in o or "mount" in o]
    assert tools.records() == []


def test_a_program_on_the_way_passes_it_on(pair, tools, group):
    """env and a shell call execvp(), too; the tool is behind them."""
    _, new, load = pair
    script = f"cgclassify -g cpuset:{group(new)} {load.pid}"
    record = tools.done("env", "X=1", "sh", "-c", script)
    assert record["tool"] == "cgclassify"
    assert set(load.where("anon")) == {2, 3}


# ---- other ways to have libcgroup ----

MODULE = """
int cgroup_init(void);
int cgroup_change_cgroup_path(const char *path, int pid, const char *const list[]);
int cgroup_attach_task_pid(void *group, int pid);
int attach(const char *path, int pid)
{
    static const char *const list[] = { "cpuset", 0 };
    int ret = cgroup_init();

    return ret ? ret : cgroup_change_cgroup_path(path, pid, list);
}
int attach_to_none(int pid, int initialize)
{
    int ret = initialize ? cgroup_init() : 0;

    return ret ? ret : cgroup_attach_task_pid(0, pid);
}
"""
OPENER = """
import ctypes, sys
module = ctypes.CDLL(sys.argv[1], mode=2)  # RTLD_LOCAL and RTLD_NOW, as PAM does
print(module.attach(sys.argv[2].encode(), int(sys.argv[3])))
"""


@pytest.fixture
def module(tmp_path):
    """A module linked with libcgroup, as pam_cgroup.so is."""
    source = tmp_path / "module.c"
    source.write_text(MODULE)
    path = tmp_path / "module.so"
    build = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(path), str(source)]
    subprocess.run([*build, "-l:libcgroup.so.2"], check=True)
    return path


def test_libcgroup_in_a_module(pair, tools, group, module):
    """Opened at run time it is in no global order: dlsym(RTLD_NEXT) finds nothing."""
    _, new, load = pair
    result = tools(sys.executable, "-c", OPENER, module, group(new), load.pid)
    assert (result.returncode, result.stdout, result.stderr) == (0, "0\n", "")
    assert set(load.where("anon")) == {2, 3}
    (record,) = tools.records()
    assert record["function"] == "cgroup_change_cgroup_path"


DIRECT = """
import ctypes, sys
library = ctypes.CDLL("libcgroup.so.2")
controllers = (ctypes.c_char_p * 2)(b"cpuset", None)
library.cgroup_init()
print(library.cgroup_change_cgroup_path(sys.argv[1].encode(), int(sys.argv[2]),
                                        controllers))
"""


def test_libcgroup_in_an_interpreter(pair, tools, group):
    """The call goes past us; those within libcgroup come by, and must not break."""
    _, new, load = pair
    result = tools(sys.executable, "-c", DIRECT, group(new), load.pid)
    assert outcome(result) == (0, "0\n", "")
    assert load.pid in new.procs()


NO_GROUP = """
import ctypes, sys
module = ctypes.CDLL(sys.argv[1], mode=2)
print(module.attach_to_none(int(sys.argv[2]), int(sys.argv[3])), flush=True)
"""
NOT_INITIALIZED = 50014


@pytest.mark.parametrize("initialized", [0, 1], ids=["at once", "after cgroup_init"])
def test_no_group_at_all(pair, tools, module, initialized):
    """For libcgroup that is the root of each hierarchy, if it does not crash on it."""
    _, _, load = pair
    words = (sys.executable, "-c", NO_GROUP, module, load.pid, initialized)
    alone = run(*words)
    result = tools(*words)
    assert outcome(result) == outcome(alone)
    if not initialized:
        assert outcome(result) == (0, f"{NOT_INITIALIZED}\n", "")
        (record,) = tools.records()
        assert record["function"] == "cgroup_attach_task_pid"
        assert record["returned"] == NOT_INITIALIZED and "group" not in record


@pytest.mark.parametrize("how", ["group", "rule"])
def test_a_build_with_symbolic_functions(pair, tools, group, tmp_path, how):
    """Calls within libcgroup do not come by, what the tool calls does."""
    _, new, load = pair
    symbolic_copy(tmp_path)
    env = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    to = ["-g", f"cpuset:{group(new)}"] if how == "group" else []
    with Rules(f"*:numaload cpuset {group(new)}"):
        record = tools.done("cgclassify", *to, load.pid, env=env)
    assert load.pid in new.procs()
    assert set(load.where("anon")) == {2, 3}
    load.verify()
    # On v1 threads go one by one, and those that are yet to go may touch new pages.
    within = [
        move["purpose"] for move in record["moves"] if move["purpose"] != "settle"
    ]
    assert within == (["attach"] if how == "group" else [])


def symbolic_environment(folder):
    """The environment of a tool that has such a libcgroup."""
    symbolic_copy(folder)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}


def test_cgset_with_symbolic_functions(pair, tools, group, tmp_path):
    old, _, load = pair
    words = ["-r", "cpuset.memory_migrate=1", "-r", "cpuset.mems=2-3", group(old)]
    record = tools.done("cgset", *words, env=symbolic_environment(tmp_path))
    assert [move["purpose"] for move in record["moves"]] == ["mems"]
    assert old.mems() == [2, 3] and set(load.where("anon")) == {2, 3}
    load.verify()


@pytest.mark.parametrize("migrate", [False, True], ids=["mems", "memory_migrate"])
def test_cgconfigparser_with_symbolic_functions(pair, tools, group, tmp_path, migrate):
    """On v2 memory_migrate is then what it is without the plugin: an error."""
    old, _, load = pair
    setting = 'cpuset.memory_migrate = "1"; ' if migrate else ""
    path = tmp_path / "config"
    path.write_text(
        f'group {group(old)} {{ cpuset {{ {setting}cpuset.mems = "2-3"; }} }}\n'
    )
    words = ("cgconfigparser", "-l", path)
    env = symbolic_environment(tmp_path)
    if migrate and old.version == 2:
        alone = run(*words, env=env)
        assert alone.returncode != 0
        result = tools(*words, env=env)
        assert outcome(result) == outcome(alone) and old.mems() == [0, 1]
        return
    record = tools.done(*words, env=env)
    assert [seen["cgroup"] for seen in record["groups"]] == [f"/{group(old)}"]
    assert old.mems() == [2, 3] and set(load.where("anon")) == {2, 3}
    load.verify()


# ---- the plugin itself is broken ----


@pytest.mark.parametrize("core", [None, b"", b"not an object", "foreign"])
def test_half_of_the_plugin_is_missing(pair, group, tmp_path, core):
    """Then the tool is as without it."""
    _, new, load = pair
    shutil.copy(PLUGIN, tmp_path)
    path = tmp_path / "libcgroup-cgmigrate-core.so"
    if core == "foreign":
        shutil.copy("/lib/x86_64-linux-gnu/libm.so.6", path)
    elif core is not None:
        path.write_bytes(core)
    env = preloaded(str(tmp_path / os.path.basename(PLUGIN)))
    words = ("cgclassify", "-g", f"cpuset:{group(new)}", load.pid)
    result = run(*words, env=env)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert load.pid in new.procs()


def test_no_memory_to_think_of(pair, tools, group):
    """With hardly any address space left the tool still does its work, or says why."""
    old, _, _ = pair
    for limit in range(8, 60, 4):
        script = f"ulimit -v {limit * 1024}; exec cgset -r cpuset.mems=2-3 {group(old)}"
        result = tools("sh", "-c", script)
        assert result.returncode >= 0, f"{limit} MiB: died of signal"
        assert result.returncode < 128, f"{limit} MiB: died of a signal: {result}"
    assert old.mems() == [2, 3]


# ---- tools that move no memory ----

LOOKS = [
    ("cgget", "-r", "cpuset.mems", "-r", "cpuset.cpus", "{a}"),
    ("cgget", "-n", "-v", "-r", "cpuset.mems", "{a}", "{b}"),
    ("cgget", "-g", "cpuset", "{a}"),
    ("cgget", "-r", "cpuset.mems", "no/such/group"),
    ("lscgroup", "cpuset:{top}"),
    ("cgsnapshot", "-s", "cpuset"),
]


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_looking_is_as_without_the_plugin(top, pair, tools, group, command):
    """All lines but those of counters that go on by themselves."""
    old, new, _ = pair
    names = {"a": group(old), "b": group(new), "top": group(top)}
    words = [word.format(**names) for word in command]
    alone, again = run(*words), run(*words)
    result = tools(*words)
    assert (result.returncode, result.stderr) == (alone.returncode, alone.stderr)
    lines = [text.stdout.splitlines() for text in (alone, again, result)]
    assert len(set(map(len, lines))) == 1
    for first, second, with_it in zip(*lines):
        assert with_it == first or first != second
    assert tools.records() == []


def test_cgclassify_sticky(pair, tools, group):
    """It asks the daemon, which does not run here, to leave the process alone."""
    old, new, load = pair
    words = ("cgclassify", "--sticky", "-g", f"cpuset:{group(new)}", load.pid)
    alone = run(*words)
    entered = load.pid in new.procs()
    old.attach(load)
    result = tools(*words)
    assert outcome(result) == outcome(alone)
    assert (load.pid in new.procs()) == entered
    if entered:
        assert set(load.where("anon")) == {2, 3}
    load.verify()


def below(cpuset):
    """Names of the groups in a group, those in them too."""
    return sorted(path for path, _, _ in os.walk(cpuset.path))


def test_cgdelete_of_a_tree(top, tools, group):
    def delete(run_it):
        tree = cpusets.Cpuset(top.version, os.path.join(top.path, "tree"))
        if os.path.isdir(tree.path):
            tree.remove()
        top.mkdir("tree").mkdir("x").mkdir("y")
        result = run_it("cgdelete", "-r", "-g", f"cpuset:{group(tree)}")
        return outcome(result), below(top)

    alone = delete(run)
    assert delete(tools) == alone
    for record in tools.records():
        assert record["action"] == "delete"


@pytest.mark.v1only("v2: only the root takes processes of its children")
def test_cgdelete_of_a_tree_with_a_process(top, spawn, tools, group):
    """It falls to the parent of what is removed, and its memory stays inside."""
    leaf = top.mkdir("tree", mems="0-1").mkdir("x", mems="0-1")
    load = spawn(leaf)
    load.alloc("anon", mib(8), nodes=(0, 1))
    record = tools.done("cgdelete", "-r", "-g", f"cpuset:{group(top)}/tree")
    assert record["action"] == "delete"
    assert load.pid in top.procs() and below(top) == [top.path]
    assert load.where("anon") == {0: mib(4), 1: mib(4)}
    load.verify()


@pytest.mark.skipif(
    os.path.exists("/run/systemd/system"), reason="systemd's groups would go, too"
)
def test_cgclear(root, top, spawn, tools):
    """It removes every group there is, and unmounts what it sees."""
    load = spawn()
    load.alloc("anon", mib(8), nodes=(0, 1))
    name = os.path.basename(top.path)

    def clear(run_it):
        cpuset = top.mkdir("a", mems="0-1")
        cpuset.attach(load)
        result = run_it("unshare", "-m", "cgclear")
        left = below(root)
        if top.path not in left:
            root.mkdir(name)
        elif cpuset.path in left:
            root.attach(load)
            cpuset.rmdir()
        return outcome(result), left

    alone = clear(run)
    assert clear(tools) == alone
    load.verify()
