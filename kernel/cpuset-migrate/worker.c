// SPDX-License-Identifier: GPL-2.0
/*
 * How many kernel threads move pages at the same time.
 *
 * On the whole machine, wherever the memory goes; a workqueue would bound them
 * on each node by itself.  A job that finds no room waits in line, and whoever
 * is done lets the next one in.  Cache, which nobody waits for, has a line of
 * its own and keeps nobody else from his turn.
 *
 * The line is one of cpusets: those of which somebody waits have a turn each,
 * however many jobs they have.  What was written at a cpuset has every other
 * turn that this and those below it get together.  So who was given a subtree
 * keeps neither his neighbours from theirs nor what was written further up, be
 * it by many processes or by many cpusets.
 *
 * Who sleeps is not counted meanwhile, for the mmap_lock of an address space,
 * which its owner can make last for ever, or for pages that are busy: others are
 * not kept waiting for one whose process is stuck.
 */

#include <linux/delay.h>
#include <linux/mmap_lock.h>
#include <linux/nodemask.h>
#include <linux/workqueue.h>

#include "internal.h"

/* Between two looks whether who waits for mmap_lock has got it; and for how long. */
#define CM_GIVE_WAY_USEC	50
#define CM_GIVE_WAY_NSEC	NSEC_PER_MSEC

/**
 * struct cm_pool - kernel threads that do the same kind of work
 * @kind: its index in the lines of cpusets
 * @wq: where they come from, as many as are asked for
 * @max: how many may move pages at the same time
 * @nr: how many do, or have been asked to
 * @nid: the node that the last one was asked for on
 * @line: that of the root cpuset
 *
 * Under cm_lock.
 */
struct cm_pool {
	unsigned int		kind;
	struct workqueue_struct *wq;
	unsigned int		max;
	unsigned int		nr;
	int			nid;
	struct cm_line		line;
};

static struct cm_pool cm_pools[CM_NR_LINES] = {
	{ .kind = 0, .max = CM_WORKERS },
	{ .kind = 1, .max = CM_CACHE_WORKERS },
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

/**
 * cm_line_init - a line in which nobody waits
 * @line: the line
 */
void cm_line_init(struct cm_line *line)
{
	INIT_LIST_HEAD(&line->jobs);
	INIT_LIST_HEAD(&line->below);
	INIT_LIST_HEAD(&line->sibling);
	line->below_next = false;
}

static bool line_is_empty(const struct cm_line *line)
{
	return list_empty(&line->jobs) && list_empty(&line->below);
}

static struct cm_line *pool_line(struct cm_pool *pool, struct cpuset *cs)
{
	return parent_cs(cs) ? &cs->migrate.line[pool->kind] : &pool->line;
}

/* A job stands in line where its change was written, and that in the line above. */
static void pool_line_up(struct cm_pool *pool, struct cpuset *cs,
			 struct list_head *job)
{
	struct cm_line *line = pool_line(pool, cs);

	list_add_tail(job, &line->jobs);
	for (; parent_cs(cs) && list_empty(&line->sibling); cs = parent_cs(cs)) {
		struct cm_line *above = pool_line(pool, parent_cs(cs));

		list_add_tail(&line->sibling, &above->below);
		line = above;
	}
}

static void pool_leave_line(struct cm_pool *pool, struct cpuset *cs,
			    struct list_head *job)
{
	list_del_init(job);
	for (; cs && line_is_empty(pool_line(pool, cs)); cs = parent_cs(cs))
		list_del_init(&pool_line(pool, cs)->sibling);
}

/* Whose turn it is, which he has had when this returns; NULL if nobody waits. */
static struct list_head *pool_next(struct cm_pool *pool)
{
	struct cm_line *line = &pool->line;
	bool below;

	while (!line_is_empty(line)) {
		below = !list_empty(&line->below) &&
			(line->below_next || list_empty(&line->jobs));
		line->below_next = !below;
		if (!below)
			return line->jobs.next;
		list_rotate_left(&line->below);
		line = list_last_entry(&line->below, struct cm_line, sibling);
	}
	return NULL;
}

/* Let those in who wait, as far as there is room. */
static void pool_serve(struct cm_pool *pool)
{
	struct cpuset_migrate_job *job;
	struct list_head *next;

	lockdep_assert_held(&cm_lock);

	while (pool->nr < pool->max && (next = pool_next(pool))) {
		job = list_entry(next, struct cpuset_migrate_job, line);
		pool_leave_line(pool, cm_job_written_at(job), next);
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

	pool_line_up(pool, cm_job_written_at(job), &job->line);
	pool_serve(pool);
}

/**
 * cm_worker_unqueue - a job that waits in line does not want a worker any more
 * @job: the job
 *
 * The reference that the worker would have had is the caller's.  Call with
 * cm_lock held.
 */
void cm_worker_unqueue(struct cpuset_migrate_job *job)
{
	lockdep_assert_held(&cm_lock);

	pool_leave_line(job_pool(job), cm_job_written_at(job), &job->line);
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

/* Goes up by one when mmap_lock is taken for writing, and when it is released. */
static unsigned int mmap_writes(const struct mm_struct *mm)
{
#ifdef CONFIG_PER_VMA_LOCK
	return raw_read_seqcount(&mm->mm_lock_seq);
#else
	return 0;
#endif
}

/*
 * A reader steals mmap_lock from a writer that was woken and does not run yet, over
 * and over if it comes back as often as a job does.  Let one have it first.
 */
static void mmap_give_way(struct mm_struct *mm)
{
	unsigned int writes = mmap_writes(mm);
	u64 begin = local_clock();

	while (mmap_lock_is_contended(mm) && mmap_writes(mm) == writes &&
	       cm_elapsed(begin) < CM_GIVE_WAY_NSEC)
		usleep_range(CM_GIVE_WAY_USEC, 2 * CM_GIVE_WAY_USEC);
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
	mmap_give_way(job->mm);
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
		cm_line_init(&cm_pools[i].line);
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

#ifdef CONFIG_CPUSET_MIGRATE_KUNIT_TEST
#include "tests/worker_kunit.h"
#endif
