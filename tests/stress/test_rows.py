# SPDX-License-Identifier: GPL-2.0
"""Tests of the rows: every pair meets, the seed says everything."""

import collections
import itertools
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# The modules lie beside this file.
import rows  # noqa: E402
from witness import NUMASTRESS  # noqa: E402

SEEDS = range(5)


@pytest.fixture(scope="module", name="kinds")
def real_kinds():
    """Those of the program."""
    done = subprocess.run(
        [NUMASTRESS, "kinds"], stdout=subprocess.PIPE, text=True, check=True
    )
    return rows.parse_kinds(done.stdout)


def first(seed, kinds, count):
    """So many rows."""
    return list(itertools.islice(rows.rows(seed, kinds), count))


def test_operations_are_those_of_the_program(kinds):
    known = {*rows.ALWAYS}
    for table in (rows.MOVER_OPS, rows.DISTURBER_OPS):
        known.update(op for ops in table.values() for op in ops)
    assert known == set().union(*kinds.values())


def test_pairs(kinds):
    pairs = rows.Table(kinds).pairs()
    assert frozenset((("kind", "anon"), ("disturber", "fork"))) in pairs
    assert frozenset((("mover", "mems"), ("disturber", "compact"))) in pairs
    assert frozenset((("disturber", "kill"), ("disturber", "cpus"))) in pairs
    assert frozenset((("thp", "never"), ("swap", "disk"))) in pairs
    # Nobody truncates memory that has no file, and a setting has one value.
    assert frozenset((("kind", "anon"), ("disturber", "truncate"))) not in pairs
    assert frozenset((("thp", "never"), ("thp", "always"))) not in pairs


@pytest.mark.parametrize("seed", SEEDS)
def test_every_pair_meets(kinds, seed):
    """Counted anew, from what a row says runs in it."""
    met = collections.Counter()
    found = rows.rows_for_all(seed, kinds)
    for row in found:
        met.update(map(frozenset, itertools.combinations(row.items(), 2)))
    missing = rows.Table(kinds).pairs() - set(met)
    assert not missing
    assert len(found) <= 32


def test_a_pair_that_never_meets_would_be_seen(kinds):
    """The last row covers something that those before it do not."""
    table = rows.Table(kinds)
    for seed in SEEDS:
        found = rows.rows_for_all(seed, kinds)
        covered = set().union(*(table.covers(row) for row in found[:-1]))
        assert table.pairs() - covered


@pytest.mark.parametrize("seed", SEEDS)
def test_shape_of_a_row(kinds, seed):
    for row in first(seed, kinds, 40):
        assert len(set(row.kinds)) == len(row.kinds) == rows.KINDS
        assert len(set(row.movers)) == len(row.movers) == rows.MOVERS
        assert len(set(row.disturbers)) == len(row.disturbers) == rows.DISTURBERS
        assert set(rows.MEMS) & set(row.movers)
        assert list(row.settings) == list(rows.SETTINGS)
        for name, value in row.settings.items():
            assert value in rows.SETTINGS[name]


def test_nothing_in_a_row_is_idle(kinds):
    """What is an operation of owners, an owner of the row can do."""
    for row in first(7, kinds, 40):
        possible = set().union(*(kinds[kind] for kind in row.kinds))
        for name in row.movers + row.disturbers:
            ops = {**rows.MOVER_OPS, **rows.DISTURBER_OPS}[name]
            assert not ops or possible & set(ops), name
            assert ops or name in row.roles()
            assert set(ops) <= set(row.ops())


def test_the_seed_says_everything(kinds):
    assert first(3, kinds, 30) == first(3, kinds, 30)
    assert first(3, kinds, 5) != first(4, kinds, 5)


def test_rows_do_not_end(kinds):
    """When all was covered it begins anew, with other rows."""
    found = first(5, kinds, 80)
    assert len({row.seed for row in found}) == 80
    assert len({row.text() for row in found}) > 70
