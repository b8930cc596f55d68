# SPDX-License-Identifier: GPL-2.0
"""cgmigrate features: what it tells of this machine is true."""

import json
import os

import pytest

from ktest import machine
from ktest.command import COMMAND
from ktest.cpusets import find_hierarchy
from ktest.tools import run

pytestmark = [pytest.mark.defect("command"), pytest.mark.usefixtures("command")]

NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")
# Root, with what it may do taken away; files of root's it still opens.
BARE_ROOT = ("--bounding-set=-all", "--inh-caps=-all")
CAPABILITIES = ("cap_sys_nice", "cap_sys_ptrace", "cap_sys_admin")
ALWAYS = ("numa", "move_pages", "migrate_pages", "pagemap_scan")


def features(*prefix):
    result = run(*prefix, COMMAND, "features", "-J")
    assert (result.returncode, result.stderr) == (0, ""), result
    return json.loads(result.stdout)


def test_the_kernel_and_its_cpusets(engine):
    out = features()
    version, mount = find_hierarchy()
    assert (out["cpuset_version"], out["cpuset_mount"]) == (version, mount)
    assert out["backend"] == f"{'engine' if engine else 'stock'}-v{version}"
    assert out["features"]["engine"] == engine
    assert out["kernel"] == os.uname().release


def test_the_mode_of_the_cgroups():
    mounts = machine.read("/proc/self/mountinfo")
    kinds = {1: " - cgroup ", 2: " - cgroup2 "}
    found = [version for version, kind in kinds.items() if kind in mounts]
    mode = "hybrid" if len(found) == 2 else f"v{found[0]}"
    assert features()["cgroups"] == mode


def test_the_nodes():
    out = features()
    assert machine.parse_list(out["memory_nodes"]) == machine.memory_nodes()
    online = machine.parse_list(machine.read(f"{machine.NODE}/online"))
    assert machine.parse_list(out["nodes"]) == online
    assert machine.parse_list(out["own_nodes"]) == machine.mems_allowed("self")


def test_root_may_do_everything(root):
    found = features()["features"]
    named = (*ALWAYS, *CAPABILITIES, "pagemap_pfn", "kpageflags")
    assert {key: found[key] for key in named} == dict.fromkeys(named, True)
    assert found["systemd"] == os.path.isdir("/run/systemd/system")
    unified = root.version == 2 and "memory" in root.read("cgroup.controllers").split()
    assert found["memcg"] == unified


@pytest.mark.parametrize("how", [NOBODY, BARE_ROOT], ids=["nobody", "bare root"])
def test_without_capabilities(engine, how):
    """What cannot be done is told, and nothing of the machine is any different."""
    out, whole = features("setpriv", *how), features()
    lost = {*CAPABILITIES, "pagemap_pfn"}
    if how == NOBODY:
        lost.add("kpageflags")
    wanted = {key: yes and key not in lost for key, yes in whole["features"].items()}
    assert out["features"] == wanted
    assert out["backend"] == whole["backend"]
    assert out["features"]["engine"] == engine
