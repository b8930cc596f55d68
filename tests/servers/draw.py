# SPDX-License-Identifier: GPL-2.0
"""Which server moves next, how, and where to: all of it follows from the seed."""

import dataclasses
import random

# Writing cpuset.mems; cgmigrate move; attaching to another cpuset; two of them change
# places.
KINDS = ("mems", "command", "attach", "exchange")
# Seconds between two moves.
PAUSE = (1.0, 4.0)


@dataclasses.dataclass(frozen=True)
class Move:
    """What happens after a pause. An exchange has a second server, and no nodes."""

    kind: str
    name: str
    nodes: tuple = ()
    other: str = ""
    pause: float = 0.0

    def text(self):
        """A few words."""
        where = self.other or ",".join(map(str, self.nodes))
        return f"{self.kind} {self.name} {where}"


class Draw:
    """Moves without end. Where everybody is then is known beforehand."""

    def __init__(self, seed, names, nodes):
        self.numbers = random.Random(seed)
        self.names = list(names)
        self.nodes = list(nodes)
        self.where = {name: tuple(nodes) for name in names}
        self.deck = []

    def name(self):
        """Whose turn it is: nobody's a second time before everybody's."""
        if not self.deck:
            self.deck = self.numbers.sample(self.names, len(self.names))
        return self.deck.pop()

    def elsewhere(self, name):
        """Some nodes that are not those it has."""
        while True:
            count = self.numbers.randint(1, len(self.nodes) - 1)
            found = tuple(sorted(self.numbers.sample(self.nodes, count)))
            if found != self.where[name]:
                return found

    def apart(self):
        """Pairs of servers that do not have the same nodes."""
        return [
            (one, other)
            for one in self.names
            for other in self.names
            if one < other and self.where[one] != self.where[other]
        ]

    def next(self):
        """The next move."""
        pause = self.numbers.uniform(*PAUSE)
        kind = self.numbers.choice(KINDS)
        pairs = self.apart()
        if kind == "exchange" and pairs:
            one, other = self.numbers.choice(pairs)
            where = self.where
            where[one], where[other] = where[other], where[one]
            return Move(kind, one, other=other, pause=pause)
        if kind == "exchange":
            kind = "mems"
        name = self.name()
        self.where[name] = self.elsewhere(name)
        return Move(kind, name, self.where[name], pause=pause)
