# SPDX-License-Identifier: GPL-2.0
"""Cgroups that belong to systemd, with systemd as process 1."""

import itertools
import json
import os
import statistics

import pytest

from ktest import cpusets, machine
from ktest.command import COMMAND, cgmigrate, end, told
from ktest.command import start as begin
from ktest.machine import mib
from ktest.systemd import UNITS, entries, systemctl
from ktest.timing import Background, timed
from ktest.tools import run

pytestmark = [
    pytest.mark.systemd,
    pytest.mark.defect("systemd"),
    pytest.mark.long,
    pytest.mark.v2only("systemd knows cpusets on v2 only"),
]

UNIT = """[Service]
Type=exec
ExecStart=/bin/sleep infinity
"""
LIBSYSTEMD = "/lib/x86_64-linux-gnu/libsystemd.so.0"
# What a process needs to move memory of others, and write files of root's.
CAPABILITIES = "+dac_override,+sys_nice,+sys_ptrace"


class Unit:
    """A service that runs, and its cgroup."""

    def __init__(self, root, name, mems="0-1", delegate=False, folder="system.slice"):
        self.name = name
        self.file = f"{UNITS}/{name}"
        with open(self.file, "w", encoding="ascii") as file:
            file.write(f"{UNIT}Slice={folder}\n")
            if mems:
                file.write(f"AllowedMemoryNodes={mems}\n")
            if delegate:
                file.write("Delegate=yes\n")
        systemctl("start", name)
        self.cpuset = cpusets.Cpuset(2, os.path.join(root.path, folder, name))

    def nodes(self):
        """What systemd has set."""
        text = systemctl("show", "-p", "AllowedMemoryNodes", "--value", self.name)
        return machine.parse_list(text.replace(" ", ","))

    def is_set(self, folder):
        """Are its nodes set there, in place of those in its unit file?"""
        setting = f"{self.name}.d/50-AllowedMemoryNodes.conf"
        return os.path.exists(f"{folder}/systemd/system.control/{setting}")

    def reload(self):
        """Have systemd read its settings and write those of the unit."""
        systemctl("daemon-reload")
        systemctl("set-property", "--runtime", self.name, "CPUWeight=50")

    def remove(self):
        run("systemctl", "stop", self.name)
        run("systemctl", "revert", self.name)
        os.unlink(self.file)


@pytest.fixture
def unit(root, command, _serial=itertools.count()):
    made = []

    def make(**keys):
        made.append(Unit(root, f"cgmigrate-test-{next(_serial)}.service", **keys))
        return made[-1]

    yield make
    for one in made:
        one.remove()


def move(target, nodes, *options):
    return told("move", target, "--to", nodes, *options)


def planned(out):
    """Remarks on the plan."""
    return [note["message"] for note in out["notes"]]


def remarks(out):
    """Remarks on what was done."""
    return out["result"]["notes"]


def having(text, notes):
    return [note for note in notes if text in note]


def start(spawn, cpuset, pages=mib(8)):
    load = spawn(cpuset)
    load.alloc("anon", pages, nodes=(0, 1), stripe=16)
    load("work", writers=1, verifiers=1, rest=500)
    return load


def test_a_unit_is_changed_through_systemd(unit, spawn):
    """It stays where it was moved to when systemd writes its settings."""
    service = unit()
    load = start(spawn, service.cpuset)
    out = move(service.name, "2-3")
    assert service.nodes() == [2, 3] == service.cpuset.mems()
    assert having(f"belongs to systemd ({service.name})", planned(out))
    assert not remarks(out)
    service.reload()
    assert service.cpuset.mems() == [2, 3]
    assert set(load.where("anon")) == {2, 3}
    load.rest()
    load.verify()
    assert service.is_set("/run") and not service.is_set("/etc")


def test_huge_pages_are_seen(unit, spawn):
    """systemd enables no hugetlb controller, so no cgroup is charged for them."""
    service = unit()
    assert "hugetlb" not in service.cpuset.read("cgroup.controllers").split()
    pools = [f"{machine.NODE}/node{n}/hugepages/hugepages-2048kB" for n in range(4)]
    try:
        for pool in pools:
            machine.write(f"{pool}/nr_hugepages", "4")
        load = start(spawn, service.cpuset)
        load.alloc("huge", mib(8), kind="hugetlb", nodes=(0, 1))
        (shown,) = told("show", service.name)["targets"]
        assert shown["placement"]["kinds"]["hugetlb"]["0"] == 4 << 20
        out = move(service.name, "2-3")
        assert sum(flow["bytes"] for flow in out["targets"][0]["flows"]) >= 16 << 20
        assert set(load.where("huge")) == {2, 3}
        load.close()
    finally:
        for pool in pools:
            machine.write(f"{pool}/nr_hugepages", "0")


def test_systemd_undoes_what_it_was_not_told(unit):
    """If it did not, the other tests would show nothing."""
    service = unit()
    service.cpuset.set_mems("2-3")
    service.reload()
    cpusets.wait_until(lambda: service.cpuset.mems() == [0, 1], "systemd's nodes")


def test_for_good(unit, spawn):
    service = unit()
    start(spawn, service.cpuset)
    move(service.name, "2-3", "--persist")
    assert service.nodes() == [2, 3] == service.cpuset.mems()
    assert service.is_set("/etc")

    # What is set for good comes first, so the next one does not last.
    out = move(service.name, "1")
    assert service.nodes() == [1] == service.cpuset.mems()
    assert having("goes back to them when it reloads", remarks(out))
    out = move(service.name, "1", "--persist")
    assert out["changed"] and not remarks(out)
    service.reload()
    assert service.nodes() == [1] == service.cpuset.mems()


def test_what_was_written_behind_its_back_is_told(unit):
    service = unit()
    name = f"/system.slice/{service.name}"
    assert not having("behind its back", planned(move(name, "2-3", "--dry-run")))
    assert "systemd_mems" not in told("show", name)["targets"][0]

    service.cpuset.set_mems("2")
    (drift,) = having("behind its back", planned(move(name, "3", "--dry-run")))
    assert "AllowedMemoryNodes=0-1" in drift and "written 2 to" in drift
    (shown,) = told("show", name)["targets"]
    assert (shown["mems"], shown["systemd_mems"]) == ("2", "0-1")
    assert "AllowedMemoryNodes=0-1" in cgmigrate("show", name).stderr

    # To where it is already: what is left to do is to tell systemd.
    assert move(name, "2")["changed"]
    assert service.nodes() == [2] == service.cpuset.mems()
    assert not move(name, "2")["changed"]


def test_show_asks_over_one_connection(unit, tmp_path):
    """However many units there are."""
    services = [unit() for _ in range(5)]
    names = [f"/system.slice/{service.name}" for service in services]
    services[3].cpuset.set_mems("2")
    trace = tmp_path / "trace"
    words = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", trace, COMMAND, "show"]
    result = run(*map(str, words), *names, "-J")
    assert result.returncode == 0, result
    shown = json.loads(result.stdout)["targets"]
    drifted = [target["cgroup"] for target in shown if "systemd_mems" in target]
    assert drifted == names[3:4]
    assert trace.read_text().count("/run/systemd/private") == 1


def test_who_is_left_behind_tells_systemd(unit, spawn):
    """A connection of its parent's is of no use to it."""
    service = unit()
    load = start(spawn, service.cpuset)
    move(service.name, "2-3", "--no-wait")
    cpusets.wait_until(lambda: service.nodes() == [2, 3], "systemd to be told")
    cpusets.wait_until(lambda: service.cpuset.mems() == [2, 3], "the nodes")
    cpusets.wait_until(lambda: set(load.where("anon")) == {2, 3}, "the memory")


def test_systemd_starts_itself_again_meanwhile(unit, spawn, engine):
    """It closes all connections then."""
    if engine:
        pytest.skip("systemd is told at once, and not again")
    service = unit()
    load = start(spawn, service.cpuset)
    process = begin("move", service.name, "--to", "2-3", "--rate", "2M", "-J")
    cpusets.wait_until(lambda: service.cpuset.mems() == [0, 1, 2, 3], "the wide mask")
    systemctl("daemon-reexec")
    code, text, _ = end(process)
    out = json.loads(text)
    assert code == 0 and not remarks(out), out
    assert service.nodes() == [2, 3] == service.cpuset.mems()
    assert set(load.where("anon")) == {2, 3}


def test_below_a_delegated_unit_systemd_is_not_asked(unit, spawn):
    service = unit(delegate=True)
    leaf = cpusets.Cpuset(2, os.path.join(service.cpuset.path, "leaf"))
    os.mkdir(leaf.path)
    for pid in service.cpuset.procs():
        leaf.attach(pid)
    # Named as units are: those of a user, or of a container.
    inner = service.cpuset.mkdir("inner.service")
    load = start(spawn, inner)
    out = move(f"/system.slice/{service.name}/inner.service", "1")
    assert not having("systemd", planned(out) + remarks(out))
    assert inner.mems() == [1] and service.nodes() == [0, 1]
    assert set(load.where("anon")) == {1}
    service.reload()
    assert inner.mems() == [1]


def test_a_unit_without_nodes_gets_a_cpuset(unit, spawn):
    """Systemd gives its cgroup the controller, as for AllowedMemoryNodes=."""
    service = unit(mems=None, folder="cgmigratetest.slice")
    assert not service.cpuset.has("mems")
    load = start(spawn, service.cpuset)
    out = move(service.name, "2-3")
    assert having("is to enable the cpuset controller", planned(out))
    backend = "engine-v2" if cpusets.engine_files(service.cpuset) else "stock-v2"
    assert out["targets"][0]["backend"] == backend
    assert service.nodes() == [2, 3] == service.cpuset.mems()
    assert set(load.where("anon")) == {2, 3}
    service.reload()
    assert service.cpuset.mems() == [2, 3]


def test_a_cgroup_that_only_looks_like_a_unit(unit, spawn, root):
    """As when its unit was stopped; process 1 has no say there."""
    unit()
    cpuset = cpusets.Cpuset(2, os.path.join(root.path, "system.slice/gone.service"))
    os.mkdir(cpuset.path)
    try:
        load = start(spawn, cpuset)
        out = move("gone.service", "2-3")
        (said,) = having("gone.service has no cgroup", remarks(out))
        assert "written directly" in said
        assert cpuset.mems() == [2, 3] and set(load.where("anon")) == {2, 3}
    finally:
        cpuset.remove()


def test_the_journal_has_an_entry(unit, spawn):
    """With fields of its own for who, what, and how it ended."""
    service = unit()
    name = f"/system.slice/{service.name}"
    start(spawn, service.cpuset)
    job = move(service.name, "2-3")["job"]
    found = []

    def written():
        found[:] = entries(f"CGMIGRATE_TARGET={name}")
        return found

    cpusets.wait_until(written, "the entry in the journal")
    (entry,) = found
    assert entry["CGMIGRATE_JOB"] == job and entry["CGMIGRATE_VERB"] == "move"
    assert entry["CGMIGRATE_USER"] == "root" and entry["CGMIGRATE_STATE"] == "done"
    assert entry["SYSLOG_IDENTIFIER"] == "cgmigrate" and entry["PRIORITY"] == "5"
    assert entry["_TRANSPORT"] == "journal" and entry["_UID"] == "0"
    assert entry["MESSAGE"].startswith(f"job {job} of root: move ")


# How to take systemd away from a command, and what that says then.
SILENT = {
    "no bus": (
        "mount --bind /dev/null /run/systemd/private;"
        "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere exec",
        "no connection to the system's D-Bus",
    ),
    "no library": (
        f"mount --bind /dev/null $(realpath {LIBSYSTEMD}); exec",
        "libsystemd.so.0",
    ),
    "no permission": (
        "exec setpriv --reuid=65534 --clear-groups "
        f"--inh-caps={CAPABILITIES} --ambient-caps={CAPABILITIES}",
        "does not let you change",
    ),
}


@pytest.mark.parametrize("how", SILENT)
def test_systemd_cannot_be_told(unit, spawn, how):
    """The memory moves, and it is said what is wrong and what will come of it."""
    service = unit()
    load = start(spawn, service.cpuset)
    prefix, reason = SILENT[how]
    words = f"{COMMAND} move {service.name} --to 2-3"
    result = run("unshare", "-m", "sh", "-c", f"{prefix} {words}")
    assert result.returncode == 0, result
    assert reason in result.stdout + result.stderr
    setting = f"set-property --runtime {service.name} AllowedMemoryNodes=2-3"
    assert setting in result.stdout + result.stderr
    assert service.cpuset.mems() == [2, 3] and service.nodes() == [0, 1]
    assert set(load.where("anon")) == {2, 3}


def confined(*words):
    """The command, called from a cpuset that has node 0 only."""
    scope = ("systemd-run", "--quiet", "--scope", "-p", "AllowedMemoryNodes=0")
    result = run(*scope, COMMAND, *words, "-J")
    assert result.returncode in (0, 3), result
    assert having("the caller may use nodes 0 only", planned(json.loads(result.stdout)))


def test_process_1_does_not_wait_for_the_kernel(unit, spawn, engine):
    """Where the caller leaves the move to it: systemd is told afterwards."""
    if engine:
        pytest.skip("whatever the caller may use, nobody waits")
    service = unit()
    load = spawn(service.cpuset)
    load.alloc("anon", mib(500), nodes=(0, 1))
    moving = Background(confined, "move", service.name, "--to", "2-3")
    untold = False
    while moving.running and not untold:
        untold = service.cpuset.mems() == [2, 3] and service.nodes() == [0, 1]
    moving.join()
    assert untold, "systemd knew the nodes before they were written"
    assert set(load.where("anon")) == {2, 3}
    assert service.nodes() == [2, 3] == service.cpuset.mems()


def figures(name, seconds):
    """For the report: the middle, nine of ten, the longest."""
    marks = statistics.quantiles(seconds, n=10)
    print(
        f"{name}: {len(seconds)} answers, median {statistics.median(seconds):.3f} s,"
        f" 90 % {marks[8]:.3f} s, longest {max(seconds):.3f} s"
    )
    return statistics.median(seconds)


@pytest.mark.timing
def test_process_1_answers_while_memory_moves(unit, spawn):
    """It must not be the one that waits for the kernel to copy."""
    service = unit()
    load = spawn(service.cpuset)
    load.alloc("anon", mib(500), nodes=(0, 1))

    def ask():
        return timed(systemctl, "is-active", service.name)

    def ask_during(call, *words):
        """What it takes meanwhile; the memory has moved in the end."""
        moving = Background(call, *words)
        answers = []
        while moving.running:
            answers.append(ask())
        print(f"{call.__name__}: {moving.join():.1f} s")
        return answers

    # Whatever else the machine does makes it look worse, so the best try counts.
    for nodes in ("2-3", "0-1", "2-3"):
        idle = [ask() for _ in range(20)]
        moving = ask_during(move, service.name, nodes)
        assert set(load.where("anon")) == set(machine.parse_list(nodes))
        idle += [ask() for _ in range(20)]
        assert len(moving) > 5, "the move was over too soon, or somebody waited"
        usual = figures("idle", idle)
        ratio = figures("while memory moves", moving) / usual
        if ratio < 2:
            break
    assert ratio < 2
    assert max(moving) < sum(moving) / 3, "somebody waited for it"

    # Systemd alone does wait, and the test sees that.
    other = "0-1" if nodes == "2-3" else "2-3"
    setting = f"AllowedMemoryNodes={other}"
    alone = ask_during(systemctl, "set-property", "--runtime", service.name, setting)
    assert set(load.where("anon")) == set(machine.parse_list(other))
    print(f"while systemd waits: longest {max(alone):.3f} s")
    assert max(alone) > 3 * usual
