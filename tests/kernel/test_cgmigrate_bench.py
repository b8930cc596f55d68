# SPDX-License-Identifier: GPL-2.0
"""cgmigrate bench: it measures what is there, checks it, and leaves nothing behind."""

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from ktest import machine
from ktest.command import COMMAND, cgmigrate, end, start, told
from ktest.cpusets import Cpuset, wait_until
from ktest.load import nearly_full
from ktest.marks import later

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command"),
    pytest.mark.alike,
]

MIB = 1 << 20
SIZE = 8 * MIB
SMALL = ["--size", "8M", "--repeat", "1"]
HUGE = "/sys/kernel/mm/transparent_hugepage/enabled"
WAYS = ["cpuset", "move_pages", "migrate_pages"]


@pytest.fixture(autouse=True)
def nothing_is_left(root):
    """No process, no cgroup, and the controller as it was."""

    def cgroups():
        return glob.glob(f"{root.path}/**/cgmigrate-bench.*", recursive=True)

    before = root.read("cgroup.subtree_control") if root.version == 2 else None
    assert not cgroups()
    yield
    assert not cgroups()
    assert not processes()
    if root.version == 2:
        assert root.read("cgroup.subtree_control") == before


def processes():
    """Everybody who runs the command."""
    found = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if machine.read(path).strip() == "cgmigrate":
                found.append(path)
    return found


@contextlib.contextmanager
def setting(path, text):
    """Something of the machine, as long as it lasts."""
    before = machine.read(path)
    if "[" in before:
        before = before.split("[")[1].split("]")[0]
    machine.write(path, text)
    try:
        yield
    finally:
        machine.write(path, before)


def pool(node):
    return f"{machine.NODE}/node{node}/hugepages/hugepages-2048kB/nr_hugepages"


def assert_stall(stall):
    """Percentiles in order, of a probe that ran."""
    for figures in (stall, stall["idle"]):
        order = [figures[name] for name in ("p50", "p99", "p999", "max")]
        assert order == sorted(order) and order[0] > 0
    assert stall["idle"]["samples"] > 20 and stall["samples"] > 0


def assert_result(result):
    assert result["stayed"] == 0 and result["verified"] is True
    assert all(run["bytes"] == result["bytes"] for run in result["runs"])
    usec = result["time_per_page"]
    assert usec > 0
    assert abs(result["bytes_per_second"] - machine.PAGE * 1e6 / usec) <= 2
    assert_stall(result["touch_stall"])
    assert_stall(result["mmap_stall"])


def missing(out):
    return {entry["what"]: entry["message"] for entry in out["missing"]}


def by_name(out):
    return {
        (r["kind"], r["way"], "limit" if r["rate"] else ""): r for r in out["results"]
    }


@pytest.mark.long
def test_all_kinds_and_ways(disk, tmp_path):
    """Anonymous memory, huge pages, shared memory and a file, by all that is there."""
    file, picture = tmp_path / "r.json", tmp_path / "r.png"
    with contextlib.ExitStack() as stack:
        stack.enter_context(setting(HUGE, "madvise"))
        for node in (0, 1):
            stack.enter_context(setting(pool(node), "2"))
        out = told("bench", *SMALL, "--folder", disk, "-o", file, "--picture", picture)
    assert json.loads(file.read_text()) == out
    assert picture.read_bytes().startswith(b"\x89PNG")
    ways = WAYS + ["migratepages"] * bool(shutil.which("migratepages"))
    assert out["ways"] == ways
    assert out["kinds"] == ["anon", "thp", "shmem", "file", "hugetlb"]
    results = by_name(out)
    assert set(results) == {(k, w, "") for k in out["kinds"] for w in ways}
    for (kind, _, _), result in results.items():
        assert result["bytes"] == (4 * MIB if kind == "hugetlb" else SIZE)
        assert_result(result)
        if kind == "thp":
            assert result["huge"]["before"] == SIZE


def test_the_machine():
    told_of = told("bench", "--dry-run")["machine"]
    assert told_of["kernel"] == os.uname().release and told_of["virtual"] is True
    assert [node["node"] for node in told_of["nodes"]] == [0, 1, 2, 3]
    for node in told_of["nodes"]:
        assert node["distances"][str(node["node"])] == 10
        assert machine.parse_list(node["cpus"]) == machine.cpus_of(node["node"])


@pytest.mark.long
def test_many_nodes():
    """Each node to the one in its place."""
    words = ["--size", "8M", "--repeat", "2", "--kinds", "anon"]
    out = told("bench", *words, "--from", "0-1", "--to", "3,2")
    assert (out["from"], out["to"]) == ("0-1", "2-3")
    for result in out["results"]:
        assert len(result["runs"]) == 2
        assert_result(result)


@pytest.mark.long
def test_a_limit_is_kept(engine):
    """What can be limited is, to within what is let through at the start."""
    out = told("bench", *SMALL, "--kinds", "anon", "--rate", "8M")
    results = by_name(out)
    limited = {way for _, way, limit in results if limit}
    assert limited == ({"cpuset", "move_pages"} if engine else {"move_pages"})
    said = str(out["missing"])
    assert ("cpuset: cannot be limited" in said) is not bool(engine)
    for way in limited:
        slow, fast = results["anon", way, "limit"], results["anon", way, ""]
        assert_result(slow)
        assert slow["bytes_per_second"] <= 12 * MIB < fast["bytes_per_second"]


# ---- room, and what is missing ----


@pytest.mark.long
def test_no_room(spawn):
    """Nothing is allocated, and nobody killed."""
    kills = machine.vmstat("oom_kill")
    with nearly_full(spawn, 1, leave=64 * MIB // machine.PAGE):
        out = told("bench", "--size", "64M", code=4)
        assert "no room on node 1: 80.0M are needed" in out["error"]["message"]
        out = told("bench", "--size", "64M", "--to", "2", "--dry-run")
        assert out["to"] == "2"
    assert machine.vmstat("oom_kill") == kills


@pytest.mark.long
def test_a_folder_in_memory(tmp_path):
    """That it is no disk shows when the file is there."""
    folder = ["--folder", "/dev/shm"]
    out = told("bench", *SMALL, "--kinds", "anon,file", *folder, code=3)
    assert "/dev/shm keeps files in memory" in missing(out)["file"]
    assert {result["kind"] for result in out["results"]} == {"anon"}
    assert out["kinds"] == ["anon"]


@pytest.mark.long
def test_without_privilege(root):
    """One process can still be measured, without a cgroup."""
    words = ["bench", *SMALL, "--kinds", "anon,shmem", "-J"]
    result = cgmigrate(*words, user=65534, group=65534, extra_groups=[])
    out = json.loads(result.stdout)
    assert result.returncode == 0, out
    said = missing(out)["cpuset"]
    assert said.startswith(f"no cgroup can be made in {root.path}: Permission denied")
    assert {result["way"] for result in out["results"]} >= {
        "move_pages",
        "migrate_pages",
    }
    for result in out["results"]:
        assert_result(result)


@pytest.mark.long
@pytest.mark.v2only("controllers are not handed down on v1")
def test_the_controller_is_handed_down_for_a_while(top, name):
    """And no longer than that."""
    assert "cpuset" in top.read("cgroup.controllers").split()
    assert "cpuset" not in top.read("cgroup.subtree_control").split()
    words = ["--kinds", "anon", "--ways", "cpuset", "--below", name(top)]
    out = told("bench", *SMALL, *words)
    assert_result(out["results"][0])
    assert "cpuset" not in top.read("cgroup.subtree_control").split()


@pytest.mark.long
def test_in_a_cpuset_with_one_node(top, name):
    """The ways that are bound by the caller's nodes are left out."""
    cpuset = top.mkdir("a", mems="3")
    script = f'echo $$ >{cpuset.file("procs")}; exec "$@"'
    words = [COMMAND, "bench", *SMALL, "--kinds", "anon", "-J"]
    result = subprocess.run(
        ["sh", "-c", script, "sh", *words], stdout=subprocess.PIPE, check=True
    )
    out = json.loads(result.stdout)
    assert out["ways"] == ["cpuset"]
    assert "may use nodes 3 only" in missing(out)["move_pages"]
    assert_result(out["results"][0])


# ---- ends before its time ----


def own_cgroup(root, pid):
    return f"{root.path}/cgmigrate-bench.{pid}"


def begin(root, *more):
    """A benchmark that takes long, in the middle of a move."""
    words = ["--size", "32M", "--repeat", "9", "--kinds", "anon", "-J", *more]
    process = start("bench", *words)
    wait_until(lambda: os.path.exists(own_cgroup(root, process.pid)), "its cgroup")
    time.sleep(1)
    return process


def limit_of(cpuset):
    """Nothing where the cgroup is gone, or not there yet."""
    try:
        return cpuset.read("max")
    except OSError:
        return None


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *later(signal.SIGTERM, signal.SIGHUP)]
)
def test_told_to_stop(root, number):
    process = begin(root, "--ways", "cpuset")
    process.send_signal(number)
    code, text, _ = end(process)
    out = json.loads(text)
    assert code == 5 and out["state"] == "cancelled" and out["results"] == []


@pytest.mark.long
def test_told_to_stop_while_a_limit_makes_it_wait(root, engine):
    """On the engine the writer waits in the kernel, for half a minute."""
    ways = ["--ways", "cpuset,move_pages", "--rate", "1M", "--repeat", "1"]
    process = begin(root, *ways)
    if engine:
        cpuset = Cpuset(root.version, own_cgroup(root, process.pid))
        wait_until(lambda: limit_of(cpuset) == "1048576", "the limit to be set")
    else:
        wait_until(lambda: not os.path.exists(own_cgroup(root, process.pid)), "a way")
        time.sleep(5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, text, _ = end(process)
    assert code == 5 and time.monotonic() - began < 10
    results = by_name(json.loads(text))
    assert ("anon", "cpuset", "") in results
    assert ("anon", "cpuset" if engine else "move_pages", "limit") not in results


@pytest.mark.long
def test_killed(root):
    """Its process goes with it, and the next one takes the cgroup away."""
    process = begin(root, "--ways", "cpuset")
    left = own_cgroup(root, process.pid)
    process.kill()
    end(process)
    wait_until(lambda: not processes(), "its processes to end")
    assert os.path.exists(left)
    told("bench", *SMALL, "--kinds", "anon", "--ways", "cpuset")
    assert not os.path.exists(left)


@pytest.mark.long
def test_its_process_is_killed(root):
    """Told with the signal, and the others are measured all the same."""
    process = begin(root, "--ways", "cpuset,migrate_pages", "--repeat", "3")
    with open(f"{own_cgroup(root, process.pid)}/cgroup.procs", encoding="ascii") as f:
        os.kill(int(f.read()), signal.SIGKILL)
    code, text, _ = end(process)
    out = json.loads(text)
    assert code == 3 and out["state"] == "partial"
    assert "killed by signal 9" in missing(out)["anon by cpuset"]
    assert [result["way"] for result in out["results"]] == ["migrate_pages"]
