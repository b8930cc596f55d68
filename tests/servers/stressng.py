# SPDX-License-Identifier: GPL-2.0
"""stress-ng, whose stressors check what they do."""

import collections
import os
import statistics
import subprocess

import latency
from child import Child
from phase import Phase, ended

# One of each; 64 MiB of memory. Those of numa call mbind, migrate_pages and move_pages.
STRESSORS = ["--numa", "1", "--vm", "1", "--vm-bytes", "64M"]
STRESSORS += ["--userfaultfd", "1", "--userfaultfd-bytes", "16M"]
NAMES = {"numa", "vm", "userfaultfd"}
# Seconds, and what it ends with where a stressor failed.
ROUND, FAILED = 10, 2


def rounds_until(stop, home, command):
    """The work of a child: one run after the other, as numa asks only at its start
    which nodes it may use, and ends when it may not any more."""
    home.enter()
    os.nice(10)
    rounds = []
    while True:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        rounds.append((done.returncode, done.stdout))
        if stop.poll():
            return rounds


def rates(rounds):
    """Operations a second of each stressor, the median of the rounds."""
    found = {}
    for _, said in rounds:
        for name, rate in latency.stress_metrics(said).items():
            found.setdefault(name, []).append(rate)
    return {name: round(statistics.median(each), 2) for name, each in found.items()}


class StressNg:
    """Short runs, as many as a phase has room for."""

    name = "stress-ng"

    def __init__(self, home, options):
        self.home = home
        self.options = options
        self.folder = os.path.join(options.disk, self.name)
        self.phase = ""
        self.child = None
        self.complaints = []

    def start(self):
        """Room for its files."""
        os.makedirs(self.folder)

    def begin(self, phase, _seconds):
        """One round at least."""
        self.phase = phase
        command = ["stress-ng", *STRESSORS, "--verify", "--metrics-brief"]
        command += ["--seed", str(self.options.seed), "--timeout", f"{ROUND}s"]
        command += ["--temp-path", self.folder]
        self.child = Child(os.sched_getaffinity(0), rounds_until, self.home, command)

    def alive(self):
        """Whether it goes on."""
        return self.child is None or self.child.process.is_alive()

    def refusals(self, status, said):
        """Was a node only refused that a move took away? Nothing else is let pass."""
        if status != FAILED or self.phase != "moved":
            return []
        return latency.stress_refusals(said)

    def end(self):
        """Operations a second, and how often numa was refused a node, by which call."""
        rounds = ended(self.name, self.child)
        self.child = None
        refused = collections.Counter()
        for status, said in rounds:
            refusals = self.refusals(status, said)
            refused.update(refusals)
            if status and not refusals:
                self.complaints.append(f"stress-ng: {status}: {said}")
        found = rates(rounds)
        # One that is refused its first node has nothing to measure.
        missing = NAMES - found.keys() - ({"numa"} if refused else set())
        if missing:
            self.complaints.append(f"stress-ng did not measure {sorted(missing)}")
        facts = {"rounds": len(rounds), **refused}
        return Phase([], {"operations_a_second": found, **facts})

    def judge(self):
        """It judged itself."""
        return {}

    def close(self):
        """Leave nothing behind, whatever happened."""
        if self.child and self.child.process.is_alive():
            self.child.process.kill()
