# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --rate with the engine: real limits on real moves."""

import json
import time

import pytest

from ktest.command import cgmigrate, end, start, told, wait_for_start
from ktest.cpusets import wait_until
from ktest.machine import mib

MIB = 1 << 20

pytestmark = pytest.mark.usefixtures("command")


@pytest.fixture
def job(top, spawn):
    """A cpuset on nodes 0-1 and a process in it with 8 MiB there."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=(0, 1))
    return cpuset, load


def test_never_faster(job, name):
    cpuset, load = job
    out = told("move", name(cpuset), "--to", "2-3", "--rate", "4M")
    result = out["result"]
    # What a tenth of a second may have saved up goes at once.
    seconds = result["elapsed_usec"] / 1e6 + 0.1
    assert 8 * MIB <= result["totals"]["moved"] <= 4 * MIB * seconds + 4096
    assert load.where("anon") == {2: mib(4), 3: mib(4)}
    assert cpuset.read("max") == "max"
    load.verify()


@pytest.mark.long
def test_into_is_limited_where_it_goes(job, top, name):
    cpuset, load = job
    other = top.mkdir("b", mems="2-3")
    other.write("max", "9M")
    out = told("move", load.pid, "--into", name(other), "--rate", "4M")
    seconds = out["result"]["elapsed_usec"] / 1e6 + 0.1
    assert out["result"]["totals"]["moved"] <= 4 * MIB * seconds + 4096
    assert cpuset.read("max") == "max" and other.read("max") == str(9 * MIB)
    assert load.where("anon") == {2: mib(4), 3: mib(4)}


@pytest.mark.long
@pytest.mark.parametrize("how, code", [("--no-wait", 0), ("--timeout=300ms", 6)])
def test_goes_on_when_the_command_leaves(job, name, how, code):
    cpuset, load = job
    told("move", name(cpuset), "--to", "2-3", "--rate", "4M", how, code=code)
    assert cpuset.stat()["migrate_pending"] and cpuset.read("max") == str(4 * MIB)
    assert cgmigrate("wait", name(cpuset)).returncode == 0
    wait_until(lambda: cpuset.read("max") == "max", "the limit to be put back")
    assert load.where("anon") == {2: mib(4), 3: mib(4)}


@pytest.mark.long
def test_killed(job, name):
    """The kernel goes on at that rate; who comes next puts the limit back."""
    cpuset, load = job
    process = start("move", name(cpuset), "--to", "2-3", "--rate", "2M")
    wait_for_start(cpuset, True)
    process.kill()
    end(process)
    assert cpuset.read("max") == str(2 * MIB)
    assert cgmigrate("wait", name(cpuset)).returncode == 0
    assert cpuset.read("max") == "max"
    assert load.where("anon") == {2: mib(4), 3: mib(4)}
    load.verify()


@pytest.mark.long
def test_changed_meanwhile(job, name):
    cpuset, load = job
    process = start("move", name(cpuset), "--to", "2-3", "--rate", "4096", "-J")
    wait_for_start(cpuset, True)
    time.sleep(0.5)
    assert cpuset.stat()["migrate_pending"]
    assert told("limit", name(cpuset), "--rate", "64M")["changed"]
    code, text, _ = end(process)
    assert code == 0
    assert "which stays" in json.loads(text)["result"]["notes"][0]
    assert cpuset.read("max") == str(64 * MIB)
    assert load.where("anon") == {2: mib(4), 3: mib(4)}
