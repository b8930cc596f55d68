# SPDX-License-Identifier: GPL-2.0
"""cgmigrate features on machines of every kind."""

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
