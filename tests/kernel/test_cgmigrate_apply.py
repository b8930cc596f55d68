# SPDX-License-Identifier: GPL-2.0
"""cgmigrate plan, apply and undo on real memory."""

import json

import pytest

from ktest.command import cgmigrate, start, told
from ktest.cpusets import wait_until
from ktest.load import nearly_full
from ktest.machine import mib

pytestmark = [pytest.mark.defect("command"), pytest.mark.usefixtures("command")]


def job(top, spawn, label, node, size=24):
    """A cpuset on one node with a verifying load in it."""
    cpuset = top.mkdir(label, mems=str(node))
    load = spawn(cpuset)
    load.alloc("anon", mib(size), nodes=node)
    return cpuset, load


def where(load):
    load.verify()
    return set(load.where("anon"))


@pytest.fixture
def pair(top, spawn):
    """Jobs on nodes 0 and 1."""
    return job(top, spawn, "a", 0), job(top, spawn, "b", 1)


def test_swap_and_undo(pair, name):
    (a, load_a), (b, load_b) = pair
    out = told("apply", "--swap", name(a), name(b))
    assert out["state"] == "done" and out["result"]["totals"]["moved"] >= 48 << 20
    assert (a.mems(), b.mems()) == ([1], [0])
    assert (where(load_a), where(load_b)) == ({1}, {0})

    out = told("undo")
    assert out["state"] == "done"
    assert (a.mems(), b.mems()) == ([0], [1])
    assert (where(load_a), where(load_b)) == ({0}, {1})
    assert told("undo")["state"] == "unchanged"


@pytest.mark.alike
def test_full_nodes_are_exchanged(pair, spawn, name):
    """Neither job fits beside the other."""
    (a, load_a), (b, load_b) = pair
    with nearly_full(spawn, 0, 1, leave=mib(16)):
        out = told("plan", "--swap", name(a), name(b))
        assert len({step["round"] for step in out["steps"]}) < len(out["steps"]) or any(
            step["step"] == "bounce" for step in out["steps"]
        )
        out = told("apply", "--swap", name(a), name(b))
        assert out["state"] == "done"
        assert (where(load_a), where(load_b)) == ({1}, {0})


@pytest.fixture
def ring(top, spawn):
    """Jobs on nodes 0, 1 and 2."""
    return [job(top, spawn, label, node) for node, label in enumerate("abc")]


def write_targets(folder, wanted):
    """A file for plan and apply: {cgroup: nodes}."""
    file = folder / "spec.json"
    targets = [{"cgroup": path, "to": nodes} for path, nodes in wanted.items()]
    file.write_text(json.dumps({"targets": targets}))
    return file


@pytest.mark.long
def test_a_ring_of_full_nodes(ring, spawn, name, tmp_path):
    """Each can only go where the next one leaves."""
    wanted = {name(c): str((node + 1) % 3) for node, (c, _) in enumerate(ring)}
    file = write_targets(tmp_path, wanted)
    with nearly_full(spawn, 0, 1, 2, leave=mib(16)):
        out = told("apply", file)
    assert out["state"] == "done"
    assert [step["round"] for step in out["steps"]] == [1, 1, 1]
    assert [c.mems() for c, _ in ring] == [[1], [2], [0]]
    assert [where(load) for _, load in ring] == [{1}, {2}, {0}]


@pytest.fixture
def killed(pair, name, engine):
    """A slow apply that exchanges the pair was killed in the middle."""
    (a, load_a), (b, load_b) = pair
    process = start("apply", "--swap", name(a), name(b), "--rate", "8M")
    wait_until(
        lambda: 1 in load_a.where("anon") or 0 in load_b.where("anon"),
        "the first pages to move",
    )
    process.kill()
    process.communicate()
    assert (a.mems(), b.mems()) not in (([0], [1]), ([1], [0]))
    assert (where(load_a), where(load_b)) != ({1}, {0})
    if engine:
        assert str(8 << 20) in (a.read("max"), b.read("max"))
    return pair


def assert_no_limit(pair, engine):
    for cpuset, _ in pair if engine else ():
        assert cpuset.read("max") == "max"


def test_killed_and_continued(killed, engine):
    (a, load_a), (b, load_b) = killed
    assert told("apply", "--continue")["state"] == "done"
    assert (a.mems(), b.mems()) == ([1], [0])
    assert (where(load_a), where(load_b)) == ({1}, {0})
    assert_no_limit(killed, engine)
    assert told("apply", "--continue")["state"] == "unchanged"


@pytest.mark.long
def test_killed_and_undone(killed, engine):
    (a, load_a), (b, load_b) = killed
    assert told("undo")["state"] == "done"
    assert (a.mems(), b.mems()) == ([0], [1])
    assert (where(load_a), where(load_b)) == ({0}, {1})
    assert_no_limit(killed, engine)
    assert told("undo")["state"] == "unchanged"


@pytest.mark.v2only("rights are the same on v1")
def test_a_refused_plan_is_not_written(pair, name, tmp_path):
    """It could be taken for one that can be applied."""
    (a, _), (b, _) = pair
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o055)
    plans = tmp_path / "plans"
    plans.mkdir()
    plans.chmod(0o777)
    words = ["plan", "--swap", name(a), name(b), "-o", plans / "plan.json"]
    nobody = cgmigrate(*words, user=65534, group=65534, extra_groups=[])
    assert nobody.returncode == 4 and "no permission" in nobody.stderr, nobody
    assert not list(plans.iterdir())
    assert cgmigrate(*words).returncode == 0
    assert json.loads((plans / "plan.json").read_text())["state"] == "planned"


@pytest.mark.long
def test_evict(top, spawn, name):
    """Those with the node get others, and back."""
    a, load_a = job(top, spawn, "a", 0, 8)
    b = top.mkdir("b", mems="0-1")
    load_b = spawn(b)
    load_b.alloc("anon", mib(8), nodes=(0, 1))
    c, load_c = job(top, spawn, "c", 2, 8)

    out = told("apply", "--evict", "0")

    assert out["state"] == "done"
    assert name(c) not in [target["cgroup"] for target in out["targets"]]
    assert 0 not in a.mems() and (b.mems(), c.mems()) == ([1], [2])
    assert where(load_a) == set(a.mems())
    assert (where(load_b), where(load_c)) == ({1}, {2})
    assert told("undo")["state"] == "done"
    assert (a.mems(), b.mems(), c.mems()) == ([0], [0, 1], [2])
    assert where(load_a) == {0} and where(load_b) <= {0, 1} and where(load_c) == {2}


CGCONFIG = """mount {{ cpuset = /sys/fs/cgroup; }}
group {a} {{
    cpu {{ cpu.weight = "100"; }}
    cpuset {{ cpuset.mems = "2"; }}
}}
group {b} {{ cpuset {{ cpuset.mems = 3; }} }}
"""


@pytest.mark.long
def test_a_file_of_libcgroup(pair, name, tmp_path):
    (a, load_a), (b, load_b) = pair
    file = tmp_path / "cgconfig.conf"
    file.write_text(CGCONFIG.format(a=name(a).lstrip("/"), b=name(b).lstrip("/")))
    assert told("apply", file)["state"] == "done"
    assert (a.mems(), b.mems()) == ([2], [3])
    assert (where(load_a), where(load_b)) == ({2}, {3})


@pytest.mark.long
def test_a_tree_moves_in_order(top, spawn, name, tmp_path):
    parent = top.mkdir("p", mems="0-1")
    jobs = [job(parent, spawn, f"c{n}", n, 8) for n in (0, 1)]
    wanted = {name(c): str(n + 2) for n, (c, _) in enumerate(jobs)}

    out = told("apply", write_targets(tmp_path, {name(parent): "2-3", **wanted}))

    kinds = [step["step"] for step in out["steps"]]
    assert kinds == ["widen", "move", "move", "narrow"]
    assert parent.mems() == [2, 3]
    assert [where(load) for _, load in jobs] == [{2}, {3}]
    told("undo")
    assert parent.mems() == [0, 1]
    assert [where(load) for _, load in jobs] == [{0}, {1}]


@pytest.mark.long
def test_removed_meanwhile(top, spawn, name):
    """It keeps nobody from the rest, nor from going back later."""
    # The larger one is first.
    (a, load_a), (b, load_b) = job(top, spawn, "a", 0), job(top, spawn, "b", 1, 8)
    process = start("apply", "--swap", name(a), name(b), "--rate", "4M")
    wait_until(lambda: a.mems() != [0], "the first round")
    load_b.close()
    wait_until(lambda: not b.procs(), "the other job to be gone")
    b.rmdir()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert f"{name(b)}: was removed, and is left out" in err, out
    assert a.mems() == [1] and where(load_a) == {1}

    back = cgmigrate("undo")
    assert back.returncode == 0, back
    assert f"{name(b)}: was removed since, and is left out" in back.stderr
    assert a.mems() == [0] and where(load_a) == {0}
