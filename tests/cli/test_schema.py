# SPDX-License-Identifier: GPL-2.0
"""The schema of what --json writes. All other tests validate what they see, too."""

import copy

import jsonschema
import pytest

from conftest import VALIDATOR, Command
from moving import moves_end


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize(
    "args",
    [
        ["show"],
        ["show", "/web", "--by", "vma"],
        ["show", "--nodes"],
        ["map", "/web"],
        ["features"],
        ["wait", "/web"],
        ["wait", "--all"],
        ["report"],
        ["limit", "/web"],
        ["cancel", "--all"],
        ["plan", "--swap", "/web", "/db"],
        ["move", "/web", "--to", "2-3", "--dry-run"],
        ["settle", "/db", "--dry-run"],
        ["apply", "--evict", "0", "--dry-run"],
        ["bench", "--dry-run"],
    ],
    ids=" ".join,
)
def test_every_verb(run, args):
    """And a member less, one more, or one of another type, is seen."""
    out = run.json(*args)
    assert not VALIDATOR.is_valid({**out, "unheard_of": 1})
    for name in VALIDATOR.schema["required"]:
        less = copy.deepcopy(out)
        del less[name]
        assert not VALIDATOR.is_valid(less)
    for name, value in out.items():
        wrong = copy.deepcopy(out)
        wrong[name] = 7.5 if not isinstance(value, float) else "x"
        known = name in VALIDATOR.schema["properties"] or name != "cell_bytes"
        assert not VALIDATOR.is_valid(wrong) or not known, name


@pytest.mark.parametrize(
    "args, code",
    [
        (["show", "/nope"], 1),
        (["show", "--frob"], 2),
        (["move", "/web", "--to", "9"], 4),
        (["plan", "--swap", "/web", "/nope"], 1),
        (["undo", "x"], 2),
        (["report", "j7"], 1),
    ],
    ids=str,
)
def test_errors_too(run, args, code):
    out = run.json(*args, code=code)
    assert out["error"]["message"] and out["exit"] == code and out["changed"] is False
    assert not VALIDATOR.is_valid({**out, "unheard_of": 1})


def test_whatever_is_done(live):
    live.json("move", "/web", "--to", "1")
    live.json("apply", "--swap", "/web", "/db")
    live.json("undo")
    live.json("pause", "/web")
    assert len(live.json("report")["jobs"]) == 3


def test_no_verb_known(machine):
    assert Command(machine).json("frob", code=2)["command"] == ""


PLACE = {"cgroup": "/a", "nodes": "2-3", "bytes": {"2": 4096, "3": 0}, "stray": 0}
PLUGIN_RECORD = {
    "cgmigrate": 1,
    "time": "2026-11-29T06:11:47Z",
    "tool": "cgclassify",
    "pid": 2820,
    "action": "process",
    "function": "cgroup_change_cgroup_path",
    "returned": 0,
    "backend": "stock-v2",
    "cpuset": 2,
    "process": 2800,
    "group": "a",
    "before": {"cgroup": "/b", "nodes": "0-1"},
    "after": PLACE,
    "moves": [
        {
            "purpose": "attach",
            "backend": "stock-v2",
            "cgroup": "/a",
            "pids": [2800],
            "from": "0-1",
            "to": "2-3",
            "bytes": 4096,
            "state": "done",
            "totals": {"moved": 4096},
            "elapsed_usec": 900,
            "max_batch_usec": 80,
        }
    ],
    "notes": [],
    "elapsed_usec": 1000,
}


def test_a_record_of_the_plugin():
    """Those it writes are compared with this where it runs, in tests/kernel."""
    parts = VALIDATOR.schema["$defs"]
    schema = {"$ref": "#/$defs/plugin_record", "$defs": parts}
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(PLUGIN_RECORD)
    for name in {*parts["plugin_record"]["required"], "process"}:
        less = {key: value for key, value in PLUGIN_RECORD.items() if key != name}
        assert not validator.is_valid(less), name
    for name in parts["plugin_record"]["properties"]:
        assert not validator.is_valid({**PLUGIN_RECORD, name: 7.5}), name
    (move,) = PLUGIN_RECORD["moves"]
    for wrong in ({"state": "sent"}, {"totals": {"lost": 1}}, {"from": "x"}):
        assert not validator.is_valid({**PLUGIN_RECORD, "moves": [{**move, **wrong}]})
    half = {"cgroup": "/a", "nodes": "2-3", "stray": 0}
    assert not validator.is_valid({**PLUGIN_RECORD, "after": half})


def test_what_a_running_job_will_put_back(live, kernel):
    kernel.engine("/web", pending=1)
    out = live.json("move", "/web", "--to", "2-3", "--no-wait", "--rate", "5M")
    (limit,) = out["limits"]
    assert limit["cgroup"] == "/web" and limit["before"] is None
    moves_end(kernel)
    assert live.json("wait", out["job"])["state"] == "done"
    (job,) = live.json("report", out["job"])["jobs"]
    assert job["limits"] == out["limits"]
