# SPDX-License-Identifier: GPL-2.0
"""What a plan says of memory policies that name nodes."""

import os

import pytest

from conftest import Command
from tree import MIB


def notes(run, *args):
    out = run.json("move", "--dry-run", *args)
    return [(note["severity"], note["message"]) for note in out["notes"]]


def bound(machine, *policies, pid=100):
    vmas = [("", {0: 100}, "") for _ in policies]
    machine.process(pid, "httpd", vmas, policies=policies)


def test_bound_mappings_are_rebound(machine, run):
    bound(machine, "bind:0", "default", "bind:0", "interleave:0-1", "prefer:1")
    assert notes(run, "/web", "--to", "2-3") == [
        ("note", "100 (httpd) binds 2 mappings to nodes 0: rebound with the cpuset"),
        (
            "note",
            "100 (httpd) interleaves 1 mapping over nodes 0-1: "
            "rebound with the cpuset",
        ),
    ]


def test_names_of_two_words(machine, run):
    """What is preferred restricts no page."""
    bound(machine, "weighted interleave:0-1", "prefer (many):0-1")
    assert notes(run, "/web", "--to", "2-3") == [
        (
            "note",
            "100 (httpd) interleaves 1 mapping over nodes 0-1: "
            "rebound with the cpuset",
        ),
    ]


@pytest.mark.parametrize(
    "nodes, severity, words",
    [
        ("1", "note", "static, stays so"),
        ("0-1", "warning", "not all of them are among its new nodes"),
    ],
)
def test_static_ones_stay(machine, run, nodes, severity, words):
    bound(machine, f"bind=static:{nodes}")
    ((told, text),) = notes(run, "/web", "--to", "1-2")
    assert told == severity and text.endswith(words)
    assert text.startswith(f"100 (httpd) binds 1 mapping to nodes {nodes}: ")


def test_the_kernel_rebinds_without_the_map(machine, run):
    bound(machine, "bind:0")
    (told,) = notes(run, "/web", "--to", "2-3", "--map", "0:3,1:2")
    assert told == (
        "warning",
        "100 (httpd) binds 1 mapping to nodes 0: the kernel rebinds that by "
        "relative place, not as the map says",
    )
    (told,) = notes(run, "/web", "--to", "2-3", "--map", "0:2,1:3")
    assert told[1].endswith("rebound with the cpuset"), "that is relative place"


def test_of_processes_into_a_cgroup(machine, run):
    bound(machine, "bind:0-1")
    ((_, text),) = notes(run, 100, "--into", "/db")
    assert text.startswith("100 (httpd) binds 1 mapping to nodes 0-1: rebound")


def test_nothing_is_said_when_no_nodes_change(machine, run):
    bound(machine, "bind:0")
    assert notes(run, "/web", "--to", "0-1") == []


def test_numa_maps_of_many_processes_are_not_read_for_this(machine, run):
    """Whoever opens this one waits for ever."""
    pids = list(range(1000, 1033))
    for pid in pids:
        machine.status(pid, "job")
    os.mkfifo(os.path.join(machine.path, "proc/1000/numa_maps"))
    machine.cgroup("/web", "0-1", pids=pids, charged={"anon": [MIB, 0, 0, 0]})
    assert notes(run, "/web", "--to", "2-3") == []


def test_what_is_read_anyway_is_told_of_any_number(empty):
    """Without the memory controller the plan reads all processes."""
    pids = list(range(1000, 1040))
    empty.cgroup("/web", "0-1", pids=pids)
    for pid in pids:
        bound(empty, "bind:0", pid=pid)
    told = [text for _, text in notes(Command(empty), "/web", "--to", "2-3")]
    assert len(told) == 9
    assert told[0].startswith("1000 (httpd) binds 1 mapping to nodes 0: rebound")
    assert told[8] == "/web: there are 32 more memory policies that name nodes"


@pytest.mark.long
def test_memory_is_handled_right(machine, memcheck):
    bound(machine, "bind:0", "bind=static:1")
    assert memcheck("move", "/web", "--to", "2-3", "--dry-run").returncode == 0
    assert memcheck("move", 100, "--into", "/db", "--dry-run").returncode == 0
