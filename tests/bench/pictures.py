# SPDX-License-Identifier: GPL-2.0
"""Pictures of the benchmark: cost of a page, what was reached, stalls."""

import os

import matplotlib

matplotlib.use("Agg")

# The backend has to be chosen first.
from matplotlib import pyplot  # noqa: E402

# After Okabe and Ito; in each pair the first is the darker, also in grey.
KERNELS = {"stock": "#B84700", "engine": "#0072B2"}
COPY = {"stock": "#F5B942", "engine": "#8CCBF0"}
GRID = {"color": "#DDDDDD", "lw": 0.6}
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 110,
}
COSTS = {
    "insn_per_page_anon4k": "4 KiB anonymous",
    "insn_per_page_mthp64k": "64 KiB folios,\ntenth move",
    "insn_per_page_file4k": "mapped page cache",
}
STALLS = {
    "mmap_stall_1g": "mmap and munmap in the moving process",
    "touch_stall_1g": "reading a word of the moving memory",
}


def middle(runs):
    """The middle of the runs."""
    return sorted(runs)[len(runs) // 2]


def cost(measured, path):
    """Instructions a page: the copy, and what comes on top."""
    names = [n for n in COSTS if all(n in measured[k] for k in KERNELS)]
    if not names:
        return False
    figure, axis = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
    width = 0.38
    for shift, kernel in enumerate(KERNELS):
        for at, name in enumerate(names):
            runs = measured[kernel][name]["runs"]
            copy, rest = middle(runs["copy"]), middle(runs[""])
            x = at + (shift - 0.5) * width
            first = at == 0
            axis.bar(
                x,
                copy,
                width * 0.94,
                color=COPY[kernel],
                label=f"{kernel}: the copy" if first else None,
            )
            axis.bar(
                x,
                rest,
                width * 0.94,
                bottom=copy,
                color=KERNELS[kernel],
                label=f"{kernel}: all the rest" if first else None,
            )
            axis.annotate(f"{rest:.0f}", (x, copy + rest), ha="center", va="bottom")
    axis.set_xticks(range(len(names)), [COSTS[name] for name in names])
    axis.set_ylabel("guest instructions a page")
    axis.set_title("What moving a page costs; numbers: beyond the copy")
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axis.grid(axis="y", **GRID)
    axis.set_axisbelow(True)
    axis.margins(y=0.1)
    figure.savefig(path)
    pyplot.close(figure)
    return True


def ratios(entries, path):
    """Every figure's engine over stock, against what it should reach."""
    shown = [e for e in entries if "." not in e["name"] and e["ratio"] is not None]
    if not shown:
        return False
    shown.reverse()
    height = 1.2 + 0.3 * len(shown)
    figure, axis = pyplot.subplots(figsize=(8, height), layout="constrained")
    for at, entry in enumerate(shown):
        value = entry["ratio"]
        reached = entry.get("reached")
        axis.plot(
            value,
            at,
            "o" if reached else "D",
            ms=7,
            color=KERNELS["engine"] if reached else KERNELS["stock"],
        )
        axis.annotate(
            f"{value:.2g}", (value, at), xytext=(8, -3), textcoords="offset points"
        )
        axis.hlines(at, min(value, 1), max(value, 1), color="#BBBBBB", lw=1, zorder=0)
    axis.axvline(1, color="#333333", lw=1)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    more = {"lower": "", "higher": " *"}
    labels = [entry["name"] + more[entry["better"]] for entry in shown]
    axis.set_yticks(range(len(shown)), labels)
    axis.set_xlabel(
        "engine over stock, less is better (*: more); blue: reached, red: not"
    )
    axis.set_title("Engine against stock")
    axis.margins(x=0.12)
    figure.savefig(path)
    pyplot.close(figure)
    return True


def stalls(measured, path):
    """How long samples took while 1 GiB moved: the part of them above a value."""
    names = [
        n for n in STALLS if any("curve" in measured[k].get(n, {}) for k in KERNELS)
    ]
    if not names:
        return False
    figure, all_axes = pyplot.subplots(
        1, len(names), figsize=(9.5, 3.8), layout="constrained", squeeze=False
    )
    for axis, name in zip(all_axes[0], names):
        for kernel, color in KERNELS.items():
            points = measured[kernel].get(name, {}).get("curve")
            if not points:
                continue
            above, value = zip(*points)
            axis.plot(value, above, color=color, lw=1.8, label=kernel)
            axis.plot(value[-1], above[-1], "o", color=color, ms=5)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel("took more than, ms")
        axis.set_ylabel("part of all samples")
        axis.set_title(STALLS[name])
        axis.grid(**GRID)
        axis.legend(frameon=False)
    figure.savefig(path)
    pyplot.close(figure)
    return True


def growth(curves, path):
    """What a move costs as something grows: both kernels, a panel each.

    `curves` is what tests/bench/scaling writes: for each curve its name, axis, unit,
    and by kernel its middles and extremes by point.
    """
    matplotlib.rcParams.update(STYLE)
    rows = -(-len(curves) // 2)
    figure, axes = pyplot.subplots(
        rows, 2, figsize=(9.5, 3.2 * rows), layout="constrained", squeeze=False
    )
    for axis, curve in zip(axes.flat, curves):
        for kernel, color in KERNELS.items():
            points = curve["kernels"].get(kernel)
            if not points:
                continue
            at = [point["at"] for point in points]
            middles = [point["median"] for point in points]
            low = [p["median"] - p["least"] for p in points]
            high = [p["most"] - p["median"] for p in points]
            axis.errorbar(
                at,
                middles,
                yerr=[low, high],
                color=color,
                marker="o",
                ms=4,
                lw=1.8,
                capsize=2,
                label=kernel,
            )
        axis.set_xscale("log", base=10 if curve["name"] == "mappings" else 2)
        axis.set_xticks(curve["points"], [f"{point:,}" for point in curve["points"]])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_xlabel(curve["axis"])
        axis.set_ylabel(curve["unit"])
        axis.set_title(curve["title"])
        axis.grid(**GRID)
        axis.legend(frameon=False)
    for axis in axes.flat[len(curves) :]:
        axis.axis("off")
    figure.savefig(path)
    pyplot.close(figure)


def draw(measured, entries, folder):
    """All pictures there is something for, into a folder; their paths."""
    matplotlib.rcParams.update(STYLE)
    drawn = {
        "cost.png": lambda path: cost(measured, path),
        "ratios.png": lambda path: ratios(entries, path),
        "stalls.png": lambda path: stalls(measured, path),
    }
    paths = []
    for name, painter in drawn.items():
        path = os.path.join(folder, name)
        if painter(path):
            paths.append(path)
    return paths
