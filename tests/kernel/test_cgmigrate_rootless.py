# SPDX-License-Identifier: GPL-2.0
"""cgmigrate as root of a container that nobody has started: root to itself only."""

import json
import subprocess

import pytest

from ktest import machine
from ktest.command import assert_adds_up, cgmigrate, told
from ktest.cpusets import wait_until
from ktest.delegation import THEIRS, delegate, make_his
from ktest.machine import mib
from ktest.marks import later
from ktest.placement import assert_placed

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command"),
    pytest.mark.v2only("a v1 hierarchy is not delegated"),
    pytest.mark.alike,
]

# All but processes and the network are its own; so is /run, as in any container.
ENTER = """read -r go && exec unshare -U -r -C -m sh -c '
    mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup &&
    mount -t tmpfs none /run && exec sleep inf'"""


class Container:
    """Its cgroup is the root of its namespace, and all below is nobody's."""

    def __init__(self, top):
        self.cpuset = top.mkdir("container", mems="0-3")
        words = [*THEIRS, "sh", "-c", ENTER]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True)
        self.cpuset.attach(self.process.pid)
        self.process.stdin.write("go\n")
        self.process.stdin.close()
        comm = f"/proc/{self.process.pid}/comm"
        wait_until(lambda: machine.read(comm).strip() == "sleep", "the namespace")
        own = self.cpuset.mkdir("own", controlled=False)
        own.attach(self.process.pid)
        # Nobody is in it any more, so that those below can have the controller.
        delegate(self.cpuset)

    def inside(self):
        """What goes before a command; who runs it is nobody."""
        names = ["nsenter", "-U", "-C", "-m", "--preserve-credentials"]
        return [*THEIRS, *names, "-t", str(self.process.pid), "--"]

    def name(self, cpuset):
        return cpuset.path[len(self.cpuset.path) :]

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def container(top):
    made = Container(top)
    yield made
    made.end()


@pytest.fixture
def inside(container):
    """Run the command in there, and read what it says."""
    before = container.inside()
    return lambda *args, **more: told(*args, before=before, **more)


@pytest.fixture
def job(container, spawn):
    """A process of the container's on nodes 0 and 1, that works on its memory."""
    cpuset = make_his(container.cpuset, "a", "0-1")
    load = spawn(cpuset, prefix=container.inside())
    load.alloc("anon", mib(8), nodes=(0, 1), stripe=16)
    load.alloc("shmem", mib(4), kind="shared", nodes=(0, 1), stripe=16)
    load("work", writers=1, verifiers=1, rest=500)
    return cpuset, load


def placed(load):
    return {region: load.pages(region) for region in ("anon", "shmem")}


def test_what_it_may(container, engine):
    result = cgmigrate("features", "-J", before=container.inside())
    out = json.loads(result.stdout)
    assert (out["cpuset_version"], out["cpuset_mount"]) == (2, "/sys/fs/cgroup")
    features = out["features"]
    assert features["engine"] == engine and features["move_pages"]
    assert features["cap_sys_admin"] and not features["cap_sys_nice"]


@pytest.mark.parametrize(
    "new", [[2, 3], *later([1, 2])], ids=["disjoint", "overlapping"]
)
def test_every_page_moves(container, job, engine, new):
    cpuset, load = job
    before = placed(load)
    to = container.name(cpuset), "--to", machine.format_list(new)

    result = cgmigrate("move", *to, "-J", before=container.inside())

    # The code of libraries is everybody's: on stock it may stay on node 1.
    assert result.returncode in ((0,) if engine else (0, 3)), result
    assert_adds_up(json.loads(result.stdout))
    assert cpuset.mems() == new
    assert_placed(load, before, [[0, 1], new])


def test_a_process_moves(container, inside, job):
    cpuset, load = job
    other = make_his(container.cpuset, "b", "2-3")
    before = placed(load)

    out = inside("move", load.pid, "--into", container.name(other))

    assert out["state"] == "done" and cpuset.procs() == []
    assert load.pid in other.procs()
    assert_placed(load, before, [[0, 1], [2, 3]])


def test_who_is_not_of_its_namespace(container, inside, spawn):
    """Of the same user, and where it may write the nodes; but it cannot look."""
    cpuset = make_his(container.cpuset, "a", "0-1")
    load = spawn(cpuset, prefix=THEIRS)
    load.alloc("anon", mib(8), nodes=(0, 1))

    out = inside("move", container.name(cpuset), "--to", "2-3")

    assert cpuset.mems() == [2, 3] and set(load.where("anon")) <= {2, 3}
    said = [note["message"] for note in out["notes"]]
    assert any("1 process belongs to somebody else" in text for text in said), said
    load.verify()


def test_what_is_not_its_own(container, top, spawn):
    """A process elsewhere stays, and so do the nodes that the container has."""
    outside = top.mkdir("outside", mems="0-1")
    load = spawn(outside, prefix=THEIRS)
    load.alloc("anon", mib(1), nodes=(0, 1))
    for target, said in (
        (load.pid, f"{load.pid}: its cgroup is outside of this cgroup namespace"),
        ("/", "the root of a cgroup namespace is changed from outside"),
    ):
        result = cgmigrate("move", target, "--to", "2-3", before=container.inside())
        assert result.returncode != 0 and said in result.stderr, result
    assert outside.mems() == [0, 1] and container.cpuset.mems() == [0, 1, 2, 3]
    assert set(load.where("anon")) == {0, 1}
