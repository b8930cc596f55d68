# SPDX-License-Identifier: GPL-2.0
"""Unmodified tools of libcgroup with the plugin: memory goes where the job goes.

They run with the tests of the stock kernel's defects, too: what the tools leave
behind there, they must not leave behind with the plugin.
"""

import os
import time

import pytest

from ktest.cpusets import engine_files, wait_until
from ktest.machine import mib
from ktest.placement import assert_placed
from ktest.tools import COMMAND, Rules, run

pytestmark = [pytest.mark.defect("plugin"), pytest.mark.usefixtures("cgroup_tools")]

# Programs and libraries that others run, too: the engine leaves them where they are.
TEXT = 4 << 20


def busy(load, nodes, pages=mib(8)):
    """Memory that two threads write and one verifies; where each page is."""
    load.alloc("anon", pages, nodes=nodes, stripe=16)
    load.alloc("shared", pages, kind="shared", nodes=nodes, stripe=64)
    before = {region: load.pages(region) for region in ("anon", "shared")}
    load.threads(4)
    load("work", writers=2, verifiers=1, rest=500)
    return before


def assert_inside(load, regions, nodes):
    """Every page is on one of the nodes, and has its contents."""
    for region in regions:
        where = load.where(region)
        assert {n for n in where if isinstance(n, int)} <= set(nodes), where
    load.verify()


def moved(record):
    return sum(move.get("totals", {}).get("moved", 0) for move in record["moves"])


# ---- cgclassify ----


def test_cgclassify_takes_memory_along(top, spawn, tools, group):
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    before = busy(load, [0, 1])

    record = tools.done("cgclassify", "-g", f"cpuset:{group(new)}", load.pid)

    assert load.pid in new.procs()
    assert_placed(load, before, [[0, 1], [2, 3]])
    assert record["tool"] == "cgclassify" and record["process"] == load.pid
    assert record["before"]["cgroup"] == f"/{group(old)}"
    assert record["after"]["cgroup"] == f"/{group(new)}"
    assert record["after"]["nodes"] == "2-3" and record["after"]["stray"] <= TEXT
    assert moved(record) >= 16 << 20


def faulting(spawn, cpuset, threads=24):
    """A process whose threads keep touching new pages, some MiB into it."""
    load = spawn(cpuset)
    load.alloc("old", mib(16), nodes=(0, 1))
    load.alloc("new", mib(160))
    load("fault", "new", threads=threads, rest=1000)
    wait_until(lambda: int(load("faulting")["pages"]) > mib(8), "threads to fault")
    return load


def left_behind(load, nodes):
    load("faulted")
    where = load.where("new")
    load.verify()
    return sum(pages for node, pages in where.items() if node in nodes)


@pytest.mark.v1only("libcgroup attaches thread by thread there")
def test_a_process_that_faults_leaves_nothing_behind(top, spawn, tools, group):
    """24 threads touch new pages all the time; the tool alone leaves many."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    if not engine_files(top):
        load = faulting(spawn, old)
        # By itself it takes thread by thread, and fails if one has ended meanwhile.
        run("cgclassify", "-g", f"cpuset:{group(new)}", load.pid)
        left = left_behind(load, (0, 1))
        assert left > mib(1), "the race this is about does not show"
        load.close()

    load = faulting(spawn, old)
    tools.done("cgclassify", "-g", f"cpuset:{group(new)}", load.pid)
    assert left_behind(load, (0, 1)) == 0
    assert set(load.where("old")) == {2, 3}


def test_cgclassify_by_rule(top, spawn, tools, group):
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    before = busy(load, [0, 1])
    with Rules(f"*:numaload cpuset {group(new)}"):
        record = tools.done("cgclassify", load.pid)
    assert load.pid in new.procs()
    assert record["function"] == "cgroup_change_cgroup_flags"
    assert_placed(load, before, [[0, 1], [2, 3]])


@pytest.mark.long
def test_cgset_from_a_shell_with_other_nodes(top, spawn, tools, group):
    """The kernel's own move does what the tool's caller may not."""
    cpuset, here = top.mkdir("a", mems="0-1"), top.mkdir("here", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=(0, 1))
    enter = f'echo $$ >{here.path}/cgroup.procs; exec "$@"'
    cgset = ["cgset", "-r", "cpuset.mems=2-3", group(cpuset)]
    plugin = [COMMAND, "run", "--report", tools.report, "--", *cgset]
    result = run("sh", "-c", enter, "sh", *plugin)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (record,) = tools.records()
    assert cpuset.mems() == [2, 3]
    assert_inside(load, ["anon"], (2, 3))
    (move,) = record["moves"]
    assert move["totals"]["moved"] >= mib(15), move
    if move["backend"].startswith("stock"):
        assert any("in one go" in note for note in record["notes"])


@pytest.fixture
def default_folder():
    """libcgroup 3.0 puts what is in this file before every name."""
    os.makedirs("/run/libcgroup", exist_ok=True)
    with open("/run/libcgroup/systemd", "w", encoding="ascii") as file:
        file.write("system.slice/other.scope\n")
    yield
    os.unlink("/run/libcgroup/systemd")


def test_names_that_stand_for_something_else(top, spawn, tools, group, default_folder):
    """No group is changed by its name alone; where a process is can be seen."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(16), nodes=(0, 1))
    record = tools.done("cgset", "-r", "cpuset.mems=1-2", group(old))
    assert record["moves"] == [] and old.mems() == [1, 2]
    record = tools.done("cgclassify", "-g", f"cpuset:{group(new)}", load.pid)
    assert load.pid in new.procs()
    assert record["after"]["cgroup"] == f"/{group(new)}"
    assert "attach" not in [move["purpose"] for move in record["moves"]]
    assert_inside(load, ["anon"], (2, 3))


@pytest.mark.v1only("memory_migrate is a file of v1")
def test_without_memory_migrate_memory_stays(top, spawn, tools, group):
    """As the administrator wants it, unless told otherwise."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    new.write("cpuset.memory_migrate", "0")
    load = spawn(old)
    load.alloc("anon", mib(16), nodes=(0, 1))
    record = tools.done("cgclassify", "-g", f"cpuset:{group(new)}", load.pid)
    assert set(load.where("anon")) == {0, 1}
    assert record["moves"] == [] and record["after"]["stray"] >= 16 << 20

    tools.done("cgclassify", "-g", f"cpuset:{group(old)}", load.pid)
    record = tools.done(
        *("cgclassify", "-g", f"cpuset:{group(new)}", load.pid),
        options=["--settle", "always"],
    )
    assert_inside(load, ["anon"], (2, 3))
    assert new.read("cpuset.memory_migrate") == "0"
    assert record["after"]["stray"] <= TEXT


# ---- cgset ----


def test_cgset_moves_memory(top, spawn, tools, group):
    """Also where old and new nodes overlap: stock kernels move threads' pages twice."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    before = busy(load, [0, 1])
    record = tools.done("cgset", "-r", "cpuset.mems=1-2", group(cpuset))
    assert cpuset.mems() == [1, 2]
    assert_placed(load, before, [[0, 1], [1, 2]])
    assert record["action"] == "settings" and record["group"] == group(cpuset)
    assert [move["purpose"] for move in record["moves"]] == ["mems"]
    assert record["moves"][0]["state"] == "done"


@pytest.mark.long
@pytest.mark.v2only("cgroup.subtree_control")
def test_cgset_of_children_that_were_given_the_controller(top, spawn, tools, group):
    """Of all but one of them a stock kernel moves nothing, now and later."""
    parent = top.mkdir("p")
    children = [parent.mkdir(child, controlled=False) for child in "xy"]
    loads = [spawn(child) for child in children]
    for load in loads:
        load.alloc("anon", mib(8), nodes=0)
    parent.control()

    for node in (1, 2):
        for child, load in zip(children, loads):
            tools.done("cgset", "-r", f"cpuset.mems={node}", group(child))
            assert child.mems() == [node]
            assert load.where("anon") == {node: mib(8)}
            load.verify()


@pytest.mark.v1only("memory_migrate is a file of v1")
def test_memory_migrate_counts_wherever_it_stands(top, spawn, tools, group):
    """The tool alone writes them in their order, and nothing moves."""
    cpuset = top.mkdir("a", mems="0")
    cpuset.write("cpuset.memory_migrate", "0")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=0)
    words = ("cgset", "-r", "cpuset.mems=3", "-r", "cpuset.memory_migrate=1")
    assert run(*words, group(cpuset)).returncode == 0
    assert load.where("anon") == {0: mib(16)}

    cpuset.write("cpuset.memory_migrate", "0")
    cpuset.set_mems("0")
    tools.done(*words, group(cpuset))
    assert load.where("anon") == {3: mib(16)}
    assert cpuset.read("cpuset.memory_migrate") == "1"
    load.verify()


@pytest.mark.v1only("memory_migrate is a file of v1")
def test_memory_migrate_is_on_for_any_number(top, spawn, tools, group):
    """But for 0: as the kernel reads it."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(4), nodes=0)
    for value, mems, stays in (
        ("2", 1, False),
        ("0x0", 2, True),
        ("0x10", 3, False),
        ("00", 2, True),
    ):
        before = load.where("anon")
        words = ("cgset", "-r", f"cpuset.memory_migrate={value}")
        tools.done(*words, "-r", f"cpuset.mems={mems}", group(cpuset))
        assert load.where("anon") == (before if stays else {mems: mib(4)}), value


@pytest.mark.v1only("memory_migrate is a file of v1")
def test_memory_migrate_can_be_taken_back(top, spawn, tools, group):
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=0)
    words = ("cgset", "-r", "cpuset.memory_migrate=0", "-r", "cpuset.mems=3")
    tools.done(*words, group(cpuset))
    assert load.where("anon") == {0: mib(16)}
    assert cpuset.mems() == [3]


@pytest.mark.long
@pytest.mark.v2only("v2 has no memory_migrate: memory follows in any case")
def test_memory_migrate_is_accepted(top, spawn, tools, group):
    """Scripts written for v1 stop at it without the plugin."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=0)
    words = ("cgset", "-r", "cpuset.memory_migrate=1", "-r", "cpuset.mems=3")
    assert run(*words, group(cpuset)).returncode == 95
    assert cpuset.mems() == [0]

    tools.done(*words, group(cpuset))
    assert load.where("anon") == {3: mib(16)}
    for number in ("1", "2", "0x10"):
        tools.done("cgset", "-r", f"cpuset.memory_migrate={number}", group(cpuset))
    # What it cannot do it does not claim to do.
    for value in ("0", "00", "0x0", "on"):
        refused = tools("cgset", "-r", f"cpuset.memory_migrate={value}", group(cpuset))
        assert refused.returncode == 95, value
    missing = tools("cgset", "-r", "cpuset.memory_migrate=1", f"{group(cpuset)}/no")
    assert missing.returncode == 95


@pytest.mark.long
def test_other_settings_do_not_ask_for_memory(top, spawn, tools, group):
    """Reading where it is takes long for a big process."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=(0, 1))
    record = tools.done("cgset", "-r", "cpuset.cpus=0-1", group(cpuset))
    assert cpuset.read("cpus") == "0-1"
    assert record["moves"] == []
    assert record["before"] == {"cgroup": f"/{group(cpuset)}", "nodes": "0-1"}
    assert record["after"] == record["before"]


@pytest.mark.long
def test_cgset_copy_from(top, spawn, tools, group):
    """All files of another group: the nodes are among them."""
    model, cpuset = top.mkdir("model", mems="2-3"), top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=(0, 1))
    alone = run("cgset", "--copy-from", group(model), group(cpuset))
    result = tools("cgset", "--copy-from", group(model), group(cpuset))
    assert (result.returncode, result.stderr) == (alone.returncode, alone.stderr)
    assert cpuset.mems() == [2, 3]
    assert_inside(load, ["anon"], (2, 3))


def test_nobody_waits_who_does_not_want_to(top, spawn, tools, group):
    """The tool returns at once, a process goes on, and reports at the end."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(32), nodes=(0, 1))
    slow = [] if engine_files(top) else ["--rate", "12M"]
    words = ("cgset", "-r", "cpuset.mems=2-3", group(cpuset))
    if engine_files(top):
        cpuset.write("hold", "1")
    result = tools(*words, options=["--no-wait", *slow])
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert tools.records() == []
    assert load.where("anon").get(0, 0) > 0
    if engine_files(top):
        cpuset.write("hold", "0")
    records = []
    wait_until(lambda: records or records.extend(tools.records()), "the report")
    assert records[0]["returned"] == 0
    assert records[0]["moves"][0]["state"] == "done"
    assert cpuset.mems() == [2, 3]
    assert_inside(load, ["anon"], (2, 3))


@pytest.mark.long
def test_cgclassify_need_not_wait(top, spawn, tools, group):
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(32), nodes=(0, 1))
    words = ("cgclassify", "-g", f"cpuset:{group(new)}", load.pid)
    result = tools(*words, options=["--no-wait"])
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert load.pid in new.procs()
    records = []
    wait_until(lambda: records or records.extend(tools.records()), "the report")
    assert records[0]["after"]["stray"] <= TEXT
    assert new.mems() == [2, 3]
    assert_inside(load, ["anon"], (2, 3))


@pytest.mark.long
def test_rate(top, spawn, tools, group):
    """With the engine it is the group's own for as long as the move takes."""
    cpuset = top.mkdir("a", mems="0")
    load = spawn(cpuset)
    load.alloc("anon", mib(32), nodes=0)
    start = time.monotonic()
    tools.done("cgset", "-r", "cpuset.mems=1", group(cpuset), options=["--rate", "16M"])
    assert time.monotonic() - start > 1.5
    assert set(load.where("anon")) == {1}
    if engine_files(top):
        assert cpuset.read("max") == "max"


# ---- groups that come and go ----


def config(folder, text):
    path = os.path.join(folder, "cgconfig.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def test_cgconfigparser_moves_memory(top, spawn, tools, group, tmp_path):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=(0, 1))
    text = f"""
group {group(cpuset)} {{
    cpuset {{
        cpuset.memory_migrate = "1";
        cpuset.mems = "2-3";
    }}
}}
"""
    path = config(tmp_path, text)
    if cpuset.version == 2:  # it stops at what v2 does not have
        assert run("cgconfigparser", "-l", path).returncode != 0
        assert cpuset.mems() == [0, 1]
    record = tools.done("cgconfigparser", "-l", path)
    assert cpuset.mems() == [2, 3]
    assert_inside(load, ["anon"], (2, 3))
    assert record["action"] == "groups"
    changed = {group["cgroup"]: group for group in record["groups"]}
    assert changed[f"/{group(cpuset)}"]["from"] == "0-1"
    assert changed[f"/{group(cpuset)}"]["after"]["nodes"] == "2-3"


@pytest.mark.long
def test_cgcreate_changes_nothing_for_others(top, spawn, tools, group):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(4), nodes=(0, 1))
    record = tools.done("cgcreate", "-g", f"cpuset:{group(top)}/new")
    assert os.path.isdir(f"{top.path}/new")
    assert record["groups"] == [] and record["moves"] == []
    assert load.where("anon") == {0: mib(2), 1: mib(2)}


def test_cgdelete_lets_processes_fall_to_the_parent(root, spawn, tools, group):
    """The parent has all the nodes of its children, so nothing has to move."""
    cpuset = root.mkdir(f"cpuset-migrate-delete-{os.getpid()}", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(4), nodes=(0, 1))
    record = tools.done("cgdelete", "-g", f"cpuset:{group(cpuset)}")
    assert not os.path.exists(cpuset.path)
    assert record["action"] == "delete"
    assert record["before"]["cgroup"] == f"/{group(cpuset)}"
    assert load.where("anon") == {0: mib(2), 1: mib(2)}
    load.verify()


@pytest.mark.v1only("v2: only the root takes processes of its children, with all nodes")
def test_cgdelete_brings_in_what_was_outside(top, spawn, tools, group):
    top.set_mems("0-2")
    away, cpuset = top.mkdir("away", mems="2"), top.mkdir("a", mems="0-1")
    top.set_mems("0-2")
    cpuset.write("cpuset.memory_migrate", "0")
    load = spawn(away)
    load.alloc("anon", mib(8), nodes=2)
    cpuset.attach(load)
    assert load.where("anon") == {2: mib(8)}
    away.rmdir()
    top.set_mems("0-1")
    tools.done("cgdelete", "-g", f"cpuset:{group(cpuset)}")
    assert load.pid in top.procs()
    assert_inside(load, ["anon"], (0, 1))
