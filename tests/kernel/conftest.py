# SPDX-License-Identifier: GPL-2.0
"""Tests of memory moves by cpusets, run as root on a machine with four nodes.

On a kernel with the engine every test asserts what is wanted. On a stock kernel,
with --expect-defects, the tests marked `defect` assert that the kernel shows the
defect they are about; the others do not run.
"""

import contextlib
import itertools
import os
import random
import threading

import pytest

from ktest import command as cgmigrate
from ktest import cpusets, machine
from ktest.disks import mounted, slow_file_system
from ktest.hugetlb import Pool
from ktest.load import NUMALOAD, Load, nearly_full
from ktest.tools import Tools

NODES = 4
REAL_STDERR = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption(
        "--expect-defects",
        action="store_true",
        help="the kernel is stock: run the defect tests, each has to show its defect",
    )
    parser.addoption(
        "--workers",
        type=int,
        help="let the engine move an address space with so many threads",
    )

    parser.addoption(
        "--seed",
        type=int,
        help="of what tests choose at random; each says which it had",
    )


def pytest_configure(config):
    # What is written there is seen at once, also while output is captured.
    config.stash[REAL_STDERR] = os.fdopen(os.dup(2), "w")
    for line in (
        "defect(id): a defect of the stock kernel; with --expect-defects it must show",
        "alike: hardly another thing with the engine: in make check on stock only",
        "core: what v1 has too, and a debug kernel under emulation can do",
        "debug: of core, what make check has time for on a debug kernel, and on v1",
        "long: takes long, and says little that another test does not: for check-all",
        "systemd: about units, with systemd as process 1",
        "timing: nothing but a ratio of times, which a busy host can spoil",
        "v1only(reason): about something that only the v1 hierarchy has",
        "v2only(reason): about something that only the v2 hierarchy has",
    ):
        config.addinivalue_line("markers", line)


def requirements():
    """What is missing to run any of this, or None."""
    if os.geteuid() != 0:
        return "run as root"
    if len(machine.memory_nodes()) < NODES:
        return f"{NODES} nodes with memory are needed"
    if cpusets.Cpuset.root() is None:
        return "no cgroup hierarchy has the cpuset controller"
    if not os.access(NUMALOAD, os.X_OK):
        return f"{NUMALOAD} is missing: make -C tests/kernel"
    return None


def prepare_root():
    """Let children of the root have the cpuset controller."""
    root = cpusets.Cpuset.root()
    if root.version == 1:
        return
    if "cpuset" in root.read("cgroup.subtree_control").split():
        return
    if os.path.exists("/run/systemd/system"):
        pytest.exit(
            "systemd owns the root cgroup and has not enabled the cpuset controller: "
            "start a unit with Delegate=yes and AllowedMemoryNodes= first",
            returncode=4,
        )
    root.control()


def probe_engine():
    root = cpusets.Cpuset.root()
    probe = root.mkdir(f"probe-{os.getpid()}")
    try:
        return cpusets.engine_files(probe)
    finally:
        probe.rmdir()


def pytest_sessionstart(session):
    if session.config.option.collectonly:
        return
    missing = requirements()
    if missing:
        pytest.exit(f"cannot run: {missing}", returncode=4)
    prepare_root()
    engine = probe_engine()
    if session.config.option.expect_defects and engine:
        pytest.exit("--expect-defects, but this kernel has the engine", returncode=4)
    if not session.config.option.expect_defects and not engine:
        pytest.exit(
            "this kernel does not have the engine (no "
            f"{cpusets.FILES[cpusets.Cpuset.root().version]['stat']}); "
            "on a stock kernel give --expect-defects",
            returncode=4,
        )
    if session.config.option.workers:
        machine.write(f"{machine.KNOBS}/workers", session.config.option.workers)
    machine.protect_from_oom()


def pytest_collection_modifyitems(config, items):
    """Leave out what this kernel or this layout cannot be asked."""
    root = cpusets.Cpuset.root()
    foreign = "v2only" if root and root.version == 1 else "v1only"

    units = machine.read("/proc/1/comm").strip() == "systemd"

    def wanted(item):
        if item.get_closest_marker("systemd") and not units:
            return False
        if config.option.expect_defects and not item.get_closest_marker("defect"):
            return False
        return not item.get_closest_marker(foreign)

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = [item for item in items if wanted(item)]


@pytest.fixture(scope="session")
def defects(request):
    """True where the defect has to show, False where it must not."""
    return request.config.option.expect_defects


@pytest.fixture(scope="session")
def kernel_log():
    return machine.KernelLog()


@pytest.fixture(autouse=True)
def clean_kernel_log(kernel_log):
    """A kernel that warns or worse fails the test in which it did."""
    kernel_log.lines()
    yield
    splats = [line for line in kernel_log.lines() if kernel_log.SPLAT.search(line)]
    assert not splats, "the kernel log has:\n" + "\n".join(splats)


@pytest.fixture(scope="session")
def root():
    return cpusets.Cpuset.root()


@pytest.fixture(scope="session", autouse=True)
def nothing_left(root):
    """When all tests have ended, nobody keeps a cpuset that was removed."""
    with cpusets.all_freed(root):
        yield


@pytest.fixture(autouse=True)
def watched(request):
    """Just before a test runs out of time, say what everybody is waiting for.

    A test that waits in the kernel cannot be interrupted: then all ends here.
    """
    limit = request.config.getoption("timeout", None)
    if not limit:
        yield
        return
    ended = threading.Event()
    stderr = request.config.stash[REAL_STDERR]

    def watch():
        if ended.wait(0.9 * limit):
            return
        print(f"{request.node.nodeid} hangs:", file=stderr)
        print(machine.tasks(), file=stderr, flush=True)
        if not ended.wait(0.5 * limit):
            os._exit(pytest.ExitCode.INTERNAL_ERROR)

    threading.Thread(target=watch, daemon=True).start()
    yield
    ended.set()


@pytest.fixture
def chance(request):
    """Chooses at random; the seed is told at once, should the kernel not survive it."""
    seed = request.config.option.seed
    if seed is None:
        seed = random.SystemRandom().getrandbits(32)
    stderr = request.config.stash[REAL_STDERR]
    print(f" {request.node.name}: --seed {seed}", file=stderr, flush=True)
    return random.Random(seed)


@pytest.fixture
def disk(tmp_path):
    """A folder on a file system that is not memory itself."""
    for folder in ("/disk", tmp_path):
        kind = machine.file_system(folder)
        if kind not in (None, "tmpfs", "ramfs", "overlay", "9p"):
            return folder
    pytest.skip("no folder on a disk: give the guest --disk SIZE")


@pytest.fixture(params=["tmpfs", "disk"])
def path(request):
    """The name of a file on tmpfs, then on a disk; it goes when the test ends."""
    folder = "/dev/shm"
    if request.param == "disk":
        folder = request.getfixturevalue("disk")
    elif machine.file_system(folder) != "tmpfs":
        pytest.skip(f"{folder} is no tmpfs")
    name = f"{folder}/cpuset-migrate-{os.getpid()}"
    yield name
    if os.path.exists(name):
        os.unlink(name)


@pytest.fixture
def top(root, _serial=itertools.count()):
    """A cpuset of the test's own; everything below it goes when the test ends."""
    cpuset = root.mkdir(f"cpuset-migrate-test-{os.getpid()}-{next(_serial)}")
    yield cpuset
    cpuset.remove()


@pytest.fixture
def spawn(top):
    """Start workloads that end with the test: spawn(cpuset) or spawn(into=cpuset)."""
    loads = []

    def start(cpuset=None, **how):
        load = Load(**how)
        loads.append(load)
        machine.offer_to_oom(load.pid)
        if cpuset is not None:
            cpuset.attach(load)
        return load

    yield start
    for load in loads:
        load.close()


def need_command():
    if not os.access(cgmigrate.COMMAND, os.X_OK):
        pytest.fail(f"{cgmigrate.COMMAND} is missing: make tools")


@pytest.fixture
def fill_node(spawn):
    """Leave so many pages of a node free above its low watermark: fill_node(1, 512)."""
    with contextlib.ExitStack() as stack:

        def fill(node, leave):
            return stack.enter_context(nearly_full(spawn, node, leave=leave))[0]

        yield fill


@pytest.fixture
def weights():
    """Weights of the nodes for weighted interleaving."""
    folder = "/sys/kernel/mm/mempolicy/weighted_interleave"
    wanted = {0: 3, 1: 1, 2: 2, 3: 5}
    files = {f"{folder}/node{node}": weight for node, weight in wanted.items()}
    with machine.settings(files):
        yield wanted


@pytest.fixture
def charged(top, root):
    """Children of the test's cpuset account for their memory: charged(name, mems)."""
    for each in (root, top):
        if "memory" not in each.read("cgroup.subtree_control").split():
            each.write("cgroup.subtree_control", "+memory")
    return top.mkdir


@pytest.fixture
def pool():
    """Huge pages of 2 MiB: the test says how many are where."""
    pool = Pool(2048)
    yield pool
    for node in machine.memory_nodes():
        pool.resize(node, 0)
    assert all(pool.counts(node) == [(0, 0)] for node in machine.memory_nodes())


@pytest.fixture
def ramfs(tmp_path):
    """A folder on a file system that cannot migrate its pages."""
    with mounted(tmp_path / "ramfs", "ramfs") as folder:
        yield folder


@pytest.fixture
def slow_disk(tmp_path):
    """A file system on a device whose writes can be delayed: its folder, the device."""
    with slow_file_system(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def command():
    """Tests of the command need it built."""
    need_command()


@pytest.fixture(scope="session")
def cgroup_tools():
    """Tests of the plugin need what it is for, and the command that loads it."""
    if not os.path.exists("/usr/bin/cgclassify"):
        pytest.skip("libcgroup's tools are not installed (Debian: cgroup-tools)")
    need_command()


@pytest.fixture
def tools(tmp_path):
    """Runs a tool of libcgroup with the plugin."""
    return Tools(tmp_path)


@pytest.fixture
def engine(top):
    """The files of the engine, None on a stock kernel."""
    return cpusets.engine_files(top)


@pytest.fixture
def name(root):
    """The name the command knows a cpuset by."""
    return lambda cpuset: cpuset.path[len(root.path) :]


@pytest.fixture
def group(root):
    """The name libcgroup knows a cpuset by."""
    return lambda cpuset: cpuset.path[len(root.path) + 1 :]
