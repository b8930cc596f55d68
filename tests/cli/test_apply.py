# SPDX-License-Identifier: GPL-2.0
"""cgmigrate plan, apply and undo: order, room, files, and being killed on the way."""

import fcntl
import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import COMMAND, Command
from moving import PATIENCE, moves_end
from tree import MIB, Tree

JOURNAL = "var/lib/cgmigrate/apply.json"


class Jobs(Tree):
    """Four nodes, and cgroups with memory of their own; with the engine or without."""

    def __init__(self, path, engine=True, **more):
        super().__init__(path, engine=engine, **more)
        self.engine_moves = engine
        self.names = []

    def job(self, path, mems, *mib):
        """A cgroup with so many MiB on each node."""
        anon = [n * MIB for n in (*mib, 0, 0, 0, 0)][: self.nodes]
        above = os.path.dirname(path)
        effective = mems or self.mems(above)
        self.cgroup(path, mems, effective=effective, charged={"anon": anon})
        if self.engine_moves:
            self.engine(path)
        self.names.append(path)
        # Nodes in force follow what is written, as far as a tree can do that.
        file = f"{self.path}/sys/fs/cgroup{path}/cpuset.mems.effective"
        os.unlink(file)
        owner = path if mems else above
        os.link(f"{self.path}/sys/fs/cgroup{owner}/cpuset.mems", file)

    def mems(self, path):
        return self.read(f"sys/fs/cgroup{path}/cpuset.mems").strip()

    def all_mems(self):
        return {path: self.mems(path) for path in self.names}


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path / "tree")


@pytest.fixture
def pair(jobs):
    """/a on node 0 and /b on node 1."""
    jobs.job("/a", "0", 100)
    jobs.job("/b", "1", 0, 90)
    return jobs


@pytest.fixture
def live_pair(pair):
    return Command(pair, write=True)


def steps(out):
    return [(s["round"], s["step"], s["cgroup"], s["to"]) for s in out["steps"]]


# ---- planning ----


def test_swap(pair):
    out = Command(pair).json("plan", "--swap", "/a", "/b")
    assert out["state"] == "planned" and out["changed"] is False
    assert steps(out) == [(1, "move", "/a", "1"), (2, "move", "/b", "0")]
    room = {n["node"]: (n["room"], n["room_after"]) for n in out["capacity"]}
    assert room[0] == (504 * MIB, 514 * MIB) and room[1] == (504 * MIB, 494 * MIB)
    assert room[2][0] == room[2][1]
    text = Command(pair)("plan", "--swap", "/a", "/b").stdout
    assert re.search(r"1 move +/a +0 +1 +100.0M", text)


def test_full_nodes_are_exchanged_together(pair):
    for node in (0, 1):
        pair.node(node, free=40 * MIB, cache=0)
    out = Command(pair).json("plan", "--swap", "/a", "/b")
    assert [s[0] for s in steps(out)] == [1, 1]


def test_or_by_way_of_a_free_node(pair):
    for node in (0, 1, 3):
        pair.node(node, free=9 * MIB, cache=0)
    pair.job("/b", "1", 0, 100)
    out = Command(pair).json("plan", "--swap", "/a", "/b")
    assert [s[1] for s in steps(out)] == ["bounce", "move", "move"]
    assert steps(out)[0][3] == "2"


def test_or_not_at_all(pair):
    for node in range(4):
        pair.node(node, free=8 * MIB, cache=0)
    pair.job("/b", "1", 0, 100)
    out = Command(pair).json("plan", "--swap", "/a", "/b", code=4)
    assert out["state"] == "refused"
    assert "no order works" in out["error"]["message"]
    assert "/a lacks least, 100.0M on node 1" in out["error"]["message"]


def test_the_end_has_to_fit(pair):
    pair.node(2, free=58 * MIB, cache=0)
    pair.write("spec", '{"targets": [{"cgroup": "/a", "to": "2"}]}')
    result = Command(pair)("plan", f"{pair.path}/spec")
    assert result.returncode == 4
    assert "no room: 50.0M on node 2 too little in the end" in result.stderr
    pair.node(2, free=58 * MIB, cache=60 * MIB)
    result = Command(pair)("plan", f"{pair.path}/spec")
    assert result.returncode == 0
    assert "warning: page cache has to make room" in result.stderr


def test_huge_pages_need_pools(tmp_path):
    tree = Tree(tmp_path, memory=False, engine=True)
    tree.cgroup("/web", "0", pids=[10])
    tree.process(10, "huge", [("/anon_hugepage", {0: 10}, "huge anon=10")])
    pool = "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages"
    tree.write(pool, "4\n")
    tree.write("spec", '{"targets": [{"cgroup": "/web", "to": "1"}]}')
    result = Command(tree)("plan", f"{tree.path}/spec")
    assert result.returncode == 4
    assert "6 huge pages of 2.0M on node 1 too little" in result.stderr
    tree.write(pool, "10\n")
    assert Command(tree)("plan", f"{tree.path}/spec").returncode == 0


@pytest.fixture
def nested(jobs):
    """/top on 0-1 with /top/a on 0 and /top/b, which inherits."""
    jobs.job("/top", "0-1", 50, 30)
    jobs.job("/top/a", "0", 40)
    jobs.job("/top/b", "", 5, 20)
    return jobs


def test_parents_before_children_and_after(nested):
    nested.write(
        "spec",
        '{"targets": [{"cgroup": "/top", "to": "2-3"},'
        ' {"cgroup": "/top/a", "to": "2"}]}',
    )
    out = Command(nested).json("plan", f"{nested.path}/spec")
    assert steps(out) == [
        (1, "widen", "/top", "0-3"),
        (2, "move", "/top/a", "2"),
        (3, "narrow", "/top", "2-3"),
    ]
    assert [t["bytes"] for t in out["targets"]] == [40 * MIB, 40 * MIB]


def test_v1(tmp_path):
    """Parents have to have what their children have, at every moment."""
    tree = Tree(tmp_path, version=1)
    tree.cgroup("/top", "0-1")
    tree.cgroup("/top/a", "0")
    targets = [{"cgroup": "/top", "to": "2-3"}, {"cgroup": "/top/a", "to": "2"}]
    tree.write("spec", json.dumps({"targets": targets}))
    out = Command(tree).json("plan", f"{tree.path}/spec")
    assert [s[1:] for s in steps(out)] == [
        ("widen", "/top", "0-3"),
        ("move", "/top/a", "2"),
        ("narrow", "/top", "2-3"),
    ]
    tree.write("spec", json.dumps({"targets": [{"cgroup": "/top/a", "to": ""}]}))
    result = Command(tree)("plan", f"{tree.path}/spec")
    assert result.returncode == 4
    assert "/top/a: on cgroup v1 it has to have nodes" in result.stderr


def test_children_that_would_be_left_out(nested):
    nested.write("spec", '{"targets": [{"cgroup": "/top", "to": "2-3"}]}')
    result = Command(nested)("plan", f"{nested.path}/spec")
    assert result.returncode == 4
    assert "/top/a: has nodes 0, and its parent will have none of them" in result.stderr
    nested.write("spec", '{"targets": [{"cgroup": "/top/a", "to": "2"}]}')
    result = Command(nested)("plan", f"{nested.path}/spec")
    assert "/top/a: its parent will not have all of nodes 2: widen that too" in (
        result.stderr
    )


def test_evict(nested):
    nested.job("/free", "2", 0, 0, 10)
    out = Command(nested).json("plan", "--evict", "0")
    assert {t["cgroup"]: t["to"] for t in out["targets"]} == {
        "/top": "1",
        "/top/a": "1",
    }
    out = Command(nested).json("plan", "--evict", "0-1")
    to = {t["cgroup"]: t["to"] for t in out["targets"]}
    assert to == {"/top": "2-3", "/top/a": "3"}
    result = Command(nested)("plan", "--evict", "0-3")
    assert result.returncode == 2 and "no node would be left" in result.stderr


def told_notes(out):
    """But for those about what comes together on fewer nodes."""
    assert {note["severity"] for note in out["notes"]} <= {"note"}
    messages = [note["message"] for note in out["notes"]]
    return [text for text in messages if "comes to fewer nodes" not in text]


def test_evict_tells_what_stays(nested):
    """Strays, and those that may be anywhere; a parent's numbers contain others'."""
    nested.job("/far", "2-3", 7, 0, 90)
    nested.job("/far/in", "3", 2, 0, 0, 40)
    nested.cgroup("/free", charged={"anon": [5 * MIB, MIB, 0, 0]})
    nested.cgroup("/free/deep", charged={"anon": [4 * MIB, 0, 0, 0]})
    nested.cgroup("/else", charged={"anon": [0, MIB, 0, 0]})
    plan = Command(nested)
    out = plan.json("plan", "--evict", "0")
    assert {target["cgroup"] for target in out["targets"]} == {"/top", "/top/a"}
    first, *others = told_notes(out)
    assert first == "12.0M on node 0 belong to cgroups that the plan does not move"
    assert sorted(others) == [
        '/far/in: 2.0M of that are outside its nodes: "cgmigrate settle /far/in" '
        "brings them in",
        '/far: 5.0M of that are outside its nodes: "cgmigrate settle /far" '
        "brings them in",
        "/free: 5.0M of that; it has no nodes of its own",
    ]
    assert first in plan("plan", "--evict", "0").stderr
    live = Command(nested, write=True)
    assert told_notes(live.json("apply", "--evict", "0"))[0] == first
    assert told_notes(live.json("undo")) == []


def test_evict_where_nothing_is_to_be_planned(jobs):
    jobs.job("/far", "2-3", 7)
    result = Command(jobs)("plan", "--evict", "0-1")
    assert result.returncode == 0 and result.stdout == "nothing to do\n"
    assert "7.0M on nodes 0-1 belong to cgroups that the plan does" in result.stderr
    assert '"cgmigrate settle /far" brings them in' in result.stderr
    jobs.job("/far", "2-3", 0, 0, 7)
    assert told_notes(Command(jobs).json("plan", "--evict", "0-1")) == []


UNNAMED = "its name is not UTF-8, so that no plan can name it, and is left out"


def test_evict_leaves_out_what_no_plan_can_name(nested):
    """Nor what is above it, which it needs; all the others go."""
    odd = os.fsdecode(b"/top/\xff")
    nested.job("/web", "0", 30)
    nested.job(odd, "0", 10)
    live = Command(nested, write=True)
    planned = live.json("plan", "--evict", "0")
    assert [n["message"] for n in planned["notes"] if n["severity"] == "warning"] == [
        "/top: one below it cannot be moved, and is left out",
        f"/top/?: {UNNAMED}",
    ]
    left = [n["message"] for n in planned["notes"] if n["severity"] == "note"]
    assert "/top/?: 10.0M of that; it keeps its nodes" in left
    out = live.json("apply", "--evict", "0", code=3)
    assert out["state"] == "partial" and out["changed"]
    assert {t["cgroup"] for t in out["targets"]} == {"/web", "/top/a"}
    assert nested.mems("/web") in ("2", "3") and nested.mems("/top/a") == "1"
    assert nested.mems("/top") == "0-1" and nested.mems(odd) == "0"
    result = live("apply", "--evict", "0")
    assert result.returncode == 3 and result.stdout == "nothing to do\n"
    assert f"warning: /top/?: {UNNAMED}" in result.stderr


def test_balance_leaves_out_what_no_plan_can_name(jobs):
    odd = os.fsdecode(b"/\xff")
    jobs.job("/web", "0", 80)
    jobs.job("/db", "0", 70)
    jobs.job(odd, "0", 60)
    out = Command(jobs, write=True).json("apply", "--balance", code=3)
    assert [t["cgroup"] for t in out["targets"]] == ["/db"]
    assert jobs.mems(odd) == "0" and jobs.mems("/db") != "0"


def test_evict_leaves_out_what_is_gone(pair):
    """It goes when the command has seen it, and looks at what is not to be moved."""
    pair.job("/gone", "0", 10)
    pair.cgroup("/free", charged={"anon": [MIB, 0, 0, 0]})
    seen = f"{pair.path}/sys/fs/cgroup/free/memory.numa_stat"
    stat = pair.read("sys/fs/cgroup/free/memory.numa_stat")
    os.unlink(seen)
    os.mkfifo(seen)
    args = ["apply", "-J", "--evict", "0", "--sysroot", pair.path, "--write-sysroot"]
    with subprocess.Popen(
        [COMMAND, *args], stdout=subprocess.PIPE, text=True
    ) as command:
        with open(seen, "w", encoding="utf-8") as fifo:
            shutil.rmtree(f"{pair.path}/sys/fs/cgroup/gone")
            fifo.write(stat)
        out = json.loads(command.communicate(timeout=60)[0])
    assert command.returncode == 0 and [t["cgroup"] for t in out["targets"]] == ["/a"]
    assert "/gone: was removed, and is left out" in told_notes(out)
    assert pair.mems("/a") != "0"


def test_balance(jobs):
    for n in range(4):
        jobs.job(f"/j{n}", "0", 100)
    out = Command(jobs).json("plan", "--balance")
    assert sorted(t["to"] for t in out["targets"]) == ["1", "2", "3"]
    for n, target in enumerate(sorted(t["cgroup"] for t in out["targets"])):
        jobs.job(target, str(n + 1), *([0] * (n + 1)), 100)
    assert Command(jobs).json("plan", "--balance")["state"] == "unchanged"


CGCONFIG = """# comment
mount { cpuset = /sys/fs/cgroup; }
group a {
    perm { task { uid = root; } }
    cpu { cpu.shares = "100"; }
    cpuset {
        cpuset.cpus = 0-3;   # left alone
        cpuset.mems = "2";
    }
}
group "b" { cpuset { cpuset.mems = 3; } }
"""


def test_cgconfig(pair):
    result = subprocess.run(
        [COMMAND, "plan", "--sysroot", pair.path, "-", "-J"],
        input=CGCONFIG,
        capture_output=True,
        text=True,
        check=True,
    )
    targets = json.loads(result.stdout)["targets"]
    assert [(t["cgroup"], t["to"]) for t in targets] == [("/a", "2"), ("/b", "3")]


@pytest.mark.parametrize(
    "text, words",
    [
        (
            '{"targets": [{"cgroup": "/a"}]}',
            'each of "targets" needs "cgroup" and "to"',
        ),
        ('{"targets": [{"cgroup": "/a", "to": "x"}]}', '/a: "to": "x" is not a list'),
        ('{"targets": 7}', 'has no list "targets"'),
        ('{"targets": [', "spec:1: "),
        ("group a {\n cpuset {\n cpuset.mems 2;", 'spec:3: 2 where "=" is wanted'),
        ("group a { cpuset { cpuset.mems = 2 } }", 'spec:1: } where ";" is wanted'),
        (
            "group a { cpuset { cpuset.mems = two; } }",
            'cpuset.mems = "two": not a list',
        ),
        ("group a {\n perm {", 'spec:2: the end where "}" is wanted'),
        ("\nfrob { }", 'spec:2: frob where "group"'),
        ("group {", "where the name of a group is wanted"),
        ("group a { }", "no group in it has a cpuset.mems"),
        ("", "no group in it has a cpuset.mems"),
        ("group a { cpuset {", 'the end where a setting or "}" is wanted'),
        ('"" group a { cpuset { cpuset.mems = 1; } }', 'spec:1: "" where "group"'),
        ('group "" { cpuset { cpuset.mems = 1; } }', "where the name of a group"),
        ('group a "{" cpuset { cpuset.mems = 1; } }', 'spec:1: { where "{" is'),
        (f"group {'a' * 5000} {{ }}", "spec:1: a word of more than 4095 bytes"),
        ("group a { cpuset { cpuset.mems = 1; } }\0 x", "has a NUL in it"),
        ('{"targets": []}\0', "has a NUL in it"),
    ],
)
def test_bad_files_are_told_where(pair, text, words):
    pair.write("spec", text)
    result = Command(pair)("plan", f"{pair.path}/spec")
    assert result.returncode == 2 and words in result.stderr
    assert Command(pair).json("plan", f"{pair.path}/spec", code=2)["state"] == "usage"


@pytest.mark.parametrize(
    "target, words, code",
    [
        ({"cgroup": "/", "to": "1"}, "the root cgroup", 4),
        ({"cgroup": "/a", "to": "9"}, "nodes with memory are 0-3", 4),
        ({"cgroup": "/nope", "to": "1"}, "/nope: no such cgroup", 1),
        ({"cgroup": "/a", "to": "1", "from": "2"}, 'has nodes "0" now, the plan', 4),
    ],
)
def test_impossible_targets(pair, target, words, code):
    pair.write("spec", json.dumps({"targets": [target]}))
    result = Command(pair)("plan", f"{pair.path}/spec")
    assert result.returncode == code and words in result.stderr


def test_values_of_others_can_be_empty_or_braces(pair):
    text = 'group a { memory { x = ""; y = "}"; } cpuset { cpuset.mems = 2; } }'
    pair.write("spec", text)
    assert steps(Command(pair).json("plan", f"{pair.path}/spec")) == [
        (1, "move", "/a", "2")
    ]


def test_long_lists_are_read_whole(pair):
    """A list of 1,330 bytes whose end is what is wrong about it."""
    nodes = ",".join(["0"] * 664 + ["9"])
    pair.write("spec", f"group a {{ cpuset {{ cpuset.mems = {nodes}; }} }}")
    result = Command(pair)("plan", f"{pair.path}/spec")
    assert result.returncode == 4 and "nodes with memory are 0-3" in result.stderr


def test_named_twice(pair):
    pair.write("spec", json.dumps({"targets": [{"cgroup": "/a", "to": "1"}] * 2}))
    assert "/a: named twice" in Command(pair)("plan", f"{pair.path}/spec").stderr


# ---- carrying out ----


def test_undo_needs_to_know_the_nodes_of_before(pair, live_pair):
    """Not to be taken for none, which would give it those of its parent."""
    target = {"cgroup": "/a", "to": "0"}
    journal = {"version": 1, "state": "applying", "targets": [target]}
    pair.write(JOURNAL, json.dumps(journal))
    out = live_pair.json("undo", code=4)
    assert "does not say which nodes /a had" in out["error"]["message"]
    assert pair.mems("/a") == "0"


def test_apply_and_undo(pair, live_pair):
    out = live_pair.json("apply", "--swap", "/a", "/b")
    assert out["state"] == "done" and out["changed"] is True and out["job"] == "j1"
    assert out["result"]["totals"]["moved"] == 0
    assert pair.all_mems() == {"/a": "1", "/b": "0"}
    assert json.loads(pair.read(JOURNAL))["state"] == "applied"

    out = live_pair.json("undo", "--dry-run")
    assert out["state"] == "planned" and pair.mems("/a") == "1"
    out = live_pair.json("undo")
    assert out["state"] == "done" and pair.all_mems() == {"/a": "0", "/b": "1"}
    assert "no apply to undo" in live_pair("undo").stdout
    assert live_pair.json("undo")["changed"] is False
    jobs = live_pair.json("report")["jobs"]
    assert [j["command"] for j in jobs] == ["apply", "undo"]
    assert "steps" in jobs[0] and jobs[0]["state"] == "done"


def test_a_written_plan(pair, live_pair, tmp_path):
    file = tmp_path / "plan.json"
    result = live_pair("plan", "--swap", "/a", "/b", "-o", file)
    assert result.returncode == 0 and "ROUND" in result.stdout
    assert pair.all_mems() == {"/a": "0", "/b": "1"}
    assert live_pair("apply", file, "--dry-run").returncode == 0
    assert not os.path.exists(os.path.join(pair.path, JOURNAL))
    result = live_pair("apply", file)
    assert result.returncode == 0
    assert "1: move /a 0 -> 1\n2: move /b 1 -> 0\n" in result.stdout
    result = live_pair("apply", file)
    assert result.returncode == 4 and "make it again" in result.stderr


def test_nested_and_back(nested):
    live = Command(nested, write=True)
    nested.write(
        "spec",
        '{"targets": [{"cgroup": "/top", "to": "2-3"}, {"cgroup": "/top/a", "to": "2"},'
        ' {"cgroup": "/top/b", "to": "3"}]}',
    )
    before = nested.all_mems()
    assert live("apply", f"{nested.path}/spec").returncode == 0
    assert nested.all_mems() == {"/top": "2-3", "/top/a": "2", "/top/b": "3"}
    assert live("undo").returncode == 0
    assert nested.all_mems() == before


def test_nothing_to_apply(pair, live_pair):
    pair.write("spec", '{"targets": [{"cgroup": "/a", "to": "0"}]}')
    out = live_pair.json("apply", f"{pair.path}/spec")
    assert out["state"] == "unchanged" and out["changed"] is False
    assert not os.path.exists(os.path.join(pair.path, JOURNAL))


def test_somebody_has_changed_it_since(pair, live_pair):
    live_pair("apply", "--swap", "/a", "/b")
    pair.write("sys/fs/cgroup/a/cpuset.mems", "3\n")
    result = live_pair("undo")
    assert result.returncode == 4
    assert '/a: has nodes "3" now, apply left it with "1"' in result.stderr
    assert pair.all_mems() == {"/a": "3", "/b": "0"}
    assert live_pair("undo", "--force").returncode == 0
    assert pair.all_mems() == {"/a": "0", "/b": "1"}


def test_only_one_at_a_time(pair, live_pair):
    live_pair("apply", "--swap", "/a", "/b")
    with open(f"{pair.path}/var/lib/cgmigrate/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for verb in ("apply", "undo"):
            arguments = ["--swap", "/a", "/b"] if verb == "apply" else []
            result = live_pair(verb, *arguments)
            assert result.returncode == 4
            assert "another apply or undo is running" in result.stderr


def test_recorded_tree_is_not_written_to(pair):
    for args in (["apply", "--swap", "/a", "/b"], ["undo"], ["apply", "--continue"]):
        result = Command(pair)(*args)
        assert result.returncode == 4 and "recorded tree" in result.stderr
    assert Command(pair)("apply", "--swap", "/a", "/b", "--dry-run").returncode == 0


def test_a_write_that_fails_is_told(pair, live_pair):
    os.unlink(f"{pair.path}/sys/fs/cgroup/b/cpuset.mems.events")
    out = live_pair.json("apply", "--swap", "/a", "/b", code=1)
    assert out["state"] == "failed" and out["changed"] is True
    assert "cpuset.mems.events" in out["error"]["message"]
    pair.engine("/b")
    result = live_pair("apply", "--swap", "/a", "/b")
    assert result.returncode == 4 and '"cgmigrate apply --continue"' in result.stderr
    assert live_pair("apply", "--continue").returncode == 0
    assert pair.all_mems() == {"/a": "1", "/b": "0"}


def failing(tree, call, number):
    """Runs the command with its number-th such call failing."""
    how = ["-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={number}"]
    return Command(tree, ["strace", "-qq", "-o", "/dev/null", *how], True)


@pytest.mark.parametrize("verb", ["apply", "undo"])
def test_the_last_word_cannot_be_written(pair, live_pair, verb):
    """One object tells of it all; the file and its folder were synced once before."""
    swap = ["apply", "--swap", "/a", "/b"]
    words = swap if verb == "apply" else ["undo"]
    assert verb == "apply" or live_pair(*swap).returncode == 0
    out = failing(pair, "fsync", 3).json(*words, code=1)
    assert out["state"] == "failed" and out["changed"] is True
    assert out["error"]["message"] == "cannot write the journal: Input/output error"
    begun = "applying" if verb == "apply" else "undoing"
    assert json.loads(pair.read(JOURNAL))["state"] == begun
    assert live_pair.json("report", out["job"])["jobs"][0]["state"] == "failed"
    words = ["apply", "--continue"] if verb == "apply" else ["undo"]
    assert live_pair(*words).returncode == 0
    assert json.loads(pair.read(JOURNAL))["state"] in ("applied", "undone")


SETTLE = "sys/fs/cgroup/{}/cpuset.mems.migrate.settle"


@pytest.fixture
def stopped(pair, live_pair):
    """The nodes of an apply are in force, and memory of /a was left behind."""
    assert live_pair("apply", "--swap", "/a", "/b").returncode == 0
    journal = {**json.loads(pair.read(JOURNAL)), "state": "applying"}
    pair.write(JOURNAL, json.dumps(journal))
    pair.job("/a", "1", 40, 60)
    pair.job("/b", "0", 90)
    return pair


@pytest.fixture
def moving(stopped):
    """The kernel still moves /a."""
    stopped.job("/a", "1", 0, 100)
    stopped.engine("/a", pending=1)
    return stopped


@pytest.mark.parametrize("words", [["apply", "--continue"], ["undo"]], ids=" ".join)
def test_what_the_kernel_goes_on_with_is_waited_for(moving, words):
    process = subprocess.Popen(
        [COMMAND, *words, "--sysroot", moving.path, "--write-sysroot"],
        stderr=subprocess.PIPE,
        text=True,
    )
    told = process.stderr.readline()
    assert told.endswith("/a: waiting for the end of a move that was begun\n")
    assert process.poll() is None
    moves_end(moving, cgroup="/a")
    assert process.communicate(timeout=PATIENCE) and process.returncode == 0


def test_a_dry_run_does_not_wait(moving, live_pair):
    assert live_pair.json("undo", "--dry-run")["state"] == "planned"
    out = live_pair.json("apply", "--continue", "--dry-run")
    assert out["state"] == "unchanged"


@pytest.mark.parametrize("words", [["apply", "--continue"], ["undo"]], ids=" ".join)
@pytest.mark.parametrize(
    "more, way",
    [
        ({"hold": 1}, "cgmigrate resume /a"),
        ({"rate": "0"}, "cgmigrate limit /a --rate max"),
    ],
)
def test_what_is_held_is_not(moving, live_pair, words, more, way):
    moving.engine("/a", pending=1, held=1, **more)
    before = moving.all_mems()
    out = live_pair.json(*words, code=4)
    message = f'/a: a move that was begun is held: "{way}" lets it go on'
    assert out["error"]["message"] == message
    assert moving.all_mems() == before
    assert json.loads(moving.read(JOURNAL))["state"] == "applying"


def test_nor_what_is_held_from_above(nested):
    live = Command(nested, write=True)
    nested.write("spec", '{"targets": [{"cgroup": "/top/a", "to": "1"}]}')
    assert live("apply", f"{nested.path}/spec").returncode == 0
    nested.engine("/top", pending=1, held=1, hold=1)
    nested.engine("/top/a", pending=1, held=1)
    out = live.json("undo", code=4)
    assert '/top/a: a move that was begun is held: "cgmigrate resume /top"' in (
        out["error"]["message"]
    )


# ---- killed ----

CHANGES = ["write", "renameat", "unlinkat", "fsync"]


def killed_at(tree, call, number, *args):
    """Run the command and kill it at its number-th such call."""
    inject = f"inject={call}:signal=KILL:when={number}"
    result = subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
        + [COMMAND, *args, "--sysroot", tree.path, "--write-sysroot"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode in (-9, 137)


def points(kill, calls=CHANGES):
    """Every call that changes something: kill(call, number) until it is not reached.

    Numbers count the calls of one kind. Returns how many there are.
    """
    total = 0
    for call in calls:
        number = 1
        while kill(call, number):
            number += 1
            assert number < 100, "it never ended"
        total += number - 1
    return total


def remove(tree, path):
    """A cgroup goes away, which another one has its nodes in force of no more."""
    shutil.rmtree(f"{tree.path}/sys/fs/cgroup{path}")
    tree.names.remove(path)


def test_undo_leaves_out_what_was_removed(pair, live_pair):
    assert live_pair("apply", "--swap", "/a", "/b").returncode == 0
    remove(pair, "/a")
    result = live_pair("undo")
    assert result.returncode == 0
    assert "cgmigrate: undo: /a: was removed since, and is left out" in result.stderr
    assert pair.all_mems() == {"/b": "1"}
    assert json.loads(pair.read(JOURNAL))["state"] == "undone"


@pytest.mark.parametrize("killed", [False, True])
def test_another_cgroup_of_the_same_name_is_left_alone(pair, live_pair, killed):
    """What the journal says is of one that was removed."""
    assert live_pair("apply", "--swap", "/a", "/b").returncode == 0
    if killed:
        journal = json.loads(pair.read(JOURNAL))
        pair.write(JOURNAL, json.dumps({**journal, "state": "applying"}))
    # While the first is there no other has its inode.
    os.rename(f"{pair.path}/sys/fs/cgroup/a", f"{pair.path}/was")
    pair.job("/a", "1", 0, 50)
    result = live_pair(*(["apply", "--continue"] if killed else ["undo"]))
    assert result.returncode == 0
    words = "/a: was removed since, and is left out: another one has its name"
    assert words in result.stderr
    if killed:  # it is not in the journal any more
        assert live_pair("undo").returncode == 0
    assert pair.mems("/a") == "1" and pair.mems("/b") == "1"


def test_undo_after_the_machine_was_started_again(pair, live_pair):
    """All cgroups are others then, and those of systemd have the nodes they had."""
    boot = "proc/sys/kernel/random/boot_id"
    pair.write(boot, "one\n")
    assert live_pair("apply", "--swap", "/a", "/b").returncode == 0
    pair.write(boot, "another\n")
    os.rename(f"{pair.path}/sys/fs/cgroup/a", f"{pair.path}/was")
    pair.job("/a", "1", 0, 50)
    result = live_pair("undo")
    assert result.returncode == 0, result
    assert pair.all_mems() == {"/a": "0", "/b": "1"}


def test_undo_without_a_node_that_is_gone(jobs):
    """What is left of the nodes it had, if it is told to."""
    jobs.job("/a", "0-1", 10, 10)
    live = Command(jobs, write=True)
    assert live("apply", "--evict", "1").returncode == 0
    assert jobs.mems("/a") != "0-1"
    jobs.write("sys/devices/system/node/has_memory", "0,2-3\n")
    result = live("undo")
    assert result.returncode == 4 and "have memory here" in result.stderr
    result = live("undo", "--force")
    assert result.returncode == 0, result
    assert "/a: had nodes 0-1, of which not all have memory any more" in result.stderr
    assert jobs.mems("/a") == "0"


def test_nothing_is_left_of_an_interrupted_apply(pair, live_pair):
    """It keeps nobody from the next one."""
    assert live_pair("apply", "--swap", "/a", "/b").returncode == 0
    journal = {**json.loads(pair.read(JOURNAL)), "state": "applying"}
    pair.write(JOURNAL, json.dumps(journal))
    for path in ("/a", "/b"):
        remove(pair, path)
    pair.job("/c", "2", 0, 0, 10)
    spec = json.dumps({"targets": [{"cgroup": "/c", "to": "3"}]})
    pair.write("spec", spec)
    assert live_pair("apply", f"{pair.path}/spec").returncode == 4
    assert live_pair("apply", "--continue").returncode == 0
    assert live_pair("apply", f"{pair.path}/spec").returncode == 0
    assert pair.all_mems() == {"/c": "3"}


def test_what_a_stopped_apply_has_left_is_brought_in(stopped, live_pair):
    rest = [{"cgroup": "/a", "bytes": 40 * MIB}]
    out = live_pair.json("apply", "--continue", "--dry-run")
    assert out["state"] == "planned" and out["steps"] == [] and out["rest"] == rest
    assert stopped.read(SETTLE.format("a")) == ""

    out = live_pair.json("apply", "--continue")
    assert out["changed"] is True and out["rest"] == rest
    assert out["result"]["totals"]["moved"] == 0 and out["job"] == "j2"
    assert stopped.read(SETTLE.format("a")) == "1"
    assert stopped.read(SETTLE.format("b")) == ""
    assert json.loads(stopped.read(JOURNAL))["state"] == "applied"


def test_and_what_a_stopped_undo_has_left(stopped, live_pair):
    """Going back from what was stopped takes the memory along, if its nodes change."""
    out = live_pair.json("undo", "--dry-run")
    assert {s["cgroup"] for s in out["steps"]} == {"/a", "/b"} and "rest" not in out
    assert live_pair("undo").returncode == 0
    journal = {**json.loads(stopped.read(JOURNAL)), "state": "undoing"}
    stopped.write(JOURNAL, json.dumps(journal))
    stopped.job("/a", "0", 60, 40)
    stopped.job("/b", "1", 0, 90)
    result = live_pair("undo", "--dry-run")
    assert result.stdout == "/a: 40.0M outside its nodes are brought in\n"
    assert live_pair("undo").returncode in (0, 3)
    assert stopped.read(SETTLE.format("a")) == "1"
    assert json.loads(stopped.read(JOURNAL))["state"] == "undone"


def test_no_cgroup_is_brought_in_twice(nested):
    """It is with the one above it."""
    live = Command(nested, write=True)
    targets = [{"cgroup": "/top", "to": "1-2"}, {"cgroup": "/top/a", "to": "2"}]
    nested.write("spec", json.dumps({"targets": targets}))
    assert live("apply", f"{nested.path}/spec").returncode == 0
    journal = {**json.loads(nested.read(JOURNAL)), "state": "applying"}
    nested.write(JOURNAL, json.dumps(journal))
    out = live.json("apply", "--continue", "--dry-run")
    assert [rest["cgroup"] for rest in out["rest"]] == ["/top"]


@pytest.mark.parametrize("way", ["continue", "undo"])
@pytest.mark.parametrize(
    "engine",
    [True, pytest.param(False, marks=pytest.mark.long)],
    ids=["engine", "stock"],
)
def test_killed_at_any_call(tmp_path, engine, way):
    """The end is reached, or the beginning; on the way every mask is one of both.

    On a stock kernel each is both for a while, too.
    """
    before = {"/top": "0-1", "/top/a": "0", "/top/b": "1"}
    after = {"/top": "2-3", "/top/a": "2", "/top/b": "3"}
    both = {"/top": "0-3", "/top/a": "0,2", "/top/b": "1,3"}
    targets = [{"cgroup": path, "to": to} for path, to in after.items()]
    states, masks = [], set()

    def kill(*point):
        tree = Jobs(tmp_path / "-".join(map(str, point)), engine=engine)
        for path, mems in before.items():
            tree.job(path, mems, 10, 10)
        tree.write("spec", json.dumps({"targets": targets}))
        killed = killed_at(tree, *point, "apply", f"{tree.path}/spec")
        for path, mems in tree.all_mems().items():
            # A file of a tree is empty between being opened and written.
            allowed = [before[path], after[path], "0-3" if engine else both[path], ""]
            assert mems in allowed, (point, path)
        masks.add(tuple(tree.all_mems().values()))
        begun = os.path.exists(os.path.join(tree.path, JOURNAL))
        states.append(json.loads(tree.read(JOURNAL))["state"] if begun else None)
        if states[-1] != "applying":
            assert tree.all_mems() in (before, after)
        arguments = ["apply", "--continue"] if way == "continue" else ["undo"]
        result = Command(tree, write=True)(*arguments)
        assert result.returncode == 0, (point, result)
        end = before if way == "undo" or not begun else after
        assert tree.all_mems() == end, point
        shutil.rmtree(tree.path)
        return killed

    # While a process moves pages it waits, and writes nothing.
    assert points(kill, CHANGES if engine else [*CHANGES, "ppoll"]) > 20
    assert states.count("applying") > 10 and {None, "applied"} < set(states)
    assert len(masks) > 5
    assert any(both["/top/a"] in seen for seen in masks) is not engine


@pytest.mark.long
def test_undo_that_is_killed(pair, live_pair):
    states = []

    def kill(*point):
        if pair.mems("/a") == "0":
            live_pair("apply", "--swap", "/a", "/b")
        killed = killed_at(pair, *point, "undo")
        states.append(json.loads(pair.read(JOURNAL))["state"])
        if states[-1] == "undoing":
            result = live_pair("apply", "--swap", "/a", "/b")
            assert (
                result.returncode == 4 and '"cgmigrate undo" goes on' in result.stderr
            )
        assert live_pair("undo").returncode == 0
        assert pair.all_mems() == {"/a": "0", "/b": "1"}, point
        return killed

    assert points(kill) > 10
    assert states.count("undoing") > 5 and {"applied", "undone"} < set(states)


def test_memory_is_handled_right(pair, valgrind):
    check = Command(pair, valgrind, write=True)
    pair.write("spec", CGCONFIG)
    pair.write("bad", "group a { cpuset { cpuset.mems = x; } }")
    for args, code in (
        (["plan", f"{pair.path}/spec"], 0),
        (["plan", f"{pair.path}/bad"], 2),
        (["plan", "--swap", "/a", "/nope"], 1),
        (["plan", "--evict", "0"], 0),
        (["plan", "--balance", "-J"], 0),
        (["apply", "--swap", "/a", "/b"], 0),
        (["undo", "-J"], 0),
        (["apply", "--continue"], 0),
    ):
        result = check(*args)
        assert result.returncode == code, (args, result.stderr)


def test_units_are_changed_through_systemd(pair):
    pair.write("run/systemd/system/x", "")
    pair.job("/a.service", "0", 10)
    out = Command(pair).json("plan", "--swap", "/a.service", "/b")
    assert out["notes"][0]["severity"] == "note"
    assert "belongs to systemd (a.service)" in out["notes"][0]["message"]


def test_the_record_of_an_apply_shows_its_steps(live_pair):
    live_pair("apply", "--swap", "/a", "/b")
    text = live_pair("report", "j1").stdout
    assert "ROUND" in text and re.search(r"2 move +/b +1 +0 +90.0M", text)
    assert text.endswith(", job j1\n")
