# SPDX-License-Identifier: GPL-2.0
"""cgmigrate bench: what it would measure, what is missing, and what it says of that."""

import os

import pytest

from conftest import Command
from tree import Tree

HUGE = "sys/kernel/mm/transparent_hugepage"
CONTROL = "sys/fs/cgroup/cgroup.subtree_control"
ALL = ["anon", "thp", "shmem", "file", "hugetlb"]


def pool(machine, *free):
    """A pool of huge pages with so many free on each node."""
    for node, pages in enumerate(free):
        folder = f"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB"
        machine.write(f"{folder}/free_hugepages", f"{pages}\n")


@pytest.fixture
def able(empty):
    """A machine on which all can be measured, but for what comes with numactl."""
    empty.write(CONTROL, "cpuset memory\n")
    empty.write(f"{HUGE}/enabled", "always [madvise] never\n")
    empty.write(f"{HUGE}/defrag", "always defer [madvise] never\n")
    empty.write(f"{HUGE}/hpage_pmd_size", "2097152\n")
    empty.write("proc/meminfo", "MemTotal: 4194304 kB\nHugepagesize:    2048 kB\n")
    empty.write("proc/sys/kernel/numa_balancing", "1\n")
    empty.write("sys/devices/system/node/node1/cpulist", "2-3\n")
    empty.write(
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Frobnitz 9000\nflags\t\t: fpu sse sse2\n",
    )
    pool(empty, 8, 8, 8, 8)
    return empty


@pytest.fixture
def bench(able):
    """The dry run as JSON."""
    return lambda *args, code=0: Command(able).json(
        "bench", "--dry-run", *args, code=code
    )


@pytest.fixture
def with_program(tmp_path, monkeypatch):
    """Something called migratepages, and nothing else of that name."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "migratepages").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def without_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))


def missing(out):
    return {entry["what"]: entry["message"] for entry in out["missing"]}


def test_everything(bench, with_program):
    out = bench()
    assert out["state"] == "planned" and out["changed"] is False
    assert out["kinds"] == ALL and out["missing"] == [] and out["results"] == []
    assert out["ways"] == ["cpuset", "move_pages", "migrate_pages", "migratepages"]
    assert (out["from"], out["to"]) == ("0", "1")
    assert (out["size"], out["repeat"], out["rate"]) == (256 << 20, 3, None)


def test_the_machine(bench):
    machine = bench()["machine"]
    assert machine["cpu"] == "Frobnitz 9000" and machine["virtual"] is False
    assert machine["kernel"] == "6.12.117-test" and machine["backend"] == "stock-v2"
    assert machine["thp"] == "madvise" and machine["thp_defrag"] == "madvise"
    assert machine["numa_balancing"] == 1 and machine["engine"] is None
    node = machine["nodes"][1]
    assert node["bytes"] == 1 << 30 and node["cpus"] == "2-3"
    assert node["distances"] == {"0": 20, "1": 10, "2": 20, "3": 20}


def test_the_engine(able, bench):
    able.has_engine()
    able.write("sys/kernel/mm/numa/migrate/workers", "4\n")
    out = bench("--rate", "100M")
    assert out["machine"]["engine"] == {"max_stall_usec": 2000, "workers": 4}
    assert "cpuset" not in str(out["missing"]) and out["rate"] == 100 << 20


@pytest.mark.parametrize(
    "text, virtual",
    [
        ("flags : fpu hypervisor sse\n", True),
        ("flags : fpu sse\n", False),
        ("CPU part\t: 0xd0c\n", None),
    ],
)
def test_is_it_virtual(able, bench, text, virtual):
    able.write("proc/cpuinfo", text)
    assert bench()["machine"]["virtual"] is virtual
    able.write("sys/hypervisor/type", "xen\n")
    assert bench()["machine"]["virtual"] is True


def test_a_limit_is_not_for_all(bench, with_program):
    said = [m["message"] for m in bench("--rate", "1G")["missing"]]
    assert said == [
        "cpuset: cannot be limited: this kernel has no migration engine",
        "migrate_pages: cannot be limited",
        "migratepages: cannot be limited",
    ]


# ---- nodes ----


def test_nodes(bench):
    def nodes(*args):
        out = bench(*args)
        return out["from"], out["to"]

    assert nodes("--from", "2") == ("2", "0")
    assert nodes("--to", "0") == ("1", "0")
    assert nodes("--from", "1-2") == ("1-2", "0,3")
    assert nodes("--from", "3", "--to", "2") == ("3", "2")


def test_nodes_of_our_own(able, bench):
    """Where we may use some nodes only these are taken."""
    able.status("self", "cgmigrate", caps="000001ffffffffff", allowed="2-3")
    out = bench()
    assert (out["from"], out["to"]) == ("2", "3")
    said = missing(bench("--to", "0"))["move_pages"]
    assert said == "the cgroup that cgmigrate itself is in may use nodes 2-3 only"


def test_no_such_node(bench):
    out = bench("--to", "7", code=4)
    assert out["error"]["message"] == "--to 7: nodes with memory here are 0-3"


def test_one_node(tmp_path):
    out = Command(Tree(tmp_path, nodes=1)).json("bench", code=4)
    assert (
        out["error"]["message"]
        == "memory on one node only (0): there is nowhere to move to"
    )


def test_no_room(able, bench):
    """256 MiB, and some for the processes, above 8 MiB of watermark."""
    able.node(1, free=279 << 20)
    text = bench(code=4)["error"]["message"]
    assert text.startswith(
        "no room on node 1: 272.0M are needed and 271.0M are free above the low"
    )
    able.node(1, free=280 << 20)
    assert bench()["exit"] == 0
    able.node(0, free=0)
    assert "no room on node 0" in bench(code=4)["error"]["message"]
    assert bench("--from", "2-3", "--to", "0-1", code=4)
    assert bench("--kinds", "hugetlb")["kinds"] == ["hugetlb"]


# ---- what is missing ----


def test_no_cpusets(able, bench):
    able.write("proc/self/mountinfo", "21 1 0:20 / / rw - ext4 /dev/vda rw\n")
    out = bench()
    text = "no cpuset controller in any mounted cgroup hierarchy"
    assert missing(out)["cpuset"] == text
    assert out["ways"][:2] == ["move_pages", "migrate_pages"]
    text = bench("--ways", "cpuset", code=4)["error"]["message"]
    assert text.startswith("nothing can be measured: cpuset: no cpuset controller in")


def test_no_controller(able, bench):
    able.write(CONTROL, "memory\n")
    assert "cpuset" not in missing(bench())  # we let it be handed down for a while
    able.write("run/systemd/system/x", "")
    assert "that is systemd's to change" in missing(bench())["cpuset"]
    able.cgroup("/mine", more={"cgroup.controllers": "memory\n"})
    said = missing(bench("--below", "/mine"))["cpuset"]
    assert said == "/mine has no cpuset controller (see its cgroup.controllers)"


def test_below(able, bench):
    able.cgroup("/mine", "0,2", more={"cgroup.subtree_control": "cpuset\n"})
    assert (
        "/mine may use nodes 0,2 only" in missing(bench("--below", "/mine"))["cpuset"]
    )
    out = bench("--below", "/mine", "--to", "2")
    assert "cpuset" in out["ways"]
    assert "/nope: no such cgroup" in missing(bench("--below", "/nope"))["cpuset"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
def test_without_privilege(able, tmp_path):
    """What root may do is said to be missing, and the rest goes on."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        os.chmod(folder, 0o755)
    out = Command(able, ["setpriv", "--reuid=65534", "--clear-groups"]).json(
        "bench", "--dry-run"
    )
    text = missing(out)["cpuset"]
    assert text.startswith("no cgroup can be made in ")
    assert text.endswith(
        "Permission denied; run as root, or name a cgroup of yours with --below"
    )
    assert "move_pages" in out["ways"]


def test_no_numactl(bench, without_program):
    text = "no program of that name; it comes with numactl"
    assert missing(bench()) == {"migratepages": text}


def test_no_transparent_huge_pages(able, bench):
    able.write(f"{HUGE}/enabled", "always madvise [never]\n")
    text = '/sys/kernel/mm/transparent_hugepage/enabled is "never"'
    assert missing(bench())["thp"] == text
    able.write(f"{HUGE}/enabled", "[always] madvise never\n")
    assert "less than one" in missing(bench("--size", "1M"))["thp"]


def test_no_huge_pages_in_the_pool(able, bench):
    pool(able, 8, 0)
    out = bench()
    assert "no page is free in the pool of node 1: write" in missing(out)["hugetlb"]
    assert "hugetlb" not in out["kinds"]
    assert "hugetlb" in bench("--to", "2")["kinds"]


def test_no_folder(able):
    """Looked at on this machine only: a recorded one has no folders."""
    result = Command()("bench", "--output", "/nope/x.json")
    assert result.returncode == 1
    assert "/nope/x.json: cannot write: No such file" in result.stderr


def test_nothing_is_measured_on_a_tree(able):
    result = Command(able)("bench")
    assert result.returncode == 4 and result.stdout == ""
    assert "--sysroot: nothing can be measured on a recorded tree" in result.stderr


def test_as_text(able, without_program):
    result = Command(able)("bench", "--dry-run")
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.splitlines() == [
        f"Frobnitz 9000, {os.sysconf('SC_NPROCESSORS_ONLN')} CPUs, Linux 6.12.117-test "
        "(stock-v2); nodes 0 to 1",
        "kinds: anon thp shmem file hugetlb",
        "ways: cpuset move_pages migrate_pages",
        "migratepages: no program of that name; it comes with numactl",
    ]


@pytest.mark.long
def test_memory_is_handled_right(able, valgrind):
    check = Command(able, [*valgrind, "--errors-for-leak-kinds=definite"])
    for args in (["--dry-run"], ["--dry-run", "-J"], []):
        assert check("bench", *args).returncode in (0, 4), args
