# SPDX-License-Identifier: GPL-2.0
"""Latencies, and failures, from what the programs that measured them wrote."""

import errno
import re

import stats

PARTS = {"p50": 0.5, "p99": 0.99, "max": 1}
# Columns of a transaction in the log of pgbench; it has a last one with --rate.
COLUMNS = ("client", "number", "time", "script", "epoch", "microseconds", "lag")
# A line of stress-ng: stressor, operations, seconds, of users, of the system, a second.
METRIC = re.compile(r"\] +([a-z]+) +(\d+)((?: +\d+\.\d+){4,})")

FAILURE = re.compile(r"(?m)^stress-ng: fail: +\[\d+\] (.*)$")
# That a node is not in the cpuset, any more: since before the call, or since it began;
# mbind() says that of all nodes it was given.
NOT_ALLOWED = re.compile(
    r"^numa: (move_pages(?= failed, errno=1[23]\b)|mbind(?= failed, errno=22\b))"
    r" failed, errno=(\d+)"
)


class Malformed(Exception):
    """A line that nobody expected."""


def percentiles(seconds):
    """Count, median, 99 % and maximum in ms; only the count where there is nothing."""
    found = {"count": len(seconds)}
    if seconds:
        for name, part in PARTS.items():
            found[name] = round(stats.quantile(seconds, part) * 1000, 2)
    return found


def pgbench_log(lines):
    """Seconds of each transaction, from when it was due; how many have no time."""
    seconds, without = [], 0
    for line in lines:
        words = line.split()
        if len(words) != len(COLUMNS):
            raise Malformed(f"log of pgbench: {line!r}")
        time = words[COLUMNS.index("time")]
        if time.isdigit():
            seconds.append(int(time) / 1e6)
        elif time in ("failed", "skipped"):
            without += 1
        else:
            raise Malformed(f"log of pgbench: {line!r}")
    return seconds, without


def pgbench_report(text):
    """Transactions that were done, and that failed, of what pgbench says at its end."""
    done = re.search(r"transactions actually processed: (\d+)", text)
    failed = re.search(r"number of failed transactions: (\d+)", text)
    if not done or not failed:
        raise Malformed(f"report of pgbench: {text!r}")
    return int(done[1]), int(failed[1])


def stress_metrics(text):
    """Operations a second of each stressor, by --metrics-brief of stress-ng."""
    found = {}
    for name, operations, numbers in METRIC.findall(text):
        real = float(numbers.split()[0])
        found[name] = round(int(operations) / real, 2) if real else 0.0
    return found


def stress_failures(text):
    """What the stressors of stress-ng found wrong."""
    return FAILURE.findall(text)


def stress_refusals(text):
    """The calls that were refused a node, with the error; none if more is wrong."""
    found = [NOT_ALLOWED.search(failure) for failure in stress_failures(text)]
    if not all(found):
        return []
    return [f"{match[1]}_{errno.errorcode[int(match[2])]}" for match in found]
