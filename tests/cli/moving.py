# SPDX-License-Identifier: GPL-2.0
"""Moves of /web that go on until the test, which plays the kernel, ends them."""

import os
import subprocess
import time

MEMS = "sys/fs/cgroup/web/cpuset.mems"
STOP = f"{MEMS}.migrate.stop"
# A busy machine is no failure.
PATIENCE = 120


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(words, kernel, *args, **streams):
    """A command, up to its verb, whose moves of /web the kernel does not end.

    Others may be reading what the kernel says.
    """
    moves_are(kernel, 1)
    return subprocess.Popen(
        [*words, "--sysroot", kernel.path, "--write-sysroot", *args],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        text=True,
    )


def written(kernel, mems):
    """Until the move has written these nodes."""
    wait_until(lambda: kernel.read(MEMS) == mems)


def moves_are(kernel, pending, more="", cgroup="/web"):
    """What the kernel counts of it now; seen as a whole or not at all."""
    stat = os.path.join(kernel.path, f"sys/fs/cgroup{cgroup}/cpuset.mems.stat")
    with open(f"{stat}.new", "w", encoding="ascii") as file:
        file.write(f"migrate_pending {pending}\nmigrate_held 0\n{more}")
    os.rename(f"{stat}.new", stat)


def moves_end(kernel, more="", cgroup="/web"):
    """The kernel has ended its moves of it."""
    moves_are(kernel, 0, more, cgroup)


def killed(process):
    process.kill()
    process.communicate()
