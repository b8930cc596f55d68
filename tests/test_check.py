# SPDX-License-Identifier: GPL-2.0
"""Tests of the check itself: that nothing that failed is counted as passed."""

import contextlib
import fcntl
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

# The modules lie beside this file.
import check_results as results  # noqa: E402
import check_stages  # noqa: E402

JUNIT = """<testsuites><testsuite>
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="x"/></testcase>
<testcase classname="a" name="broken"><error message="x"/></testcase>
<testcase classname="a" name="left_out"><skipped message="x"/></testcase>
</testsuite></testsuites>"""
GOOD = '<testsuite><testcase classname="a" name="good"/></testsuite>'
NONE = "<testsuite/>"
CMOCKA = """gcc -o tests
valgrind test_a
1..2
ok 1 - first
ok 2 - second
sanitized test_a
ok 1 - first # SKIP
ok 2 - second
"""
REPLAY = """cc -o fuzz-a
replayed 12 inputs: fuzz-a
replayed 3 inputs: fuzz-b
"""
KUNIT = """[    1.0] KTAP version 1
[    1.0] 1..1
[    1.0]     KTAP version 1
[    1.0]     # Subtest: cpuset_migrate_map
[    1.0]     1..3
[    1.0]     ok 1 equal
[    1.0]     {second}
[    1.0]     ok 3 other # SKIP not here
[    1.0] # cpuset_migrate_map: pass:2 fail:0 skip:1 total:3
[    1.0] # Totals: pass:{passed} fail:{failed} skip:1 total:3
[    1.0] ok 1 cpuset_migrate_map
"""


def numbers(result):
    """The three counts."""
    return result.passed, result.failed, result.skipped


@pytest.fixture
def write(tmp_path):
    """Write a result file."""

    def writer(text):
        path = tmp_path / "result"
        path.write_text(text)
        return str(path)

    return writer


def test_junit(write):
    """Errors are failures, and are named."""
    result = results.from_pytest(write(JUNIT), 1)
    assert numbers(result) == (1, 2, 1)
    assert result.names == ["a.bad", "a.broken"]
    assert result.why == {"a.bad": "x", "a.broken": "x"}


@pytest.mark.parametrize("status, failed", [(0, 0), (2, 1), (3, 1), (124, 1), (255, 1)])
def test_status_says_more(write, status, failed):
    """A guest whose kernel complained is a failure even if all tests passed."""
    assert numbers(results.from_pytest(write(GOOD), status)) == (1, failed, 0)


@pytest.mark.parametrize("status", [0, 5])
def test_no_test_ran(write, status):
    """Nothing at all is a failure."""
    assert numbers(results.from_pytest(write(NONE), status)) == (0, 1, 0)


def test_no_result(tmp_path):
    """So is a run that left no result."""
    result = results.from_pytest(str(tmp_path / "none"), 254)
    assert numbers(result) == (0, 1, 0)
    assert result.names == ["the guest never came up"]


@pytest.mark.parametrize(
    "text, status, counts",
    [
        (CMOCKA, 0, (3, 0, 1)),
        (CMOCKA.replace("ok 2", "not ok 2"), 2, (1, 2, 1)),
        (CMOCKA, 2, (3, 1, 1)),
        ("nothing", 0, (0, 1, 0)),
    ],
)
def test_cmocka(write, text, status, counts):
    """Every run counts, and a program that died without a failed test."""
    assert numbers(results.from_cmocka(write(text), status)) == counts


def test_kunit(write):
    """Cases are counted, not suites."""
    good = KUNIT.format(second="ok 2 wider", passed=2, failed=0)
    assert numbers(results.from_kunit(write(good))) == (2, 0, 1)
    bad = KUNIT.format(second="not ok 2 wider", passed=1, failed=1)
    result = results.from_kunit(write(bad))
    assert numbers(result) == (1, 1, 1)
    assert result.names == ["wider"]


def test_no_kunit(write):
    """A kernel without the suites fails."""
    assert numbers(results.from_kunit(write("[ 1.0] kunit: disabled\n"))) == (0, 1, 0)


def test_last_line():
    """As the check ends."""
    assert str(results.Result(3, 0)) == "3 passed, 0 failed"
    assert str(results.Result(3, 1, 2)) == "3 passed, 1 failed, 2 skipped"


def test_replay(write):
    """Inputs are counted; one that ends its program is named."""
    assert numbers(results.from_replay(write(REPLAY), 0)) == (15, 0, 0)
    bad = results.from_replay(write(REPLAY + "the input was corpus/c/x\n"), 2)
    assert numbers(bad) == (15, 1, 0)
    assert bad.names == ["corpus/c/x"]


@pytest.mark.parametrize("text, status", [("", 0), (REPLAY, 2), ("cc: error\n", 2)])
def test_replay_that_did_not_come_about(write, text, status):
    """Programs that cannot be built are a failure, and so is nothing to replay."""
    assert results.from_replay(write(text), status).failed == 1


def test_one_at_a_time():
    """Another one would take its results away."""
    lock = f"{check_stages.OUT}.lock"
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    with open(lock, "w", encoding="ascii") as file:
        # It is held already if this is a stage of a check.
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        command = [os.path.join(HERE, "check"), "lint-spdx"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "another one is running in this checkout" in result.stderr
