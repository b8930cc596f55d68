# SPDX-License-Identifier: GPL-2.0
"""The command and the plugin under valgrind while they move memory.

Valgrind does not know PAGEMAP_SCAN, and takes what that fills in for memory that
nobody has written. So only wrong accesses and leaks are looked for here.
"""

import glob
import os
import re
import shutil

import pytest

from ktest.command import COMMAND
from ktest.machine import mib
from ktest.tools import Tools, run

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("command"),
    pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is missing"),
]

FOUND = 99
# Lines of valgrind that are about the program, and not about valgrind.
ERROR = re.compile(r"(?m)^==\d+== .*\n")


@pytest.fixture
def valgrind(tmp_path):
    """The words before a program, and what valgrind has said after that."""

    class Valgrind:
        words = [
            *("valgrind", "-q", f"--error-exitcode={FOUND}", "--leak-check=full"),
            *("--undef-value-errors=no", f"--log-file={tmp_path}/valgrind.%p"),
        ]

        @staticmethod
        def errors():
            text = ""
            for path in glob.glob(f"{tmp_path}/valgrind.*"):
                with open(path, encoding="utf-8") as file:
                    text += file.read()
                os.unlink(path)
            return "".join(ERROR.findall(text))

    return Valgrind


@pytest.fixture
def pair(top, spawn):
    """Two cpusets, and a process with memory in the first."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(8), nodes=(0, 1), stripe=16)
    load.alloc("shared", mib(4), kind="shared", nodes=(0, 1))
    return old, new, load


@pytest.mark.defect("command")
def test_valgrind_finds_something(valgrind, tmp_path):
    """If it did not, the other tests would show nothing."""
    source = tmp_path / "leak.c"
    source.write_text(
        "#include <stdlib.h>\n"
        "int main(void) { char *volatile p = malloc(9); p = NULL; return !!p; }\n"
    )
    assert run("gcc", "-O0", "-o", tmp_path / "leak", source).returncode == 0
    assert run(*valgrind.words, tmp_path / "leak").returncode == FOUND
    assert "9 bytes in 1 blocks are definitely lost" in valgrind.errors()


@pytest.mark.defect("command")
@pytest.mark.parametrize("how", ["to", "into"])
def test_move(pair, valgrind, name, how):
    old, new, load = pair
    where = ["--to", "2-3"] if how == "to" else ["--into", name(new)]
    target = name(old) if how == "to" else load.pid
    result = run(*valgrind.words, COMMAND, "move", target, *where)
    errors = valgrind.errors()
    assert not errors
    assert (result.returncode, result.stderr) == (0, ""), result
    assert set(load.where("anon")) == {2, 3}
    load.verify()


@pytest.mark.defect("plugin")
@pytest.mark.parametrize("tool", ["cgset", "cgclassify"])
def test_a_tool_with_the_plugin(pair, valgrind, tmp_path, root, tool):
    """What libcgroup itself gets wrong is not ours."""
    if not shutil.which(tool):
        pytest.skip("libcgroup's tools are not installed (Debian: cgroup-tools)")
    old, new, load = pair
    names = [cpuset.path[len(root.path) + 1 :] for cpuset in (old, new)]
    words = {
        "cgset": ("-r", "cpuset.mems=2-3", names[0]),
        "cgclassify": ("-g", f"cpuset:{names[1]}", load.pid),
    }
    tools = Tools(tmp_path)
    result = tools(*valgrind.words, tool, *words[tool])
    errors = valgrind.errors()
    assert not [part for part in errors.split("== \n") if "cgmigrate" in part], errors
    assert result.returncode == (FOUND if errors else 0)
    (record,) = tools.records()
    assert record["tool"] == tool and record["moves"][0]["state"] == "done"
    assert set(load.where("anon")) == {2, 3}
    load.verify()
