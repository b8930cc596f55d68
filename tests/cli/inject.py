# SPDX-License-Identifier: GPL-2.0
"""Runs a command with one of its calls made to fail, wherever it makes one.

tests/inject has what is preloaded for that. AddressSanitizer is preloaded too, which
finds what is freed twice, used after that by libc, or not freed at all.
"""

import contextlib
import os
import re
import shutil
import subprocess

from conftest import BUILD, COMMAND

SHIM = os.path.abspath(os.path.join(BUILD, "tests", "inject.so"))
FOUND = 99  # exit status of AddressSanitizer
# What is another in each run.
VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.+Z-]*|\d\d:\d\d(:\d\d)?"
    r'|"(\w*usec|pid|pid_start|last_end)": "?\d+"?|\b[\d.]+ ?(us|ms|s)\b'
    r"|\b[\d.]+[KMG]?/s"
    r'|"user": "\w+"'  # its number where there is no memory for its name
)


def sanitizer():
    """Its library, as the compiler has it."""
    words = ["gcc", "-print-file-name=libasan.so"]
    found = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    path = os.path.realpath(found.stdout.strip())
    return path if os.path.isabs(path) else None


def same(text):
    """A text without what is another in each run."""
    return VOLATILE.sub("#", text)


def files(path):
    """What a tree consists of: the text of each file."""
    found = {}
    for directory, _, names in os.walk(path):
        for name in names:
            file = os.path.join(directory, name)
            with open(file, encoding="utf-8") as opened:
                found[os.path.relpath(file, path)] = opened.read()
    return found


def ours(stack):
    """The place in our code that a call was made for, and where it was called."""
    return tuple(frame for frame in stack.split() if "cgmigrate" in frame)[:2]


def named(stack):
    """Our functions of a stack, the innermost first."""
    paths = {"cgmigrate": COMMAND}
    for library in (
        "libcgmigrate.so.1",
        "cgmigrate/libcgroup-cgmigrate.so",
        "cgmigrate/libcgroup-cgmigrate-core.so",
    ):
        paths[os.path.basename(library)] = os.path.join(BUILD, "lib", library)
    names = []
    for frame in stack.split():
        name, offset = frame.split("+")
        if name in paths:
            words = ["addr2line", "-sfe", paths[name], hex(int(offset, 16) - 1)]
            said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            names.append(":".join(said.stdout.split()[:2]))
    return " < ".join(names)


class Injector:
    """Runs on a tree, which is as it was before each of them."""

    def __init__(self, tree, scratch, words, preload=(), more=None):
        self.tree = tree
        self.words = words
        self.log = os.path.join(scratch, "calls")
        self.saved = os.path.join(scratch, "saved")
        shutil.copytree(tree.path, self.saved, symlinks=True)
        self.preload = ":".join([*preload, SHIM, *filter(None, [sanitizer()])])
        self.more = more or {}

    def restore(self):
        """The tree as it was."""
        shutil.rmtree(self.tree.path)
        shutil.copytree(self.saved, self.tree.path, symlinks=True)

    def run(self, words, **environment):
        """A run on the tree as it is."""
        options = f"verify_asan_link_order=0:exitcode={FOUND}"
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={
                **os.environ,
                # What the C library does for a locale is not ours.
                "LC_ALL": "C",
                **{"ASAN_OPTIONS": options, "LD_PRELOAD": self.preload},
                **self.more,
                **environment,
            },
        )

    def calls(self, kind):
        """The numbers of all calls of a kind, each with its stack; and a run."""
        self.restore()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.log)
        result = self.run(self.words, INJECT=kind, INJECT_LOG=self.log)
        found = []
        if os.path.exists(self.log):
            with open(self.log, encoding="ascii") as file:
                found = [line.strip().split(" ", 1) for line in file]
        return [(int(number), stack) for number, stack in found], result

    def fail(self, kind, number):
        """A run in which one call fails. And where that was, None: none has."""
        self.restore()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.log)
        result = self.run(
            self.words, INJECT=kind, INJECT_LOG=self.log, INJECT_AT=str(number)
        )
        if not os.path.exists(self.log):
            return result, None
        with open(self.log, encoding="ascii") as file:
            return result, file.readline().strip().split(" ", 1)[1]


def command(tree, *args):
    """The words of cgmigrate on a tree."""
    verb, *rest = args
    return [COMMAND, verb, "--sysroot", tree.path, "--write-sysroot", *rest]
