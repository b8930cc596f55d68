# SPDX-License-Identifier: GPL-2.0
"""What make install leaves behind is what a program and a person need."""

import glob
import os
import subprocess

import pytest

from conftest import BUILD

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
SYMBOLS = os.path.join(os.path.dirname(__file__), "symbols")
HEADERS = sorted(
    os.path.basename(file)
    for file in glob.glob(os.path.join(SOURCE, "libcgroup-plugin/include/*.h"))
)
PARTS = ("libcgroup-plugin", "libcgroup-plugin/plugin", "tools/cgmigrate")
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A system with everything below /usr."""
    root = tmp_path_factory.mktemp("root")
    for part in PARTS:
        words = ["make", "-s", "-C", os.path.join(SOURCE, part), "install"]
        words += [f"O={os.path.abspath(BUILD)}", "PREFIX=/usr", f"DESTDIR={root}"]
        words += ["LIBDIR=/usr/lib/triplet"]
        subprocess.run(words, check=True, umask=0o077)
    return root


def flags(root, what):
    """What pkg-config tells a program that is built where there is nothing else."""
    env = {
        **os.environ,
        "PKG_CONFIG_LIBDIR": f"{root}/usr/lib/triplet/pkgconfig",
        "PKG_CONFIG_SYSROOT_DIR": str(root),
    }
    words = ["pkg-config", what, "libcgmigrate"]
    result = subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True)
    assert result.returncode == 0
    return result.stdout.split()


def test_the_files(installed):
    for file in (
        "bin/cgmigrate",
        *(f"include/{header}" for header in HEADERS),
        "lib/triplet/libcgmigrate.so",
        "lib/triplet/libcgmigrate.so.1",
        "lib/triplet/cgmigrate/libcgroup-cgmigrate.so",
        "lib/triplet/cgmigrate/libcgroup-cgmigrate-core.so",
        "share/man/man8/cgmigrate-run.8",
        "share/man/man7/libcgroup-cgmigrate.7",
        "lib/systemd/system/cgred.service.d/cgmigrate.conf",
    ):
        assert (installed / "usr" / file).exists(), file


def packaged():
    """The patterns of what make install leaves for the packages, with their file."""
    found = []
    for file in glob.glob(os.path.join(SOURCE, "packaging/debian/*.install")):
        with open(file, encoding="utf-8") as lines:
            words = [line.split() for line in lines]
        # The documentation is packaged from the source, and says where it goes.
        found += [(os.path.basename(file), word[0]) for word in words if len(word) == 1]
    return found


def below(root, pattern):
    """The files a pattern of debhelper stands for; it takes folders as a whole."""
    files = set()
    for path in glob.glob(os.path.join(root, pattern)):
        names = {os.path.join(f, n) for f, _, names in os.walk(path) for n in names}
        files |= names or {path}
    return files


def test_every_file_is_in_one_package(installed):
    """debhelper stops at what is in none, long after this was written."""
    packages = {}
    for package, pattern in packaged():
        files = below(installed, pattern)
        assert files, f"{package}: {pattern} is not installed"
        for file in files:
            packages.setdefault(file, []).append(package)
    assert below(installed, "usr") == set(packages)
    twice = {file: names for file, names in packages.items() if len(names) > 1}
    assert not twice


def test_everybody_may_read_them(installed):
    """Whatever the umask of who installs."""
    for folder, _, names in os.walk(installed / "usr"):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            assert os.stat(path).st_mode & 0o444 == 0o444, path


def test_the_drop_in_names_the_plugin(installed):
    folder = installed / "usr/lib/systemd/system/cgred.service.d"
    text = (folder / "cgmigrate.conf").read_text()
    plugin = "/usr/lib/triplet/cgmigrate/libcgroup-cgmigrate.so"
    assert f"Environment=LD_PRELOAD={plugin}\n" in text
    assert "@" not in text


@pytest.mark.parametrize("example", ["where", "follow"])
def test_examples_build_with_pkg_config(installed, tmp_path, example):
    source = os.path.join(SOURCE, "libcgroup-plugin", "examples", f"{example}.c")
    words = ["cc", *WARNINGS, "-o", tmp_path / example, source]
    words += flags(installed, "--cflags") + flags(installed, "--libs")
    subprocess.run(words, check=True)


@pytest.mark.parametrize(
    "compiler, language, standard",
    [("cc", "c", "c99"), ("cc", "c", "c17"), ("c++", "c++", "c++11")],
)
def test_the_header_is_clean(installed, tmp_path, compiler, language, standard):
    """Alone, and with nothing but the standard asked for."""
    code = "#include <libcgmigrate.h>\nint main(void) { return cgm_version() == 0; }\n"
    words = [compiler, *WARNINGS, f"-std={standard}", "-x", language, "-", "-x", "none"]
    words += ["-o", tmp_path / "program"]
    words += flags(installed, "--cflags") + flags(installed, "--libs")
    subprocess.run(words, input=code, text=True, check=True)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(
    "compiler, language, standard", [("cc", "c", "c99"), ("c++", "c++", "c++11")]
)
def test_every_part_of_the_header_stands_alone(
    installed, compiler, language, standard, header
):
    """Whoever includes it need not know what it needs."""
    words = [compiler, *WARNINGS, f"-std={standard}", "-fsyntax-only", "-x", language]
    words += ["-", *flags(installed, "--cflags")]
    subprocess.run(words, input=f"#include <{header}>\n", text=True, check=True)


def test_the_header_has_all_parts(installed):
    words = ["cc", "-M", "-x", "c", "-", *flags(installed, "--cflags")]
    code = "#include <libcgmigrate.h>\n"
    result = subprocess.run(
        words, input=code, text=True, check=True, stdout=subprocess.PIPE
    )
    read = {os.path.basename(file) for file in result.stdout.split()}
    assert set(HEADERS) <= read


def test_an_installed_command_finds_its_plugin(installed):
    library = f"{installed}/usr/lib/triplet"
    words = [f"{installed}/usr/bin/cgmigrate", "run", "--", "env"]
    env = {**os.environ, "LD_LIBRARY_PATH": library}
    result = subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True)
    assert result.returncode == 0
    plugin = os.path.realpath(f"{library}/cgmigrate/libcgroup-cgmigrate.so")
    assert f"LD_PRELOAD={plugin}\n" in result.stdout


def test_the_library_shows_what_is_documented(installed):
    """No symbol without a version, and nothing but cgm_ of ours."""
    words = [
        "nm",
        "-D",
        "--defined-only",
        f"{installed}/usr/lib/triplet/libcgmigrate.so",
    ]
    listed = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    names = [line.split()[-1] for line in listed.splitlines()]
    functions = [name for name in names if not name.startswith("LIBCGMIGRATE_")]
    assert functions
    for name in functions:
        assert name.startswith("cgm_") and "@@LIBCGMIGRATE_" in name, name


def test_what_was_released_stays(installed):
    """A block of the version script is closed with its release: a program that was
    linked with a later build must run with every one of that version."""
    words = ["nm", "-D", "--defined-only"]
    words.append(f"{installed}/usr/lib/triplet/libcgmigrate.so")
    listed = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = [
        line.split()[-1].split("@@LIBCGMIGRATE_")
        for line in listed.splitlines()
        if "@@" in line
    ]
    with open(SYMBOLS, encoding="ascii") as file:
        released = [line.split() for line in file if not line.startswith("#")]
    closed = {version for version, _ in released}
    now = sorted([version, name] for name, version in found if version in closed)
    assert now == sorted(released)


def test_the_preloaded_half_needs_libc_only(installed):
    plugin = f"{installed}/usr/lib/triplet/cgmigrate/libcgroup-cgmigrate.so"
    words = ["readelf", "-d", plugin]
    listed = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    needed = [
        line.split("[")[1][:-1] for line in listed.splitlines() if "NEEDED" in line
    ]
    assert set(needed) <= {"libc.so.6", "ld-linux-x86-64.so.2"}
