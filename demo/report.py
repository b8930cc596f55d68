#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Put the two runs of the demo side by side: table, summary, results.json, pictures."""

import argparse
import json
import os
import sys

sys.dont_write_bytecode = True

# Nothing of this may be compiled into the checkout.
import pictures  # noqa: E402

KERNELS = ("engine", "stock")
MOVES = {
    "mems": "nodes of the cpuset changed, 0-1 to 2-3",
    "attach": "attached to another cpuset, 2-3 to 0-1",
}
EMULATION = (
    "All figures come from an emulated machine: compare the kernels with each other, "
    "not with a real machine, until somebody submits figures from real NUMA hardware."
)
ROW = "{:<46} {:>10} {:>10} {:>8}"


def load(folder):
    """The runs by kernel."""
    runs = {}
    for kernel in KERNELS:
        with open(os.path.join(folder, f"{kernel}.json"), encoding="utf-8") as file:
            runs[kernel] = json.load(file)
    return runs


def figures(run):
    """Everything that is compared, as a list of group, name, value, unit."""
    rows = []
    latency = run["latency"]
    for part, title in {"idle": "no move", **MOVES}.items():
        if part != "idle":
            window = run["moves"][part]["window"]
            rows.append((title, "duration", (window[1] - window[0]) * 1000, "ms"))
        for what in ("p50", "p99", "max"):
            value = latency[part]["request"].get(what)
            rows.append((title, f"request {what}", value, "ms"))
        value = latency[part]["mkdir"].get("max")
        rows.append((title, "unrelated mkdir max", value, "ms"))
        if part != "idle":
            pages = run["moves"][part]["pages"]
            lost = pages["pages"] - pages["strays"] - pages["kept"]
            rows.append((title, "pages not at their relative place", lost, ""))
            skipped = run["moves"][part]["skipped"]
            rows.append((title, "of them left on purpose", skipped, ""))
    return rows


def number(value, unit):
    """A figure for the table."""
    if value is None:
        return "-"
    return f"{value:.1f} {unit}" if unit else str(value)


def ratio(engine, stock, unit):
    """How many times more the stock kernel has, where that means something."""
    if not unit or not engine or stock is None:
        return ""
    times = stock / engine
    return f"{times:.1f}x" if times < 10 else f"{times:.0f}x"


def table(runs):
    """Lines that show both kernels side by side."""
    lines = [ROW.format("", "engine", "stock", "ratio")]
    title = None
    for engine, stock in zip(figures(runs["engine"]), figures(runs["stock"])):
        if engine[0] != title:
            title = engine[0]
            lines.append(title)
        lines.append(
            ROW.format(
                "  " + engine[1],
                number(engine[2], engine[3]),
                number(stock[2], stock[3]),
                ratio(engine[2], stock[2], engine[3]),
            ).rstrip()
        )
    return lines


def summary(runs):
    """All the text: the story of each kernel, then the table."""
    lines = []
    for kernel in KERNELS:
        lines += [f"== {kernel} kernel ({runs[kernel]['kernel']})", ""]
        lines += [*runs[kernel]["story"], ""]
    return [*lines, "== side by side", "", *table(runs), "", EMULATION]


def results(runs):
    """What a program would read: everything but the single samples."""
    left_out = ("samples", "story", "placement")
    kept = {
        kernel: {name: run[name] for name in run if name not in left_out}
        for kernel, run in runs.items()
    }
    for kernel, run in runs.items():
        kept[kernel]["placement"] = {
            name: found["mebibytes"] for name, found in run["placement"].items()
        }
        kept[kernel]["moves"] = {
            name: {key: value for key, value in move.items() if key != "progress"}
            for name, move in run["moves"].items()
        }
    return {"emulated": True, "note": EMULATION, "kernels": kept}


def main():
    """Report on the runs in a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="with engine.json and stock.json")
    folder = parser.parse_args().folder
    runs = load(folder)
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results(runs), file, indent=1)
        file.write("\n")
    with open(os.path.join(folder, "summary.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(summary(runs)) + "\n")
    drawn = pictures.draw(runs, folder)
    print("== side by side\n")
    print("\n".join([*table(runs), "", EMULATION, ""]))
    for path in (
        *drawn,
        os.path.join(folder, "summary.txt"),
        os.path.join(folder, "results.json"),
    ):
        print(os.path.relpath(path))


if __name__ == "__main__":
    main()
