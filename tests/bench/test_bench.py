# SPDX-License-Identifier: GPL-2.0
"""Tests of what makes figures out of runs: statistics, what is reached, the table."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# The modules lie beside this file.
import curves  # noqa: E402
import figures  # noqa: E402
import report  # noqa: E402
import stats  # noqa: E402

KEYS = {"name", "unit", "stock", "engine", "ratio", "runs", "better"}
NAMES = """
    insn_per_page_anon4k insn_per_page_mthp64k time_per_page_anon4k insn_per_page_file4k
    thp_over_copy mkdir_stall_1g mmap_stall_growth mmap_stall_1g touch_stall_1g
    threads_192 sets_4to4 possible_nodes workers_2 procs_4 isolated_peak
    alloc_stall_others rate_accuracy user_move_stall
""".split()


def measured(name, stock, engine, part=""):
    """As a guest on each kernel would report one figure."""
    return {
        "stock": {name: {"runs": {part: stock}}},
        "engine": {name: {"runs": {part: engine}}},
    }


def entry(values, name):
    found = {entry["name"]: entry for entry in report.results(values)}
    return found[name]


def test_every_figure_has_its_name():
    assert sorted(figures.NAMES) == sorted(NAMES)
    for figure in figures.FIGURES:
        assert figure.base in NAMES
        assert figure.guest in figures.GUESTS
        assert figure.better in ("lower", "higher")
        assert figure.part or figure.reach, figure.name


def test_every_figure_is_measured_in_one_guest_only():
    for name in NAMES:
        assert len({f.guest for f in figures.FIGURES if f.base == name}) == 1


def test_guests_of_names():
    assert figures.guests_of(["thp_over_copy"]) == ["count"]
    assert figures.guests_of(["possible_nodes"]) == ["count4", "count64"]
    assert figures.guests_of(NAMES) == list(figures.GUESTS)
    assert figures.names_in("count4", NAMES) == ["possible_nodes"]
    assert figures.names_in("count4", ["procs_4"]) == []


def test_seconds_grow_with_what_is_asked():
    every = list(figures.GUESTS)
    quick = figures.seconds(every, 2, True, 2)
    assert 0 < figures.seconds(["count"], 2, True, 2) < quick
    assert quick < figures.seconds(every, 2, False, 2)
    assert quick < figures.seconds(every, 2, True, 1)


def test_median_and_spread():
    assert stats.median([3, 1, 2]) == 2
    assert stats.spread([3, 1, 2]) == 1
    assert stats.spread([7]) is None
    assert stats.spread([0, 0]) is None


@pytest.mark.parametrize(
    "part, expected", [(0.5, 500), (0.99, 990), (0.999, 999), (1, 1000), (0, 1)]
)
def test_quantile(part, expected):
    assert stats.quantile(range(1000, 0, -1), part) == expected


def test_quantile_of_few():
    assert stats.quantile([5], 0.999) == 5
    assert stats.quantile([1, 2], 0.5) == 1
    assert stats.quantile([1, 2], 0.51) == 2


def test_equal_counts():
    few, many = list(range(10)), list(range(1000))
    first, second = stats.equal_counts(few, many)
    assert first == few
    assert len(second) == 10 and set(second) <= set(many)
    assert stats.equal_counts(few, many) == (first, second)
    assert stats.equal_counts(many, few)[1] == few


def test_overlapping():
    samples = [(0, 4), (0, 6), (7, 1), (9, 100), (11, 1)]
    assert stats.overlapping(samples, (5, 10)) == [6, 1, 100]


def test_curve_ends_at_the_maximum():
    found = stats.curve([1, 5, 2, 4, 3])
    assert found[0][0] == 1
    assert found[-1][1] == 5
    assert [value for _, value in found] == sorted(value for _, value in found)


def test_ratio_is_engine_over_stock():
    found = entry(
        measured("insn_per_page_anon4k", [4000, 4400, 4200], [900, 1000, 1100]),
        "insn_per_page_anon4k",
    )
    assert KEYS <= set(found)
    assert (found["stock"], found["engine"], found["runs"]) == (4200, 1000, 3)
    assert found["ratio"] == pytest.approx(1000 / 4200)
    assert found["reached"] is True
    assert found["spread"]["engine"] == pytest.approx(0.2)


def test_not_reached():
    values = measured("insn_per_page_anon4k", [4000], [1200])
    assert entry(values, "insn_per_page_anon4k")["reached"] is False


def test_one_kernel_alone_reaches_no_ratio():
    values = measured("insn_per_page_anon4k", [], [1200])
    found = entry(values, "insn_per_page_anon4k")
    assert found["stock"] is None and found["ratio"] is None
    assert found["reached"] is None


def test_figure_of_one_kernel_is_judged_by_itself():
    values = measured("threads_192", [2.5], [1.05])
    assert entry(values, "threads_192")["reached"] is True
    values = measured("user_move_stall", [0.3], [])
    assert entry(values, "user_move_stall")["reached"] is False


@pytest.mark.parametrize(
    "engine, reached", [([1.0], True), ([0.89], False), ([1.11], False)]
)
def test_between(engine, reached):
    values = measured("rate_accuracy", [], engine)
    assert entry(values, "rate_accuracy")["reached"] is reached


@pytest.mark.parametrize(
    "longest, empty, idle, reached",
    [
        (3.5, 1, 0, True),  # 1.5 times and 2 ms
        (3.6, 1, 0, False),
        (3.6, 1, 1.8, True),  # twice the idle maximum
        (3.6, 1, 1.7, False),
    ],
)
def test_mkdir_stall(longest, empty, idle, reached):
    runs = {"": [longest / empty], "longest": [longest], "empty": [empty]}
    runs["idle"] = [idle]
    values = {"stock": {}, "engine": {"mkdir_stall_1g": {"runs": runs}}}
    assert entry(values, "mkdir_stall_1g")["reached"] is reached


@pytest.mark.parametrize("idle, reached", [(6, True), (4, False)])
def test_stall_of_twice_the_idle_one_is_reached(idle, reached):
    values = {
        "stock": {"mmap_stall_1g": {"runs": {"": [20.0], "idle": [1]}}},
        "engine": {"mmap_stall_1g": {"runs": {"": [10.0], "idle": [idle]}}},
    }
    assert entry(values, "mmap_stall_1g")["reached"] is reached


@pytest.mark.parametrize("idle, reached", [(6, True), (4, False)])
def test_user_move_is_quiet_by_its_own_kernel(idle, reached):
    runs = {"": [0.3], "longest": [10.0], "idle": [idle]}
    values = {"stock": {"user_move_stall": {"runs": runs}}, "engine": {}}
    assert entry(values, "user_move_stall")["reached"] is reached


def test_bound():
    engine = {"": [10.0], "bound": [12.0], "idle": [0.1]}
    values = {"stock": {}, "engine": {"mmap_stall_1g": {"runs": engine}}}
    assert entry(values, "mmap_stall_1g.bound")["reached"] is True
    engine["bound"] = [9.0]
    assert entry(values, "mmap_stall_1g.bound")["reached"] is False


def test_what_is_not_available_has_no_number():
    reason = "the limit takes only max and 0"
    values = {"stock": {}, "engine": {"rate_accuracy": {"unavailable": reason}}}
    found = entry(values, "rate_accuracy")
    assert found["engine"] is None and found["runs"] == 0
    assert found["reached"] is None
    assert found["not_available"] == {"engine": reason}
    lines = report.table(report.results(values))
    assert f"rate_accuracy: not available on engine: {reason}" in lines


def test_what_was_not_measured_is_left_out():
    assert report.results({"stock": {}, "engine": {}}) == []


def test_table():
    lines = report.table(
        report.results(measured("insn_per_page_anon4k", [4000], [1000]))
    )
    assert lines[0].split()[:4] == ["figure", "stock", "engine", "ratio"]
    words = lines[1].split()
    assert words[:4] == ["insn_per_page_anon4k", "4000", "1000", "0.25"]
    assert words[-1] == "yes"


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "-"),
        (0, "0.00"),
        (0.00123, "1.23e-03"),
        (1.234, "1.23"),
        (123.45, "123.5"),
        (4321.9, "4322"),
    ],
)
def test_numbers(value, text):
    assert report.number(value) == text


def grown(values):
    """As guests would report one curve: {point: runs} of each kernel."""
    return {
        kernel: {"threads": {"runs": {str(at): runs for at, runs in points.items()}}}
        for kernel, points in values.items()
    }


def test_every_curve_is_measured_in_one_guest():
    assert not set(curves.NAMES) & set(figures.NAMES)
    names = [n for guest in curves.GUESTS for n in curves.names_in(guest, curves.NAMES)]
    assert sorted(names) == sorted(curves.NAMES)
    assert set(curves.SECONDS) == set(curves.GUESTS) > set(curves.TOGETHER)


def test_curve_has_its_points_in_order():
    runs = {8: [3, 1, 2], 1: [5]}
    (found,) = curves.summed_up(grown({"stock": {}, "engine": runs}))
    first, second = found["kernels"]["engine"]
    assert (first["at"], first["median"], first["runs"]) == (1, 5, 1)
    assert (second["at"], second["least"]) == (8, 1)
    assert (second["median"], second["most"]) == (2, 3)
    assert found["kernels"]["stock"] == []


def test_table_of_a_curve():
    values = grown({"stock": {1: [4000], 512: [8000]}, "engine": {1: [1000]}})
    lines = curves.table(curves.summed_up(values))
    assert lines[0] == "Threads: instructions/page"
    assert lines[1].split() == ["threads", "stock", "engine", "ratio"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert rows["1"] == ["4000", "1000", "0.25"]
    assert rows["512"] == ["8000", "-", "-"]
