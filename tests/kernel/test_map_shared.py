# SPDX-License-Identifier: GPL-2.0
"""Changes in a row, and memory that several processes of the cpuset share.

One process has come to a page in time for the first change, another comes to it only
when the second was made. For both of them it goes where the two in a row put it.
"""

import pytest

from ktest.cpusets import wait_until
from ktest.machine import mib
from ktest.marks import later
from ktest.placement import misplaced

SHARED = mib(2)
MIB = 1 << 20
MASKS = [
    pytest.param([[0, 1], [1, 2], [2, 3]], marks=pytest.mark.debug),
    pytest.param([[0, 1], [1, 2], [0, 3]], marks=pytest.mark.long),
    pytest.param([[0, 1], [1, 2], [2, 3], [1, 3]], marks=pytest.mark.long),
]


def text(masks):
    return "->".join("".join(map(str, mask)) for mask in masks)


def assert_placed(load, name, was, masks):
    wrong = misplaced(was, load.pages(name), masks)
    assert not wrong, f"{name}: {len(wrong)} of {len(was)} pages, {wrong[:5]}"


@pytest.mark.core
@pytest.mark.parametrize("kind", ["shared", *later("cow", "anon")])
@pytest.mark.parametrize("masks", MASKS, ids=text)
def test_one_has_moved_what_another_has_not_seen(top, spawn, kind, masks):
    cpuset = top.mkdir("a", mems=masks[0])
    first = spawn(cpuset)
    high = first.alloc("memory", SHARED, kind=kind, nodes=masks[0], stripe=64)
    second = first.fork()
    second("touch", "memory")
    # Lower addresses come first: so the second is late.
    assert second.alloc("own", mib(12), nodes=masks[0], stripe=64) < high
    before = first.pages("memory")
    own = second.pages("own")

    cpuset.write("max", 4 * MIB)
    cpuset.set_mems(masks[1], nonblock=True)
    wait_until(
        lambda: not misplaced(before, first.pages("memory"), masks[:2]),
        "the first to have moved what they share",
    )
    assert misplaced(own, second.pages("own"), masks[:2])
    # Now the first is late.
    assert first.alloc("more", mib(32), nodes=masks[1], stripe=64) < high
    more = first.pages("more")
    cpuset.write("max", 32 * MIB)
    for mask in masks[2:]:
        cpuset.set_mems(mask, nonblock=True)
    wait_until(
        lambda: not misplaced(own, second.pages("own"), masks),
        "the second to arrive",
    )
    cpuset.write("max", "max")
    cpuset.wait_idle()

    assert_placed(first, "memory", before, masks)
    assert_placed(second, "memory", before, masks)
    assert_placed(second, "own", own, masks)
    assert_placed(first, "more", more, masks[1:])
    first.verify()
    second.verify()
