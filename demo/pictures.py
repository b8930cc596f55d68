# SPDX-License-Identifier: GPL-2.0
"""Pictures of the demo: where the address space lay, and latency over time."""

import os

import matplotlib
import numpy

matplotlib.use("Agg")

# The backend has to be chosen first.
from matplotlib import patches, pyplot  # noqa: E402

PAGE_MIB = 4096 / (1 << 20)
# After Okabe and Ito, to be told apart by colour-blind people and in grey: the
# old nodes are blue, the new ones orange; in each pair the first is the darker.
NODES = {0: "#0072B2", 1: "#8CCBF0", 2: "#B84700", 3: "#F5B942"}
REQUEST, MKDIR, SHADE = "#333333", "#CC79A7", "#DDE7DD"
COLUMNS, LINES = 900, 24
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 110,
}
BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "frameon": False}
HEADROOM = 6  # above the slowest, for the moves' labels
STRIPS = {
    "before mems": "before",
    "after mems": "nodes changed\nto 2-3",
    "after attach": "attached to\na cpuset on 0-1",
}
TITLES = {
    "engine": "engine kernel: cgmigrate move, then an attach",
    "stock": "stock kernel: a write to cpuset.mems, then an attach",
}


def strip(runs):
    """The address space as an image: a column a slice, filled from below by node."""
    nodes = numpy.concatenate(
        [numpy.full(count, node, numpy.int8) for _, count, node, _ in runs]
    )
    image = numpy.ones((LINES, COLUMNS, 3))
    for column, slice_ in enumerate(numpy.array_split(nodes, COLUMNS)):
        ordered = numpy.sort(slice_)
        if not len(ordered):
            continue
        for line in range(LINES):
            node = ordered[line * len(ordered) // LINES]
            image[LINES - 1 - line, column] = matplotlib.colors.to_rgb(NODES[int(node)])
    return image, len(nodes) * PAGE_MIB


def address_space(runs, path):
    """Strips of the address space before and after each move, for both kernels."""
    figure, all_axes = pyplot.subplots(
        len(runs) * len(STRIPS), 1, figsize=(9.5, 6.4), layout="constrained"
    )
    axes = iter(all_axes)
    for kernel, run in runs.items():
        for name, label in STRIPS.items():
            axis = next(axes)
            image, size = strip(run["placement"][name]["runs"])
            axis.imshow(image, aspect="auto", extent=(0, size, 0, 1))
            axis.set_yticks([])
            axis.set_ylabel(label, rotation=0, ha="right", va="center")
            axis.spines[:].set_visible(False)
            if name != list(STRIPS)[-1]:
                axis.set_xticks([])
            if name == list(STRIPS)[0]:
                axis.set_title(TITLES[kernel])
    all_axes[-1].set_xlabel("redis-server's resident memory in address order, MiB")
    legend = [patches.Patch(color=NODES[node], label=f"node {node}") for node in NODES]
    all_axes[-1].legend(
        handles=legend, ncols=4, **{**BELOW, "bbox_to_anchor": (0.5, -0.6)}
    )
    figure.savefig(path)
    pyplot.close(figure)


def points(samples, start, column):
    """Times since `start` and durations in ms of samples."""
    table = numpy.array([[sample[0] - start, sample[column]] for sample in samples])
    return table[:, 0], table[:, 1] * 1000


def mark_move(axis, run, name, start):
    """Shade the time of a move and say how long requests took in it."""
    first, last = (when - start for when in run["moves"][name]["window"])
    axis.axvspan(first, last, color=SHADE, zorder=0)
    found = run["latency"][name]["request"]
    text = "nodes changed" if name == "mems" else "attached"
    if found["count"]:
        text += f"\np99 {found['p99']:.0f} ms"
    axis.annotate(
        text,
        ((first + last) / 2, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, -4),
        textcoords="offset points",
        ha="center",
        va="top",
    )


def latency(runs, path):
    """Every request and mkdir over time, the moves shaded, in the same scale."""
    figure, all_axes = pyplot.subplots(
        len(runs), 1, figsize=(9.5, 6.6), sharex=True, sharey=True, layout="constrained"
    )
    for axis, (kernel, run) in zip(all_axes, runs.items()):
        start = run["windows"]["idle"][0]
        when, took = points(run["samples"]["requests"], start, 1)
        axis.plot(when, took, ".", ms=3, color=REQUEST, label="request to redis-server")
        when, took = points(run["samples"]["probes"], start, 1)
        axis.hlines(took, when, when + took / 1000, color=MKDIR, lw=1.5)
        axis.plot(
            when, took, "^", ms=4, color=MKDIR, label="mkdir of an unrelated cgroup"
        )
        for name in ("mems", "attach"):
            mark_move(axis, run, name, start)
        axis.set_title(TITLES[kernel])
        axis.set_ylabel("took, ms")
        axis.grid(axis="y", color="#DDDDDD", lw=0.6)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_xlim(left=0)
    axis.set_ylim(top=axis.get_ylim()[1] * HEADROOM)
    axis.set_xlabel("seconds")
    handles, labels = axis.get_legend_handles_labels()
    handles.append(patches.Patch(color=SHADE, label="memory is being moved"))
    labels.append("memory is being moved")
    axis.legend(handles, labels, ncols=3, markerscale=2, **BELOW)
    figure.savefig(path)
    pyplot.close(figure)


def draw(runs, folder):
    """All pictures of the runs into a folder; their paths."""
    matplotlib.rcParams.update(STYLE)
    drawn = {"address-space.png": address_space, "latency.png": latency}
    paths = []
    for name, painter in drawn.items():
        paths.append(os.path.join(folder, name))
        painter(runs, paths[-1])
    return paths
