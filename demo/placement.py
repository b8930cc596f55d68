# SPDX-License-Identifier: GPL-2.0
"""On which node every page of a process is."""

import array
import ctypes
import os

PAGE = os.sysconf("SC_PAGE_SIZE")
PRESENT = 1 << 63
FILE_OR_SHARED = 1 << 61
MOVE_PAGES = 279  # x86-64
AT_ONCE = 4096
LIBC = ctypes.CDLL(None, use_errno=True)


class Placement:
    """Three lists side by side: addresses in order, node, whether file or shared."""

    def __init__(self, pid):
        self.addresses = array.array("Q")
        self.files = array.array("b")
        self.nodes = array.array("i")
        with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
            with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
                for line in maps:
                    if "[v" not in line:  # vdso, vvar, vsyscall: the kernel's
                        first, last = line.split(" ", 1)[0].split("-")
                        self._add(pagemap, int(first, 16), int(last, 16))
        self._ask(pid)

    def _add(self, pagemap, first, last):
        """The present pages of one mapping."""
        entries = array.array("Q")
        entries.frombytes(
            os.pread(pagemap.fileno(), (last - first) // PAGE * 8, first // PAGE * 8)
        )
        present = [number for number, entry in enumerate(entries) if entry & PRESENT]
        self.addresses.extend(first + number * PAGE for number in present)
        self.files.extend(
            1 if entries[number] & FILE_OR_SHARED else 0 for number in present
        )

    def _ask(self, pid):
        """The node of every address; a negative error where the page went away."""
        for start in range(0, len(self.addresses), AT_ONCE):
            wanted = self.addresses[start : start + AT_ONCE]
            status = array.array("i", bytes(4 * len(wanted)))
            failed = LIBC.syscall(
                MOVE_PAGES,
                ctypes.c_long(pid),
                ctypes.c_ulong(len(wanted)),
                ctypes.c_void_p(wanted.buffer_info()[0]),
                None,
                ctypes.c_void_p(status.buffer_info()[0]),
                0,
            )
            if failed:
                error = ctypes.get_errno()
                raise OSError(error, f"move_pages: {os.strerror(error)}")
            self.nodes.extend(status)

    def mebibytes(self):
        """MiB by node."""
        return {
            node: self.nodes.count(node) * PAGE / (1 << 20)
            for node in sorted(set(self.nodes))
            if node >= 0
        }

    def runs(self):
        """Pages that follow one another on one node: [address, pages, node, file]."""
        runs = []
        following = None
        for address, node, file in zip(self.addresses, self.nodes, self.files):
            if node < 0:
                continue
            last = runs[-1] if runs else None
            if address == following and last[2] == node and last[3] == file:
                last[1] += 1
            else:
                runs.append([address, 1, node, file])
            following = address + PAGE
        return runs


def compare(before, after, where_to):
    """What became of the pages there at both times, by node before and node after.

    `where_to` says for a node before which node keeps the relative place. Pages without
    an entry there (they were on no node of the old set) only have to be in the new set.
    """
    then = dict(zip(before.addresses, before.nodes))
    pairs = {}
    for address, node in zip(after.addresses, after.nodes):
        was = then.get(address, -1)
        if was >= 0 and node >= 0:
            pairs[was, node] = pairs.get((was, node), 0) + 1
    allowed = set(where_to.values())
    kept = sum(n for (was, now), n in pairs.items() if where_to.get(was) == now)
    outside = sum(n for (_, now), n in pairs.items() if now not in allowed)
    strays = sum(n for (was, _), n in pairs.items() if was not in where_to)
    return {
        "pages": sum(pairs.values()),
        "kept": kept,
        "outside": outside,
        "strays": strays,
        "pairs": [[was, now, n] for (was, now), n in sorted(pairs.items())],
    }
