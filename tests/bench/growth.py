# SPDX-License-Identifier: GPL-2.0
"""What a move costs as something grows: runs by point of a curve, see curves.py."""

import time

import stats
from cost import holder_times, sets_times
from curves import POINTS
from lab import Wrong
from parallel import moves
from stalls import IDLE_SECONDS, MMAP, Watch, ms

from ktest import machine
from ktest.machine import mib

FEW = mib(64)
# A page each for the most mappings.
MAPPED = mib(400)
MAX_MAP_COUNT = "/proc/sys/vm/max_map_count"


def per_page(times, pages):
    """What a page cost in each move."""
    return [time / pages for time in times]


def size(lab):
    """One process with so many MiB on one node."""
    runs = {}
    for mebibytes in POINTS["size"]:
        pages = mib(mebibytes)
        job = lab.job([0])
        job.load.alloc("memory", pages, nodes=0)
        runs[mebibytes] = per_page(moves(job, pages, lab.runs), pages)
        job.load.verify("memory")
        job.load.close()
        lab.loads.remove(job.load)
    return {"runs": runs}


def threads(lab):
    """A process with so many threads."""
    return {
        "runs": {
            count: per_page(holder_times(lab, FEW, threads=count), FEW)
            for count in POINTS["threads"]
        }
    }


def mappings(lab):
    """A process with so many mappings."""
    machine.write(MAX_MAP_COUNT, 2 * max(POINTS["mappings"]))
    return {
        "runs": {
            count: per_page(holder_times(lab, MAPPED, mappings=count), MAPPED)
            for count in POINTS["mappings"]
        }
    }


def nodes(lab):
    """From one half of so many nodes to the other."""
    runs = {}
    for count in POINTS["nodes"]:
        old, new = list(range(count // 2)), list(range(count // 2, count))
        runs[count] = per_page(sets_times(lab, FEW, old, new), FEW)
    return {"runs": runs}


def processes(lab):
    """So many processes in a cpuset, moved by one write."""
    runs = {}
    for count in POINTS["processes"]:
        job = lab.job([0])
        loads = [job.load, *(lab.load() for _ in range(count - 1))]
        share = lab.pages // count
        for load in loads:
            job.cpuset.attach(load)
            load.alloc("memory", share, nodes=0)
        times = []
        for i in range(lab.runs + 1):
            node = (i + 1) % 2
            times.append(job.move("memory", [node], {node: share}))
            for load in loads:
                if load.where("memory") != {node: share}:
                    raise Wrong(f"pages by node are {load.where('memory')}")
        runs[count] = per_page(times[1:], lab.pages)
        for load in loads:
            load.verify("memory")
            load.close()
            lab.loads.remove(load)
    return {"runs": runs}


def stall(lab):
    """mmap and munmap in a process of so many MiB that moves, as many bytes in all."""
    found = {"stall": {"runs": {}}, "stall_p999": {"runs": {}}}
    most = max(POINTS["stall"])
    for mebibytes in POINTS["stall"]:
        job = lab.job([0])
        job.load.alloc("memory", mib(mebibytes), nodes=0)
        longest, high = [], []
        for _ in range(lab.runs):
            with Watch(job.load, **MMAP) as watch:
                watch.during("idle", time.sleep, IDLE_SECONDS)
                # There and back, so it ends where it began.
                for _ in range(max(most // mebibytes // 2, 1)):
                    watch.during("move", job.write, [1])
                    watch.during("move", job.write, [0])
            job.check("memory", {0: mib(mebibytes)})
            took = watch.took("move")
            longest.append(ms(max(took)))
            high.append(ms(stats.quantile(took, 0.999)))
        job.load.verify("memory")
        job.load.close()
        lab.loads.remove(job.load)
        found["stall"]["runs"][mebibytes] = longest
        found["stall_p999"]["runs"][mebibytes] = high
    return found


MEASURES = [
    (["size"], size),
    (["threads"], threads),
    (["processes"], processes),
    (["nodes"], nodes),
    (["mappings"], mappings),
    (["stall", "stall_p999"], stall),
]
