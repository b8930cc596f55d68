# SPDX-License-Identifier: GPL-2.0
"""Memory and files that cannot be had, at every place where the command asks for them.

Whatever fails: no crash, nothing lost or used that was freed, an error that is told,
and nothing half-done that the command itself does not get out of. What ends well has
told, and written, the same as if nothing had failed.
"""

import json
import os
import shutil

import pytest

from conftest import BUILD, Command
from inject import FOUND, SHIM, Injector, command, files, named, ours, same, sanitizer

pytestmark = pytest.mark.skipif(
    not shutil.which("gcc") or not sanitizer(), reason="no AddressSanitizer"
)

READ = {
    "show": ["show"],
    "show-json": ["show", "-J"],
    "show-process": ["show", "--by", "process", "/web"],
    "show-vma": ["show", "--by", "vma", "/web", "-J"],
    "show-kind": ["show", "--by", "kind"],
    "map": ["map", "/db"],
    "map-json": ["map", "/db", "-J"],
    "plan": ["plan", "--swap", "/web", "/db"],
    "plan-evict": ["plan", "--evict", "0", "-J"],
    "features": ["features"],
    "wait": ["wait", "/web"],
}
CHANGE = {
    "move": ["move", "/web", "--to", "2-3"],
    "move-json": ["move", "/web", "--to", "2-3", "-J"],
    "move-map": ["move", "/web", "--to", "2-3", "--map", "0:3,1:2", "-J"],
    "move-rate": ["move", "/web", "--to", "2-3", "--rate", "50M"],
    "apply": ["apply", "--swap", "/web", "/db"],
    "apply-evict": ["apply", "--evict", "0", "-J"],
    "settle": ["settle", "/db"],
    "pause": ["pause", "/web"],
    "cancel": ["cancel", "/web"],
}
# What reads and what changes something, and places there are at least, of 40 and 123
# that were seen; the others are for when there is time.
QUICK = {"show": 30, "move-json": 90}
MEMS = "sys/fs/cgroup/{}/cpuset.mems"
GROUPS = ("web", "db")


def operations(names):
    """Quick ones, and the rest."""
    return [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.long)
        for name in names
    ]


class Judge:
    """What one run with a failure is held to."""

    def __init__(self, injector, name, result):
        self.injector = injector
        self.name = name
        self.before = files(injector.saved)
        self.after = files(injector.tree.path)
        self.result = result

    def told(self, result):
        """Of a failure somebody has to be told."""
        if result.stderr:
            return True
        out = json.loads(result.stdout)
        return bool(out.get("error") or out["result"]["notes"])

    def check(self, result):
        """Of the tree as it is."""
        now = files(self.injector.tree.path)
        assert "Sanitizer" not in result.stderr and result.returncode != FOUND
        assert 0 <= result.returncode <= 7
        assert not [name for name in now if os.path.basename(name)[0] == "."]
        if result.returncode == 0:
            assert same(result.stdout) == same(self.result.stdout)
            assert same(result.stderr) == same(self.result.stderr)
            assert {k: same(v) for k, v in now.items()} == {
                k: same(v) for k, v in self.after.items()
            }
            return
        assert self.told(result)
        if result.returncode == 4:
            kernel = {k: v for k, v in now.items() if k.startswith("sys/")}
            assert kernel == {k: self.before[k] for k in kernel}


def go_on(injector, judge):
    """After a failure the command ends well, or says how to go on and does so then."""
    live = Command(injector.tree, write=True)
    result = live(*injector.words[1:2], *injector.words[5:])
    if "apply --continue" in result.stderr:
        result = live("apply", "--continue")
    assert result.returncode == 0, result
    for group in GROUPS:
        mems = injector.tree.read(MEMS.format(group)).strip()
        assert mems == judge.after[MEMS.format(group)].strip()


def all_fail(injector, name, kind, every):
    """Fail every call of a kind, or one at each place in our code. Returns how many."""
    calls, result = injector.calls(kind)
    assert result.returncode == 0, result
    judge = Judge(injector, name, result)
    seen, wrong = set(), []
    for number, stack in calls:
        place = stack if every else ours(stack)
        if place in seen:
            continue
        seen.add(place)
        result, hit = injector.fail(kind, number)
        assert hit == stack
        try:
            judge.check(result)
            if name in CHANGE and result.returncode:
                go_on(injector, judge)
        except AssertionError as error:
            wrong.append(f"{number} {named(stack)}\n{result}\n{error}\n")
    assert not wrong, f"{len(wrong)} of {len(seen)}\n" + "\n".join(wrong)
    return len(seen)


@pytest.fixture
def injector(kernel, tmp_path_factory):
    return lambda args: Injector(
        kernel, str(tmp_path_factory.mktemp("inject")), command(kernel, *args)
    )


def test_a_call_fails(injector):
    """If it did not, the other tests would show nothing."""
    assert os.access(SHIM, os.R_OK), f"{BUILD}: make tests"
    wanted = {"memory": "Cannot allocate memory", "open": "Too many open files"}
    for kind, words in wanted.items():
        show = injector(["show"])
        calls, _ = show.calls(kind)
        results = [show.fail(kind, number)[0] for number, _ in calls[:6]]
        told = [result for result in results if result.returncode == 1]
        assert told and words in told[-1].stderr, results


@pytest.mark.parametrize("name", operations({**READ, **CHANGE}))
def test_memory(injector, name):
    places = all_fail(injector({**READ, **CHANGE}[name]), name, "memory", False)
    assert places > QUICK.get(name, 3)


@pytest.mark.parametrize("kind, least", [("open", 6), ("read", 2)])
def test_files(injector, kind, least):
    assert all_fail(injector(READ["show"]), "show", kind, False) >= least
