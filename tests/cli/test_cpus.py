# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --cpus: what is planned, refused, written and recorded."""

import json
import os
import shutil

import pytest

from conftest import Command, failing, unwritable
from moving import MEMS, PATIENCE, STOP, killed, moves_end, wait_until, written

CPUS = "sys/fs/cgroup/web/cpuset.cpus"


def cpuset(machine, path, cpus):
    machine.write(f"{machine.mount}{path}/cpuset.cpus", cpus + "\n")
    machine.write(f"{machine.mount}{path}/cpuset.cpus.effective", cpus + "\n")


def threads(machine, path, pid, pins):
    """Threads of a process, from its number on: where each may run."""
    tids = range(pid, pid + len(pins))
    machine.write(
        f"{machine.mount}{path}/cgroup.threads", "".join(f"{tid}\n" for tid in tids)
    )
    for tid, cpus in zip(tids, pins):
        machine.write(
            f"proc/{tid}/status",
            f"Name:\tx\nTgid:\t{pid}\nUid:\t0\t0\t0\t0\nRssAnon:\t0 kB\n"
            f"Cpus_allowed_list:\t{cpus}\n",
        )


@pytest.fixture(autouse=True)
def cpus(machine):
    """Two CPUs a node; /web has those of its nodes, and two pinned threads."""
    for node in range(4):
        machine.write(
            f"sys/devices/system/node/node{node}/cpulist", f"{2 * node}-{2 * node + 1}"
        )
    machine.write("sys/fs/cgroup/cpuset.cpus.effective", "0-7\n")
    cpuset(machine, "/web", "0-3")
    cpuset(machine, "/db", "4-7")
    threads(machine, "/web", 100, ["0-3", "1", "2-3"])


PINNED = [
    {"pid": 100, "tid": 101, "before": "1", "after": "5"},
    {"pid": 100, "tid": 102, "before": "2-3", "after": "6-7"},
]


def test_follow_is_planned(run, machine):
    out = run.json("move", "/web", "--to", "2-3", "--cpus", "follow", "--dry-run")
    assert out["targets"][0]["cpus"] == {
        "before": "0-3",
        "after": "4-7",
        "pinned": PINNED,
    }
    text = run("move", "/web", "--to", "2-3", "--cpus", "follow", "--dry-run").stdout
    assert "  CPUs 0-3 -> 4-7, 2 pinned threads with them\n" in text
    assert machine.read(CPUS) == "0-3\n"


def test_list(run):
    out = run.json("move", "/web", "--to", "2-3", "--cpus", "4,6", "--dry-run")
    told = out["targets"][0]["cpus"]
    assert (told["before"], told["after"]) == ("0-3", "4,6")
    assert [pin["after"] for pin in told["pinned"]] == ["6", "4,6"]


@pytest.mark.parametrize("how", [[], ["--cpus", "keep"]])
def test_keep_warns_when_memory_and_cpus_part(run, how):
    args = ["move", "/web", "--to", "2-3", "--dry-run", *how]
    words = (
        "/web: memory and CPUs part: none of its CPUs (0-3) is on node 2-3; "
        "--cpus follow takes them along"
    )
    result = run(*args)
    assert result.stderr == f"cgmigrate: move: warning: {words}\n"
    assert "CPUs" not in result.stdout
    out = run.json(*args)
    assert {"severity": "warning", "message": words} in out["notes"]
    assert out["targets"][0]["cpus"] == {"before": "0-3", "after": "0-3"}


@pytest.mark.parametrize(
    "args",
    [
        ["/web", "--to", "1-2"],
        ["/web", "--to", "0-1"],
        ["/web", "--to", "2-3", "--cpus", "follow"],
        ["/idle", "--to", "2-3"],
    ],
    ids=" ".join,
)
def test_nothing_to_warn_of(run, args):
    assert "part" not in run("move", *args, "--dry-run").stderr


def test_no_word_of_cpus_where_they_are_not_known(machine, run):
    for node in range(4):
        os.unlink(f"{machine.path}/sys/devices/system/node/node{node}/cpulist")
    assert run("move", "/web", "--to", "2-3", "--dry-run").stderr == ""
    result = run("move", "/web", "--to", "2-3", "--cpus", "follow", "--dry-run")
    assert result.returncode == 1
    assert "cannot read which CPUs node 2 has" in result.stderr


USAGE = [
    (["--to", "2", "--cpus", "all"], '--cpus "all": can be follow, keep or a list of'),
    (["--to", "2", "--cpus", ""], '--cpus "": can be follow, keep or a list of CPUs'),
    (["--to", "2", "--cpus", "2000"], "--cpus 2000: CPU numbers end at 1023"),
    (["--to", "2", "--cpus"], "--cpus: needs a value"),
    (["--into", "/db", "--cpus", "follow"], "--cpus: goes with --to"),
]


@pytest.mark.parametrize("args, text", USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_usage(run, args, text):
    result = run("move", "/web", *args)
    assert result.returncode == 2
    assert result.stderr.startswith(f"cgmigrate: move: {text}")


REFUSED = [
    ("8-9", {}, "/web: cannot have CPUs 8-9: / above it has 0-7"),
    ("follow", {"web/a/cpuset.cpus": "2"}, "/web/a: has CPUs of its own (2) that are"),
    ("follow", {"web/cpuset.cpus.partition": "root"}, "/web: is the root of a part"),
]


@pytest.mark.parametrize("which, files, text", REFUSED, ids=lambda v: str(v)[:12])
def test_refused_before_anything_changes(machine, live, which, files, text):
    for name, content in files.items():
        machine.write(f"sys/fs/cgroup/{name}", content + "\n")
    args = ["move", "/web", "--to", "2-3", "--cpus", which]
    result = live(*args)
    assert result.returncode == 4 and text in result.stderr
    out = live.json(*args, code=4)
    assert out["state"] == "refused" and text in out["error"]["message"]
    assert (machine.read(CPUS), machine.read(MEMS)) == ("0-3\n", "0-1\n")
    assert live.json("report")["jobs"] == []


def test_nodes_without_cpus(machine, live):
    machine.write("sys/devices/system/node/node3/cpulist", "\n")
    result = live("move", "/web", "--to", "3", "--cpus", "follow")
    assert result.returncode == 4
    assert "--cpus follow: node 3 has no CPUs; name some" in result.stderr
    result = live("move", "/web", "--to", "3", "--dry-run")
    assert result.stderr.endswith("none of its CPUs (0-3) is on node 3\n")


def test_a_process_without_cpusets(machine, run):
    machine.write("proc/self/mountinfo", "21 1 0:20 / / rw - ext4 /dev/vda rw\n")
    result = run("move", "100", "--to", "2", "--cpus", "follow")
    assert result.returncode == 4
    assert "--cpus: a process alone has no cpuset" in result.stderr


def test_follow(kernel, live):
    out = live.json("move", "/web", "--to", "2-3", "--cpus", "follow")
    assert out["state"] == "done" and out["result"]["notes"] == []
    assert out["targets"][0]["cpus"]["pinned"] == PINNED
    assert (kernel.read(CPUS), kernel.read(MEMS)) == ("4-7", "2-3")
    (job,) = live.json("report")["jobs"]
    assert job["targets"][0]["cpus"]["before"] == "0-3"
    assert "  CPUs 0-3 -> 4-7, 2 pinned" in live("report", "j1").stdout


def test_cpus_alone(kernel, live):
    """The memory is there already."""
    out = live.json("move", "/web", "--to", "0-1", "--cpus", "4-5")
    assert out["state"] == "done" and out["changed"] is True
    assert (kernel.read(CPUS), kernel.read(MEMS)) == ("4-5", "0-1\n")
    cpuset(kernel, "/web", "0-3")
    out = live.json("move", "/web", "--to", "0-1", "--cpus", "follow")
    assert out["state"] == "unchanged"


@pytest.fixture
def moving(kernel, begin):
    """A move of /web with its CPUs that the kernel has not ended."""
    process = begin("--to", "2-3", "--cpus", "follow")
    written(kernel, "2-3")
    return process


def test_wide_while_memory_moves(kernel, moving):
    assert kernel.read(CPUS) == "0-7"
    moves_end(kernel)
    out, _ = moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 0, out
    assert kernel.read(CPUS) == "4-7"


def test_interrupted(kernel, moving):
    """With the engine the new nodes are in force: CPUs too, and the way back."""
    moving.send_signal(2)
    wait_until(lambda: kernel.read(STOP) == "1")
    moves_end(kernel, "migrate_left 100\n")
    out, _ = moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 5
    assert "to finish:  cgmigrate settle /web\n" in out
    assert "to go back: cgmigrate move /web --to 0-1 --cpus 0-3\n" in out
    assert kernel.read(CPUS) == "4-7"


def test_somebody_else_changes_them(kernel, moving):
    kernel.write(CPUS, "6\n")
    moves_end(kernel)
    _, err = moving.communicate(timeout=PATIENCE)
    assert moving.returncode == 3
    assert "/web: somebody else has changed cpuset.cpus to 6, and it stays" in err
    assert kernel.read(CPUS) == "6\n"


@pytest.mark.parametrize("mems, end", [("2-3", "4-7"), ("0-1", "0-3")])
def test_killed(kernel, live, moving, mems, end):
    """Whoever comes next ends it, where the memory is."""
    killed(moving)
    assert kernel.read(CPUS) == "0-7"
    assert live("wait", "/web", "--timeout", "50ms").returncode == 6
    assert kernel.read(CPUS) == "0-7"
    path = os.path.join(kernel.path, "run/cgmigrate/j1.json")
    with open(path, encoding="utf-8") as file:
        assert json.load(file)["cpus"] == [
            {
                "cgroup": "/web",
                "nodes": "2-3",
                "configured": "0-3",
                "from": "0-3",
                "to": "4-7",
            }
        ]
    kernel.write(MEMS, mems + "\n")
    moves_end(kernel)
    result = live("wait", "/web")
    assert result.returncode == 0
    assert "/web: job j1 was killed" in result.stderr
    assert kernel.read(CPUS) == end
    assert live("wait", "/web").stderr == ""


@pytest.mark.parametrize(
    "name, call",
    [("cpuset.cpus", "write"), ("cgroup.threads", "read"), ("cpuset.mems", "read")],
)
def test_killed_and_not_to_be_ended_now(kernel, live, moving, name, call):
    """Whoever cannot leaves it to those who come after."""
    killed(moving)
    moves_end(kernel)
    result = failing(kernel, f"sys/fs/cgroup/web/{name}", call)("wait", "/db")
    assert result.returncode == 0
    assert "/web: job j1 was killed: " in result.stderr
    assert "where the memory is now" not in result.stderr
    assert kernel.read(CPUS) in ("0-7", "")  # a file of a tree is emptied first
    kernel.write(CPUS, "0-7\n")
    assert "are where the memory is now" in live("wait", "/db").stderr
    assert kernel.read(CPUS) == "4-7"


def test_killed_and_changed_by_somebody_else(kernel, live, moving):
    killed(moving)
    moves_end(kernel)
    kernel.write(CPUS, "6\n")
    assert "somebody else has changed cpuset.cpus to 6" in live("wait", "/db").stderr
    assert live("wait", "/db").stderr == "" and kernel.read(CPUS) == "6\n"


def test_killed_and_gone(kernel, live, moving):
    killed(moving)
    shutil.rmtree(os.path.join(kernel.path, "sys/fs/cgroup/web"))
    assert live("wait", "/db").stderr == ""
    assert "cpus" not in live.json("report", "j1")["jobs"][0]


def test_ways_on_of_a_killed_one_name_cpus(kernel, live, moving):
    killed(moving)
    (told,) = live.json("report", "j1")["jobs"][0]["interrupted"]
    assert told["undo"] == "cgmigrate move /web --to 0-1 --cpus 0-3"


def test_a_start_that_fails_puts_them_back(kernel):
    args = ["--to", "2-3", "--cpus", "follow", "--rate", "10"]
    result = unwritable(kernel, f"{MEMS}.migrate.max")("move", "/web", *args)
    assert result.returncode == 4 and "cannot write" in result.stderr, result
    # Written, not as the test had left it.
    assert (kernel.read(CPUS), kernel.read(MEMS)) == ("0-3", "0-1\n")


@pytest.mark.long
def test_memory_is_handled_right(kernel, valgrind):
    check = Command(kernel, valgrind, write=True)
    for args in (
        ["move", "/web", "--to", "2-3", "--cpus", "follow"],
        ["move", "/web", "/db", "--to", "0-1", "--cpus", "keep", "-J"],
        ["move", "/web", "/db", "--to", "2-3", "--cpus", "9", "--dry-run"],
    ):
        assert check(*args).returncode != 99, args
