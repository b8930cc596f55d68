# SPDX-License-Identifier: GPL-2.0
"""The libcgroup plugin in cgset, on a tree: what it is told, and where it tells.

What only a kernel can show is in tests/kernel/test_plugin*.py.
"""

import json
import os
import shutil
import subprocess

import pytest

from inject import SHIM
from moving import moves_end, wait_until
from plugin import PLUGIN, add_libcgroup
from tree import MIB

pytestmark = pytest.mark.skipif(
    not shutil.which("cgset"), reason="no tools of libcgroup (Debian: cgroup-tools)"
)


@pytest.fixture
def tool(kernel):
    """A tool of libcgroup on the tree, with these settings of the plugin."""
    add_libcgroup(kernel)

    def call(*words, plugin=True, fds=(), **settings):
        preload = [PLUGIN, SHIM] if plugin else [SHIM]
        more = {f"CGMIGRATE_PLUGIN_{key.upper()}": settings[key] for key in settings}
        environment = {"LD_PRELOAD": ":".join(preload), "INJECT_ROOT": kernel.path}
        result = subprocess.run(
            [str(word) for word in words],
            env={**os.environ, **environment, **more},
            pass_fds=fds,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return result.returncode, result.stdout, result.stderr

    def read(path):
        with open(f"{kernel.path}/sys/fs/cgroup/{path}", encoding="ascii") as file:
            return file.read().strip()

    call.read = read
    return call


CGSET = ("cgset", "-r", "cpuset.mems=2-3", "web")
DONE = (0, "", "")


def test_a_record(tool, tmp_path):
    report = tmp_path / "report"
    assert tool(*CGSET, report=str(report)) == DONE
    record = json.loads(report.read_text())
    assert record["tool"] == "cgset" and record["action"] == "settings"
    assert record["group"] == "web" and record["returned"] == 0
    assert tool.read("web/cpuset.mems") == "2-3"


WRONG = [
    {"rate": "fast", "max_stall": "-1", "wait": "maybe", "settle": "so"},
    {"rate": "500X", "max_stall": "10001ms"},
    {"rate": "0", "max_stall": "10000001"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=["words", "units", "numbers"])
def test_settings_that_nobody_understands(tool, tmp_path, wrong):
    report = tmp_path / "report"
    assert tool(*CGSET, report=str(report), **wrong) == DONE
    notes = "\n".join(json.loads(report.read_text())["notes"])
    for key, value in wrong.items():
        assert f"CGMIGRATE_PLUGIN_{key.upper()}={value}: not understood" in notes


@pytest.mark.parametrize(
    "rate, max_stall, wanted",
    [
        ("500M", "2ms", 500 * MIB),
        ("1.5GiB", "10s", 1536 * MIB),
        (str(3 * MIB), "10000000", 3 * MIB),
    ],
)
def test_units(tool, kernel, tmp_path, rate, max_stall, wanted):
    """As the command has them; a time without one is in microseconds."""
    report = tmp_path / "report"
    kernel.engine("/web", pending=1)
    more = {"rate": rate, "max_stall": max_stall, "wait": "no"}
    assert tool(*CGSET, report=str(report), **more) == DONE
    wait_until(lambda: tool.read("web/cpuset.mems.migrate.max") == str(wanted))
    moves_end(kernel)
    wait_until(lambda: report.exists() and report.read_text().endswith("\n"))
    assert "not understood" not in report.read_text()


@pytest.mark.parametrize(
    "report",
    ["relative", "fd:999", "fd:", "/no/such/folder/file", "/", "/dev/full", "journal"],
)
def test_a_report_that_cannot_be_written(tool, report):
    assert tool(*CGSET, report=report) == DONE
    assert tool.read("web/cpuset.mems") == "2-3"


def test_a_reader_that_is_gone(tool):
    reader, writer = os.pipe()
    os.close(reader)
    assert tool(*CGSET, report=f"fd:{writer}", fds=[writer]) == DONE
    os.close(writer)
    assert tool.read("web/cpuset.mems") == "2-3"


def test_a_reader_that_does_not_read(tool):
    """Nobody waits for it for ever, and what is there is whole."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    assert tool(*CGSET, report=f"fd:{writer}", fds=[writer]) == DONE
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert set(file.read()) == set(b"x")


REFUSED = [
    ("cgset", "-r", "cpuset.mems=77", "-r", "cpuset.cpus=0", "web"),
    ("cgset", "-r", "cpuset.mems=x", "-r", "cpuset.cpus=0", "web"),
    ("cgset", "-r", "cpuset.nosuch=1", "-r", "cpuset.mems=2", "web"),
    ("cgset", "-r", "cpuset.mems=2", "no/such/group"),
]


@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
def test_what_fails_is_as_without_the_plugin(tool, command):
    """Here nodes are not refused by a kernel; what is written is the same."""
    alone = tool(*command, plugin=False)
    wanted = tool.read("web/cpuset.mems"), tool.read("web/cpuset.cpus")
    assert tool(*command) == alone
    assert (tool.read("web/cpuset.mems"), tool.read("web/cpuset.cpus")) == wanted
