#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The demo's part in the guest: fill a server, move it there and back, look on.

Tells what it does on standard output and leaves all of it, as JSON, in the file given.
"""

import argparse
import json
import os
import platform
import sys
import time

sys.dont_write_bytecode = True

# Nothing of this may be compiled into the checkout.
import child  # noqa: E402
import machine  # noqa: E402
import moves  # noqa: E402
import placement  # noqa: E402
import server  # noqa: E402
import traffic  # noqa: E402

OLD, NEW = (0, 1), (2, 3)
DATA = 304 << 20
AT_LEAST = 300 << 20
IDLE_SECONDS = 5
QUIET_SECONDS = 1.5
# Of the pages that were there before and after, how many may have lost their relative
# place or be outside beside those the kernel skipped on purpose: those the server
# itself freed and touched again meanwhile.
TOLERATED = 0.005


def by_node(mebibytes):
    """MiB by node as a text."""
    return "  ".join(
        f"node {node} {mebibytes.get(node, 0):6.1f}" for node in machine.nodes()
    )


def in_milliseconds(found):
    """Median, 99 % and maximum as a text."""
    if not found["count"]:
        return "no samples"
    numbers = "  ".join(f"{name} {found[name]:.1f}" for name in ("p50", "p99", "max"))
    return f"{numbers} ms  ({found['count']} samples)"


class Scenario:
    """One run of the demo on the kernel that is running."""

    def __init__(self, live):
        self.live = live
        self.started = time.monotonic()
        self.story = []
        self.problems = []
        self.result = {"kernel": platform.release(), "story": self.story}
        self.result["problems"] = self.problems

    def tell(self, text):
        """One line of the story."""
        self.story.append(text)
        print(text, flush=True)

    def step(self, text):
        """The story's next part."""
        self.tell(f"[{time.monotonic() - self.started:4.0f} s] {text}")

    def detail(self, text):
        """A line that belongs to a step."""
        self.tell(f"         {text}")

    def require(self, condition, problem):
        """What has to be true, or the demo fails."""
        if not condition:
            self.problems.append(problem)
            self.detail(f"FAILED: {problem}")

    def prepare(self):
        """The cgroups, the server and its data."""
        self.demo = machine.Cgroup("demo")
        self.demo.write("cgroup.subtree_control", "+cpuset +memory")
        self.group = machine.Cgroup("demo/redis")
        self.home = machine.Cgroup("demo/home")
        for group in (self.group, self.home):
            group.write("cpuset.mems", f"{OLD[0]}-{OLD[1]}")
        self.engine = self.group.has(moves.STAT)
        self.instruments = [machine.cpus(node)[-1] for node in OLD]
        machine.keep_for_instruments(self.instruments)
        self.server = server.Server(self.group)
        half = DATA // 2
        for node in OLD:
            self.group.write("cpuset.cpus", machine.cpus(node)[0])
            used = self.server.used()
            self.server.fill(half)
            used = (self.server.used() - used) / (1 << 20)
            self.step(f"stored {used:.0f} MiB while redis-server ran on node {node}")
        self.home.write("cpuset.cpus", machine.cpus(OLD[-1])[0])
        used = self.server.used()
        self.result["data_bytes"] = used
        self.require(used >= AT_LEAST, f"only {used} bytes of data were stored")

    def look(self, name):
        """Where the server's pages are now."""
        found = placement.Placement(self.server.pid)
        self.result["placement"][name] = {
            "mebibytes": found.mebibytes(),
            "runs": found.runs(),
        }
        return found

    def move(self, name, old, new, do):
        """Move the memory with `do`, look before and after, and judge."""
        self.result["moves"][name] = move = {"from": old, "to": new}
        before = self.look(f"before {name}")
        self.detail(f"before: {by_node(before.mebibytes())} MiB")
        window = do(move)
        move["window"] = window
        self.detail(f"{window[1] - window[0]:.2f} s")
        after = self.look(f"after {name}")
        self.detail(f"after:  {by_node(after.mebibytes())} MiB")
        move["pages"] = placement.compare(before, after, dict(zip(old, new)))
        self.judge_move(name, move)

    def judge_move(self, name, move):
        """What stayed and why, and whether every page is where it belongs."""
        stayed = {
            reason.removeprefix("migrate_"): pages
            for reason, pages in move["counted"].items()
            if pages and reason.startswith(("migrate_skip", "migrate_fail"))
        }
        text = ", ".join(f"{pages} pages {name}" for name, pages in stayed.items())
        if move["counted"]:
            self.detail(f"stayed, and why: {text or 'nothing'}")
        else:
            self.detail("this kernel does not say what stayed or why")
        pages, old, new = move["pages"], move["from"], move["to"]
        judged = pages["pages"] - pages["strays"]
        lost, outside = judged - pages["kept"], pages["outside"]
        self.detail(
            f"relative place, node {old[0]} to {new[0]} and {old[1]} to {new[1]}: "
            f"kept by {pages['kept']} of {judged} pages"
        )
        self.detail(f"outside the new nodes: {outside} of {pages['pages']} pages")
        skipped = sum(n for why, n in stayed.items() if why.startswith("skip"))
        move["skipped"] = skipped if move["counted"] else None
        self.require(
            lost - skipped <= TOLERATED * judged,
            f"{name}: {lost} of {judged} pages lost their relative place",
        )
        self.require(
            outside - skipped <= TOLERATED * judged,
            f"{name}: {outside} of {pages['pages']} pages are outside the new nodes",
        )

    def change_nodes(self, move):
        """Change the nodes of the group: with the command, or on stock with a write."""
        wanted = f"{NEW[0]}-{NEW[1]}"
        if not self.engine:
            self.step(f"$ echo {wanted} > {self.group.path}/cpuset.mems")
            with moves.Watch(self.group, self.demo, self.progress) as watch:
                window = moves.by_write(self.group, "cpuset.mems", wanted)
            self.keep(move, watch)
            return window
        words = ["cgmigrate", "move", "/demo/redis", "--to", wanted]
        self.step(f"$ {' '.join(words)}")
        with moves.Watch(self.group, self.demo) as watch:
            status, command, lines = moves.by_command(words, self.live)
        self.story += lines
        self.keep(move, watch)
        move["command"] = {"status": status, "window": command}
        self.require(status == 0, f"cgmigrate ended with status {status}, not 0")
        self.require(watch.ended, f"{moves.EVENTS} reported no end of the move")
        return watch.window or command

    def attach(self, move):
        """Put the server into a group that has the old nodes."""
        self.step(f"$ echo {self.server.pid} > {self.home.path}/cgroup.procs")
        with moves.Watch(self.home, self.demo, self.progress) as watch:
            window = moves.by_write(self.home, "cgroup.procs", self.server.pid)
        self.keep(move, watch)
        return window

    def progress(self, mebibytes):
        """Where the memory is meanwhile."""
        print(f"         {by_node(mebibytes)} MiB", flush=True)

    @staticmethod
    def keep(move, watch):
        """What a watch saw, into the results."""
        move["progress"] = watch.samples
        move["events"] = watch.ended
        move["counted"] = watch.moved

    def run(self):
        """All of it."""
        self.result.update(placement={}, moves={})
        self.prepare()
        digest = self.server.digest()
        self.step(f"digest {digest}")
        client = child.Child(
            {self.instruments[0]}, traffic.requests, self.server.content
        )
        probe = child.Child({self.instruments[1]}, traffic.probe)
        self.step(
            f"{traffic.REQUESTS_PER_SECOND} requests a second, "
            f"{traffic.PROBES_PER_SECOND} unrelated mkdir a second; "
            f"{IDLE_SECONDS} s without a move"
        )
        idle = [time.monotonic() + 1, time.monotonic() + 1 + IDLE_SECONDS]
        time.sleep(IDLE_SECONDS + 1)
        self.move("mems", OLD, NEW, self.change_nodes)
        time.sleep(QUIET_SECONDS)
        self.move("attach", NEW, OLD, self.attach)
        time.sleep(QUIET_SECONDS)
        client.stop()
        probe.stop()
        answers, probes = client.result(), probe.result()
        self.judge(idle, answers, probes)
        after = self.server.digest()
        self.step(f"digest {after}: {'unchanged' if after == digest else 'CHANGED'}")
        self.require(after == digest, f"the digest was {digest} and is now {after}")
        self.result["digest"] = [digest, after]
        self.server.stop()

    def judge(self, idle, answers, probes):
        """Latencies of each window, and whether every answer was right."""
        self.result["samples"] = {"requests": answers.pop("samples"), "probes": probes}
        self.result["answers"] = answers
        windows = {name: move["window"] for name, move in self.result["moves"].items()}
        windows = {"idle": idle, **windows}
        self.result["windows"] = windows
        self.step("server's answers, and mkdir of an unrelated cgroup")
        for name, window in windows.items():
            requests = traffic.milliseconds(self.result["samples"]["requests"], window)
            made = traffic.milliseconds(probes, window)
            removed = traffic.milliseconds(
                [[sample[0] + sample[1], sample[2]] for sample in probes], window
            )
            self.result.setdefault("latency", {})[name] = {
                "request": requests,
                "mkdir": made,
                "rmdir": removed,
            }
            self.detail(f"{name:7} request {in_milliseconds(requests)}")
            self.detail(f"{name:7} mkdir   {in_milliseconds(made)}")
        self.detail(
            f"{answers['wrong']} wrong answers, {answers['lost']} lost writes "
            f"({answers['written']} writes to {answers['stamps']} values)"
        )
        self.require(not answers["wrong"], f"{answers['wrong']} answers were wrong")
        self.require(not answers["lost"], f"{answers['lost']} writes were lost")


def main():
    """Run it; 0 when everything was as it has to be, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", metavar="FILE", help="where the results go")
    parser.add_argument("--live", action="store_true", help="progress as it comes")
    options = parser.parse_args()
    scenario = Scenario(options.live)
    try:
        scenario.run()
    finally:
        temporary = f"{options.output}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(scenario.result, file)
        os.replace(temporary, options.output)
    return 1 if scenario.problems else 0


if __name__ == "__main__":
    sys.exit(main())
