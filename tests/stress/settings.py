# SPDX-License-Identifier: GPL-2.0
"""The settings of a row, on the machine."""

import contextlib
import glob
import subprocess

from ktest import machine

THP = "/sys/kernel/mm/transparent_hugepage"
KSM = "/sys/kernel/mm/ksm"
BALANCING = "/sys/kernel/debug/sched/numa_balancing"
ZSWAP = "/sys/module/zswap/parameters/enabled"
# Huge pages of the pool: enough for the workers on any two nodes.
POOL = 6


def swap_device():
    """The disk that vm made for swap, by the number virtio gives it."""
    for path in glob.glob("/sys/block/vd*/serial"):
        if machine.read(path).strip() == "swap":
            return "/dev/" + path.split("/")[3]
    return None


def set_thp(value):
    """Sizes between a page and a huge page too, and for shared memory."""
    machine.write(f"{THP}/enabled", "madvise" if value == "always" else "never")
    machine.write(f"{THP}/shmem_enabled", value)
    for size in ("hugepages-64kB", "hugepages-2048kB"):
        with contextlib.suppress(FileNotFoundError):
            machine.write(f"{THP}/{size}/enabled", "inherit")
    machine.write(f"{THP}/khugepaged/scan_sleep_millisecs", "200")
    machine.write(f"{THP}/khugepaged/alloc_sleep_millisecs", "200")


def set_swap(value):
    """Off, on a disk, or compressed in memory first."""
    device = swap_device()
    if device is None:
        return
    used = device in machine.read("/proc/swaps")
    machine.write(ZSWAP, "Y" if value == "zswap" else "N")
    if used != (value != "off"):
        subprocess.run(["swapon" if not used else "swapoff", device], check=True)


def set_balancing(value):
    """At a pace at which it does something within a row."""
    machine.write("/proc/sys/kernel/numa_balancing", value)
    for name, number in (("scan_delay_ms", 100), ("scan_period_min_ms", 100)):
        with contextlib.suppress(FileNotFoundError):
            machine.write(f"{BALANCING}/{name}", number)


def set_lru_gen(value):
    """The newer reclaim, or the older."""
    machine.write("/sys/kernel/mm/lru_gen/enabled", value)


def set_workers(value):
    """Kernel threads that move one address space."""
    machine.write(f"{machine.KNOBS}/workers", value)


SET = {
    "thp": set_thp,
    "swap": set_swap,
    "balancing": set_balancing,
    "lru_gen": set_lru_gen,
    "workers": set_workers,
}


def fill_pool():
    """Moves between nodes, and nodes that go, change what the pool has on each."""
    for node in machine.memory_nodes():
        path = f"{machine.NODE}/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
        with contextlib.suppress(FileNotFoundError):
            machine.write(path, POOL)


def apply(settings):
    """Those of a row."""
    fill_pool()
    for name, value in settings.items():
        SET[name](value)


def prepare():
    """What does not change between rows."""
    machine.protect_from_oom()
    for name, value in (("pages_to_scan", 2000), ("sleep_millisecs", 20), ("run", 1)):
        machine.write(f"{KSM}/{name}", value)
