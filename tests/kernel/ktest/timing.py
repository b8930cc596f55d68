# SPDX-License-Identifier: GPL-2.0
"""Doing things at the same time, and how long they took."""

import threading
import time


class Background:
    """A call in a thread of its own; its duration, its exception."""

    def __init__(self, call, *args, **keys):
        self.error = None
        self.result = None
        self.seconds = None
        self._thread = threading.Thread(
            target=self._run, args=(call, args, keys), daemon=True
        )
        self._thread.start()

    def _run(self, call, args, keys):
        start = time.monotonic()
        try:
            self.result = call(*args, **keys)
        except Exception as error:  # handed to join()
            self.error = error
        self.seconds = time.monotonic() - start

    @property
    def running(self):
        return self._thread.is_alive()

    def join(self):
        self._thread.join()
        if self.error:
            raise self.error
        return self.seconds


def timed(call, *args, **keys):
    """Seconds that a call takes."""
    start = time.monotonic()
    call(*args, **keys)
    return time.monotonic() - start


class Repeated:
    """A call repeated in a thread until stop(): how often, and the longest."""

    def __init__(self, call, rest=0.002):
        self.seconds = []
        self._stop = threading.Event()
        self._runner = Background(self._loop, call, rest)

    def _loop(self, call, rest):
        while not self._stop.is_set():
            self.seconds.append(timed(call))
            time.sleep(rest)

    def stop(self):
        self._stop.set()
        self._runner.join()
        return self.seconds
