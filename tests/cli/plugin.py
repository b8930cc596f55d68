# SPDX-License-Identifier: GPL-2.0
"""libcgroup's own tools with the plugin, on a tree in the place of /proc and /sys."""

import os

from conftest import BUILD

PLUGIN = os.path.abspath(
    os.path.join(BUILD, "lib", "cgmigrate", "libcgroup-cgmigrate.so")
)
NOBODY = 4194304  # no process of this machine, whatever its pid_max


def add_libcgroup(kernel):
    """What libcgroup looks at, too."""
    kernel.write("proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
    kernel.write("proc/cgroups", "#subsys_name hierarchy num_cgroups enabled\n")
    with open(f"{kernel.path}/proc/cgroups", "a", encoding="ascii") as file:
        file.write("cpuset\t0\t4\t1\nmemory\t0\t4\t1\n")
    for path in ("", "/web", "/db"):
        names = "cpuset memory\n"
        kernel.write(f"sys/fs/cgroup{path}/cgroup.controllers", names)
        kernel.write(f"sys/fs/cgroup{path}/cgroup.subtree_control", names)
        kernel.write(f"sys/fs/cgroup{path}/cpuset.cpus", "\n")
    kernel.process(NOBODY, "goes", [("", {0: 2048, 1: 2048}, "")])
    kernel.write(f"proc/{NOBODY}/cgroup", "0::/web\n")
    return kernel
