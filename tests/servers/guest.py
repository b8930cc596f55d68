#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Servers inside a guest: measured idle, then moved, and judged; see run."""

import argparse
import json
import os
import random
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
SHARED = ("tests/kernel", "tests/bench", "demo")
sys.path.insert(0, HERE)
sys.path += [os.path.join(os.path.dirname(TESTS), folder) for folder in SHARED]
sys.dont_write_bytecode = True

# The modules lie beside this program, which has to say so first.
import compiling  # noqa: E402
import draw  # noqa: E402
import latency  # noqa: E402
import postgres  # noqa: E402
import stores  # noqa: E402
import stressng  # noqa: E402
from homes import Home, Mover, Wrong  # noqa: E402

from ktest import cpusets, machine, trees  # noqa: E402

SERVERS = {
    server.name: server
    for server in (
        postgres.Postgres,
        stores.Redis,
        stores.Memcached,
        compiling.Compile,
        stressng.StressNg,
    )
}
TREE = "servers"
RUN = "/run/servers"
# Between two looks at the servers while nothing moves.
LOOK_SECONDS = 2
# Nothing takes as long that does not hang.
HANG_SECONDS = 120
# Moves for each server in which something of it has to move, however slow the host is.
LEAST_MOVES = 4
REPORT_LINES = 200


def say(text):
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


class Run:
    """All phases, and what is known so far."""

    def __init__(self, options):
        self.options = options
        self.started = time.monotonic()
        self.tree = trees.Tree(TREE)
        nodes = machine.memory_nodes()
        names = options.server or list(SERVERS)
        self.homes = {name: Home(self.tree, name, nodes) for name in names}
        self.servers = [SERVERS[name](self.homes[name], options) for name in names]
        self.draw = draw.Draw(options.seed, names, nodes)
        self.mover = Mover(self.homes, os.path.join(RUN, "plan"))
        self.result = {name: {} for name in names}

    def say(self, text):
        """A line of progress, with the time."""
        say(f"[{time.monotonic() - self.started:4.0f} s] {text}")

    def start(self):
        """All servers, with their data."""
        for server in self.servers:
            server.start()
            self.say(f"{server.name} is there")

    def look(self):
        """Everybody is there."""
        gone = [server.name for server in self.servers if not server.alive()]
        if gone:
            raise Wrong(f"gone: {', '.join(gone)}")

    def stand(self, deadline):
        """Nothing moves."""
        while time.monotonic() < deadline:
            self.look()
            time.sleep(LOOK_SECONDS)

    def move(self, deadline):
        """Everything moves, every few seconds."""
        number = 0
        enough = LEAST_MOVES * len(self.servers)
        while time.monotonic() < deadline or (self.unmoved() and number < enough):
            move = self.draw.next()
            time.sleep(move.pause)
            self.mover.do(move)
            self.mover.check(self.draw.where)
            self.look()
            number += 1
            self.say(f"{number}: {move.text()}: {self.mover.seconds[-1]:.2f} s")

    def phase(self, name, seconds, act):
        """Load on all servers while something else happens."""
        for server in self.servers:
            server.begin(name, seconds)
        self.say(f"{name}: {seconds} s")
        act(time.monotonic() + seconds)
        for server in self.servers:
            self.result[server.name][name] = server.end().result()
        self.say(f"{name}: ended")

    def account(self):
        """Pages that moved, of each, in its two cpusets; nothing on a stock kernel."""
        for name, home in self.homes.items():
            if cpusets.engine_files(home.group):
                stat = home.group.stat()
                self.result[name]["pages_moved"] = stat["migrate_moved"]

    def unmoved(self):
        """Servers of which nothing moved so far."""
        self.account()
        return [n for n, found in self.result.items() if found.get("pages_moved") == 0]

    def judge(self):
        """What every server has to say, and the account."""
        why = []
        unmoved = self.unmoved()
        for server in self.servers:
            self.result[server.name].update(server.judge())
            why += server.complaints
            self.say(f"{server.name}: {'; '.join(server.complaints) or 'good'}")
        why += [f"{name}: nothing of it was moved" for name in unmoved]
        return why + self.settle()

    def settle(self):
        """Nothing is pending, and nothing is left of the cpusets."""
        if cpusets.engine_files(self.tree.top):
            if not self.tree.wait_idle(HANG_SECONDS):
                return ["moves are pending that nobody waits for"]
        return self.tree.complaints() + self.tree.remove(HANG_SECONDS)

    def run(self):
        """Everything; why it is not good."""
        self.start()
        idle, moved = self.options.idle, self.options.moved
        self.phase("idle", idle, self.stand)
        self.phase("moved", moved, self.move)
        return self.judge()

    def close(self):
        """Leave nothing behind, whatever happened."""
        for server in self.servers:
            server.close()

    def found(self, why, report):
        """All that is known, for the host."""
        return {
            "why": why,
            "report": report,
            "servers": self.result,
            "moves": self.mover.counts,
            "move_seconds": latency.percentiles(self.mover.seconds),
            "seconds": round(time.monotonic() - self.started),
        }


def carry_out(options):
    """A run; what was found."""
    run = Run(options)
    log = machine.KernelLog()
    report = []
    try:
        why = run.run()
    except Exception as reason:
        why = [str(reason) or repr(reason)]
        report = traceback.format_exc().splitlines()
        report += [line for server in run.servers for line in server.complaints]
        report += run.tree.files() + machine.tasks().splitlines()
        report += log.lines()[-REPORT_LINES:]
    finally:
        run.close()
    return run.found(why, report)


def parse():
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("out", help="where the result goes, as JSON")
    add("--server", action="append", choices=SERVERS, help="only these")
    add("--idle", type=int, default=60, metavar="SECONDS", help="without moves")
    add("--moved", type=int, default=600, metavar="SECONDS", help="with moves")
    add("--rate", type=int, default=20, metavar="N", help="requests a second, each")
    add("--seed", type=int, default=random.randrange(1 << 32), metavar="N")
    add("--disk", default="/disk", help="a folder on a disk")
    options = parser.parse_args()
    options.run = RUN
    return options


def main():
    """Run; 0 only if nothing was wrong."""
    options = parse()
    os.makedirs(RUN, exist_ok=True)
    os.chmod(RUN, 0o1777)
    found = carry_out(options)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(found, file)
    print("\n".join([*found["why"], *found["report"]]))
    return 1 if found["why"] else 0


if __name__ == "__main__":
    sys.exit(main())
