/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-plan.h
 * @brief Moves that were checked, and are not yet done.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_PLAN_H
#define LIBCGMIGRATE_PLAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcgmigrate-context.h"
#include "libcgmigrate-group.h"
#include "libcgmigrate-map.h"
#include "libcgmigrate-nodeset.h"
#include "libcgmigrate-placement.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup plan Plans
 *  @{ */

/** Moves that can be looked at, checked and started. Opaque. */
struct cgm_plan;

/**
 * What one item of a plan does.
 *
 * Pages that the library moves (stock kernels, moves with a map, PAGES) can only go to
 * nodes that its caller may use (cgm_features::own). Where it lacks some, MEMS and
 * ATTACH are left to the kernel, in one go, with a warning; the others are refused.
 */
enum cgm_action {
	CGM_ACTION_MEMS,	/**< set cpuset.mems of a cgroup */
	CGM_ACTION_ATTACH,	/**< move processes into a cgroup */
	CGM_ACTION_SETTLE,	/**< bring strays in, change no mask */
	CGM_ACTION_PAGES,	/**< move the pages of a process, no cpuset involved */
};

/** What becomes of page cache that no process maps. */
enum cgm_cache {
	CGM_CACHE_MOVE,		/**< it goes along where the kernel can take it: the engine,
				 *   on cgroup v2; elsewhere it stays */
	CGM_CACHE_DROP,		/**< what is clean is given back before the nodes change, on
				 *   cgroup v2 with the memory controller, and the rest is
				 *   as with CGM_CACHE_MOVE */
	CGM_CACHE_LEAVE,	/**< it stays where it is, shared memory too */
};

/** Its name: "move", "drop", "leave". @since 0.4 */
const char *cgm_cache_name(enum cgm_cache cache);

/** One move to plan. Zero everything you do not set. */
struct cgm_move {
	size_t size;		/**< sizeof(struct cgm_move) */
	enum cgm_action action;	/**< what to do */
	struct cgm_group *group; /**< MEMS, SETTLE: whose; ATTACH: into which */
	cgm_nodeset to;		/**< MEMS, PAGES: the nodes; MEMS on v2, empty: those
				 *   of its parent */
	const pid_t *pids;	/**< ATTACH, PAGES: which processes; of several those that
				 *   have exited are left out, also if another has got the
				 *   number of one by then */
	size_t pid_count;	/**< how many */
	enum cgm_map_rule rule;	/**< MEMS, PAGES: what goes where (0.3) */
	const struct cgm_node_pair *pairs; /**< nodes for which that is said one by one */
	size_t pair_count;	/**< how many */
	cgm_nodeset only;	/**< only what is on these nodes leaves them, and what is
				 *   elsewhere stays; empty: all (0.3) */
	struct cgm_group *source; /**< ATTACH: the cgroup whose processes these are: who
				   *   is born there or below meanwhile goes, too, and who
				   *   has left it does not; NULL: only who was named
				   *   (0.4) */
	enum cgm_cache cache;	/**< MEMS, SETTLE: what becomes of cache that no process
				 *   maps, on nodes that are left (0.4) */
};

/** Make an empty plan. */
int cgm_plan_new(struct cgm_context *ctx, struct cgm_plan **plan);
/** Free a plan. Not before the job made from it. NULL is fine. */
void cgm_plan_free(struct cgm_plan *plan);

/**
 * Add a move and look at what it means: reads masks and placement, changes
 * nothing. What stands in its way is noted (cgm_plan_note()), it is not an
 * error here.
 */
int cgm_plan_add(struct cgm_plan *plan, const struct cgm_move *move);

/** Check all moves together against the room on every node. Once, after the last. */
int cgm_plan_check(struct cgm_plan *plan);

/** How many moves there are. */
size_t cgm_plan_size(const struct cgm_plan *plan);

/** One planned move. */
struct cgm_plan_item {
	size_t size;		/**< sizeof(struct cgm_plan_item) */
	enum cgm_action action;	/**< what it does */
	enum cgm_backend backend; /**< who does it */
	struct cgm_group *group; /**< no reference is taken; NULL for PAGES */
	const pid_t *pids;	/**< ATTACH, PAGES */
	size_t pid_count;	/**< how many */
	cgm_nodeset from;	/**< nodes in force before */
	cgm_nodeset to;		/**< nodes in force after */
	size_t processes;	/**< how many processes that concerns */
	uint64_t bytes;		/**< what should move */
	uint64_t stray;		/**< bytes on nodes of neither set */
	int change;		/**< 0: nothing to do; strays may be there all the same */
	const struct cgm_placement *before; /**< may be NULL */
	enum cgm_cache cache;	/**< of cache that no process maps (0.4) */
	uint64_t cache_bytes;	/**< DROP, LEAVE: how much of it there is on nodes that are
				 *   left, and is no part of @p bytes (0.4) */
	const uint64_t *starts;	/**< when each of @p pids began, in ticks since the machine
				 *   did: another that has the number later began later;
				 *   0: not known (1.0) */
};

/** Look at the index-th move. -ENOENT past the end. */
int cgm_plan_item(const struct cgm_plan *plan, size_t index,
		  struct cgm_plan_item *item);

/** How it was said where the memory of one move goes. */
struct cgm_plan_map {
	size_t size;		/**< sizeof(struct cgm_plan_map) */
	enum cgm_map_rule rule;	/**< for nodes that are not named */
	cgm_nodeset named;	/**< nodes for which it was said one by one */
	cgm_nodeset only;	/**< only what is on these leaves them; empty: all */
};

/**
 * How it was said where the memory of the index-th move goes.
 * @return 0; -ENOENT: past the end; -EOPNOTSUPP: neither MEMS nor PAGES
 * @since 0.3
 */
int cgm_plan_map(const struct cgm_plan *plan, size_t index, struct cgm_plan_map *map);

/**
 * Where the index-th move takes what is on a node, also when nothing is there now;
 * the node itself when it stays. -1: no such move or node, or neither MEMS nor PAGES.
 * Processes of PAGES that have other nodes than the first are not told of.
 * @since 0.3
 */
int cgm_plan_destination(const struct cgm_plan *plan, size_t index, int node);

/** Bytes the index-th move takes from one node to another. */
uint64_t cgm_plan_bytes(const struct cgm_plan *plan, size_t index, int from, int to);

/** What a plan asks of one node. */
struct cgm_plan_node {
	size_t size;		/**< sizeof(struct cgm_plan_node) */
	int node;		/**< which */
	uint64_t incoming;	/**< bytes that come (without huge pages) */
	uint64_t outgoing;	/**< bytes that leave */
	uint64_t free;		/**< free now */
	uint64_t low;		/**< sum of the low watermarks of its zones */
	uint64_t reclaimable;	/**< clean page cache that could make room */
	uint64_t huge_incoming;	/**< bytes of huge pages that come */
	uint64_t huge_short;	/**< bytes of them that find no free page in the pool */
};

/** Look at one node of a checked plan. -ENOENT: nothing goes to or from it. */
int cgm_plan_node(const struct cgm_plan *plan, int node, struct cgm_plan_node *out);

/** How grave a note is. */
enum cgm_severity {
	CGM_NOTE,		/**< worth knowing */
	CGM_WARNING,		/**< may not be what was wanted */
	CGM_REFUSAL,		/**< starting the plan fails, with this reason */
};

/** The index-th remark on a plan, or NULL past the end. */
const char *cgm_plan_note(const struct cgm_plan *plan, size_t index,
			  enum cgm_severity *severity);

#define CGM_JOB_FORCE 0x1u	/**< start although there is not enough room */
#define CGM_JOB_PERSIST 0x2u	/**< systemd units: keep the nodes over a reboot, too (0.2) */

/**
 * Why a checked plan would not start, or NULL when it would.
 * @param flags as in struct cgm_job_options: CGM_JOB_FORCE leaves room out
 */
const char *cgm_plan_refusal(const struct cgm_plan *plan, unsigned int flags);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_PLAN_H */
