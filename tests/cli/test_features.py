# SPDX-License-Identifier: GPL-2.0
"""cgmigrate features on machines of every kind."""

import ctypes.util

import pytest

from conftest import Command
from tree import Tree


def test_features(run):
    out = run.json("features")
    assert out["kernel"] == "6.12.117-test" and out["backend"] == "stock-v2"
    assert out["cpuset_version"] == 2 and out["memory_nodes"] == "0-3"
    assert out["features"]["numa"] is True and out["features"]["engine"] is False
    assert out["engine"] is None
    text = run("features").stdout
    assert "backend         stock-v2" in text
    assert all(len(line.split()) > 1 for line in text.splitlines())


def meaning(run, name):
    """Whether something is there, and what that means."""
    lines = [line.split(maxsplit=2) for line in run("features").stdout.splitlines()]
    (line,) = [line for line in lines if line[0] == name]
    known = run.json("features")["features"][name]
    assert line[1] == ("yes" if known else "no")
    return known, line[2]


def test_own_nodes(machine, run):
    text = run("features").stdout
    assert "own nodes       0-3  cgmigrate can move pages to each" in text
    machine.status("self", "cgmigrate", allowed="0-1")
    text = run("features").stdout
    assert "own nodes       0-1  to others cgmigrate cannot move pages itself" in text
    assert run.json("features")["own_nodes"] == "0-1"


def test_page_cache_that_can_be_given_back(machine, run):
    known, text = meaning(run, "memory_reclaim")
    assert not known and "--cache drop is refused" in text
    machine.write("sys/fs/cgroup/memory.reclaim", "")
    assert meaning(run, "memory_reclaim")[0]


def test_freezer(tmp_path, run):
    assert meaning(run, "freezer")[0]
    old = Tree(tmp_path / "v1", version=1)
    known, text = meaning(Command(old), "freezer")
    assert not known and "--freeze is refused" in text
    line = "27 21 0:25 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"
    old.write("proc/self/mountinfo", old.read("proc/self/mountinfo") + line)
    old.write("sys/fs/cgroup/freezer/freezer.state", "")
    assert meaning(Command(old), "freezer")[0]
    bare = Tree(tmp_path / "bare", version=0)
    assert not meaning(Command(bare), "freezer")[0]


def test_what_is_installed(run, machine):
    known, text = meaning(run, "plugin")
    assert known and text.startswith("cgmigrate run: ")
    library = ctypes.util.find_library("systemd")
    assert meaning(run, "libsystemd")[0] is bool(library)


def test_every_line_tells_what_it_means(machine, run):
    """Also of what is not there."""
    machine.status("self", "cgmigrate")
    for text in (run("features").stdout, Command()("features").stdout):
        lines = text.splitlines()
        assert lines[5].startswith("with memory  ")
        assert all(len(line.split()) > 4 for line in lines[6:]), text
    assert "see pagemap_pfn" in meaning(run, "cap_sys_admin")[1]


def test_features_of_the_engine(machine, run):
    machine.write("sys/kernel/mm/numa/migrate/max_stall_usec", "2000\n")
    out = run.json("features")
    assert out["backend"] == "engine-v2"
    assert out["engine"] == {
        "max_stall_usec": 2000,
        "workers": None,
        "exempt": None,
        "pagecache": None,
        "swap_fallback": None,
    }
    machine.write("sys/kernel/mm/numa/migrate/workers", "4\n")
    machine.write("sys/kernel/mm/numa/migrate/exempt", "1\n")
    machine.write("sys/kernel/mm/numa/migrate/pagecache", "1\n")
    machine.write("sys/kernel/mm/numa/migrate/swap_fallback", "0\n")
    out = run.json("features")["engine"]
    assert out["workers"] == 4 and out["exempt"] is True
    assert out["pagecache"] is True and out["swap_fallback"] is False
    text = run("features").stdout
    assert "max_stall_usec  2000 " in text and "swap_fallback   no " in text


def test_features_without_privilege(machine, run):
    machine.status("self", "cgmigrate", caps="0000000000000000")
    features = run.json("features")["features"]
    assert not features["cap_sys_nice"] and not features["pagemap_pfn"]
    assert "without CAP_SYS_NICE only unshared pages" in run("features").stdout


@pytest.mark.parametrize("engine", [False, True], ids=["stock", "engine"])
@pytest.mark.parametrize("version", [0, 1, 2])
def test_the_backend(tmp_path, version, engine):
    """Without cpusets there is nothing for the engine to work on."""
    tree = Tree(tmp_path, version=version, engine=engine)
    out = Command(tree).json("features")
    kind = "engine" if engine else "stock"
    wanted = f"{kind}-v{version}" if version else "move_pages"
    assert out["backend"] == wanted
    assert out["features"]["engine"] is engine
    assert out["cpuset_version"] == version
    assert out["cpuset_mount"] == (tree.mount if version else "")
    assert out["cgroups"] == (f"v{version}" if version else "none")
    assert out["features"]["memcg"] is (version == 2)
    text = Command(tree)("features").stdout
    mounted = f"v{version} at {tree.mount}" if version else "none mounted"
    assert f"cpusets         {mounted}\n" in text


@pytest.mark.parametrize("engine", [False, True], ids=["stock", "engine"])
def test_the_backend_of_hybrid_cgroups(tmp_path, engine):
    """Version 1 has the cpusets, and version 2 is mounted beside it."""
    tree = Tree(tmp_path, version=1, engine=engine)
    mounts = tree.read("proc/self/mountinfo")
    unified = "/sys/fs/cgroup/unified"
    line = f"27 21 0:25 / {unified} rw - cgroup2 cgroup2 rw\n"
    tree.write("proc/self/mountinfo", mounts + line)
    tree.write(f"{unified}/cgroup.controllers", "\n")
    out = Command(tree).json("features")
    assert out["cgroups"] == "hybrid" and out["cpuset_version"] == 1
    assert out["backend"] == ("engine-v1" if engine else "stock-v1")
    assert out["cpuset_mount"] == tree.mount
