# SPDX-License-Identifier: GPL-2.0
"""What make deb makes."""

import hashlib
import os
import re
import subprocess

import pytest

from conftest import CHECKOUT, NAMES, WORK, Packages, output

pytestmark = pytest.mark.timeout(900)


def hashes(packages):
    """A hash of the content of every package."""
    found = {}
    for path in (*packages.debs.values(), *packages.symbols.values()):
        with open(path, "rb") as file:
            found[os.path.basename(path)] = hashlib.sha256(file.read()).hexdigest()
    return found


def test_which(packages):
    assert set(packages.debs) == NAMES


def test_the_version_names_library_and_commit(packages):
    with open(f"{CHECKOUT}/libcgroup-plugin/Makefile", encoding="ascii") as file:
        library = re.search(r"^VERSION := (.*)$", file.read(), re.M)[1]
    commit = output("git", "log", "-1", "--format=%h", "--abbrev=7", cwd=CHECKOUT)
    for name in NAMES:
        version = packages.field(name, "Version")
        assert version.startswith(f"{library}+git"), name
        assert commit.strip() in version, name


def test_lintian(packages):
    """Neither errors nor warnings, on all of them together."""
    changes = [n for n in os.listdir(packages.folder) if n.endswith(".changes")]
    assert len(changes) == 1
    command = ["lintian", "--allow-root", "--fail-on", "error,warning"]
    done = subprocess.run(
        [*command, os.path.join(packages.folder, changes[0])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_make_install_gives_the_same_files(packages, tmp_path):
    """Each is in one package; only what Debian wants of every package is added."""
    triplet = output("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
    where = ["PREFIX=/usr", f"LIBDIR=/usr/lib/{triplet}", f"DESTDIR={tmp_path}"]
    output("make", "--no-print-directory", "install", *where, cwd=CHECKOUT)
    installed = set()
    for folder, _, names in os.walk(tmp_path):
        inside = "/" + os.path.relpath(folder, tmp_path)
        installed |= {os.path.join(inside, name) for name in names}
    packaged = []
    for name in NAMES:
        files = [p for p in packages.paths(name) if not p.startswith("/usr/share/doc/")]
        packaged += [re.sub(r"(/man/.*)\.gz$", r"\1", path) for path in files]
    assert len(packaged) > 20
    assert sorted(packaged) == sorted(installed)


def test_nothing_of_debugging_is_left_in(packages):
    """It is in packages of its own."""
    with_code = {"cgmigrate", "libcgmigrate1", "libcgroup-plugin-cgmigrate"}
    assert set(packages.symbols) == {f"{name}-dbgsym" for name in with_code}


def test_the_checkout_stays_as_it_was(packages):
    assert packages
    assert not os.path.exists(os.path.join(CHECKOUT, "debian"))


def test_the_same_commit_gives_the_same_packages(packages):
    """Also in another folder."""
    folder = os.path.join(WORK, "again")
    output(os.path.join(CHECKOUT, "scripts", "deb"), folder)
    again = hashes(Packages(folder))
    assert again
    assert again == hashes(packages)
