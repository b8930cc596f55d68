# SPDX-License-Identifier: GPL-2.0
"""cgrulesengd with what its drop-in sets, and a journal of the test's own."""

import glob
import os
import signal
import socket
import subprocess

from ktest import machine
from ktest.cpusets import wait_until
from ktest.tools import PLUGIN, SOURCE, parse_record

JOURNAL = "/run/systemd/journal/socket"
PROGRAM = "/usr/sbin/cgrulesengd"


def drop_in_text():
    """The drop-in for cgred.service, with the plugin that was built."""
    path = os.path.join(SOURCE, "libcgroup-plugin", "plugin", "cgred.conf.in")
    folder = os.path.dirname(os.path.dirname(PLUGIN))
    return machine.read(path).replace("@LIBDIR@", folder)


def drop_in():
    """The environment in the drop-in for cgred.service."""
    lines = drop_in_text().splitlines()
    lines = [line for line in lines if line.startswith("Environment=")]
    assert len(lines) == 3
    return dict(line.split("=", 2)[1:] for line in lines)


def called(name):
    """Processes with that name."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            if machine.read(path).strip() == name:
                found.add(int(path.split("/")[2]))
        except OSError:  # it has ended
            continue
    return found


def give_configuration():
    """It does not start without these."""
    os.makedirs("/etc/cgconfig.d", exist_ok=True)
    with open("/etc/cgconfig.conf", "a", encoding="ascii"):
        pass


class Daemon:
    """It runs for a while: by itself, as a service does, or as a child (-n)."""

    def __init__(self, folder, alone, **settings):
        self.log = os.path.join(folder, "log")
        self.alone = alone
        self.settings = settings
        self.pid = None

    def __enter__(self):
        os.makedirs(os.path.dirname(JOURNAL), exist_ok=True)
        give_configuration()
        self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.journal.bind(JOURNAL)
        self.journal.setblocking(False)
        self.output = os.path.join(os.path.dirname(self.log), "output")
        before = called("cgrulesengd")
        with open(self.output, "w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                [PROGRAM, *([] if self.alone else ["-n"]), "-f", self.log],
                env={**os.environ, **drop_in(), **self.settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if self.alone:
            assert self.process.wait(60) == 0
            (self.pid,) = called("cgrulesengd") - before
        else:
            self.pid = self.process.pid
        return self

    def runs(self):
        return self.pid in called("cgrulesengd")

    def records(self):
        """What was reported since the last look."""
        found = []
        while True:
            try:
                text = self.journal.recv(1 << 20).decode()
            except BlockingIOError:
                return found
            fields = dict(line.split("=", 1) for line in text.splitlines())
            assert fields["SYSLOG_IDENTIFIER"] == "cgmigrate"
            found.append(parse_record(fields["CGMIGRATE_RECORD"]))

    def said(self):
        """What it wrote to where nobody looks."""
        with open(self.output, encoding="utf-8") as file:
            return file.read()

    def __exit__(self, *exc):
        try:
            os.kill(self.pid, signal.SIGTERM)
            if not self.alone:
                self.process.wait(60)
            wait_until(lambda: not self.runs(), "the daemon to end")
        except ProcessLookupError:
            pass
        self.journal.close()
        os.unlink(JOURNAL)
