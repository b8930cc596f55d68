# SPDX-License-Identifier: GPL-2.0
"""The model of the engine's jobs: it is right, and what would be wrong is seen."""

import glob
import os
import re
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "job.pml")
ENGINE = os.path.join(HERE, "..", "..", "kernel", "cpuset-migrate")
# What the engine does not do itself, or the model has to say in another way.
OWN = """invariants_of_job invariants_of_part invariants_of_change invariants
    change_busy_inc change_busy_dec choose_deny job_put_on job_may_run mm_users_dec
    mmput_last change_make writer holder stopper exiter forker final"""
# Faster to compile than to run, and the other way round
QUICK, THOROUGH = "-O0", "-O2"
SAFETY = ["-DSAFETY"]
# Weak fairness, for up to as many processes as there are
LIVENESS = ["-DNFAIR=4"]


class Searcher:
    """Searches every state of the model, with some bounds."""

    def __init__(self, folder):
        self.folder = str(folder)

    def run(self, *command):
        """What a program says on its standard output."""
        done = subprocess.run(
            command, cwd=self.folder, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    def compile(self, bounds, options):
        """Make the program that searches."""
        defines = [f"-D{name}={value}" for name, value in bounds.items()]
        self.run("spin", "-a", *defines, MODEL)
        memory = ["-DCOLLAPSE", "-DVECTORSZ=4096", "-DMEMLIM=8000"]
        self.run("gcc", "-w", *options, *memory, "-o", "pan", "pan.c")

    def search(self, *options):
        """Search. Return the error, or None, and the number of states."""
        said = self.run("./pan", "-n", "-m1000000", *options)
        errors = re.search(r"errors: (\d+)", said)
        states = re.search(r"(\d+) states, stored", said)
        assert errors and states, said
        if int(errors[1]):
            return re.search(r"pan:1: (.*)", said)[1], int(states[1])
        for incomplete in ("Search not completed", "max search depth too small"):
            assert incomplete not in said, said
        return None, int(states[1])


@pytest.fixture
def searcher(tmp_path):
    return Searcher(tmp_path)


def name(bounds):
    """A test's name."""
    return "-".join(f"{key.lower()}{value}" for key, value in bounds.items()) or "plain"


SMALL = [
    {"CHUNKS": 2},
    {"EXIT": 1},
    {"HOLD": 2},
    {"HOLD": 1, "FAILS": 1, "EXIT": 1, "CHANGES": 1},
    {"STOP": 1, "LEVELS": 2},
    {"FORK": 1, "MMS": 2, "EXIT": 1, "CHANGES": 1},
]

LARGE = [
    {"CHANGES": 3},
    {"CHUNKS": 2, "EXIT": 1},
    {"CHUNKS": 2, "STOP": 1, "HOLD": 2},
    {"HOLD": 2, "EXIT": 1},
    {"FAILS": 2, "KILL": 1},
    {"FAILS": 2, "HOLD": 1, "STOP": 1},
    {"FAILS": 1, "EXIT": 1, "STOP": 1},
    {"HOLD": 1, "LEVELS": 2},
    {"STOP": 1, "LEVELS": 2, "HOLD": 1},
    {"MMS": 2},
    {"MMS": 2, "PARTS": 2, "CHANGES": 1, "EXIT": 2, "HOLD": 1, "STOP": 1},
    {"MMS": 2, "FORK": 1},
    {"MMS": 2, "FORK": 1, "CHANGES": 1, "CHUNKS": 2, "HOLD": 2, "STOP": 1},
]


def check(searcher, bounds, optimise):
    searcher.compile(bounds, [optimise, *SAFETY])
    error, states = searcher.search()
    assert error is None
    print(f"{states} states")


@pytest.mark.parametrize("bounds", SMALL, ids=name)
def test_nothing_is_wrong(searcher, bounds):
    check(searcher, bounds, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("bounds", LARGE, ids=name)
def test_nothing_is_wrong_with_more(searcher, bounds):
    check(searcher, bounds, THOROUGH)


@pytest.mark.parametrize("claim", ["returns", "ends"])
def test_everything_ends(searcher, claim):
    """Whoever can go on for ever does so at last: then all do."""
    bounds = {"CHANGES": 1, "HOLD": 2, "FAILS": 1, "EXIT": 1, "LIVENESS": 1}
    searcher.compile(bounds, [QUICK, *LIVENESS])
    error, _ = searcher.search("-a", "-f", "-N", claim)
    assert error is None


# What is broken; where; and what is said about it
BROKEN = {
    "no wake-up": (1, {}, "writers==0"),
    "released but not busy": (2, {"HOLD": 2}, "busy"),
    "ended but in the line": (3, {"FAILS": 1}, "line"),
    "who is behind is forgotten": (4, {}, "i_place"),
    "who is behind does not know of the exit": (5, {"EXIT": 1}, "exited"),
    "ended before its part closes": (6, {}, "nr_jobs"),
    "held and ended, not busy twice": (7, {"HOLD": 2}, "busy"),
    "held from below": (8, {"LEVELS": 2, "HOLD": 1}, "moved"),
    "stopped from below": (9, {"LEVELS": 2, "STOP": 1}, "stopped_at"),
    "the change before is forgotten": (10, {"CHUNKS": 2}, "t_map"),
    "started after stop": (11, {"STOP": 1}, "stopped"),
    "no memory barrier": (12, {"EXIT": 1, "CHANGES": 1}, "gone"),
    "held over exit": (13, {"EXIT": 1, "HOLD": 1, "CHANGES": 1}, "users"),
    "held but busy": (14, {"HOLD": 1, "CHANGES": 1}, "busy"),
    "swept but busy": (15, {"FORK": 1, "MMS": 2, "CHANGES": 1}, "closing"),
    "released but not looked at": (16, {"HOLD": 2, "CHANGES": 1}, "state|held"),
    "goes on with somebody behind": (17, {"CHUNKS": 2}, "next"),
    "no sweep": (18, {"FORK": 1, "MMS": 2, "CHANGES": 1}, "moved"),
}
FEW = ["no wake-up", "stopped from below", "no memory barrier", "held over exit"]


def broken(which):
    marks = [] if which in FEW else [pytest.mark.long]
    return pytest.param(*BROKEN[which], marks=marks, id=which.replace(" ", "-"))


@pytest.mark.parametrize("bug, bounds, said", [broken(which) for which in BROKEN])
def test_what_is_wrong_is_seen(searcher, bug, bounds, said):
    """The model is broken in one place; some check notices, and the right one."""
    searcher.compile({**bounds, "BUG": bug}, [QUICK, *SAFETY])
    error, _ = searcher.search()
    assert error and re.search(said, error), error


def sources():
    """The text of the engine, without its own tests."""
    paths = glob.glob(f"{ENGINE}/*.[ch]") + glob.glob(f"{ENGINE}/include/linux/*.h")
    text = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text.append(file.read())
    return "\n".join(text)


def test_names_are_those_of_the_code():
    """Whoever reads one finds the other: states, and what changes them."""
    with open(MODEL, encoding="utf-8") as file:
        model = file.read()
    code = sources()

    states = re.search(r"mtype = {(.* ENDED.*)}", model)[1].replace(",", "").split()
    assert {f"CM_JOB_{state}" for state in states[1:-1]} == set(
        re.findall(r"\bCM_JOB_\w+", code)
    )
    steps = set(re.findall(r"^(?:active )?(?:inline|proctype) (\w+)", model, re.M))
    functions = set(re.findall(r"\b(\w+)\(", code))
    assert steps - functions == set(OWN.split())
