# SPDX-License-Identifier: GPL-2.0
"""What a move of 1 GiB does to others, and to the process it is done to."""

import contextlib
import os
import subprocess
import tempfile
import time

import stats
from lab import Bystander, Wrong, copy_cost, knob, now, read_samples

from ktest import machine
from ktest.machine import mib

BIG = mib(1024)
PIECES = 8
SMALL = BIG // PIECES
HUGETLB = mib(256)
IDLE_SECONDS = 2
PAUSE_SECONDS = 0.1
# max_stall_usec is meant for machines that copy so fast.
REFERENCE_BYTES_PER_NS = 10
MMAP = {"rest": 50}
TOUCH = {"touch": "memory", "rest": 20}
HUGE_PAGES = "hugepages/hugepages-2048kB/nr_hugepages"


def ms(nanoseconds):
    """For people."""
    return nanoseconds / 1e6


class Watch:
    """Samples of a probe in the workload, and the times in which something happened."""

    def __init__(self, load, **probe):
        self.load = load
        self.probe = probe
        self.windows = {}
        self.samples = []

    def __enter__(self):
        self.load("probe", **self.probe)
        return self

    def __exit__(self, *exc):
        if exc[0]:
            return
        with tempfile.NamedTemporaryFile(dir="/tmp") as file:
            self.load("probed", file=file.name)
            self.samples = read_samples(file.name)

    def during(self, name, call, *args):
        """Do something; its time is one more window of that name."""
        # What was held up by the one before has to end first.
        time.sleep(PAUSE_SECONDS)
        start = now()
        call(*args)
        self.windows.setdefault(name, []).append((start, now()))

    def took(self, name, samples=None):
        """Durations (or values) of the samples in the windows of a name."""
        found = []
        for window in self.windows[name]:
            found += stats.overlapping(samples or self.samples, window)
        if not found:
            raise Wrong(f"nothing was sampled while '{name}' went on")
        return found


class Arena:
    """Two cpusets of a node each; a large, a small and an empty process."""

    def __init__(self, lab):
        self.cpusets = [lab.cpuset([0]), lab.cpuset([1])]
        self.big = self.fill(lab, BIG)
        self.small = self.fill(lab, SMALL)
        self.empty = subprocess.Popen(["sleep", "infinity"])
        self.cpusets[0].attach(self.empty.pid)
        self.copy_ns = copy_cost(self.small, self.address, SMALL, 1)["folio"]

    def fill(self, lab, pages, kind="anon"):
        """A process on node 0."""
        load = lab.load()
        self.cpusets[0].attach(load)
        self.address = load.alloc("memory", pages, kind=kind, nodes=0)
        return load

    def attach(self, load, node, pages):
        """Move it, and see that it arrived."""
        self.cpusets[node].attach(load)
        if load.where("memory") != {node: pages}:
            raise Wrong(f"pages by node are {load.where('memory')}, not all on {node}")

    def close(self):
        """End the process that the lab does not know."""
        self.empty.kill()
        self.empty.wait()


class Found:
    """The runs of several figures, as they come."""

    def __init__(self):
        self.figures = {}

    def add(self, name, value, part=""):
        """One more run."""
        runs = self.figures.setdefault(name, {"runs": {}})["runs"]
        runs.setdefault(part, []).append(value)

    def curve(self, name, values):
        """The distribution of the samples of the latest run, in ms."""
        points = [[above, ms(value)] for above, value in stats.curve(values)]
        self.figures[name]["curve"] = points


def bound_ms(copy_ns):
    """max_stall_usec at the speed of this guest; None where the kernel has no such."""
    usec = knob("max_stall_usec")
    if usec is None:
        return None
    bytes_per_ns = machine.PAGE / copy_ns
    return usec / 1000 * max(1, REFERENCE_BYTES_PER_NS / bytes_per_ns)


def move_once(arena, watch):
    """Nothing, the large process, the empty one for as long."""
    watch.during("idle", time.sleep, IDLE_SECONDS)
    watch.during("move", arena.cpusets[1].attach, arena.big)
    start, end = watch.windows["move"][0]

    def attach_empty():
        begin = now()
        arena.cpusets[1].attach(arena.empty.pid)
        time.sleep(max(0, end - start - (now() - begin)) / 1e9)

    watch.during("empty", attach_empty)
    arena.cpusets[0].attach(arena.empty.pid)


def move_pieces(arena, watch):
    """The small process, as many bytes in all."""
    for i in range(PIECES):
        node = (i + 1) % 2
        watch.during("move", arena.cpusets[node].attach, arena.small)


def note_others(found, watch, others, isolated):
    """Unrelated mkdir and rmdir, and pages isolated."""
    longest = {w: max(watch.took(w, others)) for w in ("idle", "move", "empty")}
    name = "mkdir_stall_1g"
    found.add(name, longest["move"] / longest["empty"])
    found.add(name, ms(longest["move"]), "longest")
    found.add(name, ms(longest["empty"]), "empty")
    found.add(name, ms(longest["idle"]), "idle")
    found.add("isolated_peak", max(watch.took("move", isolated)))


def note_mmap(found, large, small, copy_ns):
    """mmap and munmap in the moving process."""
    idle = max(large.took("idle"))
    took = large.took("move")
    found.add("mmap_stall_1g", ms(max(took)))
    found.add("mmap_stall_1g", ms(stats.quantile(took, 0.999)), "p999")
    found.add("mmap_stall_1g", ms(idle), "idle")
    bound = bound_ms(copy_ns)
    if bound is not None:
        found.add("mmap_stall_1g", bound, "bound")
    found.curve("mmap_stall_1g", took)
    many, few = stats.equal_counts(took, small.took("move"))
    name = "mmap_stall_growth"
    found.add(name, max(many) / max(few))
    high = [stats.quantile(values, 0.999) for values in (many, few)]
    found.add(name, high[0] / high[1], "p999")
    found.add(name, ms(max(took)), "longest")
    found.add(name, ms(idle), "idle")
    found.add(name, len(many), "samples")


def note_touch(found, large, small):
    """Reading a word of the moving memory."""
    name = "touch_stall_1g"
    took = large.took("move")
    found.add(name, ms(stats.quantile(took, 0.999)))
    found.add(name, ms(max(took)), "max")
    found.add(name, ms(stats.quantile(large.took("idle"), 0.999)), "idle")
    found.curve(name, took)
    many, few = stats.equal_counts(took, small.took("move"))
    high = [stats.quantile(values, 0.999) for values in (many, few)]
    found.add(name, high[0] / high[1], "growth")
    found.add(name, len(many), "samples")


def run_once(arena, found):
    """Each probe once, to node 1 with the one and back with the other."""
    cgroups = arena.cpusets[0].path.rsplit("/", 1)[0]
    with Bystander("mkdir", cgroups) as others, Bystander("isolated") as isolated:
        with Watch(arena.big, **MMAP) as large:
            move_once(arena, large)
        with Watch(arena.small, **MMAP) as small:
            move_pieces(arena, small)
    note_others(found, large, others.samples, isolated.samples)
    note_mmap(found, large, small, arena.copy_ns)
    with Watch(arena.big, **TOUCH) as large:
        large.during("idle", time.sleep, IDLE_SECONDS)
        large.during("move", arena.attach, arena.big, 0, BIG)
    with Watch(arena.small, **TOUCH) as small:
        move_pieces(arena, small)
    note_touch(found, large, small)


def touch_of(arena, load, pages, runs):
    """p99.9 of reading a word of memory of another kind, ms, for each run."""
    found = []
    for i in range(runs):
        node = (i + 1) % 2
        with Watch(load, **TOUCH) as watch:
            watch.during("move", arena.attach, load, node, pages)
        found.append(ms(stats.quantile(watch.took("move"), 0.999)))
    load.verify("memory")
    return found


@contextlib.contextmanager
def huge_pages(count):
    """So many free ones of 2 MiB on nodes 0 and 1."""
    paths = [f"{machine.NODE}/node{node}/{HUGE_PAGES}" for node in (0, 1)]
    for path in paths:
        machine.write(path, count)
        if int(machine.read(path)) != count:
            raise Wrong(f"{path}: {machine.read(path).strip()} pages, not {count}")
    try:
        yield
    finally:
        for path in paths:
            machine.write(path, 0)


def other_kinds(lab, arena, found):
    """Huge pages: transparent ones, and those of hugetlb."""
    load = arena.fill(lab, BIG, "thp")
    for value in touch_of(arena, load, BIG, lab.runs):
        found.add("touch_stall_1g", value, "thp")
    load.close()
    lab.loads.remove(load)
    with huge_pages(HUGETLB // 512):
        load = arena.fill(lab, HUGETLB, "hugetlb")
        for value in touch_of(arena, load, HUGETLB, lab.runs):
            found.add("touch_stall_1g", value, "hugetlb")
        load.close()
        lab.loads.remove(load)


def everything(lab):
    """All the stalls of 1 GiB, and how many pages are isolated."""
    found = Found()
    arena = Arena(lab)
    try:
        for _ in range(lab.runs):
            run_once(arena, found)
        for load in (arena.big, arena.small):
            load.verify("memory")
        arena.big("free", "memory")
        other_kinds(lab, arena, found)
    finally:
        arena.close()
    return found.figures


def allocation(lab):
    """Faults of an unrelated task on the node that fills up, as its cache has to go."""
    found = Found()
    job = lab.job([0])
    job.load.alloc("memory", lab.pages, nodes=0)
    filler = lab.load()
    cache = lab.pages + mib(64)
    filler("nodefill", node=1, leave=cache)
    for _ in range(lab.runs):
        with page_cache(cache):
            with Bystander("fault", 1) as others:
                watch = Watch(None)
                watch.during("idle", time.sleep, IDLE_SECONDS / 2)
                watch.during("move", job.write, [1])
            job.write([0])
        took = watch.took("move", others.samples)
        idle = watch.took("idle", others.samples)
        found.add("alloc_stall_others", ms(stats.quantile(took, 0.99)))
        found.add("alloc_stall_others", ms(max(took)), "max")
        found.add("alloc_stall_others", ms(stats.quantile(idle, 0.99)), "idle")
    job.load.verify("memory")
    job.check("memory", {0: lab.pages})
    return found.figures


@contextlib.contextmanager
def page_cache(pages):
    """So much clean page cache of a file on a disk, on node 1, as long as it lasts."""
    path = "/disk/cache"
    script = 'numactl --membind=1 dd if=/dev/zero of="$1" bs=1M count="$2" && sync'
    command = ["sh", "-c", script, "sh", path, str(pages // mib(1))]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        os.unlink(path)
