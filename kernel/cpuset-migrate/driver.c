// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that a driver has mapped: only the driver can move it.
 */

#include <linux/export.h>

#include "internal.h"

/**
 * vma_migration_node - where does a page belong?
 * @m: what the driver was asked
 * @nid: the node the page is on
 *
 * Return: its node; @nid if it stays.
 */
int vma_migration_node(const struct vma_migration *m, int nid)
{
	int dst = m->dst[nid];

	if (m->strays_only && node_isset(nid, *m->nodes))
		return nid;
	if (dst != NUMA_NO_NODE && node_isset(dst, *m->nodes))
		return dst;
	return cm_nearest_node(nid, m->nodes);
}
EXPORT_SYMBOL_GPL(vma_migration_node);

/**
 * cm_driver_moves - does the driver of a VMA move its memory?
 * @vma: the VMA
 */
bool cm_driver_moves(struct vm_area_struct *vma)
{
	return vma->vm_ops && vma->vm_ops->migrate &&
	       !vma_migration_exempt(vma);
}

/**
 * cm_driver_migrate - let the driver of a VMA move some of its memory
 * @job: the job
 * @map: where pages go
 * @vma: the VMA, for which cm_driver_moves() is true
 * @start: from here on
 * @end: to here
 *
 * May sleep; call with mmap_lock held for reading.  What the driver says is
 * counted in the job.
 */
void cm_driver_migrate(struct cpuset_migrate_job *job,
		       const struct cm_map *map, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end)
{
	struct vma_migration m = {
		.change		= job->part->change->id,
		.nodes		= &job->part->mems,
		.dst		= map->dst,
		.strays_only	= job->pass,
	};

	vma->vm_ops->migrate(vma, start, end, &m);

	job->moved += m.moved;
	job->tally.n[CM_MOVED] += m.moved;
	if (!job->pass)
		job->tally.n[CM_INPLACE] += m.inplace;
	/* It is asked again in the next pass. */
	job->outside.n[CM_FAIL_BUSY] += m.busy;
	job->outside.n[CM_FAIL_NOMEM] += m.nomem;
}
