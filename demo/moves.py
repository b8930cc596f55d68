# SPDX-License-Identifier: GPL-2.0
"""Moving memory by cgmigrate or by a plain write to a cgroup file, and watching it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time

EVENTS = "cpuset.mems.events"
STAT = "cpuset.mems.stat"
ENDS = ("migrate_done", "migrate_partial", "migrate_stopped")
LOOK_SECONDS = 0.02
TELL_SECONDS = 0.5
ROWS, COLUMNS = 24, 96
ERASE = "\x1b[K"


class Watch:
    """A context that looks on while the memory of `group` moves.

    Afterwards `samples` is [when, MiB by node], and `window` the time from the first
    start the kernel reported to the first end; None where the kernel reports nothing.
    """

    def __init__(self, group, charged, tell=None):
        self.group = group
        self.charged = charged
        self.tell = tell
        self.samples = []
        self.window = None
        self.ended = {}
        self.moved = {}  # what the kernel counted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._events = self._counters(EVENTS)
        self._stat = self._counters(STAT)
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._look()
        self.moved = {
            name: value - self._stat[name]
            for name, value in self._counters(STAT).items()
        }

    def _counters(self, file):
        return self.group.counters(file) if self.group.has(file) else {}

    def _run(self):
        told = time.monotonic()
        while not self._stop.wait(LOOK_SECONDS):
            now = self._look()
            if self.tell and now - told >= TELL_SECONDS:
                self.tell(self.samples[-1][1])
                told = now

    def _look(self):
        """One sample, and whether something started or ended."""
        events = self._counters(EVENTS)
        now = time.monotonic()
        self.samples.append([now, self.charged.mebibytes()])
        if events and not self.ended:
            if events["migrate_start"] > self._events["migrate_start"]:
                self.window = [self.window[0] if self.window else now, now]
            self.ended = {
                name: events[name] - self._events[name]
                for name in ENDS
                if events[name] > self._events[name]
            }
        return now


def by_write(group, file, value):
    """Write to a file of a cgroup and wait as long as that takes; from when to when."""
    start = time.monotonic()
    group.write(file, value)
    return [start, time.monotonic()]


def by_command(words, live):
    """Run a command with a terminal of its own, so that it shows its progress.

    `live` passes its output on as it comes, else progress becomes lines. Returns the
    exit status, from when to when it ran, and the lines that remained.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
    start = time.monotonic()
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    lasting = []
    with open(ours, encoding="utf-8", newline="") as terminal:
        try:
            for piece in terminal:  # up to a newline or a carriage return
                if live:
                    sys.stdout.write(piece)
                    sys.stdout.flush()
                text = piece.replace(ERASE, "").strip("\r\n")
                if text and piece.endswith("\n"):
                    lasting.append(text)
                if text and not live:
                    print(text, flush=True)
        except OSError:  # EIO: nobody has the other end any more
            pass
    return process.wait(), [start, time.monotonic()], lasting
