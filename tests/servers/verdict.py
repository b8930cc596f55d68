# SPDX-License-Identifier: GPL-2.0
"""The results of a run, from what its guest wrote."""

import json
import os

import jobs

PHASES = ("idle", "moved")
HEAD = ("server", "phase", "count", "p50 ms", "p99 ms", "max ms")
ROW = "{:<12}{:<7}{:>8}{:>10}{:>10}{:>10}"


def read_guest(path):
    """What the guest found; nothing if it died before."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return {}


def reasons(found, status):
    """Why a run is not good, as lines."""
    why = list(found.get("why", ["the guest left no result"]))
    if status != (1 if why else 0):
        why.append(jobs.meaning(status))
    return why


def collect(options, status):
    """Everything about a run."""
    found = read_guest(os.path.join(options.out, "guest.json"))
    why = reasons(found, status)
    return {
        **found,
        "good": not why,
        "why": why,
        "seed": options.seed,
        "kernel": options.kernel,
        "idle_seconds": options.idle,
        "moved_seconds": options.moved,
    }


def moves(counts):
    """How many of each kind ended how."""
    parts = []
    for kind, ends in counts.items():
        said = ", ".join(f"{number} {how}" for how, number in sorted(ends.items()))
        parts.append(f"{kind} {said or 'none'}")
    return "; ".join(parts)


def table(servers):
    """The latency of each, idle and moved, and what else it measured."""
    lines = [ROW.format(*HEAD)]
    for name, server in servers.items():
        for phase in PHASES:
            found = server.get(phase, {})
            taken = found.get("latency", {})
            if "p50" in taken:
                numbers = [taken["count"]]
                numbers += [f"{taken[part]:.1f}" for part in ("p50", "p99", "max")]
                lines.append(ROW.format(name, phase, *numbers))
            rates = found.get("operations_a_second", {}).items()
            if rates:
                text = ", ".join(f"{stressor} {rate}" for stressor, rate in rates)
                lines.append(f"{name:<12}{phase:<7}operations/s: {text}")
    return lines


def facts(servers):
    """What was counted, one line a server."""
    lines = []
    for name, server in servers.items():
        parts = [f"{k} {v}" for k, v in server.items() if k not in PHASES]
        for phase in PHASES:
            counted = {
                k: v
                for k, v in server.get(phase, {}).items()
                if k not in ("latency", "operations_a_second")
            }
            if counted:
                text = ", ".join(f"{k} {v}" for k, v in counted.items())
                parts.append(f"{phase}: {text}")
        lines.append(f"  {name}: {'; '.join(parts)}")
    return lines


def summary(found):
    """The same for people."""
    lines = [
        f"{'good' if found['good'] else 'FAILED'}: servers on {found['kernel']}, "
        f"SEED={found['seed']}, {found['idle_seconds']} s idle, "
        f"{found['moved_seconds']} s moved",
        *found["why"],
    ]
    if "moves" in found:
        lines.append(f"moves: {moves(found['moves'])}")
    if "servers" in found:
        lines += table(found["servers"]) + facts(found["servers"])
    return lines


def write(found, out):
    """results.json and summary.txt."""
    with open(os.path.join(out, "results.json"), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    with open(os.path.join(out, "summary.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(summary(found)) + "\n")
