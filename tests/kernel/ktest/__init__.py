# SPDX-License-Identifier: GPL-2.0
"""What the kernel tests share: the machine, cpusets, the workload, the oracle."""
