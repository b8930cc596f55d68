# SPDX-License-Identifier: GPL-2.0
"""Guests that measure: what they need is built, they are started, and they end."""

import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(ROOT, "build", "bench")
VM = os.path.join(ROOT, "tests", "vm", "vm")
VM_STATUS = {
    124: "it took too long",
    254: "it never came up",
    255: "the kernel complained",
}
# Guests, those that have ended too.
started = []


class Failed(Exception):
    """The benchmark cannot go on; why."""


def say(text):
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def output_of(*command):
    """The last line a program of this project prints; its messages are passed on."""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"{command[0]}: exit status {done.returncode} (see above)")
    return done.stdout.strip().splitlines()[-1]


def prepare(kernel):
    """The folder of a kernel and its copycost module, both built if need be."""
    folder = output_of("scripts/kernel-build", kernel)
    module = output_of(
        "scripts/kernel-module",
        kernel,
        "tests/bench/module",
        os.path.join(OUT, f"module-{kernel}"),
    )
    return folder, module


def build_programs():
    """The workload, the bystander and the command."""
    for target in (["tools"], ["-C", "tests/kernel"], ["-C", "tests/bench"]):
        command = ["make", "-s", f"O={ROOT}/build", *target]
        if subprocess.run(command, cwd=ROOT, stdout=2, check=False).returncode:
            raise Failed(f"make {' '.join(target)}: it does not build (see above)")


def run(kernel, name, machine, module, words):
    """Run a guest with these options of tests/vm/vm; what it measured, by figure.

    `words` are what tests/bench/guest.py is told besides: figures, and options.
    """
    out = os.path.join(OUT, f"{kernel}-{name}.json")
    if os.path.exists(out):
        os.unlink(out)
    console = os.path.join(OUT, f"{kernel}-{name}.console")
    # Host page faults would be in the times of a guest whose memory is not there yet.
    command = [VM, "--kernel", kernel, *machine, "--prealloc"]
    command += ["--no-tty", "--share", OUT, "--console", console]
    command += ["--boot-timeout", "300", "--timeout", "1800", "--"]
    command += [os.path.join(HERE, "guest.py"), out, module, *words]
    start, load = time.monotonic(), os.getloadavg()[0]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    for line in process.stdout:
        say(f"  {kernel} {name}: {line.rstrip()}")
    status = process.wait()
    took = time.monotonic() - start
    say(f"{kernel} {name}: ended after {took:.0f} s")
    if status or not os.path.exists(out):
        why = VM_STATUS.get(status, f"exit status {status}")
        raise Failed(f"the {name} guest on {kernel}: {why} (console: {console})")
    with open(out, encoding="utf-8") as file:
        found = json.load(file)
    for entry in found["figures"].values():
        entry["when"] = time.strftime("%Y-%m-%d %H:%M")
        entry["guest"] = {**found["guest"], "load_before": round(load, 2)}
    return found["figures"]


def end_all():
    """No machine stays behind, whatever ends the benchmark."""
    for process in started:
        if process.poll() is None:
            process.terminate()


def host():
    """What the figures were measured on, as a line."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        models = [line.split(": ")[1].strip() for line in file if "model name" in line]
    qemu = subprocess.run(
        ["qemu-system-x86_64", "--version"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()[0]
    return f"host: {len(models)} CPUs, {models[0]}; {qemu}"


def write_json(name, value):
    """Write a file of results."""
    with open(os.path.join(OUT, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
