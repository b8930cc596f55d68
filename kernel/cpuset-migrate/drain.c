// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that sit in other CPUs' LRU batches.
 *
 * A page that was faulted in a moment ago is not on its LRU list yet and cannot
 * be isolated.  lru_add_drain_all() would put it there, but waits for every CPU
 * for as long as it takes, under a lock that everybody else who needs it waits
 * for too.  Here each caller has its own work on each CPU, and does not wait
 * for a CPU that a realtime task keeps to itself.
 */

#include <linux/cpumask.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"

#define CM_DRAIN_TIMEOUT	HZ

struct cm_drain {
	refcount_t		ref;
	atomic_t		left;
	struct completion	done;
	struct cm_drain_cpu {
		struct work_struct work;
		struct cm_drain	*drain;
	} cpu[];
};

static void drain_put(struct cm_drain *drain)
{
	if (refcount_dec_and_test(&drain->ref))
		kvfree(drain);
}

static void drain_work(struct work_struct *work)
{
	struct cm_drain *drain =
		container_of(work, struct cm_drain_cpu, work)->drain;

	lru_add_drain();
	if (atomic_dec_and_test(&drain->left))
		complete(&drain->done);
	drain_put(drain);
}

/**
 * cm_drain_lru - drain the LRU batches of all CPUs
 *
 * Waits for at most a second; a CPU that has not come round by then does when
 * it can.  Without memory, nothing is drained.  Call without locks.
 */
void cm_drain_lru(void)
{
	struct cm_drain *drain;
	unsigned int cpu;

	drain = kvzalloc(struct_size(drain, cpu, nr_cpu_ids), GFP_KERNEL);
	if (!drain)
		return;

	refcount_set(&drain->ref, 1);
	atomic_set(&drain->left, 1);
	init_completion(&drain->done);
	for_each_online_cpu(cpu) {
		drain->cpu[cpu].drain = drain;
		INIT_WORK(&drain->cpu[cpu].work, drain_work);
		refcount_inc(&drain->ref);
		atomic_inc(&drain->left);
		queue_work_on(cpu, system_highpri_wq, &drain->cpu[cpu].work);
	}
	if (!atomic_dec_and_test(&drain->left))
		wait_for_completion_timeout(&drain->done, CM_DRAIN_TIMEOUT);
	drain_put(drain);
}
