# SPDX-License-Identifier: GPL-2.0
"""Cpusets of either hierarchy, so that one test serves both."""

import contextlib
import os
import re
import signal
import time

from ktest import machine

FILES = {
    2: {
        "max": "cpuset.mems.migrate.max",
        "hold": "cpuset.mems.migrate.hold",
        "stop": "cpuset.mems.migrate.stop",
        "settle": "cpuset.mems.migrate.settle",
        "cache": "cpuset.mems.migrate.cache",
        "events": "cpuset.mems.events",
        "events.local": "cpuset.mems.events.local",
        "stat": "cpuset.mems.stat",
        "threads": "cgroup.threads",
    },
    1: {
        "max": "cpuset.memory_migrate_max",
        "hold": "cpuset.memory_migrate_hold",
        "stop": "cpuset.memory_migrate_stop",
        "settle": "cpuset.memory_migrate_settle",
        "cache": "cpuset.memory_migrate_cache",
        "events": "cpuset.memory_migrate_events",
        "stat": "cpuset.memory_migrate_stat",
        "threads": "tasks",
    },
}

# Long past anything a working kernel needs, even emulated: a hang, not a limit.
HANG_SECONDS = 180


class Hang(AssertionError):
    """Something that has to end did not."""


def wait_until(condition, what):
    """Wait for what must come; return the seconds it took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > HANG_SECONDS:
            raise Hang(f"still waiting after {HANG_SECONDS} s: {what}")
        time.sleep(0.005)
    return time.monotonic() - start


def find_hierarchy():
    """Version and mount point of the hierarchy that has the cpuset controller."""
    unified = None
    for line in machine.read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ", 1)
        where, kind, options = left.split()[4], right.split()[0], right.split()[2]
        if kind == "cgroup" and "cpuset" in options.split(","):
            return 1, where
        if kind == "cgroup2":
            unified = where
    if unified and "cpuset" in machine.read(f"{unified}/cgroup.controllers").split():
        return 2, unified
    return None, None


class Cpuset:
    """One directory of the hierarchy."""

    def __init__(self, version, path):
        self.version = version
        self.path = path

    def __repr__(self):
        return f"Cpuset({self.path})"

    @classmethod
    def root(cls):
        version, path = find_hierarchy()
        return cls(version, path) if version else None

    def file(self, name):
        """The file of a name of ours: mems, stat, events, hold, procs ..."""
        if name == "mems" or name == "cpus":
            leaf = f"cpuset.{name}"
        elif name == "procs":
            leaf = "cgroup.procs"
        else:
            leaf = FILES[self.version].get(name, name)
        return os.path.join(self.path, leaf)

    def has(self, name):
        return os.path.exists(self.file(name))

    def read(self, name):
        return machine.read(self.file(name)).strip()

    def write(self, name, value, nonblock=False):
        """One write(2); returns what it returned."""
        flags = os.O_WRONLY | (os.O_NONBLOCK if nonblock else 0)
        fd = os.open(self.file(name), flags)
        try:
            return os.write(fd, str(value).encode())
        finally:
            os.close(fd)

    def set_mems(self, nodes, nonblock=False):
        if not isinstance(nodes, str):
            nodes = machine.format_list(nodes)
        self.write("mems", nodes, nonblock)

    def mems(self):
        """The nodes in force."""
        name = "cpuset.mems.effective" if self.version == 2 else "mems"
        return machine.parse_list(self.read(name))

    def attach(self, load, nonblock=False):
        """Attach a process: a Load, or a pid."""
        self.write("procs", getattr(load, "pid", load), nonblock)

    def attach_thread(self, tid):
        self.write("threads", tid)

    def _keyed(self, name):
        pairs = (line.split() for line in self.read(name).splitlines())
        return {key: int(value) for key, value in pairs}

    def stat(self):
        return self._keyed("stat")

    def events(self):
        return self._keyed("events")

    def _is_idle(self):
        # Who is told that a move has ended finds nothing pending, not the other way.
        events = self.events()
        return not self.stat()["migrate_pending"] and events["migrate_start"] == ends(
            events
        )

    def wait_idle(self):
        """Wait until nothing is queued or running for this cpuset."""
        return wait_until(self._is_idle, f"moves of {self.path}")

    def control(self, enable=True):
        """v2: hand the cpuset controller to the children, or take it away."""
        sign = "+" if enable else "-"
        self.write("cgroup.subtree_control", f"{sign}cpuset")

    def mkdir(self, name, mems=None, controlled=True):
        """A child, with the cpuset controller unless told otherwise."""
        child = Cpuset(self.version, os.path.join(self.path, name))
        if self.version == 2 and controlled:
            if "cpuset" not in self.read("cgroup.subtree_control").split():
                self.control()
        os.mkdir(child.path)
        if self.version == 1:
            child.write("cpus", self.read("cpus"))
            child.write("mems", self.read("mems"))
            child.write("cpuset.memory_migrate", "1")
        if mems is not None:
            child.set_mems(mems)
        return child

    def rmdir(self):
        os.rmdir(self.path)

    def procs(self):
        return [int(pid) for pid in self.read("procs").split()]

    def kill(self):
        """Kill everything in it and wait until it is gone."""
        # Unlike its processes, the threads of a threaded cgroup can be read.
        # Who has just exited has no number any more, and 0 would be ourselves.
        for tid in filter(int, self.read("threads").split()):
            try:
                os.kill(int(tid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not self._populated(), f"{self.path} to be empty")

    def _populated(self):
        if self.version == 2:
            return "populated 1" in self.read("cgroup.events")
        return bool(self.read("tasks"))

    def remove(self):
        """Kill and remove it and everything below."""
        for entry in os.scandir(self.path):
            if entry.is_dir(follow_symlinks=False):
                Cpuset(self.version, entry.path).remove()
        self.kill()
        self.rmdir()


def engine_files(cpuset):
    """Whether the kernel gives a cpuset the engine's files."""
    return cpuset.has("stat")


def sum_of(stat, pattern):
    return sum(value for key, value in stat.items() if re.fullmatch(pattern, key))


def ends(events):
    """Moves that have ended, one way or the other."""
    return sum_of(events, r"migrate_(done|partial|stopped)")


def accounted(stat):
    """Pages of every final outcome; must equal migrate_scanned."""
    outcomes = r"migrate_(moved|inplace|gone|swapped|skip_\w+|fail_\w+)"
    return sum_of(stat, outcomes)


def numa_stat(cpuset):
    """The lines of memory.numa_stat, with all that CPUs have counted so far."""
    # Who reads that one waits till all of it has come together.
    cpuset.read("cpu.stat")
    return cpuset.read("memory.numa_stat").splitlines()


def cached_on(cpuset, node):
    """Pages of files that a cgroup has on a node, as its memory controller says."""
    for line in numa_stat(cpuset):
        key, *values = line.split()
        if key == "file":
            return int(dict(v.split("=") for v in values)[f"N{node}"]) // machine.PAGE
    raise AssertionError("memory.numa_stat has no line for files")


def dying(root):
    """Cpusets that have no folder any more and still are there."""
    lines = root.read("cgroup.stat").splitlines()
    return int(dict(map(str.split, lines))["nr_dying_subsys_cpuset"])


@contextlib.contextmanager
def all_freed(root):
    """Cpusets that are removed meanwhile are kept by nobody when it ends."""
    if root.version == 1:  # which does not count them
        yield
        return
    before = dying(root)
    yield
    wait_until(lambda: dying(root) <= before, "removed cpusets to be freed")


def complaints(cpuset):
    """What does not add up in its account when all moves have ended, as lines."""
    stat, events = cpuset.stat(), cpuset.events()
    found = []
    if stat["migrate_scanned"] != accounted(stat):
        found.append(f"{cpuset.path}: the account does not add up: {stat}")
    if events["migrate_start"] != ends(events):
        found.append(f"{cpuset.path}: moves began and did not end: {events}")
    if stat["migrate_pending"] or stat["migrate_held"]:
        found.append(f"{cpuset.path}: something is pending: {stat}")
    return found


class Since:
    """What the account and the events of a cpuset gain from now on.

    Putting a process into a cpuset is a change already, so a test counts from where
    it begins itself.
    """

    def __init__(self, cpuset):
        self.cpuset = cpuset
        self.before = self._now()

    def _now(self):
        return {**self.cpuset.stat(), **self.cpuset.events()}

    def gained(self):
        """The difference of every key of both files."""
        now = self._now()
        return {key: now[key] - self.before[key] for key in now}

    def wait_moved(self, pages):
        """Wait until so many pages have moved."""
        wait_until(
            lambda: self.gained()["migrate_moved"] >= pages, f"{pages} pages to move"
        )

    def nothing_gained(self):
        return not any(self.gained().values())


def moved_by(cpuset, mems=None, cache=False):
    """What one write of mems, or of settle, adds to the account and to the events.

    The writer does not wait for cache that nobody maps; with `cache` we do.
    """
    since = Since(cpuset)
    if mems is None:
        cpuset.write("settle", "1")
    else:
        cpuset.set_mems(mems)
    if cache:
        cpuset.wait_idle()
    change = since.gained()
    # Of processes that come late nobody is told, and nobody waits for them.
    assert change["migrate_start"] == ends(change) == 1, change
    assert change["migrate_scanned"] == accounted(change), change
    return change


def start_slowly(cpuset, mems, rate, pages=1):
    """Begin a move that a limit slows down, and see so many pages of it moved.

    Returns what it gains; it is under way for as long as the rest takes.
    """
    since = Since(cpuset)
    cpuset.write("max", rate)
    cpuset.set_mems(mems, nonblock=True)
    since.wait_moved(pages)
    return since


def reasons(change):
    """Why pages stayed: {counter: pages}, without those that are 0."""
    pattern = re.compile(r"migrate_((?:skip|fail)_\w+)")
    found = ((pattern.fullmatch(key), value) for key, value in change.items())
    return {match[1]: value for match, value in found if match and value}
