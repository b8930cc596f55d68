# SPDX-License-Identifier: GPL-2.0
"""Tests of the comparison of the kernel's own tests: nothing is overlooked."""

import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "scripts"))

# The module lies beside the script that uses it.
import selftest_results as results  # noqa: E402

SAID = """TAP version 13
1..4
# page 0 of 1024: on 2, wanted 1
ok 1 migration.private_anon
not ok 2 migration.shared_anon
ok 3 migration.thp # SKIP no huge pages
ok 4 # SKIP test_hold
# [RUN] Basic COW after fork() ... with base page
ok 5 No leak from parent into child
ok 6 No leak from parent into child
Testing minor on hugetlb... skipped [reason: no huge pages]
Testing move on anon... done
Testing poison on shmem... failed [reason: errno=5]
ok 7 KSM with 10 pages # XFAIL known
"""
FOUND = {
    "migration.private_anon": "ok",
    "migration.shared_anon": "FAIL",
    "migration.thp": "skip",
    "test_hold": "skip",
    "No leak from parent into child": "ok",
    "No leak from parent into child (2)": "ok",
    "minor on hugetlb": "skip",
    "move on anon": "ok",
    "poison on shmem": "FAIL",
    "KSM with 10 pages": "ok",
    "exit status": "FAIL 1",
}


@pytest.fixture
def leave(tmp_path):
    """Leave what a test said on a kernel."""

    def leaver(kernel, name, text, status):
        folder = tmp_path / kernel
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.log").write_text(text)
        (folder / f"{name}.status").write_text(f"{status}\n")
        return str(tmp_path)

    return leaver


def test_verdicts():
    """Each test by its name, however it says so."""
    assert results.verdicts(SAID, 1) == FOUND


def test_same(leave, capsys):
    """What ends in the same way passes, and skips are counted as such."""
    leave("stock", "cow", SAID, 1)
    assert results.main(leave("engine", "cow", SAID, 1), ["cow"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == "cow 2 FAIL 5 ok 3 skip 2 FAIL 5 ok 3 skip same".split()


@pytest.mark.parametrize(
    "text, status",
    [
        (SAID.replace("ok 1 m", "not ok 1 m"), 1),
        (SAID.replace("ok 1 migration.private_anon\n", ""), 1),
        (SAID.replace("ok 1 migration.private_anon", "ok 1 a # SKIP b"), 1),
        (SAID + "ok 8 more\n", 1),
        (SAID, 0),
        (SAID, 255),
    ],
)
def test_differs(leave, text, status):
    """One that fails, is missing, skips or is new; another status; a warning."""
    leave("stock", "cow", SAID, 1)
    assert results.main(leave("engine", "cow", text, status), ["cow"]) == 1


@pytest.mark.parametrize("status", [124, 254, 255])
def test_did_not_end(leave, status):
    """Two that did not come to an end are not the same."""
    leave("stock", "cow", "", status)
    assert results.main(leave("engine", "cow", "", status), ["cow"]) == 1


def test_not_run(leave):
    """Nothing is no result."""
    folder = leave("stock", "cow", SAID, 0)
    assert results.main(folder, ["cow"]) == 1
    assert results.main(folder, ["migration"]) == 1
    assert results.main(folder, []) == 1


@pytest.mark.parametrize(
    "stock, engine, status",
    [
        (("1..0 # SKIP no\n", 4), ("ok 1 test_mems\n", 0), 0),
        (("ok 1 test_mems\n", 0), ("ok 1 test_mems\n", 0), 1),
        (("1..0 # SKIP no\n", 4), ("1..0 # SKIP no\n", 4), 1),
        (("1..0 # SKIP no\n", 4), ("not ok 1 test_mems\n", 1), 1),
        (("1..0 # SKIP no\n", 4), ("", 0), 1),
    ],
)
def test_own(leave, stock, engine, status):
    """The engine's own skips on stock and passes on engine."""
    leave("stock", results.OWN, *stock)
    folder = leave("engine", results.OWN, *engine)
    assert results.main(folder, [results.OWN]) == status
