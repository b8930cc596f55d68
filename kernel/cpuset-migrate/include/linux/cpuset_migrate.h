/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory follows its cpuset: what the rest of the kernel sees.
 *
 * The cpuset code says what changed: it opens a change, names each cpuset that
 * has new nodes and every task in it, and ends the change.  All page moving is
 * done later, by kernel threads; see kernel/cpuset-migrate/change.c.
 */
#ifndef _LINUX_CPUSET_MIGRATE_H
#define _LINUX_CPUSET_MIGRATE_H

#include <linux/atomic.h>
#include <linux/cgroup-defs.h>
#include <linux/mm.h>
#include <linux/mempolicy.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

struct cm_map;
struct cm_part;
struct cpuset;
struct cpuset_change;
struct cpuset_migrate_job;
struct task_struct;

/* Why the memory of a cpuset's tasks may be in the wrong place. */
enum cpuset_change_kind {
	CPUSET_NEW_MEMS,	/* the cpuset has other nodes */
	CPUSET_ATTACH,		/* tasks enter it */
	CPUSET_SETTLE,		/* somebody asks for a sweep */
	CPUSET_EVACUATE,	/* a node is to be emptied */
};

#ifdef CONFIG_CPUSET_MIGRATE

/**
 * struct vma_migration - what a driver is asked by vm_operations_struct.migrate
 * @change: names the change; what was moved for it is not moved again
 * @nodes: where memory may be afterwards
 * @dst: for vma_migration_node()
 * @strays_only: likewise
 * @moved: pages that the driver has moved
 * @inplace: pages that were where they belong
 * @busy: pages that it could not move now, but later perhaps
 * @nomem: pages that it found no memory for
 *
 * The driver goes through the pages that it has for a range of addresses, asks
 * vma_migration_node() where each belongs, moves it, and adds to the counts.
 * To move one it keeps everybody from it, by unmap_mapping_range() and a lock
 * that its ->fault() takes too, copies it, and lets ->fault() map the copy.
 *
 * Context: process context, of a kernel thread, with mmap_lock held for reading:
 * it may sleep, but whoever wants to change the address space waits for it.  It
 * must not take mmap_lock, nor call remap_pfn_range().  The range is small.  The
 * same memory may be asked for through another mapping at the same time.
 */
struct vma_migration {
	u64			change;
	const nodemask_t	*nodes;
	const s16		*dst;
	bool			strays_only;
	unsigned long		moved;
	unsigned long		inplace;
	unsigned long		busy;
	unsigned long		nomem;
};

int vma_migration_node(const struct vma_migration *m, int nid);

/*
 * What became of a page, and a few counts beside it.  One table, in stat.c,
 * has the names.  All in base pages unless it says otherwise.
 */
enum cpuset_migrate_stat {
	CM_SCANNED,		/* final outcome known: the sum of all outcomes */
	/* outcomes */
	CM_MOVED,
	CM_INPLACE,		/* was where it should be */
	CM_GONE,		/* freed before it could be moved */
	CM_SWAPPED,
	CM_SKIP_VMA,		/* its VMA cannot be migrated */
	CM_SKIP_EXEMPT,
	CM_SKIP_SHARED,		/* others use it where it is */
	CM_FAIL_NOMEM,
	CM_FAIL_PINNED,
	CM_FAIL_BUSY,		/* locked, under writeback, isolated by others */
	CM_FAIL_FS,		/* its filesystem cannot migrate it */
	CM_FAIL_NONLRU,
	CM_FAIL_HUGETLB,
	CM_NR_OUTCOMES,
	/* not outcomes */
	CM_MOVED_THP = CM_NR_OUTCOMES,	/* the part of moved that was PMD-sized */
	CM_SPLIT,		/* large folios split for want of memory: folios */
	CM_LEFT,		/* never scanned: the job was stopped */
	CM_TOTAL,		/* address spaces */
	CM_USEC,		/* CPU time */
	CM_NR_STATS,
};

enum cpuset_migrate_event {
	CM_EVENT_START,
	CM_EVENT_DONE,
	CM_EVENT_PARTIAL,
	CM_EVENT_STOPPED,
	CM_NR_EVENTS,
};

/* Changes under way, one after the other, of which one knows what they moved. */
#define CM_MAX_BEFORE		4

/**
 * struct cm_before - an earlier change, which has moved pages already
 * @change: the change; a reference
 * @map: where these pages go from there
 */
struct cm_before {
	struct cpuset_change	*change;
	struct cm_map		*map;
};

/* Kinds of kernel threads: for address spaces, for cache */
#define CM_NR_LINES	2

/**
 * struct cm_line - jobs that wait for a kernel thread, see worker.c
 * @jobs: of changes that were written at a cpuset
 * @below: the lines of its children in which somebody waits
 * @sibling: in the parent's @below; empty if nobody waits here
 * @below_next: it is the children's turn
 *
 * Under the engine's lock.
 */
struct cm_line {
	struct list_head	jobs;
	struct list_head	below;
	struct list_head	sibling;
	bool			below_next;
};

/**
 * struct cpuset_migrate - what every cpuset has for migration
 * @placement: names the present nodes of this cpuset, and those of no other:
 *	an address space whose mm->cpuset_placed says the same is in place; one
 *	that is on its way, or nobody knows of, has 0 there.  Written with
 *	cpuset_mutex held.
 * @mems: the present nodes, since the last change.  Under cpuset_mutex
 * @adding: its part of the change that is being made.  Under cpuset_mutex.
 * @parts: those that have been started and have not closed.  Under the engine's
 *	lock
 * @cache_map: where cache that nobody maps goes, from where it may be; NULL if
 *	it is where it should be.  Under cpuset_mutex
 * @cache_job: the job that moves it.  Written with the engine's lock held
 * @cache_change: the last change that moves by @cache_map, and may have begun to.
 *	Under cpuset_mutex
 * @cache_begun: a job was made for the present nodes.  Under cpuset_mutex
 * @cache_before: what of an earlier change may have moved cache by a map that is
 *	part of @cache_map, the last one first, and where that goes.  Under
 *	cpuset_mutex
 * @nr_cache_before: how many
 * @line: who waits for a kernel thread, of each kind
 * @leave_cache: changes written here or below leave cache that nobody maps
 * @hold: jobs of changes written here or below do not run.  Written with the
 *	engine's lock held
 * @max: bytes a second that those changes may move; U64_MAX is no limit and
 *	0 holds them.  Written with the engine's lock held
 * @due: when what they have moved is paid for at that rate, ktime_get_ns()
 * @pending: jobs that have not ended and parts that close, of this cpuset and
 *	those below
 * @held: of those, the ones that are held
 * @chunk_max_usec: longest time that a lock or page was kept from others
 * @stat: counters of this cpuset and those below
 * @events: events of this cpuset and those below
 * @events_local: events of this cpuset
 * @events_file: who polls @events
 * @events_local_file: who polls @events_local
 */
struct cpuset_migrate {
	u64			placement;
	nodemask_t		mems;
	struct cm_part		*adding;
	struct list_head	parts;
	struct cm_map		*cache_map;
	struct cpuset_migrate_job *cache_job;
	struct cpuset_change	*cache_change;
	bool			cache_begun;
	struct cm_before	cache_before[CM_MAX_BEFORE];
	unsigned int		nr_cache_before;
	struct cm_line		line[CM_NR_LINES];
	bool			leave_cache;
	bool			hold;
	u64			max;
	s64			due;
	atomic_t		pending;
	atomic_t		held;
	u64			chunk_max_usec;
	u64			stat[CM_NR_STATS];
	u64			events[CM_NR_EVENTS];
	u64			events_local[CM_NR_EVENTS];
	struct cgroup_file	events_file;
	struct cgroup_file	events_local_file;
};

void cpuset_migrate_css_init(struct cpuset *cs);
void cpuset_migrate_css_online(struct cpuset *cs);
void cpuset_migrate_css_offline(struct cpuset *cs);

struct cpuset_change *cpuset_change_begin(struct cpuset *origin,
					  enum cpuset_change_kind kind,
					  bool wait, gfp_t gfp);
struct cm_part *cpuset_change_add_cpuset(struct cpuset_change *change,
					 struct cpuset *cs,
					 const nodemask_t *mems, bool move);
void cpuset_change_add_task(struct cm_part *part, struct task_struct *task,
			    const nodemask_t *old);
void cpuset_change_leave_cpuset(struct cpuset_change *change,
				struct task_struct *task, struct cpuset *from,
				struct cpuset *to);
void cpuset_change_end(struct cpuset_change *change);

void cpuset_migrate_exec_begin(struct mm_struct *mm);
void cpuset_migrate_exec(struct mm_struct *mm);
void cpuset_migrate_exec_end(void);
void cpuset_migrate_fork(struct task_struct *task);

void __cpuset_migrate_exit(struct mm_struct *mm);

static inline void cpuset_migrate_init_mm(struct mm_struct *mm)
{
	/* cpuset_placed is inherited: a child is where its parent was put */
	mm->cpuset_job = NULL;
	mm->cpuset_change = 0;
}

/* The last user of @mm is gone; called from __mmput(), never sleeps. */
static inline void cpuset_migrate_exit(struct mm_struct *mm)
{
	if (unlikely(READ_ONCE(mm->cpuset_job)))
		__cpuset_migrate_exit(mm);
}

#else /* !CONFIG_CPUSET_MIGRATE */

static inline void cpuset_migrate_init_mm(struct mm_struct *mm) {}
static inline void cpuset_migrate_exit(struct mm_struct *mm) {}
static inline void cpuset_migrate_exec_begin(struct mm_struct *mm) {}
static inline void cpuset_migrate_exec(struct mm_struct *mm) {}
static inline void cpuset_migrate_exec_end(void) {}
static inline void cpuset_migrate_fork(struct task_struct *task) {}
static inline void cpuset_migrate_css_init(struct cpuset *cs) {}
static inline void cpuset_migrate_css_online(struct cpuset *cs) {}
static inline void cpuset_migrate_css_offline(struct cpuset *cs) {}

/* Pages cannot move, but policies have to follow. */
struct cm_part {
	nodemask_t mems;
};

struct cpuset_change {
	struct cm_part part;
};

static inline struct cpuset_change *
cpuset_change_begin(struct cpuset *origin, enum cpuset_change_kind kind,
		    bool wait, gfp_t gfp)
{
	return kmalloc(sizeof(struct cpuset_change), gfp);
}

static inline struct cm_part *
cpuset_change_add_cpuset(struct cpuset_change *change, struct cpuset *cs,
			 const nodemask_t *mems, bool move)
{
	change->part.mems = *mems;
	return &change->part;
}

static inline void cpuset_change_add_task(struct cm_part *part,
					  struct task_struct *task,
					  const nodemask_t *old)
{
	struct mm_struct *mm;

	if (nodes_equal(*old, part->mems))
		return;
	mm = get_task_mm(task);
	if (mm) {
		mpol_rebind_mm(mm, &part->mems);
		mmput(mm);
	}
}

static inline void cpuset_change_leave_cpuset(struct cpuset_change *change,
					      struct task_struct *task,
					      struct cpuset *from,
					      struct cpuset *to) {}

static inline void cpuset_change_end(struct cpuset_change *change)
{
	kfree(change);
}

#endif /* CONFIG_CPUSET_MIGRATE */

struct node;

#if defined(CONFIG_CPUSET_MIGRATE) && defined(CONFIG_MEMCG) && \
	defined(CONFIG_SYSFS)
int cpuset_migrate_register_node(struct node *node);
void cpuset_migrate_unregister_node(struct node *node);
#else
static inline int cpuset_migrate_register_node(struct node *node)
{
	return 0;
}

static inline void cpuset_migrate_unregister_node(struct node *node) {}
#endif

#endif /* _LINUX_CPUSET_MIGRATE_H */
