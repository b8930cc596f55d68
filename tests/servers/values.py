# SPDX-License-Identifier: GPL-2.0
"""A client of a store of keys and values that remembers what it wrote."""

import contextlib
import random
import time

# Of so many requests one writes.
WRITES = 4
# Requests that are sent before their answers are read, where nobody measures.
BATCH = 32
# Of what was wrong, so much is told.
TOLD = 5
# Of random bytes, a prime; and how far values lie apart in it.
POOL = 1048573
STEP, VERSION_STEP = 7919, 104729


class Record:
    """Which version of each value is stored; a value follows from key and version.

    It begins with them, and goes on with random bytes cut from a pool at a place that
    follows from them, so that no two pages of all values are meant to be alike.
    """

    def __init__(self, seed, count, size):
        self.size = size
        self.numbers = random.Random(seed)
        self.pool = self.numbers.randbytes(POOL + size)
        self.versions = [0] * count

    def key(self, number):
        """The key."""
        return b"key:%d" % number

    def value(self, number):
        """What has to be stored."""
        version = self.versions[number]
        head = b"%d:%d:" % (number, version)
        at = (number * STEP + version * VERSION_STEP) % POOL
        return head + self.pool[at : at + self.size - len(head)]


def difference(number, found, wanted):
    """What is wrong with a value."""
    if found is None:
        return f"key {number} is lost"
    if len(found) != len(wanted):
        return f"key {number} has {len(found)} bytes, not {len(wanted)}"
    first = next(i for i, (a, b) in enumerate(zip(found, wanted)) if a != b)
    many = sum(a != b for a, b in zip(found, wanted))
    return f"key {number} differs in {many} bytes, from byte {first} on"


class Client:
    """Asks a store, which takes requests and gives the answers in the same order."""

    def __init__(self, store, record):
        self.store = store
        self.record = record
        self.wrong = []
        self.written = 0
        self.read = 0

    def write(self, numbers):
        """Store the values that are recorded."""
        for number in numbers:
            self.store.ask_set(self.record.key(number), self.record.value(number))
        for _ in numbers:
            self.store.was_set()
        self.written += len(numbers)

    def look(self, numbers):
        """Are they what is recorded?"""
        for number in numbers:
            self.store.ask_get(self.record.key(number))
        found = [self.store.got() for _ in numbers]
        for number, value in zip(numbers, found):
            wanted = self.record.value(number)
            if value != wanted:
                self.wrong.append(difference(number, value, wanted))
        self.read += len(numbers)

    def batches(self):
        """All keys, several at a time."""
        keys = range(len(self.record.versions))
        return (keys[at : at + BATCH] for at in range(0, len(keys), BATCH))

    def fill(self):
        """Store all."""
        for batch in self.batches():
            self.write(batch)

    def look_at_all(self):
        """Is everything there?"""
        for batch in self.batches():
            self.look(batch)

    def run(self, stop, rate):
        """So many requests a second until told to stop.

        A latency is counted from when the request was due, so that a stall is felt by
        all that should have been sent meanwhile.
        """
        numbers = self.record.numbers
        seconds = []
        due = time.monotonic()
        while not stop.poll(max(0, due - time.monotonic())):
            number = numbers.randrange(len(self.record.versions))
            if numbers.randrange(WRITES):
                self.look([number])
            else:
                self.record.versions[number] += 1
                self.write([number])
            seconds.append(time.monotonic() - due)
            due += 1 / rate
        return {
            "seconds": seconds,
            "wrong": self.wrong,
            "written": self.written,
            "read": self.read,
            "versions": self.record.versions,
        }


def requests(stop, connect, record, rate):
    """The work of a child that asks a store."""
    with contextlib.closing(connect()) as store:
        return Client(store, record).run(stop, rate)


def complaints(wrong):
    """Some of them, and how many there are."""
    more = [f"and {len(wrong) - TOLD} more"] if len(wrong) > TOLD else []
    return wrong[:TOLD] + more
