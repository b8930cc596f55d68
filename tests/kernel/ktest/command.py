# SPDX-License-Identifier: GPL-2.0
"""Runs the cgmigrate command."""

import json
import os
import subprocess
import time

from ktest.cpusets import wait_until
from ktest.load import NUMALOAD

COMMAND = os.path.abspath(
    os.path.join(os.path.dirname(NUMALOAD), "..", "bin", "cgmigrate")
)
PATIENCE = 240


def cgmigrate(*args, **more):
    return subprocess.run(
        [COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **more,
    )


def told(*args, code=0):
    """What the command says with -J."""
    result = cgmigrate(*args, "-J")
    out = json.loads(result.stdout)
    said = out.get("error") or out.get("result")
    assert result.returncode == code, json.dumps(said)
    assert out["exit"] == code
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


def wait_for_start(cpuset, engine):
    if engine:
        wait_until(lambda: cpuset.stat()["migrate_pending"], "the move to start")
    else:
        wait_until(lambda: cpuset.mems() == [0, 1, 2, 3], "the cpuset to be wide")
        time.sleep(0.5)
