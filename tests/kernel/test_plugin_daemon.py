# SPDX-License-Identifier: GPL-2.0
"""The plugin in cgrulesengd, and the process that goes on when nobody waits."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from ktest.cpusets import wait_until
from ktest.daemon import JOURNAL, Daemon, called
from ktest.machine import mib
from ktest.marks import later
from ktest.tools import Rules, outcome, preloaded, run

pytestmark = [pytest.mark.defect("plugin"), pytest.mark.usefixtures("cgroup_tools")]

NOBODY = 65534
# Programs and libraries that others run, too: the engine leaves them where they are.
TEXT = 4 << 20


# ---- the daemon ----


@pytest.fixture(params=["child", *later("by itself")])
def daemon(request, tmp_path):
    """A service starts it by itself: it has closed what it was given then."""
    if os.path.exists(JOURNAL):
        pytest.skip("there is a journal here")
    return lambda **settings: Daemon(tmp_path, request.param == "by itself", **settings)


class Told:
    """Records of a daemon."""

    def __init__(self, engd):
        self.engd = engd
        self.records = []

    def of(self, kind, **having):
        assert self.engd.runs(), self.engd.said()
        self.records.extend(self.engd.records())
        wanted = {"action": kind, **having}
        return [r for r in self.records if wanted.items() <= r.items()]


def test_cgrulesengd(top, spawn, group, daemon):
    """A rule takes a running process when the daemon starts, and new ones later."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(8), nodes=(0, 1), stripe=16)
    load.threads(4)
    load("work", writers=2, verifiers=1, rest=500)
    with Rules(f"*:numaload cpuset {group(new)}"), daemon() as engd:
        told = Told(engd)
        wait_until(lambda: told.of("everybody"), "the daemon to have started")
        assert load.pid in new.procs()
        later = spawn()
        wait_until(lambda: later.pid in new.procs(), "a new process to be moved")
        wait_until(lambda: told.of("process", process=later.pid), "the record of it")
    assert engd.said() == ""
    assert all(record["tool"] == "cgrulesengd" for record in told.records)
    load.rest()
    assert {n for n in load.where("anon") if isinstance(n, int)} <= {2, 3}
    load.verify()


# It becomes somebody else, which is an event, when it has memory.
BIG = f"""
import mmap, os, sys
memory = mmap.mmap(-1, 16 << 20)
memory.write(b"x" * len(memory))
print("here", flush=True)
sys.stdin.readline()
os.setuid({NOBODY})
sys.stdin.readline()
"""


@contextlib.contextmanager
def big_process(cpuset):
    """A process with memory in a cpuset."""
    enter = f'echo $$ >{cpuset.path}/cgroup.procs; exec "$@"'
    words = ["sh", "-c", enter, "sh", sys.executable, "-c", BIG]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, text=True, bufsize=1, **pipes) as process:
        try:
            assert process.stdout.readline() == "here\n"
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def small_process():
    with subprocess.Popen(["setpriv", f"--reuid={NOBODY}", "sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_daemon_does_not_wait(top, group, daemon):
    """For a big process another one goes on, and the next process is put in place."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    slow = {"CGMIGRATE_PLUGIN_RATE": str(2 << 20)}
    with Rules(f"nobody cpuset {group(new)}"), daemon(**slow) as engd:
        told = Told(engd)
        wait_until(lambda: told.of("everybody"), "the daemon to have started")
        with big_process(old) as big:

            def entered():
                records = told.of("process", process=big.pid)
                return [r for r in records if r["after"]["nodes"] == "2-3"]

            big.stdin.write("go on\n")
            wait_until(lambda: big.pid in new.procs(), "the process to be moved")
            with small_process() as small:
                wait_until(lambda: small.pid in new.procs(), "the next one")
                assert not entered(), "it has waited"
            wait_until(entered, "the record")
            record = entered()[0]
    assert record["pid"] != engd.pid, "it has moved the memory itself"
    assert [move["purpose"] for move in record["moves"]] == ["attach"]
    assert record["moves"][0]["totals"]["moved"] >= 16 << 20
    assert record["after"]["stray"] <= TEXT and record["notes"] == []
    assert new.mems() == [2, 3]


@pytest.mark.parametrize(
    "closed", ["0<&- 1>&- 2>&-", *later("0<&-", "0<&- 1>&-", "2>&-")]
)
def test_a_tool_without_descriptors(top, spawn, tools, group, closed):
    """What the plugin opens is not taken for the tool's."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(16), nodes=(0, 1))
    script = f'exec cgclassify "$@" {closed}'
    words = ["sh", "-c", script, "sh", "-g", f"cpuset:{group(new)}", load.pid]
    # The command would give it descriptors.
    env = preloaded(wait="no", rate=str(16 << 20), report=tools.report)
    assert outcome(run(*words, env=env)) == (0, "", "")
    records = []
    wait_until(lambda: records or records.extend(tools.records()), "the report")
    assert [move["purpose"] for move in records[0]["moves"]] == ["attach"]
    assert records[0]["notes"] == [] and records[0]["moves"][0]["state"] == "done"
    assert set(load.where("anon")) == {2, 3} and new.mems() == [2, 3]


# ---- signals ----

# Handlers as the daemon has them: calls are interrupted, and SIGTERM ends it all.
TOOL = """
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
int cgroup_init(void);
int cgroup_change_cgroup_path(const char *path, int pid, const char *const list[]);
static void interrupt(int sig) { (void)sig; }
static void end(int sig) { (void)sig; exit(1); }
int main(int argc, char **argv)
{
    static const char *const list[] = { "cpuset", 0 };
    struct sigaction often = { .sa_handler = interrupt }, last = { .sa_handler = end };
    struct itimerval timer = { { 0, 20000 }, { 0, argc > 3 ? 20000 : 0 } };

    sigaction(SIGALRM, &often, NULL);
    sigaction(SIGTERM, &last, NULL);
    if (argc < 3 || cgroup_init())
        return 2;
    setitimer(ITIMER_REAL, &timer, NULL);
    return cgroup_change_cgroup_path(argv[1], atoi(argv[2]), list);
}
"""


@pytest.fixture
def tool(tmp_path):
    """It puts a process into a group; with a third word it gets many signals."""
    source = tmp_path / "handles.c"
    source.write_text(TOOL)
    path = tmp_path / "handles"
    build = ["gcc", "-O2", "-o", str(path), str(source), "-l:libcgroup.so.2"]
    subprocess.run(build, check=True)
    return path


@pytest.mark.long
def test_a_signal_while_the_move_begins(top, spawn, tools, group, tool):
    """As SIGUSR1 for the daemon: it does not take the move for one that failed."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(16), nodes=(0, 1))
    words = (tool, group(new), load.pid, "interrupted")
    result = tools(*words, options=["--no-wait", "--rate", "16M"])
    assert outcome(result) == (0, "", "")
    records = []
    wait_until(lambda: records or records.extend(tools.records()), "the report")
    (record,) = records
    assert record["returned"] == 0 and record["notes"] == []
    assert record["moves"][0]["state"] == "done"
    assert set(load.where("anon")) == {2, 3} and new.mems() == [2, 3]


@pytest.mark.parametrize(
    "sig",
    [signal.SIGHUP, *later(signal.SIGTERM, signal.SIGUSR1)],
)
@pytest.mark.long
def test_a_signal_while_it_moves(top, spawn, tools, group, tool, sig):
    """As when the service of the daemon ends: what goes on ends well before it ends."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    load = spawn(old)
    load.alloc("anon", mib(64), nodes=(0, 1))
    words = (tool, group(new), load.pid)
    result = tools(*words, options=["--no-wait", "--rate", "4M"])
    assert outcome(result) == (0, "", "")
    (helper,) = called("handles")
    os.kill(helper, sig)
    records = []
    wait_until(lambda: records or records.extend(tools.records()), "the report")
    (record,) = records
    assert record["moves"][0]["state"] == "done"
    assert set(load.where("anon")) == {2, 3} and new.mems() == [2, 3]
    if sig != signal.SIGUSR1:
        assert record["moves"][0]["elapsed_usec"] < 12_000_000, "it has not hurried"
    load.verify()
