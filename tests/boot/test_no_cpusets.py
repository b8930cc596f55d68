# SPDX-License-Identifier: GPL-2.0
"""A kernel that was booted with cgroup_disable=cpuset: what is left still works."""

import json
import os
import shutil
import subprocess

import pytest

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VM = os.path.join(CHECKOUT, "tests", "vm", "vm")
NO_CPUSETS = "no cpuset controller in any mounted cgroup hierarchy"

# Each answer is a line: its exit status, then what was said, without newlines.
SCRIPT = """
said() { out=$("$@" 2>&1); echo "$? $out" | tr -d '\\n'; echo; }
sleep 600 &
pid=$!
said build/bin/cgmigrate features -J
said build/bin/cgmigrate move $pid --to 1 -J
said build/bin/cgmigrate show $pid -J
said build/bin/cgmigrate show /
said build/bin/cgmigrate settle /
# Address spaces come and go, also while others move them.
(for _ in $(seq 50); do sh -c '/bin/true; /bin/true'; done) &
busy=$!
for node in 0 2 3 1; do migratepages $$ all $node || echo failed; done
file=/sys/devices/system/node/node2/evacuate
said sh -c "test ! -e $file || echo 1 >$file"
wait $busy
"""

pytestmark = pytest.mark.skipif(
    not shutil.which("qemu-system-x86_64"), reason="qemu-system-x86_64 is missing"
)


def answers(kernel):
    """What a guest says: exit status and words of each line."""
    words = [VM, "--kernel", kernel, "--append", "cgroup_disable=cpuset"]
    words += ["--", "sh", "-c", SCRIPT]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=CHECKOUT, check=False
    )
    # A complaint of the kernel fails it, too.
    assert done.returncode == 0, done
    for line in done.stdout.splitlines():
        status, _, said = line.partition(" ")
        yield int(status), said


@pytest.mark.parametrize("kernel", ["stock", "engine"])
def test_without_cpusets(kernel):
    """Processes are shown and moved; of cgroups it is said why they are not."""
    features, moved, shown, *refused, emptied = answers(kernel)

    assert features[0] == 0
    features = json.loads(features[1])
    assert features["cpuset_version"] == 0 and features["backend"] == "move_pages"
    assert features["features"]["engine"] == (kernel == "engine")
    assert moved[0] == 0
    moved = json.loads(moved[1])
    assert moved["state"] == "done" and moved["targets"][0]["backend"] == "move_pages"
    assert shown[0] == 0
    nodes = json.loads(shown[1])["targets"][0]["placement"]["nodes"]
    assert nodes.pop("1") > 0 and not any(nodes.values())
    assert [each[0] for each in refused] == [1, 1]
    assert all(NO_CPUSETS in each[1] for each in refused)
    assert emptied == (0, "")
