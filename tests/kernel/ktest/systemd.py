# SPDX-License-Identifier: GPL-2.0
"""systemd and its journal, where it is process 1."""

import json

from ktest.tools import run

# Where units are that a reboot forgets.
UNITS = "/run/systemd/system"


def systemctl(*words):
    result = run("systemctl", *words)
    assert result.returncode == 0, result
    return result.stdout


def entries(*matches):
    """What the journal has with these fields, the oldest first; long ones, too."""
    text = run("journalctl", "-q", "--no-pager", "-o", "json", "--all", *matches).stdout
    return [json.loads(line) for line in text.splitlines()]
