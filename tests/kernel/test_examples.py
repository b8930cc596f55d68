# SPDX-License-Identifier: GPL-2.0
"""The library's examples, on real memory."""

import os
import re

import pytest

from ktest.machine import mib
from ktest.tools import BUILD, run

pytestmark = pytest.mark.defect("command")

# Programs and libraries that others run, too.
TEXT = 4 << 20


@pytest.fixture
def job(top, spawn):
    """A cpuset on two nodes, and a process with 16 MiB on each of them."""
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(32), nodes=(0, 1))
    return cpuset, load


def example(name, *arguments):
    program = os.path.join(BUILD, "examples", name)
    if not os.access(program, os.X_OK):
        pytest.fail(f"{program} is missing: make lib")
    result = run(program, *arguments)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def test_where(job, name):
    cpuset, _ = job
    text = example("where", name(cpuset))
    found = re.findall(r"(?m)^node (\d+): (\d+) bytes$", text)
    held = {int(node): int(count) for node, count in found}
    assert set(held) >= {0, 1, 2, 3}
    for node, count in held.items():
        wanted = 16 << 20 if node in (0, 1) else 0
        assert wanted <= count <= wanted + TEXT
    (stray,) = re.findall(r"(?m)^outside its nodes: (\d+) bytes$", text)
    assert int(stray) <= TEXT


@pytest.mark.long
def test_follow(job, name):
    cpuset, load = job
    text = example("follow", name(cpuset), "2-3")
    assert cpuset.mems() == [2, 3]
    assert load.where("anon") == {2: mib(16), 3: mib(16)}
    load.verify()
    rows = re.findall(r"(?m)^(\d) -> (\d) .*: (\d+) bytes is on its new node$", text)
    moved = {}
    for source, target, count in rows:
        moved[source, target] = moved.get((source, target), 0) + int(count)
    for way in (("0", "2"), ("1", "3")):
        assert moved[way] >= 16 << 20
    assert re.search(r"(?m)^\d+ of \d+ bytes$", text)


@pytest.mark.parametrize("program", ["where", "follow"])
def test_a_group_that_is_not_there(program):
    arguments = ["/no/such/group"] + (["0"] if program == "follow" else [])
    result = run(os.path.join(BUILD, "examples", program), *arguments)
    assert result.returncode == 1 and "/no/such/group" in result.stderr
