# SPDX-License-Identifier: GPL-2.0
"""Block devices and file systems that tests make for themselves."""

import contextlib
import ctypes
import os
import shutil
import subprocess

import pytest

from ktest import machine

SECTOR = 512
SYNC_FILE_RANGE_WRITE = 2


def run(*command):
    """A command that has to succeed; what it printed."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def need(*programs):
    """Skip the test where the machine lacks a program."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


@contextlib.contextmanager
def mounted(folder, kind, device="none"):
    """A file system, mounted on a new folder."""
    os.makedirs(folder)
    run("mount", "-t", kind, device, folder)
    try:
        yield folder
    finally:
        run("umount", folder)
        os.rmdir(folder)


@contextlib.contextmanager
def loop_device(path, size):
    """A block device on a new file."""
    need("losetup")
    with open(path, "wb") as file:
        file.truncate(size)
    device = run("losetup", "--find", "--show", path)
    try:
        yield device
    finally:
        run("losetup", "--detach", device)
        os.unlink(path)


@contextlib.contextmanager
def swap_on(path, size):
    """A file to swap to."""
    need("mkswap", "swapon", "swapoff")
    with open(path, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        os.posix_fallocate(file.fileno(), 0, size)
        os.fsync(file.fileno())
    run("mkswap", path)
    run("swapon", "--priority", 100, path)
    try:
        yield path
    finally:
        run("swapoff", path)
        os.unlink(path)


class SlowDisk:
    """A block device whose writes can be made to take long."""

    def __init__(self, below, size):
        need("dmsetup")
        self.name = f"cpuset-migrate-{os.getpid()}"
        self._below = below
        self._sectors = size // SECTOR
        run("dmsetup", "create", "--noudevsync", self.name, "--table", self._table(0))
        # Without udev nobody makes a node in /dev/mapper.
        info = ("info", "--columns", "--noheadings", "--options", "blkdevname")
        self.path = "/dev/" + run("dmsetup", *info, self.name)

    def _table(self, delay):
        return f"0 {self._sectors} delay {self._below} 0 0 {self._below} 0 {delay}"

    def delay_writes(self, milliseconds):
        """From now on; what was delayed until now is written at once."""
        run("dmsetup", "load", self.name, "--table", self._table(milliseconds))
        # Suspending would wait for a file system to write everything otherwise.
        run("dmsetup", "suspend", "--nolockfs", "--noudevsync", self.name)
        run("dmsetup", "resume", "--noudevsync", self.name)

    def remove(self):
        run("dmsetup", "remove", "--noudevsync", self.name)


def start_writeback(path):
    """Send dirty pages to the device without waiting for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sync_file_range.argtypes = [ctypes.c_int] + [ctypes.c_int64] * 2
    libc.sync_file_range.argtypes += [ctypes.c_uint]
    fd = os.open(path, os.O_RDWR)
    try:
        if libc.sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE):
            raise OSError(ctypes.get_errno(), path)
    finally:
        os.close(fd)


def under_writeback():
    machine.write("/proc/sys/vm/stat_refresh", "1")
    return machine.vmstat("nr_writeback")


@contextlib.contextmanager
def slow_file_system(folder):
    """An ext4 on a device whose writes can be delayed: its folder, the device."""
    size = 64 << 20
    with loop_device(folder / "image", size) as below:
        device = SlowDisk(below, size)
        try:
            run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", device.path)
            with mounted(folder / "slow", "ext4", device.path) as there:
                try:
                    yield there, device
                finally:
                    device.delay_writes(0)
        finally:
            device.remove()
