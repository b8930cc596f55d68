# SPDX-License-Identifier: GPL-2.0
"""cgmigrate settle: which cgroups, how fast, how long."""

import json
import subprocess

import pytest

from conftest import COMMAND
from moving import PATIENCE, moves_end, wait_until
from tree import MIB

DB = "sys/fs/cgroup/db/cpuset.mems.migrate"


def planned(run, *args):
    out = run.json("settle", "--dry-run", *args)
    return {t["cgroup"]: t["stray"] for t in out["targets"]}


def test_all_that_have_strays(machine, run):
    assert planned(run, "--all") == {"/db": 8 * MIB}
    machine.cgroup("/web", "0-1", charged={"anon": [0, 100 * MIB, MIB, 0]})
    machine.cgroup("/other", charged={"anon": [0, MIB, 0, MIB]})
    assert planned(run, "--all") == {"/db": 8 * MIB, "/web": MIB}


def test_those_below_are_settled_with_it(machine, run):
    machine.cgroup("/db/sub", "2", charged={"anon": [8 * MIB, 0, MIB, 0]})
    machine.cgroup("/web/sub", "1", charged={"anon": [3 * MIB, 0, 0, 0]})
    machine.cgroup("/web/sub/deep", "1", charged={"anon": [MIB, 0, 0, 0]})
    assert planned(run, "--all") == {"/db": 8 * MIB, "/web/sub": 3 * MIB}


def test_nothing_to_do(machine, run):
    machine.charge("/db", {"anon": [0, 0, 310 * MIB, 0]})
    result = run("settle", "--all")
    assert result.returncode == 0 and result.stdout == "nothing to do\n"
    out = run.json("settle", "--all")
    assert out["state"] == "unchanged" and out["targets"] == []


@pytest.mark.parametrize(
    "args, words",
    [
        (["--all", "/db"], "--all: means every cgroup, and some are named"),
        (["/db", "--no-wait", "--timeout", "1"], "--timeout: means nothing with"),
        (["/db", "--cancel-on-timeout"], "--cancel-on-timeout: goes with --timeout"),
        (["/db", "--max-stall", "11s"], "--max-stall: at most 10s"),
        (["/db", "--rate", "fast"], "--rate fast: not a size"),
    ],
)
def test_wrong_usage(run, args, words):
    result = run("settle", *args)
    assert result.returncode == 2 and words in result.stderr


@pytest.mark.parametrize("which", ["/db", "--all"])
def test_rate_is_the_limit_while_it_moves(kernel, live, which):
    kernel.engine("/db", pending=1)
    assert live("settle", which, "--rate", "1M", "--no-wait").returncode == 0
    assert kernel.read(f"{DB}.settle") == "1"
    wait_until(lambda: kernel.read(f"{DB}.max") == str(MIB))
    moves_end(kernel, cgroup="/db")
    wait_until(lambda: kernel.read(f"{DB}.max") == "max")


def test_is_stopped_after_a_time(kernel, live):
    kernel.engine("/db", pending=1)
    result = live("settle", "/db", "--timeout", "100ms", "-J")
    assert result.returncode == 6 and kernel.read(f"{DB}.stop") == ""
    moves_end(kernel, cgroup="/db")
    id_ = json.loads(result.stdout)["job"]
    wait_until(lambda: live.json("report", id_)["jobs"][0]["state"] != "running")

    kernel.engine("/db", pending=1)
    args = ["/db", "--timeout", "100ms", "--cancel-on-timeout"]
    process = subprocess.Popen(
        [COMMAND, "settle", "--sysroot", kernel.path, "--write-sysroot", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: kernel.read(f"{DB}.stop") == "1")
    moves_end(kernel, "migrate_left 100\n", "/db")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 6


def test_memory_is_handled_right(memcheck):
    assert memcheck("settle", "--all", "--dry-run").returncode == 0
    assert memcheck("settle", "/nope").returncode == 1
