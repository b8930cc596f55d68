# SPDX-License-Identifier: GPL-2.0
"""Watch the actors of a row: start them, see that they get on, ask what they did."""

import collections
import json
import os
import subprocess
import sys

NUMASTRESS = os.path.join(
    os.environ.get("CPUSET_MIGRATE_BUILD")
    or os.path.join(os.path.dirname(__file__), "..", "..", "build"),
    "tests",
    "numastress",
)
RUN, CALM, END, LEAVE = range(4)
# Workers of an area; private ones have one each.
WORKERS = 2
# The kernel writes a thread's CPU number to its memory when it likes, and ends the
# process if it cannot: where the last node of a cpuset goes there is none for a moment.
ENVIRONMENT = {**os.environ, "GLIBC_TUNABLES": "glibc.pthread.rseq=0"}


class Board:
    """What all actors share."""

    def __init__(self, path, seed):
        self.path = path
        if os.path.exists(path):
            os.unlink(path)
        subprocess.run([NUMASTRESS, "create", path, str(seed)], check=True)

    def show(self, *words):
        """Everything, now; with "traces" the last operations too."""
        done = subprocess.run(
            [NUMASTRESS, "show", self.path, *words],
            stdout=subprocess.PIPE,
            check=True,
        )
        return json.loads(done.stdout)

    def phase(self, number):
        """From now on."""
        subprocess.run([NUMASTRESS, "phase", self.path, str(number)], check=True)

    def close(self):
        """It is not needed any more."""
        os.unlink(self.path)


class Actors:
    """The processes of a row."""

    def __init__(self, board, nodes):
        self.board = board
        self.mask = f"{sum(1 << node for node in nodes):x}"
        self.slot = 0
        self.keepers = {}
        self.outsiders = {}

    def keep(self, kind, ops, folder, groups):
        """A keeper and its workers."""
        command = [NUMASTRESS, "keep", self.board.path, str(self.slot), kind]
        command += [str(WORKERS), " ".join(ops), self.mask, folder, *groups]
        self.keepers[kind] = subprocess.Popen(command, env=ENVIRONMENT)
        self.slot += WORKERS

    def act(self, role, groups):
        """An actor without memory."""
        command = [NUMASTRESS, "act", self.board.path, str(self.slot), role]
        self.outsiders[role] = subprocess.Popen(
            [*command, self.mask, *groups], env=ENVIRONMENT
        )
        self.slot += 1

    @staticmethod
    def ended(processes):
        """Those that have: {name: status}."""
        polled = {name: process.poll() for name, process in processes.items()}
        return {n: status for n, status in polled.items() if status is not None}

    def end(self):
        """Nobody stays."""
        for process in (*self.keepers.values(), *self.outsiders.values()):
            if process.poll() is None:
                process.kill()
            process.wait()


class Pulse:
    """Whether actors get on. Time is counted in looks, not in seconds: a machine that
    stood still for a while has not hung."""

    def __init__(self, looks):
        self.looks = looks
        self.beats = {}
        self.still = collections.Counter()

    def look(self, slots):
        """Names of those that did nothing for too long."""
        for number, slot in slots.items():
            beats = slot["beats"]
            if not slot["pid"] or self.beats.get(number) != beats:
                self.still[number] = 0
            else:
                self.still[number] += 1
            self.beats[number] = beats
        return [
            f"{slots[number]['name']} (slot {number}, pid {slots[number]['pid']}, in "
            f"'{slots[number]['now']}')"
            for number, still in self.still.items()
            if still > self.looks
        ]


def sum_up(slots):
    """Of all actors: operations, bytes, processes."""
    ops = {}
    for slot in slots.values():
        for name, (done, refused, error) in slot["ops"].items():
            entry = ops.setdefault(name, {"done": 0, "refused": 0, "errors": []})
            entry["done"] += done
            entry["refused"] += refused
            if error and os.strerror(error) not in entry["errors"]:
                entry["errors"].append(os.strerror(error))
    return {
        "operations": ops,
        "bytes_checked": sum(slot["bytes"] for slot in slots.values()),
        "processes": sum(slot["born"] for slot in slots.values()),
        "killed": sum(slot["killed"] for slot in slots.values()),
    }


def say(text):
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
