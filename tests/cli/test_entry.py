# SPDX-License-Identifier: GPL-2.0
"""What the system's journal gets: a socket stands in for journald's."""

import getpass
import os
import shutil
import socket
import struct
import tempfile

import pytest

from conftest import Command
from moving import PATIENCE, killed, moves_end, wait_until, written
from tree import MIB, Tree

USER = getpass.getuser()


def fields_of(datagram):
    """[(name, value)]: a line each, or a name, a length and that many bytes."""
    found = []
    while datagram:
        line, datagram = datagram.split(b"\n", 1)
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", datagram[:8])
            value, datagram = datagram[8 : 8 + size], datagram[8 + size :]
            assert datagram[:1] == b"\n"
            datagram = datagram[1:]
        found.append((name.decode(), value.decode()))
    return found


@pytest.fixture
def empty():
    """The name of a socket must be short, so the tree is not in tmp_path."""
    folder = tempfile.mkdtemp(dir="/tmp")
    yield Tree(folder)
    shutil.rmtree(folder)


class Journal:
    """Entries as {name: [values]}."""

    def __init__(self, tree):
        path = os.path.join(tree.path, "run/systemd/journal/socket")
        os.makedirs(os.path.dirname(path))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)

    def entries(self):
        found = []
        while True:
            try:
                datagram = self.socket.recv(1 << 16)
            except BlockingIOError:
                return found
            found.append({})
            for name, value in fields_of(datagram):
                found[-1].setdefault(name, []).append(value)


@pytest.fixture
def journal(kernel):
    one = Journal(kernel)
    yield one
    one.socket.close()


def assert_entry(entry, **fields):
    """These fields, in small letters, and no others of ours."""
    wanted = {f"CGMIGRATE_{name.upper()}": value for name, value in fields.items()}
    wanted["CGMIGRATE_USER"] = [USER]
    assert {k: v for k, v in entry.items() if k.startswith("CGMIGRATE_")} == wanted
    assert entry["PRIORITY"] == ["5"] and entry["SYSLOG_IDENTIFIER"] == ["cgmigrate"]
    assert len(entry["MESSAGE"]) == 1


def test_a_move(journal, live):
    assert live("move", "/web", "--to", "2-3").returncode == 0
    (entry,) = journal.entries()
    assert_entry(entry, job=["j1"], verb=["move"], target=["/web"], state=["done"])
    message = entry["MESSAGE"][0]
    assert message.startswith(f"job j1 of {USER}: move ") and " --to 2-3 " in message
    assert ": done, 0 bytes moved, " in message


def test_one_that_is_cancelled(kernel, journal, live, begin):
    process = begin("--to", "2-3")
    written(kernel, "2-3")
    assert not journal.entries()
    process.terminate()
    wait_until(lambda: kernel.read("sys/fs/cgroup/web/cpuset.mems.migrate.stop"))
    moves_end(kernel, "migrate_left 100\n")
    assert process.wait(PATIENCE) == 5
    (entry,) = journal.entries()
    assert_entry(entry, job=["j1"], verb=["move"], target=["/web"], state=["cancelled"])


def test_one_that_is_left_alone(kernel, journal, live):
    kernel.engine("/web", pending=1)
    assert live("move", "/web", "--to", "2-3", "--no-wait").returncode == 0
    assert not journal.entries()
    moves_end(kernel)
    wait_until(lambda: live.json("report")["jobs"][0]["state"] == "done")
    entries = []
    wait_until(lambda: entries.extend(journal.entries()) or entries)
    assert_entry(entries[0], job=["j1"], verb=["move"], target=["/web"], state=["done"])


def test_one_that_is_killed_leaves_none(kernel, journal, begin):
    process = begin("--to", "2-3")
    written(kernel, "2-3")
    killed(process)
    assert not journal.entries()


def test_several_targets(journal, live):
    assert live("apply", "--swap", "/web", "/db").returncode == 0
    (entry,) = journal.entries()
    both = ["/web", "/db"]
    assert_entry(entry, job=["j1"], verb=["apply"], target=both, state=["done"])
    assert live("undo").returncode == 0
    (entry,) = journal.entries()
    assert_entry(entry, job=["j2"], verb=["undo"], target=both, state=["done"])


def test_those_that_control(journal, live):
    for args, words in (
        (["pause", "/web", "/db"], "pause"),
        (["resume", "/web", "/db"], "resume"),
        (["limit", "/web", "/db", "--rate", "1M"], "limit"),
    ):
        assert live(*args).returncode == 0
        (entry,) = journal.entries()
        assert_entry(entry, verb=[words], target=["/web", "/db"], state=["done"])
        message = entry["MESSAGE"][0]
        assert message.startswith(f"{USER}: {words} ") and message.endswith(": done")


def test_only_what_was_changed(journal, live):
    live("pause", "/web")
    journal.entries()
    assert live("pause", "/web", "/db").returncode == 0
    (entry,) = journal.entries()
    assert_entry(entry, verb=["pause"], target=["/db"], state=["done"])


def test_what_was_changed_before_it_failed(kernel, journal, live):
    os.unlink(os.path.join(kernel.path, "sys/fs/cgroup/db/cpuset.mems.migrate.max"))
    os.mkdir(os.path.join(kernel.path, "sys/fs/cgroup/db/cpuset.mems.migrate.max"))
    assert live("limit", "/web", "/db", "--rate", "1M").returncode == 1
    (entry,) = journal.entries()
    assert_entry(entry, verb=["limit"], target=["/web"], state=["failed"])


@pytest.mark.parametrize(
    "args",
    [
        ["move", "/web", "--to", "0-1"],
        ["move", "/web", "--to", "2-3", "--dry-run"],
        ["move", "/web", "--to", "9"],
        ["apply", "--swap", "/web", "/db", "--dry-run"],
        ["undo"],
        ["resume", "/web"],
        ["cancel", "--all"],
        ["limit", "/web"],
        ["limit", "/web", "--rate", "max"],
        ["show"],
        ["report"],
    ],
    ids=" ".join,
)
def test_nothing_changed_nothing_said(journal, live, args):
    live(*args)
    assert not journal.entries()


def test_any_text_is_one_field(kernel, journal, live):
    """A newline in a name does not make fields of its own."""
    name = "/a\nCGMIGRATE_USER=somebody\n\nb"
    kernel.cgroup(name, "0")
    kernel.engine(name)
    assert live("limit", name, "--rate", MIB).returncode == 0
    (entry,) = journal.entries()
    assert_entry(entry, verb=["limit"], target=[name], state=["done"])
    assert name in entry["MESSAGE"][0]


def test_without_a_journal(live):
    assert live("limit", "/web", "--rate", "1M").returncode == 0
    assert live("move", "/web", "--to", "2-3").returncode == 0


def test_a_journal_without_room_is_not_waited_for(kernel, journal, live):
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    with filler, pytest.raises(BlockingIOError):
        while True:
            filler.sendto(b"MESSAGE=x\n", journal.socket.getsockname())
    assert live("move", "/web", "--to", "2-3").returncode == 0


@pytest.mark.long
def test_memory_is_handled_right(kernel, journal, valgrind):
    check = Command(kernel, valgrind, write=True)
    for args in (
        ["limit", "/web", "/db", "--rate", "1M"],
        ["move", "/web", "--to", "2-3"],
    ):
        assert check(*args).returncode == 0, args
    assert len(journal.entries()) == 2
