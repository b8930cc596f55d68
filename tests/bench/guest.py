#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Measure figures inside a guest and write their runs to a file; see run."""

import argparse
import json
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "kernel")]
sys.dont_write_bytecode = True

# The modules lie beside this program, which has to say so first.
import cost  # noqa: E402
import growth  # noqa: E402
import parallel  # noqa: E402
import stalls  # noqa: E402
from lab import Lab, Unavailable  # noqa: E402

from ktest import machine  # noqa: E402

STALLS = ["mkdir_stall_1g", "mmap_stall_1g", "mmap_stall_growth", "touch_stall_1g"]
STALLS += ["isolated_peak"]
# What measures which figures: a call that takes the lab and returns the runs of its one
# figure, or of each of several by name.
MEASURES = [
    (["insn_per_page_anon4k"], cost.anon),
    (["insn_per_page_mthp64k"], cost.mthp),
    (["insn_per_page_file4k"], cost.file),
    (["thp_over_copy"], cost.thp),
    (["threads_192"], cost.threads),
    (["sets_4to4"], cost.sets),
    (["possible_nodes"], cost.leaving_root),
    (["time_per_page_anon4k"], cost.time_per_page),
    (STALLS, stalls.everything),
    (["alloc_stall_others"], stalls.allocation),
    (["workers_2"], parallel.workers),
    (["procs_4"], parallel.processes),
    (["rate_accuracy"], parallel.rate),
    (["user_move_stall"], parallel.user_moves),
    *growth.MEASURES,
]


def describe():
    """What a figure depends on besides the kernel."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        models = [line.split(": ")[1].strip() for line in file if "model name" in line]
    path = "/sys/kernel/mm/lru_gen/enabled"
    return {
        "release": os.uname().release,
        "cpu": models[0],
        "cpus": len(models),
        "memory_nodes": machine.memory_nodes(),
        "lru_gen": machine.read(path).strip() if os.path.exists(path) else "none",
        "command_line": machine.read("/proc/cmdline").strip(),
    }


def measure(lab, names, call):
    """Runs by figure; a figure that cannot be measured has the reason instead."""
    try:
        with lab.experiment():
            found = call(lab)
    except Unavailable as reason:
        return {name: {"unavailable": str(reason)} for name in names}
    return {names[0]: found} if "runs" in found else found


def main():
    """Run the measurements of the figures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("module", help="copycost.ko for this kernel")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--lru-gen", choices=["y", "n"])
    options = parser.parse_args()
    machine.protect_from_oom()
    if options.lru_gen:
        machine.write("/sys/kernel/mm/lru_gen/enabled", options.lru_gen)
    lab = Lab(options.quick, options.module)
    found, failed = {}, 0
    for names, call in MEASURES:
        if not set(names) & set(options.names):
            continue
        start = time.monotonic()
        try:
            found.update(measure(lab, names, call))
        except Exception:
            traceback.print_exc()
            failed = 1
        took = time.monotonic() - start
        print(f"{' '.join(names)}: {took:.1f} s of the guest's time", flush=True)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump({"guest": describe(), "figures": found}, file)
    return failed


if __name__ == "__main__":
    sys.exit(main())
