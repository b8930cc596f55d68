# SPDX-License-Identifier: GPL-2.0
"""scripts/libcgroup: which source it takes; libcgroup's unit tests of what is patched.

Its functional tests are in tests/kernel/test_libcgroup.py.
"""

import glob
import os
import shutil
import subprocess
import tarfile

import pytest

from conftest import BUILD

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
TREES = os.path.join(BUILD, "libcgroup")
SOURCE = {
    "configure": "#!/bin/sh\ntrue\n",
    "Makefile": "all:\n\tcp text built\n",
    "text": "as it is\n",
}
PATCH = "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-as it is\n+patched\n"
# An apt that knows no archive.
NO_ARCHIVE = """
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "{0}";
"""


@pytest.fixture
def project(tmp_path):
    """Another project, with a patch for a source that is built at once."""
    for name in ("scripts/libcgroup", "scripts/lib.sh"):
        os.makedirs(tmp_path / "scripts", exist_ok=True)
        shutil.copy(os.path.join(ROOT, name), tmp_path / name)
    patches = tmp_path / "libcgroup-plugin" / "patches"
    patches.mkdir(parents=True)
    (patches / "series").write_text("text.patch\n")
    (patches / "text.patch").write_text(PATCH)
    return tmp_path


@pytest.fixture
def source(tmp_path):
    """An archive as libcgroup's are."""
    folder = tmp_path / "libcgroup-9"
    folder.mkdir()
    for name, text in SOURCE.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    path = tmp_path / "libcgroup_9.orig.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    return path


def libcgroup(project, **environment):
    return subprocess.run(
        ["scripts/libcgroup"],
        cwd=project,
        env={**os.environ, "CPUSET_MIGRATE_CACHE": f"{project}/cache", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def built(project):
    folder = project / "build" / "libcgroup"
    return {path.parent.name: path.read_text() for path in folder.glob("*/built")}


BOTH = {"stock": "as it is\n", "patched": "patched\n"}


def test_a_source_that_is_named(project, source):
    assert libcgroup(project, LIBCGROUP_TARBALL=str(source)).returncode == 0
    assert built(project) == BOTH
    os.unlink(project / "build" / "libcgroup" / "stock" / "built")
    assert libcgroup(project, LIBCGROUP_TARBALL=str(source)).returncode == 0
    assert list(built(project)) == ["patched"], "it was built again"


def test_a_source_that_was_kept(project, source):
    kept = project / "cache" / "libcgroup"
    kept.mkdir(parents=True)
    shutil.move(source, kept / f"trixie-{source.name}")
    assert libcgroup(project).returncode == 0
    assert built(project) == BOTH


@pytest.mark.parametrize("wrong", ["not there", "no archive"])
def test_a_source_that_is_none(project, source, wrong):
    """What was built of another one stays."""
    assert libcgroup(project, LIBCGROUP_TARBALL=str(source)).returncode == 0
    bogus = project / "bogus.tar.gz"
    if wrong == "no archive":
        bogus.write_text("bogus")
    result = libcgroup(project, LIBCGROUP_TARBALL=str(bogus))
    why = {"not there": "no such file", "no archive": "not an archive"}[wrong]
    assert result.stderr == f"libcgroup: LIBCGROUP_TARBALL={bogus}: {why}\n"
    assert result.returncode == 1 and built(project) == BOTH


def test_a_patch_that_does_not_apply(project, source):
    (project / "libcgroup-plugin" / "patches" / "text.patch").write_text(
        PATCH.replace("-as it is", "-as it was")
    )
    result = libcgroup(project, LIBCGROUP_TARBALL=str(source))
    wrong = f"libcgroup-plugin/patches/text.patch does not apply to {source.name}\n"
    assert result.returncode == 1 and result.stderr.endswith(wrong)


@pytest.mark.skipif(not shutil.which("apt-get"), reason="this is not Debian")
def test_no_source_to_be_had(project):
    apt = project / "apt.conf"
    apt.write_text(NO_ARCHIVE.format(project / "lists"))
    result = libcgroup(project, APT_CONFIG=str(apt))
    assert result.returncode == 3 and not built(project)
    assert result.stderr == (
        "libcgroup: no source of libcgroup to be had from Debian trixie; "
        "name one with LIBCGROUP_TARBALL=FILE\n"
    )


# ---- its unit tests ----


@pytest.fixture
def unit(tmp_path):
    """Unit tests of the patched source on cgset of either tree: unit(tree, number)."""
    if not os.path.exists(f"{TREES}/id"):
        pytest.skip("libcgroup is not built, or not to be had: make libcgroup-patches")

    def run(tree, number):
        source, tests = f"{TREES}/{tree}/src", f"{TREES}/patched/tests/gunit"
        flags = ["-DSTATIC=", "-DUNIT_TEST", "-D_GNU_SOURCE", "-w"]
        flags += [
            f"-I{source}/{folder}" for folder in ("..", "../include", "", "tools")
        ]
        files = [f"{source}/tools/{name}.c" for name in ("cgset", "tools-common")]
        files += [f"{tests}/gtest.cpp", *glob.glob(f"{tests}/{number}-*.cpp")]
        libs = [f"-L{source}/.libs", f"-Wl,-rpath,{source}/.libs", "-l:libcgroup.so.3"]
        libs += ["-lgtest", "-lstdc++", "-lm", "-lpthread"]
        program = str(tmp_path / tree)
        subprocess.run(["gcc", *flags, "-o", program, *files, *libs], check=True)
        return subprocess.run(
            [program], capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.mark.long
def test_unit_tests_of_an_empty_value(unit):
    """They pass with the patch, and fail on what there was before."""
    result = unit("patched", "016")
    assert result.returncode == 0 and "[  PASSED  ] 2 tests." in result.stdout
    result = unit("stock", "016")
    assert result.returncode == 1 and "CgsetParseRFlagTest.EmptyValue" in result.stdout
    assert "1 FAILED TEST" in result.stdout
