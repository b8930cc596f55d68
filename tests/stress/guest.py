#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Run rows of the stress test inside a guest; see run."""

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "kernel")]
sys.dont_write_bytecode = True

# The modules lie beside this program, which has to say so first.
import settings  # noqa: E402
from rows import Row  # noqa: E402
from tree import Tree  # noqa: E402
from witness import CALM, END, LEAVE, Actors, Board, Pulse, say, sum_up  # noqa: E402

from ktest import machine  # noqa: E402

# Seconds between two looks at the board.
LOOK = 2
# What moved, beside the engine's own account.
VMSTAT = """
    pgmigrate_success pgmigrate_fail thp_migration_success numa_pages_migrated
    compact_migrate_scanned pswpin pswpout ksm_swpin_copy cow_ksm thp_split_page
    thp_collapse_alloc oom_kill
""".split()
REPORT_LINES = 400


class Wrong(Exception):
    """A row failed; what is known of it, as lines."""

    def __init__(self, what, lines=()):
        super().__init__(what)
        self.lines = list(lines)


class Run:
    """One row."""

    def __init__(self, row, options, log):
        self.row = row
        self.options = options
        self.log = log
        self.tree = Tree("stress")
        self.board = Board("/dev/shm/stress-board", row.seed)
        self.actors = Actors(self.board, machine.memory_nodes())
        self.pulse = Pulse(options.hang // LOOK)

    def start(self):
        """All actors."""
        for kind in self.row.kinds:
            ops = self.row.ops()
            self.actors.keep(kind, ops, self.options.disk, self.tree.homes())
        for role in [*self.row.roles(), *self.options.fault]:
            self.actors.act(role, self.tree.for_role(role))

    def look(self):
        """Everybody is alive and well, or it is wrong."""
        board = self.board.show()
        if board["failed"]:
            raise self.wrong("an actor found something wrong")
        late = self.pulse.look(board["slots"])
        if late:
            raise self.wrong(
                f"no progress for {self.options.hang} s: {', '.join(late)}"
            )
        ended = self.actors.ended(self.actors.keepers)
        ended.update(self.actors.ended(self.actors.outsiders))
        bad = {name: status for name, status in ended.items() if status}
        if bad:
            raise self.wrong(f"actors ended: {bad}")
        return board

    def act(self):
        """Let them act for as long as a row lasts."""
        for look in range(max(self.options.seconds // LOOK, 1)):
            time.sleep(LOOK)
            board = self.look()
            if look % 5 == 4:
                total = sum_up(board["slots"])
                done = sum(entry["done"] for entry in total["operations"].values())
                mib = total["bytes_checked"] >> 20
                moved = self.tree.account()["migrate_moved"]
                say(f"    {done} operations, {mib} MiB checked, {moved} pages moved")

    def end(self, phase, processes):
        """Let these end, and see that all is well."""
        start = time.monotonic()
        self.board.phase(phase)
        while len(self.actors.ended(processes)) < len(processes):
            self.look()
            time.sleep(0.5)
        self.look()
        say(f"    {len(processes)} actors ended in {time.monotonic() - start:.1f} s")

    def settle(self):
        """Nothing may be pending when nobody holds it."""
        if not self.tree.wait_idle(self.options.hang):
            raise self.wrong("moves are pending that nobody holds")
        complaints = self.tree.complaints()
        if complaints:
            raise self.wrong("the account is wrong", complaints)

    def run(self):
        """The row; what came of it."""
        before = vmstat()
        self.start()
        self.act()
        self.end(CALM, self.actors.outsiders)
        self.settle()
        self.end(END, self.actors.keepers)
        self.settle()
        found = sum_up(self.board.show()["slots"])
        found["account"] = self.tree.account()
        after = vmstat()
        found["vmstat"] = {name: after[name] - before[name] for name in after}
        leaked = self.tree.remove(self.options.hang)
        if leaked:
            raise Wrong("something is leaked", leaked)
        self.splats()
        return found

    def splats(self):
        """A kernel that complains fails the row in which it did."""
        lines = self.log.lines()
        if any(self.log.SPLAT.search(line) for line in lines):
            raise Wrong("the kernel complained", lines[-REPORT_LINES:])

    def wrong(self, what, lines=()):
        """All that is known, while the actors stand still."""
        for _ in range(20):
            board = self.board.show("traces")
            if not board["failed"] or board["failure"]:
                break
            time.sleep(0.2)
        lines = list(lines)
        failure = board["failure"]
        if failure:
            what = f"{what}: {failure['what']}"
            lines.append(json.dumps(failure, indent=1))
            lines += mappings(failure)
        lines += self.tree.files()
        for number, slot in board["slots"].items():
            state = (
                f"in '{slot['now']}' for {(board['now'] - slot['since']) // 1000} us"
            )
            lines.append(f"slot {number} {slot['name']} pid {slot['pid']} {state}")
            lines += [f"    {line}" for line in slot["trace"]]
        lines += machine.tasks().splitlines()
        lines += self.log.lines()[-REPORT_LINES:]
        return Wrong(what, lines)

    def close(self):
        """Leave nothing behind, whatever happened."""
        self.board.phase(LEAVE)
        self.actors.end()
        self.board.close()


def mappings(failure):
    """What the kernel says of the mapping that a wrong address is in."""
    lines = []
    with contextlib.suppress(OSError):
        inside = False
        for line in machine.read(f"/proc/{failure['pid']}/smaps").splitlines():
            bounds = line.split()[0].split("-")
            if len(bounds) == 2 and not line.split()[0].endswith(":"):
                first, last = (int(bound, 16) for bound in bounds)
                inside = first <= failure["address"] < last
            if inside:
                lines.append(line)
        lines += machine.read(f"/proc/{failure['pid']}/numa_maps").splitlines()
    return lines


def vmstat():
    """Counters of the whole machine, those of them that there are."""
    pairs = (line.split() for line in machine.read("/proc/vmstat").splitlines())
    return {name: int(value) for name, value in pairs if name in VMSTAT}


def run_row(number, row, options, log):
    """One row: what came of it, or what was wrong."""
    say(f"row {number}, seed {row.seed}: {row.text()}")
    start = time.monotonic()
    result = {"number": number, **dataclasses.asdict(row)}
    run = None
    try:
        settings.apply(row.settings)
        run = Run(row, options, log)
        result.update(run.run())
    except Wrong as reason:
        result.update(failed=str(reason), report=reason.lines)
    except Exception:
        result.update(failed="the driver failed", report=[traceback.format_exc()])
    finally:
        if run:
            run.close()
    result["seconds"] = round(time.monotonic() - start, 1)
    say(f"row {number}: {result.get('failed', 'good')}, {result['seconds']} s")
    return result


def parse():
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("plan", help="rows, as JSON")
    add("out", help="where results go, a line of JSON a row")
    add("--seconds", type=int, default=60, help="that a row lasts")
    add("--hang", type=int, default=120, help="without progress, in seconds")
    add("--disk", default="/disk", help="a folder on a disk")
    add("--fault", action="append", default=[], help="a role that breaks memory")
    return parser.parse_args()


def main():
    """Run the rows until one fails."""
    options = parse()
    with open(options.plan, encoding="utf-8") as file:
        plan = [Row(**row) for row in json.load(file)]
    settings.prepare()
    log = machine.KernelLog()
    with open(options.out, "w", encoding="utf-8") as file:
        for number, row in enumerate(plan):
            result = run_row(number, row, options, log)
            file.write(json.dumps(result) + "\n")
            file.flush()
            if "failed" in result:
                print("\n".join([result["failed"], *result["report"]]))
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
