# SPDX-License-Identifier: GPL-2.0
"""Folders, links, names and trees that somebody made who means harm."""

import json
import os
import subprocess

import pytest

from conftest import COMMAND, Command, VALIDATOR
from test_cpus import cpuset, threads
from test_report import RUN, add, record
from tree import MIB

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def shell(script, *args):
    """Run a script in which $1, $2 ... are the arguments."""
    words = ["sh", "-c", script, "sh", *map(str, args)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture
def victim(tmp_path):
    """What must not be written to."""
    file = tmp_path / "victim"
    file.write_text("precious")
    return file


# ---- files that are written ----

WRITERS = {
    "out.json": ["plan", "--evict", "0", "-o"],
    "out.svg": ["map", "/web", "-o"],
    "out.png": ["map", "/web", "-o"],
    "metrics": ["report", "--openmetrics", "--file"],
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_is_not_written_through(run, tmp_path, victim, name):
    out = tmp_path / name
    out.symlink_to(victim)
    result = run(*WRITERS[name], out)
    assert result.returncode == 1, result
    assert "cannot write: Too many levels of symbolic links" in result.stderr
    assert victim.read_text() == "precious" and out.is_symlink()


@pytest.mark.parametrize("name", WRITERS)
def test_nor_one_that_lies_in_wait(run, tmp_path, victim, name):
    """Under the name that a temporary file used to have, with the process's number."""
    folder = tmp_path / "shared"
    folder.mkdir()
    script = 'ln -s "$1" "$2/.$3.$$"; file="$2/$3"; shift 3; exec "$@" "$file"'
    command = [COMMAND, WRITERS[name][0], "--sysroot", run.tree.path]
    result = shell(script, victim, folder, name, *command, *WRITERS[name][1:])
    assert result.returncode == 0, result
    assert victim.read_text() == "precious"
    assert (folder / name).stat().st_size and not (folder / name).is_symlink()
    assert len(list(folder.iterdir())) == 2  # and nothing else is left


def test_what_is_no_file_stays_what_it_is(run, tmp_path):
    fifo = tmp_path / "out.json"
    os.mkfifo(fifo)
    script = 'cat "$1" & shift; "$@" >/dev/null; wait'
    command = [COMMAND, "plan", "--sysroot", run.tree.path, "--evict", "0", "-o", fifo]
    result = shell(script, fifo, *command)
    assert json.loads(result.stdout)["format"] == "cgmigrate-plan-1", result
    assert fifo.is_fifo()


def test_a_long_name(run, tmp_path):
    name = tmp_path / ("x" * 255)
    assert run("plan", "--evict", "0", "-o", name).returncode == 0
    assert json.loads(name.read_text())["command"] == "plan"


def report_to(file):
    return Command()("run", "--report", file, "--", "echo", "ran")


def test_a_report_is_added_to_no_link(tmp_path, victim):
    out = tmp_path / "report"
    out.symlink_to(victim)
    result = report_to(out)
    assert result.returncode == 4 and result.stdout == ""
    assert "a symbolic link is not followed" in result.stderr


def test_nor_to_a_file_with_another_name(tmp_path, victim):
    os.link(victim, tmp_path / "report")
    result = report_to(tmp_path / "report")
    assert result.returncode == 4 and "it has other names too" in result.stderr


@as_root
def test_nor_to_one_of_somebody_else(tmp_path):
    out = tmp_path / "report"
    out.write_text("")
    os.chown(out, NOBODY, NOBODY)
    result = report_to(out)
    assert result.returncode == 4
    assert f"not trusted: it belongs to user {NOBODY}" in result.stderr


def test_nobody_waits_for_a_reader(tmp_path):
    os.mkfifo(tmp_path / "report")
    result = report_to(tmp_path / "report")
    assert result.returncode == 4 and "cannot write" in result.stderr


# ---- files that are believed ----


def give_away(path):
    os.chown(path, NOBODY, NOBODY)


def open_up(path):
    os.chmod(path, os.stat(path).st_mode | 0o020)


DOUBTS = {"belongs to user": give_away, "others may write to it": open_up}
doubtful = pytest.mark.parametrize("why", DOUBTS)


@as_root
@doubtful
def test_a_plan_of_somebody_else(kernel, live, tmp_path, why):
    plan = tmp_path / "plan"
    plan.write_text("group web { cpuset { cpuset.mems = 2-3; } }")
    assert live("apply", "--dry-run", plan).returncode == 0
    DOUBTS[why](plan)
    for more in ([], ["--dry-run"]):
        result = live("apply", *more, plan)
        assert result.returncode == 4, result
        assert result.stderr.startswith(f"cgmigrate: apply: {plan}: not trusted: ")
        assert why in result.stderr
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "0-1\n"
    assert live("plan", plan).returncode == 0  # to look at it does no harm
    with plan.open() as file:
        again = live("apply", "-", stdin=file)  # whoever reads it has looked
    assert (
        again.returncode == 0 and kernel.read("sys/fs/cgroup/web/cpuset.mems") == "2-3"
    )


JOURNAL = "var/lib/cgmigrate/apply.json"


@as_root
@doubtful
@pytest.mark.parametrize("what", [JOURNAL, os.path.dirname(JOURNAL)])
def test_a_journal_of_somebody_else(kernel, live, why, what):
    assert live("apply", "--evict", "0").returncode == 0
    after = kernel.read("sys/fs/cgroup/web/cpuset.mems")
    DOUBTS[why](os.path.join(kernel.path, what))
    for args in (["undo"], ["apply", "--continue"], ["apply", "--evict", "1"]):
        result = live(*args)
        assert result.returncode == 4 and why in result.stderr, result
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == after


def test_a_journal_that_is_a_link(kernel, live, tmp_path):
    assert live("apply", "--evict", "0").returncode == 0
    after = kernel.read("sys/fs/cgroup/web/cpuset.mems")
    path = os.path.join(kernel.path, JOURNAL)
    os.rename(path, tmp_path / "journal")
    os.symlink(tmp_path / "journal", path)
    for args in (["undo"], ["apply", "--continue"], ["apply", "--evict", "1"]):
        result = live(*args)
        assert result.returncode == 4 and "symbolic link" in result.stderr, result
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == after


DAMAGED = {
    "": "is damaged: '[' or '{' expected near end of file in line 1",
    '{"version": 1,\n"state": "app': "is damaged: ",
    "[]": "is damaged: no JSON object",
    '{"state": "applied", "targets": []}': "is not of version 1",
    '{"version": 2, "state": "applied", "targets": []}': "is not of version 1",
}


@pytest.mark.parametrize("text", DAMAGED)
def test_a_journal_that_cannot_be_understood(kernel, live, text):
    """It may be all that there is to go back by."""
    kernel.write(JOURNAL, text)
    commands = [["undo"], ["apply", "--continue"], ["apply", "--evict", "1"]]
    for args in (*commands, ["undo", "--dry-run"]):
        out = live.json(*args, code=4)
        assert out["state"] == "refused" and DAMAGED[text] in out["error"]["message"]
        assert os.path.join(kernel.path, JOURNAL) in out["error"]["message"]
    assert kernel.read(JOURNAL) == text
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "0-1\n"


@as_root
@pytest.mark.parametrize("name", ["XDG_STATE_HOME", "HOME"])
def test_the_folder_of_the_journal_is_named(tmp_path, name):
    """A user's own, and not root's."""
    here = tmp_path / "file"
    here.write_text("")
    prefix = [
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        "env",
        "-i",
        f"{name}={here}",
    ]
    below = "cgmigrate" if name == "XDG_STATE_HOME" else ".local/state/cgmigrate"
    result = Command(None, prefix)("undo")
    assert result.returncode == 4, result
    assert f"cannot keep a journal in {here}/{below}: " in result.stderr


JOB_VERBS = [
    ["report"],
    ["report", "--openmetrics"],
    ["report", "--prometheus"],
    ["move", "/web", "--to", "2-3"],
    ["settle", "/web"],
    ["wait", "j3"],
    ["pause", "j3"],
    ["cancel", "j3"],
    ["limit", "/web"],
    ["apply", "--evict", "0"],
    ["undo"],
]


@as_root
@doubtful
@pytest.mark.parametrize("args", JOB_VERBS, ids=" ".join)
def test_records_of_somebody_else(kernel, live, why, args):
    """A record of a killed job has limits that would be put back, as root."""
    limits = [{"cgroup": "/db", "rate": 5, "before": None}]
    kernel.engine("/db", rate=5)
    add(kernel, "j3", state="running", result=None, limits=limits)
    DOUBTS[why](os.path.join(kernel.path, RUN))
    metrics = args[-1] in ("--openmetrics", "--prometheus")
    out = live.json(*args, code=4) if not metrics else None
    result = live(*args)
    assert result.returncode == 4 and result.stdout == "", result
    assert f"{RUN}: not trusted: " in result.stderr and why in result.stderr
    assert not out or why in out["error"]["message"]
    assert kernel.read("sys/fs/cgroup/db/cpuset.mems.migrate.max") == "5\n"
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "0-1\n"
    assert live("show").returncode == 0


@as_root
@doubtful
def test_a_record_of_somebody_else(kernel, live, why):
    add(kernel, "j3")
    add(kernel, "j4")
    DOUBTS[why](os.path.join(kernel.path, RUN, "j3.json"))
    assert [job["job"] for job in live.json("report")["jobs"]] == ["j4"]


@pytest.mark.parametrize("before", [None, 0o644])
def test_nobody_else_can_hold_a_lock(kernel, live, before):
    """Who may open a file, if only to read it, may lock it, and let all others wait."""
    names = [f"{RUN}/lock", "var/lib/cgmigrate/lock"]
    for name in names:
        if before:
            kernel.write(name, "")
            os.chmod(os.path.join(kernel.path, name), before)
    assert live("apply", "--evict", "0").returncode == 0
    for name in names:
        assert os.stat(os.path.join(kernel.path, name)).st_mode & 0o777 == 0o600


# ---- trees ----


def test_a_link_is_no_cgroup(kernel, live):
    """There are none in a kernel's tree; what looks like one may be on FUSE."""
    cgroups = os.path.join(kernel.path, "sys/fs/cgroup")
    os.symlink("web", f"{cgroups}/link")
    result = live("move", "/link", "--to", "2-3")
    assert result.returncode == 1 and "/link: no such cgroup" in result.stderr
    assert "/link" not in live("show", "--all").stdout
    assert kernel.read("sys/fs/cgroup/web/cpuset.mems") == "0-1\n"


def test_nor_is_one_its_file(kernel, live, victim):
    mems = os.path.join(kernel.path, "sys/fs/cgroup/web/cpuset.mems")
    os.unlink(mems)
    victim.write_text("0-1\n")
    os.symlink(victim, mems)
    result = live("move", "/web", "--to", "2-3")
    assert result.returncode != 0 and victim.read_text() == "0-1\n"


def test_a_recorded_tree_is_not_left(machine, run, victim):
    """Its links mean files of the tree, also those that begin with a slash."""
    comm = os.path.join(machine.path, "proc/100/comm")
    os.unlink(comm)
    os.symlink(victim, comm)
    text = run("show", "--by", "process", "/web").stdout
    assert "precious" not in text and " worker " in text
    machine.write(str(victim), "inside\n")
    assert " inside " in run("show", "--by", "process", "/web").stdout


def deep(tree, names, pid):
    """A process at the end of a path that the kernel would not take at once."""
    at = os.open(f"{tree.path}/sys/fs/cgroup", os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
        with open(os.open("cgroup.procs", os.O_CREAT | os.O_WRONLY, dir_fd=at), "w"):
            pass
    with open(os.open("cgroup.procs", os.O_WRONLY, dir_fd=at), "w") as file:
        file.write(f"{pid}\n")
    os.close(at)
    tree.process(pid, "hidden", [("", {0: 256}, "")])


def processes_of(out):
    (target,) = out["targets"]
    return target["processes"]


def test_however_deep(machine):
    """More levels than files that may be open, and a path longer than 4096 bytes."""
    deep(machine, ["x" * 100] * 200, 700)
    few = Command(machine, ["sh", "-c", 'ulimit -n 24; exec "$@"', "sh"])
    out = few.json("show", "--by", "process", "/" + "x" * 100)
    assert [process["pid"] for process in processes_of(out)] == [700]
    assert few("show", "--all").returncode == 0


def test_a_dot_hides_nobody(machine, run):
    deep(machine, [".out", "..of", "...sight"], 700)
    out = run.json("show", "--by", "process", "/.out")
    assert [process["pid"] for process in processes_of(out)] == [700]
    assert "/.out/..of/...sight" in run("show", "--all").stdout


@as_root
def test_what_is_closed_is_left_out(machine):
    """An owner who lets nobody look does not hide the cgroups of others."""
    deep(machine, ["closed", "below"], 700)
    os.chmod(os.path.join(machine.path, "sys/fs/cgroup/closed"), 0o700)
    parent = os.path.join(machine.path, "sys")
    while parent != "/":
        parent = os.path.dirname(parent)
        os.chmod(parent, os.stat(parent).st_mode | 0o055)
    other = Command(machine, ["setpriv", f"--reuid={NOBODY}", "--clear-groups"])
    result = other("show", "--all")
    assert result.returncode == 0 and "/web" in result.stdout, result
    assert "/closed" not in result.stdout


# ---- names ----

NAMES = {
    "escape": "\x1b]0;gone\x07\x1b[2J",
    "c1": "\x9b2J\x7f",
    "latin": os.fsdecode(b"\x9b2J"),
    "return": "a\rb\bc\td",
    "quotes": "a'b\"c`id`$(id)d",
    "shell": "a; touch pwned; #",
    "backslash": "a\\x1b\\nb",
    "dash": "-rf *",
    "long": "x" * 255,
    "letters": "žluťoučký 猫",
    "turned": "a‮b⁦c⁩d",
}
UTF8 = "C.UTF-8"
LOCALES = ("C", UTF8)
TURNS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


@pytest.fixture(params=NAMES)
def odd(kernel, request):
    """A cgroup and a process of an odd name, with memory that is outside."""
    path = "/" + NAMES[request.param]
    kernel.cgroup(
        path,
        "0",
        pids=[500],
        charged={"anon": [4 * MIB, MIB, 0, 0]},
        more={"cgroup.freeze": "0\n", "cgroup.events": "populated 1\nfrozen 0\n"},
    )
    vmas = [("", {0: 1024, 1: 256}, ""), ("/lib/\x1b[2J.so", {1: 64}, "")]
    kernel.process(500, NAMES[request.param][:15], vmas)
    kernel.engine(path)
    for node in range(4):
        kernel.write(f"sys/devices/system/node/node{node}/cpulist", f"{node}\n")
    kernel.write("sys/fs/cgroup/cpuset.cpus.effective", "0-3\n")
    for cgroup, cpus, pid in ((path, "0", 500), ("/db", "2-3", 200)):
        cpuset(kernel, cgroup, cpus)
        threads(kernel, cgroup, pid, [cpus])
    return path


def bytes_of(kernel, locale, *args):
    """What a command writes, which a terminal would get."""
    words = ["env", f"LC_ALL={locale}", COMMAND, args[0], "--sysroot", kernel.path]
    words += ["--write-sysroot", *args[1:]]
    result = subprocess.run(words, capture_output=True, timeout=60, check=False)
    return result.stdout, result.stderr


def obeyed(text, locale):
    """What of a text a terminal would not only show."""
    try:
        characters = map(ord, text.decode("utf-8" if locale == UTF8 else "ascii"))
    except UnicodeDecodeError:
        return text
    control = {*range(32), *range(0x7F, 0xA0)} - {10}
    return [char for char in characters if char in control | TURNS]


def talks(path):
    """Commands that say the name."""
    yield from (["show"], ["show", "--all", "--by", "process"], ["show", path, "-r"])
    yield from (["show", path, "--by", "vma"], ["map", path], ["map", path, "-J"])
    yield from (["show", path, "-J"], ["show", path + "/no"], ["show", path[1:]])
    yield from (["move", path, "--to", "0"], ["move", path, "--to", "1", "--dry-run"])
    yield from (["plan", "--evict", "0"], ["plan", path], ["apply", path])
    yield ["plan", "--swap", path, "/db", "--cpus", "follow"]
    for verb in ("pause", "resume", "cancel", "limit", "settle", "wait"):
        yield [verb, path]
    yield from (["move", path, "--to", "2", "--freeze", "--rate", "5M"], ["report"])
    yield from (["report", "j1"], ["report", "j2"], ["report", "-J"], ["undo", path])
    yield from (["run", "--", path], ["features", path], [path])


@pytest.mark.parametrize("locale", LOCALES)
def test_a_terminal_gets_no_command(kernel, odd, locale):
    for args in talks(odd):
        for text in bytes_of(kernel, locale, *args):
            assert not obeyed(text, locale), (args, text)
            assert b"-J" not in args or VALIDATOR.validate(json.loads(text)) is None
            assert text.isascii() or not {"-J", "-r"} & {*args}


LETTERS = f"/{NAMES['letters']}"


@pytest.mark.parametrize("odd", ["letters"], indirect=True)
def test_names_are_read_by_people(kernel, odd):
    """In a table and in a line; what is to be copied is ASCII."""
    name = odd.encode()
    said = {
        locale: [
            *bytes_of(kernel, locale, "show", "--all")[:1],
            *bytes_of(kernel, locale, "move", odd, "--to", "1", "--dry-run")[:1],
            *bytes_of(kernel, locale, "move", odd, "--to", "0")[:1],
        ]
        for locale in LOCALES
    }
    for text in said[UTF8]:
        assert name in text and b"\\x" not in text
    assert b"cgmigrate settle $'/\\305" in said[UTF8][2]
    escaped = "".join(chr(b) if b < 128 else f"\\x{b:02x}" for b in name).encode()
    for text in said["C"][:2]:
        assert escaped in text


@pytest.mark.parametrize("odd", ["turned"], indirect=True)
def test_what_turns_text_is_told(kernel, odd):
    text, _ = bytes_of(kernel, UTF8, "move", odd, "--to", "1", "--dry-run")
    assert rb"/a\xe2\x80\xaeb\xe2\x81\xa6c\xe2\x81\xa9d: nodes 0 -> 1" in text


def as_shell(words):
    """What words of a shell are."""
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True
    )
    assert not printed.stderr
    return [os.fsdecode(word) for word in printed.stdout.split(b"\0")[:-1]]


def way(text, start):
    """The words of a command that is told."""
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return as_shell(line.removeprefix(start))


def named_by_json(name):
    return not any("\udc80" <= c <= "\udcff" for c in name)


def test_the_plan_of_its_cpus_is_seen(run, odd):
    """What test_a_terminal_gets_no_command looks at has the line in question."""
    result = run("plan", "--swap", odd, "/db", "--cpus", "follow")
    if named_by_json(odd):
        assert "  CPUs 0 -> 2-3\n" in result.stdout, result
    else:
        assert result.returncode == 4 and "no plan can name it" in result.stderr


def test_what_is_to_be_copied_is_that_name(kernel, run, odd):
    if not named_by_json(odd):
        return  # no record can name it
    job = record("j3", state="running", result=None)
    job["targets"][0].update({"cgroup": odd, "from": "0", "to": "2"})
    kernel.write(f"{RUN}/j3.json", json.dumps(job))
    text = run("report", "j3").stdout
    finish = way(text, "to finish:  ")
    assert finish == ["cgmigrate", "move", odd, "--to", "2"]


def test_what_was_asked_is_told_as_words(live, odd):
    live("move", odd, "--to", "1")
    (line, *_) = live("report", "j1").stdout.splitlines()
    words = as_shell(line.removeprefix("j1: "))
    assert words[:2] == ["cgmigrate", "move"] and {"--to", "1"} < set(words)
    assert odd in words or not named_by_json(odd)


def test_how_to_thaw_is_one_word(live, odd):
    if not named_by_json(odd):
        return  # refused
    out = live.json("move", odd, "--to", "1", "--freeze", "--dry-run")
    (frozen,) = out["frozen"]
    told = frozen["thaw"].removeprefix("echo 0 >")
    assert as_shell(told) == [f"/sys/fs/cgroup{odd}/cgroup.freeze"]
