// SPDX-License-Identifier: GPL-2.0
/*
 * How many kernel threads move pages at the same time.
 *
 * On the whole machine, wherever the memory goes; a workqueue would bound them
 * on each node by itself.  A job that finds no room waits in line, and whoever
 * is done lets the next one in.  Cache, which nobody waits for, has a line of
 * its own and keeps nobody else from his turn.
 *
 * Who sleeps is not counted meanwhile, for the mmap_lock of an address space,
 * which its owner can make last for ever, or for pages that are busy: others are
 * not kept waiting for one whose process is stuck.
 */

#include <linux/mmap_lock.h>
#include <linux/nodemask.h>
#include <linux/workqueue.h>

#include "internal.h"

/**
 * struct cm_pool - kernel threads that do the same kind of work
 * @wq: where they come from, as many as are asked for
 * @max: how many may move pages at the same time
 * @nr: how many do, or have been asked to
 * @nid: the node that the last one was asked for on
 * @line: jobs that wait for their turn
 *
 * Under cm_lock.
 */
struct cm_pool {
	struct workqueue_struct *wq;
	unsigned int		max;
	unsigned int		nr;
	int			nid;
	struct list_head	line;
};

static struct cm_pool cm_pools[] = {
	{ .max = CM_WORKERS, .line = LIST_HEAD_INIT(cm_pools[0].line) },
	{ .max = CM_CACHE_WORKERS, .line = LIST_HEAD_INIT(cm_pools[1].line) },
};

static struct cm_pool *job_pool(const struct cpuset_migrate_job *job)
{
	return &cm_pools[!job->mm];
}

/* Near the nodes that pages go to, one after the other. */
static void pool_start(struct cm_pool *pool, struct cpuset_migrate_job *job,
		       struct work_struct *work)
{
	pool->nr++;
	pool->nid = next_node_in(pool->nid, job->range[0].map->to);
	queue_work_node(pool->nid, pool->wq, work);
}

/* Let those in who wait, as far as there is room. */
static void pool_serve(struct cm_pool *pool)
{
	struct cpuset_migrate_job *job;

	lockdep_assert_held(&cm_lock);

	while (pool->nr < pool->max) {
		job = list_first_entry_or_null(&pool->line,
					       struct cpuset_migrate_job, line);
		if (!job)
			break;
		list_del_init(&job->line);
		pool_start(pool, job, &job->work);
	}
}

/**
 * cm_worker_queue - let a job have a worker, when it is its turn
 * @job: the job, not queued yet; the worker has a reference of its own
 *
 * Call with cm_lock held.
 */
void cm_worker_queue(struct cpuset_migrate_job *job)
{
	struct cm_pool *pool = job_pool(job);

	list_add_tail(&job->line, &pool->line);
	pool_serve(pool);
}

/**
 * cm_worker_queue_mate - let somebody help a job's worker, if there is room
 * @job: the job
 * @work: what is to be done; ends with cm_worker_leave()
 *
 * Return: whether somebody will.
 */
bool cm_worker_queue_mate(struct cpuset_migrate_job *job,
			  struct work_struct *work)
{
	struct cm_pool *pool = job_pool(job);
	bool room;

	spin_lock(&cm_lock);
	room = pool->nr < pool->max;
	if (room)
		pool_start(pool, job, work);
	spin_unlock(&cm_lock);
	return room;
}

/**
 * cm_worker_leave - a worker, or a mate, does not move pages any more
 * @job: what it moved pages of
 */
void cm_worker_leave(struct cpuset_migrate_job *job)
{
	struct cm_pool *pool = job_pool(job);

	spin_lock(&cm_lock);
	pool->nr--;
	pool_serve(pool);
	spin_unlock(&cm_lock);
}

/**
 * cm_worker_return - a worker that left goes on
 * @job: what it moves pages of
 *
 * Does not wait: there may be more of them than allowed, until the next one's
 * time is over.
 */
void cm_worker_return(struct cpuset_migrate_job *job)
{
	spin_lock(&cm_lock);
	job_pool(job)->nr++;
	spin_unlock(&cm_lock);
}

/**
 * cm_mmap_read_lock - take the mmap_lock of a job's address space
 * @job: the job, by its worker or a mate
 * @batch: its batch, empty; may be NULL
 *
 * May sleep for as long as somebody else wants.
 */
void cm_mmap_read_lock(struct cpuset_migrate_job *job, struct cm_batch *batch)
{
	if (mmap_read_trylock(job->mm))
		return;

	if (batch)
		cm_fast_give_back(&batch->fast);
	cm_worker_leave(job);
	mmap_read_lock(job->mm);
	cm_worker_return(job);
}

/**
 * cm_workers_nr - how many may be moving pages right now
 *
 * Return: at least those that are.
 */
unsigned int cm_workers_nr(void)
{
	return READ_ONCE(cm_pools[0].nr) + READ_ONCE(cm_pools[1].nr);
}

/**
 * cm_workers_set - set how many kernel threads move one address space
 * @nr: 1 to CM_WORKERS_MAX
 *
 * So many at least move pages at the same time, whatever they belong to.
 */
void cm_workers_set(unsigned int nr)
{
	WRITE_ONCE(cm_workers, nr);
	spin_lock(&cm_lock);
	cm_pools[0].max = max(nr, CM_WORKERS);
	pool_serve(&cm_pools[0]);
	spin_unlock(&cm_lock);
}

static int __init cm_worker_init(void)
{
	static const char *const names[] = {
		"cpuset_migrate", "cpuset_migrate_cache",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cm_pools); i++) {
		cm_pools[i].nid = NUMA_NO_NODE;
		/*
		 * Those that sleep for a lock count there.  Once an image of
		 * memory is taken, nothing goes to swap any more.
		 */
		cm_pools[i].wq = alloc_workqueue(names[i],
						 WQ_UNBOUND | WQ_FREEZABLE,
						 WQ_MAX_ACTIVE);
		if (!cm_pools[i].wq)
			return -ENOMEM;
	}
	return 0;
}
core_initcall(cm_worker_init);
