# SPDX-License-Identifier: GPL-2.0
"""The server that is moved: Debian's redis-server, its data, its digest."""

import os
import random
import subprocess

from resp import connect, encode, program

FOLDER = "/run/demo"
SOCKET = f"{FOLDER}/redis.sock"
STAMP = 8  # first bytes of a string value, the only ones that are ever rewritten
SMALLEST, LARGEST = 64, 64 << 10
POOL = 4 << 20
BATCH = 1 << 20
START_SECONDS = 60
WORDS = (
    "node page migrate cpuset memory server kernel batch folio chunk remote local "
    "latency request cgroup weight policy random access bandwidth"
).split()


class Content:
    """What the values are made of, the same in every run.

    Text, random bytes and runs of zeros, cut at random places to random sizes, so that
    no two pages of the server are meant to be alike and every answer can be checked.
    """

    def __init__(self):
        generator = random.Random(6120117)
        third = POOL // 3
        text = " ".join(generator.choices(WORDS, k=third // 6)).encode()[:third]
        sparse = bytearray(third)
        for _ in range(third // 256):
            sparse[generator.randrange(third)] = generator.randrange(1, 256)
        self.pool = generator.randbytes(third) + text + bytes(sparse)
        self.generator = generator
        self.strings = []  # of string i: where in the pool, how many bytes

    def cut(self):
        """The place and size of one more value; sizes spread evenly by magnitude."""
        uniform = self.generator.random
        size = int(SMALLEST * (LARGEST / SMALLEST) ** uniform())
        return int(uniform() * (len(self.pool) - size)), size

    def string(self, index):
        """The value of string `index` as it was first stored."""
        at, size = self.strings[index]
        return bytes(STAMP) + self.pool[at : at + size - STAMP]

    def commands(self, number):
        """The commands that store item `number`, and about how many bytes that is."""
        at, size = self.cut()
        piece = self.pool[at : at + size]
        key = b"%d" % number
        kind = number % 8
        if kind < 5:
            self.strings.append((at, size))
            index = len(self.strings) - 1
            return encode(b"SET", b"string:%d" % index, self.string(index)), size
        step = max(16, size // 24)
        pieces = [piece[i : i + step] for i in range(0, size, step)]
        words = []
        if kind == 5:
            for name, part in enumerate(pieces):
                words += (b"field-%d" % name, part)
            return encode(b"HSET", b"hash:" + key, *words), size
        if kind == 6:
            return encode(b"RPUSH", b"list:" + key, *pieces), size
        for score, part in enumerate(pieces):
            words += (b"%d" % (score * 7), part)
        return encode(b"ZADD", b"sorted:" + key, *words), size


class Server:
    """A running server, started in `cpuset`."""

    def __init__(self, cpuset):
        os.makedirs(FOLDER, exist_ok=True)
        self.process = subprocess.Popen(
            [
                program(FOLDER),
                *("--port", "0", "--unixsocket", SOCKET),
                *("--save", "", "--appendonly", "no"),
                *("--enable-debug-command", "local"),
                *("--dir", FOLDER, "--logfile", f"{FOLDER}/redis.log"),
            ],
            preexec_fn=lambda: cpuset.attach(0),
        )
        self.pid = self.process.pid
        self.content = Content()
        self.items = 0
        self.client = connect(SOCKET, self.process, START_SECONDS)

    def used(self):
        """Bytes the server has allocated for its data."""
        text = self.client.call("INFO", "memory").decode()
        return int(text.split("used_memory:")[1].split()[0])

    def batch(self, size):
        """Commands that store about `size` bytes: their text, how many, the bytes."""
        texts, total = [], 0
        while total < size:
            text, stored = self.content.commands(self.items)
            texts.append(text)
            total += stored
            self.items += 1
        return b"".join(texts), len(texts), total

    def fill(self, size):
        """Store about `size` bytes more, making a batch while the last is stored."""
        unanswered = 0
        while size > 0:
            text, count, total = self.batch(min(size, BATCH))
            self.answers(unanswered)
            self.client.socket.sendall(text)
            unanswered = count
            size -= total
        self.answers(unanswered)

    def answers(self, count):
        """Read so many replies; an error among them is raised."""
        for _ in range(count):
            self.client.reply()

    def digest(self):
        """The server's own digest of all keys and values."""
        return self.client.call("DEBUG", "DIGEST")

    def stop(self):
        """End the server."""
        self.process.terminate()
        self.process.wait()
