# SPDX-License-Identifier: GPL-2.0
"""The plugin in cgrulesengd as a service: the drop-in, and the system's journal."""

import os
import shutil

import pytest

from ktest.cpusets import wait_until
from ktest.daemon import PROGRAM, called, drop_in_text, give_configuration
from ktest.machine import mib
from ktest.systemd import UNITS, entries, systemctl
from ktest.tools import PLUGIN, Rules, parse_record

pytestmark = [
    pytest.mark.systemd,
    pytest.mark.defect("plugin"),
    pytest.mark.long,
    pytest.mark.usefixtures("cgroup_tools"),
    pytest.mark.v2only("systemd knows cpusets on v2 only"),
]

# As distributions that have the service have it.
SERVICE = f"""[Unit]
Description=CGroups Rules Engine Daemon
[Service]
Type=forking
ExecStart={PROGRAM}
"""


@pytest.fixture
def cgred():
    """A cgred.service with the drop-in; not started."""
    file, folder = f"{UNITS}/cgred.service", f"{UNITS}/cgred.service.d"
    os.mkdir(folder)
    for path, text in (
        (file, SERVICE),
        (f"{folder}/cgmigrate.conf", drop_in_text()),
    ):
        with open(path, "w", encoding="ascii") as written:
            written.write(text)
    give_configuration()
    systemctl("daemon-reload")
    yield "cgred.service"
    systemctl("stop", "cgred.service")
    os.unlink(file)
    shutil.rmtree(folder)
    systemctl("daemon-reload")


def told(**having):
    """Records of the plugin, and who wrote them."""
    found = entries("SYSLOG_IDENTIFIER=cgmigrate")
    found = [(each, parse_record(each["CGMIGRATE_RECORD"])) for each in found]
    return [each for each in found if having.items() <= each[1].items()]


def test_what_it_moves_is_in_the_journal(top, spawn, group, cgred):
    """A process that starts later is moved by the rule, its memory by the plugin."""
    old, new = top.mkdir("a", mems="0-1"), top.mkdir("b", mems="2-3")
    with Rules(f"*:numaload cpuset {group(new)}"):
        systemctl("start", cgred)
        (daemon,) = called("cgrulesengd")
        with open(f"/proc/{daemon}/maps", encoding="utf-8") as maps:
            assert PLUGIN in maps.read()
        wait_until(lambda: told(action="everybody"), "it to have started")
        load = spawn()
        wait_until(lambda: load.pid in new.procs(), "the rule to take the process")
        wait_until(lambda: told(process=load.pid), "the record of it")
        entry, record = told(process=load.pid)[-1]
        assert entry["_SYSTEMD_UNIT"] == cgred
        assert record["tool"] == "cgrulesengd" and record["after"]["nodes"] == "2-3"

        # What it has by then comes along when the rule takes it again.
        old.attach(load.pid)
        load.alloc("anon", mib(8), nodes=(0, 1), stripe=16)
        systemctl("restart", cgred)
        wait_until(lambda: load.pid in new.procs(), "the rule to take it again")
        wait_until(
            lambda: {n for n in load.where("anon") if isinstance(n, int)} <= {2, 3},
            "its memory to follow",
        )
    load.verify()
