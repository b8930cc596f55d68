# SPDX-License-Identifier: GPL-2.0
"""Which of several parameters `make check` has time for."""

import pytest


def later(*values):
    """Parameters that say little that others do not: for check-all."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]
