# SPDX-License-Identifier: GPL-2.0
"""Builds file trees that look like a machine to cgmigrate --sysroot."""

import os

KIB = 1024
MIB = 1024 * KIB


def list_text(nodes):
    return ",".join(str(node) for node in nodes)


class Tree:
    """Nodes, processes and cgroups of a machine that is not there.

    The files have the format of Linux 6.12. Cgroup v2 unless version is 1.
    """

    def __init__(self, path, nodes=4, version=2, memory=True, engine=False):
        self.path = str(path)
        self.nodes = nodes
        self.version = version
        self.memory = memory
        self.mount = "/sys/fs/cgroup" if version == 2 else "/sys/fs/cgroup/cpuset"
        self._machine(engine)
        if version:
            self._mounts()
        else:
            self.write("proc/self/mountinfo", "21 1 0:20 / / rw - ext4 /dev/vda rw\n")

    def write(self, name, text):
        path = os.path.join(self.path, name.lstrip("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    def _machine(self, engine):
        online = f"0-{self.nodes - 1}" if self.nodes > 1 else "0"
        self.write("proc/sys/kernel/osrelease", "6.12.117-test\n")
        self.status("self", "cgmigrate", caps="000001ffffffffff", allowed=online)
        self.write("sys/devices/system/node/online", online + "\n")
        self.write("sys/devices/system/node/has_memory", online + "\n")
        for node in range(self.nodes):
            self.node(node)
            distances = [10 if n == node else 20 for n in range(self.nodes)]
            self.write(
                f"sys/devices/system/node/node{node}/distance",
                " ".join(map(str, distances)) + "\n",
            )
        self._zones()
        if engine:
            self.has_engine()

    def has_engine(self):
        self.write("sys/kernel/mm/numa/migrate/max_stall_usec", "2000\n")

    def _zones(self):
        text = ""
        for node in range(self.nodes):
            text += (
                f"Node {node}, zone   Normal\n  pages free     131072\n"
                "        boost    0\n        min      1024\n        low      2048\n"
                "        high     3072\n"
            )
        self.write("proc/zoneinfo", text)

    def node(self, node, free=512 * MIB, cache=40 * MIB):
        """Free memory and clean page cache of a node; its low watermark is 8 MiB."""
        values = {
            "MemTotal": 1024 * MIB,
            "MemFree": free,
            "Active(file)": cache // 2,
            "Inactive(file)": cache - cache // 2,
            "Dirty": 0,
            "Writeback": 0,
            "Mapped": 0,
            "SReclaimable": 0,
        }
        lines = (f"Node {node} {k}: {v // KIB:10} kB\n" for k, v in values.items())
        self.write(f"sys/devices/system/node/node{node}/meminfo", "".join(lines))

    def _mounts(self):
        lines = ["21 1 0:20 / / rw - ext4 /dev/vda rw"]
        if self.version == 2:
            lines.append("24 21 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
            names = "cpuset cpu memory" if self.memory else "cpuset cpu"
            self.write("sys/fs/cgroup/cgroup.controllers", names + "\n")
        else:
            lines.append(
                "25 21 0:23 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset"
            )
        lines.append("26 21 0:24 / /dev/shm rw - tmpfs tmpfs rw")
        self.write("proc/self/mountinfo", "\n".join(lines) + "\n")
        everything = f"0-{self.nodes - 1}"
        self.cgroup("/", mems=None if self.version == 2 else everything)
        self._effective("/", everything)

    def _effective(self, path, mems):
        name = "cpuset.mems.effective"
        if self.version == 1:
            name = "cpuset.effective_mems"
        self.write(f"{self.mount}{path}/{name}", mems + "\n")

    def cgroup(self, path, mems=None, effective=None, pids=(), charged=None, more=None):
        """A cgroup. mems None: no own cpuset; charged: {kind: [bytes by node]}."""
        directory = f"{self.mount}{path}"
        self.write(f"{directory}/cgroup.procs", "".join(f"{pid}\n" for pid in pids))
        if mems is not None:
            self.write(f"{directory}/cpuset.mems", mems + "\n")
            self._effective(path, effective or mems or f"0-{self.nodes - 1}")
        if charged is not None:
            self.charge(path, charged)
        for name, text in (more or {}).items():
            self.write(f"{directory}/{name}", text)
        for pid in pids:
            hierarchy = "0::" if self.version == 2 else "4:cpuset:"
            self.write(f"proc/{pid}/cgroup", f"{hierarchy}{path}\n")

    def engine(self, path, pending=0, held=0, hold=0, rate="max", more=""):
        """The engine's files of a cgroup (v2) while it has so many jobs."""
        directory = f"{self.mount}{path}"
        stat = f"migrate_pending {pending}\nmigrate_held {held}\n{more}"
        self.write(f"{directory}/cpuset.mems.stat", stat)
        self.write(f"{directory}/cpuset.mems.events", "migrate_stopped 0\n")
        self.write(f"{directory}/cpuset.mems.migrate.max", f"{rate}\n")
        self.write(f"{directory}/cpuset.mems.migrate.hold", f"{hold}\n")
        self.write(f"{directory}/cpuset.mems.migrate.stop", "")
        self.write(f"{directory}/cpuset.mems.migrate.settle", "")
        self.write(f"{directory}/cpuset.mems.migrate.cache", "move\n")

    def read(self, name):
        with open(os.path.join(self.path, name.lstrip("/")), encoding="utf-8") as file:
            return file.read()

    def charge(self, path, charged):
        kinds = {name: [0] * self.nodes for name in ("anon", "file", "shmem")}
        kinds.update(charged)
        kinds["file"] = [f + s for f, s in zip(kinds["file"], kinds["shmem"])]
        text = ""
        for name, values in kinds.items():
            cells = " ".join(f"N{n}={v}" for n, v in enumerate(values))
            text += f"{name} {cells}\n"
        self.write(f"{self.mount}{path}/memory.numa_stat", text)

    def status(
        self,
        pid,
        comm,
        rss_anon=0,
        caps="0" * 16,
        allowed="0-3",
        uid=0,
        marks=(0, 0),
        hugetlb=0,
        state="S (sleeping)",
        threads=1,
    ):
        """marks: MiB locked and pinned."""
        self.write(
            f"proc/{pid}/status",
            f"Name:\t{comm}\nState:\t{state}\nTgid:\t{pid}\n"
            f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
            f"VmLck:\t{marks[0] << 10:8} kB\nVmPin:\t{marks[1] << 10:8} kB\n"
            f"RssAnon:\t{rss_anon // KIB:8} kB\n"
            f"HugetlbPages:\t{hugetlb // KIB:8} kB\n"
            f"Threads:\t{threads}\nCapEff:\t{caps}\nMems_allowed_list:\t{allowed}\n",
        )

    def process(self, pid, comm, vmas, pss=None, allowed="0-3", policies=None):
        """A process. vmas: [(file, {node: pages}, more words)]; file "" is private.

        policies: one for each of the mappings, else all have "default".

        pss: {"Anon": bytes, "File": ..., "Shmem": ...}, its part of what it shares.
        """
        numa, maps, start, anon, hugetlb = "", "", 0x7F0000000000, 0, 0
        for file, pages, words in vmas:
            cells = " ".join(f"N{n}={count}" for n, count in pages.items())
            policy = policies[len(maps.splitlines())] if policies else "default"
            name = f" file={file}" if file else ""
            total = sum(pages.values())
            if not file:
                anon += total * 4096
                words = f"anon={total} {words}"
            huge = "huge" in words.split()
            hugetlb += total * 2 * MIB if huge else 0
            numa += (
                f"{start:x} {policy}{name} {words} {cells} kernelpagesize_kB="
                f"{2048 if huge else 4}\n"
            )
            device = "00:18" if file.startswith("/dev/shm") else "fe:00"
            inode = "1234" if file else "0"
            shared = "s" if file.startswith("/dev/hugepages") else "p"
            maps += (
                f"{start:012x}-{start + 0x40000000:012x} "
                f"rw-{shared} 00000000 {device} {inode}    {file}\n"
            )
            start += 0x40000000
        self.write(f"proc/{pid}/numa_maps", numa)
        self.write(f"proc/{pid}/maps", maps)
        self.write(f"proc/{pid}/comm", comm + "\n")
        self.status(pid, comm, rss_anon=anon, allowed=allowed, hugetlb=hugetlb)
        if pss is not None:
            lines = "".join(f"Pss_{k}: {v // KIB} kB\n" for k, v in pss.items())
            self.write(f"proc/{pid}/smaps_rollup", "header\n" + lines)
