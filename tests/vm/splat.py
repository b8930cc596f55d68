# SPDX-License-Identifier: GPL-2.0
"""Find a kernel's complaints about itself in its console log."""

import re

# What the kernel prints when something went wrong in the kernel, never when only a
# program did. Each pattern names the message as lib/, mm/ and kernel/ print it.
SPLAT = re.compile(
    "|".join(
        [
            r"\bBUG: ",  # KASAN, sleeping function, soft lockup, bad page, ...
            r"\bWARNING: ",  # WARN(), lockdep, RCU
            r"\bkernel BUG at ",
            r"\bOops\b",
            r"\bKernel panic\b",
            r"\bUBSAN: ",
            r"\bKFENCE: ",
            r"\bINFO: rcu|\brcu: INFO: ",  # stalls
            r"\bINFO: task .* blocked for more than ",
            r"\bINFO: (possible|inconsistent|suspicious|trying to)\b",  # lockdep, older
            r"\bhard LOCKUP\b",
            r"\bnew suspected memory leaks\b",
            r"\bODEBUG: ",
            r"\brefcount_t: ",
            r"\blist_(add|del) corruption\b",
        ]
    )
)

# Where one complaint ends; without one of these it is cut after SPLAT_LINES.
SPLAT_END = re.compile(r"---\[ end (trace|Kernel panic)|^={20,}$")
SPLAT_LINES = 70
TIMESTAMP = re.compile(r"^\[ *\d+\.\d+\]( *\[[ TC0-9]+\])? ?")


class Console:
    """The console log so far, and the complaints in it.

    Feed it what arrives; `splats` is a list of lists of lines.
    """

    def __init__(self):
        self.splats = []
        self.lines = []
        self._rest = ""
        self._open = 0

    def feed(self, data):
        """Take the bytes `data` from the console; return the lines they complete."""
        text = self._rest + data.decode("utf-8", "replace")
        *lines, self._rest = text.split("\n")
        for line in lines:
            self._line(line.rstrip("\r"))
        return lines

    def close(self):
        """The console has ended: take a last line that has no end."""
        if self._rest:
            self._line(self._rest)
            self._rest = ""

    def _line(self, line):
        self.lines.append(line)
        bare = TIMESTAMP.sub("", line)
        if self._open:
            self.splats[-1].append(line)
            self._open -= 1
            if SPLAT_END.search(bare) and len(self.splats[-1]) > 4:
                self._open = 0
        elif SPLAT.search(bare):
            self.splats.append([line])
            self._open = SPLAT_LINES
