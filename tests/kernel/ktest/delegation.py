# SPDX-License-Identifier: GPL-2.0
"""A subtree that belongs to nobody, who makes cgroups below."""

import os

from ktest.cpusets import Cpuset
from ktest.process import NOBODY, apart, as_nobody

# Words that start a process of his; keywords of subprocess.
THEIRS = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
AS_NOBODY = dict(user=NOBODY, group=NOBODY, extra_groups=[])


def delegate(cpuset):
    """As cgroup v2 has it: he makes cgroups below, its limits are root's."""
    cpuset.control()
    os.chown(cpuset.path, NOBODY, NOBODY)
    for name in ("procs", "threads", "cgroup.subtree_control"):
        os.chown(cpuset.file(name), NOBODY, NOBODY)


def child(cpuset, name):
    return Cpuset(cpuset.version, os.path.join(cpuset.path, name))


def make(cpuset, name, mems):
    """As whoever this is, with the controller there already."""
    made = child(cpuset, name)
    os.mkdir(made.path)
    made.set_mems(mems)
    return made


def make_his(cpuset, name, mems):
    """One that is his own."""
    return apart(as_nobody, make, cpuset, name, mems)
