# SPDX-License-Identifier: GPL-2.0
"""Memory and files that the libcgroup plugin cannot have, at every place where it asks.

The tools are libcgroup's own, on a tree in the place of /sys/fs/cgroup. With the plugin
they have to do, say and return what they do without it, whatever fails in the plugin.
"""

import json
import shutil

import pytest

from inject import FOUND, Injector, files, named, ours, sanitizer
from plugin import NOBODY, PLUGIN, add_libcgroup

TOOLS = {
    "cgset": ["cgset", "-r", "cpuset.mems=2-3", "web"],
    "cgset-several": ["cgset", "-r", "cpuset.cpus=0", "-r", "cpuset.mems=2", "web"],
    "cgclassify": ["cgclassify", "-g", "cpuset:db", str(NOBODY)],
    "cgset-fails": ["cgset", "-r", "cpuset.mems=2-3", "nowhere"],
}

pytestmark = pytest.mark.skipif(
    not shutil.which("gcc") or not sanitizer() or not shutil.which("cgset"),
    reason="no AddressSanitizer, or no tools of libcgroup (Debian: cgroup-tools)",
)


@pytest.fixture
def system(kernel):
    return add_libcgroup(kernel)


@pytest.fixture
def injector(system, tmp_path_factory):
    """The tool with the plugin, or without."""
    scratch = tmp_path_factory.mktemp("inject")

    def one(tool, plugin=PLUGIN):
        return Injector(
            system,
            str(scratch / str(bool(plugin))),
            TOOLS[tool],
            filter(None, [plugin]),
            {
                "INJECT_ROOT": system.path,
                "CGMIGRATE_PLUGIN_REPORT": f"{scratch}/report",
            },
        )

    one.report = scratch / "report"
    return one


def outcome(injector, result):
    """What a tool did, said and returned."""
    tree = files(injector.tree.path)
    settings = {name: text.strip() for name, text in tree.items() if "sys/" in name}
    return result.returncode, result.stdout, result.stderr, settings


def records(file):
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    file.unlink()
    return [json.loads(line) for line in text.splitlines()]


def all_fail(injector, tool, kind, every):
    plain = injector(tool, plugin=None)
    wanted = outcome(plain, plain.run(plain.words))
    plain.restore()
    loaded = injector(tool)
    calls, result = loaded.calls(kind)
    assert outcome(loaded, result) == wanted
    assert len(records(injector.report)) == 1
    seen, wrong = set(), []
    for number, stack in calls:
        place = stack if every else ours(stack)
        if place in seen:
            continue
        seen.add(place)
        result, hit = loaded.fail(kind, number)
        assert hit == stack
        try:
            assert result.returncode != FOUND
            assert outcome(loaded, result) == wanted
            for record in records(injector.report):
                assert (record["returned"] == 0) == (result.returncode == 0)
        except AssertionError as error:
            wrong.append(f"{number} {named(stack)}\n{result}\n{error}\n")
    assert not wrong, f"{len(wrong)} of {len(seen)}\n" + "\n".join(wrong)
    return len(seen)


@pytest.mark.long
@pytest.mark.parametrize("tool", TOOLS)
def test_memory(injector, tool):
    assert all_fail(injector, tool, "memory", False) > 20
