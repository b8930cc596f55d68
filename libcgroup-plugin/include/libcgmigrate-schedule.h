/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-schedule.h
 * @brief Other nodes for many cgroups at once, in an order that works.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_SCHEDULE_H
#define LIBCGMIGRATE_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "libcgmigrate-context.h"
#include "libcgmigrate-group.h"
#include "libcgmigrate-nodeset.h"
#include "libcgmigrate-plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup schedule Schedules
 *  @{ */

/** Other nodes for many cgroups at once, in an order that works. Opaque. */
struct cgm_schedule;

/** What one write of a schedule is for. */
enum cgm_step_kind {
	CGM_STEP_PIN,		/**< keeps its nodes while those above are widened */
	CGM_STEP_WIDEN,		/**< old and new nodes together, for those below it */
	CGM_STEP_MOVE,		/**< from the old to the new nodes */
	CGM_STEP_BOUNCE,	/**< to free nodes, to be out of the way; moves again later */
	CGM_STEP_NARROW,	/**< to the new nodes, when all below it have theirs */
	CGM_STEP_RELEASE,	/**< takes its parent's nodes from now on */
};

/** A step's name: "pin", "widen", "move", "bounce", "narrow", "release". @since 0.2 */
const char *cgm_step_name(enum cgm_step_kind kind);

/** Make an empty schedule. @since 0.2 */
int cgm_schedule_new(struct cgm_context *ctx, struct cgm_schedule **schedule);
/** Free a schedule. NULL is fine. @since 0.2 */
void cgm_schedule_free(struct cgm_schedule *schedule);

/**
 * Ask for other nodes for a cgroup.
 *
 * @param to what cpuset.mems is to be; empty (v2): those of its parent
 * @return 0; -EINVAL: the root, no cpuset, a node without memory, named twice
 * @since 0.2
 */
int cgm_schedule_add(struct cgm_schedule *schedule, struct cgm_group *group,
		     const cgm_nodeset *to);

/**
 * Work out the order: reads masks, placement and room, changes nothing. Once.
 * Room is what is free above the low watermarks and in the pools of huge pages;
 * where that is not enough, page cache too, with a warning.
 *
 * @return 0; -ENOSPC: not enough room, and how much is missing is told by
 *	   cgm_context_error(); -EINVAL: masks that do not go together; -ENOENT: a cgroup
 *	   that was added is gone
 * @since 0.2
 */
int cgm_schedule_make(struct cgm_schedule *schedule);

/** A cgroup that gets other nodes. */
struct cgm_schedule_target {
	size_t size;		/**< sizeof(struct cgm_schedule_target) */
	struct cgm_group *group; /**< no reference is taken */
	cgm_nodeset from;	/**< cpuset.mems now */
	cgm_nodeset to;		/**< and at the end */
	cgm_nodeset before;	/**< nodes in force now */
	cgm_nodeset after;	/**< and at the end */
	uint64_t bytes;		/**< its own memory, without those that have own nodes */
};

/** The index-th cgroup that was added. -ENOENT past the end. @since 0.2 */
int cgm_schedule_target(const struct cgm_schedule *schedule, size_t index,
			struct cgm_schedule_target *target);

/** One write to one cpuset.mems. */
struct cgm_step {
	size_t size;		/**< sizeof(struct cgm_step) */
	enum cgm_step_kind kind; /**< what it is for */
	int round;		/**< steps of a round are made together, the next ones later */
	struct cgm_group *group; /**< no reference is taken */
	cgm_nodeset from;	/**< cpuset.mems before */
	cgm_nodeset to;		/**< and after */
	uint64_t bytes;		/**< what moves */
};

/** The index-th step. -ENOENT past the end. @since 0.2 */
int cgm_schedule_step(const struct cgm_schedule *schedule, size_t index,
		      struct cgm_step *step);

/** A node's room before and after all steps. -ENOENT: no such node. @since 0.2 */
int cgm_schedule_room(const struct cgm_schedule *schedule, int node, int64_t *before,
		      int64_t *after);

/** The index-th remark on a schedule, or NULL past the end. @since 0.2 */
const char *cgm_schedule_note(const struct cgm_schedule *schedule, size_t index,
			      enum cgm_severity *severity);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_SCHEDULE_H */
