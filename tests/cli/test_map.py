# SPDX-License-Identifier: GPL-2.0
"""cgmigrate map: the picture on the terminal, as SVG and PNG, before and after."""

import json
import os
import pty
import re
import struct
import subprocess
import xml.etree.ElementTree as xml

import pytest

from conftest import COMMAND, Command
from tree import MIB

PAGES = MIB // 4096


@pytest.fixture
def big(machine):
    """64 MiB of heap on nodes 0 and 1, 32 MiB of a file on node 2, huge pages on 3."""
    machine.process(
        100,
        "httpd",
        [
            ("", {0: 48 * PAGES, 1: 16 * PAGES}, ""),
            ("/lib/libbig.so", {2: 32 * PAGES}, "mapped=1"),
            ("/anon_hugepage", {3: 16}, "huge anon=16"),
        ],
        allowed="0-1",
    )
    return machine


def blocks(text):
    """The rows of blocks, without their labels."""
    return [line[:64].rstrip() for line in text.splitlines()[2:]]


def test_blocks(big, run):
    result = run("map", "/web")
    assert result.returncode == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith("process 100 (httpd), allowed on 0-1; a block is 128.0K")
    assert "0 node 0: 48.0M" in lines[1] and "2 node 2*: 32.0M" in lines[1]
    assert lines[1].endswith("* not allowed there")
    assert (
        "".join(blocks(result.stdout)) == "0" * 384 + "1" * 128 + "2" * 256 + "3" * 256
    )
    labels = [line[64:].strip() for line in lines[2:] if line[64:].strip()]
    assert labels == ["anonymous", "/lib/libbig.so", "/anon_hugepage"]
    assert "\033" not in result.stdout


def on_terminal(*args, **environment):
    """What is written to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *map(str, args)],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **environment},
    ):
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            seen += part
    os.close(ours)
    return seen.decode()


def test_colour_only_on_a_terminal(big):
    text = on_terminal("map", "/web", "--sysroot", big.path)
    assert re.search("\033\\[48;5;\\d+m\033\\[38;5;16m0\033\\[0m", text)
    assert "\033" not in on_terminal("map", "/web", "--sysroot", big.path, NO_COLOR="1")


def test_the_largest_process_or_another(big, run):
    assert run.json("map", "/web")["pid"] == 100
    out = run.json("map", "/web", "--pid", 101)
    assert out["pid"] == 101 and out["process"] == "worker"
    assert run.json("map", 101)["pid"] == 101
    result = run("map", "/web", "--pid", 200)
    assert result.returncode == 1 and "/web: has no process 200" in result.stderr
    assert run("map", 101, "--pid", 100).returncode == 2
    big.cgroup("/empty", "0")
    assert "/empty: has no processes to draw" in run("map", "/empty").stderr


def test_json(big, run):
    out = run.json("map", "/web")
    assert out["allowed"] == "0-1" and out["exact"] is False and out["cgroup"] == "/web"
    assert out["bytes"] == {"0": 48 * MIB, "1": 16 * MIB, "2": 32 * MIB, "3": 32 * MIB}
    assert sum(map(sum, out["cells"])) == 128 * MIB
    assert all(sum(cell) == out["cell_bytes"] for cell in out["cells"])
    heap, lib, huge = out["vmas"]
    assert heap["kind"] == "anon" and heap["policy"] == "default" and heap["cell"] == 0
    assert lib["name"] == "/lib/libbig.so" and lib["cell"] == len(out["cells"]) // 2
    assert huge["kind"] == "hugetlb" and huge["page_size"] == 2 * MIB
    assert int(heap["end"], 16) - int(heap["start"], 16) == 0x40000000


def test_names_of_any_bytes(machine, run):
    machine.process(100, "caf\udce9", [("/tmp/x\udcff", {0: 10}, "mapped=1")])
    out = run.json("map", 100)
    assert out["vmas"][0]["name"] == "/tmp/x?" and out["process"] == "caf?"


def test_svg(big, run, tmp_path):
    big.process(100, "a<b&c", [("/x<&>.so", {0: 1024, 1: 1024}, "mapped=1")])
    file = tmp_path / "map.svg"
    result = run("map", 100, "--output", file)
    assert result.returncode == 0 and result.stdout == ""
    root = xml.parse(file).getroot()
    space = "{http://www.w3.org/2000/svg}"
    texts = [t.text for t in root.iter(f"{space}text")]
    assert "process 100 (a<b&c), allowed on 0-3; a block is 4.0K" in texts[0]
    assert "/x<&>.so" in texts
    drawn = [r for r in root.iter(f"{space}rect") if r.get("width") == "7"]
    assert len(drawn) == 2048
    assert len({r.get("fill") for r in drawn}) == 2
    width, height = float(root.get("width")), float(root.get("height"))
    for r in root.iter(f"{space}rect"):
        assert float(r.get("x")) + float(r.get("width")) <= width
        assert float(r.get("y")) + float(r.get("height")) <= height


def test_png(big, run, tmp_path):
    file = tmp_path / "map.png"
    assert run("map", "/web", "-o", file).returncode == 0
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 1000 and 100 < height < 1000


def test_before_and_after(big, run, tmp_path):
    before = tmp_path / "before.json"
    before.write_text(run("map", "/web", "-J").stdout)
    big.process(100, "httpd", [("", {2: 48 * PAGES, 3: 16 * PAGES}, "")], allowed="2-3")
    text = run("map", "/web", "--diff", before).stdout
    first, second = text.split("\nafter\n")
    assert first.startswith("before\n") and "node 0: 48.0M" in first
    assert "node 0: 0 " in second and "node 2: 48.0M" in second

    out = run.json("map", "/web", "--diff", before)
    assert out["bytes"]["2"] == 48 * MIB and out["before"]["bytes"]["0"] == 48 * MIB

    file = tmp_path / "diff.svg"
    assert run("map", "/web", "--diff", before, "-o", file).returncode == 0
    titles = [
        t.text
        for t in xml.parse(file).getroot().iter("{http://www.w3.org/2000/svg}text")
        if t.text.startswith("process")
    ]
    assert len(titles) == 2 and "allowed on 2-3" in titles[1]


def test_wrong_before(run, tmp_path):
    for text, words in (
        ("{", "expected near end of file"),
        ("{}", 'not what "cgmigrate map -J" writes'),
        (json.dumps({"command": "show"}), "not what"),
    ):
        file = tmp_path / "x.json"
        file.write_text(text)
        result = run("map", "/web", "--diff", file)
        assert result.returncode == 1 and f"--diff {file}: " in result.stderr
        assert words in result.stderr
    assert "nope.json" in run("map", "/web", "--diff", "/nope.json").stderr


def test_output_that_cannot_be_written(run):
    result = run("map", "/web", "-o", "/nope/x.png")
    assert result.returncode == 1 and "/nope/x.png: cannot write" in result.stderr


def test_ourselves():
    """Every page of a real process is looked up."""
    out = Command().json("map", os.getpid())
    assert out["exact"] is True or not out["cells"]
    assert any(vma["name"] == "[heap]" for vma in out["vmas"])


CLOSED = "cgmigrate: map: {0}: cannot look at its address space: {1}: {2}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="is not root, who can become another")
def test_somebody_elses_process():
    other = Command(prefix=["setpriv", "--reuid=65534", "--clear-groups"])
    result = other("map", os.getpid())
    file = f"/proc/{os.getpid()}/numa_maps"
    why = "Permission denied; CAP_SYS_PTRACE is missing"
    assert result.stderr == CLOSED.format(os.getpid(), file, why)
    assert result.returncode == 4 and result.stdout == ""


def test_pages_that_cannot_be_looked_at():
    file = f"/proc/{os.getpid()}/pagemap"
    # It is opened below the root, by a relative path.
    words = ["strace", "-qq", "-o", "/dev/null", "-P", file[1:], "-e", "trace=openat"]
    closed = Command(prefix=[*words, "-e", "inject=openat:error=EIO"])
    result = closed("map", os.getpid())
    assert result.stderr == CLOSED.format(os.getpid(), file, "Input/output error")
    assert result.returncode == 1 and result.stdout == ""


@pytest.mark.long
def test_memory_is_handled_right(big, tmp_path, valgrind):
    check = Command(big, [*valgrind, "--errors-for-leak-kinds=definite"])
    before = tmp_path / "b.json"
    before.write_text(Command(big)("map", "/web", "-J").stdout)
    for args in (
        ["/web"],
        ["/web", "-J", "--diff", before],
        [100, "-o", tmp_path / "x.svg"],
    ):
        assert check("map", *args).returncode == 0, args
