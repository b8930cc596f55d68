# SPDX-License-Identifier: GPL-2.0
"""The plugin and tools that run with more rights than their user."""

import os
import shutil
import struct
import tempfile

import pytest

from ktest.machine import mib
from ktest.tools import COMMAND, NOBODY, PLUGIN, preloaded, run

pytestmark = [
    pytest.mark.defect("plugin"),
    pytest.mark.usefixtures("cgroup_tools"),
    pytest.mark.alike,
]

GROUP = 4242
# As setcap cap_dac_override+ep writes it: its revision and that it is in effect; what
# is permitted and what is inherited, two words each.
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 1, 0, 0, 0)


@pytest.fixture
def pair(top, spawn):
    """A cpuset, and a process with memory in it."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=(0, 1))
    return cpuset, load


@pytest.fixture(params=["set-user-ID", "set-group-ID", "capability"])
def privileged(request, pair):
    """cgset with rights of root, or of a group that may write, for everybody."""
    cpuset, _ = pair
    with tempfile.TemporaryDirectory() as folder:
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            pytest.skip(f"{folder} is on a file system without set-user-ID")
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "cgset")
        shutil.copy("/usr/bin/cgset", path)
        if request.param == "set-user-ID":
            os.chmod(path, 0o4755)
        elif request.param == "capability":
            os.setxattr(path, "security.capability", CAPABILITY)
        else:
            os.chown(path, 0, GROUP)
            os.chmod(path, 0o2755)
            os.chown(cpuset.file("mems"), 0, GROUP)
            os.chmod(cpuset.file("mems"), 0o664)
        yield path


def test_a_tool_with_more_rights_is_refused(pair, group, privileged):
    cpuset, _ = pair
    words = (COMMAND, "run", "--", privileged, "-r", "cpuset.mems=2", group(cpuset))
    result = run(*words, user=NOBODY, group=NOBODY)
    assert result.returncode == 4
    assert f"{privileged}: runs with " in result.stderr
    assert "no plugin can be loaded" in result.stderr
    assert cpuset.mems() == [0, 1]


def test_a_tool_with_more_rights_obeys_nobody(pair, group, privileged):
    """Even where the loader takes the plugin, what its user wants does not count."""
    cpuset, load = pair
    folder = "/usr/lib/x86_64-linux-gnu"
    copies = []
    for file in os.listdir(os.path.dirname(PLUGIN)):
        copies.append(os.path.join(folder, file))
        shutil.copy(os.path.join(os.path.dirname(PLUGIN), file), copies[-1])
        os.chmod(copies[-1], 0o4755)
    report = os.path.join(os.path.dirname(privileged), "report")
    # Where its user may write, so that what keeps it away is not the folder.
    os.chmod(os.path.dirname(privileged), 0o777)
    try:
        env = preloaded("libcgroup-cgmigrate.so", report=report, wait="no")
        words = (privileged, "-r", "cpuset.mems=2-3", group(cpuset))
        result = run(*words, user=NOBODY, group=NOBODY, env=env)
    finally:
        for copy in copies:
            os.unlink(copy)
    assert (result.returncode, result.stderr) == (0, "")
    assert cpuset.mems() == [2, 3]
    assert set(load.where("anon")) == {2, 3}
    assert not os.path.exists(report)
