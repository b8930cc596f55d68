# SPDX-License-Identifier: GPL-2.0
"""Tests of splat.py: what is a complaint of the kernel's, what only looks like one."""

import pytest
from splat import Console

COMPLAINTS = [
    "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "BUG: KASAN: slab-use-after-free in folio_migrate+0x10/0x20",
    "BUG: sleeping function called from invalid context at mm/util.c:1",
    "BUG: Bad page state in process x  pfn:1",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [x:1]",
    "WARNING: CPU: 1 PID: 7 at mm/migrate.c:1 migrate_pages+0x1",
    "WARNING: possible circular locking dependency detected",
    "WARNING: possible recursive locking detected",
    "WARNING: inconsistent lock state",
    "WARNING: suspicious RCU usage",
    "kernel BUG at mm/swap.c:1!",
    "Oops: int3: 0000 [#1] SMP",
    "Oops: general protection fault, maybe for address 0x1: 0000 [#1] SMP",
    "Kernel panic - not syncing: Fatal exception",
    "UBSAN: array-index-out-of-bounds in mm/x.c:1:2",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "rcu: INFO: rcu_sched self-detected stall on CPU",
    "INFO: task cat:77 blocked for more than 120 seconds.",
    "kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "ODEBUG: free active (active state 0) object: 1 object type: timer_list",
    "refcount_t: underflow; use-after-free.",
    "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!",
]
HARMLESS = [
    'PCI: Using host bridge windows from ACPI; if necessary, use "pci=nocrs" and report'
    " a bug",
    "Kernel command line: console=ttyS0 panic=-1 oops=panic",
    "traps: cat[77] general protection fault ip:1 sp:2 error:0 in cat[1+2]",
    "cat[77]: segfault at 0 ip 1 sp 2 error 4 in cat[1+2] likely on CPU 0",
    "SGI XFS with security attributes, no debug enabled",
    "INFO: NMI handler (nmi_cpu_backtrace_handler) took too long to run: 16.457 msecs",
    "Memory cgroup out of memory: Killed process 77 (cat)",
    "debug: unmapping init memory",
]


def complaints(*lines, caller=False):
    """What Console finds in these lines."""
    console = Console()
    stamp = "[    1.234567]" + ("[   T77]" if caller else "")
    for line in lines:
        console.feed(f"{stamp} {line}\r\n".encode())
    console.close()
    return console.splats


@pytest.mark.parametrize("caller", [False, True])
@pytest.mark.parametrize("line", COMPLAINTS)
def test_complaint(line, caller):
    """Found, with and without the caller's id in front."""
    assert len(complaints("fine", line, caller=caller)) == 1


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless(line):
    """Not found."""
    assert complaints(line) == []


def test_whole_splat_and_no_more():
    """From its first line to its end mark; the next one is another."""
    first = [
        "WARNING: CPU: 1 PID: 7 at mm/a.c:1 a+0x1",
        "Call Trace:",
        " <TASK>",
        " a+0x1",
    ]
    end = "---[ end trace 0000000000000000 ]---"
    found = complaints("before", *first, end, "between", "BUG: Bad page map", "rest")
    assert [len(splat) for splat in found] == [5, 2]
    assert found[0][-1].endswith(end)
    assert found[1][0].endswith("BUG: Bad page map")


def test_pieces():
    """Lines arrive in any pieces, and the last one without an end."""
    console = Console()
    for byte in b"[ 1.0] Kernel pan":
        console.feed(bytes([byte]))
    assert console.splats == []
    console.feed(b"ic - not syncing: x")
    console.close()
    assert len(console.splats) == 1
