# SPDX-License-Identifier: GPL-2.0
"""Tests of the client that remembers: what a store loses or breaks is seen."""

import os
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# The module lies beside this file.
import values  # noqa: E402

COUNT, SIZE = 70, 9000


class Store:
    """A dictionary, which may do with what it is given whatever it likes."""

    def __init__(self, change=lambda key, value, stored: value):
        self.stored = {}
        self.change = change
        self.answers = []

    def ask_get(self, key):
        self.answers.append(self.stored.get(key))

    def got(self):
        return self.answers.pop(0)

    def ask_set(self, key, value):
        self.stored[key] = self.change(key, value, self.stored)

    def was_set(self):
        pass


class Stop:
    """Becomes readable at the so-manieth look."""

    def __init__(self, looks):
        self.looks = looks

    def poll(self, _seconds):
        self.looks -= 1
        return self.looks < 0


def client(store):
    """One that has stored all."""
    found = values.Client(store, values.Record(7, COUNT, SIZE))
    found.fill()
    return found


def test_a_good_store():
    good = client(Store())
    found = good.run(Stop(300), 10**6)
    good.look_at_all()
    assert not good.wrong and len(found["seconds"]) == 300
    assert found["written"] > COUNT and found["read"] and any(found["versions"])


def test_pages_are_not_alike():
    record = values.Record(7, 400, 16 << 10)
    pages = set()
    for number in range(400):
        for version in range(3):
            record.versions[number] = version
            value = record.value(number)
            assert len(value) == record.size
            pages.update(value[at : at + 4096] for at in range(0, record.size, 4096))
    assert len(pages) == 400 * 3 * 4


def test_a_lost_write_is_seen():
    """The store keeps the older value."""
    bad = client(Store(lambda key, value, stored: stored.get(key, value)))
    bad.run(Stop(200), 10**6)
    bad.look_at_all()
    assert bad.wrong


@pytest.mark.parametrize("at", [0, 4096, SIZE - 1])
def test_a_changed_byte_is_seen(at):
    def spoil(key, value, _stored):
        if key != b"key:3":
            return value
        return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]

    bad = client(Store(spoil))
    bad.look_at_all()
    assert bad.wrong == [f"key 3 differs in 1 bytes, from byte {at} on"]


def test_a_missing_and_a_short_value_are_seen():
    bad = client(Store())
    del bad.store.stored[b"key:5"]
    bad.store.stored[b"key:6"] = b"short"
    bad.look_at_all()
    assert bad.wrong == ["key 5 is lost", f"key 6 has 5 bytes, not {SIZE}"]


def test_values_that_were_exchanged_are_seen():
    bad = client(Store())
    stored = bad.store.stored
    stored[b"key:1"], stored[b"key:2"] = stored[b"key:2"], stored[b"key:1"]
    bad.look_at_all()
    assert len(bad.wrong) == 2


def test_a_stall_is_felt_by_all_that_were_due():
    """A request that takes long makes those behind it late."""
    slow = client(Store())
    got, first = slow.store.got, []

    def stall():
        if not first:
            first.append(threading.Event().wait(0.2))
        return got()

    slow.store.got = stall
    seconds = slow.run(Stop(50), 100)["seconds"]
    assert sum(late > 0.1 for late in seconds) >= 8


def test_not_all_of_it_is_told():
    told = values.complaints([f"key {number} is lost" for number in range(30)])
    assert len(told) == values.TOLD + 1 and told[-1] == "and 25 more"
