# SPDX-License-Identifier: GPL-2.0
"""The command as somebody uses it who sits at a terminal."""

import os
import re
import shutil

import pytest

from conftest import BUILD
from moving import MEMS, STOP, moves_are, moves_end, wait_until, written
from terminal import PROMPT, Terminal
from test_apply import Jobs
from tree import MIB

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
COMPLETION = os.path.join(SOURCE, "tools/cgmigrate/cgmigrate.bash-completion")
PAGES = os.path.join(SOURCE, "Documentation/man")
BIN = os.path.abspath(os.path.join(BUILD, "bin"))
PATH = f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def terminal():
    """A shell in the tree, so that commands are short: --sysroot ."""
    opened = []

    def start(tree, **more):
        opened.append(Terminal(cwd=tree.path, PATH=PATH, **more))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def settings(term):
    """How the terminal is set: that which programs change and should restore."""
    code, lines = term.run("stty", "-g")
    assert code == 0
    return lines, term.state("cursor_flag"), term.state("alternate_on")


# ---- show --watch ----


@pytest.fixture
def busy(machine):
    for n in range(40):
        charged = {"anon": [n * MIB + MIB, 0, 0, 0]}
        machine.cgroup(f"/job{n}", "0", charged=charged)
    return machine


def watch(term, *args):
    term.run("true")
    term.type(f"cgmigrate show --watch=100ms --sysroot . {' '.join(args)}")
    term.key("Enter")
    term.see("q quits")


def test_watch_shows_the_largest_below_a_heading(busy, terminal):
    term = terminal(busy)
    watch(term)
    lines = term.lines()
    assert len(lines) == 30 - 1 and lines[0].split()[:2] == ["CGROUP", "MEMS"]
    assert lines[1].startswith("/db ") and lines[2].startswith("/web ")
    # All 42 but those on the lines between heading and status.
    status = r"\d\d:\d\d:\d\d  q quits  1-27 of 42: j, k, PgDn, PgUp scroll"
    assert re.fullmatch(status, lines[-1])
    assert "\033[7m" in term.colours().splitlines()[28], "the last line stands out"
    assert term.state("cursor_flag") == "0" and term.state("alternate_on") == "1"


def test_watch_follows(busy, terminal):
    term = terminal(busy)
    watch(term)
    assert "777.0M" not in term.text()
    busy.charge("/job3", {"anon": [0, 777 * MIB, 0, 0]})
    term.see("777.0M")
    assert term.lines()[1].split() == "/job3 0 777.0M - 777.0M* - - 777.0M".split()
    for n in range(40):
        shutil.rmtree(f"{busy.path}/sys/fs/cgroup/job{n}")
    term.until(lambda: len(term.lines()) == 4)
    lines = term.lines()
    assert [line.split()[0] for line in lines[:-1]] == ["CGROUP", "/db", "/web"]
    assert lines[-1].endswith("q quits"), "nothing of the longer table is left"


def test_watch_in_windows_of_other_sizes(busy, terminal):
    term = terminal(busy)
    watch(term)
    for columns, height in ((60, 12), (30, 5), (160, 50)):
        term.resize(columns, height)
        rows = min(height - 3, 42)
        if rows < 42:
            term.see(f"q quits  1-{rows} of 42")
        else:
            term.until(lambda: len(term.lines()) == 44)
        lines = term.lines()
        assert len(lines) == rows + 2
        assert lines[0].startswith("CGROUP") and lines[1].startswith("/db ")
        assert all(line.startswith("/") for line in lines[1:-1]), "no line is broken"
    term.key("q")
    term.until(lambda: term.state("alternate_on") == "0")


@pytest.mark.parametrize("key", ["q", "Q", "C-c"])
def test_watch_leaves_the_terminal_as_it_was(busy, terminal, key):
    term = terminal(busy)
    before = settings(term)
    watch(term)
    term.type("xyz")
    term.key("Up")
    busy.charge("/job3", {"anon": [777 * MIB, 0, 0, 0]})
    term.see("777.0M")
    term.key(key)
    term.until(lambda: term.text().endswith("\n" + PROMPT.rstrip()))
    assert "CGROUP" not in term.text(), "what was there before is there again"
    assert "--watch" in term.text()
    code, _ = term.ended()
    assert code == 0
    assert settings(term) == before == (before[0], "1", "0")
    assert term.run("echo", "typed and seen") == (0, ["typed and seen"])


def test_watch_is_suspended(busy, terminal):
    term = terminal(busy)
    before = settings(term)
    watch(term)
    term.key("C-z")
    term.see("Stopped")
    assert settings(term) == before
    term.type("fg")
    term.key("Enter")
    term.see("q quits")
    assert term.lines()[0].startswith("CGROUP") and term.state("cursor_flag") == "0"
    term.key("q")
    term.until(lambda: term.state("alternate_on") == "0")
    assert settings(term) == before


def shown(term, height, total):
    """The first words of the lines of a table that is too long for so many rows."""
    rows = height - 3
    term.see(f"q quits  1-{rows} of {total}: j, k, PgDn, PgUp scroll")
    term.until(lambda: len(term.lines()) == height - 1)
    lines = term.lines()
    assert lines[0].split()[:2] == ["CGROUP", "MEMS"] and "q quits" in lines[-1]
    return [line.split()[0] for line in lines[1:-1]]


@pytest.mark.parametrize("height, other, key", [(24, 50, "q"), (50, 24, "C-c")])
def test_watch_a_thousand(empty, terminal, height, other, key):
    for n in range(1000):
        empty.cgroup(f"/job{n}", "0", charged={"anon": [n * MIB + MIB, 0, 0, 0]})
    term = terminal(empty, columns=80, lines=height)
    before = settings(term)
    watch(term)
    for rows in (height, other, height):
        term.resize(80, rows)
        largest = [f"/job{999 - n}" for n in range(rows - 3)]
        assert shown(term, rows, 1000) == largest
    history = term.state("history_size")
    for n in range(3):
        empty.charge(f"/job{n}", {"anon": [(2048 + n) * MIB, 0, 0, 0]})
        term.see(f"/job{n} ")
        largest = [f"/job{n}", *largest[:-1]]
        term.until(lambda: shown(term, height, 1000) == largest)
    assert term.state("history_size") == history, "nothing has left it at the top"
    term.key(key)
    term.until(lambda: term.state("alternate_on") == "0")
    assert term.ended()[0] == 0
    assert settings(term) == before


# ---- show ----


def test_strays_are_red(machine, terminal):
    term = terminal(machine)
    code, lines = term.run("cgmigrate", "show", "--sysroot", ".")
    assert code == 0 and lines[1].split()[3] == "8.0M*"
    red = re.findall("\033\\[31m([^\033]*)\033", term.colours())
    assert [part.strip() for part in red] == ["8.0M*"]
    code, plain = term.run("env", "NO_COLOR=1", "cgmigrate", "show", "--sysroot", ".")
    assert plain == lines and "\033" not in term.colours()
    watch(term)
    assert re.search("\033\\[31m *8.0M", term.colours())
    term.key("q")
    term.until(lambda: term.state("alternate_on") == "0")


# ---- move, and Ctrl-C ----

HALF = "migrate_moved 20480\n"
LEFT = f"{HALF}migrate_left 20480\n"
WAYS = [
    "to finish:  cgmigrate settle /web",
    "to go back: cgmigrate move /web --to 0-1",
]


@pytest.fixture
def moving(kernel, terminal):
    """A move of /web, of 160 MiB, that the kernel has not ended."""
    term = terminal(kernel)
    term.before = settings(term)
    kernel.engine("/web", pending=1)
    term.key("C-l")
    term.until(lambda: term.text() == PROMPT.rstrip())
    term.type("cgmigrate move /web --to 2-3 --sysroot . --write-sysroot")
    term.key("Enter")
    term.see("  0 of 160.0M  0%")
    return term


def ended(term):
    """Its exit status and what it wrote; the terminal is as it was before."""
    code, lines = term.ended()
    assert settings(term) == term.before
    assert not any("%" in line or "^C" in line for line in lines), "nothing of progress"
    return code, lines


def interrupt(term, kernel):
    """What is on the screen while a move is told to stop."""
    term.key("C-c")
    wait_until(lambda: kernel.read(STOP) == "1")
    term.see("  stopping")
    return term.lines()


def test_progress_of_a_move(kernel, moving):
    before = moving.lines()
    assert before[1].startswith("/web: nodes 0-1 -> 2-3, 2 processes, 160.0M to move")
    moves_are(kernel, 1, HALF)
    moving.see("  80.0M of 160.0M  50%")
    assert moving.lines()[:-1] == before[:-1], "it is one line, written over"
    assert re.search(r"50%  \S+/s  ETA \d+:\d\d$", moving.text())
    moves_end(kernel, "migrate_moved 40960\n")
    code, lines = ended(moving)
    assert code == 0 and any(line.startswith("done: 160.0M moved") for line in lines)


def test_progress_of_a_job_that_is_waited_for(kernel, begin, terminal):
    begin("--to", "2-3")
    written(kernel, "2-3")
    moves_are(kernel, 1, HALF)
    term = terminal(kernel)
    term.run("true")
    term.type("cgmigrate wait j1 --sysroot . --write-sysroot")
    term.key("Enter")
    term.see("  80.0M of 160.0M  50%")
    moves_end(kernel, "migrate_moved 40960\n")
    code, lines = term.ended()
    assert code == 0 and not any("%" in line for line in lines)


def test_ctrl_c_stops_a_move(kernel, moving):
    moves_are(kernel, 1, HALF)
    moving.see("50%")
    lines = interrupt(moving, kernel)
    assert lines[-1].startswith("  80.0M of 160.0M  50%") and "^C" not in lines[-1]
    moves_end(kernel, LEFT)
    code, lines = ended(moving)
    assert code == 5
    (last,) = [n for n, line in enumerate(lines) if line.startswith("cancelled: 80.0M")]
    assert lines[-2:] == WAYS
    assert "not looked at: the move was stopped" in "\n".join(lines[:last])


def test_ctrl_c_twice_leaves_a_move(kernel, live, moving):
    interrupt(moving, kernel)
    moving.key("C-c")
    code, lines = ended(moving)
    assert code == 5
    assert lines[-3:] == ["left: told to stop, not waited for: job j1", *WAYS]
    moves_end(kernel, LEFT)
    wait_until(lambda: live.json("report")["jobs"][0]["state"] == "cancelled")
    for way, mems in zip(WAYS, ("2-3", "0-1")):
        assert live(*way.split("cgmigrate ")[1].split()).returncode == 0
        assert kernel.read(MEMS) == mems


# ---- map ----


def test_map_in_colour_and_without(machine, terminal):
    term = terminal(machine)
    code, lines = term.run("cgmigrate", "map", "--sysroot", ".", "/web")
    assert code == 0 and lines[0].startswith("process 100 (httpd), allowed on 0-3")
    assert set(lines[2][:64]) == {"0"} and lines[2][64:] == "  anonymous"
    coloured = term.colours()
    assert re.search("\033\\[38;5;16m\033\\[48;5;\\d+m0", coloured)
    code, plain = term.run(
        "env", "NO_COLOR=1", "cgmigrate", "map", "--sysroot", ".", 100
    )
    assert plain == lines
    assert "\033" not in term.colours()


def test_map_fits_the_window(machine, terminal):
    name = "/usr/lib/postgresql/16/lib/bitcode/contrib/postgres_fdw.so"
    machine.process(100, "httpd", [(name, {0: 600, 1: 500}, "mapped=1")])
    term = terminal(machine)
    for columns in (100, 70, 40):
        term.resize(columns, 60)
        # tmux takes its time to tell those who are in the window.
        term.until(lambda: term.run("stty", "size")[1] == [f"60 {columns}"])
        code, lines = term.run("cgmigrate", "map", "--sysroot", ".", 100)
        start = next(n for n, line in enumerate(lines) if re.match("0{16}", line))
        rows = lines[start:]
        assert code == 0 and sum(len(re.match("[01]*", row)[0]) for row in rows) == 550
        assert all(re.match("[01]{16}", row) for row in rows[:-1]), "no row is broken"
        assert rows[0].endswith("postgres_fdw.so"[-10:])


# ---- plan, apply, undo ----


def test_plan_apply_and_undo(tmp_path, terminal):
    jobs = Jobs(tmp_path / "tree")
    jobs.job("/database", "0-1", 200, 180)
    jobs.job("/batch", "2-3", 0, 0, 90, 80)
    term = terminal(jobs)
    code, lines = term.run("cgmigrate", "undo", "--sysroot", ".", "--write-sysroot")
    assert (code, lines) == (0, ["nothing to do: there is no apply to undo"])
    swap = ("--swap", "/database", "/batch", "--sysroot", ".")
    assert term.run("cgmigrate", "plan", *swap, "-o", "p.json")[0] == 0
    code, lines = term.run("cgmigrate", "plan", *swap)
    table = [line.split() for line in lines if line]
    assert code == 0 and table[1][:6] == "1 move /database 0-1 2-3 380.0M".split()
    assert jobs.mems("/database") == "0-1"
    term.type("clear; cgmigrate apply p.json --sysroot . --write-sysroot")
    term.key("Enter")
    term.see("done: ")
    assert "1: move /database 0-1 -> 2-3" in term.text()
    assert jobs.all_mems() == {"/database": "2-3", "/batch": "0-1"}
    code, lines = term.run("cgmigrate", "undo", "--sysroot", ".", "--write-sysroot")
    assert code == 0 and lines[-1].startswith("done: ")
    assert jobs.all_mems() == {"/database": "0-1", "/batch": "2-3"}


# ---- what is typed wrongly ----


@pytest.mark.parametrize(
    "words, said",
    [
        ("shwo", "no such verb"),
        ("show --frobnicate", "cgmigrate show --help"),
        ("show /nowhere", "/nowhere: no such"),
        ("map", "no target named"),
        ("show --watch=soon", "--watch"),
        ("move /web --to 9", "node 9 has no memory here"),
    ],
)
def test_wrong_arguments(machine, terminal, words, said):
    term = terminal(machine)
    code, lines = term.run(*f"cgmigrate {words} --sysroot .".split())
    assert code not in (0, 127) and len(lines) <= 3, "it is short"
    assert any(line.startswith("cgmigrate: ") for line in lines)
    assert said in " ".join(lines)


# ---- completion ----


@pytest.fixture
def completing(tmp_path, terminal, machine):
    """A shell that completes, with cgroups /web, /web/inner and /db and job j7."""
    for name in ("cgroup/web/inner", "cgroup/db", "jobs"):
        (tmp_path / "there" / name).mkdir(parents=True)
    (tmp_path / "there/jobs/j7.json").write_text("{}")
    mounts = tmp_path / "there/mounts"
    mounts.write_text(f"none {tmp_path}/there/cgroup cgroup2 rw 0 0\n")
    jobs = str(tmp_path / "there/jobs")
    term = terminal(machine, CGMIGRATE_MOUNTS=str(mounts), CGMIGRATE_JOBS=jobs)
    term.run(".", COMPLETION)
    term.run("true")
    return term, tmp_path / "there/cgroup"


@pytest.mark.parametrize(
    "typed, completed",
    [
        ("cgmigrate feat", "cgmigrate features"),
        ("cgmigrate show --wat", "cgmigrate show --watch"),
        ("cgmigrate show /w", "cgmigrate show /web"),
        ("cgmigrate show /web/", "cgmigrate show /web/inner"),
        ("cgmigrate cancel j", "cgmigrate cancel j7"),
        ("cgmigrate show @roo", "cgmigrate show @root"),
        ("cgmigrate show --by v", "cgmigrate show --by vma"),
        ("cgmigrate show --by=v", "cgmigrate show --by=vma"),
        ("cgmigrate move /web --into=/d", "cgmigrate move /web --into=/db"),
        ("cgmigrate move /web --into /d", "cgmigrate move /web --into /db"),
    ],
)
def test_tab(completing, typed, completed):
    term, _ = completing
    term.type(typed)
    term.key("Tab")
    term.see(PROMPT + completed)
    assert term.lines()[-1] == PROMPT + completed


def test_tab_twice_lists_the_verbs(completing):
    term, _ = completing
    term.type("cgmigrate ")
    term.key("Tab", "Tab")
    term.see("settle")
    assert {"show", "map", "undo", "features"} <= set(term.text().split())


@pytest.mark.parametrize("name", ["$(touch seen)", "`touch seen`", "two words", "a;b"])
def test_names_are_completed_as_one_word(completing, machine, name):
    """Whoever may make a cgroup below theirs must not run a command of root's."""
    term, cgroups = completing
    (cgroups / "web" / name).mkdir()
    (cgroups / "web/inner").rmdir()
    term.type("cgmigrate show --sysroot . /web/")
    term.key("Tab")
    term.until(lambda: not term.lines()[-1].endswith("/web/"))
    term.key("Enter")
    term.see("no such")
    assert f"/web/{name}: no such" in term.text()
    assert not os.path.exists(f"{machine.path}/seen")


# ---- man pages ----


def test_man(tmp_path, machine, terminal):
    for page in os.listdir(PAGES):
        folder = tmp_path / "man" / f"man{page[-1]}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.join(PAGES, page), folder)
    term = terminal(machine, MANPATH=str(tmp_path / "man"), MANPAGER="less")
    for name, words in (("cgmigrate", "cgmigrate show"), ("cgmigrate-plan", "--swap")):
        term.type(f"clear; man {name}")
        term.key("Enter")
        term.see(f"{name.upper()}(8)")
        assert "NAME" in term.text() and "SYNOPSIS" in term.text()
        assert words in term.text()
        term.key("q")
        term.until(lambda: term.state("alternate_on") == "0")
