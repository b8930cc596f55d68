# SPDX-License-Identifier: GPL-2.0
"""Tests of the guest itself: tests/vm/vm, by running it.

They take the kernel of VM_TEST_KERNEL, stock by default. Every one boots a guest; those
marked core are enough to trust the others' results.
"""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))
VM = os.path.join(HERE, "vm")
KERNEL = os.environ.get("VM_TEST_KERNEL", "stock")
SHOW_NODES = "grep -h MemTotal /sys/devices/system/node/node*/meminfo"

pytestmark = pytest.mark.skipif(
    not shutil.which("qemu-system-x86_64"), reason="qemu-system-x86_64 is missing"
)
core = pytest.mark.core


def guest(*arguments, script=None, cwd=CHECKOUT, **how):
    """Run vm with these arguments, the command being a shell script if one is given."""
    command = [VM, "--kernel", KERNEL, *arguments]
    if script is not None:
        command += ["--", "sh", "-c", script]
    how.setdefault("stdin", subprocess.DEVNULL)
    if "input" in how:
        del how["stdin"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, **how
    )


@core
def test_streams_and_status():
    """The three streams stay apart and whole, the status is the command's."""
    text = "".join(f"line {n} of some length\n" for n in range(20000))
    done = guest(script="pwd >&2; cat; exit 7", input=text)
    assert done.returncode == 7
    assert done.stderr == CHECKOUT + "\n"
    assert done.stdout == text


def test_command_that_is_not_there():
    """As a shell has it: 127, and the name in the message."""
    done = guest("--", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


@core
def test_machine_and_v2():
    """Four nodes with a CPU each, root, our name, a loopback, the v2 hierarchy."""
    script = f"""{SHOW_NODES} | wc -l
        nproc; id -u; hostname; cat /sys/class/net/lo/operstate
        stat -f -c %T /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.subtree_control
        ls -d /sys/kernel/debug/tracing /dev/pts/ptmx /dev/hugepages
        cat /sys/devices/system/node/node?/cpulist"""
    done = guest(script=script)
    lines = done.stdout.split("\n")
    assert lines[:6] == ["4", "4", "0", "numa", "unknown", "cgroup2fs"], done
    assert {"cpuset", "memory", "hugetlb"} <= set(lines[6].split())
    assert lines[7:14] == [
        "/dev/hugepages",
        "/dev/pts/ptmx",
        "/sys/kernel/debug/tracing",
        *"0123",
    ]


def test_path_and_environment():
    """build/bin comes first, --env arrives, the caller's other variables do not."""
    environment = {**os.environ, "SECRET_OF_HOST": "x"}
    done = guest("--env", "COLOUR=dark red", script="env", env=environment)
    values = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert values["PATH"].startswith(f"{CHECKOUT}/build/bin:")
    assert values["COLOUR"] == "dark red"
    assert "SECRET_OF_HOST" not in values


def test_share(tmp_path):
    """A share is seen, and what is written there, and only there, comes back.

    The folder is below /tmp, which is another one in the guest.
    """
    shared, other = tmp_path / "with space", tmp_path / "other"
    shared.mkdir()
    other.mkdir()
    (shared / "from-host").write_text("hello")
    script = f"""cat from-host; echo world >from-guest; touch '{other}/lost'
        echo lost >{CHECKOUT}/lost-by-the-guest; cat {CHECKOUT}/lost-by-the-guest"""
    done = guest("--share", str(shared), script=script, cwd=shared)
    assert done.returncode == 0, done
    assert done.stdout == "hellolost\n"
    assert (shared / "from-guest").read_text() == "world\n"
    assert not list(other.iterdir())
    assert not os.path.exists(f"{CHECKOUT}/lost-by-the-guest")


def test_background_process_does_not_hold_the_guest():
    """Processes the command leaves behind end with it."""
    start = time.monotonic()
    done = guest(script="sleep 1000 & (setsid sleep 1000 &); echo done")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert time.monotonic() - start < 60


@core
def test_timeout():
    """124, and what the guest was doing."""
    done = guest("--timeout", "2", script="echo before; sleep 1000")
    assert done.returncode == 124
    assert done.stdout == "before\n"
    assert "sysrq: Show Blocked State" in done.stderr


def test_never_up(tmp_path):
    """254 when the kernel does not get to the command, or there is none."""
    done = guest("--append", "rootfstype=ext4 panic=-1", script="true")
    assert done.returncode == 254
    assert "Kernel panic" in done.stderr
    (tmp_path / "kernel").write_text("this is not a kernel")
    command = [VM, "--kernel", tmp_path / "kernel", "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 254


@core
def test_panic():
    """255 at once, with the panic's own words, wherever output was then."""
    done = guest(script="echo before; sleep 1; echo c >/proc/sysrq-trigger")
    assert done.returncode == 255
    assert done.stdout == "before\n"
    assert "Kernel panic - not syncing: sysrq triggered crash" in done.stderr
    assert "sysrq_handle_crash" in done.stderr


@core
def test_splat_of_a_command_that_succeeds(tmp_path):
    """255 although the command exits 0; the log has it all."""
    console = tmp_path / "console"
    script = "echo 'WARNING: CPU: 0 PID: 1 at mm/nothing.c:1 nothing+0x1' >/dev/kmsg"
    done = guest("--console", str(console), script=script)
    assert done.returncode == 255
    assert "mm/nothing.c" in done.stderr
    log = console.read_text()
    assert "Linux version" in log and "mm/nothing.c" in log


def test_v1():
    """A mount a controller, with prefixed files."""
    script = """stat -f -c %T /sys/fs/cgroup/cpuset
        cd /sys/fs/cgroup
        ls -d cpuset/cpuset.memory_migrate memory/tasks freezer/tasks"""
    done = guest("--cgroup", "v1", script=script)
    assert done.stdout.split() == [
        "cgroupfs",
        "cpuset/cpuset.memory_migrate",
        "freezer/tasks",
        "memory/tasks",
    ]


def test_hybrid():
    """v1 and an empty v2."""
    script = """stat -f -c %T /sys/fs/cgroup/cpuset /sys/fs/cgroup/unified
        cat /sys/fs/cgroup/unified/cgroup.controllers"""
    done = guest("--cgroup", "hybrid", script=script)
    assert done.stdout.split() == ["cgroupfs", "cgroup2fs"]


def test_two_nodes_two_cpus_each():
    """CPUs are dealt out in order."""
    script = f"{SHOW_NODES} | wc -l; cat /sys/devices/system/node/node?/cpulist"
    done = guest("--nodes", "2", "--cpus", "4", script=script)
    assert done.stdout.split() == ["2", "0-1", "2-3"]


def test_eight_nodes_some_empty(tmp_path):
    """Nodes without CPUs, a node without memory, distances, possible nodes."""
    rows = [[10 if a == b else 20 + a + b for b in range(10)] for a in range(10)]
    matrix = tmp_path / "distances"
    matrix.write_text("\n".join(" ".join(map(str, row)) for row in rows) + "\n")
    sizes = "512M,256M,256M,256M,256M,256M,256M,0"
    options = ["--nodes", "8", "--cpus", "4", "--mem-per-node", sizes]
    options += ["--empty-nodes", "2", "--distances", str(matrix)]
    script = """cd /sys/devices/system/node; cat has_memory has_cpu possible
        cat node3/distance"""
    done = guest(*options, script=script)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["0-6", "0-3", "0-9"], done
    assert lines[3].split() == [str(value) for value in rows[3][:7]]


def test_hotplug():
    """The last node has no CPU, is movable, and can go away."""
    script = """cd /sys/devices/system/node; cat has_cpu has_memory
        awk '/^Node 2/ { zone = $4 }
            /present/ && $2 && zone { print zone; zone = "" }' /proc/zoneinfo
        for block in node2/memory[0-9]*; do
            echo offline >$block/state || exit 1
        done
        cat has_memory"""
    done = guest("--nodes", "3", "--hotplug", script=script)
    assert done.returncode == 0, done
    assert done.stdout.split() == ["0-1", "0-2", "Movable", "0-1"]


def test_disk_and_swap():
    """ext4 on /disk of the size asked for, swap behind it."""
    script = """findmnt -no FSTYPE /disk; df -m --output=size /disk | tail -1
        tail -1 /proc/swaps; dd if=/dev/zero of=/disk/file bs=1M count=100 2>/dev/null
        stat -c %s /disk/file"""
    done = guest("--disk", "300M", "--swap", "200M", script=script)
    words = done.stdout.split()
    assert words[0] == "ext4"
    assert 230 <= int(words[1]) <= 300
    assert (words[2], words[4]) == ("/dev/vdb", str(200 * 1024 - 4))
    assert words[-1] == str(100 << 20)


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_disk_of_another_kind(kind):
    """File systems that are modules."""
    if not shutil.which(f"mkfs.{kind}"):
        pytest.skip(f"mkfs.{kind} is missing")
    done = guest("--disk", f"400M,{kind}", script="findmnt -no FSTYPE /disk")
    assert (done.returncode, done.stdout) == (0, f"{kind}\n"), done


def test_raw_disk():
    """Left to the command."""
    done = guest(
        "--disk", "64M,raw", script="blockdev --getsize64 /dev/vda; ls -d /disk"
    )
    assert done.stdout == f"{64 << 20}\n"


def test_icount_repeats():
    """Guest time counts instructions: two runs of the same ones agree within 1 %."""
    script = """setarch -R env PYTHONHASHSEED=0 /usr/bin/python3 -c "
import time

def loop():
    start = time.monotonic_ns()
    for n in range(1000000):
        pass
    return time.monotonic_ns() - start

print(min(loop() for _ in range(3)))
" """
    runs = [int(guest("--icount", script=script).stdout) for _ in range(2)]
    assert max(runs) / min(runs) < 1.01, runs


@pytest.mark.skipif(
    not os.path.exists("/lib/systemd/systemd"), reason="systemd is missing"
)
@pytest.mark.parametrize("layout", ["v2", "v1"])
def test_systemd(layout):
    """systemd is process 1, answers, and passes the command's status on."""
    script = """cat /proc/1/comm; stat -f -c %T /sys/fs/cgroup
        systemctl is-active vm-command.service
        systemctl list-units --failed --no-legend | wc -l; exit 9"""
    done = guest("--systemd", "--cgroup", layout, script=script)
    assert done.returncode == 9, done
    kind = {"v2": "cgroup2fs", "v1": "tmpfs"}[layout]
    assert done.stdout.split() == ["systemd", kind, "active", "0"]


def machines():
    """The QEMU processes there are."""
    found = subprocess.run(
        ["pgrep", "-f", "qemu-system-x86_64.*-name vm"],
        check=False,
        capture_output=True,
        text=True,
    )
    return set(found.stdout.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_left_behind(number):
    """However vm is ended, its QEMU ends too."""
    command = [VM, "--kernel", KERNEL, "--", "sh", "-c", "echo up; sleep 1000"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout.readline() == "up\n"
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        with open(children, encoding="ascii") as file:
            (child,) = file.read().split()
        process.send_signal(number)
        process.wait(20)
    deadline = time.monotonic() + 10
    while child in machines() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert child not in machines()


class Terminal:
    """vm without a command, with a person's terminal of 33 rows and 101 columns."""

    def __init__(self):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 33, 101, 0, 0))
            os.execv(VM, [VM, "--kernel", KERNEL])

    def expect(self, pattern, seconds=120):
        """Wait until `pattern` appears after what was seen before."""
        deadline = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern} not in {self.seen!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode()
                except OSError:
                    assert False, f"{pattern} not in {self.seen!r}"
        self.seen = self.seen[match.end() :]

    def type(self, text):
        """Type it."""
        os.write(self.fd, text.encode())

    def wait(self):
        """vm's exit status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_shell():
    """A shell on a terminal of the right size; Ctrl-C reaches its programs."""
    person = Terminal()
    person.expect(r"[#$] ")
    person.type("stty size; tty\r")
    person.expect(r"33 101\r\n/dev/hvc0")
    person.type("echo be''gun; sleep 1000; echo not here\r")
    person.expect("begun")
    person.type("\x03")
    person.expect(r"\^C")
    # A shell drops what is typed before it has taken the terminal back.
    person.expect(r"[#$] ")
    person.type("echo status=$?\r")
    person.expect(r"status=130")
    fcntl.ioctl(person.fd, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    os.kill(person.pid, signal.SIGWINCH)
    time.sleep(1)
    person.type("stty size\r")
    person.expect(r"40 120")
    person.type("exit 3\r")
    assert person.wait() == 3


def test_kill_key():
    """Ctrl-] three times ends a guest whose shell does not answer."""
    person = Terminal()
    person.expect(r"[#$] ")
    person.type("trap '' INT; echo be''gun; sleep 1000\r")
    person.expect("begun")
    for _ in range(3):
        person.type("\x1d")
        time.sleep(0.1)
    assert person.wait() == 130


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--nodes", "0"], "--nodes"),
        (["--disk", "1G,fat"], "'fat'"),
        (["--swap", "lots"], "'lots'"),
        (["--share", "/no/such/folder"], "/no/such/folder"),
        (["--mem-per-node", "1G,1G"], "expected one size or 4"),
        (["ls"], "goes after --"),
        (["--kernel", "/no/such/kernel"], "/no/such/kernel"),
    ],
)
def test_refused(arguments, words):
    """What cannot be is named, before anything is started."""
    done = guest(*arguments, "--", "true")
    assert done.returncode in (2, 254)
    assert words in done.stderr
