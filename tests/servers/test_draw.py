# SPDX-License-Identifier: GPL-2.0
"""Tests of the moves: the seed says everything, nobody moves to where he is."""

import collections
import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# The module lies beside this file.
import draw  # noqa: E402

NAMES = ("a", "b", "c")
NODES = (0, 1, 2, 3)


def moves(seed, count, names=NAMES):
    """So many."""
    found = draw.Draw(seed, names, NODES)
    return [found.next() for _ in range(count)]


def test_the_seed_says_everything():
    assert moves(5, 100) == moves(5, 100)
    assert moves(5, 100) != moves(6, 100)


@pytest.mark.parametrize("seed", range(5))
def test_every_move_changes_something(seed):
    """Counted anew, from what the moves say."""
    where = {name: NODES for name in NAMES}
    for move in moves(seed, 300):
        assert draw.PAUSE[0] <= move.pause <= draw.PAUSE[1]
        if move.kind == "exchange":
            assert where[move.name] != where[move.other]
            one, other = where[move.name], where[move.other]
            where[move.name], where[move.other] = other, one
        else:
            assert move.nodes and set(move.nodes) < set(NODES)
            assert move.nodes != where[move.name]
            where[move.name] = move.nodes


def test_what_is_drawn_is_where_they_are():
    found = draw.Draw(9, NAMES, NODES)
    for _ in range(300):
        before = dict(found.where)
        move = found.next()
        changed = {name for name in NAMES if found.where[name] != before[name]}
        assert changed == {move.name, move.other} - {""}


def test_every_server_meets_every_kind():
    met = collections.Counter((m.kind, m.name) for m in moves(1, 400))
    met.update((m.kind, m.other) for m in moves(1, 400) if m.other)
    assert set(met) == set(itertools.product(draw.KINDS, NAMES))


def test_one_server_has_nobody_to_change_places_with():
    assert "exchange" not in {move.kind for move in moves(2, 100, ["alone"])}


def test_nobody_moves_twice_before_everybody_did():
    alone = [move.name for move in moves(7, 200) if move.kind != "exchange"]
    rounds = [alone[at : at + len(NAMES)] for at in range(0, len(alone), len(NAMES))]
    assert all(len(set(names)) == len(names) for names in rounds)
