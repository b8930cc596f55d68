# SPDX-License-Identifier: GPL-2.0
"""Whose memory it is that a move left behind."""

import json

import pytest

from conftest import Command
from moving import PATIENCE, moves_end, written
from tree import KIB, MIB

PAGES = MIB // (4 * KIB)


def stay(kernel, begin, *args, left="migrate_fail_pinned 512\n", end=None):
    """A move of /web to nodes 2-3 that leaves something, and what it says."""
    move = begin("--to", "2-3", *args)
    written(kernel, "2-3")
    kernel.cgroup("/web", "2-3", pids=[100, 101], charged={"anon": [2 * MIB, 0, 0, 0]})
    (end or pinned)(kernel)
    moves_end(kernel, left)
    out, err = move.communicate(timeout=PATIENCE)
    assert move.returncode == 3, out + err
    return out


def pinned(kernel):
    kernel.process(
        100,
        "httpd",
        [
            ("", {0: PAGES, 2: 20000}, ""),
            ("", {0: 4 * PAGES, 2: PAGES}, ""),
            ("", {2: 30000}, ""),
            ("/dev/shm/seg", {1: 2 * PAGES}, "mapped=512"),
        ],
        allowed="2-3",
    )
    kernel.process(101, "worker", [("", {1: PAGES // 2}, "")], allowed="2-3")


def test_processes_and_their_mappings_largest_first(kernel, begin):
    out = json.loads(stay(kernel, begin, "-J"))
    assert out["state"] == "partial"
    owners = out["result"]["owners"]
    assert [(o["pid"], o["command"], o["bytes"]) for o in owners] == [
        (100, "httpd", 5 * MIB),
        (101, "worker", MIB // 2),
    ], "shared memory is not what stayed"
    assert owners[0]["vmas"] == [
        {"start": "7f0040000000", "name": "", "kind": "anon", "bytes": 4 * MIB},
        {"start": "7f0000000000", "name": "", "kind": "anon", "bytes": MIB},
    ]


def test_in_words_and_in_the_report(kernel, live, begin):
    lines = stay(kernel, begin).splitlines()
    at = lines.index("mostly of:")
    assert [line.split() for line in lines[at + 1 : at + 6]] == [
        ["100", "httpd", "5.0M"],
        ["7f0040000000", "anon", "4.0M", "-"],
        ["7f0000000000", "anon", "1.0M", "-"],
        ["101", "worker", "512.0K"],
        ["7f0000000000", "anon", "512.0K", "-"],
    ]
    told = live("report", "j1").stdout.splitlines()
    assert told[told.index("mostly of:") + 1] == lines[at + 1]


def test_five_processes_with_three_mappings(kernel, begin):
    def many(machine):
        pids = range(400, 407)
        machine.cgroup("/web", "2-3", pids=pids, charged={"anon": [MIB, 0, 0, 0]})
        for pid in pids:
            vmas = [("", {0: n + pid}, "") for n in range(4)]
            machine.process(pid, "one", vmas, allowed="2-3")

    owners = json.loads(stay(kernel, begin, "-J", end=many))["result"]["owners"]
    assert [owner["pid"] for owner in owners] == [406, 405, 404, 403, 402]
    assert [v["bytes"] for v in owners[0]["vmas"]] == [
        (406 + n) * 4 * KIB for n in (3, 2, 1)
    ]


def test_kinds_that_are_not_known_are_all_meant(kernel, begin):
    """Nothing is charged outside, so the kernel's count has no kind."""

    def elsewhere(machine):
        pinned(machine)
        machine.charge("/web", {"anon": [0, 0, 200 * MIB, 0]})

    out = json.loads(stay(kernel, begin, "-J", end=elsewhere))
    (row,) = [r for r in out["targets"][0]["rows"] if r["reason"] == "fail_pinned"]
    assert row["kind"] is None
    names = [vma["name"] for vma in out["result"]["owners"][0]["vmas"]]
    assert names == ["", "/dev/shm/seg", ""]


def test_processes_that_have_exited_own_nothing(kernel, begin):
    def gone(machine):
        machine.cgroup("/web", "2-3", charged={"anon": [2 * MIB, 0, 0, 0]})

    text = stay(kernel, begin, end=gone)
    assert "fail_pinned" in text and "mostly of" not in text


def test_a_move_that_is_done_names_nobody(kernel, begin):
    move = begin("--to", "2-3", "-J")
    written(kernel, "2-3")
    moves_end(kernel)
    out, _ = move.communicate(timeout=PATIENCE)
    assert move.returncode == 0
    assert "owners" not in json.loads(out)["result"]


@pytest.mark.parametrize("name", [b"caf\xc3\xa9", b"caf\xe9"])
def test_names_of_any_bytes(kernel, live, begin, name):
    def named(machine):
        text = name.decode(errors="surrogateescape")
        machine.process(100, "httpd", [(f"/dev/shm/{text}", {0: PAGES}, "anon=256")])
        machine.cgroup("/web", "2-3", pids=[100], charged={"anon": [MIB, 0, 0, 0]})

    stay(kernel, begin, "-J", end=named)
    (job,) = Command(live.tree).json("report", "j1")["jobs"]
    (vma,) = job["result"]["owners"][0]["vmas"]
    assert vma["name"].startswith("/dev/shm/caf") and vma["kind"] == "anon"
