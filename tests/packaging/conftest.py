# SPDX-License-Identifier: GPL-2.0
"""Tests of the Debian packages, built from this checkout by make deb."""

import glob
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(CHECKOUT, "build", "packaging")
NAMES = {
    "cgmigrate",
    "cpuset-migrate-doc",
    "libcgmigrate-dev",
    "libcgmigrate1",
    "libcgroup-plugin-cgmigrate",
}
sys.path += [HERE, os.path.join(CHECKOUT, "tests", "cli")]

# The modules lie beside this file, and beside the tests of the command.
import clean_root  # noqa: E402


def output(*command, **how):
    """What a command on this machine prints; it has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Packages:
    """What a build made: {name: path of the .deb}, those with symbols apart."""

    def __init__(self, folder):
        self.folder = folder
        self.debs = {}
        self.symbols = {}
        for path in glob.glob(os.path.join(folder, "*.deb")):
            name = os.path.basename(path).split("_")[0]
            which = self.symbols if name.endswith("-dbgsym") else self.debs
            which[name] = path

    def field(self, name, field):
        """A field of a package."""
        return output("dpkg-deb", "--field", self.debs[name], field).strip()

    def paths(self, name):
        """The files of a package, as they are called when it is installed."""
        listed = output(
            "sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar -t', self.debs[name]
        )
        return {p.lstrip(".") for p in listed.splitlines() if not p.endswith("/")}


@pytest.fixture(scope="session")
def packages():
    """Made as people make them."""
    output("make", "--no-print-directory", "deb", cwd=CHECKOUT)
    return Packages(os.path.join(CHECKOUT, "build", "deb"))


@pytest.fixture(scope="session")
def cache():
    """The project's folder of what is kept."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    own = os.environ.get("CPUSET_MIGRATE_CACHE")
    return own or os.path.join(home, "cpuset-migrate")


@pytest.fixture(scope="module")
def root(cache):
    """A new Debian system."""
    try:
        with clean_root.new_root(cache, WORK) as new:
            yield new
    except clean_root.NotToBeHad as why:
        pytest.skip(f"no clean system to be had: {why}")
