# SPDX-License-Identifier: GPL-2.0
"""The machine: nodes, their memory, counters, the kernel log, tracing."""

import contextlib
import functools
import glob
import os
import re

NODE = "/sys/devices/system/node"
CPU = "/sys/devices/system/cpu"
TRACING = "/sys/kernel/tracing"
# What the administrator may set of the engine.
KNOBS = "/sys/kernel/mm/numa/migrate"
# Small beside what the tests leave free on a node.
CPU_LIST_LIMIT = 1024
CPU_LIST = re.compile(r"(?m)^ +count: +(\d+)")
PAGE = os.sysconf("SC_PAGE_SIZE")


def mib(count):
    """Base pages in so many MiB."""
    return count * (1 << 20) // PAGE


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def write(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, str(text).encode())
    finally:
        os.close(fd)


def parse_list(text):
    """0-1,3 as [0, 1, 3]."""
    numbers = []
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    return numbers


def format_list(numbers):
    return ",".join(str(number) for number in sorted(numbers))


@functools.cache
def memory_nodes():
    return parse_list(read(f"{NODE}/has_memory"))


def cpus_of(node):
    return parse_list(read(f"{NODE}/node{node}/cpulist"))


@functools.cache
def distance(a, b):
    online = parse_list(read(f"{NODE}/online"))
    row = [int(word) for word in read(f"{NODE}/node{a}/distance").split()]
    return row[online.index(b)]


def node_pages(node):
    """Free pages and the watermarks of a node, summed over its zones with memory.

    "unused" counts free pages on the lists of CPUs, too, where they come and go.
    """
    total = {"free": 0, "unused": 0, "min": 0, "low": 0, "high": 0}
    for zone in re.split(r"(?m)^Node ", read("/proc/zoneinfo"))[1:]:
        if int(zone[: zone.index(",")]) != node:
            continue
        if re.search(r"managed +0\n", zone):
            continue
        free = int(re.search(r"pages free +(\d+)", zone)[1])
        total["free"] += free
        total["unused"] += free + sum(map(int, CPU_LIST.findall(zone)))
        for mark in ("min", "low", "high"):
            total[mark] += int(re.search(rf"(?m)^ +{mark} +(\d+)", zone)[1])
    return total


def counter_drift():
    """By how many pages a count of a zone may be wrong for what CPUs keep back."""
    limits = re.findall(r"vm stats threshold: (\d+)", read("/proc/zoneinfo"))
    return max(map(int, limits)) * os.cpu_count()


def file_system(folder):
    """Type of the file system a folder is on, None if there is no such folder."""
    if not os.path.isdir(folder):
        return None
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ", 1)
        if left.split()[2] == number:
            return right.split()[0]
    return None


def vmstat(key):
    """A count of the whole machine, with what CPUs have not added to it yet."""
    write("/proc/sys/vm/stat_refresh", "1")
    found = re.search(rf"(?m)^{key} (\d+)", read("/proc/vmstat"))
    return int(found[1])


def drop_caches():
    os.sync()
    write("/proc/sys/vm/drop_caches", "3")


def status_field(pid, key):
    found = re.search(rf"(?m)^{key}:\s*(.*)$", read(f"/proc/{pid}/status"))
    return found[1] if found else None


def threads(pid):
    return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]


def mems_allowed(pid):
    return parse_list(status_field(pid, "Mems_allowed_list"))


def tasks():
    """What every thread with a program, and every blocked one, waits for: a report."""
    found = []
    for thread in glob.glob("/proc/[0-9]*/task/[0-9]*"):
        with contextlib.suppress(OSError):
            state = read(f"{thread}/stat").rpartition(")")[2].split()[0]
            if state not in "DR" and not read(f"{thread}/cmdline"):
                continue
            stack = [line.split()[-1] for line in read(f"{thread}/stack").splitlines()]
            name = read(f"{thread}/comm").strip()
            found.append(f"{thread} {name} {state} {' '.join(stack)}")
    return "\n".join(found)


def mapped(pid):
    """Pages that a process has mapped, by node: {node: pages}."""
    total = {}
    for node, pages in re.findall(r" N(\d+)=(\d+)", read(f"/proc/{pid}/numa_maps")):
        total[int(node)] = total.get(int(node), 0) + int(pages)
    return total


def evacuate(node):
    """Empty a node: the number of the error that the kernel answers with, or 0."""
    try:
        write(f"{NODE}/node{node}/evacuate", "1")
    except OSError as error:
        return error.errno
    return 0


def protect_from_oom(pid="self"):
    write(f"/proc/{pid}/oom_score_adj", "-1000")


def offer_to_oom(pid, score=1000):
    write(f"/proc/{pid}/oom_score_adj", score)


def cpu_list_pages():
    """Free pages that CPUs keep to themselves."""
    return sum(map(int, CPU_LIST.findall(read("/proc/zoneinfo"))))


@contextlib.contextmanager
def small_cpu_lists():
    """Free pages are on the free lists, not on lists of CPUs that nothing counts."""
    file = "/proc/sys/vm/percpu_pagelist_high_fraction"
    before = read(file)
    # A CPU may keep this part of a zone; the kernel has a lower limit of its own.
    write(file, "4096")
    # Each refresh takes an eighth of what is too much from every list.
    while cpu_list_pages() > CPU_LIST_LIMIT * len(memory_nodes()):
        write("/proc/sys/vm/stat_refresh", "1")
    try:
        yield
    finally:
        write(file, before)


@contextlib.contextmanager
def steady_watermarks():
    """No node keeps more free for a while because its memory is in pieces."""
    with settings({"/proc/sys/vm/watermark_boost_factor": "0"}):
        # Those that do so already begin anew.
        scale = "/proc/sys/vm/watermark_scale_factor"
        write(scale, read(scale))
        yield


@contextlib.contextmanager
def offline(cpu):
    """A CPU is gone."""
    file = f"{CPU}/cpu{cpu}/online"
    write(file, "0")
    try:
        yield
    finally:
        write(file, "1")


@contextlib.contextmanager
def settings(files):
    """Files have other contents for a while: {path: text}."""
    before = {file: read(file) for file in files}
    try:
        for file, text in files.items():
            write(file, text)
        yield
    finally:
        for file, text in reversed(before.items()):
            write(file, text)


class KernelLog:
    """What the kernel said since the last look."""

    SPLAT = re.compile(
        r"WARNING:|BUG:|\bOops\b|KASAN|UBSAN|kmemleak: \d+ new|"
        r"INFO: (rcu|task |possible|trying|inconsistent)|"
        r"general protection fault|Kernel panic|possible (circular|recursive) locking|"
        r"soft lockup|hard LOCKUP|suspicious RCU usage|bad: scheduling from|"
        r"Bad (page|rss-counter)|list_(add|del) corruption|refcount_t:"
    )

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        lines = []
        while True:
            try:
                record = os.read(self.fd, 8192)
            except BlockingIOError:
                return lines
            except BrokenPipeError:
                # Records were overwritten before they were read.
                continue
            text = record.decode(errors="replace").split(";", 1)[1]
            lines.append(text.split("\n", 1)[0])


class Trace:
    """Events recorded between enter and exit, as lines of text.

    SYSTEM:EVENT, or all events of a SYSTEM. Their times are those of one clock.
    """

    CLOCK = f"{TRACING}/trace_clock"
    LINE = re.compile(r"-(\d+) +\[\d+\] +\S+ +([\d.]+): (\w+): (.*)")

    def __init__(self, event, condition="0"):
        self.event = f"{TRACING}/events/{event.replace(':', '/')}"
        self.condition = condition
        self.lines = []

    def __enter__(self):
        if not os.path.exists(f"{TRACING}/trace"):
            raise FileNotFoundError(f"{TRACING}: tracefs is not mounted")
        write(self.CLOCK, "mono")
        # That it is truncated empties it, not what is written.
        with open(f"{TRACING}/trace", "w", encoding="ascii"):
            pass
        write(f"{TRACING}/tracing_on", "1")
        write(f"{self.event}/filter", self.condition)
        write(f"{self.event}/enable", "1")
        return self

    def __exit__(self, *exc):
        write(f"{self.event}/enable", "0")
        write(f"{self.event}/filter", "0")
        lines = read(f"{TRACING}/trace").splitlines()
        self.lines = [line for line in lines if not line.startswith("#")]
        write(self.CLOCK, "local")

    def events(self, name):
        """The fields of each event of that name, with who was there and when."""
        found = filter(None, map(self.LINE.search, self.lines))
        return [
            dict(
                (word.split("=", 1) for word in each[4].split()),
                thread=int(each[1]),
                seconds=float(each[2]),
            )
            for each in found
            if each[3] == name
        ]


def jobs_of(call, stock):
    """How many address spaces the kernel begins to go through because of a call."""
    event, condition = "cpuset_migrate:cpuset_migrate_job_start", "0"
    if stock:
        event = "workqueue:workqueue_execute_start"
        condition = "function.function == cpuset_migrate_mm_workfn"
    with Trace(event, condition) as trace:
        call()
    return len(trace.lines)
