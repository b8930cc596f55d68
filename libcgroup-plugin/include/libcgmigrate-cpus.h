/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-cpus.h
 * @brief CPUs that change when memory moves, and the threads that are pinned to them.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_CPUS_H
#define LIBCGMIGRATE_CPUS_H

/* All of it: programs that include this part alone were always given that. */
#include "libcgmigrate.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup cpus CPUs that go along
 *  @{ */

/** CPUs are numbered below this here. */
#define CGM_CPUS_MAX CGM_NODES_MAX

/** A set of CPUs. The functions for sets of nodes work on it. */
typedef cgm_nodeset cgm_cpuset;

/**
 * The CPUs of some nodes together. Nodes of memory alone have none.
 * @return 0; -ENOENT: no such node; -ERANGE: a CPU from CGM_CPUS_MAX on
 * @since 0.2
 */
int cgm_nodes_cpus(struct cgm_context *ctx, const cgm_nodeset *nodes, cgm_cpuset *cpus);

/** The CPUs in force, those of the nearest ancestor that has a cpuset. @since 0.2 */
int cgm_group_effective_cpus(struct cgm_group *group, cgm_cpuset *cpus);

/**
 * Where a thread belongs when the CPUs of its cpuset change from @p from to @p to.
 * One that was pinned to some of the old CPUs belongs on those that stand for them,
 * counted as cgm_nodemap() counts nodes: on the k-th of the new ones instead of the
 * k-th of the old ones. Any other may run on all of the new ones.
 *
 * @param mask where it may run now; CPUs outside @p from do not count
 * @param out  where it may run then; may be the same object as @p mask
 * @return 1 when it was pinned, 0 when not
 * @since 0.2
 */
int cgm_cpumap(const cgm_cpuset *from, const cgm_cpuset *to, const cgm_cpuset *mask,
	       cgm_cpuset *out);

/** Other CPUs for a cgroup and its threads, in two steps. Opaque. */
struct cgm_cpumove;

/** What is or was to be changed. */
struct cgm_cpumove_info {
	size_t size;		/**< sizeof(struct cgm_cpumove_info) */
	cgm_cpuset configured;	/**< cpuset.cpus before; empty: those of its parent */
	cgm_cpuset from;	/**< CPUs in force before */
	cgm_cpuset to;		/**< and after */
	int change;		/**< 0: they are the same */
	size_t threads;		/**< threads that were found, 0 without a change */
	size_t pinned;		/**< those of them that are pinned to a part of the CPUs */
	size_t failed;		/**< those that could not be pinned anew, and run anywhere */
	int done;		/**< 1: all is as it is to be already (0.4) */
	cgm_cpuset now;		/**< cpuset.cpus now (0.4) */
};

/**
 * Look at a cgroup that is to have other CPUs. Changes nothing. Threads in cgroups
 * below it count, unless those have other CPUs than it has.
 *
 * @param to  what cpuset.cpus is to be
 * @param out result; to be given to cgm_cpumove_free()
 * @return 0; -EINVAL: cannot have those CPUs, with the reason in cgm_context_error();
 *	   -EPERM, -EACCES: may not be changed by us
 * @since 0.2
 */
int cgm_cpumove_new(struct cgm_group *group, const cgm_cpuset *to,
		    struct cgm_cpumove **out);

/**
 * Take a change over that another process has begun with cgm_cpumove_widen() and will
 * not end.
 * @param info what cgm_cpumove_info() told it: configured, from and to
 * @since 0.2
 */
int cgm_cpumove_resume(struct cgm_group *group, const struct cgm_cpumove_info *info,
		       struct cgm_cpumove **out);

/**
 * As cgm_cpumove_new(), for several cgroups whose CPUs change together: a cgroup below
 * another of them may have what that one will have, and its threads are its own.
 * cgm_cpumove_widen() has to be called for parents before their children, and
 * cgm_cpumove_finish() for children before their parents.
 *
 * @param to  what cpuset.cpus is to be, for each group
 * @param out results, as many as groups
 * @since 0.4
 */
int cgm_cpumove_new_many(struct cgm_group *const *groups, const cgm_cpuset *to,
			 size_t count, struct cgm_cpumove **out);

/** cgm_cpumove_resume() for several that were begun together. @since 0.4 */
int cgm_cpumove_resume_many(struct cgm_group *const *groups,
			    const struct cgm_cpumove_info *const *infos, size_t count,
			    struct cgm_cpumove **out);

/** Free it; what was changed stays. NULL is fine. @since 0.2 */
void cgm_cpumove_free(struct cgm_cpumove *move);

/** Tell what it is about; @p info->size has to be set. @since 0.2 */
int cgm_cpumove_info(const struct cgm_cpumove *move, struct cgm_cpumove_info *info);

/** A thread that is pinned to some of the CPUs. */
struct cgm_pinned {
	size_t size;		/**< sizeof(struct cgm_pinned) */
	pid_t pid;		/**< its process */
	pid_t tid;		/**< the thread */
	cgm_cpuset before;	/**< where it may run */
	cgm_cpuset after;	/**< where it will */
	uint64_t start;		/**< when it began, in ticks; 0: not known (0.4) */
};

/** The index-th pinned thread. -ENOENT past the end. @since 0.2 */
int cgm_cpumove_thread(const struct cgm_cpumove *move, size_t index,
		       struct cgm_pinned *pinned);

/** Look at the threads again, which may have come or pinned themselves. @since 0.4 */
int cgm_cpumove_look(struct cgm_cpumove *move);

/**
 * The index-th thread of which a journal has to know, so that it is where it was after
 * cgm_cpumove_turn(): that several CPUs became one, or one of all, nobody can tell later.
 * -ENOENT past the end.
 * @since 0.4
 */
int cgm_cpumove_keep(const struct cgm_cpumove *move, size_t index,
		     struct cgm_pinned *thread);

/**
 * Tell of a thread what cgm_cpumove_keep() told. It counts from the next
 * cgm_cpumove_look() or cgm_cpumove_turn() on, for a thread that is where it was before
 * or after: what has pinned itself otherwise since is treated as any other.
 * @since 0.4
 */
int cgm_cpumove_recall(struct cgm_cpumove *move, const struct cgm_pinned *thread);

/**
 * Turn it round: cgm_cpumove_widen() and cgm_cpumove_finish() go back from the new CPUs
 * to the old ones from now on, whether it was begun, finished, or neither.
 * @since 0.4
 */
int cgm_cpumove_turn(struct cgm_cpumove *move);

/** First step: the old and the new CPUs together, before memory moves. @since 0.2 */
int cgm_cpumove_widen(struct cgm_cpumove *move);

/**
 * Last step, after memory has moved: every pinned thread is pinned anew, and the new
 * CPUs alone are left.
 * @return 0; -ESTALE: somebody else has changed the CPUs meanwhile, and they stay as
 *	   they are; other errors: a write failed, and threads are pinned as before
 * @since 0.2
 */
int cgm_cpumove_finish(struct cgm_cpumove *move);

/** Instead of the last step: the CPUs are as they were. Errors as before. @since 0.2 */
int cgm_cpumove_undo(struct cgm_cpumove *move);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_CPUS_H */
