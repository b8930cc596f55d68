# SPDX-License-Identifier: GPL-2.0
"""Tests of the actors, on this machine and without moving anything: right memory is
found right, and a word that is wrong is found and named."""

import os
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

# The modules lie beside this file.
import jobs  # noqa: E402
import outcome  # noqa: E402
import rows  # noqa: E402
from witness import CALM, END, LEAVE, Actors, Board, Pulse, sum_up  # noqa: E402

PRIVATE = ["anon", "locked"]
SHARED = ["memfd", "sysv", "cache-shmem"]
FOUND_SECONDS = 60


def every_op():
    """All operations there are."""
    names = list(rows.ALWAYS)
    for table in (rows.MOVER_OPS, rows.DISTURBER_OPS):
        names += [op for ops in table.values() for op in ops]
    return names


@pytest.fixture(name="play")
def play_(tmp_path):
    """Start actors: play(kinds, roles); nobody stays."""
    started = []

    def play(kinds, roles=(), ops=None, seed=1):
        board = Board(str(tmp_path / f"board{len(started)}"), seed)
        actors = Actors(board, [0])
        started.append(actors)
        for kind in kinds:
            actors.keep(kind, ops or every_op(), str(tmp_path), [])
        for role in roles:
            actors.act(role, [])
        return board, actors

    yield play
    for actors in started:
        actors.board.phase(LEAVE)
        actors.end()


def wait_for(condition):
    """Until it holds; whether it did in time."""
    end = time.monotonic() + FOUND_SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def finish(board, actors):
    """Their end, in order; the status of each."""
    for phase, processes in ((CALM, actors.outsiders), (END, actors.keepers)):
        board.phase(phase)
        assert wait_for(lambda: len(actors.ended(processes)) == len(processes))
    return {*actors.outsiders.values(), *actors.keepers.values()}


@pytest.mark.parametrize("kinds", [PRIVATE, SHARED], ids=["private", "shared"])
def test_right_memory_is_right(play, kinds):
    board, actors = play(kinds)
    time.sleep(3)
    for process in finish(board, actors):
        assert process.returncode == 0
    found = board.show()
    assert found["failure"] is None
    total = sum_up(found["slots"])
    assert total["bytes_checked"] > 1 << 24
    assert total["operations"]["write"]["done"] > 20
    assert total["processes"] == 2 * len(kinds)


@pytest.mark.parametrize(
    "role, named",
    [
        ("corrupt", "nothing that anybody here wrote"),
        ("misplace", "page "),
        ("stale", "generation "),
    ],
)
@pytest.mark.parametrize("kind", ["anon", "memfd"])
def test_wrong_memory_is_found(play, kind, role, named):
    """And everything stops, with its name, address and page."""
    board, actors = play([kind], [role], ["write", "check"])
    assert wait_for(lambda: board.show()["failure"])
    failure = board.show()["failure"]
    slot = board.show()["slots"][str(failure["slot"])]
    assert slot["name"].startswith(kind)
    assert failure["named"].startswith(named)
    assert failure["found"] != failure["expected"]
    assert slot["addr"] <= failure["address"] < slot["addr"] + slot["pages"] * 4096
    assert (failure["address"] - slot["addr"]) // 4096 == failure["page"]
    assert "pagemap" in failure["kernel"]
    assert wait_for(lambda: actors.ended(actors.outsiders))
    # The one that saw it waits, so that it can be looked at.
    assert os.path.exists(f"/proc/{failure['pid']}")
    assert not actors.ended(actors.keepers)
    board.phase(LEAVE)
    assert wait_for(lambda: actors.ended(actors.keepers))
    assert all(process.returncode for process in actors.keepers.values())


def test_killed_workers_come_back(play):
    """What they had locked is repaired, and the others see nothing wrong."""
    board, actors = play([*PRIVATE, *SHARED], ["kill"])
    assert wait_for(
        lambda: sum(slot["killed"] for slot in board.show()["slots"].values()) >= 3
    )
    time.sleep(1)
    for process in finish(board, actors):
        assert process.returncode == 0
    assert board.show()["failure"] is None


def test_operations_are_repeatable(play):
    """The same seed: the same operations with the same pages, whatever they take."""

    def did(seed):
        board, actors = play(["anon"], seed=seed, ops=["write", "check", "dontneed"])
        found = {}
        while len(found) < 60:
            slot = board.show("traces")["slots"].get("0", {"trace": [], "traced": 0})
            lines = [line.split(": ", 1)[1] for line in slot["trace"]]
            found.update(enumerate(lines, slot["traced"] - len(lines)))
        finish(board, actors)
        return found

    first, again, other = did(3), did(3), did(4)
    both = set(first) & set(again)
    assert len(both) > 20
    assert [first[number] for number in both] == [again[number] for number in both]
    both = set(first) & set(other)
    assert [first[number] for number in both] != [other[number] for number in both]


def test_pulse():
    """Nobody gets on for too many looks; one that has ended does not have to."""
    slots = {"0": {"name": "a", "pid": 1, "beats": 1, "now": "write"}}
    pulse = Pulse(2)
    assert [pulse.look(slots) for _ in range(3)] == [[], [], []]
    assert pulse.look(slots)[0].startswith("a (slot 0, pid 1, in 'write')")
    slots["0"]["beats"] = 2
    assert not pulse.look(slots)
    slots["0"]["pid"] = 0
    assert not any(pulse.look(slots) for _ in range(5))


PLAN = rows.Row(1, ("anon",), ("mems",), ("kill",), {"thp": "never"})


class Options:
    """Of a run."""

    seed, kernel, seconds = 1, "engine", 60

    def __init__(self, out):
        self.out = str(out)


ROW = '{"number": 0, "account": {"migrate_moved": 2, "x_max_usec": 3}}\n'
BAD = '{"number": 1, "failed": "a wrong word", "report": ["x"]}\n'


def not_ended(number):
    """What is said of a row that the guest did not get through."""
    return f"row {number} did not end: {PLAN.text()}"


@pytest.mark.parametrize(
    "text, wanted, status, why",
    [
        (ROW, 1, 0, []),
        (ROW + ROW, 2, 0, []),
        (ROW + BAD, 3, 1, ["row 1: a wrong word"]),
        (ROW + BAD, 2, 255, ["row 1: a wrong word", jobs.meaning(255)]),
        (ROW, 2, 0, [not_ended(1)]),
        (ROW, 1, 3, ["exit status 3"]),
        (ROW, 1, 255, [jobs.meaning(255)]),
        (ROW + '{"numb', 2, 124, [jobs.meaning(124), not_ended(1)]),
        ("", 1, 0, [not_ended(0)]),
    ],
)
def test_results(tmp_path, text, wanted, status, why):
    """Nothing that ended badly, or did not run, is good."""
    (tmp_path / "rows.jsonl").write_text(text)
    found = outcome.collect(Options(tmp_path), [PLAN] * wanted, status, 1)
    assert (found["good"], found["why"]) == (not why, why)
    assert found["account"].get("migrate_moved", 0) == 2 * text.count("moved")
    assert found["account"].get("x_max_usec", 0) == (3 if "moved" in text else 0)
    outcome.write(found, str(tmp_path))
    word = "FAILED" if why else "good"
    assert (tmp_path / "summary.txt").read_text().startswith(word)
