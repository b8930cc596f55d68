/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-placement.h
 * @brief Where the memory of cgroups and processes is, by node and kind.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_PLACEMENT_H
#define LIBCGMIGRATE_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcgmigrate-context.h"
#include "libcgmigrate-group.h"
#include "libcgmigrate-nodeset.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup placement Placement
 *  @{ */

/** Kinds of memory. */
enum cgm_kind {
	CGM_KIND_ANON,		/**< private memory, copied-on-write pages too */
	CGM_KIND_FILE,		/**< page cache of files */
	CGM_KIND_SHMEM,		/**< shared memory, tmpfs */
	CGM_KIND_HUGETLB,	/**< huge pages from the pools */
	CGM_KIND_KERNEL,	/**< kernel memory: stacks, page tables, slab; cannot move */
	CGM_KIND_COUNT,
	CGM_KIND_MOVABLE = -1,	/**< all but CGM_KIND_KERNEL together */
};

/** A kind's name: "anon", "file", "shmem", "hugetlb", "kernel". */
const char *cgm_kind_name(enum cgm_kind kind);

#define CGM_NODE_ALL (-1)	/**< all nodes together */

/** Where memory is. Opaque. */
struct cgm_placement;

/** What the numbers were taken from. */
enum cgm_source {
	CGM_SOURCE_NONE,	/**< nothing could be read */
	CGM_SOURCE_CHARGED,	/**< memory.numa_stat: what is charged, mapped or not */
	CGM_SOURCE_MAPPED,	/**< the page tables of the processes */
};

#define CGM_PLACEMENT_CHARGED	0x1u /**< only from the memory controller */
#define CGM_PLACEMENT_MAPPED	0x2u /**< only from the processes */
#define CGM_PLACEMENT_PROCESSES	0x4u /**< keep every process (implies MAPPED) */
#define CGM_PLACEMENT_MARKS	0x8u /**< with PROCESSES: and their marks (1.0) */

/**
 * Read where the memory of a cgroup and its descendants is.
 *
 * Without a flag, what the memory controller charges is taken where it covers
 * what the processes have, else (pages stay charged to the cgroup they were
 * first touched in) what the processes map. Memory shared by processes is
 * counted once as far as /proc/PID/smaps_rollup tells.
 *
 * @param flags CGM_PLACEMENT_*
 */
int cgm_placement_read(struct cgm_group *group, unsigned int flags,
		       struct cgm_placement **placement);

/** Read where the memory of one process is. */
int cgm_placement_read_pid(struct cgm_context *ctx, pid_t pid,
			   struct cgm_placement **placement);

/**
 * Read where the memory of some processes is, together.
 *
 * @param flags 0 or CGM_PLACEMENT_PROCESSES, also with CGM_PLACEMENT_MARKS
 * @since 0.2
 */
int cgm_placement_read_pids(struct cgm_context *ctx, const pid_t *pids, size_t count,
			    unsigned int flags, struct cgm_placement **placement);

/** Free a placement. NULL is fine. */
void cgm_placement_free(struct cgm_placement *placement);

/**
 * Bytes of a kind on a node.
 *
 * @param kind a kind, or CGM_KIND_MOVABLE
 * @param node a node, or CGM_NODE_ALL
 */
uint64_t cgm_placement_bytes(const struct cgm_placement *placement,
			     enum cgm_kind kind, int node);

/** The nodes on which the memory is allowed. */
void cgm_placement_allowed(const struct cgm_placement *placement,
			   cgm_nodeset *nodes);

/** Movable bytes on nodes where they are not allowed. */
uint64_t cgm_placement_stray(const struct cgm_placement *placement);

/** What the numbers were taken from. */
enum cgm_source cgm_placement_source(const struct cgm_placement *placement);

/** Processes that were seen, and those that could not be read for lack of
 *  permission. Either pointer may be NULL. */
void cgm_placement_counts(const struct cgm_placement *placement,
			  size_t *processes, size_t *unreadable);

/** Free huge-page pool accounting: pages of @p page_size mapped on @p node. */
uint64_t cgm_placement_hugetlb(const struct cgm_placement *placement,
			       uint64_t page_size, int node);

/** One process of a placement. */
struct cgm_process {
	size_t size;		/**< sizeof(struct cgm_process) */
	pid_t pid;		/**< its number */
	const char *comm;	/**< lives as long as the placement */
	const struct cgm_placement *placement; /**< likewise */
};

/**
 * The index-th process, largest first (CGM_PLACEMENT_PROCESSES).
 * @return 0, or -ENOENT past the end
 */
int cgm_placement_process(const struct cgm_placement *placement, size_t index,
			  struct cgm_process *process);

/** What of the memory of a process, or of a cgroup, is out of the ordinary. */
struct cgm_marks {
	size_t size;		/**< sizeof(struct cgm_marks) */
	uint64_t locked;	/**< bytes of mlock(2); they move */
	uint64_t pinned;	/**< bytes held for I/O or a device, as far as those who
				 *   hold them account for it (VmPin); they cannot move */
	uint64_t huge;		/**< bytes in transparent huge pages */
};

/** Look at one process; what cannot be read is 0. @since 0.2 */
int cgm_process_marks(struct cgm_context *ctx, pid_t pid, struct cgm_marks *marks);

/**
 * What of the memory charged to a cgroup is out of the ordinary. Locked is what
 * cannot be reclaimed (mlock(2), locked shared memory, ramfs); what is pinned is not
 * known and 0. Of a process as cgm_process_marks() has it, where it was read with
 * CGM_PLACEMENT_MARKS.
 * @return 0; -ENODATA: neither of the two
 * @since 0.4
 */
int cgm_placement_marks(const struct cgm_placement *placement, struct cgm_marks *marks);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_PLACEMENT_H */
