# SPDX-License-Identifier: GPL-2.0
"""What a page costs: in instructions (guests with --icount), in time."""

import contextlib
import glob
import os
import subprocess
import tempfile

from lab import BYSTANDER, THP, Unavailable, Wrong, copy_cost, now

from ktest import machine

MOVES_IN_A_ROW = 10
THREADS = 192


def others(job, count):
    """ns to move the process without the region: what a move costs in any case."""
    times = []
    for i in range(count):
        start, end = job.write([(i + 1) % 2])
        times.append(end - start)
    if count % 2:
        job.write([0])
    return sorted(times)[count // 2]


def back_and_forth(job, region, count):
    """ns of so many moves between nodes 0 and 1, after one of each to warm up."""
    times = [job.move(region, [(i + 1) % 2]) for i in range(count + 2)]
    print("  ms of each move:", *(round(ns / 1e6) for ns in times), flush=True)
    return times[2:]


class Region:
    """A region of a job on node 0, its copy cost, and what moving the rest costs."""

    def __init__(self, lab, kind, pages, **more):
        self.job = lab.job([0])
        self.pages = pages
        self.rest = others(self.job, 5)
        load = self.job.load
        self.address = load.alloc("memory", pages, kind=kind, nodes=0, **more)
        if kind == "file":
            os.sync()
        self.job.check("memory", {0: pages})
        self.copy = copy_cost(load, self.address, pages, 1)

    def per_page(self, times):
        """ns a page of the region beyond its copy."""
        return [(t - self.rest) / self.pages - self.copy["folio"] for t in times]

    def result(self, times):
        """The runs of the figure, once the contents have been compared."""
        self.job.load.verify("memory")
        count = len(times)
        return {
            "runs": {
                "": self.per_page(times),
                "copy": [self.copy["folio"]] * count,
                "total": [(t - self.rest) / self.pages for t in times],
                "highpage": [self.copy["highpage"]] * count,
            }
        }


def anon(lab):
    """Exclusive anonymous pages of 4 KiB."""
    region = Region(lab, "anon", lab.pages)
    return region.result(back_and_forth(region.job, "memory", lab.runs))


def file(lab):
    """Page cache of a file on a disk, mapped by one process, clean."""
    with tempfile.NamedTemporaryFile(dir="/disk") as name:
        region = Region(lab, "file", lab.pages, path=name.name)
        return region.result(back_and_forth(region.job, "memory", lab.runs))


@contextlib.contextmanager
def folio_size(size):
    """MADV_HUGEPAGE gives folios of this size (a folder's name) and no other."""
    before = {}
    for path in glob.glob(f"{THP}/hugepages-*/enabled"):
        text = machine.read(path)
        before[path] = text[text.index("[") + 1 : text.index("]")]
        wanted = path.split("/")[-2] == size
        machine.write(path, "madvise" if wanted else "never")
    if f"{THP}/{size}/enabled" not in before:
        raise Unavailable("this kernel has no folios of that size")
    try:
        yield
    finally:
        for path, value in before.items():
            machine.write(path, value)


def mthp(lab):
    """Folios of 64 KiB: the tenth move and the next ones in a row."""
    size = "hugepages-64kB"

    def whole():
        return int(machine.read(f"{THP}/{size}/stats/nr_anon"))

    with folio_size(size):
        others_before = whole()
        region = Region(lab, "thp", lab.pages)
        wanted = lab.pages // 16
        if whole() - others_before != wanted:
            raise Wrong(f"{whole() - others_before} folios of 64 KiB, not {wanted}")
        times, left = [], []
        for i in range(MOVES_IN_A_ROW - 1 + lab.runs):
            times.append(region.job.move("memory", [(i + 1) % 2]))
            left.append(wanted - (whole() - others_before))
        found = region.result(times[MOVES_IN_A_ROW - 1 :])
    found["runs"]["first"] = region.per_page(times[:1])
    found["runs"]["split"] = left[MOVES_IN_A_ROW - 1 :]
    return found


def thp(lab):
    """Huge pages of 2 MiB against nothing but copying them, in the kernel."""
    with folio_size("hugepages-2048kB"):
        region = Region(lab, "thp", lab.pages)
        times = back_and_forth(region.job, "memory", lab.runs)
        total = region.result(times)["runs"]["total"]
    return {
        "runs": {
            "": [value / region.copy["folio"] for value in total],
            "highpage": [value / region.copy["highpage"] for value in total],
            "total": total,
        }
    }


def time_per_page(lab):
    """Wall time a page, copy included."""
    found = anon(lab)["runs"]
    return {
        "runs": {
            "": [ns / 1000 for ns in found["total"]],
            "copy": [ns / 1000 for ns in found["copy"]],
        }
    }


class Holder:
    """A process with so many threads, and nothing but memory in so many mappings."""

    def __init__(self, pages, threads, mappings):
        mebibytes = pages // machine.mib(1)
        words = [BYSTANDER, "hold", mebibytes, threads, 0, mappings]
        self.process = subprocess.Popen(
            list(map(str, words)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        if self.process.stdout.readline() != "ready\n":
            raise Wrong("the process with threads did not start")

    def verify(self):
        """Every word of its memory is what it was."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        bad = self.process.stdout.readline()
        if bad != "0\n":
            raise Wrong(f"contents differ in {bad.strip()} words")

    def on(self, node):
        """Its anonymous pages on a node, roughly."""
        return machine.mapped(self.pid).get(node, 0)

    def close(self):
        """End it."""
        self.process.stdin.close()
        self.process.wait()


def holder_times(lab, pages, threads=1, mappings=1):
    """ns of moves of a process with so many threads and mappings."""
    holder = Holder(pages, threads, mappings)
    try:
        cpuset = lab.cpuset([0])
        cpuset.attach(holder.pid)
        times = []
        for i in range(lab.runs + 2):
            node = (i + 1) % 2
            start = now()
            cpuset.set_mems([node])
            times.append(now() - start)
            if holder.on(node) < pages:
                raise Wrong(f"only {holder.on(node)} pages are on node {node}")
        holder.verify()
        return times[2:]
    finally:
        holder.close()


def threads(lab):
    """Many threads over one."""
    many, one = (holder_times(lab, lab.pages, count) for count in (THREADS, 1))
    base = sorted(one)[len(one) // 2]
    return {"runs": {"": [time / base for time in many], "one": one, "many": many}}


def sets_times(lab, pages, old, new):
    """ns of moves of so many pages from one set of nodes to another and back."""
    job = lab.job(old)
    job.load.alloc("memory", pages, nodes=old)
    share = pages // len(old)
    times = []
    for i in range(lab.runs + 2):
        target = new if i % 2 == 0 else old
        expected = {node: share for node in target}
        times.append(job.move("memory", target, expected))
    job.load.verify("memory")
    return times[2:]


def sets(lab):
    """Four nodes to four over one to one."""
    four = sets_times(lab, lab.pages, [0, 1, 2, 3], [4, 5, 6, 7])
    one = sets_times(lab, lab.pages, [0], [4])
    base = sorted(one)[len(one) // 2]
    return {"runs": {"": [time / base for time in four], "one": one, "four": four}}


def leaving_root(lab):
    """ns to attach a process of the root cpuset to one with a single node."""
    target = lab.cpuset([1])
    times = []
    for i in range(lab.runs + 1):
        load = lab.load()
        load.alloc("memory", lab.pages, nodes=0)
        start = now()
        target.attach(load)
        times.append(now() - start)
        where = load.where("memory")
        if where != {1: lab.pages}:
            raise Wrong(f"pages by node are {where}")
        load.verify("memory")
        load.close()
        lab.loads.remove(load)
    return {"runs": {"": times[1:]}}
