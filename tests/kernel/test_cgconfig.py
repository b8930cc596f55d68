# SPDX-License-Identifier: GPL-2.0
"""The samples of cgconfig.conf, loaded with the plugin while jobs run."""

import os

import pytest

from ktest import cpusets, machine
from ktest.machine import mib
from ktest.tools import SOURCE, Tools, run

pytestmark = [pytest.mark.defect("plugin"), pytest.mark.long]

SAMPLES = os.path.join(SOURCE, "libcgroup-plugin", "examples", "cgconfig")


@pytest.fixture(autouse=True)
def installed():
    if not os.path.exists("/usr/sbin/cgconfigparser"):
        pytest.skip("libcgroup's tools are not installed (Debian: cgroup-tools)")


@pytest.fixture
def load_sample(root, tmp_path):
    """Load a sample silently; its groups go when the test ends."""
    tools = Tools(tmp_path)

    def load(sample):
        record = tools.done("cgconfigparser", "-l", os.path.join(SAMPLES, sample))
        return {group["cgroup"]: group["after"] for group in record["groups"]}

    yield load
    for name in ("jobs", "database", "batch", "legacy"):
        cpuset = cpusets.Cpuset(root.version, os.path.join(root.path, name))
        if os.path.isdir(cpuset.path):
            cpuset.remove()


@pytest.fixture
def group(root):
    def find(name):
        return cpusets.Cpuset(root.version, os.path.join(root.path, name))

    return find


def assert_inside(load, nodes):
    """Every page is on one of the nodes, and all are used; contents are right."""
    assert set(load.where("anon")) == set(nodes)
    load.rest()
    load.verify()
    load("work", writers=1, verifiers=1, rest=500)


def start(spawn, cpuset, nodes):
    """A job whose memory is spread over nodes and being written."""
    load = spawn()
    load.alloc("anon", mib(16), nodes=nodes, stripe=16)
    cpuset.attach(load)
    load("work", writers=1, verifiers=1, rest=500)
    return load


@pytest.mark.v2only("the sample is for v2")
@pytest.mark.skipif(
    len(machine.memory_nodes()) < 8, reason="eight nodes with memory are needed"
)
def test_two_jobs_on_eight_nodes(spawn, load_sample, group):
    load_sample("hpc-day.conf")
    solver = start(spawn, group("jobs/solver"), range(4))
    analysis = start(spawn, group("jobs/analysis"), range(4, 8))
    assert_inside(solver, range(4))
    assert_inside(analysis, range(4, 8))

    after = load_sample("hpc-night.conf")
    assert after["/jobs/solver"]["nodes"] == "0-5"
    assert after["/jobs/analysis"]["nodes"] == "6-7"
    # Nodes that a set keeps keep their pages; it has grown for what comes.
    assert_inside(solver, range(4))
    assert_inside(analysis, (6, 7))

    after = load_sample("hpc-day.conf")
    assert after["/jobs/solver"]["nodes"] == "0-3"
    assert_inside(solver, range(4))
    assert_inside(analysis, (6, 7))


@pytest.mark.v2only("the sample is for v2")
def test_a_database_and_batch_jobs(spawn, load_sample, group):
    """Both ran all over the machine before."""
    load_sample("database.conf")
    database = start(spawn, group("database"), range(4))
    batch = start(spawn, group("batch"), range(4))
    assert_inside(database, (0, 1))
    assert_inside(batch, (2, 3))
    assert group("database").read("memory.low") == str(256 << 20)
    assert group("batch").read("cpu.weight") == "10"


@pytest.mark.parametrize(
    "sample",
    [
        "from-v1.conf",
        pytest.param(
            "to-v2.conf", marks=pytest.mark.v2only("the sample is converted to v2")
        ),
    ],
)
def test_a_configuration_written_for_v1(root, spawn, load_sample, group, sample):
    """Converted to v2, or as it is: there the tool alone stops, and cleans up."""
    path = os.path.join(SAMPLES, sample)
    if root.version == 2 and sample == "from-v1.conf":
        assert run("cgconfigparser", "-l", path).returncode != 0
        assert not os.path.exists(group("legacy").path)
    legacy = root.mkdir("legacy", mems="0-1")
    load = start(spawn, legacy, (0, 1))
    after = load_sample(sample)
    assert after["/legacy"]["nodes"] == "2-3"
    assert legacy.mems() == [2, 3]
    assert_inside(load, (2, 3))
    if sample == "to-v2.conf":
        assert run("cgconfigparser", "-l", path).returncode == 0
