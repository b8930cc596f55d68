# SPDX-License-Identifier: GPL-2.0
"""cgmigrate run: what a tool is started with, and what is refused."""

import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import tempfile

import pytest

from conftest import BUILD, COMMAND, VALIDATOR, Command

PLUGIN = os.path.realpath(
    os.path.join(BUILD, "lib", "cgmigrate", "libcgroup-cgmigrate.so")
)
PREFIX = "CGMIGRATE_PLUGIN_"
NOBODY = 65534
# As setcap cap_dac_override+ep writes it: its revision and that it is in effect; what
# is permitted and what is inherited, two words each.
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 1, 0, 0, 0)


@pytest.fixture
def run():
    def call(*args, **more):
        return Command()("run", *args, **more)

    return call


def settings(run, *options, **more):
    """What a tool finds in its environment."""
    result = run(*options, "--", "env", **more)
    assert result.returncode == 0 and result.stderr == ""
    pairs = dict(line.split("=", 1) for line in result.stdout.splitlines())
    return {
        key.removeprefix(PREFIX): value
        for key, value in pairs.items()
        if key.startswith(PREFIX) or key == "LD_PRELOAD"
    }


def test_what_a_tool_is_started_with(run):
    assert settings(run) == {"LD_PRELOAD": PLUGIN, "WAIT": "yes", "SETTLE": "auto"}


def test_options_reach_the_plugin(run, tmp_path):
    report = tmp_path / "report"
    options = ["--rate", "2M", "--max-stall", "500us", "--no-wait"]
    options += ["--settle", "never", "--report", report]
    assert settings(run, *options) == {
        "LD_PRELOAD": PLUGIN,
        "RATE": str(2 << 20),
        "MAX_STALL": "500",
        "WAIT": "no",
        "SETTLE": "never",
        "REPORT": str(report),
    }


def test_settings_of_an_outer_run_do_not_stay(run):
    env = {**os.environ, PREFIX + "RATE": "1", PREFIX + "REPORT": "/x"}
    assert "RATE" not in settings(run, env=env)
    assert "REPORT" not in settings(run, env=env)


def test_a_report_below_the_current_folder(run, tmp_path):
    found = settings(run, "--report", "here", cwd=tmp_path)
    assert found["REPORT"] == str(tmp_path / "here")


def test_what_is_preloaded_already_stays(run):
    env = {**os.environ, "LD_PRELOAD": "libm.so.6"}
    assert settings(run, env=env)["LD_PRELOAD"] == f"{PLUGIN}:libm.so.6"


@pytest.mark.parametrize("status", [0, 1, 7, 126, 255])
def test_the_status_is_the_tools(run, status):
    assert run("--", "sh", "-c", f"exit {status}").returncode == status


def test_a_signal_is_the_tools(run):
    assert run("--", "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM


def test_arguments_are_the_tools_own(run):
    result = run("--", "echo", "--rate", "-J", "--help")
    assert result.stdout == "--rate -J --help\n"
    result = run("echo", "--rate", "x")
    assert result.stdout == "--rate x\n"


WRONG = [
    ([], "no tool named"),
    (["--"], "no tool named"),
    (["--rate", "fast", "--", "true"], "--rate fast: not a size"),
    (["--max-stall", "x", "--", "true"], "--max-stall x: not a time"),
    (["--max-stall", "11s", "--", "true"], "--max-stall: at most 10s"),
    (["--max-stall", "2", "--", "true"], "--max-stall 2: needs a unit"),
    (["--settle", "soon", "--", "true"], "--settle soon: one of auto, always and"),
    (["--report", "fd:99", "--", "true"], "--report fd:99: not an open descriptor"),
    (["--report", "fd:x", "--", "true"], "--report fd:x: not an open descriptor"),
    (["--report"], "--report: needs a value"),
    (["--nosuch", "--", "true"], "--nosuch: no such option"),
]


@pytest.mark.parametrize("words, message", WRONG)
def test_wrong_usage_starts_nothing(run, words, message):
    result = run(*words)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith(f"cgmigrate: run: {message}")


def test_errors_as_json():
    out = Command().json("run", "--settle", "soon", code=2)
    assert out["command"] == "run" and out["error"]["message"].startswith("--settle")


def test_json_for_a_tool_that_is_not_there():
    result = Command()("run", "-J", "--", "/no/such/tool")
    assert result.returncode == 127 and '"state": "failed"' in result.stdout
    VALIDATOR.validate(json.loads(result.stdout))


def test_no_such_tool(run):
    result = run("--", "no-such-tool")
    assert result.returncode == 127
    assert result.stderr == "cgmigrate: run: no-such-tool: no such program\n"


def test_a_file_that_cannot_be_executed(run, tmp_path):
    (tmp_path / "tool").write_text("no program")
    assert run("--", tmp_path / "tool").returncode == 126


def test_a_report_that_cannot_be_written(run):
    result = run("--report", "/no/such/folder/file", "--", "echo", "ran")
    assert result.returncode == 4 and result.stdout == ""
    assert "--report /no/such/folder/file: cannot write" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID])
def test_a_tool_with_more_rights_than_its_user(run, tmp_path, bit):
    tool = tmp_path / "tool"
    shutil.copy("/bin/true", tool)
    os.chown(tool, 1234, 1234)
    os.chmod(tool, 0o755 | bit)
    result = run("--", tool)
    assert result.returncode == 4
    assert f"{tool}: runs with the rights of its owner" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give capabilities")
def test_a_tool_with_capabilities(run):
    """Only for others than root, who has them all."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        tool = os.path.join(folder, "tool")
        shutil.copy("/bin/true", tool)
        os.setxattr(tool, "security.capability", CAPABILITY)
        result = run("--", tool, user=NOBODY)
        assert result.returncode == 4
        assert f"{tool}: runs with capabilities of its own" in result.stderr
        assert run("--", tool).returncode == 0
        os.removexattr(tool, "security.capability")
        assert run("--", tool, user=NOBODY).returncode == 0


def test_a_plugin_that_cannot_be_named(tmp_path):
    """LD_PRELOAD takes a space and a colon for the end of a name."""
    for folder in ("a b", "a:b"):
        place = tmp_path / folder
        shutil.copytree(os.path.join(BUILD, "lib"), place / "lib", symlinks=True)
        os.makedirs(place / "bin")
        shutil.copy(COMMAND, place / "bin")
        result = run_copy(place)
        assert result.returncode == 1
        assert "folder with a space or a colon" in result.stderr


def test_a_plugin_that_is_missing(tmp_path):
    shutil.copytree(os.path.join(BUILD, "lib"), tmp_path / "lib", symlinks=True)
    shutil.rmtree(tmp_path / "lib" / "cgmigrate")
    os.makedirs(tmp_path / "bin")
    shutil.copy(COMMAND, tmp_path / "bin")
    result = run_copy(tmp_path)
    assert result.returncode == 1
    assert "libcgroup-cgmigrate.so: cannot read the plugin" in result.stderr


def run_copy(place):
    command = [place / "bin" / "cgmigrate", "run", "--", "true"]
    return subprocess.run(command, capture_output=True, text=True, check=False)
