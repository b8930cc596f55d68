# SPDX-License-Identifier: GPL-2.0
"""The workload: a numaload process, driven over a socket."""

import array
import contextlib
import os
import socket
import subprocess

from ktest import machine

# A process that does not end by itself is stuck.
ENDS_SECONDS = 30
NUMALOAD = os.path.join(
    os.environ.get("CPUSET_MIGRATE_BUILD")
    or os.path.join(os.path.dirname(__file__), "..", "..", "..", "build"),
    "tests",
    "numaload",
)


class LoadError(Exception):
    """The workload refused a request; its own words."""


def node_text(nodes):
    """A node, a list of nodes or a list text, as the kernel wants it."""
    if isinstance(nodes, str):
        return nodes
    if isinstance(nodes, int):
        return str(nodes)
    return ",".join(str(node) for node in nodes)


class Load:
    """One process. Calling it sends a request and returns the reply's words."""

    def __init__(self, into=None, prefix=()):
        """prefix: words of a command that starts it."""
        self.sock, theirs = socket.socketpair()
        args = [*prefix, os.path.abspath(NUMALOAD)]
        if into is not None:
            args += ["--into", into.path]
        args.append(str(theirs.fileno()))
        self.process = subprocess.Popen(args, pass_fds=[theirs.fileno()])
        theirs.close()
        self.children = []
        self._buffer = b""
        self.pid = int(self("pid")["pid"])

    @classmethod
    def _forked(cls, sock):
        load = cls.__new__(cls)
        load.sock = sock
        load.process = None
        load.children = []
        load._buffer = b""
        load.pid = int(load("pid")["pid"])
        return load

    def _how_it_ended(self):
        """For a socket that nobody holds the other end of any more."""
        if not self.process:
            return "the workload's child is gone"
        try:
            status = self.process.wait(ENDS_SECONDS)
        except subprocess.TimeoutExpired:
            return "the workload does not answer any more"
        killed = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"the workload is gone: {killed}"

    def _readline(self):
        parts = [self._buffer]
        while b"\n" not in parts[-1]:
            data = self.sock.recv(1 << 16)
            if not data:
                raise LoadError(self._how_it_ended())
            parts.append(data)
        text, self._buffer = b"".join(parts).split(b"\n", 1)
        return text.decode()

    def send(self, verb, *words, fd=None, **keys):
        """Send a request without waiting for its reply."""
        line = " ".join(
            [verb]
            + [str(word) for word in words]
            + [f"{key}={value}" for key, value in keys.items() if value is not None]
        )
        ancillary = []
        if fd is not None:
            rights = array.array("i", [fd])
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
        try:
            self.sock.sendmsg([line.encode() + b"\n"], ancillary)
        except BrokenPipeError:
            raise LoadError(self._how_it_ended()) from None

    def receive(self):
        """The reply to the oldest request that has none yet."""
        line = self._readline()
        if not line.startswith("ok"):
            raise LoadError(line.removeprefix("error "))
        pairs = (word.split("=", 1) for word in line.split()[1:])
        return {pair[0]: pair[1] for pair in pairs}

    def __call__(self, verb, *words, fd=None, **keys):
        self.send(verb, *words, fd=fd, **keys)
        return self.receive()

    def alloc(self, name, pages, kind="anon", nodes=None, **more):
        """Map a region; with nodes also fill it, one block a node in their order."""
        stripe = more.pop("stripe", None)
        reply = self("alloc", name, kind=kind, pages=pages, **more)
        if nodes is not None:
            self.fill(name, nodes, stripe=stripe)
        return int(reply["addr"], 16)

    def fill(self, name, nodes, **keys):
        self("fill", name, nodes=node_text(nodes), **keys)

    def where(self, name, **keys):
        """Pages of the region on each node: {node: pages}, without empty nodes."""
        reply = self("where", name, **keys)
        return {int(k) if k.isdigit() else k: int(v) for k, v in reply.items()}

    def pages(self, name, **keys):
        """The node of every page of the region, in order; negative: not present."""
        nodes = []
        for run in self("pages", name, **keys)["nodes"].split(","):
            node, count = run.split("*")
            nodes += [int(node)] * int(count)
        return nodes

    def verify(self, name=None):
        """Compare every byte of a region, or of all; fail on the first difference."""
        reply = self("verify", *([name] if name else []))
        assert reply["bad"] == "0", f"contents differ: {reply}"
        return int(reply["pages"])

    def rest(self):
        """Stop the writers and verifiers; fail if one saw a wrong byte."""
        reply = self("rest")
        assert reply["bad"] == "0", f"contents differ: {reply}"
        return reply

    def calm(self):
        """Stop churning; fail if a wrong byte was seen."""
        reply = self("calm")
        assert reply["bad"] == "0", f"contents differ: {reply}"
        return reply

    def threads(self, count):
        return [int(tid) for tid in self("threads", count=count)["tids"].split(",")]

    def fork(self, cgroup=None):
        """A child that inherits the regions; with a cgroup, born in it."""
        ours, theirs = socket.socketpair()
        path = cgroup.path if cgroup is not None else None
        try:
            self("fork", fd=theirs.fileno(), cgroup=path)
        finally:
            theirs.close()
        child = Load._forked(ours)
        self.children.append(child)
        return child

    def spawn(self, cgroup, **more):
        """A child born in a cgroup as posix_spawn() does it, not yet a program."""
        ours, theirs = socket.socketpair()
        try:
            reply = self("spawn", fd=theirs.fileno(), cgroup=cgroup.path, **more)
        finally:
            theirs.close()
        return Spawned(self, ours, int(reply["pid"]))

    def close(self):
        """End the process and the children it forked."""
        for child in self.children:
            child.close()
        self.sock.close()
        if self.process:
            try:
                self.process.wait(ENDS_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Spawned:
    """A process that has the memory of its parent until it is told to go on."""

    def __init__(self, parent, sock, pid):
        self.parent = parent
        self.sock = sock
        self.pid = pid

    def go(self):
        """Let it become a workload of its own."""
        self.sock.send(b"!")
        load = Load._forked(self.sock)
        self.parent.children.append(load)
        return load


def numbered(pages):
    """What fills so many pages, each 64 bytes of it other than all others."""
    return b"".join(b"%064d" % number for number in range(pages * machine.PAGE // 64))


class Memory:
    """The memory of a process, behind its back."""

    def __init__(self, load):
        self.path = f"/proc/{load.pid}/mem"

    def read(self, address, count):
        with open(self.path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), count, address)

    def write(self, address, data):
        with open(self.path, "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), data, address)


@contextlib.contextmanager
def nearly_full(spawn, *nodes, leave):
    """These nodes have so many pages free above their low watermarks, and no more.

    Nobody can reclaim what fills them. Spawn starts the processes that do, in order.
    """
    machine.drop_caches()
    with machine.small_cpu_lists(), machine.steady_watermarks():
        fillers = []
        for node in nodes:
            filler = spawn()
            machine.offer_to_oom(filler.pid, 0)
            filler("nodefill", node=node, leave=leave)
            fillers.append(filler)
        yield fillers
