# SPDX-License-Identifier: GPL-2.0
"""Redis and memcached, each with a client that remembers what it wrote."""

import contextlib
import os
import socket
import time

import resp
import values
from child import Child
from homes import Wrong
from phase import Phase, ended

COUNT, SIZE = 4096, 16 << 10
START_SECONDS = 120
# Clients stay where the machine puts them.
CPUS = os.sched_getaffinity(0)


class Store:
    """A server with keys and values, of which a client knows every byte."""

    def __init__(self, home, options):
        self.home = home
        self.options = options
        self.socket = os.path.join(options.run, self.name)
        self.record = values.Record(options.seed, COUNT, SIZE)
        self.process = None
        self.child = None
        self.complaints = []

    def start(self):
        """The server and its data."""
        self.launch()
        self.ask(values.Client.fill)

    def ask(self, what):
        """Let a client do something to all values."""
        with contextlib.closing(self.connect()) as store:
            client = values.Client(store, self.record)
            what(client)
        self.complain(client.wrong)

    def complain(self, wrong):
        """Something is not as it was written."""
        self.complaints += values.complaints(wrong)

    def begin(self, _phase, _seconds):
        """Requests from now on."""
        work = values.requests, self.connect, self.record, self.options.rate
        self.child = Child(CPUS, *work)

    def end(self):
        """No more of them; what they came to."""
        found = ended(self.name, self.child)
        self.record.versions = found["versions"]
        self.complain(found["wrong"])
        return Phase(found["seconds"], {key: found[key] for key in ("read", "written")})

    def alive(self):
        """Whether the server still is there."""
        return self.process.poll() is None

    def close(self):
        """Leave nothing behind, whatever happened."""
        if self.child and self.child.process.is_alive():
            self.child.process.kill()
        if self.process and self.alive():
            self.process.kill()
            self.process.wait()


class RedisStore:
    """A connection to redis-server as a store."""

    def __init__(self, connection):
        self.connection = connection

    def ask_get(self, key):
        """Ask for a value."""
        self.connection.socket.sendall(resp.encode("GET", key))

    def got(self):
        """A value, None if there is none."""
        return self.connection.reply()

    def ask_set(self, key, value):
        """Ask to store one."""
        self.connection.socket.sendall(resp.encode("SET", key, value))

    def was_set(self):
        """It was stored, or this raises."""
        answer = self.connection.reply()
        if answer != "OK":
            raise resp.Refused(f"SET: {answer}")

    def close(self):
        """No more requests."""
        self.connection.socket.close()


class Redis(Store):
    """Every write goes to a log on the disk, from which it starts anew in the end."""

    name = "redis"

    def launch(self):
        """The program; its data are there when this returns."""
        folder = os.path.join(self.options.disk, self.name)
        os.makedirs(folder, exist_ok=True)
        command = [resp.program(self.options.run), "--port", "0"]
        command += ["--unixsocket", self.socket, "--dir", folder, "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "everysec"]
        command += ["--enable-debug-command", "local"]
        command += ["--logfile", os.path.join(folder, "log")]
        self.process = self.home.launch(command)
        resp.connect(self.socket, self.process, START_SECONDS).socket.close()
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(resp.Refused):
                self.call("PING")
                return
            if time.monotonic() > deadline:
                raise Wrong("redis: it still reads its data")
            time.sleep(0.5)

    def connect(self):
        """A store for a client."""
        return RedisStore(resp.Connection(self.socket))

    def call(self, *words):
        """One command."""
        with contextlib.closing(self.connect()) as store:
            return store.connection.call(*words)

    def begin(self, phase, seconds):
        """The log is written anew meanwhile, by a child that shares all memory."""
        super().begin(phase, seconds)
        # It does so by itself, too, which is the same.
        with contextlib.suppress(resp.Refused):
            self.call("BGREWRITEAOF")

    def stop(self):
        """It ends by itself, having written all."""
        with contextlib.suppress(resp.Refused, ConnectionError):
            self.call("SHUTDOWN")
        status = self.process.wait()
        if status:
            self.complaints.append(f"redis-server ended with {status}")

    def persistence(self):
        """What went wrong with the log."""
        lines = self.call("INFO", "persistence").decode().split("\r\n")
        for line in lines:
            name, _, value = line.partition(":")
            if name.startswith("aof_last_") and name.endswith("_status"):
                if value != "ok":
                    self.complaints.append(f"redis: {line}")

    def judge(self):
        """All values, the digest before and after it started anew from its log."""
        self.ask(values.Client.look_at_all)
        self.persistence()
        digest = self.call("DEBUG", "DIGEST")
        self.stop()
        self.launch()
        anew = self.call("DEBUG", "DIGEST")
        if anew != digest:
            self.complaints.append(f"redis: digest {digest}, after a restart {anew}")
        self.ask(values.Client.look_at_all)
        self.stop()
        return {"digest": digest, "digest_after_restart": anew}


class MemcachedStore:
    """A connection to memcached as a store."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def line(self):
        """The next line of an answer."""
        line = self.file.readline()
        if not line:
            raise Wrong("memcached closed the connection")
        return line.rstrip(b"\r\n")

    def ask_get(self, key):
        """Ask for a value."""
        self.socket.sendall(b"get %b\r\n" % key)

    def got(self):
        """A value, None if there is none."""
        line = self.line()
        if line == b"END":
            return None
        words = line.split()
        if words[:1] != [b"VALUE"]:
            raise Wrong(f"memcached: get: {line[:80]}")
        value = self.file.read(int(words[3]) + 2)[:-2]
        if self.line() != b"END":
            raise Wrong(f"memcached: get {words[1]}: no end")
        return value

    def ask_set(self, key, value):
        """Ask to store one."""
        self.socket.sendall(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value))

    def was_set(self):
        """It was stored, or this raises."""
        line = self.line()
        if line != b"STORED":
            raise Wrong(f"memcached: set: {line[:80]}")

    def statistics(self):
        """Its counters, as text."""
        self.socket.sendall(b"stats\r\n")
        found = {}
        while True:
            line = self.line()
            if line == b"END":
                return found
            _, name, value = line.decode().split(" ", 2)
            found[name] = value

    def close(self):
        """No more requests."""
        self.socket.close()


class Memcached(Store):
    """Has room for all values, so a missing one is lost."""

    name = "memcached"

    def launch(self):
        """The program."""
        command = ["memcached", "-u", "root", "-m", "256", "-t", "4"]
        self.process = self.home.launch([*command, "-s", self.socket])
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                self.connect().close()
                return
            if not self.alive() or time.monotonic() > deadline:
                raise Wrong("memcached did not start")
            time.sleep(0.1)

    def connect(self):
        """A store for a client."""
        return MemcachedStore(self.socket)

    def judge(self):
        """All values, and that none was thrown out."""
        self.ask(values.Client.look_at_all)
        with contextlib.closing(self.connect()) as store:
            found = store.statistics()
        for name in ("evictions", "get_misses"):
            if found[name] != "0":
                self.complaints.append(f"memcached: {name} {found[name]}")
        self.process.terminate()
        status = self.process.wait()
        if status:
            self.complaints.append(f"memcached ended with {status}")
        return {"items": int(found["curr_items"])}
