# SPDX-License-Identifier: GPL-2.0
"""What `make check` and `make check-all` consist of."""

import dataclasses
import os
import subprocess
import typing

import check_results as results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "build", "check")
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-rfEs"]
# Leaks are looked for after the tests; a splat makes vm exit with 255.
LEAKS = """"$@"; status=$?
echo scan >/sys/kernel/debug/kmemleak; sleep 7; echo scan >/sys/kernel/debug/kmemleak
cat /sys/kernel/debug/kmemleak >&2; exit $status"""


@dataclasses.dataclass
class Stage:
    """A part of the check: a command and how to count what it found.

    `seconds` is expected on two cores where no earlier run was recorded. `alone` stages
    use every core by themselves. `count` takes the exit status.
    """

    name: str
    command: list
    count: typing.Callable
    seconds: int
    needs: tuple = ()
    alone: bool = False
    environment: dict = dataclasses.field(default_factory=dict)


def nothing(_status):
    """Building is no test; that it failed is."""
    return results.from_status("build", _status) if _status else results.Result()


def path(name, suffix):
    """A result file of a stage."""
    return os.path.join(OUT, f"{name}.{suffix}")


def build_stages(kernels):
    """Programs, then kernels one after the other, each with all cores."""
    make = ["make", "--no-print-directory", "tools", "tests"]
    yield Stage("programs", make, nothing, 60, alone=True)
    for kernel, seconds in kernels.items():
        command = ["scripts/kernel-build", kernel]
        yield Stage(f"kernel-{kernel}", command, nothing, seconds, alone=True)


def lint_stages():
    """Each linter is one test."""
    command = ["scripts/lint", "--list"]
    listed = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    for name in listed.stdout.split():

        def count(status, name=name):
            return results.from_status(f"lint {name}", status)

        yield Stage(f"lint-{name}", ["scripts/lint", name], count, 15, ("programs",))


def unit_stage():
    """The C unit tests, each under valgrind and with sanitizers."""
    make = ["make", "--no-print-directory", "-C", "tests/unit", f"O={ROOT}/build"]
    return Stage(
        "unit",
        [*make, "check"],
        lambda status: results.from_cmocka(path("unit", "log"), status),
        60,
        ("programs",),
        environment={"CMOCKA_MESSAGE_OUTPUT": "TAP"},
    )


def host_stage(name, arguments, seconds, needs):
    """Pytest on this machine."""
    xml = path(name, "xml")
    return Stage(
        name,
        [*PYTEST, *arguments, f"--junitxml={xml}"],
        lambda status: results.from_pytest(xml, status),
        seconds,
        needs,
    )


def guest_stage(name, kernel, arguments, seconds, vm=(), leaks=False):
    """Pytest of tests/kernel in a guest."""
    xml = path(name, "xml")
    command = [*PYTEST, "tests/kernel", *arguments, f"--junitxml={xml}"]
    if leaks:
        command = ["sh", "-c", LEAKS, "sh", *command]
    options = ["--kernel", kernel, "--share", os.path.join(ROOT, "build")]
    options += ["--disk", "512M"]  # dirty file pages
    options += ["--timeout", str(max(600, 4 * seconds)), "--no-tty"]
    options += ["--console", path(name, "console"), *vm]
    return Stage(
        name,
        ["tests/vm/vm", *options, "--", *command],
        lambda status: results.from_pytest(xml, status),
        seconds,
        ("programs", f"kernel-{kernel}"),
        # A guest's CPUs keep two cores busy, and tests compare times.
        alone=True,
    )


def debug_stage(name, arguments, seconds):
    """A guest with the debug kernel: KUnit while it boots, then pytest, then leaks."""
    vm = ["--append", "kunit.enable=1 kunit.stats_enabled=2", "--mem-per-node", "1536M"]
    stage = guest_stage(name, "debug", arguments, seconds, vm, leaks=True)
    count = stage.count

    def with_kunit(status):
        result = count(status)
        result.add(results.from_kunit(path(name, "console")))
        return result

    stage.count = with_kunit
    return stage


def stages(everything):
    """The stages of `make check`, or of `make check-all`."""
    kernels = {"stock": 420, "engine": 420, "debug": 600}
    found = [*build_stages(kernels)]
    found.append(unit_stage())
    found.append(host_stage("cli", ["tests/cli"], 30, ("programs",)))
    found.append(
        host_stage("parts", ["tests/vm/test_splat.py", "tests/test_check.py"], 5, ())
    )
    subset = [] if everything else ["-m", "not timing"]
    stock = ["--expect-defects", *subset]
    found.append(guest_stage("stock-v2", "stock", stock, 150))
    disk = ["--disk", "256M"]
    found.append(guest_stage("engine-v2", "engine", subset, 420, disk))
    subset = [] if everything else ["-m", "(core or v1only) and not timing"]
    found.append(guest_stage("engine-v1", "engine", subset, 180, ["--cgroup", "v1"]))
    subset = [] if everything else ["-m", "core"]
    found.append(debug_stage("debug-v2", subset, 420))
    core = [] if everything else ["-m", "core"]
    found.append(host_stage("vm", ["tests/vm", *core], 150, ("kernel-stock",)))
    if everything:
        stock = ["--expect-defects"]
        found.append(guest_stage("stock-v1", "stock", stock, 180, ["--cgroup", "v1"]))
        hybrid = ["--cgroup", "hybrid"]
        found.append(guest_stage("engine-hybrid", "engine", [], 240, hybrid))
        series = ["scripts/series"]

        def count(status):
            return results.from_status("series", status)

        found.append(Stage("series", series, count, 300, alone=True))
    return found + [*lint_stages()]
