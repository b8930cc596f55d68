# SPDX-License-Identifier: GPL-2.0
"""The cgroups of a row."""

import os

from ktest import cpusets, machine, trees

# Domain cgroups that processes can be in, and one whose threads can be apart.
LEAVES = ("a", "b", "p/c", "p/d")
THREADED = ("t", "t/x", "t/y")


class Tree(trees.Tree):
    """A cgroup of our own with others below it."""

    def __init__(self, name):
        super().__init__(name)
        for name in ("a", "b", "p", "t"):
            os.mkdir(self.path(name))
        self.enable(cpusets.Cpuset(2, self.path("p")))
        for name in ("p/c", "p/d", *THREADED[1:]):
            os.mkdir(self.path(name))
        for name in THREADED[1:]:
            machine.write(f"{self.path(name)}/cgroup.type", "threaded")
        machine.write(f"{self.path('t')}/cgroup.subtree_control", "+cpuset")

    def paths(self, *names):
        """The same of several."""
        return [self.path(name) for name in names]

    def for_role(self, role):
        """The cgroups an actor acts on."""
        every = self.paths(*LEAVES, "p", *THREADED)
        return {
            "mems": [self.top.path, *every],
            "mems-nonblock": [self.top.path, *every],
            "control": [self.top.path, *every],
            "attach-thread": self.paths(*THREADED),
            "groups": [self.top.path, self.path("p")],
            "controller": self.paths("p", "t"),
        }.get(role, self.homes())

    def homes(self):
        """The cgroups a process can be in."""
        return self.paths(*LEAVES, "t")
