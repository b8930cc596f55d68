# SPDX-License-Identifier: GPL-2.0
"""Rows: what runs beside what for a while. Every pair of things meets in some row.

A row has some kinds of memory, some movers, some disturbers, and a value of every
setting. That is repeatable: the rows follow from the seed alone.
"""

import dataclasses
import itertools
import random

# How many of each a row has.
KINDS, MOVERS, DISTURBERS = 5, 4, 6
# Rows that are drawn for one that is taken.
DRAWN = 12

# Movers that write cpuset.mems, of which every row has one.
MEMS = ("mems", "mems-nonblock")
# Movers, and for those that are operations of the owner himself, which.
MOVER_OPS = {
    **{name: () for name in MEMS},
    "control": (),
    "attach": (),
    "attach-thread": (),
    "migrate-pages": (),
    "move-pages": (),
    "mbind": ("mbind",),
    "own-move": ("move",),
}
# The same of disturbers.
DISTURBER_OPS = {
    "advise": ("dontneed", "free", "cold"),
    "pageout": ("pageout",),
    "collapse": ("collapse", "huge"),
    "holes": ("remove", "punch"),
    "truncate": ("truncate",),
    "remap": ("unmap", "mremap", "reattach"),
    "protect": ("protect",),
    "fork": ("fork",),
    "exec": ("exec",),
    "pin": ("pin",),
    "splice": ("splice", "gup"),
    "uffd": ("wp", "missing"),
    "change": ("lock", "unlock", "exempt", "merge"),
    "io": ("read", "pwrite", "sync", "forget"),
    "compact": (),
    "drop-caches": (),
    "reclaim": (),
    "cpus": (),
    "blocks": (),
    "groups": (),
    "controller": (),
    "limits": (),
    "kill": (),
}
SETTINGS = {
    "thp": ("always", "never"),
    "swap": ("off", "disk", "zswap"),
    "balancing": ("0", "1"),
    "lru_gen": ("y", "n"),
    "workers": ("1", "4"),
}
# What every worker does.
ALWAYS = ("write", "check")


@dataclasses.dataclass
class Row:
    """What runs at the same time."""

    seed: int
    kinds: tuple
    movers: tuple
    disturbers: tuple
    settings: dict

    def items(self):
        """Everything in it, with what it is."""
        yield from (("kind", name) for name in self.kinds)
        yield from (("mover", name) for name in self.movers)
        yield from (("disturber", name) for name in self.disturbers)
        yield from self.settings.items()

    def leave_out(self, names):
        """Kinds, movers and disturbers that are not to act."""
        for part in ("kinds", "movers", "disturbers"):
            kept = tuple(name for name in getattr(self, part) if name not in names)
            setattr(self, part, kept)

    def ops(self):
        """Operations of workers."""
        names = list(ALWAYS)
        for name in self.movers:
            names += MOVER_OPS[name]
        for name in self.disturbers:
            names += DISTURBER_OPS[name]
        return names

    def roles(self):
        """Actors without memory of their own."""
        names = [name for name in self.movers if not MOVER_OPS[name]]
        return names + [name for name in self.disturbers if not DISTURBER_OPS[name]]

    def text(self):
        """One line."""
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        parts = [self.kinds, self.movers, self.disturbers, settings]
        return " | ".join(" ".join(part) for part in parts)


def parse_kinds(text):
    """What the program says of kinds: {name: operations}."""
    lines = (line.split() for line in text.splitlines())
    return {words[0]: frozenset(words[2:]) for words in lines}


class Table:
    """Which pairs there are."""

    def __init__(self, kinds):
        self.kinds = kinds

    def applies(self, item, kind):
        """Can a mover or disturber do something to this kind of memory?"""
        what, name = item
        ops = {"mover": MOVER_OPS, "disturber": DISTURBER_OPS}[what][name]
        return not ops or any(op in self.kinds[kind] for op in ops)

    def items(self):
        """Everything that can be in a row."""
        yield from (("kind", name) for name in self.kinds)
        yield from (("mover", name) for name in MOVER_OPS)
        yield from (("disturber", name) for name in DISTURBER_OPS)
        for setting, values in SETTINGS.items():
            yield from ((setting, value) for value in values)

    def meets(self, one, other):
        """Is it worth a row that these two meet?"""
        if one[0] == other[0]:
            # Two kinds do not touch each other; a setting has one value.
            return one[0] in ("mover", "disturber")
        for item, kind in ((one, other), (other, one)):
            if kind[0] == "kind" and item[0] in ("mover", "disturber"):
                return self.applies(item, kind[1])
        return True

    def pairs(self):
        """All of them."""
        return {
            frozenset(pair)
            for pair in itertools.combinations(self.items(), 2)
            if self.meets(*pair)
        }

    def covers(self, row):
        """Those that meet in a row."""
        return {
            frozenset(pair)
            for pair in itertools.combinations(row.items(), 2)
            if self.meets(*pair)
        }


class Draw:
    """One row in the making: what it has, and what is not covered yet."""

    def __init__(self, table, left, numbers):
        self.table = table
        self.left = left
        self.numbers = numbers
        self.items = []

    def gain(self, item):
        """Pairs that it would cover first."""
        return sum(frozenset((item, other)) in self.left for other in self.items)

    def add(self, candidates):
        """The one that covers most; any of those that cover the same."""
        candidates = [item for item in candidates if item not in self.items]
        best = max(map(self.gain, candidates))
        same = [item for item in candidates if self.gain(item) == best]
        self.items.append(self.numbers.choice(same))

    def useful(self, what, names):
        """Those that can do something to a kind that is in."""
        kinds = self.names("kind")
        items = [(what, name) for name in names]
        return [i for i in items if any(self.table.applies(i, k) for k in kinds)]

    def names(self, what):
        """Names of what is in."""
        return tuple(name for kind, name in self.items if kind == what)

    def start(self):
        """A pair that was not covered yet, so that every row covers one."""
        pair = self.numbers.choice(sorted(map(sorted, self.left)))
        self.items += pair

    def fill(self):
        """The rest of the row."""
        missing = KINDS - len(self.names("kind"))
        # A kind that what is in can do something to comes first.
        ours = [i for i in self.items if i[0] in ("mover", "disturber")]
        for item in ours:
            if not any(self.table.applies(item, k) for k in self.names("kind")):
                kinds = [k for k in self.table.kinds if self.table.applies(item, k)]
                self.add([("kind", name) for name in kinds])
                missing -= 1
        for _ in range(missing):
            self.add([("kind", name) for name in self.table.kinds])
        if not set(MEMS) & set(self.names("mover")):
            self.add([("mover", name) for name in MEMS])
        while len(self.names("mover")) < MOVERS:
            self.add(self.useful("mover", MOVER_OPS))
        while len(self.names("disturber")) < DISTURBERS:
            self.add(self.useful("disturber", DISTURBER_OPS))
        for setting, values in SETTINGS.items():
            if not self.names(setting):
                self.add([(setting, value) for value in values])

    def row(self):
        """The row that came out."""
        self.start()
        self.fill()
        names = [
            tuple(sorted(self.names(what))) for what in ("kind", "mover", "disturber")
        ]
        settings = {name: self.names(name)[0] for name in SETTINGS}
        return Row(self.numbers.getrandbits(48), *names, settings)


def rows(seed, kinds):
    """Rows without end; after some, all pairs were covered, and it begins anew."""
    table = Table(kinds)
    numbers = random.Random(seed)
    left = set()
    while True:
        left = left or table.pairs()
        drawn = [Draw(table, left, numbers).row() for _ in range(DRAWN)]
        best = max(drawn, key=lambda row: len(table.covers(row) & left))
        left = left - table.covers(best)
        yield best


def rows_for_all(seed, kinds):
    """So many rows that every pair was covered."""
    left = Table(kinds).pairs()
    found = []
    for row in rows(seed, kinds):
        found.append(row)
        left -= Table(kinds).covers(row)
        if not left:
            return found
