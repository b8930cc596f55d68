# SPDX-License-Identifier: GPL-2.0
"""Several movers, several processes, a rate, and movers in user space."""

import json
import os
import subprocess
import time

import stalls
from lab import BYSTANDER, KNOBS, Unavailable, Wrong, knob, memcpy_ns, now

from ktest import cpusets, machine
from ktest.machine import mib

BIG = mib(1024)
PROCESSES = 4
MEMCPY_MIB = 128
MEMCPY_TURNS = 3
COMMAND = os.path.join(os.path.dirname(os.path.dirname(BYSTANDER)), "bin", "cgmigrate")
PARTS = {"eighth": 8, "quarter": 4, "half": 2}


def median(values):
    """The middle one."""
    return sorted(values)[len(values) // 2]


def memcpy_gain(threads):
    """By how much threads copy faster than one.

    They take turns: the host is faster at one time than at another.
    """
    turns = [
        [median(memcpy_ns(count, MEMCPY_MIB)) for count in (1, threads)]
        for _ in range(MEMCPY_TURNS)
    ]
    return median([one / several for one, several in turns])


def moves(job, pages, runs):
    """ns of moves of a process between nodes 0 and 1, after one to warm up."""
    times = []
    for i in range(runs + 1):
        node = (i + 1) % 2
        times.append(job.move("memory", [node], {node: pages}))
    if len(times) % 2:
        job.move("memory", [0], {0: pages})
    return times[1:]


def workers(lab):
    """Two movers over one; a kernel without the knob has one, whatever is asked."""
    before = knob("workers")
    job = lab.job([0])
    job.load.alloc("memory", BIG, nodes=0)
    times = {}
    if before is None:
        times[1] = times[2] = moves(job, BIG, lab.runs)
    else:
        for count in (1, 2):
            machine.write(f"{KNOBS}/workers", count)
            times[count] = moves(job, BIG, lab.runs)
        machine.write(f"{KNOBS}/workers", before)
    job.load.verify("memory")
    gain = memcpy_gain(2)
    one = median(times[1])
    return {
        "runs": {
            "": [time / one * gain for time in times[2]],
            "memcpy": [gain],
            "one": times[1],
            "two": times[2],
        }
    }


def processes(lab):
    """Four processes of one cpuset at once, and one of another."""
    alone = lab.job([0])
    together = lab.job([0])
    loads = [together.load]
    for _ in range(PROCESSES - 1):
        loads.append(lab.load())
        together.cpuset.attach(loads[-1])
    for load in [alone.load, *loads]:
        load.alloc("memory", lab.pages, nodes=0)
    one = median(moves(alone, lab.pages, lab.runs))
    times = []
    for i in range(lab.runs + 1):
        node = (i + 1) % 2
        times.append(together.move("memory", [node], {node: lab.pages}))
        for load in loads:
            if load.where("memory") != {node: lab.pages}:
                raise Wrong(f"pages by node are {load.where('memory')}")
    for load in [alone.load, *loads]:
        load.verify("memory")
    gain = memcpy_gain(PROCESSES)
    return {
        "runs": {
            "": [PROCESSES * one / time / gain for time in times[1:]],
            "memcpy": [gain],
            "one": [one],
            "four": times[1:],
        }
    }


def limit(cpuset, value):
    """Set the rate of a cpuset, bytes a second."""
    if not cpuset.has("max"):
        raise Unavailable("this kernel has no limit of the rate")
    try:
        cpuset.write("max", value)
    except OSError as error:
        raise Unavailable(f"{cpuset.file('max')}: {value}: {error.strerror}") from None


def rate(lab):
    """What comes of asking for a part of the rate there is without a limit."""
    job = lab.job([0])
    limit(job.cpuset, 1 << 30)
    limit(job.cpuset, "max")
    job.load.alloc("memory", lab.pages, nodes=0)
    size = lab.pages * machine.PAGE
    full = size / (median(moves(job, lab.pages, 3)) / 1e9)
    runs = {part: [] for part in PARTS}
    node = 0
    for part, divisor in PARTS.items():
        asked = int(full / divisor)
        limit(job.cpuset, asked)
        for _ in range(lab.runs):
            node = 1 - node
            took = job.move("memory", [node], {node: lab.pages})
            runs[part].append(size / (took / 1e9) / asked)
    limit(job.cpuset, "max")
    job.load.verify("memory")

    def error(value):
        return abs(value - 1)

    worst = [max(found, key=error) for found in zip(*runs.values())]
    return {"runs": {"": worst, **runs}}


def cgmigrate(job, node):
    """The command moves a process: ns, by its own account of the move."""
    name = job.cpuset.path[len(cpusets.Cpuset.root().path) :]
    words = [COMMAND, "move", name, "--to", str(node), "-J"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Wrong(f"{' '.join(words)}: exit status {done.returncode}: {done.stdout}")
    return json.loads(done.stdout)["result"]["elapsed_usec"] * 1000


def migratepages(pid, node):
    """numactl's program moves a process: ns."""
    start = now()
    subprocess.run(["migratepages", str(pid), str(1 - node), str(node)], check=True)
    return now() - start


class UserMoves:
    """Stalls and times of one way to move a process."""

    def __init__(self, lab, job):
        self.lab = lab
        self.job = job
        self.stalls = []
        self.idle = []
        self.times = []

    def move(self, node, call, *args):
        """Once: both nodes are allowed, as migratepages needs it."""
        self.job.write("0-1")
        with stalls.Watch(self.job.load, **stalls.MMAP) as watch:
            watch.during("idle", time.sleep, stalls.IDLE_SECONDS)
            watch.during("move", lambda: self.times.append(call(*args, node)))
        self.job.check("memory", {node: self.lab.pages})
        self.stalls.append(max(watch.took("move")))
        self.idle.append(max(watch.took("idle")))


def user_moves(lab):
    """The command's own way to move pages over numactl's, on a stock kernel."""
    if lab.engine:
        raise Unavailable("it is about kernels without the engine")
    job = lab.job([0])
    job.load.alloc("memory", lab.pages, nodes=0)
    empty = subprocess.Popen(["sleep", "infinity"])
    start = median([migratepages(empty.pid, 1) for _ in range(3)])
    empty.kill()
    empty.wait()
    ours, theirs = UserMoves(lab, job), UserMoves(lab, job)
    for _ in range(lab.runs):
        ours.move(1, cgmigrate, job)
        theirs.move(0, migratepages, job.pid)
    job.load.verify("memory")
    pairs = list(zip(ours.stalls, theirs.stalls))
    speeds = list(zip(ours.times, theirs.times))
    return {
        "runs": {
            "": [mine / other for mine, other in pairs],
            "throughput": [(other - start) / mine for mine, other in speeds],
            "longest": [stalls.ms(ns) for ns in ours.stalls],
            "idle": [stalls.ms(ns) for ns in ours.idle],
            "migratepages_ms": [stalls.ms(ns) for ns in theirs.stalls],
        }
    }
