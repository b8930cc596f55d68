# SPDX-License-Identifier: GPL-2.0
"""What `make check` and `make check-all` consist of."""

import dataclasses
import os
import subprocess
import typing

import check_results as results
import jobs

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "build", "check")
PYCACHE = os.path.join(ROOT, "build", "pycache")
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-rfEs"]
# Seconds for a test, fixtures included, on a kernel: it hangs, rather than being slow.
HANGS = {"stock": 240, "engine": 240, "debug": 600}
# Tests of the tests' own logic.
PARTS = ["tests/vm/test_splat.py", "tests/test_check.py", "tests/test_selftests.py"]
PARTS += ["tests/bench", "tests/stress", "tests/servers"]
# Tests of the kernel that have files on the disk of the guest.
FILES = "kinds_file or dirty_file or (disk and not swap and not bench)"

# On a machine with systemd only systemd enables controllers: for a unit that asks.
CPUSETS = """
systemctl set-property --runtime vm-command.service AllowedMemoryNodes=0-3 && exec "$@"
"""


@dataclasses.dataclass
class Stage:
    """A part of the check: a command and how to count what it found.

    `seconds` is expected on two cores where no earlier run was recorded. Stages in a
    `guest` run one at a time, and beside them others with what they leave of the CPUs:
    one that uses every core by itself (`alone`) or two; nothing beside a `quiet` one.
    What a `ready` one makes is there already. `count` takes the exit status.
    """

    name: str
    command: list
    count: typing.Callable
    seconds: int
    needs: tuple = ()
    alone: bool = False
    guest: bool = False
    quiet: bool = False
    ready: bool = False
    environment: dict = dataclasses.field(default_factory=dict)


def nothing(_status):
    """Building is no test; that it failed is."""
    return results.from_status("build", _status) if _status else results.Result()


def libcgroup(status):
    """Where its source cannot be had, the tests that need it say so."""
    return nothing(0 if status == 3 else status)


def path(name, suffix):
    """A result file of a stage."""
    return os.path.join(OUT, f"{name}.{suffix}")


def succeeds(command):
    """Does a command do so? What it says does not matter."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.run(command, cwd=ROOT, check=False, **quiet).returncode == 0


def build_stages(kernels):
    """Programs, then kernels one after the other, each with all cores."""
    make = ["make", "--no-print-directory", "tools", "tests"]
    yield Stage("programs", make, nothing, 60, alone=True)
    for kernel, seconds in kernels.items():
        command = ["scripts/kernel-build", kernel]
        ready = succeeds([*command, "--path-only"])
        yield Stage(
            f"kernel-{kernel}", command, nothing, seconds, (), True, ready=ready
        )


def pycache_stage():
    """The kernel tests compiled, which an emulated CPU takes ten times as long for."""
    command = [*PYTEST, "-q", "--collect-only", "tests/kernel"]
    environment = {"PYTHONPYCACHEPREFIX": PYCACHE, "PYTHONDONTWRITEBYTECODE": ""}
    return Stage("pycache", command, nothing, 5, environment=environment)


def module_stage(kernel):
    """The driver that the tests load."""
    command = ["scripts/kernel-module", kernel, "kernel/samples/numa-buffer"]
    command.append(f"{ROOT}/build/modules/{kernel}")
    return Stage(f"module-{kernel}", command, nothing, 20, (f"kernel-{kernel}",), True)


def modules_stage(kernel):
    """File systems that are modules."""
    command = ["scripts/kernel-build", kernel, "--modules"]
    needs = (f"kernel-{kernel}",)
    return Stage(f"modules-{kernel}", command, nothing, 180, needs, True)


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


def fuzz_stage():
    """The inputs that are kept for the fuzz programs, each once, with sanitizers."""
    make = ["make", "--no-print-directory", "-C", "tests/fuzz", f"O={ROOT}/build"]
    return Stage(
        "fuzz",
        [*make, "check"],
        lambda status: results.from_replay(path("fuzz", "log"), status),
        60,
    )


def host_stage(name, arguments, seconds, needs, guest=False):
    """Pytest on this machine."""
    xml = path(name, "xml")
    return Stage(
        name,
        [*PYTEST, *arguments, f"--junitxml={xml}", "--timeout=300"],
        lambda status: results.from_pytest(xml, status),
        seconds,
        needs,
        guest=guest,
    )


def guest_stage(name, kernel, arguments, seconds, vm=(), leaks=False):
    """Pytest of tests/kernel in a guest."""
    xml = path(name, "xml")
    command = [*PYTEST, "-v", "tests/kernel", *arguments, f"--junitxml={xml}"]
    command += ["--durations=10", f"--timeout={HANGS[kernel]}"]
    if leaks:
        command = jobs.with_leaks(command)
    options = ["--kernel", kernel, "--share", os.path.join(ROOT, "build")]
    options += ["--disk", "512M"]  # dirty file pages
    options += ["--timeout", str(max(600, 4 * seconds)), "--no-tty"]
    options += ["--env", f"PYTHONPYCACHEPREFIX={PYCACHE}"]
    options += ["--console", path(name, "console"), *vm]
    needs = [f"kernel-{kernel}"]
    if kernel != "stock":
        needs.append(f"module-{kernel}")
    return Stage(
        name,
        ["tests/vm/vm", *options, "--", *command],
        lambda status: results.from_pytest(xml, status),
        seconds,
        ("programs", "pycache", *needs),
        guest=True,
        # That a stall grows with the size is seen in times.
        quiet=kernel == "stock",
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


def files_stage(kind):
    """What is about files, on another file system."""
    disk = ["--disk", f"512M,{kind}"]
    stage = guest_stage(f"files-{kind}", "engine", ["-k", FILES], 60, disk)
    stage.needs += ("modules-engine",)
    return stage


def hotplug_stage():
    """The last node is a DIMM, which has no CPUs and can be taken away."""
    arguments = ["-k", "node_gone or cpuless"]
    vm = ["--hotplug", "--mem-per-node", "1G,1G,1G,512M"]
    return guest_stage("hotplug", "engine", arguments, 60, vm)


def stress_stage(name, kernel, rows, seconds):
    """The first rows of a seed, which is always the same."""
    command = ["tests/stress/run", "--seed", "1", "--kernel", kernel]
    return Stage(
        name,
        [*command, "--minutes", str(rows), "--out", path(name, "out")],
        lambda status: results.from_status(name, status),
        seconds,
        ("programs", f"kernel-{kernel}"),
        guest=True,
    )


def servers_stage():
    """All servers at once, with the moves of a seed, which is always the same."""
    command = ["tests/servers/run", "--seed", "1", "--minutes", "2"]
    return Stage(
        "servers",
        [*command, "--out", path("servers", "out")],
        lambda status: results.from_status("servers", status),
        420,
        ("programs", "kernel-engine"),
        guest=True,
    )


def systemd_stage(kernel):
    """A guest with systemd, which has to enable the controller for the tests."""
    arguments = ["-m", "systemd"]
    if kernel == "stock":
        arguments.append("--expect-defects")
    name = f"systemd-{kernel}"
    stage = guest_stage(name, kernel, arguments, 330, ["--systemd"])
    at = stage.command.index("--") + 1
    stage.command[at:at] = ["sh", "-c", CPUSETS, "sh"]
    return stage


def stages(everything):
    """The stages of `make check`, or of `make check-all`."""
    kernels = {"stock": 420, "engine": 420, "debug": 600}
    found = [*build_stages(kernels), module_stage("engine"), module_stage("debug")]
    found.append(pycache_stage())
    found.append(unit_stage())
    found.append(fuzz_stage())
    quick = [] if everything else ["-m", "not long"]
    found.append(host_stage("cli", ["tests/cli", *quick], 180, ("programs",)))
    found.append(host_stage("parts", PARTS, 40, ("programs",)))
    found.append(host_stage("model", ["tests/model", *quick], 60, ()))
    found += lint_stages()
    subset = [] if everything else ["-m", "not timing and not long"]
    stock = ["--expect-defects", *subset]
    found.append(guest_stage("stock-v2", "stock", stock, 330))
    core = [] if everything else ["-m", "core"]
    found.append(host_stage("vm", ["tests/vm", *core], 180, ("kernel-stock",), True))
    disk = ["--disk", "256M"]
    subset = [] if everything else ["-m", "not (timing or long or alike)"]
    found.append(guest_stage("engine-v2", "engine", subset, 400, disk))
    subset = [] if everything else ["-m", "(debug or v1only) and not (timing or long)"]
    found.append(guest_stage("engine-v1", "engine", subset, 100, ["--cgroup", "v1"]))
    subset = "core" if everything else "debug and not long"
    found.append(debug_stage("debug-v2", ["-m", subset], 600))
    found.append(stress_stage("stress", "engine", 5, 360))
    if everything:
        found += [systemd_stage(kernel) for kernel in ("stock", "engine")]
        build = ["scripts/libcgroup"]
        found.insert(1, Stage("libcgroup", build, libcgroup, 90, alone=True))
        stock = ["--expect-defects"]
        found.append(guest_stage("stock-v1", "stock", stock, 1240, ["--cgroup", "v1"]))
        several = ["--workers", "4", "-m", "not timing and not long"]
        found.append(guest_stage("engine-workers", "engine", several, 840, disk))
        hybrid = ["--cgroup", "hybrid"]
        found.append(guest_stage("engine-hybrid", "engine", [], 1300, hybrid))
        mixed = ["--expect-defects", "-k", "plugin or features"]
        found.append(guest_stage("stock-hybrid", "stock", mixed, 400, hybrid))
        nodes = ["--nodes", "8", "--mem-per-node", "384M"]
        samples = ["-k", "cgconfig"]
        defects = ["--expect-defects", *samples]
        found.append(guest_stage("samples-stock", "stock", defects, 60, nodes))
        found.append(guest_stage("samples-engine", "engine", samples, 60, nodes))
        slow = ["--slow-nodes", "2"]
        tiers = ["-k", "tiers"]
        defects = ["--expect-defects", *tiers]
        found.append(guest_stage("tiers-stock", "stock", defects, 30, slow))
        found.append(guest_stage("tiers-engine", "engine", tiers, 30, slow))
        table = ["--distances", os.path.join(ROOT, "tests/kernel/distances.txt")]
        near = ["-k", "distance"]
        found.append(guest_stage("distances", "engine", near, 30, table))
        large = ["--mem-per-node", "1G,4G,4G,1G"]
        large += ["--append", "hugetlb_cma=1:2G,2:3G"]
        whole = ["-k", "gigantic"]
        found.append(guest_stage("gigantic", "engine", whole, 60, large))
        found.append(hotplug_stage())
        area = ["--mem-per-node", "1G,3G,1G,1G", "--append", "hugetlb_cma=1:1G"]
        found.append(guest_stage("cma", "engine", ["-k", "test_cma"], 30, area))
        found.append(modules_stage("engine"))
        found += [files_stage(kind) for kind in ("xfs", "btrfs")]
        both = ("programs", "kernel-stock", "kernel-engine")
        found.append(host_stage("boot", ["tests/boot"], 60, both, True))
        found.append(stress_stage("stress-debug", "debug", 10, 1200))
        found.append(servers_stage())
        series = ["scripts/series"]

        def count(status):
            return results.from_status("series", status)

        found.append(Stage("series", series, count, 900, alone=True))
        packaging = ["tests/packaging"]
        found.append(host_stage("packages", packaging, 420, ("programs",)))
    return found
