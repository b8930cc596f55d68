# SPDX-License-Identifier: GPL-2.0
"""How cost grows: what of, where that is measured, and at which points."""

import dataclasses
import statistics

from report import number

ROW = "{:>26} {:>11} {:>11} {:>7}"

# Options of tests/vm/vm, as figures.GUESTS. Of those that count instructions both
# kernels run at once, but for `big`, for whose memory there may be no room twice.
GUESTS = {
    "count": ["--icount", "--nodes", "4", "--mem-per-node", "1G"],
    "nodes": ["--icount", "--nodes", "16", "--mem-per-node", "256M"],
    "big": ["--icount", "--nodes", "2", "--mem-per-node", "4864M"],
    "stall": ["--nodes", "2", "--cpus", "2", "--mem-per-node", "4864M"],
}
TOGETHER = ("count", "nodes")
# For both kernels, on two cores.
SECONDS = {"count": 240, "nodes": 120, "big": 480, "stall": 360}


@dataclasses.dataclass(frozen=True)
class Curve:
    """What grows, at which points, and in what its cost is given."""

    name: str
    title: str
    guest: str
    axis: str
    points: tuple
    unit: str = "instructions/page"


CURVES = [
    Curve(
        "size", "Size", "big", "MiB in a process", (64, 128, 256, 512, 1024, 2048, 4096)
    ),
    Curve("threads", "Threads", "count", "threads", (1, 8, 64, 192, 512)),
    Curve(
        "processes", "Processes", "count", "processes, 256 MiB in all", (1, 4, 16, 64)
    ),
    Curve("nodes", "Nodes", "nodes", "nodes, half of them left", (2, 4, 8, 16)),
    Curve("mappings", "Mappings", "count", "mappings", (10, 100, 1000, 10000, 100000)),
    Curve(
        "stall",
        "Longest mmap or munmap",
        "stall",
        "MiB in a process",
        (64, 256, 1024, 4096),
        "ms",
    ),
    Curve(
        "stall_p999",
        "mmap and munmap, 99.9th percentile",
        "stall",
        "MiB in a process",
        (64, 256, 1024, 4096),
        "ms",
    ),
]
NAMES = [curve.name for curve in CURVES]
POINTS = {curve.name: curve.points for curve in CURVES}


def names_in(guest, names):
    """Which of these curves a guest measures."""
    return [c.name for c in CURVES if c.guest == guest and c.name in names]


def summed_up(measured):
    """What was measured, {kernel: {curve: runs}}, for a file and a picture."""
    found = []
    for curve in CURVES:
        if not any(curve.name in entries for entries in measured.values()):
            continue
        kernels = {}
        for kernel, entries in measured.items():
            runs = entries.get(curve.name, {}).get("runs", {})
            kernels[kernel] = [
                {
                    "at": point,
                    "median": statistics.median(runs[str(point)]),
                    "least": min(runs[str(point)]),
                    "most": max(runs[str(point)]),
                    "runs": len(runs[str(point)]),
                }
                for point in curve.points
                if str(point) in runs
            ]
        found.append(dict(dataclasses.asdict(curve), kernels=kernels))
    return found


def table(found):
    """The lines of a table: points down, kernels across, and engine over stock."""
    lines = []
    for curve in found:
        lines += ["", f"{curve['title']}: {curve['unit']}"]
        lines.append(ROW.format(curve["axis"], "stock", "engine", "ratio").rstrip())
        by_kernel = {
            kernel: {point["at"]: point["median"] for point in points}
            for kernel, points in curve["kernels"].items()
        }
        for point in curve["points"]:
            stock = by_kernel.get("stock", {}).get(point)
            engine = by_kernel.get("engine", {}).get(point)
            both = stock is not None and engine is not None
            ratio = engine / stock if both and stock else None
            cells = map(number, (stock, engine, ratio))
            lines.append(ROW.format(f"{point:,}", *cells).rstrip())
    return lines[1:]
