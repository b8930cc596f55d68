# SPDX-License-Identifier: GPL-2.0
"""A Debian system in a folder, like this machine's own release when it is new.

It is made once by debootstrap and kept, as a tar file, with the kernels; every user
unpacks a copy. Whatever else comes into it comes through apt from where this machine
has its own packages.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time

# What a program is built with: there before, so that nothing of ours can bring it.
TOOLS = ["gcc", "libc6-dev", "pkg-config"]
KEEP_DAYS = 30
# As seen from inside: its processes, this machine's devices, no cgroups.
ENTER = """
mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
mount -t sysfs -o ro sysfs "$0/sys" && exec chroot "$0" "$@"
"""
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C",
    "DEBIAN_FRONTEND": "noninteractive",
}
# Written by what every installation runs.
CACHES = (
    "etc/ld.so.cache",
    "tmp",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/log",
)


class NotToBeHad(Exception):
    """There is no such system here, and this is why."""


def said(command, **how):
    """What a command prints; NotToBeHad if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, **how)
    if result.returncode:
        last = (result.stdout + result.stderr).strip().splitlines()[-3:]
        raise NotToBeHad(f"{' '.join(command[:3])}: {' / '.join(last)}")
    return result.stdout


def archives():
    """Where this machine gets Debian from: [(uri, suite, component)]."""
    form = "$(REPO_URI) $(CODENAME) $(COMPONENT)"
    which = ["Created-By: Packages", "Origin: Debian"]
    found = said(["apt-get", "indextargets", "--format", form, *which])
    return [tuple(line.split()) for line in found.splitlines()]


def release():
    """The name of this machine's release."""
    with open("/etc/os-release", encoding="ascii") as file:
        for line in file:
            if line.startswith("VERSION_CODENAME="):
                return line.split("=")[1].strip().strip('"')
    raise NotToBeHad("/etc/os-release names no release")


def bootstrap(folder, lists):
    """Make it in a folder."""
    suite = release()
    uri = next((at for at, *what in lists if what == [suite, "main"]), None)
    if not uri:
        raise NotToBeHad(f"apt knows no archive of Debian {suite}")
    # What it mounts goes with it, however it ends.
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase"]
    command.append(f"--include={','.join(TOOLS)}")
    said([*command, suite, folder, uri], env={**os.environ, **ENVIRONMENT})
    shutil.rmtree(os.path.join(folder, "var/cache/apt/archives"))


def kept(cache):
    """The tar file of a new system, made if there is none or it is old."""
    for tool in ("apt-get", "debootstrap", "dpkg", "unshare"):
        if not shutil.which(tool):
            raise NotToBeHad(f"{tool} is missing")
    if os.geteuid():
        raise NotToBeHad("only root can make and enter another system")
    arch = said(["dpkg", "--print-architecture"]).strip()
    path = os.path.join(cache, f"debian-{release()}-{arch}.tar")
    os.makedirs(cache, exist_ok=True)
    with open(path + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(path):
            if time.time() - os.path.getmtime(path) < KEEP_DAYS * 86400:
                return path
        with tempfile.TemporaryDirectory(dir=cache, prefix=".work-") as work:
            folder = os.path.join(work, "root")
            bootstrap(folder, archives())
            said(["tar", "-C", folder, "--one-file-system", "-cf", f"{work}/tar", "."])
            os.replace(f"{work}/tar", path)
    return path


class Root:
    """A copy of the new system."""

    def __init__(self, path):
        self.path = path

    def file(self, name):
        """A path in it, as seen from outside."""
        return os.path.join(self.path, name.lstrip("/"))

    def run(self, *command, **how):
        """Run a command in it. Mounts and processes go when it ends."""
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return subprocess.run(
            [*enter, "sh", "-c", ENTER, self.path, *command],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            **how,
        )

    def succeeds(self, *command):
        """What a command that has to succeed prints; it must not complain."""
        result = self.run(*command)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def use_archives(self):
        """Let apt in it have packages from where this machine has them."""
        with open(self.file("etc/apt/sources.list"), "w") as file:
            file.writelines(f"deb {' '.join(archive)}\n" for archive in archives())
        settings = said(["apt-config", "dump"]).splitlines()
        with open(self.file("etc/apt/apt.conf.d/90proxy"), "w") as file:
            file.writelines(f"{line}\n" for line in settings if "Proxy" in line)
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copyfile(name, self.file(name))
        update = ["apt-get", "-o", "APT::Update::Error-Mode=any", "update"]
        updated = self.run(*update)
        if updated.returncode:
            raise NotToBeHad(f"apt-get update: {updated.stderr.strip()}")

    def files(self):
        """Every path in it but for caches: {name: (mode, size)}; folders have none."""
        found = {}
        for folder, folders, names in os.walk(self.path):
            inside = os.path.relpath(folder, self.path)
            for name in [*folders, *names]:
                path = os.path.normpath(os.path.join(inside, name))
                if path in CACHES:
                    if name in folders:
                        folders.remove(name)
                    continue
                stat = os.lstat(self.file(path))
                size = stat.st_size if name in names else 0
                found[path] = (stat.st_mode, size)
        return found


@contextlib.contextmanager
def new_root(cache, work):
    """A new system below the folder work, for as long as it is used."""
    tar = kept(cache)
    os.makedirs(work, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="root-") as folder:
        said(["tar", "-C", folder, "-xpf", tar])
        root = Root(folder)
        root.use_archives()
        yield root
