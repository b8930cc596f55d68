#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Compare what the kernel's own tests said on two kernels, by the name of each test."""

import collections
import os
import re
import sys

# Is about what stock does not have: there it has to skip, and on engine nothing may.
OWN = "test_cpuset_migrate"

# A skipped test's name comes before the directive or, from kselftest.h, after it.
TAP = re.compile(r"(not )?ok \d+ (?:- )?(?:# (SKIP) )?(.*?)(?:\s# ([A-Z]+)\b.*)?$")
UFFD = re.compile(r"Testing (.*)\.\.\. (done|skipped|failed)")
WORDS = {"done": "ok", "skipped": "skip", "failed": "FAIL"}

# Exit statuses: of a test, and of tests/vm/vm.
STATUS = {
    0: "ok",
    4: "skip",
    124: "late",
    254: "the guest never came up",
    255: "the kernel complained",
}


def verdict(line):
    """(name, result) if a line says how a test ended, or None."""
    if found := UFFD.search(line):
        return found[1], WORDS[found[2]]
    if not (found := TAP.match(line)):
        return None
    result = "skip" if "SKIP" in (found[2], found[4]) else "ok"
    return found[3].strip(), "FAIL" if found[1] else result


def verdicts(text, status):
    """All of them, {name: result}; names that come again are numbered."""
    found, seen = {}, collections.Counter()
    for line in text.splitlines():
        if said := verdict(line.strip()):
            seen[said[0]] += 1
            again = f" ({seen[said[0]]})" if seen[said[0]] > 1 else ""
            found[said[0] + again] = said[1]
    found["exit status"] = STATUS.get(status, f"FAIL {status}")
    return found


def read(folder, name):
    """The verdicts of one test on one kernel; none if it did not run there."""
    base = os.path.join(folder, name)
    if not os.path.exists(base + ".status"):
        return {"exit status": "not run"}
    with open(base + ".status", encoding="ascii") as file:
        status = int(file.read())
    with open(base + ".log", encoding="utf-8", errors="replace") as file:
        return verdicts(file.read(), status)


def differences(stock, engine):
    """Lines that say what ended otherwise."""
    for name in {**stock, **engine}:
        pair = stock.get(name, "absent"), engine.get(name, "absent")
        if pair[0] != pair[1]:
            yield f"{name}: {pair[0]} on stock, {pair[1]} on engine"


def ended(found):
    """Did it come to an end, with no word from the kernel?"""
    return found["exit status"] in ("ok", "skip") or found["exit status"][:4] == "FAIL"


def good(name, stock, engine):
    """Is all as it should be?"""
    if name == OWN:
        every = len(engine) > 1 and set(engine.values()) == {"ok"}
        return every and stock == {"exit status": "skip"}
    return ended(stock) and ended(engine) and stock == engine


def counts(found):
    """How many ended in which way; without the exit status if there are others."""
    results = [result for name, result in found.items() if name != "exit status"]
    count = collections.Counter(r.split()[0] for r in results or found.values())
    return " ".join(f"{count[key]} {key}" for key in sorted(count, key=str.lower))


def main(folder, names):
    """Print the summary; 0 if all is as it should be."""
    failed = 0
    print(f"{'test':20} {'stock':26} {'engine':26}")
    for name in names:
        stock = read(os.path.join(folder, "stock"), name)
        engine = read(os.path.join(folder, "engine"), name)
        fine = good(name, stock, engine)
        failed += not fine
        word = "good" if name == OWN else "same"
        if not fine:
            word = "DIFFERS" if stock != engine else "DID NOT END"
        print(f"{name:20} {counts(stock):26} {counts(engine):26} {word}")
        for line in () if fine else differences(stock, engine):
            print(f"    {line}")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
