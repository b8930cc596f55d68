# SPDX-License-Identifier: GPL-2.0
"""What goes on while memory moves: requests to the server, and other people's cgroups.

Each runs in a process and on a CPU of its own, and hands over its samples at the end.
"""

import collections
import os
import random
import select
import socket
import time

import machine
import resp
import server

REQUESTS_PER_SECOND = 250
WRITES = 4  # one request in so many
READ_BYTES = 32
PROBES_PER_SECOND = 50
SEND_BUFFER = 32 << 20
SO_SNDBUFFORCE = 32  # which Python does not name


class Client:
    """Reads and writes at random places of the data, at a fixed rate.

    A request is sent when its time has come, whether earlier ones were answered or not,
    so a stall is seen by as many requests as would have met it. Answers are compared
    with what they have to be. Writes change only the stamp at the start of a value, in
    place, so that they can be checked and undone in the end.
    """

    def __init__(self, content):
        self.content = content
        self.connection = resp.Connection(server.SOCKET)
        # So that requests to a server that stalls are sent all the same.
        self.connection.socket.setsockopt(
            socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER
        )
        self.random = random.Random(1)
        self.stamps = {}
        self.pending = collections.deque()
        self.samples = []  # [when sent, seconds, 1 for a write]
        self.wrong = 0
        self.sent = 0

    def request(self):
        """The next request and the bytes that answer it."""
        strings = self.content.strings
        index = int(self.random.random() * len(strings))
        place, size = strings[index]
        key = b"string:%d" % index
        self.sent += 1
        if self.sent % WRITES == 0:
            stamp = b"%0*d" % (server.STAMP, self.sent)
            self.stamps[index] = stamp
            return resp.encode(b"SETRANGE", key, 0, stamp), b":%d\r\n" % size, 1
        room = size - server.STAMP - READ_BYTES
        start = int(self.random.random() * (room + 1))
        at = place + start
        wanted = self.content.pool[at : at + READ_BYTES]
        start += server.STAMP
        request = resp.encode(b"GETRANGE", key, start, start + READ_BYTES - 1)
        return request, b"$%d\r\n%b\r\n" % (READ_BYTES, wanted), 0

    def run(self, stop):
        """Send and receive until told to stop; then check and undo the writes."""
        stream = self.connection.socket
        period = 1 / REQUESTS_PER_SECOND
        due = time.monotonic()
        received = b""
        while True:
            wait = max(0, due - time.monotonic())
            ready, _, _ = select.select([stream, stop], [], [], wait)
            if stop in ready:
                break
            if stream in ready:
                received = self.receive(received)
            now = time.monotonic()
            if now >= due:
                request, answer, write = self.request()
                due = max(due + period, now)
                self.pending.append((time.monotonic(), answer, write))
                stream.sendall(request)
        while self.pending:
            received = self.receive(received)
        lost = self.undo()
        return {
            "samples": self.samples,
            "wrong": self.wrong,
            "written": self.sent // WRITES,
            "stamps": len(self.stamps),
            "lost": lost,
        }

    def receive(self, received):
        """Read on and take the answers that are complete; what is left over."""
        more = self.connection.socket.recv(1 << 16)
        if not more:
            raise resp.Refused("the server closed the connection")
        received += more
        now = time.monotonic()
        while self.pending and len(received) >= len(self.pending[0][1]):
            sent, answer, write = self.pending.popleft()
            if not received.startswith(answer):
                self.wrong += 1
            received = received[len(answer) :]
            self.samples.append([sent, now - sent, write])
        return received

    def undo(self):
        """Put every stamp back; how many were not what was written last."""
        lost = 0
        for index, stamp in self.stamps.items():
            key = b"string:%d" % index
            if self.connection.call("GETRANGE", key, 0, server.STAMP - 1) != stamp:
                lost += 1
            self.connection.call("SETRANGE", key, 0, bytes(server.STAMP))
        return lost


def milliseconds(samples, window, column=1):
    """How many samples touch a window of time; their median, 99 % and maximum in ms."""
    first, last = window
    found = sorted(
        sample[column]
        for sample in samples
        if sample[0] <= last and sample[0] + sample[column] >= first
    )
    if not found:
        return {"count": 0}
    return {
        "count": len(found),
        "p50": found[len(found) // 2] * 1000,
        "p99": found[min(len(found) - 1, len(found) * 99 // 100)] * 1000,
        "max": found[-1] * 1000,
    }


def requests(stop, content):
    """The work of the child that asks the server."""
    return Client(content).run(stop)


def probe(stop):
    """Make and remove a cgroup that has nothing to do with the server, again and again.

    Returns [when, seconds of mkdir, seconds of rmdir] of each.
    """
    samples = []
    path = f"{machine.CGROUPS}/somebody-else"
    due = time.monotonic()
    while not stop.poll(max(0, due - time.monotonic())):
        start = time.monotonic()
        os.mkdir(path)
        made = time.monotonic()
        os.rmdir(path)
        done = time.monotonic()
        samples.append([start, made - start, done - made])
        due = max(due + 1 / PROBES_PER_SECOND, done)
    return samples
