# SPDX-License-Identifier: GPL-2.0
"""cgmigrate move --timeout on the engine: left alone, or cancelled."""

import subprocess

from conftest import COMMAND
from test_rate import PATIENCE, moves_end, wait_until

STOP = "sys/fs/cgroup/web/cpuset.mems.migrate.stop"


def moving(kernel, *args):
    kernel.engine("/web", pending=1)
    return subprocess.Popen(
        [COMMAND, "move", "--sysroot", kernel.path, "--write-sysroot", "/web"]
        + ["--to", "2-3", "--timeout", "100ms", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_is_left(kernel, live):
    process = moving(kernel)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6 and "still running: job j1\n" in out
    assert kernel.read(STOP) == ""
    moves_end(kernel)
    wait_until(lambda: live.json("report")["jobs"][0]["state"] == "done")


def test_it_is_cancelled(kernel, live):
    process = moving(kernel, "--cancel-on-timeout")
    wait_until(lambda: kernel.read(STOP) == "1")
    moves_end(kernel, "migrate_left 100\n")
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6, out
    assert "to finish:  cgmigrate settle /web\n" in out
    assert "to go back: cgmigrate move /web --to 0-1\n" in out
    assert live.json("report")["jobs"][0]["state"] == "timeout"
