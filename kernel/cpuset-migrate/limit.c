// SPDX-License-Identifier: GPL-2.0
/*
 * How fast: limits in bytes per second, over the hierarchy of cpusets.
 *
 * What a job moves is charged to the cpuset that its change was written at and
 * to every cpuset above, so each of them bounds the sum of what is asked for at
 * it and below.  A limit is kept as a point in time, @due: when everything moved
 * so far will have been paid for.  That lies behind the present by what was
 * saved up, at most CM_SAVED_NSEC, and ahead of it while there is debt: a page
 * goes whole, however big it is and however small the limit.
 *
 * A worker takes what its next chunk may move before it begins, and settles
 * afterwards.  A job that gets nothing is THROTTLED: it leaves its worker to
 * others and lines up here.  One delayed work, for all of them, serves those
 * whose turn has come, first come first served.  They have a turn at a worker
 * then, and line up again.  A job in the line is on no queue and no timer of its
 * own, so whoever ends it, for whatever reason, takes it off the list and that
 * is all.
 *
 * Everything here is under cm_lock.  The arithmetic depends on its arguments
 * only; time is ktime_get_ns(), which stands still while the machine sleeps.
 */

#include <linux/compiler.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/workqueue.h>

#include "internal.h"

/* What a limit that was not used up lets through at once. */
#define CM_SAVED_NSEC		(100 * NSEC_PER_MSEC)

/* What is worth waking a job for. */
#define CM_TURN_NSEC		(20 * NSEC_PER_MSEC)

/* What a job asks for at a time: twice of what it moved last. */
#define CM_WANTED_MIN		((u64)CM_BATCH_PAGES_MIN << PAGE_SHIFT)
#define CM_WANTED_MAX		((u64)CM_BATCH_PAGES << PAGE_SHIFT)

/* Debts end some time: a century, so that no sum overflows. */
#define CM_DEBT_MAX_SEC		3000000000ULL
#define CM_DEBT_MAX_NSEC	((s64)CM_DEBT_MAX_SEC * (s64)NSEC_PER_SEC)

static void limit_tick(struct work_struct *work);

static LIST_HEAD(cm_throttled);		/* jobs, first come first */
static DECLARE_DELAYED_WORK(cm_limit_work, limit_tick);
static unsigned long cm_limit_expires;	/* if @cm_limit_work is pending */

/* A cpuset without a limit has no rate; one that holds has none either. */
static bool has_rate(const struct cpuset_migrate *m)
{
	return m->max && m->max != U64_MAX;
}

/*
 * a * b / c.  On x86 mul_u64_u64_div_u64() keeps @a and @c in one register, and
 * overwrites it, where the compiler knows them to be equal.
 */
static u64 mul_div(u64 a, u64 b, u64 c)
{
	OPTIMIZER_HIDE_VAR(c);
	return mul_u64_u64_div_u64(a, b, c);
}

/* How long so many bytes take at this rate. */
static s64 bytes_to_nsec(u64 bytes, u64 rate)
{
	if (div64_u64(bytes, rate) >= CM_DEBT_MAX_SEC)
		return CM_DEBT_MAX_NSEC;
	return mul_div(bytes, NSEC_PER_SEC, rate);
}

static u64 nsec_to_bytes(s64 nsec, u64 rate)
{
	return mul_div(nsec, rate, NSEC_PER_SEC);
}

/* What was saved up; a debt if negative. */
static s64 limit_saved(const struct cpuset_migrate *m, s64 now)
{
	return min_t(s64, now - m->due, CM_SAVED_NSEC);
}

/* Charge one cpuset with what was moved, or give back what was not. */
static void limit_charge_one(struct cpuset_migrate *m, u64 bytes, bool back,
			     s64 now)
{
	s64 due = max_t(s64, m->due, now - (s64)CM_SAVED_NSEC);
	s64 nsec = bytes_to_nsec(bytes, m->max);

	m->due = back ? due - nsec : min(due + nsec, now + CM_DEBT_MAX_NSEC);
}

static void limit_charge(struct cpuset *cs, u64 bytes, bool back, s64 now)
{
	for (; bytes && cs; cs = parent_cs(cs))
		if (has_rate(&cs->migrate))
			limit_charge_one(&cs->migrate, bytes, back, now);
}

/*
 * May bytes be moved that are charged from @cs upwards?  0 if they may, and
 * @bytes, which is what is wanted, is lowered to what there is; at least a page.
 * Else how long it takes until it is worth asking again, in nanoseconds.  Before
 * somebody has a @turn, that much has to be there for him whatever he wants: who
 * wants little does not get it first.
 */
static s64 limit_wait(struct cpuset *cs, u64 *bytes, bool turn, s64 now)
{
	s64 wait = 0, saved, need;
	u64 grant = *bytes;

	for (; cs; cs = parent_cs(cs)) {
		struct cpuset_migrate *m = &cs->migrate;

		if (!has_rate(m))
			continue;
		saved = limit_saved(m, now);
		need = CM_TURN_NSEC;
		if (turn)
			need = min(need, bytes_to_nsec(*bytes, m->max));
		if (saved < need)
			wait = max_t(s64, wait, (s64)CM_TURN_NSEC - saved);
		else
			grant = min(grant, nsec_to_bytes(saved, m->max));
	}
	if (!wait)
		*bytes = max(round_down(grant, PAGE_SIZE), PAGE_SIZE);
	return wait;
}

static bool is_limited(struct cpuset *cs)
{
	for (; cs; cs = parent_cs(cs))
		if (has_rate(&cs->migrate))
			return true;
	return false;
}

/* Take what a job's next chunk may move; or how long to wait for it. */
static s64 job_take(struct cpuset_migrate_job *job, s64 now)
{
	u64 bytes = job->wanted;
	s64 wait;

	if (!is_limited(job->origin))
		return 0;
	wait = limit_wait(job->origin, &bytes, job->turn, now);
	if (!wait) {
		limit_charge(job->origin, bytes, false, now);
		job->granted = bytes;
	}
	return wait;
}

/* Serve those who wait in @nsec, or earlier if somebody else waits for less. */
static void limit_serve_in(s64 nsec)
{
	unsigned long delay, expires;

	delay = nsecs_to_jiffies(min_t(s64, nsec, NSEC_PER_SEC)) + 1;
	expires = jiffies + delay;
	if (delayed_work_pending(&cm_limit_work) &&
	    !time_before(expires, cm_limit_expires))
		return;
	cm_limit_expires = expires;
	mod_delayed_work(system_unbound_wq, &cm_limit_work, delay);
}

/**
 * cm_limit_serve - let those go on who wait for a limit and need not any more
 *
 * Also those that are held now: the worker finds out.  Call with cm_lock held.
 */
void cm_limit_serve(void)
{
	struct cpuset_migrate_job *job, *next;
	s64 now = ktime_get_ns(), soonest = S64_MAX, wait;

	lockdep_assert_held(&cm_lock);

	list_for_each_entry_safe(job, next, &cm_throttled, throttled) {
		wait = cm_is_held(job->origin) ? 0 : job_take(job, now);
		if (wait) {
			soonest = min(soonest, wait);
			continue;
		}
		list_del_init(&job->throttled);
		if (job->state == CM_JOB_THROTTLED)
			cm_job_queue(job);
		job->turn = true;
	}
	if (soonest != S64_MAX)
		limit_serve_in(soonest);
}

static void limit_tick(struct work_struct *work)
{
	spin_lock(&cm_lock);
	cm_limit_serve();
	spin_unlock(&cm_lock);
}

/**
 * cm_limit_take - may a job do its next chunk?
 * @job: the job, by its worker
 *
 * Call with cm_lock held.
 *
 * Return: true if it may: as much as job->granted, unless that is 0.  If not, it
 * is in the line and will be queued; it must be THROTTLED before cm_lock is
 * dropped.
 */
bool cm_limit_take(struct cpuset_migrate_job *job)
{
	s64 wait;

	lockdep_assert_held(&cm_lock);

	if (job->granted || !is_limited(job->origin))
		return true;

	if (job->turn) {
		wait = job_take(job, ktime_get_ns());
		if (!wait)
			return true;
		job->turn = false;
		list_add_tail(&job->throttled, &cm_throttled);
		limit_serve_in(wait);
		return false;
	}

	/* Those who wait already come first. */
	list_add_tail(&job->throttled, &cm_throttled);
	cm_limit_serve();
	return list_empty(&job->throttled);
}

/**
 * cm_limit_init - a job that has moved nothing yet
 * @job: the job
 */
void cm_limit_init(struct cpuset_migrate_job *job)
{
	INIT_LIST_HEAD(&job->throttled);
	job->wanted = CM_WANTED_MIN;
}

/**
 * cm_limit_settle - a chunk was done
 * @job: the job
 * @bytes: what it has moved
 */
void cm_limit_settle(struct cpuset_migrate_job *job, u64 bytes)
{
	u64 granted = job->granted;
	s64 now;

	/* What is taken and not used keeps others waiting. */
	job->wanted = clamp(2 * bytes, CM_WANTED_MIN, CM_WANTED_MAX);
	if (granted == bytes) {
		job->granted = 0;
		return;
	}

	now = ktime_get_ns();
	spin_lock(&cm_lock);
	if (bytes > granted)
		limit_charge(job->origin, bytes - granted, false, now);
	else
		limit_charge(job->origin, granted - bytes, true, now);
	job->granted = 0;
	spin_unlock(&cm_lock);
}

/**
 * cm_limit_leave - a job does not go on, or not now
 * @job: the job
 *
 * Takes it out of the line and gives back what it did not use.  Call with
 * cm_lock held.
 */
void cm_limit_leave(struct cpuset_migrate_job *job)
{
	lockdep_assert_held(&cm_lock);

	list_del_init(&job->throttled);
	limit_charge(job->origin, job->granted, true, ktime_get_ns());
	job->granted = 0;
}

/**
 * cm_limit_set - set the limit of a cpuset
 * @cs: the cpuset
 * @max: bytes per second, 0 to hold, U64_MAX for no limit
 *
 * Another limit than before starts afresh, with no debt.  Whoever waits finds
 * out through cm_jobs_recheck().
 */
void cm_limit_set(struct cpuset *cs, u64 max)
{
	spin_lock(&cm_lock);
	if (cs->migrate.max != max) {
		WRITE_ONCE(cs->migrate.max, max);
		cs->migrate.due = ktime_get_ns();
	}
	spin_unlock(&cm_lock);
}

#ifdef CONFIG_CPUSET_MIGRATE_KUNIT_TEST
#include "tests/limit_kunit.h"
#endif
