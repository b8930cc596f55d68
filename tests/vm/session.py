# SPDX-License-Identifier: GPL-2.0
"""One run of a guest: its streams, its terminal, its end."""

import contextlib
import ctypes
import fcntl
import json
import os
import re
import selectors
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import tty

from splat import Console

TIMED_OUT = 124
INTERRUPTED = 130
NEVER_UP = 254
SPLATTED = 255
# How long a guest may take from its command's exit to having said everything.
CLOSING_SECONDS = 20
# Of no use where the question is what a task waits for.
REGISTERS = re.compile(r"\] (RIP|RSP|R\d\d|R[A-D]X|RBP|CS|FS|CR2|Code|Hardware name):")
KILL_KEY = b"\x1d"  # Ctrl-]


def die_with_parent():
    """In the child: no QEMU outlives its vm, whatever ends that."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL)


def terminal_size():
    """Rows and columns of the terminal on standard input."""
    packed = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
    rows, columns = struct.unpack("4H", packed)[:2]
    return rows or 24, columns or 80


class Output:
    """One stream of the guest's, up to its end mark, copied to a descriptor of ours."""

    def __init__(self, descriptor, mark):
        self.descriptor = descriptor
        self.mark = mark
        self.held = b""
        self.ended = False

    def feed(self, data):
        """Pass `data` on, but for the mark and what may be the beginning of one."""
        if self.ended:
            return
        data = self.held + data
        self.held = b""
        at = data.find(self.mark)
        if at >= 0:
            self.ended = True
            data = data[:at]
        else:
            keep = next(
                n
                for n in range(min(len(data), len(self.mark) - 1), -1, -1)
                if data.endswith(self.mark[:n])
            )
            if keep:
                data, self.held = data[:-keep], data[-keep:]
        self.write(data)

    def write(self, data):
        """Write all of it; a reader that went away ends nothing but this stream."""
        view = memoryview(data)
        while view and self.descriptor is not None:
            try:
                view = view[os.write(self.descriptor, view) :]
            except BlockingIOError:
                time.sleep(0.01)
            except BrokenPipeError:
                self.descriptor = None

    def close(self):
        """No more will come: what was held is no mark."""
        if not self.ended:
            self.write(self.held)
            self.held = b""


class Input:
    """Our standard input on its way to the guest, never more than a block ahead."""

    def __init__(self, selector, guest):
        self.selector = selector
        self.guest = guest
        self.rest = b""
        self.closing = False
        self.keep_open = False
        guest.setblocking(False)
        selector.register(0, selectors.EVENT_READ, "stdin")

    def take(self):
        """Standard input has something, or has ended; return it."""
        data = os.read(0, 65536)
        self.rest = data
        self.selector.unregister(0)
        if not data:
            self.closing = not self.keep_open
            return data
        self.give()
        return data

    def give(self):
        """Send what the guest has room for; take more when all is sent."""
        try:
            self.rest = self.rest[self.guest.send(self.rest) :]
        except BlockingIOError:
            pass
        except OSError:
            self.rest = b""  # the command does not read any more
        waiting = self.guest in self.selector.get_map()
        if self.rest and not waiting:
            self.selector.register(self.guest, selectors.EVENT_WRITE, "give")
        elif not self.rest:
            if waiting:
                self.selector.unregister(self.guest)
            self.selector.register(0, selectors.EVENT_READ, "stdin")

    def close_when_read(self):
        """End the guest's input; QEMU forgets what it has not read when we do."""
        if not self.closing:
            return
        unread = fcntl.ioctl(self.guest, termios.TIOCOUTQ, b"\0" * 4)
        if unread == b"\0" * 4:
            self.guest.close()
            self.closing = False


class Session:
    """A started guest until its end.

    `sockets` are our ends by name: console, monitor, ctl, and tty or in, out and err.
    """

    def __init__(self, process, sockets, mark, limits, console_file):
        self.process = process
        self.sockets = sockets
        self.mark = mark
        self.limits = limits
        self.console_file = console_file
        self.console = Console()
        self.control = b""
        self.status = None
        self.up = False
        self.said_all = False
        self.blocked = []
        self.input = None
        self.kill_keys = []
        self.tty = "tty" in sockets
        self.outputs = {}
        for name, descriptor in (("tty", 1), ("out", 1), ("err", 2)):
            if name in sockets:
                self.outputs[name] = Output(descriptor, mark.encode())
        self.selector = selectors.PollSelector()  # takes regular files
        for name in ("console", "ctl", *self.outputs):
            self.selector.register(sockets[name], selectors.EVENT_READ, name)

    def run(self):
        """Serve the guest until it has ended; return vm's exit status."""
        deadline = time.monotonic() + self.limits.boot
        reason = None
        while reason is None:
            reason = self._serve(deadline)
            if reason == "up":
                reason = None
                limit = self.limits.command
                deadline = time.monotonic() + limit if limit else float("inf")
            elif reason == "exit":
                reason = None
                deadline = time.monotonic() + CLOSING_SECONDS
        if reason == "late" and self.status is None:
            self._show_blocked()
        self._stop()
        return self._verdict(reason)

    def _serve(self, deadline):
        """Pass on what is there. None, or what changed: up, exit, done, late, gone."""
        if self._finished():
            return "done"
        if self.input:
            self.input.close_when_read()
        left = deadline - time.monotonic()
        if left <= 0:
            return "late"
        closing = self.input and self.input.closing
        for key, _ in self.selector.select(min(left, 0.05 if closing else 60)):
            if key.data == "stdin":
                if self.input.take() == KILL_KEY and self.tty:
                    self._check_kill_key()
                continue
            if key.data == "give":
                self.input.give()
                continue
            try:
                data = key.fileobj.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.selector.unregister(key.fileobj)
                if key.data == "console":
                    return "gone"
                continue
            change = self._receive(key.data, data)
            if change:
                return change
        return None

    def _finished(self):
        """The command has ended and everything it and the kernel said has arrived."""
        ended = all(output.ended for output in self.outputs.values())
        return ended and self.said_all and self.status is not None

    def _receive(self, name, data):
        """Data from the guest; the change it makes, if any."""
        if name == "console":
            self.console_file.write(data)
            lines = self.console.feed(data)
            self.said_all = self.said_all or any(self.mark in line for line in lines)
        elif name == "ctl":
            *lines, self.control = (self.control + data).split(b"\n")
            for line in lines:
                word, *rest = line.decode("ascii", "replace").split()
                if word == "up":
                    self.up = True
                    self._connect_input()
                    return "up"
                if word == "exit":
                    self.status = int(rest[0])
                    return "exit"
        else:
            self.outputs[name].feed(data)
        return None

    def _connect_input(self):
        """From now on standard input belongs to the command."""
        if not self.tty:
            self.input = Input(self.selector, self.sockets["in"])
        else:
            # A second descriptor, as the selector takes each for one purpose.
            self.input = Input(self.selector, self.sockets["tty"].dup())
            self.input.keep_open = True
            tty.setraw(0)
            signal.signal(signal.SIGWINCH, self._resized)

    def _check_kill_key(self):
        now = time.monotonic()
        self.kill_keys = [at for at in self.kill_keys if now - at < 1] + [now]
        if len(self.kill_keys) == 3:
            raise KeyboardInterrupt

    def _resized(self, *_):
        rows, columns = terminal_size()
        with contextlib.suppress(OSError):
            self.sockets["ctl"].send(f"size {rows} {columns}\n".encode())

    def _show_blocked(self):
        """Ask a late guest, by SysRq, which tasks are blocked and what CPUs do."""
        before = len(self.console.lines)
        with contextlib.suppress(OSError):
            for key in b"wl":
                for command in (
                    {"execute": "qmp_capabilities"},
                    {"execute": "chardev-send-break", "arguments": {"id": "console"}},
                ):
                    self.sockets["monitor"].sendall(json.dumps(command).encode())
                time.sleep(0.2)
                self.sockets["console"].sendall(bytes([key]))
                time.sleep(0.5)
            self._serve_for(3)
        lines = self.console.lines[before:]
        self.blocked = [line for line in lines if not REGISTERS.search(line)]

    def _serve_for(self, seconds):
        deadline = time.monotonic() + seconds
        while self._serve(deadline) != "late":
            if self.process.poll() is not None:
                return

    def _stop(self):
        """End QEMU and take what it said last."""
        self.process.kill()
        self.process.wait()
        for name in ("console", *self.outputs):
            with contextlib.suppress(OSError):
                while data := self.sockets[name].recv(65536):
                    self._receive(name, data)
        self.console.close()
        for output in self.outputs.values():
            output.close()

    def _verdict(self, reason):
        """The exit status, with the reason on standard error where it is ours."""
        splats = self.console.splats
        for splat in splats[:3]:
            note("the kernel complained:\n" + "\n".join(splat))
        if len(splats) > 3:
            note(f"the kernel complained {len(splats) - 3} more times")
        if not self.up:
            why = "it took too long" if reason == "late" else "it ended"
            if not splats:
                note("\n".join(self.blocked or self.console.lines[-30:]))
            note(f"the guest never came up: {why}")
            return NEVER_UP
        if splats:
            return SPLATTED
        if self.status is None and reason == "late":
            note("\n".join(self.blocked))
            note(f"the command ran longer than {self.limits.command:g} s (--timeout)")
            return TIMED_OUT
        if self.status is None:
            note("\n".join(self.console.lines[-30:]))
            note("the guest ended before the command did")
            return SPLATTED
        return self.status


def note(text):
    """A message of vm's own, never mixed up with the command's."""
    print(f"vm: {text}", file=sys.stderr, flush=True)


class Limits:
    """Seconds for boot and command; None is no limit."""

    def __init__(self, boot, command):
        self.boot = boot
        self.command = command


@contextlib.contextmanager
def terminal_kept():
    """Give the terminal back as it was."""
    try:
        saved = termios.tcgetattr(0)
    except termios.error:
        saved = None
    try:
        yield
    finally:
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


def start(command, pairs, files):
    """Start QEMU with its ends of the socket pairs; return the process and our ends."""
    fds = [theirs.fileno() for _, theirs in pairs.values()]
    fds += [file.fileno() for file in files]
    process = subprocess.Popen(  # pylint: disable=consider-using-with
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=fds,
        preexec_fn=die_with_parent,
        start_new_session=True,
    )
    for _, theirs in pairs.values():
        theirs.close()
    return process, {name: ours for name, (ours, _) in pairs.items()}


def socket_pairs(names):
    """A connected pair for each name."""
    return {name: socket.socketpair() for name in names}
