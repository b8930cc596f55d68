# SPDX-License-Identifier: GPL-2.0
"""cgmigrate in a cgroup namespace, with a hierarchy mounted outside of it or inside."""

import pytest
from conftest import Command
from tree import Tree


@pytest.fixture
def inherited(tmp_path):
    """The root of the namespace is /box, which nothing tells."""
    tree = Tree(tmp_path)
    mounts = tree.read("proc/self/mountinfo")
    tree.write("proc/self/mountinfo", mounts.replace("0:22 / ", "0:22 /.. "))
    tree.cgroup("/box", "0-3")
    tree.cgroup("/box/web", "0-1", pids=[100])
    tree.cgroup("/other", "0-1", pids=[101])
    for pid in (100, 101):
        tree.process(pid, "one", [("", {0: 256}, "")])
    tree.write("proc/100/cgroup", "0::/web\n")
    tree.write("proc/101/cgroup", "0::/../other\n")
    return Command(tree, write=True)


@pytest.mark.parametrize("pid, path", [(100, "/box/web"), (101, "/other")])
def test_processes_are_found(inherited, pid, path):
    (shown,) = inherited.json("show", str(pid))["targets"]
    assert shown["cgroup"] == path


def test_one_that_is_nowhere(inherited):
    tree = inherited.tree
    tree.process(102, "far", [("", {0: 256}, "")])
    tree.write("proc/102/cgroup", "0::/../../far\n")
    result = inherited("move", "102", "--to", "2")
    assert result.returncode != 0
    assert "102: is in no cgroup below /sys/fs/cgroup" in result.stderr


def test_outside_of_a_namespace_with_a_mount_of_its_own(machine, run):
    machine.process(102, "far", [("", {0: 256}, "")])
    machine.write("proc/102/cgroup", "0::/../far\n")
    result = run("move", "102", "--to", "2")
    assert result.returncode != 0
    assert "102: its cgroup is outside of this cgroup namespace" in result.stderr
