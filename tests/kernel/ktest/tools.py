# SPDX-License-Identifier: GPL-2.0
"""libcgroup's own tools as Debian ships them, with the plugin and without."""

import functools
import json
import os
import struct
import subprocess

from ktest.load import NUMALOAD

try:
    import jsonschema
except (
    ImportError
):  # a machine that is not the project's: records are taken as they are
    jsonschema = None

BUILD = os.path.abspath(os.path.join(os.path.dirname(NUMALOAD), ".."))
COMMAND = os.path.join(BUILD, "bin", "cgmigrate")
PLUGIN = os.path.join(BUILD, "lib", "cgmigrate", "libcgroup-cgmigrate.so")
SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
LIBCGROUP = "/lib/x86_64-linux-gnu/libcgroup.so.2"
PATIENCE = 240
NOBODY = 65534
ENVIRONMENT = "CGMIGRATE_PLUGIN_"

DT_NULL, DT_FLAGS, DF_SYMBOLIC = 0, 30, 2
PT_DYNAMIC = 2


def run(*command, **more):
    """A finished process with its output as text."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **more,
    )


def preloaded(plugin=PLUGIN, **settings):
    """An environment with the plugin put into it by hand."""
    more = {ENVIRONMENT + key.upper(): value for key, value in settings.items()}
    return {**os.environ, "LD_PRELOAD": plugin, **more}


@functools.cache
def record_validator():
    path = os.path.join(SOURCE, "Documentation", "cgmigrate.schema.json")
    with open(path, encoding="utf-8") as file:
        parts = json.load(file)["$defs"]
    schema = {"$ref": "#/$defs/plugin_record", "$defs": parts}
    return jsonschema.Draft202012Validator(schema)


def parse_record(text):
    """A record of the plugin, which has to be as the schema says."""
    record = json.loads(text)
    if jsonschema:
        record_validator().validate(record)
    return record


class Tools:
    """Runs a tool with the plugin and keeps what the plugin reported."""

    def __init__(self, folder):
        self.report = os.path.join(folder, "report")
        self.seen = 0

    def __call__(self, *command, options=(), **more):
        """The tool with the plugin; nothing but its own words on stderr."""
        return run(*self.prefix(*options), *command, **more)

    def prefix(self, *options):
        """The words that give the tool behind them the plugin."""
        return [COMMAND, "run", "--report", self.report, *options, "--"]

    def records(self):
        """What was reported since the last look."""
        if not os.path.exists(self.report):
            return []
        with open(self.report, encoding="utf-8") as file:
            records = [parse_record(line) for line in file]
        new = records[self.seen :]
        self.seen = len(records)
        return new

    def done(self, *command, options=(), **more):
        """The tool has to succeed silently; its one record."""
        result = self(*command, options=options, **more)
        assert result.returncode == 0, result
        assert (result.stdout, result.stderr) == ("", "")
        records = self.records()
        assert len(records) == 1, records
        assert records[0]["returned"] == 0
        assert records[0]["notes"] == []
        return records[0]


class Rules:
    """What is in /etc/cgrules.conf for a while."""

    FILE = "/etc/cgrules.conf"

    def __init__(self, *lines):
        self.lines = lines

    def __enter__(self):
        self.before = None
        if os.path.exists(self.FILE):
            with open(self.FILE, encoding="ascii") as file:
                self.before = file.read()
        with open(self.FILE, "w", encoding="ascii") as file:
            file.write("".join(f"{line}\n" for line in self.lines))

    def __exit__(self, *exc):
        if self.before is None:
            os.unlink(self.FILE)
        else:
            with open(self.FILE, "w", encoding="ascii") as file:
                file.write(self.before)


def outcome(result):
    """What the user of a tool sees of it."""
    return result.returncode, result.stdout, result.stderr


# What a program that is started sees of what started it.
SEEN = "tr '\\0' '\\n' </proc/self/environ; cat /proc/self/maps; ls -l /proc/self/fd"


def objects(text):
    """Files that are mapped."""
    return {line.split()[-1] for line in text.splitlines() if ".so" in line}


def settings(text):
    prefixes = ("LD_PRELOAD=", ENVIRONMENT)
    return [line for line in text.splitlines() if line.startswith(prefixes)]


def symbolic_copy(folder):
    """libcgroup as some distributions link it, with -Bsymbolic-functions.

    Its own calls stay inside then. The loader does the same for an object with the
    flag DF_SYMBOLIC, which is set in a copy here.
    """
    with open(LIBCGROUP, "rb") as file:
        data = bytearray(file.read())
    (headers,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _, offset = struct.unpack_from("<IIQ", data, headers + number * size)
        if kind == PT_DYNAMIC:
            set_symbolic(data, offset)
    path = os.path.join(folder, "libcgroup.so.2")
    with open(path, "wb") as file:
        file.write(data)
    return path


def set_symbolic(data, offset):
    """Set the flag in a dynamic section."""
    while True:
        tag, value = struct.unpack_from("<QQ", data, offset)
        assert tag != DT_NULL, "no DT_FLAGS to put the flag in"
        if tag == DT_FLAGS:
            struct.pack_into("<Q", data, offset + 8, value | DF_SYMBOLIC)
            return
        offset += 16
