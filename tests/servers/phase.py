# SPDX-License-Identifier: GPL-2.0
"""What a server was seen to do while nothing, or everything, moved."""

import dataclasses

import latency
from homes import Wrong


@dataclasses.dataclass
class Phase:
    """Seconds that each request took, and counts."""

    seconds: list
    facts: dict

    def result(self):
        """As it is written down."""
        return {"latency": latency.percentiles(self.seconds), **self.facts}


def ended(name, child):
    """What a child came to that is told to stop."""
    try:
        child.stop()
        return child.result()
    except (EOFError, OSError):
        raise Wrong(f"{name}: what asks it failed (see above)") from None
