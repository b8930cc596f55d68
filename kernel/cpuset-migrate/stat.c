// SPDX-License-Identifier: GPL-2.0
/*
 * Counters, reasons, tracepoints.
 *
 * A job collects counts of its own and adds them to its cpuset, and to every
 * one above, at the end of a chunk, all at once.  Whoever reads them sees a sum
 * that is right: scanned is what all outcomes add up to.
 */

#include <linux/spinlock.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static DEFINE_SPINLOCK(cm_stat_lock);

/* As in cpuset.mems.stat, and in the tracepoint cpuset_migrate_leave */
const char * const cm_stat_name[CM_NR_STATS] = {
	[CM_TOTAL]		= "total",
	[CM_SCANNED]		= "scanned",
	[CM_MOVED]		= "moved",
	[CM_MOVED_THP]		= "moved_thp",
	[CM_INPLACE]		= "inplace",
	[CM_GONE]		= "gone",
	[CM_SPLIT]		= "split",
	[CM_SWAPPED]		= "swapped",
	[CM_LEFT]		= "left",
	[CM_SKIP_VMA]		= "skip_vma",
	[CM_SKIP_EXEMPT]	= "skip_exempt",
	[CM_SKIP_SHARED]	= "skip_shared",
	[CM_FAIL_NOMEM]		= "fail_nomem",
	[CM_FAIL_PINNED]	= "fail_pinned",
	[CM_FAIL_BUSY]		= "fail_busy",
	[CM_FAIL_FS]		= "fail_fs",
	[CM_FAIL_NONLRU]	= "fail_nonlru",
	[CM_FAIL_HUGETLB]	= "fail_hugetlb",
	[CM_USEC]		= "usec",
};

/**
 * cm_stat_is_failure - does this outcome make a move partial?
 * @outcome: the outcome; those that are policy do not
 */
bool cm_stat_is_failure(enum cpuset_migrate_stat outcome)
{
	return outcome >= CM_FAIL_NOMEM && outcome <= CM_FAIL_HUGETLB;
}

/**
 * cm_tally_failures - pages that failed to move
 * @tally: the counts to look at
 */
unsigned long cm_tally_failures(const struct cm_tally *tally)
{
	unsigned long sum = 0;
	int i;

	for (i = 0; i < CM_NR_OUTCOMES; i++)
		if (cm_stat_is_failure(i))
			sum += tally->n[i];
	return sum;
}

static bool is_skip_or_failure(enum cpuset_migrate_stat outcome)
{
	return outcome >= CM_SKIP_VMA && outcome <= CM_FAIL_HUGETLB;
}

/**
 * cm_count - count pages with their outcome
 * @job: the job
 * @nid: the node they were on
 * @outcome: what became of them
 * @nr: how many
 *
 * A page that stays outside of the cpuset's nodes is looked at again in the
 * next pass, so that outcome is not final yet.
 */
void cm_count(struct cpuset_migrate_job *job, int nid,
	      enum cpuset_migrate_stat outcome, unsigned long nr)
{
	if (is_skip_or_failure(outcome) &&
	    !node_isset(nid, job->part->mems))
		job->outside.n[outcome] += nr;
	else
		job->tally.n[outcome] += nr;
}

/**
 * cm_count_left - count a folio that stays, with the reason
 * @job: the job
 * @folio: the folio; looked at as a number only
 * @addr: where it is mapped, or 0
 * @nid: its node
 * @outcome: the reason
 * @nr: pages of it
 *
 * What was busy on one of the new nodes is remembered, since under a chained
 * map nothing else tells that it has yet to move.
 */
void cm_count_left(struct cpuset_migrate_job *job, struct folio *folio,
		   unsigned long addr, int nid,
		   enum cpuset_migrate_stat outcome, unsigned long nr)
{
	if (outcome == CM_FAIL_BUSY && addr &&
	    node_isset(nid, job->part->mems) &&
	    !xa_err(xa_store(job->retry, addr >> PAGE_SHIFT,
			     xa_mk_value(folio_pfn(folio)),
			     GFP_NOWAIT | __GFP_NOWARN)))
		job->outside.n[outcome] += nr;
	else
		cm_count(job, nid, outcome, nr);
}

/**
 * cm_stat_flush - add a job's counts to its cpuset and those above
 * @job: the job; its counts are zero afterwards
 */
void cm_stat_flush(struct cpuset_migrate_job *job)
{
	struct cm_tally *tally = &job->tally;
	struct cpuset *cs;
	int i;

	tally->n[CM_SCANNED] = 0;
	for (i = CM_SCANNED + 1; i < CM_NR_OUTCOMES; i++)
		tally->n[CM_SCANNED] += tally->n[i];
	if (cm_tally_failures(tally) || tally->n[CM_LEFT])
		WRITE_ONCE(job->part->partial, true);

	spin_lock(&cm_stat_lock);
	for (cs = job->part->cs; cs; cs = parent_cs(cs)) {
		for (i = 0; i < CM_NR_STATS; i++)
			cs->migrate.stat[i] += tally->n[i];
		cs->migrate.chunk_max_usec = max(cs->migrate.chunk_max_usec,
						 job->chunk_max);
	}
	spin_unlock(&cm_stat_lock);

	memset(tally, 0, sizeof(*tally));
}

/**
 * cm_stat_total - an address space is going to be migrated
 * @cs: the cpuset
 */
void cm_stat_total(struct cpuset *cs)
{
	spin_lock(&cm_stat_lock);
	for (; cs; cs = parent_cs(cs))
		cs->migrate.stat[CM_TOTAL]++;
	spin_unlock(&cm_stat_lock);
}

/**
 * cm_stat_read - read a cpuset's counters, all of one moment
 * @cs: the cpuset
 * @stat: filled
 * @chunk_max: filled with the longest chunk, in microseconds
 */
void cm_stat_read(struct cpuset *cs, u64 stat[CM_NR_STATS], u64 *chunk_max)
{
	spin_lock(&cm_stat_lock);
	memcpy(stat, cs->migrate.stat, sizeof(cs->migrate.stat));
	*chunk_max = cs->migrate.chunk_max_usec;
	spin_unlock(&cm_stat_lock);
}

/**
 * cm_stat_pending - address spaces come to a queue or leave it
 * @cs: the cpuset
 * @n: 1 or -1
 */
void cm_stat_pending(struct cpuset *cs, int n)
{
	for (; cs; cs = parent_cs(cs))
		atomic_add(n, &cs->migrate.pending);
}

/**
 * cm_stat_held - address spaces are held or released
 * @cs: the cpuset
 * @n: 1 or -1
 */
void cm_stat_held(struct cpuset *cs, int n)
{
	for (; cs; cs = parent_cs(cs))
		atomic_add(n, &cs->migrate.held);
}

/**
 * cm_event - something happened to a cpuset: count it, tell who waits
 * @cs: the cpuset
 * @event: what happened
 */
void cm_event(struct cpuset *cs, enum cpuset_migrate_event event)
{
	struct cpuset *up;

	spin_lock(&cm_stat_lock);
	cs->migrate.events_local[event]++;
	for (up = cs; up; up = parent_cs(up))
		up->migrate.events[event]++;
	spin_unlock(&cm_stat_lock);

	cgroup_file_notify(&cs->migrate.events_local_file);
	for (up = cs; up; up = parent_cs(up))
		cgroup_file_notify(&up->migrate.events_file);
}

/**
 * cm_events_read - read a cpuset's events, all of one moment
 * @cs: the cpuset
 * @local: without those of the cpusets below
 * @events: filled
 */
void cm_events_read(struct cpuset *cs, bool local, u64 events[CM_NR_EVENTS])
{
	spin_lock(&cm_stat_lock);
	memcpy(events, local ? cs->migrate.events_local : cs->migrate.events,
	       sizeof(cs->migrate.events));
	spin_unlock(&cm_stat_lock);
}
