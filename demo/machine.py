# SPDX-License-Identifier: GPL-2.0
"""The NUMA machine and its cgroups (v2)."""

import os

CGROUPS = "/sys/fs/cgroup"
NODES = "/sys/devices/system/node"
WORKQUEUES = "/sys/devices/virtual/workqueue/cpumask"


def read(path):
    """A small file's text."""
    with open(path, encoding="ascii") as file:
        return file.read()


def write(path, text):
    """One write(2) to a file of the kernel's."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(text).encode())
    finally:
        os.close(descriptor)


def numbers(text):
    """The numbers of a list such as 0-3,7."""
    found = []
    for part in text.split(","):
        if part.strip():
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    return found


def nodes():
    """The nodes that have memory."""
    return numbers(read(f"{NODES}/has_memory"))


def cpus(node):
    """The CPUs of a node."""
    return numbers(read(f"{NODES}/node{node}/cpulist"))


def keep_for_instruments(reserved):
    """Keep this process and the kernel's own workers off the CPUs that measure."""
    others = os.sched_getaffinity(0) - set(reserved)
    os.sched_setaffinity(0, others)
    write(WORKQUEUES, f"{sum(1 << cpu for cpu in others):x}")


class Cgroup:
    """One cgroup, made when it is not there."""

    def __init__(self, name):
        self.name = name
        self.path = f"{CGROUPS}/{name}"
        os.makedirs(self.path, exist_ok=True)

    def read(self, file):
        """The text of one of its files."""
        return read(f"{self.path}/{file}")

    def write(self, file, text):
        """Write to one of its files."""
        write(f"{self.path}/{file}", text)

    def has(self, file):
        """Whether this kernel has the file."""
        return os.path.exists(f"{self.path}/{file}")

    def attach(self, pid):
        """Put a process into it, 0 for the caller."""
        self.write("cgroup.procs", pid)

    def counters(self, file):
        """A file of lines such as `name number`."""
        return {
            name: int(value)
            for name, value in (line.split() for line in self.read(file).splitlines())
        }

    def mebibytes(self):
        """MiB of processes' memory and of cache charged to it, by node."""
        by_node = {}
        for line in self.read("memory.numa_stat").splitlines():
            kind, *fields = line.split()
            if kind in ("anon", "file"):
                for field in fields:
                    node, value = field[1:].split("=")
                    by_node[int(node)] = by_node.get(int(node), 0) + int(value)
        return {node: value / (1 << 20) for node, value in by_node.items()}
