# SPDX-License-Identifier: GPL-2.0
"""Cgroups for several jobs, and what their accounts have to say in the end."""

import contextlib
import os
import time

from ktest import cpusets, machine

CONTROLLERS = ("cpuset", "memory", "cpu")
# Of memory.stat, what ends with processes.
CHARGED = ("anon", "shmem", "kernel_stack", "pagetables")


class Tree:
    """A cgroup of our own with others below it."""

    def __init__(self, name):
        self.root = cpusets.Cpuset.root()
        self.enable(self.root)
        self.dying = cpusets.dying(self.root)
        self.top = cpusets.Cpuset(2, os.path.join(self.root.path, name))
        os.mkdir(self.top.path)
        self.enable(self.top)

    @staticmethod
    def enable(group):
        """Groups below it can have what we need."""
        for name in CONTROLLERS:
            group.write("cgroup.subtree_control", f"+{name}")

    def path(self, name):
        """The folder of a cgroup below."""
        return os.path.join(self.top.path, name)

    def files(self):
        """What there is to know of all of them, for a report."""
        names = ["cpuset.mems", "cpuset.mems.effective", "cpuset.cpus.effective"]
        names += ["cpuset.mems.stat", "cpuset.mems.events", "cgroup.procs"]
        names += ["cpuset.mems.migrate.hold", "cpuset.mems.migrate.max"]
        lines = []
        for folder, _, _ in os.walk(self.top.path):
            for name in names:
                with contextlib.suppress(OSError):
                    text = machine.read(f"{folder}/{name}").strip()
                    lines.append(f"{folder}/{name}: {' '.join(text.split())}")
        return lines

    def wait_idle(self, ticks):
        """Whether all moves ended, in so many ticks."""
        for _ in range(ticks):
            if not self.top.stat()["migrate_pending"]:
                return True
            time.sleep(1)
        return False

    def account(self):
        """Stat and events of all."""
        return {**self.top.stat(), **self.top.events()}

    def complaints(self):
        """What does not add up, as lines; all moves have ended."""
        found = []
        for folder, _, _ in os.walk(self.top.path):
            group = cpusets.Cpuset(2, folder)
            if group.has("stat"):
                found += cpusets.complaints(group)
        return found

    def remove(self, ticks):
        """Remove all; what cannot be, and what is left of it for ever, as lines."""
        for look in (self._charged, self._remove_now, self._still_there):
            for _ in range(ticks):
                found = look()
                if not found:
                    break
                time.sleep(1)
            if found:
                return found
        return []

    def _charged(self):
        """Memory of processes where there is none any more."""
        found = []
        for folder, _, _ in os.walk(self.top.path):
            if not os.path.exists(f"{folder}/memory.stat"):
                continue
            lines = machine.read(f"{folder}/memory.stat").splitlines()
            pairs = map(str.split, lines)
            stat = {key: value for key, value in pairs if key in CHARGED}
            left = [f"{key} {value}" for key, value in stat.items() if value != "0"]
            if left:
                found.append(f"{folder} is charged with {', '.join(left)}")
        return found

    def _still_there(self):
        """Cpusets without a folder. A memory cgroup may be kept by a file system."""
        many = cpusets.dying(self.root) - self.dying
        text = f"{many} cpusets were removed and still are there"
        return [text] if many > 0 else []

    def _remove_now(self):
        found = []
        for folder, _, _ in os.walk(self.top.path, topdown=False):
            try:
                os.rmdir(folder)
            except OSError as error:
                found.append(f"{folder} cannot be removed: {error}")
        return found
