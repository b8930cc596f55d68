# SPDX-License-Identifier: GPL-2.0
"""What measurements inside the guest have in common: jobs, moves, bystanders."""

import array
import contextlib
import itertools
import os
import subprocess
import tempfile
import time

from ktest import cpusets, machine
from ktest.load import NUMALOAD, Load
from ktest.machine import mib

BYSTANDER = os.path.join(os.path.dirname(NUMALOAD), "bystander")
COPYCOST = "/sys/kernel/debug/copycost"
KNOBS = machine.KNOBS
THP = "/sys/kernel/mm/transparent_hugepage"


class Unavailable(Exception):
    """This kernel cannot be asked for this figure; the reason."""


class Wrong(Exception):
    """A move did not do what it has to, so its time is worth nothing."""


def now():
    """Nanoseconds on the clock that samples carry too."""
    return time.monotonic_ns()


def read_samples(path):
    """What a probe or a bystander saved: [(start, value)]."""
    with open(path, "rb") as file:
        numbers = array.array("Q", file.read())
    return list(zip(numbers[0::2], numbers[1::2]))


class Bystander:
    """The program of that name, as long as the block lasts; then its samples."""

    def __init__(self, *args):
        handle, self.path = tempfile.mkstemp(dir="/tmp")
        os.close(handle)
        self.process = subprocess.Popen(
            [BYSTANDER, *map(str, args), self.path], stdin=subprocess.PIPE
        )
        self.samples = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        if self.process.wait() and not exc[0]:
            raise Wrong(f"bystander: exit status {self.process.returncode}")
        self.samples = read_samples(self.path)
        os.unlink(self.path)


class Job:
    """A process in a cpuset of its own, whose memory can be moved."""

    def __init__(self, lab, nodes, load=None):
        self.cpuset = lab.cpuset(nodes)
        self.load = load or lab.load()
        self.cpuset.attach(self.load)

    @property
    def pid(self):
        """The process."""
        return self.load.pid

    def write(self, nodes):
        """Move to these nodes: when it began and ended. The write waits for the end."""
        text = nodes if isinstance(nodes, str) else machine.format_list(nodes)
        fd = os.open(self.cpuset.file("mems"), os.O_WRONLY)
        try:
            start = now()
            os.write(fd, text.encode())
            return start, now()
        finally:
            os.close(fd)

    def move(self, region, nodes, expected=None):
        """The same for a region on one node, whose pages have to arrive there: ns."""
        start, end = self.write(nodes)
        self.check(region, expected or {nodes[0]: None})
        return end - start

    def check(self, region, expected):
        """All pages of the region are where they have to be (None: all of them)."""
        where = self.load.where(region)
        if where != expected and not (
            len(where) == 1 and list(expected.items()) == [(*where, None)]
        ):
            raise Wrong(f"pages by node are {where}, not {expected}")


class Lab:
    """The guest: its kernel, how often and with how much it is measured."""

    def __init__(self, quick, module):
        self.quick = quick
        self.runs = 3 if quick else 5
        self.pages = mib(256)
        self.root = cpusets.Cpuset.root()
        if "cpuset" not in self.root.read("cgroup.subtree_control").split():
            self.root.control()
        self.serial = itertools.count()
        self.top = None
        self.loads = []
        subprocess.run(["insmod", module], check=True)
        with contextlib.suppress(FileNotFoundError):
            machine.write("/proc/sys/kernel/numa_balancing", "0")
        # Compaction in the background takes time, and has pages that nobody maps then.
        machine.write("/proc/sys/vm/compaction_proactiveness", "0")
        probe = self.root.mkdir("bench-probe")
        self.engine = cpusets.engine_files(probe)
        probe.rmdir()

    @contextlib.contextmanager
    def experiment(self):
        """Everything made inside goes at the end."""
        self.top = self.root.mkdir(f"bench-{next(self.serial)}")
        try:
            yield
        finally:
            for load in self.loads:
                load.close()
            self.loads.clear()
            self.top.remove()

    def cpuset(self, nodes=None):
        """A new cpuset below the experiment's."""
        name = f"c{next(self.serial)}"
        if nodes is not None and not isinstance(nodes, str):
            nodes = machine.format_list(nodes)
        return self.top.mkdir(name, mems=nodes)

    def load(self):
        """A new workload process, still in the root cgroup."""
        self.loads.append(Load())
        machine.protect_from_oom(self.loads[-1].pid)
        return self.loads[-1]

    def job(self, nodes):
        """A workload in a cpuset of its own."""
        return Job(self, nodes)


def copy_cost(load, address, pages, node):
    """ns a base page for copying these pages of a process, in the kernel, by means."""
    load("write", COPYCOST, f"{address:#x},{pages},{node}")
    found = dict(line.split() for line in machine.read(COPYCOST).splitlines())
    if int(found["pages"]) != pages:
        raise Wrong(f"copycost copied {found['pages']} pages, not {pages}")
    return {
        "highpage": int(found["highpage_ns"]) / pages,
        "folio": int(found["folio_ns"]) / pages,
    }


def memcpy_ns(threads, mebibytes, source=0, target=1):
    """ns that threads take to copy so much between two nodes, a few times."""
    words = [BYSTANDER, "memcpy", threads, mebibytes, source, target]
    done = subprocess.run(
        list(map(str, words)), stdout=subprocess.PIPE, text=True, check=True
    )
    return [int(line) for line in done.stdout.split()]


def knob(name):
    """A setting of the engine's, None where this kernel has none of that name."""
    try:
        return int(machine.read(f"{KNOBS}/{name}"))
    except FileNotFoundError:
        return None
