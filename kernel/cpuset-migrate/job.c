// SPDX-License-Identifier: GPL-2.0
/*
 * The life of one address space's migration.
 *
 *   NEW -> QUEUED -> RUNNING -> ENDED
 *             ^         |
 *             |         v
 *             +-- HELD, THROTTLED
 *
 * A job is found through mm->cpuset_job, or that of the cache of a cpuset through
 * ->cache_job there; there is one at a time, and behind it, in ->next, at most
 * one for each cpuset that changes were written to.  All state changes under
 * cm_lock.
 * Only the worker ends a running job; a job that is not running is ended by
 * whoever supersedes it.  One that is held or throttled has no worker.
 *
 * A job holds mm_count, so exit frees the memory without asking: then
 * mmget_not_zero() fails at the next chunk, or __cpuset_migrate_exit() ends a
 * job that does not run.
 *
 * A change that was written further down than the one that is under way, or is
 * to come next, waits for the end of that.
 *
 * tests/model/job.pml of the project is a model of this that is checked, but for
 * cache, helpers (team.c), changes that want pages to stay, and changes from
 * further down.
 *
 * Jobs run on kernel threads, which may allocate on every node and have no CPU
 * limit that could stop them with a page locked.
 */

#include <linux/delay.h>
#include <linux/mempolicy.h>
#include <linux/sched/cputime.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"
#include "trace.h"

/* Passes over an address space, and what is enough if they do not help. */
#define CM_MAX_PASSES		16
#define CM_MIN_PASSES		4

/* Passes over the page frames of a node, which may be many. */
#define CM_CACHE_PASSES		3

/* How long to sleep in a pass for pages that are busy, in microseconds. */
#define CM_NAP_USEC		300000

/* Drains of other CPUs' LRU batches per job, for pages that are busy. */
#define CM_DRAINS		16

/* Attempts at a page that is off the LRU. */
#define CM_TRIES		5

/* Time on a worker before others have a turn. */
#define CM_SLICE_NSEC		(100 * NSEC_PER_MSEC)

/*
 * How long a batch may keep its pages, or a walk mmap_lock, from others, in
 * microseconds.  A goal: a huge page is moved in one piece all the same.
 */
unsigned int cm_max_stall_usec = 2000;

static LIST_HEAD(cm_jobs);		/* all that have started and not ended */

static void job_work(struct work_struct *work);

/**
 * cm_job_alloc - make a job for an address space
 * @mm: the address space; NULL for the cache of the part's cpuset
 * @part: what the job is part of; counted there
 * @map: where its pages go
 *
 * Return: the job; see cpuset_change_add_cpuset() for why it does not fail.
 */
struct cpuset_migrate_job *cm_job_alloc(struct mm_struct *mm,
					struct cm_part *part,
					struct cm_map *map)
{
	struct cpuset_migrate_job *job;

	job = kzalloc(sizeof(*job), GFP_KERNEL | __GFP_NOFAIL);
	refcount_set(&job->ref, 1);
	if (mm) {
		mmgrab(mm);
		/* None starts before all that are there have been enrolled. */
		if (READ_ONCE(mm->cpuset_job))
			WRITE_ONCE(part->change->overlaps, true);
	}
	job->mm = mm;
	job->slot = mm ? &mm->cpuset_job : &part->cs->migrate.cache_job;
	job->nid = NUMA_NO_NODE;
	job->limit = ULONG_MAX;
	xa_init(&job->busy);
	xa_init(&job->swapping);
	job->retry = &job->busy;
	job->part = part;
	css_get(&part->origin->css);
	job->origin = part->origin;
	job->state = CM_JOB_NEW;
	job->entered = part->change->kind == CPUSET_ATTACH;
	INIT_LIST_HEAD(&job->line);
	INIT_WORK(&job->work, job_work);
	job->range[0].end = ULONG_MAX;
	job->range[0].map = cm_map_get(map);
	job->nr_ranges = 1;
	job->stall_pages = CM_BATCH_PAGES_MIN;
	job->drains = CM_DRAINS;
	cm_limit_init(job);

	spin_lock(&cm_lock);
	part->nr_jobs++;
	spin_unlock(&cm_lock);
	return job;
}

static void job_forget_before(struct cpuset_migrate_job *job)
{
	struct cm_before *before = &job->before[--job->nr_before];

	cm_map_put(before->map);
	cm_change_put(before->change);
}

static void job_put(struct cpuset_migrate_job *job)
{
	unsigned int i;

	if (!refcount_dec_and_test(&job->ref))
		return;

	for (i = 0; i < job->nr_ranges; i++)
		cm_map_put(job->range[i].map);
	while (job->nr_before)
		job_forget_before(job);
	cm_swap_forget(job);
	xa_destroy(&job->busy);
	xa_destroy(&job->swapping);
	css_put(&job->origin->css);
	if (job->mm)
		mmdrop(job->mm);
	kfree(job);
}

/* A writer waits for address spaces and whole nodes, but not for cache. */
static void job_busy(struct cpuset_migrate_job *job, int n)
{
	if (job->mm || job->whole_node)
		cm_change_busy(job->part->change, n);
}

/**
 * cm_job_queue - let a job go on
 * @job: the job, which has not ended
 *
 * Call with cm_lock held.
 */
void cm_job_queue(struct cpuset_migrate_job *job)
{
	lockdep_assert_held(&cm_lock);

	if (job->state == CM_JOB_HELD) {
		cm_stat_held(job->part->cs, -1);
		job_busy(job, 1);
	}
	list_del_init(&job->throttled);
	job->turn = false;
	job->state = CM_JOB_QUEUED;
	refcount_inc(&job->ref);
	cm_worker_queue(job);
}

/*
 * Take a job off its address space, and start the one behind it.  The caller
 * has a reference.
 */
static void job_end(struct cpuset_migrate_job *job)
{
	struct cpuset_migrate_job *next = job->next;
	enum cm_job_state state = job->state;
	struct cm_part *part = job->part;

	lockdep_assert_held(&cm_lock);

	job->state = CM_JOB_ENDED;
	job->next = NULL;
	/* Nobody's worker: what it would have had. */
	if (!list_empty(&job->line)) {
		cm_worker_unqueue(job);
		job_put(job);
	}
	cm_limit_leave(job);
	if (*job->slot == job) {
		WRITE_ONCE(*job->slot, next);
		if (next) {
			next->exited = job->exited;
			cm_job_queue(next);
		}
	}
	if (state == CM_JOB_HELD)
		cm_stat_held(part->cs, -1);
	part->nr_left -= job->left;
	/* The part is busy closing before the job is not any more. */
	cm_part_put_job(part);
	if (job->also)
		cm_part_put_job(job->also);
	if (state != CM_JOB_NEW) {
		list_del(&job->node);
		cm_stat_pending(part->cs, -1);
		if (state != CM_JOB_HELD)
			job_busy(job, -1);
	}
	job_put(job);
}

/**
 * cm_job_add_before - tell a job of an earlier change
 * @job: the job, with less than CM_MAX_BEFORE of them
 * @change: the change
 * @map: where what that has moved goes; the job gets the reference
 */
void cm_job_add_before(struct cpuset_migrate_job *job,
		       struct cpuset_change *change, struct cm_map *map)
{
	struct cm_before *before = &job->before[job->nr_before++];

	before->change = cm_change_get(change);
	before->map = map;
}

/**
 * cm_job_before - where does a folio go that an earlier change has moved?
 * @job: the job
 * @folio: the folio
 *
 * Return: the map by which it goes on, or NULL if none has.
 */
const struct cm_map *cm_job_before(const struct cpuset_migrate_job *job,
				   struct folio *folio)
{
	unsigned int i;

	for (i = 0; i < job->nr_before; i++)
		if (xa_load(&job->before[i].change->moved, folio_pfn(folio)))
			return job->before[i].map;
	return NULL;
}

/*
 * Of those who share a page one may have come to it in time for the old change.
 * For the others it has made that part of its way.
 */
static void job_remember(struct cpuset_migrate_job *job,
			 const struct cpuset_migrate_job *old,
			 struct cm_map *map)
{
	struct cm_map *composed;
	unsigned int i;

	/* This one has moved pages; of those in between some may not have begun. */
	if (job->nr_before == CM_MAX_BEFORE)
		job_forget_before(job);
	cm_job_add_before(job, old->part->change, cm_map_get(map));
	for (i = 0; i < old->nr_before && job->nr_before < CM_MAX_BEFORE; i++) {
		composed = cm_map_alloc_composed(old->before[i].map, map);
		if (!composed)
			return;
		cm_job_add_before(job, old->before[i].change, composed);
	}
}

/*
 * A later change takes an address space over.  What the old job has visited is
 * where the old change wanted it; the rest is to go where both changes in a row
 * would have put it.
 */
static void job_take_over(struct cpuset_migrate_job *job,
			  const struct cpuset_migrate_job *old)
{
	unsigned long visited = old->pass ? ULONG_MAX : old->cursor;
	struct cm_map *map = job->range[0].map;
	struct cm_map *composed;
	unsigned int i, n = 0;

	lockdep_assert_held(&cm_lock);

	/* What was asked for from above is held or stopped from there only. */
	if (old->origin != job->origin &&
	    cm_is_below(job->origin, old->origin)) {
		css_put(&job->origin->css);
		css_get(&old->origin->css);
		job->origin = old->origin;
		job->stop = job->stop && old->stop;
	}
	job->entered = job->entered && old->entered;

	/* The old job binds policies only, or is done but for strays. */
	if (!old->part->move || visited == ULONG_MAX)
		return;
	/* Where cache goes does not depend on how far anybody got. */
	if (!job->mm)
		return;

	job_remember(job, old, map);
	if (visited) {
		job->range[n].end = visited;
		job->range[n++].map = map;
	}
	for (i = 0; i < old->nr_ranges && n < CM_MAX_RANGES; i++) {
		if (old->range[i].end <= visited)
			continue;
		composed = cm_map_alloc_composed(old->range[i].map, map);
		/* Without memory, a page's node has to tell where it belongs */
		job->range[n].map = composed ?: cm_map_get(map);
		job->range[n++].end = old->range[i].end;
	}
	if (!visited)
		cm_map_put(map);
	job->range[n - 1].end = ULONG_MAX;
	job->nr_ranges = n;
	/* A sweep for the same nodes goes on where that one was. */
	if (job->part->change->kind == CPUSET_SETTLE &&
	    job->part->placement == old->part->placement)
		job->cursor = visited;
}

/*
 * On v1 somebody may change the nodes again and want the pages to stay.  Then
 * there is no place any more to go on to: what was not visited is counted as
 * left, and the job that binds the policies waits for that.
 */
static bool job_is_cut_off(const struct cpuset_migrate_job *job,
			   const struct cpuset_migrate_job *next)
{
	return job->part->move && !next->part->move;
}

/**
 * cm_job_written_at - where was a job's change written?
 * @job: the job
 *
 * Return: the cpuset; who enters one writes there.
 */
struct cpuset *cm_job_written_at(const struct cpuset_migrate_job *job)
{
	struct cpuset_change *change = job->part->change;

	return change->kind == CPUSET_ATTACH ? job->part->cs : change->origin;
}

/*
 * Was a change written further down than the one that an address space follows,
 * or has to go on with?  It comes after that, and not in its place: who was given
 * a subtree could make others begin again and again.  Of the files of its top he
 * has those by which tasks enter.  What is held makes no way that could be lost.
 */
static bool job_waits_for(const struct cpuset_migrate_job *job,
			  const struct cpuset_migrate_job *cur)
{
	struct cpuset *above = *cur->slot == cur ? cur->origin :
						   cm_job_written_at(cur);
	struct cpuset *origin = cm_job_written_at(job);

	if (cm_is_held(cur->origin))
		return false;
	if (origin == above)
		return job->part->change->kind == CPUSET_ATTACH &&
		       !cur->entered;
	return cm_is_below(origin, above);
}

/* Is there a later job that does not wait for the end of this one? */
static bool job_is_overtaken(const struct cpuset_migrate_job *job)
{
	return job->next && !job_waits_for(job->next, job);
}

/* What a third change makes of those that have not begun: the last one first. */
static void job_replace_next(struct cpuset_migrate_job *cur,
			     struct cpuset_migrate_job *job)
{
	struct cpuset_migrate_job *pos;

	while (cur->next) {
		for (pos = cur; pos->next->next; pos = pos->next)
			;
		if (job_is_cut_off(pos->next, job))
			pos->next->part->stopped = true;
		job_take_over(job, pos->next);
		job_end(pos->next);
		pos->next = NULL;
	}
}

/* Put a job behind those that it has to wait for; false if there is none. */
static bool job_line_up(struct cpuset_migrate_job *job,
			struct cpuset_migrate_job *cur)
{
	if (cur->state != CM_JOB_RUNNING && !cur->next &&
	    !job_is_cut_off(cur, job) && !job_waits_for(job, cur))
		return false;

	while (cur->next && job_waits_for(job, cur->next))
		cur = cur->next;
	job_replace_next(cur, job);
	cur->next = job;
	return true;
}

/**
 * cm_job_wake - let a job that does not run notice what was asked of it
 * @job: the job
 *
 * Call with cm_lock held.
 */
void cm_job_wake(struct cpuset_migrate_job *job)
{
	if (job->state == CM_JOB_HELD || job->state == CM_JOB_THROTTLED)
		cm_job_queue(job);
}

/**
 * cm_job_start - a job's change has ended: let it run
 * @job: the job, in state NEW and on no list; gone if another of its change
 *	has the address space already
 */
void cm_job_start(struct cpuset_migrate_job *job)
{
	struct mm_struct *mm = job->mm;
	struct cpuset_migrate_job *cur;

	spin_lock(&cm_lock);
	cur = *job->slot;
	/* Who sweeps does not supersede. */
	if (cur && job->pass) {
		job_end(job);
		goto out;
	}

	list_add_tail(&job->node, &cm_jobs);
	cm_stat_pending(job->part->cs, 1);
	job_busy(job, 1);
	job->state = CM_JOB_QUEUED;
	/* Somebody may have written to the stop file while others started. */
	job->stop = job->part->stopped || (mm && job->part->only_count);
	if (mm && job->part->move && !job->pass)
		cm_stat_total(job->part->cs);
	/*
	 * On its way, it is not in place anywhere, nor is who is forked meanwhile.
	 * It may have been in place before, and yet have pages to be brought in.
	 */
	if (mm)
		WRITE_ONCE(mm->cpuset_placed, 0);

	if (cur && job_line_up(job, cur)) {
		/* Else it keeps its place in the line for a limit. */
		if (job_is_overtaken(cur))
			cm_job_wake(cur);
		goto out;
	}

	WRITE_ONCE(*job->slot, job);
	if (cur) {
		job_take_over(job, cur);
		job_end(cur);
	}
	/*
	 * Pairs with atomic_dec_and_test() in mmput(): either that sees the
	 * job and __cpuset_migrate_exit() is called, or we see no user.
	 */
	smp_mb();
	if (mm && !atomic_read(&mm->mm_users))
		job->exited = true;
	cm_job_queue(job);
out:
	spin_unlock(&cm_lock);
}

/**
 * __cpuset_migrate_exit - an address space has no user any more
 * @mm: the address space
 */
void __cpuset_migrate_exit(struct mm_struct *mm)
{
	struct cpuset_migrate_job *job;

	spin_lock(&cm_lock);
	job = mm->cpuset_job;
	if (job) {
		/* Whoever waits for it knows, too. */
		job->exited = true;
		if (job->state != CM_JOB_RUNNING)
			job_end(job);
	}
	spin_unlock(&cm_lock);
}

/**
 * cm_jobs_stop - end the jobs of changes written at or below a cpuset
 * @cs: the cpuset
 *
 * They end at the next chunk; does not wait for it.
 */
void cm_jobs_stop(struct cpuset *cs)
{
	struct cpuset_migrate_job *job;

	spin_lock(&cm_lock);
	cm_parts_stop(cs);
	list_for_each_entry(job, &cm_jobs, node) {
		if (!cm_is_below(job->origin, cs))
			continue;
		job->stop = true;
		job->part->stopped = true;
		cm_job_wake(job);
	}
	spin_unlock(&cm_lock);
}

/**
 * cm_jobs_recheck - a hold file or a limit was changed: see who may run
 */
void cm_jobs_recheck(void)
{
	struct cpuset_migrate_job *job;

	spin_lock(&cm_lock);
	list_for_each_entry(job, &cm_jobs, node)
		if (job->state == CM_JOB_HELD &&
		    (job->next || !cm_is_held(job->origin)))
			cm_job_queue(job);
	cm_limit_serve();
	spin_unlock(&cm_lock);
}

/* Those who wait behind a job have changed the nodes already. */
static void job_look_behind(struct cpuset_migrate_job *job)
{
	struct cpuset_migrate_job *last = job;

	while (last->next)
		last = last->next;
	job->in_force = last->part->mems;
}

enum job_verdict {
	JOB_RUN,
	JOB_BIND,	/* bind the policies; whatever else */
	JOB_STOP,
	JOB_OFF,	/* not ours any more */
};

/* May the worker do the next chunk?  If not, it waits or has ended. */
static enum job_verdict job_check(struct cpuset_migrate_job *job)
{
	enum job_verdict verdict = JOB_OFF;
	bool overtaken;

	spin_lock(&cm_lock);
	if (job->state == CM_JOB_ENDED)
		goto out;
	overtaken = job_is_overtaken(job);
	job_look_behind(job);
	if (job->exited || (!job->mm && cm_cache_is_stale(job))) {
		job_end(job);
	} else if (overtaken && !job_is_cut_off(job, job->next)) {
		job_take_over(job->next, job);
		job_end(job);
	} else if (!job->bound) {
		job->state = CM_JOB_RUNNING;
		verdict = JOB_BIND;
	} else if (!job->part->move) {
		job->state = CM_JOB_RUNNING;
		verdict = JOB_RUN;
	} else if (job->stop || overtaken) {
		if (!job->stop)
			job->part->stopped = true;
		job->state = CM_JOB_RUNNING;
		verdict = JOB_STOP;
	} else if (cm_is_held(job->origin)) {
		job->state = CM_JOB_HELD;
		cm_limit_leave(job);
		cm_stat_held(job->part->cs, 1);
		job_busy(job, -1);
	} else if (!cm_limit_take(job)) {
		job->state = CM_JOB_THROTTLED;
	} else {
		job->state = CM_JOB_RUNNING;
		verdict = JOB_RUN;
	}
out:
	spin_unlock(&cm_lock);
	return verdict;
}

/* The worker has nothing left to do. */
static void job_finish(struct cpuset_migrate_job *job)
{
	struct cm_part *part = job->part;
	unsigned long failed = cm_tally_failures(&job->outside);
	int i;

	for (i = 0; i < CM_NR_STATS; i++)
		job->tally.n[i] += job->outside.n[i];
	memset(&job->outside, 0, sizeof(job->outside));
	cm_stat_flush(job);
	trace_cpuset_migrate_job_end(job, failed);

	spin_lock(&cm_lock);
	/* It may be in no count, if nobody had come across it before. */
	if (job->again)
		part->partial = true;
	/* Who waits behind it takes the pages on from here. */
	if (job->mm && !job->stop && !job->next)
		WRITE_ONCE(job->mm->cpuset_placed, part->placement);
	job_end(job);
	spin_unlock(&cm_lock);
}

/**
 * cm_job_nap - sleep until a page may not be busy any more
 * @job: the job, by its worker
 * @usec: how long, in microseconds; up to twice that
 *
 * Return: false if the job has slept enough in this pass.
 */
bool cm_job_nap(struct cpuset_migrate_job *job, unsigned int usec)
{
	u64 begin = local_clock();

	if (job->nap_left < usec)
		return false;
	job->nap_left -= usec;
	usleep_range(usec, 2 * usec);
	job->napped += cm_elapsed(begin);
	return true;
}

/*
 * The page at the cursor is off the LRU: in some CPU's batch, most likely, or
 * isolated by another job of ours.  Look again later, within reason.
 */
static void job_wait_for_lru(struct cpuset_migrate_job *job)
{
	if (!job->tries++) {
		lru_add_drain();
	} else if (!job->drained) {
		job->drained = true;
		cm_drain_lru();
	} else {
		bool more = job->tries <= CM_TRIES;

		cm_worker_leave(job);
		more = more && cm_job_nap(job, min(250U << job->tries, 20000U));
		cm_worker_return(job);
		if (!more)
			job->tries = UINT_MAX;
	}
}

/* The end was reached.  Is there a point in going on? */
static bool job_needs_pass(struct cpuset_migrate_job *job)
{
	/* Pages of an address space may have come behind the cursor. */
	if (!cm_tally_failures(&job->outside) && !job->again)
		return job->mm && !job->pass;
	if (!job->mm)
		return job->pass + 1 < CM_CACHE_PASSES;
	return job->pass < CM_MAX_PASSES &&
	       (job->pass < CM_MIN_PASSES || job->moved);
}

static bool job_next_pass(struct cpuset_migrate_job *job)
{
	if (!job_needs_pass(job))
		return false;

	if (job->pass) {
		cm_worker_leave(job);
		msleep(min(5 * job->pass, 50U));
		cm_worker_return(job);
		if (job->drains) {
			job->drains--;
			cm_drain_lru();
		}
	}
	job->pass++;
	job->cursor = 0;
	job->tries = 0;
	job->nap_left = CM_NAP_USEC;
	job->moved = 0;
	job->again = false;
	job->reclaiming = false;
	job->nr_skip_vma = 0;
	memset(&job->outside, 0, sizeof(job->outside));
	cm_cache_rewind(job);
	cm_swap_free(job);
	return true;
}

/*
 * Isolate as many pages at a time as max_stall_usec allows.  A batch may have had
 * less than it might: that tells what its pages cost, and only of twice as many
 * that they would do.  A few tell nothing.
 */
static void job_steer(struct cpuset_migrate_job *job, unsigned int isolated,
		      u64 usec)
{
	unsigned int limit = READ_ONCE(cm_max_stall_usec);
	unsigned int now = job->stall_pages;

	job->chunk_max = max(job->chunk_max, usec);
	if (isolated < CM_BATCH_PAGES_MIN)
		return;
	if (usec > limit)
		now = clamp_t(u64, div64_u64((u64)isolated * limit, usec),
			      CM_BATCH_PAGES_MIN, now);
	else if (usec < limit / 2)
		now = clamp_t(u64, 2ULL * isolated, now, CM_BATCH_PAGES);
	job->stall_pages = now;
}

/* Keep the address space from being taken down; false if it has been. */
static bool job_get_users(struct cpuset_migrate_job *job)
{
	return !job->mm || mmget_not_zero(job->mm);
}

static void job_put_users(struct cpuset_migrate_job *job)
{
	/* Who takes it down may wait for the requests of a dead process for ever. */
	if (job->mm)
		mmput_async(job->mm);
}

/**
 * cm_job_step - do one chunk
 * @job: the job, by its worker; or what a mate has of one
 * @batch: the batch, empty
 *
 * May sleep; call without locks.
 *
 * Return: whether there is more, and if not why.
 */
enum cm_walk_result cm_job_step(struct cpuset_migrate_job *job,
				struct cm_batch *batch)
{
	u64 start = task_sched_runtime(current);
	u64 begin, walked, moved = 0, napped = job->napped;
	unsigned long cursor = job->cursor;
	unsigned long isolated;
	enum cm_walk_result result;

	if (!job_get_users(job))
		return CM_WALK_EXITED;

	job->batch_pages = job->stall_pages;
	if (job->granted)
		job->batch_pages = min_t(u64, job->batch_pages,
					 job->granted >> PAGE_SHIFT);
	begin = local_clock();
	result = job->mm ? cm_walk_chunk(job, batch) :
			   cm_cache_chunk(job, batch);
	walked = cm_elapsed(begin);
	isolated = batch->nr_pages;
	if (isolated) {
		begin = local_clock();
		cm_move_batch(batch);
		moved = cm_elapsed(begin);
		/* Nobody is kept from a page while we sleep for it. */
		moved -= min(moved, job->napped - napped);
		job_steer(job, isolated, div_u64(moved, NSEC_PER_USEC));
	}
	trace_cpuset_migrate_chunk(job, cursor, isolated,
				   div_u64(walked, NSEC_PER_USEC),
				   div_u64(moved, NSEC_PER_USEC));
	job_put_users(job);
	cm_limit_settle(job, (u64)(job->tally.n[CM_MOVED] +
				   job->tally.n[CM_SWAPPED]) << PAGE_SHIFT);

	if (result == CM_WALK_OFF_LRU)
		job_wait_for_lru(job);

	job->tally.n[CM_USEC] += task_sched_runtime(current) - start;
	cm_stat_flush(job);
	return result;
}

/* One chunk, or several at once; false if it was the last. */
static bool job_chunk(struct cpuset_migrate_job *job, struct cm_batch *batch,
		      struct cm_team **team)
{
	if (cm_team_round(job, batch, team))
		return true;

	switch (cm_job_step(job, batch)) {
	case CM_WALK_EXITED:
		/* What stayed is free. */
		memset(&job->outside, 0, sizeof(job->outside));
		return false;
	case CM_WALK_END:
		return job_next_pass(job);
	default:
		return true;
	}
}

static void job_bind(struct cpuset_migrate_job *job)
{
	trace_cpuset_migrate_job_start(job);
	if (!job->mm) {
		/* What was read or written a moment ago is on no list yet. */
		cm_drain_lru();
	} else if (job_get_users(job)) {
		/* No page moves, and mmap_lock may not be had for long. */
		cm_worker_leave(job);
		mpol_rebind_mm(job->mm, &job->in_force);
		cm_worker_return(job);
		job_put_users(job);
	}
	job->bound = true;
	job->nap_left = CM_NAP_USEC;
}

/* One chunk of what is left, counted only; false if it was the last. */
static bool job_count_left(struct cpuset_migrate_job *job)
{
	bool more;

	if (!job->mm)
		cm_cache_left(job);
	if (!job->mm || job->pass || !job_get_users(job))
		return false;
	more = cm_walk_left(job);
	job_put_users(job);
	return more;
}

/* Let other jobs have a turn, unless this one is about to end. */
static bool job_yield(struct cpuset_migrate_job *job)
{
	bool yield;

	spin_lock(&cm_lock);
	yield = !job_is_overtaken(job) && !job->exited;
	if (yield)
		cm_job_queue(job);
	spin_unlock(&cm_lock);
	return yield;
}

static void job_work(struct work_struct *work)
{
	struct cpuset_migrate_job *job =
		container_of(work, struct cpuset_migrate_job, work);
	struct cm_batch *batch = NULL;
	struct cm_team *team = NULL;
	u64 start = local_clock();
	enum job_verdict verdict;
	bool more;

	while ((verdict = job_check(job)) != JOB_OFF) {
		if (verdict == JOB_BIND) {
			job_bind(job);
			continue;
		}
		if (verdict == JOB_STOP) {
			more = job_count_left(job);
		} else if (job->part->move) {
			batch = batch ?: cm_batch_alloc(job);
			more = job_chunk(job, batch, &team);
		} else {
			more = false;
		}
		if (!more) {
			job_finish(job);
			break;
		}
		if (cm_elapsed(start) > CM_SLICE_NSEC && job_yield(job))
			break;
		cond_resched();
	}
	/* What is held for long does not keep memory from being taken away. */
	if (READ_ONCE(job->state) == CM_JOB_HELD)
		cm_swap_forget(job);
	cm_worker_leave(job);
	cm_team_free(team);
	cm_batch_free(batch);
	job_put(job);
}
