# SPDX-License-Identifier: GPL-2.0
"""Long jobs in a guest: start one, wait for it, say what its exit status means."""

import os
import subprocess

VM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vm", "vm")
MEANINGS = {
    124: "the guest took too long",
    130: "interrupted",
    254: "the guest never came up",
    255: "the kernel complained, or the guest ended: see console",
}
LEAKS = """"$@"; status=$?
echo scan >/sys/kernel/debug/kmemleak; sleep 7; echo scan >/sys/kernel/debug/kmemleak
cat /sys/kernel/debug/kmemleak >&2; exit $status"""


def with_leaks(command):
    """The command, and after it a look for leaks; a splat makes vm exit with 255."""
    return ["sh", "-c", LEAKS, "sh", *command]


def meaning(status):
    """Why a guest that ended so is no good."""
    return MEANINGS.get(status, f"exit status {status}")


def run(command, path):
    """A guest's exit status; what the command in it prints goes to a file."""
    with open(path, "w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file)
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
