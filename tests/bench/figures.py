# SPDX-License-Identifier: GPL-2.0
"""The figures: what each is called, where it is measured, and what it should reach."""

import dataclasses
import typing

KERNELS = ("stock", "engine")

# Options of tests/vm/vm for each guest. Both kernels get the same.
#
# count*: instructions are counted, so nothing else on this machine matters and several
# run at once. time: no more CPUs than this machine has, or its scheduler is measured.
GUESTS = {
    "count": ["--icount", "--nodes", "4", "--mem-per-node", "1G", "--disk", "512M"],
    "count8": ["--icount", "--nodes", "8", "--mem-per-node", "512M"],
    "count4": ["--icount", "--nodes", "4", "--mem-per-node", "512M"],
    "count64": ["--icount", "--nodes", "4", "--mem-per-node", "512M"]
    + ["--empty-nodes", "60"],
    "time": ["--nodes", "2", "--cpus", "2", "--mem-per-node", "2560M"]
    + ["--disk", "768M"],
}
# What each takes for three runs of all its figures, on two cores.
SECONDS = {"count": 80, "count8": 35, "count4": 25, "count64": 25, "time": 170}
COUNTING = [name for name in GUESTS if name.startswith("count")]


class Found:
    """The medians of one figure on both kernels, for a test of what it reaches."""

    def __init__(self, medians):
        self.medians = medians

    def of(self, kernel, part=""):
        """The figure, or a part of it, on one kernel; None where there is none."""
        return self.medians.get(kernel, {}).get(part)

    def ratio(self, part=""):
        """Engine over stock."""
        stock, engine = self.of("stock", part), self.of("engine", part)
        if stock is None or engine is None or not stock:
            return None
        return engine / stock


@dataclasses.dataclass(frozen=True)
class Reach:
    """What should be reached: in words, and as a test of what was found.

    The test returns None where what it needs was not measured.
    """

    text: str
    test: typing.Callable


def ratio_at_most(limit, part=""):
    """Engine over stock."""

    def test(found):
        ratio = found.ratio(part)
        return None if ratio is None else ratio <= limit

    return Reach(f"ratio <= {limit:g}", test)


def at_most(limit, part="", kernel="engine"):
    """The figure itself."""

    def test(found):
        value = found.of(kernel, part)
        return None if value is None else value <= limit

    return Reach(f"<= {limit:g}", test)


def at_least(limit, part="", kernel="engine"):
    """The figure itself."""

    def test(found):
        value = found.of(kernel, part)
        return None if value is None else value >= limit

    return Reach(f">= {limit:g}", test)


def between(low, high, part=""):
    """The figure itself, on the engine."""

    def test(found):
        value = found.of("engine", part)
        return None if value is None else low <= value <= high

    return Reach(f"{low:g} .. {high:g}", test)


def or_quiet(reach, longest, idle="idle", kernel="engine"):
    """Reached also where a stall is at most twice what it is without any move."""

    def test(found):
        first = reach.test(found)
        stall, calm = found.of(kernel, longest), found.of(kernel, idle)
        if first or stall is None or calm is None:
            return first
        return stall <= 2 * calm

    return Reach(f"{reach.text} or <= 2 idle", test)


def mkdir_reach():
    """1.5 times what it is for an empty process, and 2 ms."""

    def test(found):
        longest, empty = found.of("engine", "longest"), found.of("engine", "empty")
        if longest is None or empty is None:
            return None
        return longest <= 1.5 * empty + 2

    return Reach("<= 1.5 (+ 2 ms)", test)


def user_move_reach():
    """A tenth of migratepages, on a kernel without the engine."""
    return or_quiet(at_most(0.1, kernel="stock"), "longest", kernel="stock")


def below_bound():
    """The longest stall is within max_stall_usec, scaled to this guest's speed."""

    def test(found):
        longest, bound = found.of("engine"), found.of("engine", "bound")
        return None if longest is None or bound is None else longest <= bound

    return Reach("<= bound", test)


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure. `name` may have a part: figure.part, measured together with it.

    A part without `reach` is there to be read beside the others.
    """

    name: str
    unit: str
    guest: str
    reach: typing.Optional[Reach] = None
    better: str = "lower"

    @property
    def base(self):
        """The name without the part."""
        return self.name.split(".")[0]

    @property
    def part(self):
        """The part, nothing for the figure itself."""
        return self.name.partition(".")[2]


INSTRUCTIONS = "instructions/page"
TIMES = "times"
FIGURES = [
    Figure("insn_per_page_anon4k", INSTRUCTIONS, "count", ratio_at_most(0.27)),
    Figure("insn_per_page_anon4k.copy", INSTRUCTIONS, "count"),
    Figure("insn_per_page_mthp64k", INSTRUCTIONS, "count", ratio_at_most(0.15)),
    Figure("insn_per_page_mthp64k.first", INSTRUCTIONS, "count"),
    Figure("insn_per_page_mthp64k.split", "folios", "count", at_most(0, "split")),
    Figure("insn_per_page_file4k", INSTRUCTIONS, "count", ratio_at_most(0.75)),
    Figure("thp_over_copy", TIMES, "count", at_most(1.10)),
    Figure("thp_over_copy.highpage", TIMES, "count"),
    Figure("time_per_page_anon4k", "us/page", "time", ratio_at_most(0.6)),
    Figure("time_per_page_anon4k.copy", "us/page", "time"),
    Figure("mkdir_stall_1g", TIMES, "time", or_quiet(mkdir_reach(), "longest", "idle")),
    Figure("mkdir_stall_1g.longest", "ms", "time"),
    Figure("mkdir_stall_1g.empty", "ms", "time"),
    Figure("mkdir_stall_1g.idle", "ms", "time"),
    Figure("mmap_stall_growth", TIMES, "time", or_quiet(at_most(2), "longest")),
    Figure("mmap_stall_growth.p999", TIMES, "time", at_most(1.2, "p999")),
    Figure("mmap_stall_1g", "ms", "time", or_quiet(ratio_at_most(0.1), "")),
    Figure("mmap_stall_1g.bound", "ms", "time", below_bound()),
    Figure("mmap_stall_1g.p999", "ms", "time"),
    Figure("mmap_stall_1g.idle", "ms", "time"),
    Figure("touch_stall_1g", "ms", "time", or_quiet(ratio_at_most(0.5), "", "idle")),
    Figure("touch_stall_1g.max", "ms", "time"),
    Figure("touch_stall_1g.growth", TIMES, "time", at_most(1.2, "growth")),
    Figure("touch_stall_1g.thp", "ms", "time", ratio_at_most(1.05, "thp")),
    Figure("touch_stall_1g.hugetlb", "ms", "time"),
    Figure("touch_stall_1g.idle", "ms", "time"),
    Figure("threads_192", TIMES, "count", at_most(1.1)),
    Figure("sets_4to4", TIMES, "count8", at_most(1.1)),
    Figure("possible_nodes", TIMES, "count64", at_most(1.05)),
    Figure("workers_2", TIMES, "time", at_most(1.25)),
    Figure("workers_2.memcpy", TIMES, "time", better="higher"),
    Figure("procs_4", TIMES, "time", at_least(0.8), better="higher"),
    Figure("procs_4.memcpy", TIMES, "time", better="higher"),
    Figure("isolated_peak", "pages", "time", at_most(8192)),
    Figure("alloc_stall_others", "ms", "time", or_quiet(ratio_at_most(0.5), "")),
    Figure("alloc_stall_others.max", "ms", "time"),
    Figure("alloc_stall_others.idle", "ms", "time"),
    Figure("rate_accuracy", TIMES, "time", between(0.9, 1.1), better="higher"),
    Figure("rate_accuracy.eighth", TIMES, "time", between(0.9, 1.1, "eighth")),
    Figure("rate_accuracy.quarter", TIMES, "time", between(0.9, 1.1, "quarter")),
    Figure("rate_accuracy.half", TIMES, "time", between(0.9, 1.1, "half")),
    Figure("user_move_stall", TIMES, "time", user_move_reach()),
    Figure("user_move_stall.longest", "ms", "time"),
    Figure("user_move_stall.idle", "ms", "time"),
    Figure(
        "user_move_stall.throughput",
        TIMES,
        "time",
        at_least(0.8, "throughput", "stock"),
        better="higher",
    ),
]
NAMES = [figure.name for figure in FIGURES if not figure.part]


def guests_of(names):
    """The guests that measure these figures, in the order of GUESTS."""
    wanted = {figure.guest for figure in FIGURES if figure.base in names}
    if "possible_nodes" in names:
        wanted.add("count4")  # what the guest with 64 nodes is compared with
    return [guest for guest in GUESTS if guest in wanted]


def seconds(guests, kernels, quick, cores):
    """How long guests take for all their figures, roughly."""
    counting = sum(SECONDS[guest] for guest in guests if guest in COUNTING)
    timing = sum(SECONDS[guest] for guest in guests if guest not in COUNTING)
    total = kernels * (counting / min(cores, kernels) + timing)
    return total if quick else total * 1.5


def names_in(guest, names):
    """Which of these figures a guest measures."""
    mine = [f.base for f in FIGURES if f.guest == guest and f.base in names]
    if guest == "count4" and "possible_nodes" in names:
        mine.append("possible_nodes")
    return list(dict.fromkeys(mine))
