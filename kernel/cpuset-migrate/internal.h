/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of kernel/cpuset-migrate/ share.  change.c has the order of
 * locks, job.c the states of a job.
 */
#ifndef _CPUSET_MIGRATE_INTERNAL_H
#define _CPUSET_MIGRATE_INTERNAL_H

#include <linux/completion.h>
#include <linux/cpuset_migrate.h>
#include <linux/nodemask.h>
#include <linux/refcount.h>
#include <linux/sched/clock.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "../cgroup/cpuset-internal.h"

#include "fast.h"

/* Pages isolated at a time, at most: one page table's worth. */
#define CM_BATCH_PAGES		512
#define CM_BATCH_PAGES_MIN	16

/*
 * Time since local_clock() said @since.  Two CPUs may differ, and a worker may
 * have changed from one to the other.
 */
static inline u64 cm_elapsed(u64 since)
{
	return max_t(s64, local_clock() - since, 0);
}

/* Kernel threads that move pages at the same time, on the whole machine. */
#define CM_WORKERS		4U
#define CM_WORKERS_MAX		64U
#define CM_CACHE_WORKERS	1U

/* Address ranges of one job that have different maps. */
#define CM_MAX_RANGES		8

/* map.c */

/**
 * struct cm_map - where a page goes when a set of nodes becomes another
 * @ref: users
 * @to: the new set
 * @chained: a page that has arrived can look like one that has to leave
 * @dst: for every node a page may be on, the node it goes to; itself if it
 *	stays, NUMA_NO_NODE for a stray, which goes wherever is best in @to
 */
struct cm_map {
	refcount_t	ref;
	nodemask_t	to;
	bool		chained;
	s16		dst[MAX_NUMNODES];
};

void cm_map_init(struct cm_map *map, const nodemask_t *from,
		 const nodemask_t *to);
void cm_map_compose(struct cm_map *map, const struct cm_map *first,
		    const struct cm_map *second);
struct cm_map *cm_map_alloc(const nodemask_t *from, const nodemask_t *to);
struct cm_map *cm_map_alloc_composed(struct cm_map *first,
				     struct cm_map *second);
struct cm_map *cm_map_get(struct cm_map *map);
void cm_map_put(struct cm_map *map);

/* change.c */

/**
 * struct cpuset_change - what one write asks for
 * @ref: the writer, and every part
 * @kind: what it was
 * @id: tells an address space that is named twice
 * @origin: the cpuset written to; a reference
 * @parts: the cpusets that have new nodes, until their jobs are started
 * @busy: what a waiting writer waits for: jobs that run or will without
 *	anybody's doing, and parts that close.  Under cm_lock.
 * @wait: where it waits
 * @work: makes it wait on its way to user space
 * @wants_wait: it does
 * @unasked: nobody wrote anything, so there are no events
 * @behind: a task comes from a cpuset of which a part closes that would have
 *	looked after it
 * @partial: pages failed to move, once nothing is busy any more
 * @evacuation: the job that empties a node
 * @overlaps: an address space has not arrived yet where another change wanted it
 * @moved: page frames that shared pages were moved to, where a map is chained or
 *	the change overlaps
 * @free: drops it
 */
struct cpuset_change {
	refcount_t		ref;
	enum cpuset_change_kind	kind;
	u64			id;
	struct cpuset		*origin;
	struct list_head	parts;
	unsigned int		busy;
	wait_queue_head_t	wait;
	struct callback_head	work;
	bool			wants_wait;
	bool			unasked;
	bool			behind;
	bool			partial;
	bool			overlaps;
	struct cpuset_migrate_job *evacuation;
	struct xarray		moved;
	struct work_struct	free;
};

/**
 * struct cm_part - one cpuset of a change
 * @node: in cpuset_change.parts, then in the list of all parts
 * @sibling: in the list of those of @cs
 * @closing: in the list of those that close
 * @change: the change; a reference
 * @cs: the cpuset; a reference
 * @origin: the cpuset whose hold, max, stop and cache files concern this part;
 *	a reference
 * @map: the map that the last task enrolled had
 * @old: the nodes that @map was made from
 * @sweep: the map for tasks forked since: the first that moved anything
 * @mems: the nodes of @cs
 * @placement: @cs->migrate.placement when this part was made
 * @start: when; comparable with task_struct.start_time
 * @move: pages move; otherwise policies are rebound and that is all
 * @leave_cache: but not cache that nobody maps
 * @nr_jobs: jobs that have not ended, one for who adds to them, and those of
 *	other parts that are ->also ours.  Under cm_lock.
 * @nr_left: of those that have not ended, the ones of who was about to leave.
 *	Under cm_lock.
 * @rounds: how often the closing sweep looked for somebody
 * @only_count: often enough: the pages of who is found now are left
 * @cached: the job for cache that nobody maps was made, or is not needed
 * @announced: CM_EVENT_START was sent
 * @partial: pages failed to move
 * @stopped: somebody wrote to the stop file
 * @closes: its jobs have ended, and nobody has looked yet for what was missed.
 *	Under cm_lock, and cpuset_mutex to reset it
 * @looked: it has looked for that for the last time.  Under cpuset_mutex
 * @jobs: enrolled, not started
 * @cache_nodes: those that may have cache to move, while it closes
 */
struct cm_part {
	struct list_head	node;
	struct list_head	sibling;
	struct list_head	closing;
	struct cpuset_change	*change;
	struct cpuset		*cs;
	struct cpuset		*origin;
	struct cm_map		*map;
	nodemask_t		old;
	struct cm_map		*sweep;
	nodemask_t		mems;
	u64			placement;
	u64			start;
	bool			move;
	bool			leave_cache;
	unsigned int		nr_jobs;
	unsigned int		nr_left;
	unsigned int		rounds;
	bool			only_count;
	bool			cached;
	bool			announced;
	bool			partial;
	bool			stopped;
	bool			closes;
	bool			looked;
	struct list_head	jobs;
	nodemask_t		cache_nodes;
};

extern spinlock_t cm_lock;

void cm_part_put_job(struct cm_part *part);
void cm_parts_stop(struct cpuset *cs);
bool cm_is_looked_for(struct cpuset *cs, struct task_struct *task);
void cm_change_busy(struct cpuset_change *change, int n);
int cm_change_wait(struct cpuset_change *change);
struct cpuset_change *cm_change_get(struct cpuset_change *change);
void cm_change_put(struct cpuset_change *change);
bool cm_is_held(struct cpuset *cs);
void cm_hold_set(struct cpuset *cs, bool hold);
bool cm_is_below(struct cpuset *cs, struct cpuset *top);

/* job.c */

enum cm_job_state {
	CM_JOB_NEW,		/* enrolled, its change has not ended */
	CM_JOB_QUEUED,		/* has a worker, or waits for one */
	CM_JOB_RUNNING,
	CM_JOB_THROTTLED,	/* waits for a limit; a writer waits through that */
	CM_JOB_HELD,		/* would run but for a hold file or a limit of 0 */
	CM_JOB_ENDED,
};

/* Counts that belong to a job and are not in the cpuset's counters yet. */
struct cm_tally {
	unsigned long	n[CM_NR_STATS];
};

/**
 * struct cpuset_migrate_job - one address space, or cache, and one change
 * @ref: its place in *@slot or @next, and its worker
 * @mm: the address space; mm_count only, so that exit frees its memory.  NULL
 *	for cache that nobody maps
 * @slot: where it is found: mm->cpuset_job, cache_job of the cpuset, or evacuation
 *	of the change
 * @part: what it is part of
 * @origin: the cpuset whose hold, max and stop files concern it: where the
 *	change was written or, if that took the address space over from a
 *	change written further up, where that was.  A reference
 * @left: of somebody who was about to leave the cpuset of @part
 * @also: the part of the cpuset that he entered, which closes after this job
 * @node: in part->jobs, then in the list of all jobs
 * @line: in the line for a worker, see worker.c; under cm_lock
 * @work: runs it
 * @state: under cm_lock
 * @stop: somebody wrote to the stop file; under cm_lock
 * @exited: the address space has no user any more; under cm_lock
 * @next: the job of a later change, started when this one gets off the CPU, or
 *	ends if that was written further up
 * @in_force: the nodes of the last change of those in a row, which tasks have
 *	already; for its worker
 * @bound: the policies of the VMAs are bound to them
 * @entered: for tasks that entered a cpuset, and for nothing that was under way
 * @range: @range[i] holds for addresses from @range[i - 1].end up to its end.
 *	More than one when a change came while the one before was under way.
 * @nr_ranges: how many
 * @before: changes that were taken over before they were done here, the last one
 *	first, and where a page goes that one of them has moved for somebody else
 * @nr_before: how many
 * @cursor: everything below was visited: addresses, or page frames of @nid
 * @limit: the walk ends there
 * @alone: no mates up to there, see team.c
 * @nid: the node that is scanned for cache; NUMA_NO_NODE before the first
 * @nodes: those that are
 * @whole_node: for all there is, see evacuate.c
 * @nr_cache: pages of files on @nid, when it was begun with
 * @nr_seen: those that were found there
 * @pass: 0 visits everything, later ones what is outside of the new nodes and
 *	what is in @retry
 * @retry: by address, the page frames of what was busy and, under a chained map,
 *	cannot be told from what has arrived; a mate has the job's
 * @busy: what @retry points to
 * @swapping: by page frame, folios that are on their way to swap; references
 * @throttled: in the line of those who wait for a limit; under cm_lock
 * @turn: has been served there, and may take what there is until its time on
 *	the worker is over; under cm_lock
 * @wanted: bytes to take for a chunk
 * @granted: bytes taken for the next chunk; 0 also if there is no limit.  Under
 *	cm_lock, but for the worker of a running job
 * @stall_pages: pages to isolate at a time, steered by the time they take
 * @batch_pages: the same for this chunk, which a limit may bound
 * @tries: attempts at the page at the cursor, which is off the LRU
 * @nap_left: microseconds that may be slept in this pass for busy pages
 * @napped: nanoseconds slept for them
 * @drains: times that may be repeated for pages that others refer to
 * @drained: other CPUs' LRU batches were drained for this job
 * @reclaiming: kswapd was woken in this pass
 * @moved: pages moved in this pass
 * @again: what was counted before stayed in this pass, and may not in another
 * @nr_skip_vma: pages counted in VMAs that cannot be migrated
 * @tally: final outcomes since the last flush
 * @outside: outcomes that another pass may improve: pages still outside
 * @chunk_max: longest chunk so far, microseconds
 */
struct cpuset_migrate_job {
	refcount_t		ref;
	struct mm_struct	*mm;
	struct cpuset_migrate_job **slot;
	struct cm_part		*part;
	struct cpuset		*origin;
	bool			left;
	struct cm_part		*also;
	struct list_head	node;
	struct list_head	line;
	struct work_struct	work;
	enum cm_job_state	state;
	bool			stop;
	bool			exited;
	struct cpuset_migrate_job *next;

	nodemask_t		in_force;
	bool			bound;
	bool			entered;
	struct cm_range {
		unsigned long	end;
		struct cm_map	*map;
	} range[CM_MAX_RANGES];
	unsigned int		nr_ranges;
	struct cm_before	before[CM_MAX_BEFORE];
	unsigned int		nr_before;

	unsigned long		cursor;
	unsigned long		limit;
	unsigned long		alone;
	int			nid;
	nodemask_t		nodes;
	bool			whole_node;
	unsigned long		nr_cache;
	unsigned long		nr_seen;
	unsigned int		pass;
	struct xarray		*retry;
	struct xarray		busy;
	struct xarray		swapping;
	struct list_head	throttled;
	bool			turn;
	u64			wanted;
	u64			granted;
	unsigned int		stall_pages;
	unsigned int		batch_pages;
	unsigned int		tries;
	unsigned int		nap_left;
	u64			napped;
	unsigned int		drains;
	bool			drained;
	bool			reclaiming;
	unsigned long		moved;
	bool			again;
	unsigned long		nr_skip_vma;
	struct cm_tally		tally;
	struct cm_tally		outside;
	u64			chunk_max;
};

struct cpuset_migrate_job *cm_job_alloc(struct mm_struct *mm,
					struct cm_part *part,
					struct cm_map *map);
void cm_job_add_before(struct cpuset_migrate_job *job,
		       struct cpuset_change *change, struct cm_map *map);
const struct cm_map *cm_job_before(const struct cpuset_migrate_job *job,
				   struct folio *folio);
struct cpuset *cm_job_written_at(const struct cpuset_migrate_job *job);
void cm_job_start(struct cpuset_migrate_job *job);
void cm_jobs_stop(struct cpuset *cs);
void cm_jobs_recheck(void);
void cm_job_queue(struct cpuset_migrate_job *job);
void cm_job_wake(struct cpuset_migrate_job *job);
bool cm_job_nap(struct cpuset_migrate_job *job, unsigned int usec);

extern unsigned int cm_max_stall_usec;

/* worker.c */

void cm_line_init(struct cm_line *line);
void cm_worker_queue(struct cpuset_migrate_job *job);
void cm_worker_unqueue(struct cpuset_migrate_job *job);
bool cm_worker_queue_mate(struct cpuset_migrate_job *job,
			  struct work_struct *work);
void cm_worker_leave(struct cpuset_migrate_job *job);
void cm_worker_return(struct cpuset_migrate_job *job);
void cm_mmap_read_lock(struct cpuset_migrate_job *job, struct cm_batch *batch);
unsigned int cm_workers_nr(void);
void cm_workers_set(unsigned int nr);

/* limit.c */

void cm_limit_init(struct cpuset_migrate_job *job);
bool cm_limit_take(struct cpuset_migrate_job *job);
void cm_limit_settle(struct cpuset_migrate_job *job, u64 bytes);
void cm_limit_leave(struct cpuset_migrate_job *job);
void cm_limit_serve(void);
void cm_limit_set(struct cpuset *cs, u64 max);

/* walk.c */

/**
 * struct cm_slot - a folio on its way
 * @src: isolated
 * @dst: allocated for it, or NULL
 * @addr: where it is mapped, or 0
 * @nid: where it goes; NUMA_NO_NODE to the best of the batch's nodes
 * @src_nid: where it was
 * @nr: pages of @src when it was isolated
 * @moved: pages that have moved
 * @left: pages that came back
 * @reason: why they did
 * @used: @dst was handed to migrate_pages()
 * @split: no room for all of it in one piece
 * @swap: no room for it at all; to be swapped out
 * @thp: it is PMD-sized, and not hugetlb
 * @counted: has been before, as what stayed, and is not again unless it moves
 */
struct cm_slot {
	struct folio	*src;
	struct folio	*dst;
	unsigned long	addr;
	s16		nid;
	s16		src_nid;
	unsigned int	nr;
	unsigned int	moved;
	unsigned int	left;
	enum cpuset_migrate_stat reason;
	bool		used;
	bool		split;
	bool		swap;
	bool		thp;
	bool		counted;
};

/**
 * struct cm_batch - folios to move at once
 * @job: whose
 * @allowed: nodes they may go to
 * @chained: destinations of shared folios are to be remembered
 * @nr_pages: pages in @slot
 * @nr: used entries of @slot
 * @hint: where the last lookup in @slot ended
 * @room: pages known to fit on @room_nid above its low watermark
 * @room_nid: see there
 * @full: nodes that were found to have no room
 * @folios: the isolated folios, in the order of @slot
 * @slot: the folios
 * @fast: those that are moved by the walk itself
 */
struct cm_batch {
	struct cpuset_migrate_job *job;
	nodemask_t	allowed;
	bool		chained;
	unsigned int	nr_pages;
	unsigned int	nr;
	unsigned int	hint;
	unsigned int	room;
	int		room_nid;
	nodemask_t	full;
	struct list_head folios;
	struct cm_slot	slot[CM_BATCH_PAGES];
	struct cm_fast	fast;
};

enum cm_walk_result {
	CM_WALK_MORE,		/* cursor moved on, there is more */
	CM_WALK_END,		/* end of the address space */
	CM_WALK_OFF_LRU,	/* the page at the cursor is off the LRU */
	CM_WALK_EXITED,		/* nobody uses the address space any more */
};

enum cm_walk_result cm_job_step(struct cpuset_migrate_job *job,
				struct cm_batch *batch);

enum cm_walk_result cm_walk_chunk(struct cpuset_migrate_job *job,
				  struct cm_batch *batch);
bool cm_walk_left(struct cpuset_migrate_job *job);

/* team.c */

struct cm_team;

extern unsigned int cm_workers;

bool cm_team_round(struct cpuset_migrate_job *job, struct cm_batch *batch,
		   struct cm_team **team);
void cm_team_free(struct cm_team *team);

/* cache.c */

#ifdef CONFIG_MEMCG
extern bool cm_pagecache;

bool cm_cache_is_left(struct cpuset *cs);
void cm_cache_nodes(struct cpuset *cs, const nodemask_t *mems,
		    nodemask_t *nodes);
void cm_cache_change(struct cpuset *cs, struct cpuset_change *change,
		     const nodemask_t *mems, bool move);
void cm_cache_placed(struct cpuset *cs);
bool cm_cache_is_moving(struct cpuset *cs);
void cm_cache_offline(struct cpuset *cs);
struct cpuset_migrate_job *cm_cache_job(struct cm_part *part,
					const nodemask_t *nodes);
void cm_evacuate_job(struct cm_part *part, struct cm_map *map, int nid);
bool cm_cache_is_stale(struct cpuset_migrate_job *job);
void cm_cache_rewind(struct cpuset_migrate_job *job);
enum cm_walk_result cm_cache_chunk(struct cpuset_migrate_job *job,
				   struct cm_batch *batch);
void cm_cache_left(struct cpuset_migrate_job *job);
#else
/* Whose cache it is cannot be told. */
static inline bool cm_cache_is_left(struct cpuset *cs)
{
	return true;
}

static inline void cm_cache_nodes(struct cpuset *cs, const nodemask_t *mems,
				  nodemask_t *nodes)
{
	nodes_clear(*nodes);
}

static inline void cm_cache_change(struct cpuset *cs,
				   struct cpuset_change *change,
				   const nodemask_t *mems, bool move) {}
static inline void cm_cache_placed(struct cpuset *cs) {}

static inline bool cm_cache_is_moving(struct cpuset *cs)
{
	return false;
}

static inline void cm_cache_offline(struct cpuset *cs) {}

static inline struct cpuset_migrate_job *
cm_cache_job(struct cm_part *part, const nodemask_t *nodes)
{
	return NULL;
}

static inline bool cm_cache_is_stale(struct cpuset_migrate_job *job)
{
	return true;
}

static inline void cm_cache_rewind(struct cpuset_migrate_job *job) {}

static inline enum cm_walk_result cm_cache_chunk(struct cpuset_migrate_job *job,
						 struct cm_batch *batch)
{
	return CM_WALK_END;
}

static inline void cm_cache_left(struct cpuset_migrate_job *job) {}
#endif

/* move.c */

struct cm_batch *cm_batch_alloc(struct cpuset_migrate_job *job);
void cm_batch_free(struct cm_batch *batch);
struct address_space *cm_folio_file(struct folio *folio);
bool cm_folio_is_pinned(struct folio *folio, int extra);
bool cm_batch_is_full(const struct cm_batch *batch, struct folio *folio);
bool cm_batch_isolate(struct cm_batch *batch, struct folio *folio);
void cm_batch_add(struct cm_batch *batch, struct folio *folio,
		  unsigned long addr, int nid);
void cm_move_batch(struct cm_batch *batch);

unsigned int cm_alloc_pages(struct cm_batch *batch, int nid, unsigned int nr,
			    struct list_head *pages);
struct folio *cm_alloc_folio(struct cm_batch *batch, int nid,
			     unsigned int order);
int cm_nearest_node(int from, const nodemask_t *mask);

/* share.c */

enum cpuset_migrate_stat cm_share_check(struct cpuset_migrate_job *job,
					struct folio *folio, int to);

/* driver.c */

bool cm_driver_moves(struct vm_area_struct *vma);
void cm_driver_migrate(struct cpuset_migrate_job *job,
		       const struct cm_map *map, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end);

/* swap.c */

#ifdef CONFIG_SWAP
extern bool cm_swap_fallback;

bool cm_swap_wants(struct cpuset_migrate_job *job, struct folio *folio);
void cm_swap_out(struct cm_batch *batch, struct list_head *folios);
void cm_swap_free(struct cpuset_migrate_job *job);
void cm_swap_forget(struct cpuset_migrate_job *job);
#else
static inline bool cm_swap_wants(struct cpuset_migrate_job *job,
				 struct folio *folio)
{
	return false;
}

static inline void cm_swap_out(struct cm_batch *batch,
			       struct list_head *folios) {}

static inline void cm_swap_free(struct cpuset_migrate_job *job) {}
static inline void cm_swap_forget(struct cpuset_migrate_job *job) {}
#endif

/* drain.c */

void cm_drain_lru(void);

/* fault.c */

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
bool cm_copy_fails(void);
#else
static inline bool cm_copy_fails(void)
{
	return false;
}
#endif

/* stat.c */

extern const char * const cm_stat_name[CM_NR_STATS];

bool cm_stat_is_failure(enum cpuset_migrate_stat outcome);
unsigned long cm_tally_failures(const struct cm_tally *tally);
void cm_count(struct cpuset_migrate_job *job, int nid,
	      enum cpuset_migrate_stat outcome, unsigned long nr);
void cm_count_left(struct cpuset_migrate_job *job, struct folio *folio,
		   unsigned long addr, int nid,
		   enum cpuset_migrate_stat outcome, unsigned long nr);
void cm_stat_flush(struct cpuset_migrate_job *job);
void cm_stat_total(struct cpuset *cs);
void cm_stat_read(struct cpuset *cs, u64 stat[CM_NR_STATS], u64 *chunk_max);
void cm_stat_pending(struct cpuset *cs, int n);
void cm_stat_held(struct cpuset *cs, int n);
void cm_events_read(struct cpuset *cs, bool local, u64 events[CM_NR_EVENTS]);
void cm_event(struct cpuset *cs, enum cpuset_migrate_event event);

#endif /* _CPUSET_MIGRATE_INTERNAL_H */
