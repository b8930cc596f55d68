# SPDX-License-Identifier: GPL-2.0
"""The pools of huge pages."""

import os

import pytest

from ktest import machine


class Pool:
    """The pool of one size of huge pages."""

    def __init__(self, kib):
        self.kib = kib

    def _file(self, node, name):
        return f"{machine.NODE}/node{node}/hugepages/hugepages-{self.kib}kB/{name}"

    def exists(self):
        return os.path.exists(self._file(0, "nr_hugepages"))

    def resize(self, node, count):
        machine.write(self._file(node, "nr_hugepages"), count)
        return self.total(node) == count

    def total(self, node):
        return int(machine.read(self._file(node, "nr_hugepages")))

    def free(self, node):
        return int(machine.read(self._file(node, "free_hugepages")))

    def surplus(self, node):
        return int(machine.read(self._file(node, "surplus_hugepages")))

    def reserved(self):
        path = f"/sys/kernel/mm/hugepages/hugepages-{self.kib}kB/resv_hugepages"
        return int(machine.read(path))

    def counts(self, *nodes):
        """Pages, and free ones, on each of these nodes."""
        return [(self.total(node), self.free(node)) for node in nodes]


def make_pool(pool, sizes):
    """Pages on each node; skips where they cannot be had."""
    if not pool.exists():
        pytest.skip(f"the machine has no huge pages of {pool.kib} KiB")
    for node, count in sizes.items():
        if not pool.resize(node, count):
            pytest.skip(f"no room for {count} pages of {pool.kib} KiB on node {node}")
