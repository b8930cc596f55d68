/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-group.h
 * @brief A cgroup: its nodes, its processes, its owner, and what moves in it.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_GROUP_H
#define LIBCGMIGRATE_GROUP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcgmigrate-context.h"
#include "libcgmigrate-nodeset.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup group Groups
 *  @{ */

/** One cgroup of cpuset's hierarchy, held open. Opaque, reference counted. */
struct cgm_group;

/** Who else writes to a cgroup. */
enum cgm_owner {
	CGM_OWNER_NONE,		/**< nobody we know of */
	CGM_OWNER_SYSTEMD,	/**< a systemd unit: changed through process 1 */
	CGM_OWNER_DELEGATED,	/**< below a unit that systemd has handed over */
};

/**
 * Open a cgroup by name.
 *
 * @param path relative to the mount point of cpuset's hierarchy and starting
 *	  with "/" ("/web"), or a full path below that mount point
 * @return 0; -ENOENT: no such cgroup; -EOPNOTSUPP: no cpuset hierarchy
 */
int cgm_group_open(struct cgm_context *ctx, const char *path,
		   struct cgm_group **group);

/** Open the cgroup a process is in. -ESRCH: no such process, or it has exited. */
int cgm_group_open_pid(struct cgm_context *ctx, pid_t pid,
		       struct cgm_group **group);

/**
 * Open the cgroup of a systemd unit, found by its name in the tree. Units of
 * process 1 come before those of other systemds, of users or in containers.
 */
int cgm_group_open_unit(struct cgm_context *ctx, const char *unit,
			struct cgm_group **group);

/** Take another reference. */
struct cgm_group *cgm_group_ref(struct cgm_group *group);
/** Drop a reference. NULL is fine. */
void cgm_group_unref(struct cgm_group *group);

/** The path relative to the mount point, "/" for the root. */
const char *cgm_group_path(const struct cgm_group *group);

/** 1 when the cgroup has cpuset files of its own, 0 when it has not. */
int cgm_group_has_cpuset(struct cgm_group *group);

/** The nodes as configured; empty (v2) when it takes those of its parent. */
int cgm_group_mems(struct cgm_group *group, cgm_nodeset *mems);

/** The nodes in force, those of the nearest ancestor that has a cpuset. */
int cgm_group_effective_mems(struct cgm_group *group, cgm_nodeset *mems);

/**
 * Who else writes to this cgroup.
 *
 * @param unit the unit's name is written here ("" when there is none)
 * @param size room in @p unit
 */
enum cgm_owner cgm_group_owner(struct cgm_group *group, char *unit, size_t size);

/**
 * The nodes that systemd has set for the unit a cgroup belongs to.
 *
 * Systemd is asked, over D-Bus; libsystemd is loaded for that. Where they are
 * not those of cgm_group_mems() somebody has written that file behind systemd's
 * back, and systemd will write its own again.
 *
 * @param mems AllowedMemoryNodes= of the unit; empty: not set, or an error
 * @return 0; -ENOENT: not the cgroup of a unit; -ESTALE: its unit was stopped, or
 *	is that of another systemd; -ENOPKG: no libsystemd; -EHOSTDOWN: no D-Bus;
 *	or what systemd answered
 * @since 0.2
 */
int cgm_group_unit_mems(struct cgm_group *group, cgm_nodeset *mems);

#define CGM_PIDS_SUBTREE 0x1u	/**< descendants too */

/**
 * List the processes (thread group leaders) of a cgroup.
 *
 * @param flags CGM_PIDS_*
 * @param pids  result, sorted, each once; to be given to free(3)
 * @param count how many
 */
int cgm_group_pids(struct cgm_group *group, unsigned int flags, pid_t **pids,
		   size_t *count);

/**
 * List the processes of a user, without those that have exited.
 *
 * @param pids  result, sorted; to be given to free(3)
 * @param count how many
 * @since 0.2
 */
int cgm_user_pids(struct cgm_context *ctx, uid_t user, pid_t **pids, size_t *count);

/**
 * How many address spaces the kernel is moving, or has still to move, in a
 * cgroup and below it. Without the engine that is always 0.
 */
int cgm_group_pending(struct cgm_group *group, uint64_t *pending);

/** No limit on the bytes per second. */
#define CGM_RATE_MAX UINT64_MAX

/** The moves of a cgroup and those below it, and what they are told. */
struct cgm_activity {
	size_t size;		/**< sizeof(struct cgm_activity) */
	int engine;		/**< 0: no engine here, and all that follows is empty */
	uint64_t pending;	/**< address spaces that move or have still to */
	uint64_t held;		/**< those of them that are held */
	int hold;		/**< 1: this cgroup holds them (cgm_group_hold()) */
	uint64_t rate;		/**< limit of this cgroup in bytes per second, or
				 *   CGM_RATE_MAX; those above may have lower ones */
	int leave_cache;	/**< 1: page cache that nobody maps stays where it is
				 *   (cgm_group_leave_cache()) (0.4) */
};

/**
 * Look at what moves in a cgroup and below it.
 *
 * @param activity its size field has to be set
 * @since 0.2
 */
int cgm_group_activity(struct cgm_group *group, struct cgm_activity *activity);

/**
 * Hold all moves of a cgroup and below it at the next chunk, or let them go on.
 * New ones wait too as long as it holds. What was written above this cgroup is
 * not bound by it.
 *
 * @return 0; -EOPNOTSUPP: no engine; -EINVAL: the root, or no cpuset here
 * @since 0.2
 */
int cgm_group_hold(struct cgm_group *group, int hold);

/**
 * Have changes that are made from now on, to a cgroup or below it, leave page cache
 * where it is that nobody maps, or take it along. What is written above this cgroup is
 * not bound by it.
 *
 * @param leave 1: it stays; 0: it follows
 * @return as of cgm_group_hold(); -ENOENT: an engine that cannot
 * @since 0.4
 */
int cgm_group_leave_cache(struct cgm_group *group, int leave);

/**
 * Does memory follow where the nodes of a cgroup change? On v1 it does while its
 * cpuset.memory_migrate is 1, on v2 always.
 *
 * @return 1 or 0
 * @since 0.4
 */
int cgm_group_memory_migrate(struct cgm_group *group);

/**
 * Write cpuset.memory_migrate, which jobs change for a moment and put back.
 *
 * @param on 1: memory follows; 0: it does not
 * @return 0 or a negative errno value; -ENOENT on v2
 * @since 0.4
 */
int cgm_group_set_memory_migrate(struct cgm_group *group, int on);

/** Stop all moves of a cgroup and below it at the next chunk; returns before
 *  they have stopped. Errors as of cgm_group_hold(). @since 0.2 */
int cgm_group_stop(struct cgm_group *group);

/**
 * Limit all moves of a cgroup and below it together.
 *
 * @param rate bytes per second; CGM_RATE_MAX: no limit; 0 holds
 * @return as cgm_group_hold()
 * @since 0.2
 */
int cgm_group_set_rate(struct cgm_group *group, uint64_t rate);

/**
 * Open a file of a cgroup. It is of the cgroup that the group was opened for, also where
 * another one has its path by now.
 *
 * @param file its name, such as "cgroup.procs"
 * @param flags of open(2): O_RDONLY, O_WRONLY or O_RDWR, and O_NONBLOCK
 * @return a descriptor, closed on exec, for the caller to close; or -errno
 * @since 0.4
 */
int cgm_group_open_file(struct cgm_group *group, const char *file, int flags);

/**
 * Call @p fn for a cgroup and all its descendants, parents first, and children in the
 * order of their names. A return value other than 0 ends the walk and is returned. What
 * is removed meanwhile, or closed to the caller, is left out. What cgm_placement_read()
 * finds out of a process is kept for the cgroups above and below until the walk has ended.
 */
int cgm_group_walk(struct cgm_group *group,
		   int (*fn)(struct cgm_group *group, void *data), void *data);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_GROUP_H */
