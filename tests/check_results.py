# SPDX-License-Identifier: GPL-2.0
"""Count what tests report: junit XML, TAP lines, exit statuses."""

import dataclasses
import os
import re
import xml.etree.ElementTree as ElementTree

# Printed by every suite with kunit.stats_enabled=2, of its cases, parameters included.
KUNIT_TOTALS = re.compile(r"\] # Totals: pass:(\d+) fail:(\d+) skip:(\d+) total:\d+")
KUNIT_FAILED = re.compile(r"\]\s+not ok \d+ (\S+)(?!.*# SKIP)")
# tests/unit/Makefile says how it runs which program; then come cmocka's own lines.
CMOCKA_PROGRAM = re.compile(r"((?:valgrind|sanitized) \S+)$")
CMOCKA_TEST = re.compile(r"(not )?ok \d+ - (\S+)( # SKIP)?")
# tests/fuzz/replay.c says how many inputs a program took, or which of them ended it.
REPLAYED = re.compile(r"replayed (\d+) inputs: \S+$")
REPLAY_ENDED = re.compile(r"the input was (\S+)$")
VM_STATUS = {
    124: "it ran longer than it may",
    254: "the guest never came up",
    255: "the kernel complained",
}


@dataclasses.dataclass
class Result:
    """What a stage found; the names are of what failed, `why` is what they said."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    names: list = dataclasses.field(default_factory=list)
    why: dict = dataclasses.field(default_factory=dict)

    def add(self, other):
        """Count the other's too."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.names += other.names
        self.why.update(other.why)

    def fail(self, name, why=""):
        """One more failure."""
        self.failed += 1
        self.names.append(name)
        if why:
            self.why[name] = why

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def from_junit(path):
    """The cases of one junit file, as pytest writes them."""
    result = Result()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        kinds = {child.tag: child for child in case}
        name = f"{case.get('classname', '')}.{case.get('name', '')}".lstrip(".")
        bad = kinds.get("failure", kinds.get("error"))
        if bad is not None:
            result.fail(name, bad.get("message", ""))
        elif "skipped" in kinds:
            result.skipped += 1
        else:
            result.passed += 1
    return result


def from_pytest(path, status):
    """A pytest run: its junit file, and its exit status where that says more."""
    if not os.path.exists(path):
        result = Result()
        result.fail(VM_STATUS.get(status, f"no result, exit status {status}"))
        return result
    result = from_junit(path)
    if status == 5 or status == 0 and result.passed == 0:
        result.fail("no test ran")
    elif status and not (status == 1 and result.failed):
        result.fail(VM_STATUS.get(status, f"exit status {status}"))
    return result


def from_cmocka(path, status):
    """C test programs: cmocka's TAP lines in the log, and make's exit status."""
    result = Result()
    program = ""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if match := CMOCKA_PROGRAM.match(line):
                program = match[1]
            elif match := CMOCKA_TEST.match(line):
                if match[3]:
                    result.skipped += 1
                elif match[1]:
                    result.fail(f"{program}: {match[2]}")
                else:
                    result.passed += 1
    if status and not result.failed:
        result.fail(f"{program}: exit status {status}")
    if not result.passed and not result.failed:
        result.fail("no test ran")
    return result


def from_replay(path, status):
    """Fuzz programs that were given what is kept for them: each input is a test."""
    result = Result()
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if match := REPLAYED.match(line):
                result.passed += int(match[1])
            elif match := REPLAY_ENDED.match(line):
                result.fail(match[1])
    if status and not result.failed:
        result.fail(f"fuzz: exit status {status}")
    if not result.passed and not result.failed:
        result.fail("no input was replayed")
    return result


def from_kunit(path):
    """The KUnit suites that ran while the kernel of this console log booted."""
    result = Result()
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if match := KUNIT_TOTALS.search(line):
                    passed, failed, skipped = map(int, match.groups())
                    result.add(Result(passed, failed, skipped))
                elif match := KUNIT_FAILED.search(line):
                    result.names.append(match[1])
    if not result.passed and not result.failed:
        result.fail("no KUnit suite ran")
    return result


def from_status(name, status):
    """One test that is its exit status."""
    if status:
        return Result(failed=1, names=[name])
    return Result(passed=1)
