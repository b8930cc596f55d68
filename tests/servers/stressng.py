# SPDX-License-Identifier: GPL-2.0
"""stress-ng, whose stressors check what they do."""

import os
import subprocess

import latency
from homes import Wrong
from phase import Phase

# One of each; 64 MiB of memory.
STRESSORS = ["--numa", "1", "--vm", "1", "--vm-bytes", "64M"]
STRESSORS += ["--userfaultfd", "1", "--userfaultfd-bytes", "16M"]


class StressNg:
    """One run a phase."""

    name = "stress-ng"

    def __init__(self, home, options):
        self.home = home
        self.options = options
        self.folder = os.path.join(options.disk, self.name)
        self.process = None
        self.complaints = []

    def start(self):
        """Room for its files."""
        os.makedirs(self.folder)

    def begin(self, phase, seconds):
        """It ends by itself."""
        command = ["nice", "-n", "10", "stress-ng", *STRESSORS, "--verify"]
        command += ["--seed", str(self.options.seed), "--metrics-brief"]
        command += ["--timeout", f"{seconds}s", "--temp-path", self.folder]
        self.process = self.home.launch(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def alive(self):
        """Ended without an error, or not yet."""
        return not self.process or not self.process.poll()

    def end(self):
        """Operations a second."""
        said, _ = self.process.communicate()
        if self.process.returncode:
            self.complaints.append(f"stress-ng: {self.process.returncode}: {said}")
        found = latency.stress_metrics(said)
        if not found:
            raise Wrong(f"stress-ng measured nothing: {said}")
        return Phase([], {"operations_a_second": found})

    def judge(self):
        """It judged itself."""
        return {}

    def close(self):
        """Leave nothing behind, whatever happened."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
