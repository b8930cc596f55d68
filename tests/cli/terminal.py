# SPDX-License-Identifier: GPL-2.0
"""A terminal that a test types into and looks at: a window of a private tmux."""

import os
import re
import shlex
import subprocess
import tempfile
import time

PATIENCE = 60
PROMPT = "ready> "
# Nothing of whoever runs this; the words of programs are those of the C locale.
KEEP = ("HOME", "PATH", "USER")


class Terminal:
    """A bash in a window. To be closed, also by a `with`: tmux goes on otherwise."""

    def __init__(self, columns=100, lines=30, cwd="/", prompt=PROMPT, **environment):
        self.prompt = prompt.rstrip()
        self.folder = tempfile.TemporaryDirectory(prefix="cgmigrate-tmux-")
        self.socket = os.path.join(self.folder.name, "socket")
        variables = {
            **{name: os.environ[name] for name in KEEP if name in os.environ},
            "LC_ALL": "C.UTF-8",
            "PS1": prompt,
            "HISTFILE": "/dev/null",
            **environment,
        }
        shell = ["env", "-i", *(f"{k}={v}" for k, v in variables.items())]
        shell += ["TERM=tmux-256color", "bash", "--norc", "--noprofile", "-i"]
        self.tmux(
            *("-f", "/dev/null", "new-session", "-d"),
            *("-c", cwd, "-x", str(columns), "-y", str(lines), shlex.join(shell)),
        )
        self.tmux("set-option", "-g", "status", "off")
        self.resize(columns, lines)
        try:
            self.until(lambda: self.text().endswith(self.prompt))
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.tmux("kill-server")
        self.folder.cleanup()

    def tmux(self, *args):
        """What a tmux command prints."""
        return subprocess.run(
            ["tmux", "-S", self.socket, *args],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        ).stdout

    def text(self):
        """What is on the screen, without blanks at the ends."""
        return self.tmux("capture-pane", "-p").rstrip()

    def lines(self):
        return [line.rstrip() for line in self.text().splitlines()]

    def colours(self):
        """The same with the escape sequences of colours."""
        return self.tmux("capture-pane", "-pe")

    def state(self, name):
        """A format variable of tmux, such as cursor_flag."""
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def resize(self, columns, lines):
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def type(self, text):
        self.tmux("send-keys", "-l", "--", text)

    def key(self, *names):
        """Keys as tmux calls them: Enter, Tab, C-c."""
        self.tmux("send-keys", *names)

    def until(self, condition):
        """Wait until this is so, or till nobody would believe in it any more."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, self.text()
            time.sleep(0.02)

    def see(self, words):
        """Wait until the words are on the screen."""
        self.until(lambda: words in self.text())

    def run(self, *command):
        """Type a command; its exit status and what it wrote, as the screen has it."""
        self.key("C-l")
        self.until(lambda: self.text() == self.prompt)
        self.type(shlex.join(map(str, command)))
        self.key("Enter")
        return self.ended()

    def ended(self):
        """Wait for the prompt after a command: its exit status, and its lines."""
        self.until(lambda: self.text().endswith("\n" + self.prompt))
        lines = self.lines()[1:-1]
        self.type("echo status=$?")
        self.key("Enter")
        self.until(lambda: re.search(r"^status=\d+$", self.text(), re.M))
        return int(re.findall(r"^status=(\d+)$", self.text(), re.M)[-1]), lines
