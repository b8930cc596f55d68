# SPDX-License-Identifier: GPL-2.0
"""The packages on a system that has seen nothing of ours: install, use, remove, purge.

The tests build on each other, in the order in which they stand here.
"""

import json
import os
import shutil

import jsonschema
import pytest

from conftest import NAMES
from tree import MIB, Tree

pytestmark = pytest.mark.timeout(1800)

PROGRAM = os.path.join(os.path.dirname(__file__), "program.c")
OURS = ("cgmigrate", "cpuset-migrate")


@pytest.fixture(scope="module")
def before(root):
    """What there is before."""
    return root.files()


@pytest.fixture(scope="module")
def installed(root, before, packages):
    """The system with all packages, and what they need, from its own archive."""
    assert before
    folder = root.file("/tmp/debs")
    os.makedirs(folder)
    for path in packages.debs.values():
        shutil.copy(path, folder)
    files = [f"/tmp/debs/{name}" for name in os.listdir(folder)]
    install = ["apt-get", "install", "-y", "--no-install-recommends", *files]
    root.succeeds(*install)
    return root


@pytest.fixture(scope="module")
def triplet(root):
    """As in the names of its folders."""
    return root.succeeds("gcc", "-dumpmachine").strip()


def states(root):
    """What dpkg knows of our packages: {name: state}."""
    listed = root.succeeds("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n")
    pairs = (line.split() for line in listed.splitlines())
    return {name: state for name, state in pairs if any(o in name for o in OURS)}


def test_they_are_installed(installed):
    assert states(installed) == dict.fromkeys(NAMES, "installed")
    assert installed.succeeds("dpkg", "--verify", *NAMES) == ""
    assert installed.succeeds("dpkg", "--audit") == ""


def test_the_command_runs(installed, packages):
    version = installed.succeeds("cgmigrate", "--version")
    upstream = packages.field("cgmigrate", "Version").split("+")[0]
    assert version == f"cgmigrate {upstream}\n"


def test_it_looks_at_the_machine(installed):
    said = json.loads(installed.succeeds("cgmigrate", "features", "-J"))
    assert said["kernel"] == os.uname().release
    assert said["features"]["engine"] is os.path.exists("/sys/kernel/mm/numa/migrate")


def test_it_looks_at_a_recorded_machine(installed):
    tree = Tree(installed.file("/tmp/machine"))
    charged = {"anon": [100 * MIB, 60 * MIB, 0, 0]}
    tree.cgroup("/web", "0-1", pids=[100], charged=charged)
    tree.process(100, "httpd", [("", {0: 25600, 1: 15360}, "")])
    show = ["cgmigrate", "show", "--sysroot", "/tmp/machine"]
    rows = installed.succeeds(*show, "--raw").splitlines()
    cells = ["/web", "0-1", 160 * MIB, 100 * MIB, 60 * MIB, 0, 0, 0]
    assert rows[1].split() == [str(cell) for cell in cells]
    shown = json.loads(installed.succeeds(*show, "-J"))
    schema = installed.file("/usr/share/cgmigrate/cgmigrate.schema.json")
    with open(schema, encoding="utf-8") as file:
        jsonschema.validate(shown, json.load(file))


def test_a_program_is_built(installed, packages):
    """With nothing there but the package and a compiler."""
    shutil.copy(PROGRAM, installed.file("/tmp/program.c"))
    build = "cc -Wall -Wextra -Werror -o /tmp/program /tmp/program.c"
    build += " $(pkg-config --cflags --libs libcgmigrate)"
    installed.succeeds("sh", "-ec", build)
    upstream = packages.field("libcgmigrate-dev", "Version").split("+")[0]
    assert installed.succeeds("/tmp/program") == f"{upstream} 3\n"


@pytest.mark.parametrize("example", ["where", "follow"])
def test_the_examples_are_built(installed, example):
    source = f"/usr/share/doc/libcgmigrate-dev/examples/{example}.c"
    build = f"cc -o /tmp/{example} {source} $(pkg-config --cflags --libs libcgmigrate)"
    installed.succeeds("sh", "-ec", build)


def test_the_plugin_is_found_and_can_be_loaded(installed, triplet):
    """The loader complains of an object that it cannot preload."""
    ran = installed.run("cgmigrate", "run", "--", "env")
    assert ran.returncode == 0
    assert ran.stderr == ""
    plugin = f"/usr/lib/{triplet}/cgmigrate/libcgroup-cgmigrate.so"
    assert f"LD_PRELOAD={plugin}\n" in ran.stdout
    core = plugin.replace(".so", "-core.so")
    listed = installed.succeeds("ldd", core)
    assert "libcgmigrate.so.1 => /" in listed
    assert "not found" not in listed


def test_the_drop_in_names_the_plugin(installed, triplet):
    path = "/usr/lib/systemd/system/cgred.service.d/cgmigrate.conf"
    with open(installed.file(path), encoding="ascii") as file:
        text = file.read()
    assert f"LD_PRELOAD=/usr/lib/{triplet}/cgmigrate/libcgroup-cgmigrate.so\n" in text


def test_removed_it_remembers(installed):
    """What apply wrote down is there when the command comes back."""
    for folder in ("/run/cgmigrate", "/var/lib/cgmigrate"):
        os.mkdir(installed.file(folder))
    journal = installed.file("/var/lib/cgmigrate/apply.json")
    with open(journal, "w", encoding="ascii") as file:
        file.write("{}\n")
    installed.succeeds("apt-get", "remove", "-y", "cgmigrate")
    assert os.path.exists(journal)
    assert not os.path.exists(installed.file("/usr/bin/cgmigrate"))


def test_purged_nothing_stays(installed, before):
    installed.succeeds("apt-get", "purge", "-y", "--autoremove", *NAMES)
    assert states(installed) == {}
    after = installed.files()
    assert {p: after[p] for p in after if before.get(p) != after[p]} == {}
    assert [path for path in before if path not in after] == []
    info = os.listdir(installed.file("/var/lib/dpkg/info"))
    assert [name for name in info if any(o in name for o in OURS)] == []
