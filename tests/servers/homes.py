# SPDX-License-Identifier: GPL-2.0
"""Where a server lives: one of two cpusets; and what moves it."""

import contextlib
import os
import subprocess
import time

from draw import KINDS

from ktest import cpusets
from ktest.command import COMMAND

# A process that forks is attached again, so often at most.
ATTEMPTS = 100
# What cgmigrate may end with: all moved, some stayed.
FINE = {0: "done", 3: "partial"}
# As a cgroup's member, from the first page of the program on.
ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'


class Wrong(Exception):
    """Something did not go as it has to."""


class Home:
    """The two cpusets of a server."""

    def __init__(self, tree, name, nodes):
        self.name = name
        self.group = cpusets.Cpuset(2, tree.path(name))
        os.mkdir(self.group.path)
        tree.enable(self.group)
        self.here, self.there = (self.group.mkdir(n, mems=nodes) for n in "ab")

    def launch(self, command, **more):
        """Start a program of the server."""
        return subprocess.Popen(["sh", "-c", ENTER, self.here.path, *command], **more)

    def enter(self):
        """This process, too, is one of the server's."""
        self.here.attach(0)

    def label(self):
        """The cpuset it is in, as cgmigrate names it."""
        return "/" + os.path.relpath(self.here.path, cpusets.Cpuset.root().path)

    def change(self, nodes):
        """Write the nodes."""
        self.here.set_mems(nodes)

    def leave_for(self, nodes):
        """Every process goes to the other cpuset, which has these nodes."""
        self.there.set_mems(nodes)
        for _ in range(ATTEMPTS):
            pids = self.here.procs()
            if not pids:
                break
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    self.there.attach(pid)
        else:
            raise Wrong(f"{self.name}: processes are born faster than attached")
        self.here, self.there = self.there, self.here


class Mover:
    """Carries moves out, and counts what came of them."""

    def __init__(self, homes, plan):
        self.homes = homes
        self.plan = plan
        self.counts = {kind: {} for kind in KINDS}
        self.seconds = []

    def command(self, *words):
        """The command; how it ended."""
        done = subprocess.run(
            [COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode not in FINE:
            said = done.stdout.decode(errors="replace").strip()
            raise Wrong(f"cgmigrate {' '.join(words)}: {done.returncode}: {said}")
        return FINE[done.returncode]

    def exchange(self, one, other):
        """Two of them change places, by a plan."""
        names = [self.homes[name].label() for name in (one, other)]
        self.command("plan", "--swap", *names, "--output", self.plan)
        return self.command("apply", self.plan)

    def act(self, move):
        """How it ended."""
        home = self.homes[move.name]
        if move.kind == "exchange":
            return self.exchange(move.name, move.other)
        if move.kind == "command":
            nodes = ",".join(map(str, move.nodes))
            return self.command("move", home.label(), "--to", nodes)
        if move.kind == "mems":
            home.change(move.nodes)
        else:
            home.leave_for(move.nodes)
        return "done"

    def do(self, move):
        """One move, counted; and everybody has to be where it has put them."""
        start = time.monotonic()
        how = self.act(move)
        self.seconds.append(time.monotonic() - start)
        ends = self.counts[move.kind]
        ends[how] = ends.get(how, 0) + 1

    def check(self, where):
        """Is the nodes of each what was drawn?"""
        for name, nodes in where.items():
            if self.homes[name].here.mems() != list(nodes):
                raise Wrong(f"{name} has other nodes than {nodes}")
