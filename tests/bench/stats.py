# SPDX-License-Identifier: GPL-2.0
"""Statistics of repeated runs and of samples."""

import random
import statistics


def median(values):
    """The middle of the runs."""
    return statistics.median(values)


def spread(values):
    """How far the runs lie apart, as a part of their median; None for a single one."""
    middle = statistics.median(values)
    if len(values) < 2 or not middle:
        return None
    return (max(values) - min(values)) / abs(middle)


def quantile(values, part):
    """The value that so large a part of all is not above, by the nearest rank."""
    ordered = sorted(values)
    rank = -(-len(ordered) * part // 1)
    return ordered[min(len(ordered), max(1, int(rank))) - 1]


def equal_counts(first, second, seed=1):
    """Both lists of samples with as many of each: the longer one is drawn from.

    A quantile close to 1, and a maximum all the more, grows with how often one looks.
    """
    count = min(len(first), len(second))
    chosen = random.Random(seed)
    return tuple(
        samples if len(samples) == count else chosen.sample(samples, count)
        for samples in (first, second)
    )


def overlapping(samples, window):
    """The durations of samples (start, duration) that touch a window of time."""
    first, last = window
    return [took for start, took in samples if start <= last and start + took >= first]


def curve(values, points=60):
    """What a picture of the distribution needs: [part of samples above, value]."""
    ordered = sorted(values)
    count = len(ordered)
    found = []
    for step in range(points + 1):
        above = (1 / count) ** (step / points)
        found.append([above, ordered[count - max(1, round(above * count))]])
    return found
