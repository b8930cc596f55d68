# SPDX-License-Identifier: GPL-2.0
"""Job records and cgmigrate report."""

import json
import os
import re

import pytest
from prometheus_client import parser as prometheus_parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from conftest import Command, unwritable
from moving import PATIENCE, moves_are, moves_end, wait_until, written
from tree import MIB

RUN = "run/cgmigrate"


@pytest.fixture
def moved(kernel, live):
    """A job that was done at once: the counters do not change."""
    out = live.json("move", "/web", "--to", "2-3")
    assert out["job"] == "j1" and out["state"] == "done"
    return kernel


def record(job, state="done", moved=100 * MIB, nomem=0, **more):
    return {
        "job": job,
        "command": "move",
        "arguments": ["move", "/web", "--to", "2-3"],
        "user": "root",
        "pid": 4194304,
        "pid_start": "1",
        "started": "2026-01-01T00:00:00Z",
        "state": state,
        "targets": [
            {
                "action": "mems",
                "cgroup": "/web",
                "backend": "engine-v2",
                "from": "0-1",
                "to": "2-3",
                "processes": 2,
                "bytes": 160 * MIB,
                "stray": 0,
                "flows": [{"from": 0, "to": 2, "bytes": 100 * MIB}],
                "rows": [
                    {
                        "from": 0,
                        "to": 2,
                        "kind": "anon",
                        "reason": "moved",
                        "bytes": moved,
                        "estimated": True,
                    }
                ],
            }
        ],
        "result": {
            "totals": {"moved": moved, "fail_nomem": nomem, "left": 0, "inplace": 5},
            "elapsed_usec": 2000000,
            "max_batch_usec": 1500,
            "notes": [],
        },
        **more,
    }


def add(tree, job, **more):
    tree.write(f"{RUN}/{job}.json", json.dumps(record(job, **more)))


def test_a_move_leaves_a_record(moved, live):
    (job,) = live.json("report")["jobs"]
    assert job["job"] == "j1" and job["state"] == "done" and job["exit"] == 0
    assert job["arguments"][0] == "move" and "/web" in job["arguments"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", job["started"])
    assert job["ended"] >= job["started"] and job["user"]
    assert job["targets"][0]["cgroup"] == "/web" and "rows" in job["targets"][0]
    assert moved.read("sys/fs/cgroup/web/cpuset.mems") == "2-3"
    assert live("settle", "/db").stdout.endswith(", job j2\n")


def test_what_does_nothing_leaves_none(kernel, live):
    live("move", "/web", "--to", "0-1")
    live("move", "/web", "--to", "2-3", "--dry-run")
    live("move", "/web", "--to", "9")
    assert live.json("report")["jobs"] == []
    assert not os.path.exists(os.path.join(kernel.path, RUN))


def test_a_move_that_cannot_start_leaves_none(kernel, live):
    os.unlink(os.path.join(kernel.path, "sys/fs/cgroup/web/cpuset.mems.events"))
    assert live("move", "/web", "--to", "2-3").returncode == 1
    assert live.json("report")["jobs"] == []


def test_table(machine, run):
    add(machine, "j9", state="partial", nomem=3 * MIB)
    add(machine, "j10")
    rows = run.rows("report")
    assert [row[0] for row in rows] == ["JOB", "j9", "j10"]
    assert rows[1][3:7] == ["partial", str(100 * MIB), str(3 * MIB), "2.00"]
    assert run.rows("report", "-o", "+user")[0] == [*rows[0], "USER"]
    assert run.rows("report", "-n", "-o", "state,job") == [
        ["partial", "j9"],
        ["done", "j10"],
    ]
    assert re.search(r"100.0M +3.0M +2.00 move /web", run("report").stdout)


def test_one_job(machine, run):
    add(machine, "j9", ended="2026-01-01T00:00:02Z")
    text = run("report", "j9").stdout.splitlines()
    assert text[0] == "j9: cgmigrate move /web --to 2-3"
    assert text[1].startswith("by root, started 2026-01-01T00:00:00Z, ended")
    assert text[2].startswith("/web: nodes 0-1 -> 2-3, 2 processes, 160.0M to move")
    assert "0  2 anon ~100.0M moved" in text[5]
    assert text[-1] == (
        "done: 100.0M moved in 2.00 s, 50.0M/s, longest batch 1.50 ms, job j9"
    )


@pytest.mark.parametrize("result", [{}, {"result": None}], ids=["some", "none"])
def test_one_that_failed(machine, run, result):
    error = {"message": "/web: cannot write cpuset.mems: Invalid argument"}
    more = {"ended": "2026-01-01T00:00:02Z", "error": error, **result}
    add(machine, "j9", state="failed", **more)
    text = run("report", "j9").stdout
    assert text.endswith(f"\nfailed: {error['message']}\n")
    assert "unwatched" not in text
    assert ("failed: 100.0M moved in 2.00 s" in text) is ("result" not in result)


def test_one_that_ended_without_an_account(machine, run):
    add(machine, "j9", state="cancelled", ended="2026-01-01T00:00:02Z", result=None)
    assert run("report", "j9").stdout.splitlines()[-1] == "cancelled"


def test_an_apply_that_failed(kernel, live):
    kernel.cgroup("/db", "2-3", charged={"anon": [0, 0, MIB, 0]})
    kernel.engine("/db")
    broken = unwritable(kernel, "sys/fs/cgroup/web/cpuset.mems")
    said = broken("apply", "--swap", "/web", "/db").stderr.splitlines()[0]
    error = live.json("report", "j1")["jobs"][0]["error"]["message"]
    assert said == f"cgmigrate: apply: {error}"
    assert live("report", "j1").stdout.endswith(f": {error}\n")


def test_a_killed_command_is_told(machine, run):
    add(machine, "j3", state="running", result=None)
    assert run.json("report", "j3")["jobs"][0]["state"] == "unwatched"
    assert "unwatched: the command was killed" in run("report", "j3").stdout
    machine.write("proc/4194304/stat", "4194304 (a) b) S " + "0 " * 18 + "1 0\n")
    assert run.json("report", "j3")["jobs"][0]["state"] == "running"


def two(**more):
    """A job of a cgroup and of a process that is named."""
    job = record("j9", **more)
    process = {**job["targets"][0], "cgroup": "/db", "action": "attach", "pids": [200]}
    job["targets"].append(process)
    return job


def test_whose_row_it_is(machine, run):
    machine.write(f"{RUN}/j9.json", json.dumps(two()))
    text = run("report", "j9").stdout
    head = next(line for line in text.splitlines() if "REASON" in line)
    assert head.split() == "CGROUP FROM TO KIND BYTES REASON".split()
    rows = re.findall(r"^(\S+) +0 +2 anon ~100.0M moved", text, re.M)
    assert rows == ["/web", "200"]
    add(machine, "j9")
    text = run("report", "j9").stdout
    assert "CGROUP" not in text and re.search("^ *FROM TO KIND ", text, re.M)


def test_none(machine, run):
    said = f"no jobs so far ({machine.path}/{RUN})\n"
    assert run("report").stdout == said
    for option in ("--raw", "--noheadings"):
        assert run("report", option).stdout == ""
    assert run("report", "-o", "job").stdout == said
    add(machine, "j1")
    assert "no jobs" not in run("report").stdout


HALF = "migrate_moved 20480\n"


def test_how_far_it_is(kernel, live, begin):
    def job():
        return live.json("report", "j1")["jobs"][0]

    move = begin("--to", "2-3")
    written(kernel, "2-3")
    moves_are(kernel, 1, HALF)
    wait_until(lambda: job().get("progress", {}).get("moved") == 80 * MIB)
    progress = job()["progress"]
    assert progress["total"] == 160 * MIB and progress["held"] is False
    text = live("report", "j1").stdout
    assert re.search(r"\nrunning: 80.0M of 160.0M  50%  \S+/s  ETA \d+:\d\d\n$", text)
    moves_end(kernel, "migrate_moved 40960\n")
    assert move.wait(PATIENCE) == 0
    assert job()["state"] == "done" and "progress" not in job()


def test_how_far_an_apply_is(kernel, live, waiting):
    waiting("apply", "--evict", "0")
    words = "running, of this round: 0 of 100.0M  0%  0/s\n"
    wait_until(lambda: live("report", "j1").stdout.endswith(words))


def test_wait_for_a_job(machine, run):
    add(machine, "j1", exit=0)
    add(machine, "j2", exit=3, state="partial")
    add(machine, "j3", state="running")
    assert run("wait", "j1").returncode == 0
    result = run("wait", "j1", "j2")
    assert result.returncode == 3 and result.stderr == "cgmigrate: wait: j2: partial\n"
    assert "nobody watched it to the end" in run("wait", "j3").stderr
    machine.write("proc/4194304/stat", "4194304 (a) S " + "0 " * 18 + "1 0\n")
    result = run("wait", "j3", "--timeout", "100ms")
    assert result.returncode == 6 and "j3: still moving" in result.stderr
    assert run("wait", "j4").returncode == 1


def test_only_the_last_hundred(kernel, live):
    for n in range(1, 121):
        add(kernel, f"j{n}", state="done" if n > 1 else "running")
    kernel.write("proc/4194304/stat", "4194304 (a) S " + "0 " * 18 + "1 0\n")
    live("move", "/web", "--to", "2-3")
    jobs = [job["job"] for job in live.json("report")["jobs"]]
    assert jobs[-1] == "j121" and len(jobs) == 100 and jobs[0] == "j22"


CPUS = {"nodes": "2", "configured": "0", "from": "0", "to": "1"}


@pytest.mark.parametrize(
    "key, owed", [("limits", {"rate": 5, "before": None}), ("cpus", CPUS)]
)
def test_and_those_that_owe_something(kernel, live, key, owed):
    """What a killed command left is put back later: something moves there yet."""
    kernel.engine("/db", pending=1, rate=5)
    for n in range(1, 121):
        more = {key: [{"cgroup": "/db", **owed}]} if n == 5 else {}
        add(kernel, f"j{n}", state="running", **more)
    live("move", "/web", "--to", "2-3")
    jobs = [job["job"] for job in live.json("report")["jobs"]]
    assert jobs[:2] == ["j5", "j22"] and len(jobs) == 101


def test_broken_records_are_passed_over(machine, run):
    add(machine, "j1")
    machine.write(f"{RUN}/j2.json", "{")
    machine.write(f"{RUN}/j3.json", "[]")
    machine.write(f"{RUN}/jx.json", "{}")
    assert [job["job"] for job in run.json("report")["jobs"]] == ["j1"]
    assert run("report", "j2").returncode == 1


PARSERS = {
    "--openmetrics": openmetrics_parser.text_string_to_metric_families,
    "--prometheus": prometheus_parser.text_string_to_metric_families,
}
both = pytest.mark.parametrize("option", PARSERS)


def parse_metrics(option, text):
    """{name and labels: value}; each has its type, as those see it who read that."""
    families = list(PARSERS[option](text))
    values = {}
    for family in families:
        assert family.type == ("gauge" if family.name in GAUGES else "counter")
        assert family.documentation.endswith(".") and family.samples, family
        for name, labels, value, *_ in family.samples:
            words = ",".join(f'{k}="{v}"' for k, v in labels.items())
            values[name + (f"{{{words}}}" if words else "")] = value
    assert len(families) == len({family.name for family in families})
    if option == "--openmetrics":
        units = {f.name: f.unit for f in families if f.unit}
        assert units.pop("cgmigrate_last_end_timestamp_seconds", "seconds") == "seconds"
        assert units == {"cgmigrate_bytes": "bytes", "cgmigrate_job_seconds": "seconds"}
    return values


GAUGES = ("cgmigrate_running_jobs", "cgmigrate_last_end_timestamp_seconds")


@both
def test_metrics(moved, live, tmp_path, option):
    live("move", "/web", "--to", "0-1")
    result = live("report", option)
    assert result.returncode == 0
    values = parse_metrics(option, result.stdout)
    assert values['cgmigrate_jobs_total{command="move",state="done"}'] == 2
    assert values['cgmigrate_bytes_total{reason="moved"}'] == 0
    assert values["cgmigrate_job_seconds_total"] >= 0
    assert values["cgmigrate_running_jobs"] == 0
    assert values["cgmigrate_last_end_timestamp_seconds"] > 1.7e9

    target = tmp_path / "cgmigrate.prom"
    target.write_text("old")
    result = live("report", option, "--file", target)
    assert result.returncode == 0 and result.stdout == ""
    assert parse_metrics(option, target.read_text()) == values
    assert [p.name for p in tmp_path.glob("*cgmigrate.prom*")] == ["cgmigrate.prom"]


@pytest.mark.parametrize("totals", [{"jobs": 5}, {"jobs": {"move": 5}}, {"usec": "x"}])
def test_totals_that_are_none(kernel, live, totals):
    """Whatever the file has, a job that ends can add to it."""
    kernel.write(f"{RUN}/totals.json", json.dumps(totals))
    live("move", "/web", "--to", "2-3")
    text = live("report", "--openmetrics").stdout
    assert 'cgmigrate_jobs_total{command="move",' in text


def test_record_with_other_types(kernel, run):
    """A word that is none is left out, and the name of a job is that of its file."""
    odd = {**record("../apply"), "arguments": ["move", 5, None, "/web"]}
    odd["result"]["notes"] = [5]
    kernel.write(f"{RUN}/j1.json", json.dumps(odd))
    result = run("report", "j1")
    assert result.returncode == 0 and "null" not in result.stdout + result.stderr
    assert result.stdout.startswith("j1: cgmigrate move /web\n")


@both
def test_metrics_without_jobs(run, option):
    text = run("report", option).stdout
    lines = text.splitlines(keepends=True)
    none = [line for line in lines if "cgmigrate_jobs" in line]
    assert len(none) == 2, "what there is, and of what type"
    values = parse_metrics(option, "".join(line for line in lines if line not in none))
    assert values["cgmigrate_running_jobs"] == 0
    assert list(PARSERS[option](text))[0].type == "counter"


def test_openmetrics_file_that_cannot_be_written(run):
    result = run("report", "--openmetrics", "--file", "/nope/x.prom")
    assert result.returncode == 1 and "/nope/x.prom: cannot write" in result.stderr


@pytest.mark.long
def test_memory_is_handled_right(kernel, valgrind):
    add(kernel, "j9")
    check = Command(kernel, valgrind, write=True)
    for args in (
        ["report"],
        ["report", "j9"],
        ["report", "j9", "-J"],
        ["report", "j8"],
        ["report", "--openmetrics"],
        ["report", "--prometheus"],
        ["move", "/web", "--to", "2-3"],
        ["move", "/web", "--to", "2-3", "--dry-run"],
        ["move", "/web", "--to", "0-1", "-J"],
    ):
        result = check(*args)
        assert result.returncode in (0, 1), (args, result.stderr)
