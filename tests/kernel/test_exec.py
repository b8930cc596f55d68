# SPDX-License-Identifier: GPL-2.0
"""A program that begins while nodes change."""

import collections
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket

import pytest

from ktest import machine

pytestmark = pytest.mark.core

ARGUMENTS = ["x" * 100000] * 12


@pytest.fixture
def script(tmp_path):
    """A script, and its interpreter, which is nobody else's."""
    interpreter = tmp_path / "sh"
    shutil.copy("/bin/sh", interpreter)
    path = tmp_path / "script"
    path.write_text(f"#!{interpreter}\necho I run\nread line\n")
    path.chmod(0o755)
    return path, interpreter


class Lease:
    """Whoever opens a file has to wait until this is released."""

    def __init__(self, path):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
        self.fd = os.open(path, os.O_RDONLY)
        fcntl.fcntl(self.fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)

    def __enter__(self):
        return self

    def wait(self):
        """Until somebody opens it."""
        assert signal.sigtimedwait([signal.SIGIO], 60), "nobody has"

    def release(self):
        fcntl.fcntl(self.fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def __exit__(self, *_exception):
        os.close(self.fd)
        while signal.sigtimedwait([signal.SIGIO], 0):
            pass
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGIO])


@contextlib.contextmanager
def executing(cpuset, path):
    """A process of a cpuset that executes a script, and a socket to it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        os.dup2(theirs.fileno(), 0)
        os.dup2(theirs.fileno(), 1)
        cpuset.attach(os.getpid())
        os.execv(path, [str(path), *ARGUMENTS])
    theirs.close()
    try:
        yield pid, ours
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ours.close()


def stack(pid):
    """Pages of the stack, which begins with the arguments, by node."""
    found = collections.Counter()
    for line in machine.read(f"/proc/{pid}/numa_maps").splitlines():
        if " stack " in line:
            for node, pages in re.findall(r" N(\d+)=(\d+)", line):
                found[int(node)] += int(pages)
    return dict(found)


def attached(top, _source, pid):
    target = top.mkdir("b", mems="1")
    target.attach(pid)
    return target


def changed(_top, source, _pid):
    source.set_mems("1")
    return source


@pytest.mark.parametrize("how", [attached, changed], ids=lambda how: how.__name__)
def test_what_exec_has_filled_comes_along(top, script, how):
    """Arguments are there before the program is, where nobody finds them."""
    path, interpreter = script
    source = top.mkdir("a", mems="0")
    with Lease(interpreter) as lease, executing(source, path) as (pid, script_says):
        lease.wait()
        target = how(top, source, pid)
        lease.release()
        assert script_says.recv(100) == b"I run\n"
        target.wait_idle()
        placed = stack(pid)
        assert set(placed) == {1} and placed[1] > 250


@pytest.mark.v2only("CLONE_INTO_CGROUP")
def test_of_a_child_that_has_the_memory_of_its_parent(top, spawn, script):
    """Nobody moves that for the child, and what it executes is nobody's yet."""
    path, interpreter = script
    parent = spawn(top.mkdir("a", mems="0"))
    target = top.mkdir("b", mems="0")
    child = parent.spawn(target, program=path)
    with Lease(interpreter) as lease, child.sock:
        child.sock.send(b"!")
        lease.wait()
        target.set_mems("1")
        lease.release()
        assert child.sock.recv(100) == b"I run\n"
        target.wait_idle()
        placed = stack(child.pid)
        assert set(placed) == {1} and placed[1] > 250
