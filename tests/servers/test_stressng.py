# SPDX-License-Identifier: GPL-2.0
"""Tests of what stress-ng is let pass: that a node was taken away, and nothing else."""

import os
import sys
import types

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.path += [os.path.join(ROOT, *part) for part in (("tests", "kernel"), ("demo",))]
sys.path.append(os.path.join(ROOT, "tests", "bench"))

# The module lies beside this file, and uses the others.
import stressng  # noqa: E402

OTHERS = """\
stress-ng: metrc: [245] vm                  758     10.00      2.01      6.90        75.80          85.12
stress-ng: metrc: [245] userfaultfd        4340     10.00      0.23      2.46       434.00        1609.89
"""  # noqa: E501
NUMA = """\
stress-ng: metrc: [245] numa                  2     10.00      0.33      2.71         0.20           0.66
"""  # noqa: E501
REFUSED = """\
stress-ng: fail:  [249] numa: move_pages failed, errno=12 (Cannot allocate memory)
"""
BROKEN = "stress-ng: fail:  [250] vm: detected 8 bit errors while stressing memory\n"


def ended(phase, *rounds):
    """Complaints and facts of these rounds of a phase."""
    options = types.SimpleNamespace(disk="/disk", seed=1)
    server = stressng.StressNg(None, options)
    server.phase = phase
    server.child = types.SimpleNamespace(stop=lambda: None, result=lambda: list(rounds))
    facts = server.end().facts
    return server.complaints, facts


def test_good():
    complaints, facts = ended("moved", (0, NUMA + OTHERS), (0, NUMA + OTHERS))
    assert complaints == []
    assert facts["rounds"] == 2
    rates = {"numa": 0.2, "vm": 75.8, "userfaultfd": 434.0}
    assert facts["operations_a_second"] == rates


def test_a_node_taken_away():
    complaints, facts = ended("moved", (2, REFUSED + OTHERS))
    assert complaints == []
    assert facts["move_pages_ENOMEM"] == 1


@pytest.mark.parametrize(
    "phase, status, said",
    [
        ("idle", 2, REFUSED + OTHERS),
        ("moved", 2, REFUSED + BROKEN + NUMA + OTHERS),
        ("moved", 2, NUMA + OTHERS),
        ("moved", 3, REFUSED + OTHERS),
        ("moved", 0, OTHERS),
        ("moved", 2, REFUSED),
    ],
)
def test_not_let_pass(phase, status, said):
    complaints, _ = ended(phase, (status, said))
    assert complaints
