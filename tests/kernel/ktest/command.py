# SPDX-License-Identifier: GPL-2.0
"""Runs the cgmigrate command, on a process that has much for it to move."""

import functools
import json
import os
import subprocess
import time

from ktest.cpusets import wait_until
from ktest.load import NUMALOAD
from ktest.machine import mib

try:
    import jsonschema
except ImportError:
    jsonschema = None

COMMAND = os.path.abspath(
    os.path.join(os.path.dirname(NUMALOAD), "..", "bin", "cgmigrate")
)
SCHEMA = os.path.join(
    os.path.dirname(__file__), "../../../Documentation/cgmigrate.schema.json"
)
PATIENCE = 240


@functools.cache
def validator():
    with open(SCHEMA, encoding="utf-8") as file:
        return jsonschema.Draft202012Validator(json.load(file))


def validate(out):
    """Is it as the schema says? Where nobody can tell that is not known."""
    if jsonschema:
        validator().validate(out)


def cgmigrate(*args, before=(), **more):
    """Run it; words before it are a program that starts it."""
    return subprocess.run(
        [*before, COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **more,
    )


def told(*args, code=0, **more):
    """What the command says with -J."""
    result = cgmigrate(*args, "-J", **more)
    out = json.loads(result.stdout)
    said = out.get("error") or out.get("result")
    assert result.returncode == code, json.dumps(said)
    assert out["exit"] == code
    validate(out)
    return out


def start(*args):
    return subprocess.Popen(
        [COMMAND, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process):
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def start_slowly(cpuset, path, engine, *args):
    """A move to nodes 2 and 3 that gives time to interfere: the engine holds it."""
    if engine:
        cpuset.write("hold", "1")
    else:
        args = ["--rate", "8M", *args]
    return start("move", path, "--to", "2-3", *args)


def wait_for_start(cpuset, engine):
    if engine:
        wait_until(lambda: cpuset.stat()["migrate_pending"], "the move to start")
    else:
        wait_until(lambda: cpuset.mems() == [0, 1, 2, 3], "the cpuset to be wide")
        time.sleep(0.5)


def busy(load, nodes, pages=mib(8)):
    """Memory of many kinds that two threads write and one verifies."""
    kinds = {
        "anon": dict(kind="anon", stripe=16),
        "locked": dict(kind="anon", lock=1),
        "shared": dict(kind="shared", stripe=64),
        "sysv": dict(kind="sysv"),
        "cow": dict(kind="cow", stripe=32),
    }
    for region, keys in kinds.items():
        load.alloc(region, pages, nodes=nodes, **keys)
    load.alloc("thp", mib(4), kind="thp", nodes=nodes, stripe=mib(2))
    # A write to a page of "cow" makes a new one, wherever the writer runs.
    placed = [*(set(kinds) - {"cow"}), "thp"]
    before = {region: load.pages(region) for region in placed}
    load.threads(4)
    load("work", writers=2, verifiers=1, rest=500)
    return before


def assert_adds_up(out):
    """Rows add up to the totals, and all but what was not looked at is scanned."""
    result = out["result"]
    rows = [row for target in out["targets"] for row in target["rows"]]
    for reason, total in result["totals"].items():
        assert sum(r["bytes"] for r in rows if r["reason"] == reason) == total, reason
    looked_at = sum(v for k, v in result["totals"].items() if k != "left")
    assert result["scanned"] == looked_at
