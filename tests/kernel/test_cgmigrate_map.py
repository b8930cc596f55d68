# SPDX-License-Identifier: GPL-2.0
"""cgmigrate map and show --by vma on real memory: every page where it is."""

import json

import pytest

from ktest import machine
from ktest.command import cgmigrate, told
from ktest.machine import mib

pytestmark = [
    pytest.mark.defect("command"),
    pytest.mark.usefixtures("command"),
    pytest.mark.alike,
]


def test_map_is_the_memory(top, spawn, name):
    """Blocks of one node each, in the order of the stripes."""
    cpuset = top.mkdir("a", mems="0-2")
    load = spawn(cpuset)
    load.alloc("striped", mib(48), nodes=(0, 1, 2), stripe=mib(16))

    out = told("map", name(cpuset), "--pid", load.pid)

    assert out["exact"] is True and out["pid"] == load.pid
    mapped = machine.mapped(load.pid)
    for node, total in out["bytes"].items():
        assert abs(total - mapped.get(int(node), 0) * machine.PAGE) <= 1 << 20
    wanted = {
        node: pages * machine.PAGE for node, pages in load.where("striped").items()
    }
    vmas = [v for v in out["vmas"] if v["placement"]["total"] >= 48 << 20]
    assert len(vmas) == 1
    nodes = {int(n): b for n, b in vmas[0]["placement"]["nodes"].items() if b}
    assert nodes == wanted
    first, count = vmas[0]["cell"], (48 << 20) // out["cell_bytes"]
    order = [max(range(4), key=cell.__getitem__) for cell in out["cells"]]
    order = order[first + 1 : first + count - 1]
    assert [n for i, n in enumerate(order) if not i or order[i - 1] != n] == [0, 1, 2]


@pytest.mark.long
def test_map_before_and_after(top, spawn, name, tmp_path):
    cpuset = top.mkdir("a", mems="0-1")
    load = spawn(cpuset)
    load.alloc("anon", mib(16), nodes=(0, 1), stripe=mib(8))
    file = tmp_path / "before.json"
    file.write_text(cgmigrate("map", load.pid, "-J").stdout)
    told("move", name(cpuset), "--to", "2-3")
    out = told("map", load.pid, "--diff", file)
    assert out["before"]["bytes"]["0"] >= 8 << 20 and out["bytes"]["0"] < 4 << 20
    assert out["bytes"]["2"] >= 8 << 20
    picture = tmp_path / "move.png"
    assert cgmigrate("map", load.pid, "--diff", file, "-o", picture).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "after" in cgmigrate("map", load.pid, "--diff", file).stdout


@pytest.mark.long
def test_huge_pages_are_marked(top, spawn, name):
    cpuset = top.mkdir("a", mems="0")
    pool = f"{machine.NODE}/node0/hugepages/hugepages-2048kB/nr_hugepages"
    try:
        machine.write(pool, "4")
        load = spawn(cpuset)
        load.alloc("huge", mib(8), kind="hugetlb", nodes=0)
        rows = json.loads(cgmigrate("show", load.pid, "--by", "vma", "-J").stdout)
        vmas = rows["targets"][0]["vmas"]
        (huge,) = [v for v in vmas if v["kind"] == "hugetlb"]
        assert huge["page_size"] == 2 << 20
        assert huge["placement"]["nodes"]["0"] == 8 << 20
        out = told("map", load.pid)
        assert out["bytes"]["0"] >= 8 << 20
        load.close()
    finally:
        machine.write(pool, "0")
