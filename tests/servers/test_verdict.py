# SPDX-License-Identifier: GPL-2.0
"""Tests of the verdict: nothing bad becomes good on its way to the summary."""

import json
import os
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

# The module lies beside this file.
import verdict  # noqa: E402

TAKEN = {"count": 10, "p50": 1.25, "p99": 20.0, "max": 30.5}
GUEST = {
    "why": [],
    "report": [],
    "servers": {
        "redis": {
            "idle": {"latency": TAKEN, "read": 5},
            "moved": {"latency": {**TAKEN, "max": 99.0}},
            "pages_moved": 77,
        },
        "stress-ng": {
            "idle": {"latency": {"count": 0}, "operations_a_second": {"vm": 4.5}}
        },
    },
    "moves": {"mems": {"done": 3}, "command": {"done": 2, "partial": 1}, "attach": {}},
}


def collect(tmp_path, guest, status):
    """The result of a guest that left this."""
    if guest is not None:
        (tmp_path / "guest.json").write_text(json.dumps(guest))
    options = types.SimpleNamespace(
        out=tmp_path, seed=1, kernel="engine", idle=30, moved=60
    )
    return verdict.collect(options, status)


def test_good(tmp_path):
    found = collect(tmp_path, GUEST, 0)
    assert found["good"] and verdict.summary(found)[0].startswith("good: ")


def test_what_the_guest_complains_of(tmp_path):
    found = collect(tmp_path, {**GUEST, "why": ["key 3 is lost"]}, 1)
    assert not found["good"] and found["why"] == ["key 3 is lost"]
    assert verdict.summary(found)[:2][0].startswith("FAILED: ")
    assert "key 3 is lost" in verdict.summary(found)


def test_a_kernel_that_complains(tmp_path):
    found = collect(tmp_path, GUEST, 255)
    assert not found["good"] and "the kernel complained" in found["why"][0]


def test_a_guest_that_died(tmp_path):
    found = collect(tmp_path, None, 124)
    assert not found["good"] and len(found["why"]) == 2
    assert verdict.summary(found)


def test_table(tmp_path):
    lines = verdict.summary(collect(tmp_path, GUEST, 0))
    words = [line.split() for line in lines]
    assert ["redis", "idle", "10", "1.2", "20.0", "30.5"] in words
    assert ["redis", "moved", "10", "1.2", "20.0", "99.0"] in words
    assert ["stress-ng", "idle", "operations/s:", "vm", "4.5"] in words
    assert "moves: mems 3 done; command 2 done, 1 partial; attach none" in lines
    assert "  redis: pages_moved 77; idle: read 5" in lines


def test_files(tmp_path):
    verdict.write(collect(tmp_path, GUEST, 0), tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["good"]
    assert (tmp_path / "summary.txt").read_text().startswith("good: ")
