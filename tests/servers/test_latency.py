# SPDX-License-Identifier: GPL-2.0
"""Tests of what is read from logs and reports of programs that measure."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "bench")]

# The module lies beside this file.
import latency  # noqa: E402

PGBENCH = """\
pgbench (15.18 (Debian 15.18-0+deb12u1))
transaction type: <builtin: TPC-B (sort of)>
number of clients: 4
number of transactions actually processed: 73
number of failed transactions: 2 (2.667%)
latency average = 80.2 ms
"""
STRESS = """\
stress-ng: info:  [10] dispatching hogs: 1 numa, 1 vm, 1 userfaultfd
stress-ng: info:  [10] stressor       bogo ops real time  usr time  sys time   bogo ops/s     bogo ops/s
stress-ng: info:  [10]                           (secs)    (secs)    (secs)   (real time) (usr+sys time)
stress-ng: info:  [10] numa                  4      5.19      0.13      0.20         0.77          12.12
stress-ng: info:  [10] vm                  232      5.01      0.21      0.04        46.29         928.00
stress-ng: info:  [10] userfaultfd           0      0.00      0.00      0.00         0.00           0.00
stress-ng: info:  [10] successful run completed in 5.31s
"""  # noqa: E501

FAILURES = """\
stress-ng: fail:  [12] numa: move_pages failed, errno=13 (Permission denied)
stress-ng: error: [10] process [12] (numa) terminated with an error, exit status=2 (stressor failed)
stress-ng: fail:  [13] numa: move_pages failed, errno=12 (Cannot allocate memory)
stress-ng: fail:  [14] numa: mbind failed, errno=22 (Invalid argument)
"""  # noqa: E501
BROKEN = "stress-ng: fail:  [13] vm: detected 8 bit errors while stressing memory\n"


def test_percentiles_are_samples():
    found = latency.percentiles([number / 1000 for number in range(1, 201)])
    assert found == {"count": 200, "p50": 100, "p99": 198, "max": 200}


def test_percentiles_do_not_need_an_order():
    assert latency.percentiles([0.003, 0.001, 0.002])["p50"] == 2
    assert latency.percentiles([0.003, 0.001, 0.002])["max"] == 3


def test_percentiles_of_one_and_of_none():
    assert latency.percentiles([0.25]) == {
        "count": 1,
        "p50": 250,
        "p99": 250,
        "max": 250,
    }
    assert latency.percentiles([]) == {"count": 0}


def test_log_of_pgbench():
    lines = ["0 1 12500 0 1700000000 123456 300", "3 7 2000000 0 1700000001 1 0"]
    assert latency.pgbench_log(lines) == ([0.0125, 2.0], 0)


def test_failed_transactions_have_no_time():
    lines = ["0 1 failed 0 1700000000 123456 300", "1 1 skipped 0 1700000000 5 0"]
    assert latency.pgbench_log(lines) == ([], 2)


@pytest.mark.parametrize(
    "line", ["0 1 12500 0 1700000000 123456", "0 1 -5 0 1700000000 123456 300", ""]
)
def test_other_logs_are_refused(line):
    with pytest.raises(latency.Malformed):
        latency.pgbench_log([line])


def test_report_of_pgbench():
    assert latency.pgbench_report(PGBENCH) == (73, 2)


def test_report_without_an_end_is_refused():
    with pytest.raises(latency.Malformed):
        latency.pgbench_report(PGBENCH.partition("number of failed")[0])


def test_metrics_of_stress_ng():
    found = latency.stress_metrics(STRESS)
    assert found == {"numa": 0.77, "vm": 46.31, "userfaultfd": 0.0}


def test_failures_of_stress_ng():
    assert len(latency.stress_failures(FAILURES + BROKEN)) == 4
    assert not latency.stress_failures(STRESS)


def test_refusals_of_stress_ng():
    found = latency.stress_refusals(FAILURES)
    assert found == ["move_pages_EACCES", "move_pages_ENOMEM", "mbind_EINVAL"]
    assert latency.stress_refusals(STRESS) == []


@pytest.mark.parametrize(
    "text",
    [
        BROKEN,
        FAILURES + BROKEN,
        FAILURES.replace("errno=12", "errno=14"),
        FAILURES.replace("errno=22", "errno=12"),
        FAILURES.replace("errno=13", "errno=22"),
        FAILURES.replace("move_pages", "set_mempolicy"),
        FAILURES.replace("numa: move_pages", "vm: move_pages"),
    ],
)
def test_what_is_no_refusal(text):
    assert latency.stress_refusals(text) == []
