# SPDX-License-Identifier: GPL-2.0
"""The protocol of redis-server, and its program."""

import os
import shutil
import socket
import time


class Refused(Exception):
    """The server answered with an error, or not at all."""


def encode(*words):
    """A command as the server's protocol wants it."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if not isinstance(word, bytes):
            word = str(word).encode()
        parts += (b"$%d\r\n" % len(word), word, b"\r\n")
    return b"".join(parts)


class Connection:
    """One client of the server at a path, one command at a time."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def call(self, *words):
        """Send a command; its reply."""
        self.socket.sendall(encode(*words))
        return self.reply()

    def reply(self):
        """Read one reply: an integer, a text, bytes, or a list of them."""
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-" or not line:
            raise Refused(rest.decode() or "the server closed the connection")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return self.file.read(size + 2)[:-2] if size >= 0 else None
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return rest.decode()


def program(folder):
    """The server's program under its own name, by a link in a folder if need be.

    Debian has it in redis-tools as redis-check-rdb; the package redis-server adds a
    link, and a service that nobody needs here.
    """
    installed = shutil.which("redis-server")
    if installed:
        return installed
    link = f"{folder}/redis-server"
    if not os.path.islink(link):
        os.symlink("/usr/bin/redis-check-rdb", link)
    return link


def connect(path, process, seconds):
    """A connection to a server that is starting."""
    deadline = time.monotonic() + seconds
    while True:
        # The socket is there before anybody listens to it.
        try:
            return Connection(path)
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise Refused("redis-server did not start")
        time.sleep(0.02)
