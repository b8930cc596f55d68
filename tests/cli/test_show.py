# SPDX-License-Identifier: GPL-2.0
"""cgmigrate show: what lies where."""

import collections
import fcntl
import os
import pty
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

from conftest import COMMAND, Command
from tree import KIB, MIB, Tree

GIB = 1024 * MIB

HEAD = ["CGROUP", "MEMS", "TOTAL", "N0", "N1", "N2", "N3", "STRAY"]


def test_cgroups_with_nodes_of_their_own_largest_first(run):
    rows = run.rows("show")
    assert rows[0] == HEAD
    assert [row[0] for row in rows[1:]] == ["/db", "/web"]
    web = ["/web", "0-1", 160 * MIB, 100 * MIB, 60 * MIB, 0, 0, 0]
    assert rows[2] == [str(cell) for cell in web]


def test_strays_are_counted_and_marked(run):
    rows = run.rows("show", "/db")
    assert rows[1][-1] == str(8 * MIB)
    lines = run("show", "/db").stdout.splitlines()
    assert lines[1].split()[3] == "8.0M*"
    assert "100.0M*" not in lines[1]


def test_kernel_memory_is_neither_total_nor_stray(run):
    total = int(run.rows("show", "/db")[1][2])
    assert total == (8 + 200 + 100 + 10 + 20) * MIB


def test_all(run):
    assert {row[0] for row in run.rows("show", "--all")[1:]} == {
        "/",
        "/db",
        "/web",
        "/idle",
    }


def test_without_cpuset_the_nodes_are_the_parents(run):
    assert run.rows("show", "/idle")[1][1] == "0-3"


def test_by_kind(run):
    rows = run.rows("show", "/db", "--by", "kind")
    assert rows[0][1] == "KIND"
    kinds = {row[1]: [int(cell) for cell in row[3:7]] for row in rows[1:]}
    assert kinds == {
        "anon": [8 * MIB, 0, 200 * MIB, 100 * MIB],
        "file": [0, 0, 10 * MIB, 0],
        "shmem": [0, 0, 0, 20 * MIB],
        "kernel": [16384, 0, 0, 0],
    }


def test_by_process(run):
    rows = run.rows("show", "/web", "--by", "process")
    assert rows[0][1:3] == ["PID", "COMMAND"]
    assert [row[1:3] for row in rows[1:]] == [["100", "httpd"], ["101", "worker"]]
    assert rows[1][4] == str(20000 * 4 * KIB)


def test_a_process(run):
    row = run.rows("show", 200)[1]
    assert row[0] == "200"
    assert row[3:7] == [str(p * 4 * KIB) for p in (2048, 0, 51200, 25600)]


def test_several_targets(run):
    assert [row[0] for row in run.rows("show", "/web", 200)[1:]] == ["200", "/web"]


def test_full_path_means_the_same(run):
    assert run.rows("show", "/sys/fs/cgroup/web") == run.rows("show", "/web")
    assert run.rows("show", "//web/") == run.rows("show", "/web")


NODES = ["NODE", "TOTAL", "FREE", "ROOM", "CACHE"]


def test_nodes(machine, run):
    machine.node(3, free=4 * MIB, cache=0)
    three = {"node": 3, "total": GIB, "free": 4 * MIB, "low_watermark": 8 * MIB}
    out = run.json("show", "--nodes")
    assert [node["node"] for node in out["capacity"]] == [0, 1, 2, 3]
    assert out["capacity"][3] == {**three, "room": -4 * MIB, "reclaimable": 0}
    assert out["capacity"][0]["room"] == 504 * MIB
    rows = run.rows("show", "--nodes", "/web")
    assert rows[0] == HEAD and rows[2:4] == [[], NODES] and len(rows) == 8
    assert rows[-1] == ["3", *map(str, (GIB, 4 * MIB, -4 * MIB, 0))]
    text = run("show", "--nodes").stdout
    assert text.startswith(run("show").stdout + "\n")
    assert text.splitlines()[-1].split() == ["3", "1.0G", "4.0M", "-4.0M", "0"]
    assert "capacity" not in run.json("show") and "CACHE" not in run("show").stdout


def test_nodes_where_there_is_no_cgroup(empty):
    lines = Command(empty)("show", "--nodes").stdout.splitlines()
    assert lines[0].split() == NODES and len(lines) == 5


def test_json(run):
    out = run.json("show", "/db")
    assert out["command"] == "show" and out["nodes"] == "0-3"
    (target,) = out["targets"]
    assert target["cgroup"] == "/db" and target["mems"] == "2-3"
    placement = target["placement"]
    assert placement["source"] == "charged"
    assert placement["stray"] == 8 * MIB
    assert placement["nodes"]["2"] == 210 * MIB
    assert placement["kinds"]["shmem"] == {"0": 0, "1": 0, "2": 0, "3": 20 * MIB}
    assert sum(placement["nodes"].values()) == placement["total"]


def test_json_by_process(run):
    (target,) = run.json("show", "/web", "--by", "process")["targets"]
    assert [p["command"] for p in target["processes"]] == ["httpd", "worker"]


def test_columns(run):
    result = run("show", "/web", "-o", "stray,cgroup,source", "-n", "-r")
    assert result.stdout.split() == ["0", "/web", "charged"]


def test_more_columns(run):
    rows = run.rows("show", "-o", "+source,marks", "/web")
    assert rows[0] == [*HEAD, "SOURCE", "MARKS"] and rows[1][-2] == "charged"
    rows = run.rows("show", "--by", "kind", "-o", "+mems", "/web")
    assert rows[0] == [HEAD[0], "KIND", *HEAD[2:], "MEMS"]
    assert run.rows("show", "-o", "mems", "/web") == [["MEMS"], ["0-1"]]


def test_nothing_to_show(empty):
    result = Command(empty)("show")
    assert result.returncode == 0 and result.stdout == ""
    assert "--all" in result.stderr
    assert Command(empty).json("show")["targets"] == []


def test_memory_charged_elsewhere_is_taken_from_the_processes(empty):
    """Pages stay charged where they were first touched."""
    empty.cgroup("/new", "0-1", pids=[10], charged={"anon": [MIB, 0, 0, 0]})
    empty.process(10, "moved", [("", {1: 10240}, "")])
    (target,) = Command(empty).json("show", "/new")["targets"]
    assert target["placement"]["source"] == "mapped"
    assert target["placement"]["nodes"]["1"] == 40 * MIB


HUGE = ("/anon_hugepage\\040(deleted)", {1: 3}, "huge anon=3")


def test_huge_pages_that_nobody_is_charged_for(empty):
    """Without the hugetlb controller the memory controller's files lack them."""
    empty.cgroup("/db", "0-1", pids=[10], charged={"anon": [40 * MIB, 0, 0, 0]})
    empty.process(10, "postgres", [("", {0: 10240}, ""), HUGE])
    (target,) = Command(empty).json("show", "/db")["targets"]
    assert target["placement"]["source"] == "mapped"
    assert target["placement"]["kinds"]["hugetlb"]["1"] == 6 * MIB
    assert target["placement"]["kinds"]["anon"]["0"] == 40 * MIB


@pytest.mark.parametrize("size, bytes_", [("2MB", 2), ("512MB", 512), ("16GB", 16384)])
def test_huge_pages_of_any_size_that_are_charged(empty, size, bytes_):
    charge = bytes_ * MIB
    empty.cgroup(
        "/db",
        "0-1",
        pids=[10],
        charged={"anon": [40 * MIB, 0, 0, 0]},
        more={
            f"hugetlb.{size}.numa_stat": f"total={charge} N0=0 N1={charge}\n",
            f"hugetlb.{size}.max": "max\n",
        },
    )
    empty.process(10, "postgres", [("", {0: 10240}, "")])
    empty.status(10, "postgres", hugetlb=bytes_ * MIB)
    (target,) = Command(empty).json("show", "/db")["targets"]
    assert target["placement"]["source"] == "charged"
    assert target["placement"]["kinds"]["hugetlb"]["1"] == bytes_ * MIB


def test_kinds_of_mappings(tmp_path):
    tree = Tree(tmp_path, memory=False)
    tree.cgroup("/web", "0-1", pids=[10])
    vmas = [
        ("", {0: 100}, ""),
        ("/lib/libc.so", {1: 50}, "mapped=50 anon=10"),
        ("/dev/shm/seg", {0: 30}, "mapped=30"),
        ("/memfd:x\\040(deleted)", {1: 7}, "mapped=7"),
        ("/anon_hugepage\\040(deleted)", {1: 3}, "huge anon=3"),
    ]
    tree.process(10, "mix", vmas)
    (target,) = Command(tree).json("show", 10)["targets"]
    kinds = target["placement"]["kinds"]
    assert kinds["anon"]["0"] == 100 * 4096
    assert kinds["anon"]["1"] == 10 * 4096
    assert kinds["file"]["1"] == 40 * 4096
    assert kinds["shmem"] == {"0": 30 * 4096, "1": 7 * 4096, "2": 0, "3": 0}
    assert kinds["hugetlb"]["1"] == 6 * MIB


def test_shared_huge_pages_are_counted_once(empty):
    """Those of a file; a private mapping has pages of its own."""
    empty.cgroup("/db", "0-1", pids=[10, 11], charged={"anon": [0, 0, 0, 0]})
    shared = "/dev/hugepages/seg"
    empty.process(10, "one", [(shared, {0: 6, 1: 2}, "huge"), HUGE])
    empty.process(11, "two", [(shared, {0: 10, 1: 1}, "huge"), HUGE])
    (target,) = Command(empty).json("show", "/db")["targets"]
    kinds = target["placement"]["kinds"]
    assert kinds["hugetlb"] == {"0": 20 * MIB, "1": (4 + 6 + 6) * MIB, "2": 0, "3": 0}


def test_shared_memory_is_counted_once(tmp_path):
    """Two processes that map the same 100 MiB have 100 MiB between them."""
    tree = Tree(tmp_path, memory=False)
    tree.cgroup("/web", "0-1", pids=[10, 11])
    for pid in (10, 11):
        tree.process(
            pid,
            "peer",
            [("/dev/shm/seg", {0: 25600}, "mapped=25600 mapmax=2")],
            pss={"Anon": 0, "File": 0, "Shmem": 50 * MIB},
        )
    (target,) = Command(tree).json("show", "/web")["targets"]
    assert target["placement"]["kinds"]["shmem"]["0"] == 100 * MIB


def test_v1(tmp_path):
    tree = Tree(tmp_path, version=1)
    tree.cgroup("/web", "1", pids=[10])
    tree.process(10, "one", [("", {1: 256, 2: 256}, "")])
    rows = Command(tree).rows("show", "/web")
    assert rows[1][1] == "1" and rows[1][-1] == str(MIB)
    assert Command(tree).rows("show", 10)[1][0] == "10"


def test_more_than_ten_nodes(tmp_path):
    tree = Tree(tmp_path, nodes=12)
    cells = [n * MIB for n in range(12)]
    tree.cgroup("/wide", "10-11", charged={"anon": cells})
    row = Command(tree).rows("show", "/wide")[1]
    assert row[1] == "10-11"
    assert row[3:15] == [str(cell) for cell in cells]


def test_a_process_that_exits_is_not_missed(machine, run):
    machine.cgroup("/web", "0-1", pids=[100, 999], charged=None)
    rows = run.rows("show", "/web", "--by", "process")
    assert [row[1] for row in rows[1:]] == ["100"]


@pytest.mark.parametrize("verb", ["show", "features"])
def test_memory_is_handled_right(memcheck, verb):
    for args in ([], ["-J"]):
        result = memcheck(verb, *args)
        assert result.returncode == 0, result.stderr


def test_memory_is_handled_right_by_process(memcheck):
    assert memcheck("show", "/web", "100", "--by", "process").returncode == 0
    assert memcheck("show", "/db", "--by", "kind", "-J").returncode == 0
    assert memcheck("show", "--all", "--by", "process").returncode == 0
    assert memcheck("show", "/nope").returncode == 1


def test_memory_is_handled_right_by_mapping(machine, memcheck):
    machine.write("proc/101/smaps", smaps(2048, True))
    assert memcheck("show", "/web", "--by", "vma").returncode == 0
    assert memcheck("show", "/web", "--by", "vma", "-J").returncode == 0


# ---- mappings, marks, users ----


def test_by_vma(tmp_path):
    tree = Tree(tmp_path, memory=False)
    tree.cgroup("/web", "0-1", pids=[10])
    vmas = [
        ("", {0: 256, 2: 256}, ""),
        ("/lib/libc.so", {1: 50}, "mapped=50 anon=10"),
        ("/lib/nothing.so", {}, "mapped=0"),
        ("/anon_hugepage", {1: 3}, "huge anon=3"),
    ]
    tree.process(10, "mix", vmas, allowed="0-1")
    rows = Command(tree).rows("show", "/web", "--by", "vma")
    assert rows[0][:4] == ["PID", "START", "KIND", "PAGE"]
    assert [row[2] for row in rows[1:]] == ["anon", "file", "hugetlb"]
    assert rows[1][4:10] == [
        str(n) for n in (2 * MIB, MIB, 0, MIB, 0, MIB)
    ], "a stray is a stray in every view"
    assert rows[2][-2:] == ["default", "/lib/libc.so"] and rows[1][-1] == "-"
    assert rows[3][3] == str(2 * MIB)
    assert Command(tree).rows("show", 10, "--by", "vma")[1:] == rows[1:]

    (target,) = Command(tree).json("show", "/web", "--by", "vma")["targets"]
    assert [v["kind"] for v in target["processes"][0]["vmas"]][-1] == "hugetlb"
    (target,) = Command(tree).json("show", 10, "--by", "vma")["targets"]
    assert len(target["vmas"]) == 4


def test_locked_pinned_and_huge(machine, run):
    machine.status(100, "httpd", marks=(7, 3))
    machine.write("proc/100/smaps_rollup", "x\nAnonHugePages:    4096 kB\n")
    rows = run.rows("show", "/web", "--by", "process", "-o", "pid,locked,pinned,huge")
    assert rows[1] == ["100", str(7 * MIB), str(3 * MIB), str(4 * MIB)]
    assert rows[2] == ["101", "0", "0", "0"]
    (target,) = run.json("show", 100, "--by", "process")["targets"]
    assert (target["locked"], target["pinned"], target["huge"]) == (
        7 * MIB,
        3 * MIB,
        4 * MIB,
    )


def test_marks_of_cgroups(machine, run):
    """As the memory controller counts them, by node."""
    machine.charge(
        "/db",
        {
            "anon": [0, 0, 320 * MIB, 0],
            "anon_thp": [0, 0, 40 * MIB, 0],
            "file_thp": [0, 0, 2 * MIB, 0],
            "shmem_thp": [0, 0, 0, 4 * MIB],
            "unevictable": [0, 0, MIB, 2 * MIB],
        },
    )
    rows = run.rows("show", "-o", "cgroup,locked,pinned,huge,marks")
    assert rows[1] == ["/db", str(3 * MIB), "0", str(46 * MIB), "hl"]
    assert rows[2] == ["/web", "0", "0", "0", "-"]
    lines = run("show").stdout.splitlines()
    assert lines[1].split()[2] == "320.0Mhl" and lines[2].split()[2] == "160.0M"
    assert run("show", "-b").stdout.splitlines()[1].split()[2] == str(320 * MIB)
    targets = {t["cgroup"]: t for t in run.json("show")["targets"]}
    assert (targets["/db"]["locked"], targets["/db"]["huge"]) == (3 * MIB, 46 * MIB)
    assert targets["/web"]["huge"] == 0


def test_marks_of_cgroups_that_are_not_charged(tmp_path):
    tree = Tree(tmp_path, version=1)
    tree.cgroup("/web", "1", pids=[10])
    tree.process(10, "one", [("", {1: 256}, "")])
    rows = Command(tree).rows("show", "/web", "-o", "locked,huge,marks")
    assert rows[1] == ["0", "0", "-"]
    assert "huge" not in Command(tree).json("show", "/web")["targets"][0]


def test_marks_of_processes(machine, run):
    machine.status(100, "httpd", marks=(0, 3))
    machine.write("proc/100/smaps_rollup", "x\nShmemPmdMapped:  4096 kB\n")
    lines = run("show", "/web", "--by", "process").stdout.splitlines()
    assert lines[1].split()[3] == "117.2Mhp" and lines[2].split()[3] == "42.8M"


def smaps(huge, locked):
    """A machine's words of two mappings of which the second has these."""
    return "".join(
        f"{start:x}-{start + 0x40000000:x} rw-p 00000000 00:00 0 \n"
        f"Rss:  4096 kB\nAnonHugePages:  {kib} kB\nVmFlags: rd wr {flag}\n"
        for start, kib, flag in [
            (0x7F0000000000, 0, "mr"),
            (0x7F0040000000, huge, "lo" if locked else "me"),
        ]
    )


@pytest.mark.parametrize(
    "huge, locked, page",
    [(2048, False, "4.0Kh"), (0, True, "4.0Kl"), (2048, True, "4.0Khl")],
)
def test_marks_of_mappings(machine, run, huge, locked, page):
    machine.process(101, "worker", [("", {0: 10}, ""), ("", {0: 512, 1: 512}, "")])
    machine.write("proc/101/smaps", smaps(huge, locked))
    lines = run("show", 101, "--by", "vma").stdout.splitlines()
    assert [line.split()[3] for line in lines[1:3]] == ["4.0K", page]
    assert lines[2].split()[4] == "4.0M"
    (target,) = run.json("show", 101, "--by", "vma")["targets"]
    marks = [(vma["huge"], vma["locked"]) for vma in target["vmas"]]
    assert marks == [(0, 0), (huge * KIB, 4 * MIB if locked else 0)]


def test_smaps_are_not_read_for_cgroups_and_processes(machine, run):
    """They take long. Whoever opens this one waits for ever."""
    os.mkfifo(os.path.join(machine.path, "proc/100/smaps"))
    assert run("show").returncode == 0
    assert run("show", "/web", 100, "--by", "process").returncode == 0
    assert run("show", 100, "--by", "vma", "--raw").returncode == 0


def test_a_user(machine, run):
    machine.write("etc/passwd", "root:x:0:0::/:\nalice:x:1000:1000::/:\n")
    for pid in (101, 200):
        machine.status(pid, "x", uid=1000)
    for name in ("@alice", "@1000"):
        row = run.rows("show", name)[1]
        assert row[0] == name
        assert row[3:7] == [str(p * 4096) for p in (5600 + 2048, 5360, 51200, 25600)]
    rows = run.rows("show", "@alice", "--by", "process")
    assert [row[1] for row in rows[1:]] == ["200", "101"]
    assert run.json("show", "@alice")["targets"][0]["user"] == "alice"
    assert run("show", "@bob").stderr == "cgmigrate: show: @bob: no such user\n"
    assert "@77: has no processes" in run("show", "@77").stderr


# ---- watching ----


class Screen:
    """cgmigrate on a terminal of so many rows."""

    def __init__(self, *args, rows=10):
        self.fd, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
        self.process = subprocess.Popen(
            [COMMAND, *map(str, args)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""

    def until(self, words):
        """Read on until the words were written."""
        end = time.monotonic() + 20
        while words not in self.seen:
            assert time.monotonic() < end, repr(self.seen)
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 65536).decode()
        seen, self.seen = self.seen, ""
        return seen

    def end(self):
        """Its exit status, and what it wrote at the end."""
        while True:
            try:
                part = os.read(self.fd, 65536)
            except OSError:
                break
            self.seen += part.decode()
        os.close(self.fd)
        return self.process.wait(20), self.seen


def test_watch(machine):
    for n in range(30):
        machine.cgroup(f"/job{n}", "0", charged={"anon": [n * MIB, 0, 0, 0]})
    screen = Screen("show", "--watch=100ms", "--sysroot", machine.path)
    seen = screen.until("q quits")
    assert "/db" in seen and "/web" in seen and "1-7 of 32" in seen
    assert seen.count("\n") == 8, "it fits on the screen"
    machine.charge("/job3", {"anon": [900 * MIB, 0, 0, 0]})
    screen.until("900.0M")
    os.write(screen.fd, b"x")
    screen.until("q quits")
    os.write(screen.fd, b"q")
    code, rest = screen.end()
    assert code == 0 and "\033[?1049l" in rest


@pytest.fixture
def scrolled(machine):
    """/job30 to /job1 by size on ten lines that are hardly ever drawn again."""
    for n in range(1, 31):
        machine.cgroup(f"/job{n}", "0", charged={"anon": [n * MIB, 0, 0, 0]})
    for path in ("/web", "/db"):
        shutil.rmtree(os.path.join(machine.path, "sys/fs/cgroup" + path))
    screen = Screen("show", "--watch=1h", "--sysroot", machine.path)
    screen.until("q quits")
    yield screen
    screen.process.kill()
    screen.process.wait()
    os.close(screen.fd)


def seen_after(screen, keys):
    """The first words of the lines below the heading, and what is said of them."""
    os.write(screen.fd, keys)
    lines = screen.until("q quits").split("\n")
    assert "CGROUP" in lines[0] and "STRAY" in lines[0], "the heading stays"
    assert len(lines) == 9
    return [line.split()[0] for line in lines[1:-1]], lines[-1]


@pytest.mark.parametrize(
    "keys, first",
    [
        (b"j", 2),
        (b"jjj", 4),
        (b"jjjk", 3),
        (b"\033[B", 2),
        (b"\033OB\033OB", 3),
        (b"jj\033[A", 2),
        (b"\033[6~", 8),
        (b"\033[6~\033[6~\033[5~", 8),
        (b"k\033[5~", 1),
        (b"\033[6~" * 6, 24),
        (b"\033[1;5Cx", 1),
    ],
)
def test_watch_scrolls(scrolled, keys, first):
    names, told = seen_after(scrolled, keys)
    assert names == [f"/job{31 - n}" for n in range(first, first + 7)]
    assert f"{first}-{first + 6} of 30" in told


def test_watch_goes_back_as_soon_as_a_key_says_so(scrolled):
    """Not one key for each step too far beyond the end."""
    seen_after(scrolled, b"\033[6~" * 9)
    assert seen_after(scrolled, b"k")[0][0] == "/job8"


def test_watch_takes_the_size_of_the_screen(scrolled):
    fcntl.ioctl(scrolled.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 7, 80, 0, 0))
    scrolled.process.send_signal(signal.SIGWINCH)
    assert "1-4 of 30" in scrolled.until("q quits").splitlines()[-1]


def test_watch_stays_where_it_is_when_drawn_again(machine):
    for n in range(1, 31):
        machine.cgroup(f"/job{n}", "0", charged={"anon": [n * MIB, 0, 0, 0]})
    screen = Screen("show", "--watch=200ms", "--sysroot", machine.path)
    os.write(screen.fd, b"jj")
    screen.until("3-9 of 32")
    machine.charge("/job25", {"anon": [25 * MIB + 512 * KIB, 0, 0, 0]})
    seen = screen.until("25.5M")
    assert "1-7 of" not in seen + screen.until("q quits")
    os.write(screen.fd, b"q")
    assert screen.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_is_interrupted(machine, number):
    screen = Screen("show", "--watch=10s", "--sysroot", machine.path)
    screen.until("q quits")
    before = termios.tcgetattr(screen.fd)[3] & termios.ICANON
    screen.process.send_signal(number)
    code, rest = screen.end()
    assert code == 0 and rest.endswith("\033[?1049l") and not before


def test_watch_tells_why_it_ended(machine):
    screen = Screen("show", "/web", "--watch=100ms", "--sysroot", machine.path)
    screen.until("q quits")
    shutil.rmtree(os.path.join(machine.path, "sys/fs/cgroup/web"))
    code, rest = screen.end()
    assert code == 1
    assert rest.split("\033[?1049l")[1].startswith("cgmigrate: show: /web: no such")


def test_watch_has_the_nodes(machine):
    words = [COMMAND, "show", "--sysroot", machine.path, "--nodes", "--watch=50ms"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        seen = [next(process.stdout).split() for _ in range(15)]
        process.send_signal(signal.SIGINT)
    assert seen.count(NODES) >= 1 and HEAD in seen


def test_watch_writes_no_json(run):
    assert "--watch: draws" in run.json("show", "--watch", code=2)["error"]["message"]


def test_watch_in_a_pipe(machine):
    with subprocess.Popen(
        [COMMAND, "show", "/web", "--watch=50ms", "--sysroot", machine.path],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        lines = [process.stdout.readline() for _ in range(6)]
        process.terminate()
        # Else it may die of a pipe that nobody reads any more.
        process.stdout.read()
    assert process.returncode == 0
    assert [line.split()[:1] for line in lines] == [["CGROUP"], ["/web"], []] * 2


# ---- many ----


CGROUPS, PROCESSES = 2000, 10000
SECONDS = 5


def paths(shape):
    """Cgroups side by side, or as those who run containers nest them."""
    if shape == "flat":
        return [f"/job{n}" for n in range(CGROUPS)]
    above = [f"/slice{n}" for n in range(4)]
    pods = [f"{path}/pod{n}" for path in above for n in range(25)]
    rest = CGROUPS - len(above) - len(pods)
    return above + pods + [f"{pods[n % len(pods)]}/box{n}" for n in range(rest)]


@pytest.fixture(scope="module", params=["flat", "nested"])
def crowd(request, tmp_path_factory):
    """2,000 cgroups with 10,000 processes, which are all alike."""
    tree = Tree(tmp_path_factory.mktemp(request.param))
    vmas = [("", {0: 200, 1: 50}, ""), ("/lib/libc.so", {1: 50}, "mapped=50 mapmax=9")]
    tree.process(1, "job", vmas, pss={"Anon": MIB, "File": 4 * KIB, "Shmem": 0})
    charged = {"anon": [100 * GIB, 0, 0, 0]}
    tree.charge("/", charged)
    tree.depths = sum(path.count("/") for path in paths(request.param))
    every = PROCESSES // CGROUPS
    for n, path in enumerate(paths(request.param)):
        pids = range(1000 + n * every, 1000 + (n + 1) * every)
        tree.cgroup(path, "0-1", charged=charged)
        procs = f"{tree.mount}{path}/cgroup.procs"
        tree.write(procs, "".join(f"{pid}\n" for pid in pids))
        for pid in pids:
            os.symlink("1", os.path.join(tree.path, f"proc/{pid}"))
    return tree


def opened(tree, *args):
    """The lines that are shown, and how often which file was opened."""
    log = os.path.join(tree.path, "opened")
    words = ["strace", "--seccomp-bpf", "-f", "-qq", "-o", log]
    result = Command(tree, [*words, "-e", "trace=openat,openat2"])("show", *args)
    assert result.returncode == 0, result
    names = collections.Counter()
    with open(log, encoding="utf-8") as file:
        names.update(re.findall(r'^\d+ +openat2?\(\w+, "([^"]*)"', file.read(), re.M))
    assert names["cgroup.procs"] >= CGROUPS, "it is seen what is opened"
    return result.stdout.splitlines()[1:], names


@pytest.mark.parametrize(
    "args, files",
    [
        ([], {"status"}),
        (["--all"], {"status"}),
        (["--by", "kind"], {"status"}),
        (["--by", "process"], {"status", "numa_maps", "maps", "smaps_rollup", "comm"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_thousands(crowd, args, files):
    """No file of a process is opened twice, and none that makes the kernel walk through
    its memory unless each is shown. How long that takes is the machine's matter."""
    lines, names = opened(crowd, *args)
    if "process" in args:  # each of a cgroup and of those below it
        assert len(lines) == PROCESSES // CGROUPS * crowd.depths
    else:
        assert len(lines) == CGROUPS + ("--all" in args)
    of_processes = {n: c for n, c in names.items() if re.match(r"proc/\d", n)}
    assert set(of_processes.values()) == {1}
    assert {name.split("/")[-1] for name in of_processes} == files
    assert len(of_processes) == len(files) * PROCESSES
    assert names.total() - len(of_processes) < 10 * CGROUPS


@pytest.mark.parametrize("args", [[], ["--all"], ["--by", "process"]], ids=" ".join)
def test_thousands_take_little_time(crowd, args):
    """Of the CPU, and with enough to spare for a machine that is many times slower."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert Command(crowd)("show", *args).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(f"show {' '.join(args)}: {used:.2f} s")
    assert used < SECONDS


@pytest.mark.parametrize(
    "by", [[], ["--by", "kind"], ["--by", "process"]], ids=" ".join
)
def test_what_is_read_once_counts_wherever_it_is_in(tmp_path, by):
    """Cgroups that are gone through have the same memory as each when it is named."""
    tree = Tree(tmp_path, memory=False)
    shared = ("/dev/shm/seg", {0: 25600}, "mapped=25600 mapmax=2")
    pools = ("/dev/hugepages/seg", {0: 6, 1: 2}, "huge")
    inside = {
        "/a": [20, 23],
        "/a-b": [30],
        "/a/b": [10, 31],
        "/a/b/c": [41],
        "/b": [12],
    }
    for path, pids in inside.items():
        tree.cgroup(path, "0-1", pids=pids)
        for pid in pids:
            vmas = [("", {pid % 3: pid}, ""), shared, *[pools] * (pid % 2)]
            part = {"Anon": pid * 4096, "File": 0, "Shmem": 50 * MIB}
            tree.process(pid, f"p{pid}", vmas, pss=part)
    rows = Command(tree).rows("show", "--all", *by)
    assert rows == Command(tree).rows("show", "/", *inside, *by)
    assert {row[0] for row in rows[1:]} == {"/", *inside}


def test_cgroup_beside_the_root_of_a_namespace(tmp_path):
    """/dbase is not below /db, though its name begins like that."""
    tree = Tree(tmp_path)
    tree.cgroup("/ase", "2")
    tree.process(7, "job", [("", {0: 100}, "")])
    mount = "24 21 0:22 /db /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    tree.write("proc/self/mountinfo", mount)
    tree.write("proc/7/cgroup", "0::/dbase\n")
    result = Command(tree)("show", "7")
    assert result.returncode == 1 and "its cgroup is not below" in result.stderr
    tree.write("proc/7/cgroup", "0::/db/ase\n")
    assert Command(tree)("show", "7").returncode == 0
