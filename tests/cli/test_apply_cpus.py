# SPDX-License-Identifier: GPL-2.0
"""cgmigrate plan, apply and undo: CPUs that go along, and whose memory stayed."""

import json
import os
import shutil
import subprocess

import pytest

from conftest import COMMAND, Command
from moving import PATIENCE, moves_end, wait_until
from test_apply import JOURNAL, Jobs, killed_at, points
from test_cpus import cpuset, threads
from tree import KIB, MIB


class CpuJobs(Jobs):
    """Two CPUs a node; cpusets with the CPUs of their nodes."""

    def __init__(self, path, **more):
        super().__init__(path, **more)
        for node in range(4):
            name = f"sys/devices/system/node/node{node}/cpulist"
            self.write(name, f"{2 * node}-{2 * node + 1}\n")
        self.write("sys/fs/cgroup/cpuset.cpus.effective", "0-7\n")

    def cpu_job(self, path, mems, cpus, *pins):
        """With a process of some threads, of which each may run somewhere."""
        self.job(path, mems, 10, 10)
        cpuset(self, path, cpus)
        effective = f"{self.path}/sys/fs/cgroup{path}/cpuset.cpus.effective"
        os.unlink(effective)
        os.link(f"{self.path}/sys/fs/cgroup{path}/cpuset.cpus", effective)
        self.pins(path, *pins)

    def pins(self, path, *pins):
        threads(self, path, 100 * (1 + self.names.index(path)), pins)

    def cpus(self, path):
        return self.read(f"sys/fs/cgroup{path}/cpuset.cpus").strip()

    def all_cpus(self):
        return {path: self.cpus(path) for path in self.names}

    def spec(self, targets):
        """A file that wants {cgroup: nodes}."""
        wanted = [{"cgroup": path, "to": nodes} for path, nodes in targets.items()]
        self.write("spec", json.dumps({"targets": wanted}))
        return f"{self.path}/spec"


@pytest.fixture
def pair(tmp_path):
    """/a on node 0 and /b on node 1, with pinned threads."""
    tree = CpuJobs(tmp_path / "tree")
    tree.cpu_job("/a", "0", "0-1", "0-1", "0", "1")
    tree.cpu_job("/b", "1", "2-3", "3", "2-3")
    return tree


@pytest.fixture
def live(pair):
    return Command(pair, write=True)


SWAP = ["--swap", "/a", "/b"]
FOLLOW = [*SWAP, "--cpus", "follow"]
PLANNED = {
    "/a": {
        "before": "0-1",
        "after": "2-3",
        "pinned": [
            {"pid": 100, "tid": 101, "before": "0", "after": "2"},
            {"pid": 100, "tid": 102, "before": "1", "after": "3"},
        ],
    },
    "/b": {
        "before": "2-3",
        "after": "0-1",
        "pinned": [{"pid": 200, "tid": 200, "before": "3", "after": "1"}],
    },
}


def told_cpus(out):
    return {t["cgroup"]: t["cpus"] for t in out["targets"] if "cpus" in t}


# ---- planning ----


def test_planned(pair):
    run = Command(pair)
    out = run.json("plan", *FOLLOW)
    assert out["state"] == "planned" and out["notes"] == []
    assert told_cpus(out) == PLANNED
    text = run("plan", *FOLLOW).stdout
    assert "\n/a:  CPUs 0-1 -> 2-3, 2 pinned threads with them\n" in text
    assert text.endswith("/b:  CPUs 2-3 -> 0-1, 1 pinned thread with them\n")
    assert pair.all_cpus() == {"/a": "0-1", "/b": "2-3"}


@pytest.mark.parametrize("how", [[], ["--cpus", "keep"]], ids=["unsaid", "keep"])
def test_keep_warns_when_memory_and_cpus_part(pair, how):
    out = Command(pair).json("plan", *SWAP, *how)
    assert told_cpus(out) == {}
    words = (
        "/a: memory and CPUs part: none of its CPUs (0-1) is on node 1; "
        "--cpus follow takes them along"
    )
    assert {"severity": "warning", "message": words} in out["notes"]
    result = Command(pair)("plan", *SWAP, *how)
    assert words in result.stderr and "CPUs" not in result.stdout


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_usage(pair, verb):
    run = Command(pair)
    result = run(verb, *SWAP, "--cpus", "2-3")
    assert result.returncode == 2
    assert "--cpus 2-3: can be follow or keep here" in result.stderr
    assert 'cpus "all": can be' in run(verb, *SWAP, "--cpus", "all").stderr


def test_only_what_makes_plans_takes_it(pair):
    result = Command(pair)("apply", "--continue", "--cpus", "follow")
    assert result.returncode == 2 and "takes nothing else" in result.stderr
    result = Command(pair)("undo", "--cpus", "follow")
    assert result.returncode == 2 and "no such option" in result.stderr


REFUSED = [
    ({"a/x/cpuset.cpus": "1"}, "/a/x: has CPUs of its own (1) that are not among"),
    ({"a/cpuset.cpus.partition": "root"}, "/a: is the root of a partition"),
    ({"cpuset.cpus.effective": "0-2"}, "/a: cannot have CPUs 2-3: / above it has 0-2"),
]


@pytest.mark.parametrize("files, words", REFUSED, ids=lambda v: str(v)[:12])
def test_refused_before_anything_changes(pair, live, files, words):
    for name, text in files.items():
        pair.write(f"sys/fs/cgroup/{name}", text + "\n")
    for verb in ("plan", "apply"):
        out = live.json(verb, *FOLLOW, code=4)
        assert words in out["error"]["message"]
    assert pair.all_mems() == {"/a": "0", "/b": "1"}
    assert pair.all_cpus() == {"/a": "0-1", "/b": "2-3"}
    assert not os.path.exists(os.path.join(pair.path, JOURNAL))


def test_nodes_without_cpus(pair):
    pair.write("sys/devices/system/node/node1/cpulist", "\n")
    result = Command(pair)("plan", *FOLLOW)
    assert result.returncode == 4
    assert "--cpus follow: node 1 has no CPUs" in result.stderr


# ---- carrying out ----


def test_there_and_back(pair, live):
    out = live.json("apply", *FOLLOW)
    assert out["state"] == "done" and out["result"]["notes"] == []
    assert told_cpus(out) == PLANNED
    assert pair.all_mems() == {"/a": "1", "/b": "0"}
    assert pair.all_cpus() == {"/a": "2-3", "/b": "0-1"}
    journal = json.loads(pair.read(JOURNAL))
    assert journal["targets"][1]["cpu_move"] == {
        "configured": "2-3",
        "from": "2-3",
        "to": "0-1",
        "threads": [{"pid": 200, "tid": 200, "start": 0, "before": "3", "after": "1"}],
    }
    pair.pins("/a", "2-3", "2", "3")
    pair.pins("/b", "1", "0-1")
    out = live.json("undo")
    assert out["state"] == "done" and out["changed"] is True
    assert told_cpus(out)["/b"] == {
        "before": "0-1",
        "after": "2-3",
        "pinned": [{"pid": 200, "tid": 200, "before": "1", "after": "3"}],
    }
    assert pair.all_mems() == {"/a": "0", "/b": "1"}
    assert pair.all_cpus() == {"/a": "0-1", "/b": "2-3"}
    assert live.json("undo")["state"] == "unchanged"
    (job, _) = live.json("report")["jobs"]
    assert told_cpus(job) == PLANNED


def test_kept(pair, live):
    assert live("apply", *SWAP).returncode == 0
    assert pair.all_cpus() == {"/a": "0-1", "/b": "2-3"}
    journal = json.loads(pair.read(JOURNAL))
    assert len(journal["targets"]) == 2
    assert not any("cpu_move" in target for target in journal["targets"])


def test_a_plan_says_it(pair, live, tmp_path):
    file = tmp_path / "plan.json"
    assert live("plan", *FOLLOW, "-o", file).returncode == 0
    out = live.json("apply", file, "--dry-run")
    assert told_cpus(out) == PLANNED
    assert told_cpus(live.json("apply", file, "--cpus", "keep", "--dry-run")) == {}
    assert live("apply", file).returncode == 0
    assert pair.all_cpus() == {"/a": "2-3", "/b": "0-1"}
    live("undo")
    pair.write("sys/fs/cgroup/a/cpuset.cpus", "0\n")
    result = live("apply", file)
    assert result.returncode == 4
    assert '/a: has CPUs "0" now, the plan was made when it had "0-1"' in result.stderr
    assert live("apply", file, "--cpus", "follow").returncode == 0


@pytest.mark.parametrize(
    "cpus, words",
    [
        ({}, '/a: "cpus" needs "after", a list of CPUs'),
        ("2-3", '/a: "cpus" needs "after", a list of CPUs'),
        ({"after": ""}, '/a: "cpus" needs "after", a list of CPUs'),
        ({"after": "2", "before": "x"}, '"before": "x" is not a list of CPUs'),
    ],
    ids=str,
)
def test_plans_that_say_it_badly(pair, cpus, words):
    target = {"cgroup": "/a", "to": "1", "cpus": cpus}
    pair.write("spec", json.dumps({"targets": [target]}))
    result = Command(pair)("plan", f"{pair.path}/spec")
    assert result.returncode == 2 and words in result.stderr


def test_cpus_alone(pair, live):
    """The memory is there already, and the CPUs are those of its parent."""
    file = pair.spec({"/a": "0"})
    assert live.json("apply", file, "--cpus", "follow")["state"] == "unchanged"
    os.unlink(f"{pair.path}/sys/fs/cgroup/a/cpuset.cpus.effective")
    cpuset(pair, "/a", "6-7")
    pair.write("sys/fs/cgroup/a/cpuset.cpus", "\n")
    out = live.json("apply", file, "--cpus", "follow")
    assert out["state"] == "done" and out["changed"] is True and out["steps"] == []
    assert pair.cpus("/a") == "0-1"
    out = live.json("undo")
    assert out["state"] == "done" and pair.cpus("/a") == ""
    text = live("apply", file, "--cpus", "follow").stdout
    assert text.startswith("/a:  CPUs 6-7 -> 0-1")


def test_somebody_has_changed_them_since(pair, live):
    live("apply", *FOLLOW)
    pair.write("sys/fs/cgroup/b/cpuset.cpus", "7\n")
    result = live("undo")
    assert result.returncode == 4
    assert '/b: has CPUs "7" now, apply left it with "0-1"; --force' in result.stderr
    assert pair.all_cpus() == {"/a": "2-3", "/b": "7"}
    assert pair.all_mems() == {"/a": "1", "/b": "0"}
    assert live("undo", "--force").returncode == 0
    assert pair.all_cpus() == {"/a": "0-1", "/b": "2-3"}


def test_what_became_one_is_told_apart(tmp_path):
    """Four CPUs on two, and back; a thread that pinned itself since, and a new one."""
    tree = CpuJobs(tmp_path / "tree")
    tree.cpu_job("/a", "0-1", "0-3", "0-3", "0", "2", "1,3", "0-1", "3")
    live = Command(tree, write=True)
    before = ["0", "2", "1,3", "0-1", "3"]
    out = live.json("apply", tree.spec({"/a": "2"}), "--cpus", "follow")
    pinned = out["targets"][0]["cpus"]["pinned"]
    assert [pin["before"] for pin in pinned] == before
    after = [pin["after"] for pin in pinned]
    assert after == ["4", "4", "5", "4-5", "5"]
    tree.pins("/a", "4-5", *after[:-1], "4", "5")
    pinned = live.json("undo")["targets"][0]["cpus"]["pinned"]
    assert [(p["tid"], p["after"]) for p in pinned] == [
        *zip(range(101, 105), before),
        (105, "0"),
        (106, "1"),
    ]


def test_a_thread_with_the_number_of_another(tmp_path):
    tree = CpuJobs(tmp_path / "tree")
    tree.cpu_job("/a", "0-1", "0-3", "2")
    fields = " ".join(["S"] + ["0"] * 18)
    tree.write("proc/100/stat", f"100 (a) b) {fields} 77 0\n")
    live = Command(tree, write=True)
    live("apply", tree.spec({"/a": "2"}), "--cpus", "follow")
    (thread,) = json.loads(tree.read(JOURNAL))["targets"][0]["cpu_move"]["threads"]
    assert thread["start"] == 77
    tree.pins("/a", "4")

    def goes_to():
        out = live.json("undo", "--dry-run")
        return [pin["after"] for pin in out["targets"][0]["cpus"]["pinned"]]

    assert goes_to() == ["2"]
    tree.write("proc/100/stat", f"100 (a) b) {fields} 78 0\n")
    assert goes_to() == ["0"]


def test_journals_of_before(pair, live):
    """They have no CPUs, and those stay."""
    journal = {
        "version": 1,
        "state": "applying",
        "targets": [
            {"cgroup": "/a", "from": "0", "to": "1"},
            {"cgroup": "/b", "from": "1", "to": "0"},
        ],
    }
    pair.write(JOURNAL, json.dumps(journal))
    assert live("apply", "--continue").returncode == 0
    assert pair.all_mems() == {"/a": "1", "/b": "0"}
    assert live("undo").returncode == 0
    assert pair.all_mems() == {"/a": "0", "/b": "1"}
    assert pair.all_cpus() == {"/a": "0-1", "/b": "2-3"}


def test_a_journal_that_cannot_be_understood(pair, live):
    live("apply", *FOLLOW)
    journal = json.loads(pair.read(JOURNAL))
    journal["targets"][0]["cpu_move"]["from"] = "x"
    pair.write(JOURNAL, json.dumps(journal))
    result = live("undo")
    assert result.returncode == 1
    assert "the journal: CPUs of /a that are no lists" in result.stderr
    assert pair.all_mems() == {"/a": "1", "/b": "0"}


# ---- trees, and being killed ----

BEFORE = {"/top": ("0-1", "0-3"), "/top/a": ("0", "0-1"), "/top/b": ("1", "2-3")}
AFTER = {"/top": ("2-3", "4-7"), "/top/a": ("2", "4-5"), "/top/b": ("3", "6-7")}


def nest(path):
    tree = CpuJobs(path)
    for cgroup, (mems, cpus) in BEFORE.items():
        tree.cpu_job(cgroup, mems, cpus, "0-3" if cgroup == "/top" else cpus[0])
    return tree


def state(tree):
    return {path: (tree.mems(path), tree.cpus(path)) for path in tree.names}


def nested_spec(tree):
    return tree.spec({path: mems for path, (mems, _) in AFTER.items()})


def test_a_tree(tmp_path):
    """A thread is pinned anew by the cgroup that it is in."""
    tree = nest(tmp_path / "tree")
    live = Command(tree, write=True)
    out = live.json("apply", nested_spec(tree), "--cpus", "follow")
    assert {path: len(c["pinned"]) for path, c in told_cpus(out).items()} == {
        "/top": 0,
        "/top/a": 1,
        "/top/b": 1,
    }
    assert state(tree) == AFTER
    assert live("undo").returncode == 0
    assert state(tree) == BEFORE


def numbers(text):
    """Of a list; a file of a tree is empty between being opened and written."""
    ends = [part.split("-") for part in text.split(",") if part]
    return {n for end in ends for n in range(int(end[0]), int(end[-1]) + 1)}


def assert_valid(tree, point):
    """CPUs are the old, the new, or both; nobody has what the one above has not."""
    for path, now in tree.all_cpus().items():
        old, new = numbers(BEFORE[path][1]), numbers(AFTER[path][1])
        assert numbers(now) in (old, new, old | new, set()), (point, path)
        above = numbers(tree.cpus("/top"))
        assert not above or numbers(now) <= above, (point, path)


@pytest.mark.long
@pytest.mark.parametrize("way", ["continue", "undo"])
def test_killed_at_any_call(tmp_path, way):
    seen, states = set(), set()

    def kill(*point):
        tree = nest(tmp_path / "-".join(map(str, point)))
        arguments = ["apply", nested_spec(tree), "--cpus", "follow"]
        killed = killed_at(tree, *point, *arguments)
        assert_valid(tree, point)
        seen.add(tuple(tree.all_cpus().values()))
        begun = os.path.exists(os.path.join(tree.path, JOURNAL))
        states.add(json.loads(tree.read(JOURNAL))["state"] if begun else None)
        arguments = ["apply", "--continue"] if way == "continue" else ["undo"]
        result = Command(tree, write=True)(*arguments)
        assert result.returncode == 0, (point, result)
        end = BEFORE if way == "undo" or not begun else AFTER
        assert state(tree) == end, point
        shutil.rmtree(tree.path)
        return killed

    assert points(kill) > 30
    assert states == {None, "applying", "applied"} and len(seen) > 5


@pytest.mark.long
def test_undo_killed_at_any_call(tmp_path):
    tree = nest(tmp_path / "tree")
    live = Command(tree, write=True)
    spec = nested_spec(tree)
    seen = set()

    def kill(*point):
        if state(tree) == BEFORE:
            assert live("apply", spec, "--cpus", "follow").returncode == 0
        killed = killed_at(tree, *point, "undo")
        assert_valid(tree, point)
        seen.add(tuple(tree.all_cpus().values()))
        assert live("undo").returncode == 0
        assert state(tree) == BEFORE, point
        return killed

    assert points(kill) > 20
    assert len(seen) > 5


# ---- whose memory stayed ----


def stay(tree, targets, *args):
    """An apply of some moves, each of which leaves something, and what it says."""
    spec = tree.spec(targets)
    paths = list(targets)
    tree.engine(paths[0], pending=1)
    process = subprocess.Popen(
        [COMMAND, "apply", "--sysroot", tree.path, "--write-sysroot", spec, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for path, following in zip(paths, [*paths[1:], None]):
        to = targets[path]
        wait_until(lambda path=path, to=to: tree.mems(path) == to)
        if following:
            tree.engine(following, pending=1)
        tree.cgroup(path, to, pids=[700], charged={"anon": [2 * MIB, 0, 0, 0]})
        vmas = [("", {0: MIB // (4 * KIB), 3: 9}, "")]
        tree.process(700, "httpd", vmas, allowed=to)
        moves_end(tree, "migrate_fail_pinned 256\n", path)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, out + err
    return out


def test_owners(tmp_path):
    """A process counts once, though it is in both cgroups."""
    tree = CpuJobs(tmp_path / "tree")
    tree.job("/a", "0", 10)
    tree.job("/a/b", "0", 10)
    out = json.loads(stay(tree, {"/a/b": "3", "/a": "3"}, "-J"))
    assert out["state"] == "partial"
    (owner,) = out["result"]["owners"]
    assert (owner["pid"], owner["command"], owner["bytes"]) == (700, "httpd", MIB)
    (vma,) = owner["vmas"]
    assert vma["kind"] == "anon" and vma["bytes"] == MIB
    (job,) = Command(tree).json("report")["jobs"]
    assert job["result"]["owners"] == [owner]


def test_owners_in_words(tmp_path):
    tree = CpuJobs(tmp_path / "tree")
    tree.job("/a", "0", 10)
    lines = stay(tree, {"/a": "3"}).splitlines()
    at = lines.index("mostly of:")
    assert lines[at + 1].split() == ["700", "httpd", "1.0M"]
    assert lines[at + 2].split()[1:3] == ["anon", "1.0M"]


def test_nobody_is_named_when_nothing_stayed(pair, live):
    assert "owners" not in live.json("apply", *SWAP)["result"]


@pytest.mark.long
def test_memory_is_handled_right(pair, valgrind):
    check = Command(pair, valgrind, write=True)
    pair.write("bad", '{"targets": [{"cgroup": "/a", "to": "1", "cpus": 7}]}')
    for args, code in (
        (["plan", f"{pair.path}/bad"], 2),
        (["plan", *FOLLOW, "-J"], 0),
        (["apply", *FOLLOW], 0),
        (["undo"], 0),
    ):
        result = check(*args)
        assert result.returncode == code, (args, result.stderr)
