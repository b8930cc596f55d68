# SPDX-License-Identifier: GPL-2.0
"""The machine a guest runs on: QEMU's command line, and whether KVM can be trusted."""

import os
import re
import shlex
import subprocess
import tempfile

QEMU = "qemu-system-x86_64"
SUFFIX = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
COMMON = ["-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"]
PORTS = ["tty", "ctl", "in", "out", "err"]
APPEND = [
    "console=ttyS0,115200",
    "loglevel=7",
    "panic=-1",
    # A busy host lets the emulated timer miss its check.
    "no_timer_check",
    # It may also keep an emulated CPU from running for tens of seconds.
    "watchdog_thresh=60",
    "rcupdate.rcu_cpu_stall_timeout=120",
    "oops=panic",
    "hung_task_panic=0",
    "random.trust_cpu=on",
    "tsc=reliable",
    "rootfstype=9p",
    "ro",
]


class Refused(Exception):
    """What was asked for cannot be built; the message names it."""


def size(text):
    """Bytes of a size such as 512M."""
    match = re.fullmatch(r"(\d+)([KMGT]?)", text, re.IGNORECASE)
    if not match:
        raise ValueError(f"'{text}': expected a size such as 512M or 2G")
    return int(match[1]) * SUFFIX[match[2].upper()]


def read_distances(path, nodes):
    """The matrix in the file: one row a node, one distance a column."""
    with open(path, encoding="ascii") as file:
        rows = [line.split("#")[0].split() for line in file]
    rows = [row for row in rows if row]
    if len(rows) != nodes or any(len(row) != nodes for row in rows):
        raise Refused(f"--distances {path}: expected {nodes} rows of {nodes} distances")
    for row in rows:
        for value in row:
            if not value.isdigit() or not 10 <= int(value) <= 254:
                raise Refused(
                    f"--distances {path}: '{value}': a distance is 10 (the node itself)"
                    " to 254"
                )
    return rows


def cpu_nodes(cpus, owners, possible, sizes):
    """The node of every socket: first the CPUs there are, then places for more.

    The kernel numbers nodes as it meets them, CPUs before memory, and does not meet
    one that has neither. So where there is such a node, each without a CPU gets a place
    for one, in order.
    """
    if cpus >= owners:
        present = [cpu * owners // cpus for cpu in range(cpus)]
    else:
        present = list(range(cpus))
    without = [node for node in range(possible) if node not in present]
    if any(node >= len(sizes) or not sizes[node] for node in without):
        return present + without
    return present


def tier_arguments(fast, nodes):
    """How fast memory is for the first nodes, which have CPUs: that of others is slow.

    That is all the kernel has to tell a tier of memory from another.
    """
    args = ["-machine", "hmat=on"]
    for source in range(fast):
        for target in range(nodes):
            far = target >= fast
            pair = f"hmat-lb,initiator={source},target={target},hierarchy=memory"
            latency = 400 if far else 100 + 20 * (source != target)
            args += ["-numa", f"{pair},data-type=access-latency,latency={latency}"]
            bandwidth = "4G" if far else "16G"
            args += [
                "-numa",
                f"{pair},data-type=access-bandwidth,bandwidth={bandwidth}",
            ]
    return args


def numa_arguments(options):
    """-m, -smp, and the nodes with their memory, CPUs and distances."""
    nodes = options.nodes
    sizes = [size(text) for text in options.mem_per_node.split(",")]
    if len(sizes) == 1:
        sizes *= nodes
    if len(sizes) != nodes:
        raise Refused(
            f"--mem-per-node {options.mem_per_node}: expected one size or {nodes}"
        )
    owners = nodes - 1 if options.hotplug else nodes
    fast = nodes - options.slow_nodes
    if owners < 1:
        raise Refused("--hotplug: needs --nodes 2 or more, the last one is the DIMM")
    prealloc = ",prealloc=on" if options.prealloc else ""
    total = sum(sizes[:owners])
    memory = f"{total >> 20}M"
    if options.hotplug:
        memory += f",slots=4,maxmem={(total + 4 * sizes[-1]) >> 20}M"
    possible = nodes + options.empty_nodes
    sockets = cpu_nodes(options.cpus, min(owners, fast), possible, sizes)
    smp = f"{options.cpus},sockets={len(sockets)},cores=1,threads=1"
    smp += f",maxcpus={len(sockets)}"
    args = ["-m", memory, "-smp", smp]
    for node in range(possible):
        numa = f"node,nodeid={node}"
        if node < owners and sizes[node]:
            backend = f"memory-backend-ram,id=mem{node},size={sizes[node]}{prealloc}"
            args += ["-object", backend]
            numa += f",memdev=mem{node}"
        if options.slow_nodes and node >= fast:
            numa += ",initiator=0"
        args += ["-numa", numa]
    for socket, node in enumerate(sockets):
        args += ["-numa", f"cpu,node-id={node},socket-id={socket}"]
    if options.hotplug:
        backend = f"memory-backend-ram,id=dimm,size={sizes[-1]}{prealloc}"
        dimm = f"pc-dimm,id=dimm0,memdev=dimm,node={nodes - 1}"
        args += ["-object", backend, "-device", dimm]
    if options.slow_nodes:
        args += tier_arguments(fast, nodes)
    if options.distances:
        rows = read_distances(options.distances, possible)
        for source, row in enumerate(rows):
            for target, value in enumerate(row):
                numa = f"dist,src={source},dst={target},val={value}"
                args += ["-numa", numa]
    return args


def kernel_arguments(options, kernel, job):
    """-kernel and -append."""
    append = list(APPEND)
    append += ["root=hostroot", "rootflags=trans=virtio,version=9p2000.L,"]
    append[-1] += "msize=512000,cache=loose"
    if options.hotplug:
        append.append("memhp_default_state=online_movable")
    if options.systemd:
        unified = int(options.cgroup == "v2")
        append.append(f"systemd.unified_cgroup_hierarchy={unified}")
        if options.cgroup == "v1":
            append.append("systemd.legacy_systemd_cgroup_controller=yes")
    append += shlex.split(options.append)
    # VM_JOB is none of the kernel's parameters and becomes init's environment.
    init = os.path.join(os.path.dirname(os.path.abspath(__file__)), "init")
    append += [f'VM_JOB="{job}"', f'init="{init}"']
    return ["-kernel", kernel, "-append", " ".join(append)]


def share_arguments(shares):
    """The host's root, read-only, and the shared folders."""
    args = [
        "-fsdev",
        "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device",
        "virtio-9p-pci,fsdev=root,mount_tag=hostroot",
    ]
    for number, path in enumerate(shares):
        fsdev = f"local,id=share{number},security_model=none,multidevs=remap"
        args += ["-fsdev", f"{fsdev},path={path.replace(',', ',,')}"]
        device = f"virtio-9p-pci,fsdev=share{number},mount_tag=share{number}"
        args += ["-device", device]
    return args


def port_arguments(sockets, console, monitor, tty):
    """The serial console, QMP, and the ports init knows by number."""
    args = ["-chardev", f"socket,id=console,fd={console}"]
    args += ["-serial", "chardev:console"]
    args += ["-chardev", f"socket,id=monitor,fd={monitor}"]
    args += ["-mon", "chardev=monitor,mode=control"]
    args += ["-device", "virtio-serial-pci"]
    for name, fd in sockets.items():
        args += ["-chardev", f"socket,id={name},fd={fd}"]
        kind = "virtconsole" if name == "tty" else "virtserialport"
        number = PORTS.index(name)
        args += ["-device", f"{kind},chardev={name},name=vm.{name},nr={number}"]
    return args


def disk_arguments(number, name, fd):
    """A virtio disk on an open file of ours, which has no name any more."""
    return [
        "-add-fd",
        f"fd={fd},set={number + 1}",
        "-blockdev",
        f"node-name={name},driver=raw,discard=unmap,cache.no-flush=on,file.driver=file,"
        f"file.filename=/dev/fdset/{number + 1},file.auto-read-only=off,"
        "file.discard=unmap,file.cache.no-flush=on",
        "-device",
        f"virtio-blk-pci,drive={name},serial={name}",
    ]


def open_disk(bytes_wanted):
    """A sparse file that goes away with us."""
    file = tempfile.TemporaryFile(dir=os.environ.get("TMPDIR", "/var/tmp"))
    file.truncate(bytes_wanted)
    return file


def accelerator(options, kernel, cache):
    """-accel and -cpu: deterministic, KVM where it works, else TCG."""
    if options.icount:
        accel = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    elif options.accel == "kvm" or (
        options.accel == "auto" and kvm_works(kernel, cache)
    ):
        return ["-accel", "kvm", "-cpu", "host"]
    else:
        accel = ["-accel", "tcg,thread=multi"]
    # Bytewise, as rep movsb is emulated, copying a page takes eight times as long.
    return accel + ["-cpu", "max,-erms,-fsrm"]


def kvm_works(kernel, cache):
    """Whether a guest really boots with KVM, asked once a boot of the host.

    /dev/kvm can exist and open and still hang a guest, so only a guest that has printed
    its first lines counts.
    """
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", file.read(), re.MULTILINE):
            return False
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        record = os.path.join(cache, "kvm-" + file.read().strip())
    try:
        with open(record, encoding="ascii") as file:
            return file.read() == "yes"
    except FileNotFoundError:
        pass
    works = kvm_probe(kernel)
    os.makedirs(cache, exist_ok=True)
    with open(record, "w", encoding="ascii") as file:
        file.write("yes" if works else "no")
    return works


def kvm_probe(kernel):
    """Boot a guest with KVM that has no root: it has to get as far as its panic."""
    command = [QEMU, "-M", "q35", "-accel", "kvm", "-cpu", "host", "-m", "512M"]
    command += [*COMMON, "-no-reboot", "-serial", "stdio", "-kernel", kernel]
    command += ["-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return b"Kernel panic" in done.stdout
