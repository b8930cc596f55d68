# SPDX-License-Identifier: GPL-2.0
"""Tests of the cgmigrate command that need no NUMA and change nothing."""

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import tempfile

import jsonschema
import pytest

from moving import start
from tree import MIB, Tree

BUILD = os.environ.get("CPUSET_MIGRATE_BUILD") or os.path.join(
    os.path.dirname(__file__), "..", "..", "build"
)
COMMAND = os.path.abspath(os.path.join(BUILD, "bin", "cgmigrate"))
SCHEMA = os.path.join(
    os.path.dirname(__file__), "..", "..", "Documentation", "cgmigrate.schema.json"
)
with open(SCHEMA, encoding="utf-8") as file:
    VALIDATOR = jsonschema.Draft202012Validator(json.load(file))


def pytest_configure():
    """Other sessions of pytest close to other users the folder that they share."""
    folder = tempfile.mkdtemp(prefix="cpuset-migrate-")
    os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
    # After what pytest does there at the end, since it is registered before.
    atexit.register(shutil.rmtree, folder)


def pytest_sessionstart():
    # By nohup it is ignored, and so it would be by all that is started here.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not os.access(COMMAND, os.X_OK):
        pytest.exit(f"{COMMAND} is missing: make tools", returncode=4)


class Command:
    """Runs cgmigrate on a tree, or on this machine where the tree is None."""

    def __init__(self, tree=None, prefix=(), write=False):
        self.tree = tree
        self.write = ["--write-sysroot"] if write else []
        self.prefix = list(prefix)

    def __call__(self, verb, *args, **more):
        root = ["--sysroot", self.tree.path] if self.tree else []
        return subprocess.run(
            [*self.prefix, COMMAND, verb, *root, *self.write, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    def json(self, *args, code=0):
        """What the command says with -J; it has to exit with the code."""
        result = self(*args, "-J")
        assert result.returncode == code, result
        assert result.stderr == ""
        out = json.loads(result.stdout)
        VALIDATOR.validate(out)
        return out

    def rows(self, *args):
        """The words of a table, line by line, with sizes in bytes."""
        result = self(*args, "--raw")
        assert result.returncode == 0, result
        return [line.split() for line in result.stdout.splitlines()]


def failing(tree, name, call, error="EACCES", when="1+"):
    """Runs the command with a system call that fails; name: for this file only."""
    words = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    words += ["-e", f"inject={call}:error={error}:when={when}"]
    if name:
        words += ["-P", os.path.join(tree.path, name)]
    return Command(tree, words, True)


def unwritable(tree, name):
    """Runs the command on a tree with a file that nobody may write to."""
    return failing(tree, name, "write")


@pytest.fixture
def empty(tmp_path):
    """A machine of four nodes without cgroups of anybody."""
    return Tree(tmp_path)


@pytest.fixture
def machine(empty):
    """Four nodes; /web on 0-1, /db on 2-3 with strays, /idle without a cpuset."""
    mib = [n * MIB for n in (100, 60, 0, 0)]
    empty.cgroup("/web", "0-1", pids=[100, 101], charged={"anon": mib})
    empty.process(100, "httpd", [("", {0: 20000, 1: 10000}, "")])
    empty.process(101, "worker", [("", {0: 5600, 1: 5360}, "")])
    empty.cgroup(
        "/db",
        "2-3",
        pids=[200],
        charged={
            "anon": [8 * MIB, 0, 200 * MIB, 100 * MIB],
            "file": [0, 0, 10 * MIB, 0],
            "shmem": [0, 0, 0, 20 * MIB],
            "kernel_stack": [16384, 0, 0, 0],
        },
    )
    empty.process(200, "postgres", [("", {0: 2048, 2: 51200, 3: 25600}, "")])
    empty.cgroup("/idle", pids=[300], charged={"anon": [MIB, 0, 0, 0]})
    empty.process(300, "sleep", [("", {0: 256}, "")])
    return empty


@pytest.fixture
def run(machine):
    return Command(machine)


@pytest.fixture
def kernel(machine):
    """The same machine with the engine; the test plays the kernel."""
    machine.has_engine()
    for path in ("/web", "/db"):
        machine.engine(path)
    return machine


@pytest.fixture
def live(kernel):
    """Runs the command on a tree that it may write to."""
    return Command(kernel, write=True)


@pytest.fixture
def waiting(kernel):
    """Start commands that wait, for moves of /web, until the test ends."""
    processes = []

    def one(verb, *args, prefix=(), **streams):
        processes.append(start([*prefix, COMMAND, verb], kernel, *args, **streams))
        return processes[-1]

    yield one
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def begin(waiting):
    """Start moves of /web that end with the test: begin("--to", "2-3")."""
    return functools.partial(waiting, "move", "/web")


@pytest.fixture
def valgrind():
    """The words that go before a command whose memory is to be checked."""
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    return ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full"]


@pytest.fixture
def memcheck(machine, valgrind):
    return Command(machine, valgrind)
