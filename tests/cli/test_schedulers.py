# SPDX-License-Identifier: GPL-2.0
"""The snippets of Documentation/schedulers.md do what it says, without a scheduler."""

import os
import re
import subprocess
import sys

import pytest

from conftest import COMMAND
from moving import wait_until
from tree import MIB

PAGE = os.path.join(
    os.path.dirname(__file__), "..", "..", "Documentation", "schedulers.md"
)
with open(PAGE, encoding="utf-8") as file:
    SECTIONS = re.split(r"^## (.*)\n", file.read(), flags=re.M)
SNIPPETS = {
    scheduler: re.findall(r"^```\w+\n(.*?)^```$", text, re.M | re.S)
    for scheduler, text in zip(SECTIONS[1::2], SECTIONS[2::2])
}
# Of the module that hooks of OpenPBS get, what is needed here.
PBS = """
import types

def event():
    return types.SimpleNamespace(job=types.SimpleNamespace(id="42.server"))

def logjobmsg(job, text):
    print(job, text)
"""


@pytest.fixture
def snippet(kernel, tmp_path):
    """Run a snippet of a scheduler's on the tree."""
    command = tmp_path / "cgmigrate"
    command.write_text(
        '#!/bin/sh\nverb=$1\nshift\nexec "$COMMAND" "$verb" '
        '--sysroot "$TREE" --write-sysroot "$@"\n'
    )
    command.chmod(0o755)
    (tmp_path / "pbs.py").write_text(PBS)

    def run(scheduler, number=0, interpreter="sh"):
        text = SNIPPETS[scheduler][number]
        assert "/usr/bin/cgmigrate" in text
        result = subprocess.run(
            [interpreter, "-c", text.replace("/usr/bin/cgmigrate", str(command))],
            env={"COMMAND": COMMAND, "TREE": kernel.path, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0 and result.stderr == "", result
        return result.stdout

    return run


def job(kernel, path):
    """A job on nodes 0 and 1 that has memory on node 2, too."""
    anon = [100 * MIB, 50 * MIB, 20 * MIB, 0]
    kernel.cgroup(path, "0-1", pids=[400], charged={"anon": anon})
    kernel.process(400, "simulate", [("", {0: 25600, 1: 12800, 2: 5120}, "")])
    kernel.engine(path)


def test_every_snippet_is_tried():
    assert {name: len(found) for name, found in SNIPPETS.items()} == {
        "Slurm": 2,
        "OpenPBS": 1,
        "Kubernetes": 1,
    }


def test_slurm_settles_when_a_job_has_ended(live, snippet):
    assert "started: job j1\n" in snippet("Slurm")
    wait_until(lambda: live.json("report")["jobs"][0]["state"] == "done")
    (record,) = live.json("report")["jobs"]
    assert record["command"] == "settle"
    assert [target["cgroup"] for target in record["targets"]] == ["/db"]


def test_slurm_moves_a_job(kernel, live, snippet):
    path = "/system.slice/slurmstepd.scope/job_42"
    job(kernel, path)
    assert "started: job j1\n" in snippet("Slurm", 1)
    wait_until(lambda: live.json("report")["jobs"][0]["state"] == "done")
    assert kernel.read(f"sys/fs/cgroup{path}/cpuset.mems") == "2-3"


def test_openpbs_settles_a_job_that_was_changed(kernel, live, snippet):
    job(kernel, "/pbs_jobs.service/jobid/42.server")
    out = snippet("OpenPBS", interpreter=sys.executable)
    assert out.startswith("42.server /pbs_jobs.service/jobid/42.server: ")
    (record,) = live.json("report")["jobs"]
    assert record["command"] == "settle" and record["state"] == "done"


def test_kubernetes_is_limited(kernel, snippet):
    kernel.cgroup("/kubepods.slice", "0-3")
    kernel.engine("/kubepods.slice")
    assert snippet("Kubernetes") == "/kubepods.slice: 200.0M/s\n"
    limit = kernel.read("sys/fs/cgroup/kubepods.slice/cpuset.mems.migrate.max")
    assert limit.strip() == str(200 * MIB)
