# SPDX-License-Identifier: GPL-2.0
"""Which sizes of folios memory that asks for huge pages gets."""

import contextlib
import os

import pytest

from ktest import machine

SIZES = "/sys/kernel/mm/transparent_hugepage"
KNOWN = ["2048kB", "64kB"]


@contextlib.contextmanager
def folios_of(*sizes):
    """These and no others; single pages without any."""
    files = {size: f"{SIZES}/hugepages-{size}/enabled" for size in KNOWN}
    if not all(map(os.path.exists, files.values())):
        pytest.skip("the kernel has no folios of 64 KiB")
    before = {
        file: machine.read(file).split("[")[1].split("]")[0] for file in files.values()
    }
    for size, file in files.items():
        machine.write(file, "always" if size in sizes else "never")
    try:
        yield
    finally:
        for file, word in before.items():
            machine.write(file, word)
