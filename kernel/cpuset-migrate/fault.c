// SPDX-License-Identifier: GPL-2.0
/*
 * Copies that fail when they are told to, as those of memory that cannot be read do.
 *
 * debugfs has the files of Documentation/fault-injection/fault-injection.rst in
 * fail_cpuset_copy/.
 */

#include <linux/fault-inject.h>
#include <linux/init.h>

#include "internal.h"

static DECLARE_FAULT_ATTR(cm_copy_fault);

/**
 * cm_copy_fails - has a copy on the fast path to fail?
 */
bool cm_copy_fails(void)
{
	return should_fail(&cm_copy_fault, 1);
}

static int __init cm_fault_init(void)
{
	return PTR_ERR_OR_ZERO(fault_create_debugfs_attr("fail_cpuset_copy",
							 NULL, &cm_copy_fault));
}
late_initcall(cm_fault_init);
