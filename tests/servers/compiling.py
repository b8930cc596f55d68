# SPDX-License-Identifier: GPL-2.0
"""A parallel compile, whose objects have to be those of a quiet run."""

import concurrent.futures
import glob
import hashlib
import os
import subprocess
import time

from child import Child
from phase import Phase, ended

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(os.path.dirname(HERE), "kernel", "load", "*.c")
# So many of them, by so many compilers.
FILES, AT_ONCE = 6, 2
FLAGS = ["-std=gnu11", "-O2", "-g", "-pthread", "-c"]


def digest(path):
    """Of an object."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Compiler:
    """Compiles the same files over and over."""

    def __init__(self, folder):
        self.folder = folder
        self.seconds = []
        self.objects = []

    def compile(self, source):
        """One file; an object that nobody else has the name of."""
        path = os.path.join(self.folder, os.path.basename(source) + ".o")
        start = time.monotonic()
        done = subprocess.run(
            ["gcc", *FLAGS, "-o", path, source],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        took = time.monotonic() - start
        if done.returncode:
            return source, f"{done.returncode}: {done.stdout[-500:]}", took
        found = digest(path)
        os.unlink(path)
        return source, found, took

    def all(self, sources):
        """Each once."""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for source, found, took in pool.map(self.compile, sources):
                self.objects.append((source, found))
                self.seconds.append(took)


def compile_until(stop, home, folder, sources):
    """The work of a child, which is in the server's cpuset with its compilers."""
    home.enter()
    os.nice(10)
    compiler = Compiler(folder)
    while True:
        compiler.all(sources)
        if stop.poll():
            return {"seconds": compiler.seconds, "objects": compiler.objects}


class Compile:
    """The compile as a server."""

    name = "compile"

    def __init__(self, home, options):
        self.home = home
        self.folder = os.path.join(options.disk, self.name)
        self.sources = sorted(glob.glob(SOURCES))[:FILES]
        self.wanted = {}
        self.child = None
        self.complaints = []

    def start(self):
        """Room for the objects."""
        os.makedirs(self.folder)

    def begin(self, _phase, _seconds):
        """Every file at least once."""
        work = compile_until, self.home, self.folder, self.sources
        self.child = Child(os.sched_getaffinity(0), *work)

    def alive(self):
        """Whether it still compiles."""
        return self.child is None or self.child.process.is_alive()

    def end(self):
        """What came of it. The first objects of all are what the others have to be."""
        found = ended(self.name, self.child)
        self.child = None
        for source, text in found["objects"]:
            if self.wanted.setdefault(source, text) != text:
                name = os.path.basename(source)
                self.complaints.append(f"compile: {name}: {text}")
        return Phase(found["seconds"], {"objects": len(found["objects"])})

    def judge(self):
        """Errors of the quiet run, too, would be the same each time."""
        bad = [text for text in self.wanted.values() if " " in text]
        self.complaints += [f"compile: {text}" for text in bad]
        return {"files": len(self.wanted)}

    def close(self):
        """Leave nothing behind, whatever happened."""
        if self.child and self.child.process.is_alive():
            self.child.process.kill()
