// SPDX-License-Identifier: GPL-2.0
/*
 * Several kernel threads in one address space.
 *
 * A large VMA is moved in rounds.  In each, the worker of the job and some mates
 * have a window of it each, one beside the other, and the worker waits for the
 * others at the end.  So all below the job's cursor is done with whenever the
 * state of the job can change, and nobody but its worker has to know of mates.
 *
 * Mates count as workers do, of whom there may be so many on the whole machine.
 * One that has not been started when the worker is done with its own window never
 * will be: the worker does that window too.
 */

#include <linux/align.h>
#include <linux/cpumask.h>
#include <linux/hugetlb.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

/* What one of them has to do in a round, in bytes: some page tables. */
#define CM_WINDOW		(4 * PMD_SIZE)

/* A round that takes less is not worth it: hardly anything is mapped there. */
#define CM_ROUND_NSEC_MIN	(200 * NSEC_PER_USEC)

/* For how long the worker goes on alone then, in windows. */
#define CM_ALONE_WINDOWS	64

/* How many move one address space; as many as that do no harm to the machine. */
unsigned int cm_workers;

/**
 * struct cm_mate - somebody who helps the worker of a job
 * @work: on the queue, in a round
 * @called: it is, or was
 * @job: what the walk and the batch see: the job with another cursor and limit,
 *	and counts of its own
 * @nr_skip_vma: what the job had counted when it began
 * @batch: its batch
 */
struct cm_mate {
	struct work_struct	work;
	bool			called;
	struct cpuset_migrate_job job;
	unsigned long		nr_skip_vma;
	struct cm_batch		*batch;
};

/**
 * struct cm_team - those who help the worker of a job
 * @nr: how many
 * @mate: they
 */
struct cm_team {
	unsigned int	nr;
	struct cm_mate	mate[] __counted_by(nr);
};

static void team_window(struct cpuset_migrate_job *job, struct cm_batch *batch)
{
	enum cm_walk_result result;

	do {
		result = cm_job_step(job, batch);
		cond_resched();
	} while (result == CM_WALK_MORE || result == CM_WALK_OFF_LRU);
}

static void mate_work(struct work_struct *work)
{
	struct cm_mate *mate = container_of(work, struct cm_mate, work);

	team_window(&mate->job, mate->batch);
	cm_worker_leave(&mate->job);
}

static struct cm_team *team_alloc(unsigned int nr)
{
	struct cm_team *team;
	unsigned int i;

	team = kvzalloc(struct_size(team, mate, nr), GFP_KERNEL | __GFP_NOWARN);
	if (!team)
		return NULL;
	team->nr = nr;
	for (i = 0; i < nr; i++)
		INIT_WORK(&team->mate[i].work, mate_work);
	return team;
}

/**
 * cm_team_free - nobody is needed any more
 * @team: the team, not in a round; may be NULL
 */
void cm_team_free(struct cm_team *team)
{
	unsigned int i;

	if (!team)
		return;
	for (i = 0; i < team->nr; i++)
		cm_batch_free(team->mate[i].batch);
	kvfree(team);
}

/* The job as one of its mates has it; references stay with the job. */
static void mate_start(struct cm_mate *mate, struct cpuset_migrate_job *job,
		       unsigned long begin)
{
	struct cpuset_migrate_job *part = &mate->job;

	memset(part, 0, sizeof(*part));
	part->mm = job->mm;
	part->part = job->part;
	part->origin = job->origin;
	part->in_force = job->in_force;
	memcpy(part->range, job->range, sizeof(part->range));
	part->nr_ranges = job->nr_ranges;
	memcpy(part->before, job->before, sizeof(part->before));
	part->nr_before = job->nr_before;
	part->cursor = begin;
	part->limit = begin + CM_WINDOW;
	part->stall_pages = job->stall_pages;
	part->nap_left = job->nap_left;
	part->drained = job->drained;
	part->reclaiming = job->reclaiming;
	part->nr_skip_vma = job->nr_skip_vma;
	mate->nr_skip_vma = job->nr_skip_vma;
	part->retry = job->retry;
	cm_limit_init(part);
	mate->batch = mate->batch ?: cm_batch_alloc(part);
	mate->called = cm_worker_queue_mate(job, &mate->work);
}

/* Whoever was not reached in time need not come.  Then add up. */
static void mate_finish(struct cm_mate *mate, struct cpuset_migrate_job *job)
{
	struct cpuset_migrate_job *part = &mate->job;
	int i;

	if (mate->called && !cancel_work(&mate->work)) {
		/* It may sleep for mmap_lock, for as long as somebody wants. */
		cm_worker_leave(job);
		flush_work(&mate->work);
		cm_worker_return(job);
	} else {
		if (mate->called)
			cm_worker_leave(job);
		team_window(part, mate->batch);
	}

	cm_fast_give_back(&mate->batch->fast);
	for (i = 0; i < CM_NR_STATS; i++)
		job->outside.n[i] += part->outside.n[i];
	job->moved += part->moved;
	job->nr_skip_vma += part->nr_skip_vma - mate->nr_skip_vma;
	job->drained |= part->drained;
	job->reclaiming |= part->reclaiming;
	job->chunk_max = max(job->chunk_max, part->chunk_max);
	job->nap_left = min(job->nap_left, part->nap_left);
}

/* Of a huge page that is larger than a window, each would count all of it. */
static bool vma_is_gigantic(struct vm_area_struct *vma)
{
	return is_vm_hugetlb_page(vma) &&
	       huge_page_size(hstate_vma(vma)) > CM_WINDOW;
}

/*
 * How many windows there are in the VMA at the cursor?  The cursor moves on to
 * its beginning.
 */
static unsigned int team_windows(struct cpuset_migrate_job *job,
				 struct cm_batch *batch)
{
	struct vm_area_struct *vma;
	unsigned long windows = 0;

	if (!mmget_not_zero(job->mm))
		return 0;
	cm_mmap_read_lock(job, batch);
	vma = find_vma(job->mm, job->cursor);
	if (vma) {
		job->cursor = max(job->cursor, vma->vm_start);
		if (!vma_is_gigantic(vma))
			windows = (vma->vm_end - job->cursor) / CM_WINDOW;
		/* No need to ask again before. */
		if (windows < 2)
			job->alone = vma->vm_end;
	}
	mmap_read_unlock(job->mm);
	mmput_async(job->mm);
	return min(windows, UINT_MAX);
}

/**
 * cm_team_round - move the next pages of an address space with several threads
 * @job: the job, by its worker; its cursor moves on
 * @batch: its batch, empty
 * @team: those who help; made when first needed
 *
 * Not where a limit has to be kept to, and not in passes that look for what is
 * left.  May sleep; call without locks.
 *
 * Return: false if nothing was done, since there is not enough to do here.
 */
bool cm_team_round(struct cpuset_migrate_job *job, struct cm_batch *batch,
		   struct cm_team **team)
{
	unsigned int i, nr = READ_ONCE(cm_workers);
	u64 start = local_clock();
	unsigned long begin;

	if (nr < 2 || !job->mm || job->pass || job->granted ||
	    job->cursor < job->alone)
		return false;
	nr = min(nr, team_windows(job, batch));
	if (nr < 2)
		return false;
	*team = *team ?: team_alloc(nr - 1);
	if (!*team)
		return false;

	nr = min(nr - 1, (*team)->nr);
	begin = ALIGN_DOWN(job->cursor, PMD_SIZE);
	for (i = 0; i < nr; i++)
		mate_start(&(*team)->mate[i], job,
			   begin + (i + 1) * CM_WINDOW);
	job->limit = begin + CM_WINDOW;
	team_window(job, batch);
	for (i = 0; i < nr; i++)
		mate_finish(&(*team)->mate[i], job);
	job->limit = ULONG_MAX;
	job->cursor = begin + (nr + 1) * CM_WINDOW;
	job->tries = 0;
	if (cm_elapsed(start) < CM_ROUND_NSEC_MIN)
		job->alone = job->cursor + CM_ALONE_WINDOWS * CM_WINDOW;
	return true;
}

static int __init cm_team_init(void)
{
	/* A quarter of a small machine is one. */
	cm_workers = clamp(num_online_cpus() / 4, 1U, CM_WORKERS);
	return 0;
}
subsys_initcall(cm_team_init);
