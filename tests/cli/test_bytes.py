# SPDX-License-Identifier: GPL-2.0
"""Arguments and names that are not UTF-8: --json is one object all the same."""

import json
import os
import subprocess

import pytest

from conftest import COMMAND, VALIDATOR
from tree import MIB

ODD = b"/a\xff"  # a name of a cgroup that is there
NAMED = "/a?"  # and how JSON tells it


@pytest.fixture
def odd(kernel):
    """The machine with a cgroup of a name that is not UTF-8, and the engine."""
    path = os.fsdecode(ODD)
    kernel.cgroup(
        path,
        "0",
        pids=[500],
        charged={"anon": [4 * MIB, 0, 0, 0]},
        more={"cgroup.freeze": "0\n", "cgroup.events": "populated 1\nfrozen 0\n"},
    )
    kernel.process(500, os.fsdecode(b"x\xff"), [("", {0: 1024}, "")])
    kernel.engine(path)
    return kernel


def one_object(tree, *args, code=0):
    """What is told with --json, as bytes have to be: UTF-8, and of the schema."""
    words = [w if isinstance(w, bytes) else str(w).encode() for w in args]
    more = [] if not tree or words[0] == b"run" else [b"--sysroot", tree.path.encode()]
    if more:
        more.append(b"--write-sysroot")
    result = subprocess.run(
        [COMMAND, words[0], b"-J", *more, *words[1:]],
        capture_output=True,
        timeout=60,
        check=False,
    )
    out = json.loads(result.stdout.decode())
    VALIDATOR.validate(out)
    assert result.stderr == b"" and result.returncode == code, out
    return out


def test_show(odd):
    (target,) = one_object(odd, "show", ODD)["targets"]
    assert target["cgroup"] == NAMED
    everything = one_object(odd, "show", "--by", "process")["targets"]
    assert NAMED in [target["cgroup"] for target in everything]


def test_map(odd):
    out = one_object(odd, "map", ODD)
    assert out["cgroup"] == NAMED and out["process"] == "x?"


def test_move(odd):
    (target,) = one_object(odd, "move", ODD, "--to", "1")["targets"]
    assert target["cgroup"] == NAMED and target["to"] == "1"
    assert odd.read(os.fsdecode(b"sys/fs/cgroup" + ODD + b"/cpuset.mems")) == "1"
    (job,) = one_object(odd, "report")["jobs"]
    assert NAMED in job["arguments"] and job["state"] == "done"


@pytest.mark.parametrize(
    "option, value",
    [("--freeze", []), ("--rate", ["5M"]), ("--cpus", ["0"])],
    ids=["freeze", "rate", "cpus"],
)
def test_what_a_record_has_to_name(odd, option, value):
    out = one_object(odd, "move", ODD, "--to", "1", option, *value, code=4)
    assert out["error"]["message"] == (
        f"{NAMED}: its name is not UTF-8, so that no record can name it, "
        f"which {option} needs"
    )
    assert odd.read(os.fsdecode(b"sys/fs/cgroup" + ODD + b"/cpuset.mems")) == "0\n"


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_what_a_plan_has_to_name(odd, verb):
    out = one_object(odd, verb, "--swap", "/web", ODD, code=4)
    assert f"{NAMED}: its name is not UTF-8" in out["error"]["message"]


@pytest.mark.parametrize("verb", ["settle", "pause", "resume", "cancel", "limit"])
def test_a_cgroup(odd, verb):
    (target,) = one_object(odd, verb, ODD)["targets"]
    assert target["cgroup"] == NAMED


def test_wait(odd):
    assert one_object(odd, "wait", ODD)["state"] == "done"


def test_features(odd):
    odd.write("proc/sys/kernel/osrelease", os.fsdecode(b"6.12\xff\n"))
    assert one_object(odd, "features")["kernel"] == "6.12?"


BAD = b"/b\xff"
ERRORS = [
    (["show", BAD], 1),
    (["map", BAD], 1),
    (["move", BAD, "--to", "1"], 1),
    (["move", "/web", "--to", b"\xff"], 2),
    (["move", "/web", "--into", BAD], 1),
    (["settle", BAD], 1),
    (["plan", BAD], 1),
    (["apply", BAD], 1),
    (["undo", BAD], 2),
    (["wait", BAD], 1),
    (["pause", BAD], 1),
    (["resume", BAD], 1),
    (["cancel", BAD], 1),
    (["limit", BAD], 1),
    (["report", BAD], 2),
    (["features", BAD], 2),
    (["bench", BAD], 2),
    (["run", "--settle", b"\xff", "true"], 2),
    ([b"\xff"], 2),
]


@pytest.mark.parametrize("args, code", ERRORS, ids=str)
def test_errors_name_the_argument(odd, args, code):
    out = one_object(odd, *args, code=code)
    assert "?" in out["error"]["message"] and out["exit"] == code
