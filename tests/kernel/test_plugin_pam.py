# SPDX-License-Identifier: GPL-2.0
"""pam_cgroup, which opens libcgroup at run time, in a program with the plugin."""

import os

import pytest

from ktest import machine
from ktest.tools import COMMAND, Rules, Tools, outcome, run

pytestmark = pytest.mark.defect("plugin")

MODULE = "/lib/x86_64-linux-gnu/security/pam_cgroup.so"
SERVICE = "/etc/pam.d/runuser"


@pytest.fixture(autouse=True)
def installed():
    if not os.path.exists(MODULE):
        pytest.skip("pam_cgroup is not installed (Debian: libpam-cgroup)")
    if not os.access(COMMAND, os.X_OK):
        pytest.fail(f"{COMMAND} is missing: make tools")


@pytest.fixture
def session():
    """What runuser starts is in the group that a rule names."""
    before = machine.read(SERVICE)
    with open(SERVICE, "a", encoding="ascii") as file:
        file.write("session required pam_cgroup.so\n")
    yield
    with open(SERVICE, "w", encoding="ascii") as file:
        file.write(before)


@pytest.mark.long
@pytest.mark.usefixtures("session")
def test_a_session_of_pam(top, root, tmp_path):
    """Whoever opens it sees nothing of the plugin but its record."""
    cpuset = top.mkdir("a", mems="2-3")
    name = cpuset.path[len(root.path) + 1 :]
    tools = Tools(tmp_path)
    script = "id -un; cat /proc/self/cgroup; grep Mems_ /proc/self/status; exit 3"
    words = ("runuser", "-s", "/bin/sh", "nobody", "-c", script)
    with Rules(f"nobody cpuset {name}"):
        alone = run(*words)
        result = tools(*words)

    assert outcome(result) == outcome(alone)
    assert (result.returncode, result.stderr) == (3, "")
    assert result.stdout.startswith("nobody\n")
    assert f":/{name}\n" in result.stdout
    assert "Mems_allowed_list:\t2-3\n" in result.stdout
    (record,) = tools.records()
    assert record["tool"] == "runuser" and record["action"] == "process"
    assert record["function"].startswith("cgroup_change_cgroup_uid_gid")
    assert record["returned"] == 0
    assert record["after"]["cgroup"] == f"/{name}"
    assert cpuset.procs() == []
