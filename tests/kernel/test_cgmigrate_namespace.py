# SPDX-License-Identifier: GPL-2.0
"""cgmigrate in a container: a cgroup namespace, with a mount of its own or without."""

import json
import os
import subprocess

import pytest

from ktest import machine
from ktest.command import COMMAND, PATIENCE
from ktest.cpusets import wait_until
from ktest.machine import mib
from ktest.marks import later
from ktest.placement import misplaced

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command"),
    pytest.mark.alike,
]

# Makes the cgroup it is in the root of a namespace.
ENTER = 'echo $$ > "$0" && exec unshare -C -m sh -c "$1 exec sleep inf"'
WITHIN = 'echo $$ > "$0" && exec nsenter -C -m -t "$@"'
V2 = pytest.mark.v2only("a mount of cgroup2")
# The same file system is not mounted on itself.
MOUNT = "mount -t tmpfs none /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup;"


def test_in_a_user_namespace():
    """Its root may not move what others share, though it has all capabilities."""
    words = ["unshare", "-U", "-r", "-C", "-m", COMMAND, "features", "-J"]
    said = subprocess.run(words, capture_output=True, check=True)
    features = json.loads(said.stdout)["features"]
    assert features["cap_sys_admin"] and not features["cap_sys_nice"]
    assert features["move_pages"]


class Container:
    """A namespace whose root is a cgroup; what runs in it is in one below."""

    def __init__(self, top, mount):
        self.cpuset = top.mkdir("container", mems="0-3")
        self.mount = mount
        words = ["sh", "-c", ENTER, self.cpuset.file("procs"), mount]
        self.process = subprocess.Popen(words)
        comm = f"/proc/{self.process.pid}/comm"
        wait_until(lambda: machine.read(comm).strip() == "sleep", "the namespace")
        self.own = self.cpuset.mkdir("own", controlled=False)
        self.own.attach(self.process.pid)
        # Nobody is in it any more, so that those below can have the controller.
        self.cpuset.control()

    def run(self, *args):
        words = ["sh", "-c", WITHIN, self.own.file("procs"), str(self.process.pid)]
        return subprocess.run(
            [*words, "--", COMMAND, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def told(self, *args):
        result = self.run(*args, "-J")
        assert result.returncode == 0, result
        return json.loads(result.stdout)

    def name(self, cpuset, root):
        """By which it is known inside."""
        return cpuset.path[len((self.cpuset if self.mount else root).path) :]

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(params=[MOUNT, *later("")], ids=["own mount", "inherited mount"])
def container(request, top):
    made = Container(top, request.param)
    yield made
    made.end()


@pytest.fixture
def load(container, spawn):
    """A process with memory in a cgroup of the container."""
    cpuset = container.cpuset.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(8), nodes=(0, 1), stripe=16)
    return cpuset, load


@V2
def test_what_is_there(container, load, root):
    cpuset, load = load
    features = container.told("features")
    assert features["cpuset_version"] == 2
    assert features["cpuset_mount"] == "/sys/fs/cgroup"
    path = container.name(cpuset, root)
    for target in path, load.pid:
        (shown,) = container.told("show", target)["targets"]
        assert (shown["cgroup"], shown["mems"]) == (path, "0-1")
        total = shown["placement"]["total"]
        assert total >= mib(8) * machine.PAGE


@V2
@pytest.mark.parametrize("new", [[2, 3], [1, 2]], ids=["disjoint", "overlapping"])
def test_every_page_moves(container, load, root, new):
    """Those that may stay, too: the kernel alone would leave them where they are."""
    cpuset, load = load
    before = load.pages("anon")
    mems = machine.format_list(new)
    out = container.told("move", container.name(cpuset, root), "--to", mems)
    assert out["state"] == "done" and cpuset.mems() == new
    assert not misplaced(before, load.pages("anon"), [[0, 1], new])
    load.verify()


@V2
def test_a_process_moves(container, load, root):
    cpuset, load = load
    other = container.cpuset.mkdir("b", mems="1-2")
    before = load.pages("anon")
    out = container.told("move", load.pid, "--into", container.name(other, root))
    assert out["state"] == "done" and load.pid in other.procs()
    assert not misplaced(before, load.pages("anon"), [[0, 1], [1, 2]])
    assert container.told("move", load.pid, "--to", "0-3")["state"] == "done"
    assert other.mems() == [0, 1, 2, 3] and cpuset.mems() == [0, 1]


@V2
def test_what_is_outside(container, spawn, top, root):
    """With a mount of its own it is out of reach, and that is said."""
    outside = top.mkdir("outside", mems="0-1")
    load = spawn(outside)
    result = container.run("show", load.pid)
    if not container.mount:
        assert result.returncode == 0, result
        (shown,) = container.told("show", load.pid)["targets"]
        assert shown["cgroup"] == container.name(outside, root)
        return
    result = container.run("move", load.pid, "--to", "2-3")
    assert result.returncode != 0
    said = f"{load.pid}: its cgroup is outside of this cgroup namespace"
    assert said in result.stderr, result
    result = container.run("move", "/", "--to", "2-3")
    assert result.returncode == 4
    assert "the root of a cgroup namespace is changed from outside" in result.stderr
    assert os.path.exists(outside.path) and container.cpuset.mems() == [0, 1, 2, 3]
