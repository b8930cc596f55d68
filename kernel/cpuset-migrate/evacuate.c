// SPDX-License-Identifier: GPL-2.0
/*
 * Emptying a node, whoever its memory belongs to.
 *
 *   /sys/devices/system/node/nodeN/evacuate	write 1: move what can move
 *
 * A job of the root cpuset that has a node as cache.c has it: page frame by page
 * frame, with no address space at hand.  What is mapped is found by rmap when it
 * is migrated.  A folio goes to the nearest node that the cpuset of the memory
 * cgroup it is charged to has, or stays if there is none; and it stays where a
 * cpuset that maps it has this node and not the other one.  So this undoes
 * nothing that a cpuset wants.  It is for what cpusets do not speak of: cache of
 * nobody's, memory of the root cgroup, what tasks left behind.
 */

#include <linux/cgroup.h>
#include <linux/cpuset.h>
#include <linux/device.h>
#include <linux/node.h>

#include "internal.h"

/* The change that empties a node; NULL if that is the only one, or an error. */
static struct cpuset_change *evacuation_start(int nid)
{
	struct cpuset *root = css_cs(init_css_set.subsys[cpuset_cgrp_id]);
	nodemask_t mems = node_states[N_MEMORY];
	struct cpuset_change *change;
	struct cm_part *part;
	struct cm_map *map;

	node_clear(nid, mems);
	if (!node_state(nid, N_MEMORY) || nodes_empty(mems))
		return ERR_PTR(-ENODEV);

	change = cpuset_change_begin(root, CPUSET_EVACUATE, false, GFP_KERNEL);
	if (!change)
		return ERR_PTR(-ENOMEM);
	/* For who waits. */
	refcount_inc(&change->ref);

	cpuset_lock();
	part = cpuset_change_add_cpuset(change, root, &mems, true);
	map = cm_map_alloc(&mems, &mems);
	cm_evacuate_job(part, map, nid);
	cm_map_put(map);
	cpuset_change_end(change);
	cpuset_unlock();
	return change;
}

static ssize_t evacuate_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	struct cpuset_change *change;
	unsigned int val;
	ssize_t ret;

	if (kstrtouint(buf, 10, &val) || val != 1)
		return -EINVAL;
	change = evacuation_start(dev->id);
	if (IS_ERR(change))
		return PTR_ERR(change);
	ret = cm_change_wait(change);
	if (!ret)
		ret = READ_ONCE(change->partial) ? -EAGAIN : count;
	cm_change_put(change);
	return ret;
}
static DEVICE_ATTR_WO(evacuate);

/**
 * cpuset_migrate_register_node - give a node the file that empties it
 * @node: the node, whose device has been registered
 *
 * Return: 0, or a negative error code: then there is no such file.
 */
int cpuset_migrate_register_node(struct node *node)
{
	return device_create_file(&node->dev, &dev_attr_evacuate);
}

/**
 * cpuset_migrate_unregister_node - a node's device goes away
 * @node: the node
 */
void cpuset_migrate_unregister_node(struct node *node)
{
	device_remove_file(&node->dev, &dev_attr_evacuate);
}
