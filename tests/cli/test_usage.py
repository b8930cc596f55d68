# SPDX-License-Identifier: GPL-2.0
"""Arguments, messages, exit codes, and output that cannot be written."""

import ctypes
import json
import os
import platform
import re
import struct
import subprocess

import pytest

from conftest import COMMAND, Command

VERBS = ["show", "map", "move", "settle", "wait", "pause", "resume", "cancel", "limit"]
VERBS += ["report", "features", "plan", "apply", "undo", "bench", "run"]
MAN = os.path.join(os.path.dirname(__file__), "..", "..", "Documentation", "man")
PAGES = {"apply": "plan", "undo": "plan", "resume": "pause", "cancel": "pause"}
CHANGES = os.path.join(os.path.dirname(__file__), "../../packaging/debian/changelog")


def test_help_names_every_verb():
    result = subprocess.run([COMMAND, "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    for verb in VERBS:
        assert f"  {verb} " in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb):
    for option in ("-h", "--help"):
        result = Command()(verb, option)
        assert result.returncode == 0 and result.stderr == ""
        assert result.stdout.startswith(f"Usage: cgmigrate {verb}")
        assert all(len(line) <= 80 for line in result.stdout.splitlines())
        assert "\n\nOptions:\n" in result.stdout
        page = PAGES.get(verb, verb)
        end = f"\n\nFor more details see cgmigrate-{page}(8).\n"
        assert result.stdout.endswith(end)


def options_of_help(verb):
    text = Command()(verb, "--help").stdout
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.MULTILINE))


def options_of_page(page):
    """All that are the head of a paragraph below OPTIONS."""
    with open(os.path.join(MAN, f"cgmigrate-{page}.8"), encoding="utf-8") as file:
        text = file.read().replace("\\-", "-")
    section = text.split(".SH OPTIONS\n")[1].split(".SH ")[0]
    found = set()
    for head in re.findall(r"^\.T[PQ]\n(.*)", section, re.MULTILINE):
        found |= set(re.findall(r"--[a-z-]+", head))
    return found


@pytest.mark.parametrize("page", sorted({PAGES.get(verb, verb) for verb in VERBS}))
def test_help_and_man_page_have_the_same_options(page):
    verbs = [verb for verb in VERBS if PAGES.get(verb, verb) == page]
    assert options_of_page(page) == set().union(*map(options_of_help, verbs))


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_what_is_taken(verb):
    """An option that the help has is none of those that there are not."""
    for option in options_of_help(verb) - {"--help", "--version"}:
        result = Command()(verb, option, "--help")
        assert "no such option" not in result.stderr, option


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_version(verb):
    """It is that of the packages."""
    with open(CHANGES, encoding="utf-8") as file:
        version = re.match(r"cpuset-migrate \((\S+)\)", file.readline())[1]
    words = [verb] if verb else []
    for option in ("-V", "--version"):
        result = subprocess.run(
            [COMMAND, *words, option], capture_output=True, text=True
        )
        assert result.returncode == 0
        assert result.stdout == f"cgmigrate {version}\n"


USAGE = [
    (["move"], "no target named"),
    (["move", "/web"], "one of --to NODES and --into CGROUP"),
    (["move", "/web", "--to", "1", "--into", "/db"], "only one of --to NODES and"),
    (["move", "/web", "--to", "x"], '--to "x": not a list of nodes such as 2-3 or 0,4'),
    (["move", "/web", "--to", ""], '--to "": not a list of nodes'),
    (["move", "/web", "--to", "3-1"], '--to "3-1": not a list of nodes'),
    (["move", "/web", "--to", "2000"], "--to 2000: node numbers end at 1023"),
    (["move", "/web", "--to"], "--to: needs a value"),
    (["move", "/web", "--frob"], "--frob: no such option"),
    (["move", "/web", "-x"], "-x: no such option"),
    (["move", "nope", "--to", "1"], "nope: not a target; a cgroup starts with"),
    (["move", "web", "--to", "1"], "web: not a target; did you mean /web?"),
    (["move", "cpuset:web", "--to", "1"], "cpuset:web: not a target; did you mean"),
    (["show", "cpuset,cpu:/db"], "cpuset,cpu:/db: not a target; did you mean /db?"),
    (["show", "cpuset:"], "cpuset:: not a target; a cgroup starts with"),
    (["show", "../db"], "../db: not a target; a cgroup starts with"),
    (["move", "12x", "--to", "1"], "12x: not a process number"),
    (["move", "0", "--to", "1"], "0: not a process number"),
    (["move", "/web", "--to", "1", "--timeout", "soon"], "--timeout soon: not a time"),
    (["move", "/web", "--to", "1", "--timeout", "-1"], "--timeout -1: not a time"),
    (["move", "/web", "--to", "1", "--rate", "5X"], "--rate 5X: not a size"),
    (["move", "/web", "--to", "1", "--rate", "0"], "--rate 0: not a size"),
    (["move", "/web", "--to", "1", "--max-stall", "20s"], "--max-stall: at most 10s"),
    (["move", "/web", "--max-stall", "2"], "--max-stall 2: needs a unit, such as 2ms"),
    (["move", "/web", "--max-stall", "2x"], "--max-stall 2x: not a time such as 2ms"),
    (["settle", "/web", "--max-stall", "2"], "--max-stall 2: needs a unit, such as"),
    (["move", "/web", "--to", "1", "--no-wait", "--timeout", "1"], "--timeout"),
    (["move", "/web", "--to", "1", "--cancel-on-timeout"], "--cancel-on-timeout: goes"),
    (["move", "/web", "--into", "100"], "--into 100: not a cgroup"),
    (["show", "--by", "colour"], "--by colour: can be kind, process or vma"),
    (["show", "-o", "cgroup,age"], "--output age: no such column"),
    (["show", "-o", ""], "--output: no column named"),
    (["show", "-o", "+"], "--output: no column named"),
    (["show", "-o", "+age"], "--output age: no such column"),
    (["show", "--watch=x"], "--watch x: not a time"),
    (["map", "@0"], "@0: map takes a cgroup or a process"),
    (["settle", "@0"], "@0: settle takes cgroups"),
    (["map"], "no target named"),
    (["map", "/web", "/db"], "one target at a time"),
    (["map", "/web", "-o", "x.gif"], "--output x.gif: not the name of a picture"),
    (["map", "/web", "--pid", "one"], "--pid one: not a process number"),
    (["settle"], "no cgroup named"),
    (["settle", "100"], "100: settle takes cgroups and units; this process is in /web"),
    (["wait"], "name cgroups or jobs, or say --all"),
    (["wait", "/web", "--all"], "name cgroups or jobs, or say --all"),
    (["wait", "100"], "100: wait takes cgroups, units and jobs (j17); this proce"),
    (["wait", "@0"], "@0: wait takes cgroups, units and jobs (j17)"),
    (["limit", "100"], "100: limit takes cgroups, units and jobs (j17); this process"),
    (["plan"], "name a file, or one of --swap, --evict and --balance"),
    (["plan", "a", "b"], "one file at a time"),
    (["plan", "--swap", "/web"], "--swap: takes two cgroups"),
    (["plan", "--swap", "/web", "200"], "200: plan takes cgroups"),
    (["plan", "--balance", "/web"], "/web: not together with --evict or --balance"),
    (["plan", "--balance", "--evict", "1"], "only one of --swap, --evict and"),
    (["plan", "--evict", "x"], '--evict "x": not a list of nodes'),
    (["plan", "--evict", "9"], "--evict: nodes here are 0-3"),
    (["apply"], "name a file, or one of --swap, --evict and --balance"),
    (["apply", "x", "--rate", "0"], "--rate 0: not a size"),
    (["apply", "x", "--max-stall", "20s"], "--max-stall: at most 10s"),
    (["apply", "x", "--max-stall", "0x2"], "--max-stall 0x2: needs a unit, such as"),
    (["undo", "--max-stall", "20s"], "--max-stall: at most 10s"),
    (["undo", "--rate", "5X"], "--rate 5X: not a size"),
    (["undo", "/web"], "/web: undo takes no target"),
    (["apply", "--continue", "x"], "--continue: takes nothing else"),
    (["pause"], "name cgroups or jobs, or say --all"),
    (["resume", "/web", "--all"], "name cgroups or jobs, or say --all"),
    (["cancel", "200"], "200: cancel takes cgroups"),
    (["cancel", "/web", "--timeout", "x"], "--timeout x: not a time"),
    (["limit"], "no cgroup or job named"),
    (["limit", "/web", "--rate", "fast"], "--rate fast: not a size"),
    (["report", "17"], "17: not the name of a job such as j17"),
    (["report", "j0"], "j0: not the name of a job such as j17"),
    (["report", "-o", "age"], "--output age: no such column"),
    (["report", "--file", "x"], "--file: goes with --prometheus or --openmetrics"),
    (["report", "j1", "--openmetrics"], "--openmetrics: is about all jobs, not about"),
    (["features", "/web"], "/web: features takes no target"),
    (["bench", "/web"], "/web: bench takes no target"),
    (["bench", "--size", "big"], "--size big: not a size such as 500M or 2G"),
    (["bench", "--size", "4K"], "--size: at least 1M"),
    (["bench", "--kinds", "anon,x"], "--kinds x: none of anon, thp, shmem, file, hu"),
    (["bench", "--kinds", ""], '--kinds "": none of anon, thp'),
    (["bench", "--ways", "magic"], "--ways magic: none of cpuset, move_pages, migra"),
    (["bench", "--rate", "fast"], "--rate fast: not a size"),
    (["bench", "--repeat", "0"], "--repeat 0: not a number from 1 to 1000"),
    (["bench", "--repeat", "2x"], "--repeat 2x: not a number from 1 to 1000"),
    (["bench", "--below", "web"], '--below web: not a cgroup; one starts with "/"'),
    (["bench", "--picture", "x.gif"], "--picture x.gif: not the name of a picture"),
    (["bench", "--from", "x"], '--from "x": not a list of nodes'),
    (["bench", "--from", "0-1", "--to", "1-2"], "--from and --to: have both node 1"),
    (["bench", "--from", "0-1", "--to", "2"], "--from and --to: as many nodes are n"),
    (["bench", "--from", "0-2"], "--from and --to: as many nodes are needed in both"),
    (["bench", "--dry-run", "-o", "x"], "--dry-run: measures nothing to write to"),
]


@pytest.mark.parametrize("args, text", USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_usage_errors_name_the_argument(run, args, text):
    result = run(*args)
    assert result.returncode == 2
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith(f"cgmigrate: {args[0]}: {text}")
    assert second == f'Try "cgmigrate {args[0]} --help".'

    out = run.json(*args[:1], "-J", *args[1:], code=2) if args[-1] != "--to" else None
    if out:
        assert out["state"] == "usage" and out["error"]["message"].startswith(text)


def test_no_verb():
    result = subprocess.run([COMMAND], capture_output=True, text=True)
    assert result.returncode == 2 and result.stderr.startswith("Usage:")


def test_help():
    def said(*words):
        return subprocess.run([COMMAND, *words], capture_output=True, text=True)

    for words in (["help"], ["help", "--help"], ["help", "help"]):
        assert said(*words).stdout == said("--help").stdout
    for verb in VERBS:
        assert said("help", verb).stdout == said(verb, "--help").stdout
    wrong = said("help", "frob")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("cgmigrate: help: frob: no such verb; verbs are ")
    assert "help takes one verb" in said("help", "move", "/web").stderr
    assert Command().json("help", "frob", code=2)["command"] == "help"


def test_unknown_verb():
    result = Command()("shove")
    assert result.returncode == 2
    assert "shove: no such verb; verbs are show, map, move" in result.stderr


@pytest.mark.parametrize(
    "args, text",
    [
        (["show", "/nope"], "/nope: no such cgroup below /sys/fs/cgroup"),
        (["move", "/nope", "--to", "1"], "/nope: no such cgroup"),
        (["move", "4000000", "--to", "1"], "4000000: no such process"),
        (["show", "nope.service"], "nope.service: no cgroup of that name"),
        (["settle", "/nope"], "/nope: no such cgroup"),
        (["wait", "/nope"], "/nope: no such cgroup"),
    ],
)
def test_what_is_not_there(run, args, text):
    result = run(*args)
    assert result.returncode == 1 and text in result.stderr
    out = run.json(*args, code=1)
    assert out["state"] == "failed" and out["changed"] is False
    assert text in out["error"]["message"]


def test_nobody_is_waited_for_before_all_are_there(kernel, live):
    kernel.engine("/web", pending=1)
    result = live("wait", "/web", "/nope", "--timeout", "100ms")
    assert result.returncode == 1 and "/nope: no such cgroup" in result.stderr


def test_what_is_not_there_is_told_once(run, machine):
    said = "/nope: no such cgroup below /sys/fs/cgroup"
    assert run("show", "/nope").stderr == f"cgmigrate: show: {said}\n"
    machine.write("sys/fs/cgroup/file", "")
    result = run("show", "/file")
    assert result.returncode == 1
    said = "/file: no such cgroup below /sys/fs/cgroup: Not a directory"
    assert result.stderr == f"cgmigrate: show: {said}\n"


def test_path_upwards_is_no_cgroup(run):
    result = run("show", "/web/../db")
    assert result.returncode == 4 and "not a cgroup path" in result.stderr


def test_no_such_sysroot(tmp_path):
    result = Command()("show", "--sysroot", tmp_path / "none")
    assert result.returncode == 1 and "none: No such file" in result.stderr


def test_no_cpusets(tmp_path, empty):
    empty.write("proc/self/mountinfo", "21 1 0:20 / / rw - ext4 /dev/vda rw\n")
    result = Command(empty)("show")
    assert result.returncode == 1
    assert "no cpuset controller in any mounted cgroup hierarchy" in result.stderr


@pytest.mark.parametrize("args", [["show"], ["show", "-J"], ["features"], ["--help"]])
def test_full_disk_is_an_error(machine, args):
    verb = args[:1] if args[0] == "--help" else args + ["--sysroot", machine.path]
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run(
            [COMMAND, *verb], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 1
    assert "cannot write output: No space left on device" in result.stderr


def test_closed_output_is_no_crash(machine):
    result = subprocess.run(
        f"exec {COMMAND} show --sysroot {machine.path} >&-",
        shell=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert result.returncode == 0 and result.stderr == ""


def test_nothing_is_written_to_a_tree(run, machine):
    def state():
        seen = {}
        for where, _, names in os.walk(machine.path):
            for name in names:
                path = os.path.join(where, name)
                with open(path, encoding="utf-8") as file:
                    seen[path] = file.read()
        return seen

    before = state()
    run("show", "--all")
    run("move", "/web", "--to", "2-3", "--dry-run")
    run("move", "/web", "--to", "2-3")
    run("settle", "/db")
    assert state() == before


def here(*prefix, **more):
    """What this machine can do."""
    out = Command(prefix=prefix)("features", "-J", **more).stdout
    return json.loads(out)["features"]


def test_a_user_namespace_gives_no_right_to_pages():
    """Its root has all capabilities, within it."""
    unshare = ["unshare", "--user", "--map-root-user"]
    if subprocess.run(
        [*unshare, "true"], check=False, stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("no user namespaces here")
    inside = here(*unshare)
    assert inside["cap_sys_admin"] and not inside["cap_sys_nice"]


def forbid(number):
    """A filter that has a system call fail with EPERM, as containers have."""
    words = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50001)]
    words.append((6, 0, 0, 0x7FFF0000))
    code = b"".join(struct.pack("HBBI", *word) for word in words)
    program = ctypes.create_string_buffer(code, len(code))
    filters = struct.pack("HxxxxxxP", len(words), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    assert not libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    assert not libc.prctl(22, 2, filters, 0, 0)  # PR_SET_SECCOMP


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize("call, number", [("migrate_pages", 256), ("move_pages", 279)])
def test_a_forbidden_system_call_is_not_there(call, number):
    if not here()[call]:
        pytest.skip(f"no {call} here")
    assert not here(preexec_fn=lambda: forbid(number))[call]


def test_the_root_of_a_namespace_is_not_the_root(run, machine):
    """It has nodes of its own, and belongs to somebody outside."""
    ways = [("move", "/", "--to", "0", "--dry-run"), ("plan", "-")]
    more = [{}, {"input": '{"targets": [{"cgroup": "/", "to": "0"}]}'}]
    for way, extra in zip(ways, more):
        assert "always has all nodes" in run(*way, **extra).stderr
    machine.cgroup("/", "0-3")
    for way, extra in zip(ways, more):
        assert "is changed from outside" in run(*way, **extra).stderr


def test_max_stall_is_not_the_engines(live):
    text = "--max-stall has no effect on the engine: its bound is "
    text += "/sys/kernel/mm/numa/migrate/max_stall_usec"
    args = ["move", "/web", "--to", "2-3", "--max-stall", "5ms", "--dry-run"]
    notes = live.json(*args)["notes"]
    assert {"severity": "warning", "message": text} in notes
    assert f"warning: {text}\n" in live(*args).stderr
    assert text not in live("move", "/web", "--to", "2-3", "--dry-run").stderr


def test_max_stall_is_the_stock_kernels(run):
    args = ["move", "/web", "--to", "2-3", "--max-stall", "5ms", "--dry-run"]
    assert "--max-stall" not in run(*args).stderr


def test_wait(machine, run):
    assert run("wait", "/web").returncode == 0
    machine.write("sys/fs/cgroup/web/cpuset.mems.stat", "migrate_pending 0\n")
    assert run.json("wait", "/web")["state"] == "done"
    machine.write("sys/fs/cgroup/web/cpuset.mems.stat", "migrate_pending 2\n")
    result = run("wait", "/web", "--timeout", "100ms")
    assert result.returncode == 6 and "/web: still moving" in result.stderr
    machine.write("sys/fs/cgroup/web/cpuset.mems.stat", "gibberish\n")
    assert "not in the known format" in run("wait", "/web").stderr


def test_json_is_one_object(run):
    for args in (["show"], ["features"], ["move", "/web", "--to", "1", "--dry-run"]):
        assert isinstance(json.loads(run(*args, "-J").stdout), dict)
