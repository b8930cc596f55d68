# SPDX-License-Identifier: GPL-2.0
"""PostgreSQL under pgbench."""

import glob
import os
import re
import shutil
import signal
import subprocess
import time

import latency
from homes import Wrong
from phase import Phase

USER = "postgres"
DATABASE = "postgres"
# Of pgbench: 15 MiB each; and its clients.
SCALE, CLIENTS = 2, 4
START_SECONDS = 180
# What only a server that goes wrong says; a client that is too early hears FATAL.
BAD = re.compile(r"\b(ERROR|PANIC|WARNING):.*")
# Every transaction adds the same to an account, a teller and a branch, and says so.
BALANCES = """
select (select sum(abalance) from pgbench_accounts),
       (select sum(tbalance) from pgbench_tellers),
       (select sum(bbalance) from pgbench_branches),
       (select sum(delta) from pgbench_history),
       (select count(*) from pgbench_history),
       (select count(*) from pgbench_accounts)
"""
ACCOUNTS = 100_000


def programs():
    """The folder of the newest version's."""
    versions = glob.glob("/usr/lib/postgresql/*/bin")
    if not versions:
        raise Wrong("postgresql is not installed")
    return max(versions, key=lambda path: int(path.split("/")[4]))


class Postgres:
    """A cluster with checksums of pages, on the disk."""

    name = "postgresql"

    def __init__(self, home, options):
        self.home = home
        self.options = options
        self.bin = programs()
        self.data = os.path.join(options.disk, self.name)
        self.log = os.path.join(options.disk, "postgresql.log")
        self.process = None
        self.load = None
        self.phase = ""
        self.done = 0
        self.complaints = []

    def owner(self, program, *words):
        """The command of a program that must not run as root."""
        who = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        return [*who, os.path.join(self.bin, program), *words]

    def client(self, program, *words):
        """The command of a program that asks the server."""
        where = ["--host", self.options.run, "--username", USER]
        return [os.path.join(self.bin, program), *where, *words]

    def check(self, command):
        """What a command prints; that it fails is a complaint."""
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            name = os.path.basename(command[0])
            self.complaints.append(f"{name}: {done.returncode}: {done.stdout[-1000:]}")
        return done.stdout

    def start(self):
        """The server, and the tables of pgbench."""
        os.makedirs(self.data)
        shutil.chown(self.data, USER, USER)
        how = ["--auth", "trust", "--locale", "C", "--encoding", "UTF8", "--no-sync"]
        words = ["--pgdata", self.data, "--data-checksums", *how]
        self.must(self.owner("initdb", *words))
        self.launch()
        fill = ["--initialize", "--init-steps", "dtGvp", "--scale", str(SCALE)]
        self.must(self.client("pgbench", *fill, DATABASE))

    def must(self, command):
        """Without this there is nothing to test."""
        before = len(self.complaints)
        self.check(command)
        if len(self.complaints) > before:
            raise Wrong(self.complaints.pop())

    def launch(self):
        """The server; it answers when this returns."""
        words = ["-D", self.data, "-c", "listen_addresses="]
        words += ["-c", f"unix_socket_directories={self.options.run}"]
        words += ["-c", "shared_buffers=64MB", "-c", "max_wal_size=256MB"]
        words += ["-c", "checkpoint_timeout=30s"]
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = self.home.launch(
                self.owner("postgres", *words), stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        ready = self.client("pg_isready", "--quiet")
        while subprocess.run(ready).returncode:
            if not self.alive() or time.monotonic() > deadline:
                raise Wrong("postgresql did not start")
            time.sleep(0.5)

    def alive(self):
        """Whether the server still is there."""
        return self.process.poll() is None

    def begin(self, phase, seconds):
        """Transactions from now on."""
        self.phase = os.path.join(self.options.disk, f"pgbench-{phase}")
        words = ["--client", str(CLIENTS), "--time", str(seconds), "--no-vacuum"]
        words += ["--rate", str(self.options.rate), "--log"]
        words += ["--log-prefix", self.phase, "--random-seed", str(self.options.seed)]
        self.load = subprocess.Popen(
            self.client("pgbench", *words, DATABASE),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self):
        """What they came to."""
        said, _ = self.load.communicate()
        if self.load.returncode:
            raise Wrong(f"pgbench: {self.load.returncode}: {said[-1000:]}")
        done, failed = latency.pgbench_report(said)
        seconds = []
        for path in glob.glob(f"{self.phase}.*"):
            with open(path, encoding="ascii") as file:
                found, without = latency.pgbench_log(file)
            seconds += found
            failed += without
        if failed or len(seconds) != done:
            self.complaints.append(
                f"pgbench: {failed} failed, {done} done, {len(seconds)} in the log"
            )
        self.done += done
        return Phase(seconds, {"transactions": done, "failed": failed})

    def balances(self):
        """Every transaction that was confirmed is there, once."""
        words = ["--no-align", "--tuples-only", "--command", BALANCES, DATABASE]
        said = self.check(self.client("psql", *words))
        found = [int(word or 0) for word in said.strip().split("|")]
        if len(set(found[:4])) != 1:
            self.complaints.append(f"postgresql: sums of balances differ: {found[:4]}")
        if found[4:] != [self.done, SCALE * ACCOUNTS]:
            wanted = f"{self.done} transactions, {SCALE * ACCOUNTS} accounts"
            self.complaints.append(f"postgresql: {found[4:]} rows, not {wanted}")
        return {"balance": found[0], "history": found[4], "transactions": self.done}

    def judge(self):
        """Balances, every table and index, and the checksum of every page."""
        facts = self.balances()
        words = ["--install-missing", "--heapallindexed", "--database", DATABASE]
        self.check(self.client("pg_amcheck", *words))
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait()
        if status:
            self.complaints.append(f"postgres ended with {status}")
        said = self.check(self.owner("pg_checksums", "--check", "-D", self.data))
        blocks = re.search(r"Blocks scanned: +(\d+)", said)
        bad = re.search(r"Bad checksums: +(\d+)", said)
        if not blocks or not bad or int(bad[1]) or not int(blocks[1]):
            self.complaints.append(f"pg_checksums: {said}")
        else:
            facts["blocks"] = int(blocks[1])
        with open(self.log, encoding="utf-8", errors="replace") as file:
            self.complaints += [found[0] for found in map(BAD.search, file) if found]
        return facts

    def close(self):
        """Leave nothing behind, whatever happened."""
        if self.load and self.load.poll() is None:
            self.load.kill()
            self.load.wait()
        if self.process and self.alive():
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
