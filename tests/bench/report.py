# SPDX-License-Identifier: GPL-2.0
"""From what the guests measured to results.json and the table."""

import stats
from figures import FIGURES, KERNELS, Found

ROW = "{:<28} {:>11} {:>11} {:>7} {:>6} {:<18} {:<22} {}"
HEAD = ("figure", "stock", "engine", "ratio", "spread", "unit", "reach", "reached")


def runs_of(measured, kernel, figure):
    """The runs of a figure on a kernel; nothing where it was not measured."""
    found = measured.get(kernel, {}).get(figure.base, {})
    return found.get("runs", {}).get(figure.part, [])


def found_of(measured, base):
    """The medians of a figure and all its parts."""
    medians = {}
    for kernel in KERNELS:
        parts = measured.get(kernel, {}).get(base, {}).get("runs", {})
        medians[kernel] = {
            part: stats.median(runs) for part, runs in parts.items() if runs
        }
    return Found(medians)


def unavailable(measured, figure):
    """Why a figure has no value, by kernel."""
    reasons = {}
    for kernel in KERNELS:
        reason = measured.get(kernel, {}).get(figure.base, {}).get("unavailable")
        if reason:
            reasons[kernel] = reason
    return reasons


def result(measured, figure):
    """The entry of one figure, None where no kernel has measured it."""
    runs = {kernel: runs_of(measured, kernel, figure) for kernel in KERNELS}
    missing = unavailable(measured, figure)
    if not any(runs.values()) and not missing:
        return None
    found = found_of(measured, figure.base)
    entry = {
        "name": figure.name,
        "unit": figure.unit,
        "stock": found.of("stock", figure.part),
        "engine": found.of("engine", figure.part),
        "ratio": found.ratio(figure.part),
        "runs": min((len(values) for values in runs.values() if values), default=0),
        "better": figure.better,
        "spread": {
            kernel: stats.spread(values) for kernel, values in runs.items() if values
        },
        "all_runs": runs,
        "guest": figure.guest,
    }
    if figure.reach:
        entry["reach"] = figure.reach.text
        entry["reached"] = figure.reach.test(found)
    if missing:
        entry["not_available"] = missing
    return entry


def results(measured):
    """The list that becomes results.json."""
    entries = (result(measured, figure) for figure in FIGURES)
    return [entry for entry in entries if entry]


def number(value):
    """A value with three or four digits that matter."""
    if value is None:
        return "-"
    if value and abs(value) < 0.01:
        return f"{value:.2e}"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:.{digits}f}"


def row(entry):
    """The line of one figure."""
    base, _, part = entry["name"].partition(".")
    apart = [value for value in entry["spread"].values() if value is not None]
    reached = {True: "yes", False: "no", None: "-"}[entry.get("reached")]
    if "reach" not in entry:
        reached = ""
    line = ROW.format(
        f"  .{part}" if part else base,
        number(entry["stock"]),
        number(entry["engine"]),
        number(entry["ratio"]),
        f"{max(apart):.0%}" if apart else "-",
        entry["unit"],
        entry.get("reach", ""),
        reached,
    )
    return line.rstrip()


def table(entries):
    """The lines of the table, with what could not be measured below it."""
    lines = [ROW.format(*HEAD).rstrip()]
    lines += [row(entry) for entry in entries]
    notes = []
    for entry in entries:
        if "." not in entry["name"]:
            for kernel, reason in entry.get("not_available", {}).items():
                notes.append(f"{entry['name']}: not available on {kernel}: {reason}")
    return lines + ([""] + notes if notes else [])
