# SPDX-License-Identifier: GPL-2.0
"""libcgroup's own functional tests, without the container they usually run in.

    python3 -m ktest.ftests TREE TOOLS NUMBER...

They come from a built source tree (scripts/libcgroup), and drive the tools in the tree
TOOLS, or those of Debian. Prints one JSON object: {number: [result, cause]}.
"""

import functools
import glob
import importlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
import types

from ktest import cpusets
from ktest.tools import BUILD, PLUGIN

PATIENCE = 100
# What was recorded, and what the last runs saw: the same file, to be copied.
RECORDED = os.path.join(os.path.dirname(__file__), "..", "libcgroup.json")
SEEN = os.path.join(BUILD, "libcgroup", "seen.json")
# Cython bindings are not built; tests that need no more than their names can run.
SUDO = """#!/bin/sh
if [ "$1" = -u ]; then
    user=$2
    shift 2
    exec setpriv --reuid "$user" --clear-groups "$@"
fi
exec "$@"
"""


# The others look at groups only, or need what is not here.
SUITES = ("cgcreate", "cgconfig", "cgdelete", "cgexec", "cgrules", "cgset")


def numbers_of(tree):
    """The tests of the tools that change groups, on this machine as it is."""
    found = []
    for path in sorted(glob.glob(f"{tree}/tests/ftests/[0-9]*.py")):
        number, suite = os.path.basename(path).split("-")[:2]
        if suite in SUITES and int(number) < 900:
            found.append(number)
    return found


def run_ftests(tree, tools, numbers, report=None):
    """Results by number, in a process of their own; with the plugin, which reports."""
    command = [sys.executable, "-m", "ktest.ftests", tree, tools]
    with tempfile.TemporaryDirectory() as folder:
        sudo = os.path.join(folder, "sudo")
        with open(sudo, "w", encoding="ascii") as file:
            file.write(SUDO)
        os.chmod(sudo, os.stat(sudo).st_mode | stat.S_IXUSR | stat.S_IXGRP)
        env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        env["PYTHONPATH"] = os.path.dirname(os.path.dirname(__file__))
        if report:
            env["LD_PRELOAD"] = PLUGIN
            env["CGMIGRATE_PLUGIN_REPORT"] = report
        result = subprocess.run(
            [*command, *numbers],
            env=env,
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(result.stdout.splitlines()[-1])


def layout():
    """What the results depend on besides the tools: v1, v2 or hybrid."""
    version, _ = cpusets.find_hierarchy()
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        hybrid = version == 1 and " - cgroup2 " in file.read()
    return "hybrid" if hybrid else f"v{version}"


def read_json(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def differences(tools, results):
    """What is not as recorded, a line a test. Keeps what was seen, to be recorded.

    Both files: {"TOOLS LAYOUT": {number: result}}.
    """
    key = f"{tools} {layout()}"
    recorded = read_json(RECORDED)
    seen = {**recorded, **read_json(SEEN), key: results}
    with open(SEEN, "w", encoding="utf-8") as file:
        json.dump(seen, file, indent=1, sort_keys=True)
        file.write("\n")
    if key not in recorded:
        return [
            f'nothing is recorded for "{key}"; if all is as it should be, '
            f"copy {SEEN} to {os.path.normpath(RECORDED)}"
        ]
    was = recorded[key]
    return [
        f"{number} was {was.get(number)} and is {results.get(number)}"
        for number in sorted(was.keys() | results.keys())
        if was.get(number) != results.get(number)
    ]


class AnyName(type):
    """A class that has every attribute, each its own name."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


def stub_bindings():
    module = types.ModuleType("libcgroup")
    for name in ("Mode", "Version", "Cgroup"):
        setattr(module, name, AnyName(name, (), {}))
    sys.modules["libcgroup"] = module


def find_tool(tools, name):
    """A tool of another tree, or an installed one."""
    folders = ["/usr/bin", "/usr/sbin"]
    if tools != "debian":
        folders = [f"{tools}/src/tools", f"{tools}/src/daemon"]
    for folder in folders:
        if os.path.exists(f"{folder}/{name}"):
            return f"{folder}/{name}"
    return name


class TooLong(Exception):
    """A test waits for what does not come."""


def give_up(*_):
    raise TooLong


def run_one(config, number):
    """A test's result and what it says; an exception is a failure, as they have it."""
    (path,) = glob.glob(f"{config.ftest_dir}/{number}-*.py")
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    start = time.monotonic()
    try:
        test = importlib.import_module(os.path.basename(path).removesuffix(".py"))
        result, cause = test.main(config)
    except Exception as error:  # theirs catches all, too
        result, cause = "failed", repr(error)
    finally:
        signal.alarm(0)
    print(
        f"{number} {time.monotonic() - start:.1f} s {result} {cause}", file=sys.stderr
    )
    return [result, re.sub(r"\d+", "N", str(cause)) if cause else None]


def main(arguments):
    """Run the tests in this process."""
    tree, tools, *numbers = arguments
    sys.path.insert(0, f"{tree}/tests/ftests")
    stub_bindings()
    sys.argv = ["ftests", "--no-container", "--logfile", "ftests.log"]
    ftests = importlib.import_module("ftests")
    cgroup = importlib.import_module("cgroup").Cgroup
    for name in ("build_cmd_path", "build_daemon_path"):
        setattr(cgroup, name, staticmethod(functools.partial(find_tool, tools)))
    config = ftests.parse_args()
    # What they print is for people.
    out = os.dup(1)
    os.dup2(2, 1)
    results = {number: run_one(config, number) for number in numbers}
    sys.stdout.flush()
    os.dup2(out, 1)
    print(json.dumps(results), flush=True)
    # Some leave threads that wait for processes which are gone.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
