# SPDX-License-Identifier: GPL-2.0
"""Where a user who is not root has his records, also with an empty environment."""

import json
import os
import subprocess

import pytest

from conftest import COMMAND, VALIDATOR
from test_hostile import NOBODY, as_root
from test_report import record

THEIRS = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
BOOT = "proc/sys/kernel/random/boot_id"

pytestmark = as_root


def boot():
    with open(f"/{BOOT}", encoding="ascii") as file:
        return file.read().strip()


@pytest.fixture
def home(tmp_path):
    """A folder of nobody's, who can get there."""
    path = tmp_path / "home"
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    for above in path.parents:
        os.chmod(above, above.stat().st_mode | 0o055)
    return path


def as_nobody(*args, **environment):
    words = ["env", "-i", *(f"{k}={v}" for k, v in environment.items()), COMMAND]
    return subprocess.run(
        [*THEIRS, *words, *args], capture_output=True, text=True, check=False
    )


def jobs(**environment):
    result = as_nobody("report", "-J", **environment)
    assert result.returncode == 0, result
    out = json.loads(result.stdout)
    VALIDATOR.validate(out)
    return [job["job"] for job in out["jobs"]]


def give(home, folder, job="j1"):
    """A record of nobody's in a folder below his home, which is made."""
    where = home
    for name in folder.split("/"):
        where = where / name
        where.mkdir(exist_ok=True)
        os.chown(where, NOBODY, NOBODY)
    path = where / f"{job}.json"
    path.write_text(json.dumps(record(job)))
    os.chown(path, NOBODY, NOBODY)
    return where


STATE = ".local/state/cgmigrate"


def test_without_a_folder_for_the_session(home):
    give(home, f"{STATE}/run-{boot()}")
    give(home, f"{STATE}/run-00000000-0000-4000-8000-000000000000", "j2")
    give(home, STATE, "j3")
    assert jobs(HOME=home) == ["j1"]
    assert jobs() == [], "his home is not there"
    give(home, f"state/cgmigrate/run-{boot()}", "j4")
    assert jobs(HOME=home, XDG_STATE_HOME=home / "state") == ["j4"]


def test_the_folder_of_a_session_comes_first(home):
    give(home, f"{STATE}/run-{boot()}")
    give(home, "run/cgmigrate", "j2")
    assert jobs(HOME=home, XDG_RUNTIME_DIR=home / "run") == ["j2"]


def test_but_not_one_of_somebody_else(home):
    """As su(1) leaves it in the environment."""
    give(home, f"{STATE}/run-{boot()}")
    give(home, "run/cgmigrate", "j2")
    os.chown(home / "run", 0, 0)
    assert jobs(HOME=home, XDG_RUNTIME_DIR=home / "run") == ["j1"]
    assert jobs(HOME=home, XDG_RUNTIME_DIR=home / "nope") == ["j1"]


@pytest.mark.parametrize("owner, mode", [(65533, 0o755), (NOBODY, 0o775)])
def test_a_folder_that_others_may_write_to_is_refused(home, owner, mode):
    where = give(home, f"{STATE}/run-{boot()}")
    os.chmod(where, mode)
    os.chown(where, owner, NOBODY)
    result = as_nobody("report", HOME=home)
    assert result.returncode == 4 and f"{where}: not trusted" in result.stderr


def test_a_folder_that_is_a_link_has_nothing(home):
    where = give(home, f"{STATE}/run-{boot()}")
    where.rename(home / "elsewhere")
    where.symlink_to(home / "elsewhere")
    assert jobs(HOME=home) == []
