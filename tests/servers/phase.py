# SPDX-License-Identifier: GPL-2.0
"""What a server was seen to do while nothing, or everything, moved."""

import dataclasses

import latency


@dataclasses.dataclass
class Phase:
    """Seconds that each request took, and counts."""

    seconds: list
    facts: dict

    def result(self):
        """As it is written down."""
        return {"latency": latency.percentiles(self.seconds), **self.facts}
