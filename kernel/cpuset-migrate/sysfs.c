// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/mm/numa/migrate: what the administrator of the machine may set.
 */

#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/memory-tiers.h>
#include <linux/mempolicy.h>
#include <linux/sysfs.h>

#include "internal.h"

/* One second: whoever asks for more does not want a limit. */
#define CM_MAX_STALL_USEC_LIMIT	1000000

static ssize_t max_stall_usec_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(cm_max_stall_usec));
}

static ssize_t max_stall_usec_store(struct kobject *kobj,
				    struct kobj_attribute *attr,
				    const char *buf, size_t count)
{
	unsigned int usec;

	if (kstrtouint(buf, 0, &usec) || !usec ||
	    usec > CM_MAX_STALL_USEC_LIMIT)
		return -EINVAL;
	WRITE_ONCE(cm_max_stall_usec, usec);
	return count;
}

static struct kobj_attribute max_stall_usec_attr = __ATTR_RW(max_stall_usec);

static ssize_t workers_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(cm_workers));
}

static ssize_t workers_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	unsigned int nr;

	if (kstrtouint(buf, 0, &nr) || !nr || nr > CM_WORKERS_MAX)
		return -EINVAL;
	cm_workers_set(nr);
	return count;
}

static struct kobj_attribute workers_attr = __ATTR_RW(workers);

static ssize_t exempt_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(numa_migrate_exempt));
}

static ssize_t exempt_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t count)
{
	bool exempt;

	if (kstrtobool(buf, &exempt))
		return -EINVAL;
	WRITE_ONCE(numa_migrate_exempt, exempt);
	return count;
}

static struct kobj_attribute exempt_attr = __ATTR_RW(exempt);

#ifdef CONFIG_MEMCG
static ssize_t pagecache_show(struct kobject *kobj,
			      struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(cm_pagecache));
}

static ssize_t pagecache_store(struct kobject *kobj,
			       struct kobj_attribute *attr, const char *buf,
			       size_t count)
{
	bool pagecache;

	if (kstrtobool(buf, &pagecache))
		return -EINVAL;
	WRITE_ONCE(cm_pagecache, pagecache);
	return count;
}

static struct kobj_attribute pagecache_attr = __ATTR_RW(pagecache);
#endif

#ifdef CONFIG_SWAP
static ssize_t swap_fallback_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(cm_swap_fallback));
}

static ssize_t swap_fallback_store(struct kobject *kobj,
				   struct kobj_attribute *attr,
				   const char *buf, size_t count)
{
	bool fallback;

	if (kstrtobool(buf, &fallback))
		return -EINVAL;
	WRITE_ONCE(cm_swap_fallback, fallback);
	return count;
}

static struct kobj_attribute swap_fallback_attr = __ATTR_RW(swap_fallback);
#endif

static struct attribute *cm_attrs[] = {
	&max_stall_usec_attr.attr,
	&workers_attr.attr,
	&exempt_attr.attr,
#ifdef CONFIG_MEMCG
	&pagecache_attr.attr,
#endif
#ifdef CONFIG_SWAP
	&swap_fallback_attr.attr,
#endif
	NULL,
};

static const struct attribute_group cm_attr_group = {
	.attrs = cm_attrs,
};

static int __init cm_sysfs_init(void)
{
	struct kobject *kobj;
	int err;

	/* memory-tiers.c has said why */
	if (!numa_kobj)
		return -ENOMEM;
	kobj = kobject_create_and_add("migrate", numa_kobj);
	if (!kobj)
		return -ENOMEM;
	err = sysfs_create_group(kobj, &cm_attr_group);
	if (err)
		kobject_put(kobj);
	return err;
}
late_initcall(cm_sysfs_init);
