# SPDX-License-Identifier: GPL-2.0
"""bash completion of cgmigrate."""

import os
import subprocess

import pytest

from conftest import COMMAND
from test_usage import VERBS

FILE = os.path.join(
    os.path.dirname(__file__), "../../tools/cgmigrate/cgmigrate.bash-completion"
)


@pytest.fixture
def complete(tmp_path):
    """What is offered for the last of some words."""
    units = ("system.slice/ssh.service", "system.slice/jam.service")
    for name in ("web/inner", "webmail", "db", *units):
        (tmp_path / "cgroup" / name).mkdir(parents=True)
    (tmp_path / "jobs").mkdir()
    for name in ("j1.json", "j12.json", "totals.json"):
        (tmp_path / "jobs" / name).write_text("{}")
    (tmp_path / "mounts").write_text(f"none {tmp_path}/cgroup cgroup2 rw 0 0\n")
    (tmp_path / "nodes").write_text("0-1,3\n")
    environment = {
        **os.environ,
        "CGMIGRATE_MOUNTS": str(tmp_path / "mounts"),
        "CGMIGRATE_JOBS": str(tmp_path / "jobs"),
        "CGMIGRATE_NODES": str(tmp_path / "nodes"),
    }

    def run(*words):
        script = (
            f'. {FILE}; COMP_WORDS=(cgmigrate "$@"); COMP_CWORD=$#; '
            f'_cgmigrate {COMMAND} "${{@: -1}}" "${{COMP_WORDS[$#-1]}}"; '
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        result = subprocess.run(
            ["bash", "-c", script, "bash", *words],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert result.stderr == ""
        return result.stdout.split()

    return run


def test_verbs(complete):
    assert set(VERBS) <= set(complete(""))
    assert complete("res") == ["resume"] and complete("x") == []
    assert complete("hel") == ["help"] and complete("help", "res") == ["resume"]


@pytest.mark.parametrize("verb", VERBS)
def test_options_of_every_verb(complete, verb):
    options = complete(verb, "--")
    assert "--help" in options and "--json" in options
    assert len(options) == len(set(options))


def test_options(complete):
    assert complete("move", "--t") == ["--timeout", "--to"]
    assert complete("apply", "--con") == ["--continue"]
    for verb in ("apply", "undo"):
        assert {"--rate", "--max-stall"} <= set(complete(verb, "--"))


def test_targets(complete):
    assert complete("show", "/w") == ["/web", "/webmail"]
    assert complete("show", "/web/") == ["/web/inner"]
    assert complete("settle", "") == ["/db", "/system.slice", "/web", "/webmail"]
    for verb in ("cancel", "limit"):
        assert {"/web", "j1"} <= set(complete(verb, ""))
    assert "@root" in complete("show", "@ro")
    assert complete("features", "") == [] and complete("bench", "") == []


def test_units(complete):
    assert complete("show", "ss") == ["ssh.service"]
    assert complete("move", "sys") == ["system.slice"]
    assert complete("cancel", "ja") == ["jam.service"]
    assert complete("cancel", "j") == ["j1", "j12", "jam.service"]


@pytest.mark.parametrize("word", ["", "j", "j1", "/", "s"])
def test_report_takes_jobs_only(complete, word):
    jobs = [job for job in ("j1", "j12") if job.startswith(word)]
    assert complete("report", word) == jobs


def test_nodes(complete):
    """One by one, or all as the kernel lists them."""
    assert complete("move", "/web", "--to", "") == ["0", "1", "3", "0-1,3"]
    assert complete("move", "/web", "--to", "3") == ["3"]
    assert complete("plan", "--evict", "0,") == ["0,1", "0,3"]


def test_run(complete, tmp_path, monkeypatch):
    assert complete("run", "--settle", "a") == ["auto", "always"]
    assert "journal" in complete("run", "--report", "")
    assert "--report" in complete("run", "--r")
    assert complete("run", "--", "mktem") == ["mktemp"]
    assert complete("run", "--no-wait", "--", "mktem") == ["mktemp"]
    monkeypatch.chdir(tmp_path)
    assert complete("run", "--", "cat", "mou") == ["mounts"]


def test_values(complete):
    assert complete("show", "--by", "v") == ["vma"]
    assert complete("move", "/web", "--into", "/d") == ["/db"]
    assert complete("plan", "--swap", "/d") == ["/db"]
    assert complete("limit", "/web", "--rate", "m") == ["max"]
    for verb in ("move", "settle", "apply", "undo", "run", "bench"):
        assert complete(verb, "--rate", "") == ["100M", "500M", "1G"]
    assert complete("move", "/web", "--cpus", "") == ["follow", "keep"]
    assert complete("apply", "--cpus", "f") == ["follow"]
    assert complete("move", "/web", "--map", "") == ["relative", "distance"]
    assert complete("move", "/web", "--map", "d") == ["distance"]
    assert complete("bench", "--kinds", "a") == ["anon"]
    assert complete("bench", "--ways", "c") == ["cpuset"]
    assert complete("bench", "--below", "/d") == ["/db"]


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_columns(complete, option):
    assert complete("report", option, "ST") == ["STARTED", "STATE", "STAYED"]
    assert complete("report", option, "JOB,ST") == [
        "JOB,STARTED",
        "JOB,STATE",
        "JOB,STAYED",
    ]
    assert complete("report", option, "JOB,J") == [], "once is enough"
    assert complete("report", option, "job,j") == []
    assert complete("show", option, "cg") == ["cgroup"]
    assert "TOTAL" in complete("show", option, "")


@pytest.mark.parametrize(
    "words",
    [
        ("move", "/web", "--timeout"),
        ("wait", "--timeout"),
        ("move", "/web", "--max-stall"),
        ("bench", "--size"),
        ("bench", "--repeat"),
    ],
    ids=" ".join,
)
def test_a_number_is_no_target(complete, words):
    assert complete(*words, "") == [] and complete(*words, "/w") == []


@pytest.mark.parametrize("first", [0, 1])
def test_where_both_versions_are(complete, tmp_path, first):
    """cpuset is of version 1 then, wherever that comes."""
    (tmp_path / "v1/only").mkdir(parents=True)
    mounts = [
        f"none {tmp_path}/v1 cgroup rw,cpuset 0 0\n",
        f"none {tmp_path}/cgroup cgroup2 rw 0 0\n",
    ]
    other = f"none {tmp_path}/jobs cgroup rw,cpu,name=cpusets 0 0\n"
    text = other + mounts[first] + mounts[1 - first]
    (tmp_path / "mounts").write_text(text)
    assert complete("show", "/") == ["/only"]


def test_files(complete, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complete("apply", "mou") == ["mounts"]
    assert complete("map", "-o", "job") == ["jobs"]
