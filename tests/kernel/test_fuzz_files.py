# SPDX-License-Identifier: GPL-2.0
"""Anything at all, or nearly what is wanted, in every file and call of the engine."""

import contextlib
import ctypes
import errno
import os
import re
import struct

import pytest

from ktest import calls, cpusets, machine
from ktest.machine import PAGE, mib
from ktest.marks import later
from ktest.process import NOBODY, apart, refused

FEW = 200
MANY = [FEW, *later(8 * FEW)]
PAGES = mib(1)
SPACES = b" \t\n\v\f\r\xa0"  # as the kernel has it
SHIFTS = {unit: 10 * place for place, unit in enumerate(b" kmgtpe") if place}
U64 = 1 << 64
# What a file of the cpuset controller may answer, and one of the engine.
REFUSED = {
    *(errno.EINVAL, errno.ERANGE, errno.EOVERFLOW, errno.E2BIG),
    *(errno.ENOSPC, errno.EBUSY, errno.EACCES),
}
REFUSED_BY_ENGINE = {errno.EINVAL, errno.E2BIG}
WORDS = {
    "hold": [b"0", b"1", b"+1", b"00"],
    "max": [b"max", b"0", b"1", b"4096", b"64K", b"500m", b"2G", b"15E", b"16E"],
    "stop": [b"1", b"0"],
    "settle": [b"1", b"0"],
    "mems": [b"0", b"0-1", b"1,3", b"0-3:1/2", b"", b"2-", b"0-1023", b"all"],
    "cpus": [b"0", b"0-1", b"1,3", b"0-3:1/2", b"", b"3-0", b"0-8191", b"all"],
}
OTHERS = [b"0", b"1", b"-1", b"root", b"member", b"isolated", b"0-1", b""]


def mutated(chance, text):
    """A text with a byte more, less or other, or twice, or with something behind."""
    at = chance.randrange(len(text) + 1)
    byte = bytes([chance.choice([chance.randrange(256), *b"019KM-,: \n\0+"])])
    return chance.choice(
        [
            text[:at] + byte + text[at:],
            text[:at] + text[at + 1 :],
            text[:at] + byte + text[at + 1 :],
            text * 2,
            text.swapcase(),
            b" \n" + text + b"\t",
            text + b"\0" + byte,
            text.rjust(chance.choice([20, 4095, 4096, 4097]), b"0"),
        ]
    )


def some_text(chance, words):
    """Bytes at random, or what is meant to be there, changed a little.

    At least one: a write of nothing does not get as far as a file of cgroups.
    """
    if not chance.randrange(4):
        return chance.randbytes(chance.choice([1, 2, 7, 64, 4095, 4096, 4097, 9000]))
    text = chance.choice(words)
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        text = mutated(chance, text)
    return text or b"\n"


def word_of(text):
    """What the kernel sees of a text: a string without blanks around it."""
    return text.split(b"\0")[0].lstrip(SPACES).rstrip(SPACES)


def flag(text):
    """0 or 1 as it reads a number, None if it is neither."""
    word = word_of(text)
    if re.fullmatch(rb"\+?0*[01]", word):
        return int(word)
    return None


def rate(text):
    """Bytes per second, or None if it is no limit."""
    word = word_of(text).lower()
    if word_of(text) == b"max":
        return U64 - 1
    if not re.fullmatch(rb"[0-9]+[kmgtpe]?", word):
        return None
    shift = SHIFTS.get(word[-1], 0)
    value = int(word[:-1] if shift else word) << shift
    return value if value < U64 else None


def wanted(name, text):
    """What a file of the engine is to contain then; None if it refuses."""
    if len(text) > PAGE:
        return None
    value = rate(text) if name == "max" else flag(text)
    if name in ("stop", "settle") and value == 0:
        return None
    return value


def content(cpuset, name):
    text = cpuset.read(name)
    return U64 - 1 if text == "max" else int(text)


def put(path, text, flags=os.O_NONBLOCK, offset=0):
    """Write to a file at some offset; the number of the error, or 0."""
    try:
        fd = os.open(path, os.O_WRONLY | flags)
        try:
            written = os.pwrite(fd, text, offset)
        finally:
            os.close(fd)
    except OSError as error:
        return error.errno
    # sysfs takes no more than a page at a time.
    assert written in (len(text), PAGE)
    return 0


def put_somehow(chance, path, text):
    """Nobody waits: what was written may be a limit of a byte per second."""
    flags = chance.choice([0, os.O_TRUNC, os.O_APPEND, os.O_CREAT])
    offset = chance.choice([0, 0, 1, PAGE, 1 << 40])
    return put(path, text, os.O_NONBLOCK | flags, offset)


def look(chance, path):
    """Read some of a file that somebody else may change."""
    with contextlib.suppress(PermissionError), open(path, "rb", buffering=0) as file:
        try:
            offset = chance.choice([0, 1, 7, PAGE, 1 << 40])
            os.pread(file.fileno(), chance.choice([0, 1, 100, 1 << 16]), offset)
        except OSError as error:
            # It can only be written.
            assert error.errno == errno.EINVAL


@pytest.fixture
def busy(top, spawn):
    """A cpuset with another one below it, and a process in that which is at work."""
    cpuset = top.mkdir("a", mems="0-3")
    cpuset.child = cpuset.mkdir("b", mems="0-1")
    cpuset.load = spawn(cpuset.child)
    cpuset.load.alloc("memory", PAGES, nodes=(0, 1))
    cpuset.load.alloc("shared", PAGES, kind="shared", nodes=(0, 1))
    cpuset.load("work", writers=1, verifiers=1, rest=1000)
    return cpuset


def change(chance, cpuset):
    """Let its memory move, if the parent has those nodes, which v1 wants."""
    refused(cpuset.set_mems, chance.choice(["0", "1-2", "0-3", "3"]), True)


def calm_down(cpuset):
    """Let everything go on to its end: it adds up, and nothing was lost."""
    child, load = cpuset.child, cpuset.load
    for each in (cpuset, child):
        each.write("max", "max")
        each.write("hold", "0")
        if each.version == 1:
            each.write("cpuset.memory_migrate", "1")
    cpuset.set_mems("0-3")
    for mems in "0-3", "1":
        child.set_mems(mems)
    cpuset.write("settle", "1")
    cpuset.wait_idle()
    assert not [*cpusets.complaints(cpuset), *cpusets.complaints(child)]
    load.rest()
    assert load.where("memory") == load.where("shared") == {1: PAGES}
    load.verify()


@pytest.mark.core
@pytest.mark.debug
@pytest.mark.parametrize("count", MANY)
def test_files_of_the_engine(busy, chance, count):
    """They take what is documented, and refuse anything else without a change."""
    taken = 0
    for _ in range(count):
        cpuset = chance.choice([busy, busy.child])
        name = chance.choice(["hold", "max", "stop", "settle"])
        readable = name in ("hold", "max")
        text = some_text(chance, WORDS[name])
        before = content(cpuset, name) if readable else None

        error = put_somehow(chance, cpuset.file(name), text)

        value = wanted(name, text)
        assert bool(error) is (value is None), (name, text, error)
        assert error in {0, *REFUSED_BY_ENGINE}, (name, text, error)
        if readable:
            assert content(cpuset, name) == (before if error else value), (name, text)
        taken += not error
        if not chance.randrange(8):
            change(chance, cpuset)
    assert 0 < taken < count
    calm_down(busy)


def files_of(cpuset):
    return sorted(name for name in os.listdir(cpuset.path) if name.startswith("cpuset"))


def words_for(cpuset, leaf):
    for name, words in WORDS.items():
        if cpuset.file(name) == os.path.join(cpuset.path, leaf):
            return words
    return OTHERS


def is_steady(path):
    """Can it be read, and changes only when it is written to?"""
    if re.search("effective|isolated|partition|stat$|events|pressure", path):
        return False
    return bool(os.stat(path).st_mode & 0o444)


@pytest.mark.core
@pytest.mark.parametrize("count", MANY)
def test_all_files_of_a_cpuset(busy, chance, count):
    """Also those that can only be read; and what is refused has changed nothing."""
    files = files_of(busy)
    assert {"cpuset.mems", "cpuset.cpus"} < set(files)
    steady = 0
    for _ in range(count):
        cpuset = chance.choice([busy, busy.child])
        leaf = chance.choice(files)
        path = os.path.join(cpuset.path, leaf)
        before = machine.read(path) if is_steady(path) else None
        look(chance, path)
        text = some_text(chance, words_for(cpuset, leaf))

        error = put_somehow(chance, path, text)

        assert error in {0, *REFUSED}, (leaf, text, error)
        if error and before is not None:
            assert machine.read(path) == before, (leaf, text)
            steady += 1
    assert steady
    calm_down(busy)


LIMITS = {
    "max_stall_usec": (1, 1000000),
    "workers": (1, 64),
    "exempt": (0, 1),
    "pagecache": (0, 1),
    "swap_fallback": (0, 1),
}


@pytest.mark.core
@pytest.mark.parametrize("count", MANY)
def test_knobs(busy, chance, count):
    """What they contain is always something that they may."""
    paths = {name: f"{machine.KNOBS}/{name}" for name in LIMITS}
    assert sorted(LIMITS) == sorted(os.listdir(machine.KNOBS))
    with machine.settings({path: machine.read(path) for path in paths.values()}):
        for _ in range(count):
            name = chance.choice(list(LIMITS))
            low, high = LIMITS[name]
            some = [low, high, low - 1, high + 1, chance.randrange(low, high + 1)]
            words = [b"%d" % number for number in some]
            text = some_text(chance, [*words, b"0x10", b"on", b"y"])
            before = machine.read(paths[name])

            error = put_somehow(chance, paths[name], text)

            now = machine.read(paths[name])
            assert error in (0, errno.EINVAL), (name, text, error)
            assert low <= int(now) <= high, (name, text)
            if error:
                assert now == before, (name, text)
            if text in words:
                assert bool(error) is not (low <= int(text) <= high), (name, text)
                assert error or int(now) == int(text), (name, text)
            if not chance.randrange(16):
                change(chance, busy.child)
    calm_down(busy)


@pytest.mark.core
@pytest.mark.long
def test_evacuate(busy, chance):
    """It empties the node where that is asked for, and does nothing otherwise."""
    path = f"{machine.NODE}/node1/evacuate"
    busy.child.set_mems("1")
    asked = 0
    while asked < 2:
        text = some_text(chance, [b"1", b"0", b"2"])
        error = put_somehow(chance, path, text)
        if error == errno.EINVAL:
            assert text != b"1"
        else:
            # What the cpuset has on its only node stays there.
            assert error in (0, errno.EAGAIN), (text, error)
            assert flag(text[:PAGE]) == 1, text
            asked += 1
        assert busy.load.where("memory") == {1: PAGES}
    calm_down(busy)


def put_as_nobody(chance, paths, count):
    """Try to change files, or to read them, as a user that has no rights."""
    os.setuid(NOBODY)
    for _ in range(count):
        path = chance.choice(paths)
        text = some_text(chance, [b"0", b"1", b"max", b"0-1"])
        assert put_somehow(chance, path, text) == errno.EACCES, (path, text)
        if not os.stat(path).st_mode & 0o004:
            assert refused(os.open, path, os.O_RDONLY) == errno.EACCES, path
        look(chance, path)


@pytest.mark.core
def test_files_as_nobody(busy, chance):
    """Who may not write to them changes nothing, and starts nothing."""
    paths = [
        os.path.join(each.path, leaf)
        for each in (busy, busy.child)
        for leaf in files_of(each)
    ]
    paths += [f"{machine.KNOBS}/{name}" for name in LIMITS]
    paths.append(f"{machine.NODE}/node1/evacuate")
    before = [machine.read(path) for path in paths if is_steady(path)]
    since = cpusets.Since(busy)

    apart(put_as_nobody, chance, paths, FEW)

    assert [machine.read(path) for path in paths if is_steady(path)] == before
    assert since.nothing_gained()
    calm_down(busy)


# Those that lose no content and do not swap; see asm-generic/mman-common.h.
HARMLESS = [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 19, 22, 23, 25]
UNKNOWN = [-1, 5, 26, 99, 119, 122, 1 << 20, -(1 << 31)]
ADVICE_ERRORS = {
    *(errno.EINVAL, errno.ENOMEM, errno.EPERM, errno.EAGAIN, errno.EBUSY),
    *(errno.EBADF, errno.EFAULT, errno.EIO),
}


class Own:
    """Memory of this process, in a cpuset that goes on to be changed, on node 0."""

    def __init__(self, cpuset, user):
        cpuset.attach(os.getpid())
        self.memory = calls.Mapping(PAGES)
        cpuset.set_mems("0-2")
        # Opened as long as that is allowed.
        self.files = {
            name: os.open(cpuset.file(name), os.O_WRONLY | flags)
            for name, flags in (("mems", os.O_NONBLOCK), ("settle", 0))
        }
        os.setuid(user)
        self.change("0-2")

    def change(self, nodes):
        os.write(self.files["mems"], nodes.encode())
        self.nodes = machine.parse_list(nodes)

    def settle(self):
        os.write(self.files["settle"], b"1")

    def range(self, chance):
        """Some of its pages: the first one, and how many."""
        first = chance.randrange(PAGES)
        return first, chance.randrange(PAGES - first) + 1

    def nowhere(self, chance):
        """A place that is not in the memory, or no place at all, and a length."""
        if chance.randrange(2):
            end = self.memory.address + PAGES * PAGE
            address = chance.choice([end, 1 << 47, U64 - PAGE])
            return address, chance.choice([PAGE, 1 << 40, 1 << 63, U64 - 1])
        address = chance.choice([0, PAGE, self.memory.address + 1, U64 - PAGE + 1])
        return address, chance.choice([0, 1, PAGE, U64 - 1])


def call(number, *words):
    """A system call with anything as arguments; the number of the error, or 0."""
    words = [ctypes.c_ulong(word % U64) for word in words]
    return refused(lambda: calls.checked(calls.libc.syscall(number, *words)))


MADVISE = 28


def advise_anything(chance, cpuset, user, count):
    """Which pages stay is known all the time; in the end that is what stays."""
    own = Own(cpuset, user)
    exempt = [False] * PAGES
    for _ in range(count):
        advice = chance.choice(
            [calls.NOMIGRATE, calls.MIGRATE, chance.choice(HARMLESS + UNKNOWN)]
        )
        if not chance.randrange(4):
            error = call(MADVISE, *own.nowhere(chance), advice)
            assert error in {0, *ADVICE_ERRORS}, (advice, error)
            continue
        first, pages = own.range(chance)
        address = own.memory.address + first * PAGE
        size = pages * PAGE - chance.choice([0, 0, 1, PAGE - 1])
        error = call(MADVISE, address, size, advice)
        assert error in {0, *ADVICE_ERRORS}, (advice, error)
        if advice == calls.NOMIGRATE:
            assert error == (errno.EPERM if user else 0)
        if advice == calls.MIGRATE:
            assert error == 0
        if advice in UNKNOWN:
            assert error == errno.EINVAL, advice
        if not error and advice in (calls.NOMIGRATE, calls.MIGRATE):
            exempt[first : first + pages] = [advice == calls.NOMIGRATE] * pages

    own.change("1")
    own.settle()
    assert own.memory.nodes() == [int(not stays) for stays in exempt]
    assert own.memory.intact()
    return sum(exempt)


USERS = pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])


@pytest.mark.core
@pytest.mark.debug
@USERS
@pytest.mark.parametrize("count", MANY)
def test_advice(top, chance, user, count):
    """Which pages stay is what was said of them last, of all that was said."""
    cpuset = top.mkdir("a", mems="0")

    stayed = apart(advise_anything, chance, cpuset, user, count)

    cpuset.wait_idle()
    assert not cpusets.complaints(cpuset)
    if user:
        assert stayed == 0
    assert cpuset.stat()["migrate_skip_exempt"] >= stayed


CALL_ERRORS = {
    calls.MBIND: {errno.EFAULT, errno.EINVAL, errno.EIO, errno.ENOMEM, errno.EPERM},
    calls.MIGRATE_PAGES: {errno.EFAULT, errno.EINVAL, errno.EPERM, errno.ESRCH},
    calls.MOVE_PAGES: {
        *(errno.E2BIG, errno.EACCES, errno.EFAULT, errno.EINVAL, errno.ENODEV),
        *(errno.ENOENT, errno.ENOMEM, errno.EPERM, errno.ESRCH),
    },
}
MODES = [*range(8), -1, 99, 1 << 31]
MODE_FLAGS = [0, 0, 0, 1 << 15, 1 << 14, 1 << 13, 3 << 14]  # MPOL_F_STATIC_NODES ...
MOVE_FLAGS = [
    0,
    calls.STRICT,
    calls.MOVE,
    calls.MOVE,
    calls.MOVE_ALL,
    3,
    8,
    1 << 31,
    -1,
]
BITS = [0, 1, 2, 5, 64, 65, 1025, 8 * PAGE, 8 * PAGE + 1, 1 << 32, U64 - 1]
NOWHERE = [0, 1, 1 << 47, U64 - PAGE]
PROCESSES = [0, 0, 0, 1 << 22, 2, -1]  # this one, none, one without memory, none
LISTED = 64


class Arguments:
    """Memory for what system calls read and write, and what to put there."""

    def __init__(self, chance, own):
        self.chance, self.own = chance, own
        self.lists = calls.Mapping(3)

    def place(self, number):
        """The page of a list, or no place at all."""
        if not self.chance.randrange(8):
            return self.chance.choice(NOWHERE)
        return self.lists.address + number * PAGE

    def put(self, number, data):
        self.lists.memory[number * PAGE : (number + 1) * PAGE] = data.ljust(PAGE, b"\0")

    def mask(self, number):
        nodes = self.chance.choices([0, 1, 2, 3, 40, 1500, 8 * PAGE - 1], k=2)
        bits = sum({1 << node for node in nodes})
        self.put(number, bits.to_bytes(PAGE, "little"))
        return self.place(number)

    def mbind(self):
        choice = self.chance.choice
        address, size = self.own.nowhere(self.chance)
        if self.chance.randrange(4):
            first, pages = self.own.range(self.chance)
            address, size = self.own.memory.address + first * PAGE, pages * PAGE
        mode = choice(MODES) | choice(MODE_FLAGS)
        flags = choice(MOVE_FLAGS)
        return calls.MBIND, address, size, mode, self.mask(0), choice(BITS), flags

    def migrate_pages(self):
        choice = self.chance.choice
        masks = self.mask(0), self.mask(1)
        return calls.MIGRATE_PAGES, choice(PROCESSES), choice(BITS), *masks

    def move_pages(self):
        """A long list is nowhere, so that nothing beyond its end is written."""
        choice = self.chance.choice
        some = self.chance.choices([*self.own.memory.addresses(), *NOWHERE], k=LISTED)
        nodes = self.chance.choices(
            [0, 1, 2, 3, 40, -1, 1 << 30], [9] * 3 + [1] * 4, k=LISTED
        )
        self.put_lists(some, nodes)
        count = choice([0, 1, 7, LISTED, 1 << 40, U64 - 1])
        lists = [choice(NOWHERE)] * 3
        if count <= LISTED:
            lists = [self.place(number) for number in range(3)]
        words = choice(PROCESSES), count, *lists, choice(MOVE_FLAGS)
        return calls.MOVE_PAGES, *words

    def put_lists(self, addresses, nodes):
        self.put(0, struct.pack(f"{LISTED}Q", *addresses))
        self.put(1, struct.pack(f"{LISTED}i", *nodes))

    def right(self):
        """One of them as it should be, which few are by chance."""
        chance, memory, nodes = self.chance, self.own.memory, self.own.nodes
        lists = [self.lists.address + number * PAGE for number in range(3)]
        number = chance.choice(list(CALL_ERRORS))
        if number == calls.MOVE_PAGES:
            some = chance.choices(memory.addresses(), k=LISTED)
            self.put_lists(some, chance.choices(nodes, k=LISTED))
            return number, 0, LISTED, *lists, calls.MOVE
        mask = struct.pack("Q", sum(1 << node for node in nodes))
        if number == calls.MIGRATE_PAGES:
            self.put(0, struct.pack("Q", 0b111))
            self.put(1, mask)
            return number, 0, 64, *lists[:2]
        first, pages = self.own.range(chance)
        address = memory.address + first * PAGE
        self.put(0, mask)
        mode = chance.choice([1, 2, 3])  # preferred, bound, interleaved
        return number, address, pages * PAGE, mode, lists[0], 64, calls.MOVE


def call_anything(chance, cpuset, user, count):
    """Nothing of it loses a page, or takes one where the cpuset does not want it."""
    own = Own(cpuset, user)
    arguments = Arguments(chance, own)
    made = [arguments.mbind, arguments.migrate_pages, arguments.move_pages]
    made.append(arguments.right)
    done = set()
    for _ in range(count):
        number, *words = chance.choice(made)()
        error = call(number, *words)
        assert error in {0, *CALL_ERRORS[number]}, (number, words, error)
        if not error:
            done.add(number)
        if not chance.randrange(32):
            own.change(chance.choice(["0", "1-2", "0-2", "2"]))
    assert own.memory.intact()
    assert set(own.memory.nodes()) <= set(machine.memory_nodes())

    own.memory.bind(0, [])
    own.change("1")
    own.settle()
    assert own.memory.nodes() == [1] * PAGES
    assert own.memory.intact()
    return done


@pytest.mark.core
@USERS
@pytest.mark.parametrize("count", MANY)
def test_system_calls(top, chance, user, count):
    cpuset = top.mkdir("a", mems="0")

    done = apart(call_anything, chance, cpuset, user, count)

    assert done == set(CALL_ERRORS)
    cpuset.wait_idle()
    assert not cpusets.complaints(cpuset)
