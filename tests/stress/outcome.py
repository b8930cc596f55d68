# SPDX-License-Identifier: GPL-2.0
"""The results of a run, from what its guest wrote."""

import collections
import json
import os

import jobs


def read_rows(path):
    """What each row came to; a guest that died may have left half a line."""
    found = []
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                found.append(json.loads(line))
    except (FileNotFoundError, ValueError):
        pass
    return found


def total(rows, *keys):
    """The sums of counters in a part of every row, and the largest of maxima."""
    sums = collections.Counter()
    for row in rows:
        for key in keys:
            row = row.get(key, {})
        for name, value in row.items():
            sums[name] = (
                max(sums[name], value) if "_max_" in name else sums[name] + value
            )
    return dict(sums)


def operations(rows):
    """Done and refused, and the errors, by operation."""
    found = {}
    for row in rows:
        for name, entry in row.get("operations", {}).items():
            sums = found.setdefault(name, {"done": 0, "refused": 0, "errors": []})
            sums["done"] += entry["done"]
            sums["refused"] += entry["refused"]
            errors = {*sums["errors"], *entry["errors"]}
            sums["errors"] = sorted(errors)
    return dict(sorted(found.items()))


def reasons(rows, plan, status):
    """Why a run is not good, as lines."""
    why = [f"row {row['number']}: {row['failed']}" for row in rows if "failed" in row]
    if why and status == 1:
        return why
    if status:
        why.append(jobs.meaning(status))
    if len(rows) < len(plan):
        why.append(f"row {len(rows)} did not end: {plan[len(rows)].text()}")
    return why


def collect(options, plan, status, seconds):
    """Everything about a run."""
    rows = read_rows(os.path.join(options.out, "rows.jsonl"))
    why = reasons(rows, plan, status)
    return {
        "good": not why,
        "why": why,
        "seed": options.seed,
        "kernel": options.kernel,
        "seconds_a_row": options.seconds,
        "seconds": round(seconds),
        "rows_wanted": len(plan),
        "rows_good": sum("failed" not in row for row in rows),
        "bytes_checked": sum(row.get("bytes_checked", 0) for row in rows),
        "processes": sum(row.get("processes", 0) for row in rows),
        "killed": sum(row.get("killed", 0) for row in rows),
        "operations": operations(rows),
        "account": total(rows, "account"),
        "vmstat": total(rows, "vmstat"),
        "rows": [{k: v for k, v in row.items() if k != "report"} for row in rows],
    }


def summary(found):
    """The same for people."""
    lines = [
        f"{'good' if found['good'] else 'FAILED'}: {found['rows_good']} of "
        f"{found['rows_wanted']} rows on {found['kernel']}, SEED={found['seed']}, "
        f"{found['seconds']} s",
        *found["why"],
        f"{found['bytes_checked'] >> 20} MiB checked by {found['processes']} processes,"
        f" of which {found['killed']} were killed",
    ]
    account = found["account"]
    names = [name for name in account if name.startswith("migrate_") and account[name]]
    lines += [f"  {name:26} {account[name]:>12}" for name in names]
    lines += [f"  {name:26} {value:>12}" for name, value in found["vmstat"].items()]
    for name, entry in found["operations"].items():
        errors = f"  {', '.join(entry['errors'])}" if entry["errors"] else ""
        refused = f" ({entry['refused']} refused)" if entry["refused"] else ""
        lines.append(f"  {name:26} {entry['done']:>12}{refused}{errors}")
    return lines


def write(found, out):
    """results.json and summary.txt."""
    with open(os.path.join(out, "results.json"), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    with open(os.path.join(out, "summary.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(summary(found)) + "\n")
