/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate.h
 * @brief Look at where the memory of cgroups lies on NUMA nodes, and move it.
 *
 * The objects: a **context** (what this machine can do), a **group** (a
 * cgroup, pinned), a **placement** (bytes by node and kind), a **plan** (moves
 * that were checked, not yet done), a **job** (a plan that runs) and its
 * **result** (every page accounted for).
 *
 * Conventions: functions return 0 or a negative errno value, unless they say
 * otherwise; cgm_context_error() then tells in words what was being done, to
 * which file, and why it failed. The library prints nothing, installs no
 * signal handler, starts no thread or process and never exits. One context,
 * with everything made from it, belongs to one thread at a time. Structs a
 * caller fills begin with their size, so that they can grow: of a shorter one,
 * by an older program, only what it has is read or filled.
 *
 * All sizes are in bytes and all times in microseconds unless a name says
 * otherwise.
 */
#ifndef LIBCGMIGRATE_H
#define LIBCGMIGRATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ */
/** @defgroup nodeset Sets of NUMA nodes
 *  @{ */

/** The largest number of nodes a kernel can be built for. */
#define CGM_NODES_MAX 1024

/** A set of nodes; node n is bit n % 64 of word n / 64. */
typedef struct {
	uint64_t bits[CGM_NODES_MAX / 64]; /**< a bit for each node */
} cgm_nodeset;

/** Make a set empty. */
void cgm_nodeset_clear(cgm_nodeset *set);
/** Add one node. A node outside 0..CGM_NODES_MAX-1 is ignored. */
void cgm_nodeset_add(cgm_nodeset *set, int node);
/** Tell whether a node is in a set (0 or 1). */
int cgm_nodeset_has(const cgm_nodeset *set, int node);
/** Count the nodes of a set. */
int cgm_nodeset_weight(const cgm_nodeset *set);
/** The first node after @p prev (-1 to start), or -1 when there is none. */
int cgm_nodeset_next(const cgm_nodeset *set, int prev);
/** Tell whether two sets are the same (0 or 1). */
int cgm_nodeset_equal(const cgm_nodeset *a, const cgm_nodeset *b);
/** Tell whether every node of @p a is in @p b (0 or 1). */
int cgm_nodeset_subset(const cgm_nodeset *a, const cgm_nodeset *b);
/** @p out = @p a and @p b. The sets may be the same object. */
void cgm_nodeset_and(cgm_nodeset *out, const cgm_nodeset *a, const cgm_nodeset *b);
/** @p out = @p a or @p b. The sets may be the same object. */
void cgm_nodeset_or(cgm_nodeset *out, const cgm_nodeset *a, const cgm_nodeset *b);

/**
 * Read a list such as "0-3,7" as the kernel writes it. White space around it
 * is allowed; an empty list is an empty set.
 *
 * @param text the list
 * @param set  result, untouched on error
 * @return 0, -EINVAL when it is not a list, -ERANGE for a node too large
 */
int cgm_nodeset_parse(const char *text, cgm_nodeset *set);

/**
 * Write a set as a list such as "0-3,7".
 *
 * @param buf  where to write; always ended by a NUL when @p size > 0
 * @param size room in @p buf; 64 is enough for eight separate ranges
 * @return the length of the whole list, as snprintf() does
 */
int cgm_nodeset_format(const cgm_nodeset *set, char *buf, size_t size);

/** Marks a page that was on no node of the old set: see cgm_nodemap(). */
#define CGM_NODE_NEAREST (-2)

/**
 * Where the page on node @p node belongs when the allowed nodes change from
 * @p from to @p to: the n-th node of the old set goes to the n-th node of the
 * new set (counting modulo the size of the new set). Where the sets differ in
 * size, a node that is in both keeps its pages.
 *
 * @return a node, or CGM_NODE_NEAREST for a stray (a page on a node of neither
 *	   set), which goes to the nearest node of the new set, or -1 when
 *	   @p to is empty
 */
int cgm_nodemap(const cgm_nodeset *from, const cgm_nodeset *to, int node);

/** @} */
/* ------------------------------------------------------------------ */
/** @defgroup context Context
 *  @{ */

/** What everything else is made from. Opaque. */
struct cgm_context;

/** Options of cgm_context_new(). Zero everything you do not set. */
struct cgm_context_options {
	size_t size;		/**< sizeof(struct cgm_context_options) */
	/** Directory that stands for "/" in every read of /sys, /proc and
	 *  cgroupfs; NULL for the running system. Jobs do not start on a
	 *  recorded tree. */
	const char *sysroot;
	unsigned int flags;	/**< CGM_CONTEXT_* */
};

/** Let jobs write to the files below sysroot: for tests that play the kernel. */
#define CGM_CONTEXT_WRITE_SYSROOT 0x1u

/** Who does the moving, best first. */
enum cgm_backend {
	CGM_BACKEND_NONE,	/**< nothing can move memory here */
	CGM_BACKEND_ENGINE_V2,	/**< the kernel's engine, cgroup v2 */
	CGM_BACKEND_ENGINE_V1,	/**< the kernel's engine, cgroup v1 */
	CGM_BACKEND_STOCK_V2,	/**< move_pages(2) inside a v2 cpuset change */
	CGM_BACKEND_STOCK_V1,	/**< move_pages(2) inside a v1 cpuset change */
	CGM_BACKEND_MOVE_PAGES,	/**< move_pages(2) alone, no cpusets */
};

/** Which cgroup hierarchies are mounted. */
enum cgm_cgroup_mode {
	CGM_CGROUP_NONE,	/**< none */
	CGM_CGROUP_V1,		/**< v1 only */
	CGM_CGROUP_V2,		/**< v2 only */
	CGM_CGROUP_HYBRID,	/**< v1 controllers beside a v2 tree */
};

#define CGM_FEATURE_ENGINE	   0x0001u /**< kernel has the migration engine */
#define CGM_FEATURE_MOVE_PAGES	   0x0002u /**< move_pages(2) works */
#define CGM_FEATURE_MIGRATE_PAGES  0x0004u /**< migrate_pages(2) works */
#define CGM_FEATURE_PAGEMAP_SCAN   0x0008u /**< ioctl PAGEMAP_SCAN (6.7) */
#define CGM_FEATURE_PAGEMAP_PFN	   0x0010u /**< page frame numbers are shown to us */
#define CGM_FEATURE_KPAGEFLAGS	   0x0020u /**< /proc/kpageflags can be read */
#define CGM_FEATURE_MEMCG	   0x0040u /**< memory controller on cpuset's hierarchy */
#define CGM_FEATURE_SYS_NICE	   0x0080u /**< we have CAP_SYS_NICE */
#define CGM_FEATURE_SYS_ADMIN	   0x0100u /**< we have CAP_SYS_ADMIN */
#define CGM_FEATURE_SYS_PTRACE	   0x0200u /**< we have CAP_SYS_PTRACE */
#define CGM_FEATURE_SYSTEMD	   0x0400u /**< PID 1 is systemd */
#define CGM_FEATURE_NUMA	   0x0800u /**< more than one node has memory */

/** What this machine can do. The strings live as long as the context. */
struct cgm_features {
	size_t size;			/**< sizeof(struct cgm_features) */
	enum cgm_backend backend;	/**< what a change of a cpuset would use */
	enum cgm_cgroup_mode mode;	/**< mounted hierarchies */
	int cpuset_version;		/**< 1, 2, or 0: no cpuset controller */
	unsigned int flags;		/**< CGM_FEATURE_* */
	cgm_nodeset online;		/**< nodes that are online */
	cgm_nodeset memory;		/**< nodes that have memory */
	cgm_nodeset own;		/**< nodes this process itself may use */
	const char *release;		/**< kernel release */
	const char *cpuset_mount;	/**< where cpuset's hierarchy is, or "" */
};

/**
 * Make a context and look at the machine.
 *
 * @param ctx result; to be given to cgm_context_free()
 * @param options NULL for the defaults
 * @return 0 or a negative errno value (-ENOENT: no such sysroot, no /proc)
 */
int cgm_context_new(struct cgm_context **ctx,
		    const struct cgm_context_options *options);

/** Free a context. Everything made from it has to be freed before. NULL is fine. */
void cgm_context_free(struct cgm_context *ctx);

/** What failed last, in words; "" when nothing did. Valid until the next call. */
const char *cgm_context_error(const struct cgm_context *ctx);

/**
 * Copy what was found out about the machine.
 *
 * @param features its size field has to be set
 * @return 0, or -EINVAL for a size this library does not know
 */
int cgm_context_features(struct cgm_context *ctx, struct cgm_features *features);

/** A backend's name: "engine-v2", "stock-v1", "move_pages", "none" ... */
const char *cgm_backend_name(enum cgm_backend backend);
/** A mode's name: "v1", "v2", "hybrid", "none". */
const char *cgm_cgroup_mode_name(enum cgm_cgroup_mode mode);

/** The version of the library as "major.minor.patch". */
const char *cgm_version(void);

/** A node's memory, all of it in bytes. (0.3) */
struct cgm_node {
	size_t size;		/**< sizeof(struct cgm_node) */
	uint64_t total;		/**< what there is */
	uint64_t free;		/**< what is free now */
	uint64_t low;		/**< sum of the low watermarks of its zones */
	uint64_t reclaimable;	/**< clean page cache that could make room */
};

/**
 * Read how much memory a node has.
 * @return 0; -ENOENT: no such node; -EINVAL for a size this library does not know
 * @since 0.3
 */
int cgm_node_read(struct cgm_context *ctx, int node, struct cgm_node *out);

/** How far one node is from another, 10 for itself; -ENOENT: not known. @since 0.3 */
int cgm_node_distance(struct cgm_context *ctx, int from, int to);

/** Huge pages of a size (in bytes) that are free in a node's pool. @since 0.3 */
uint64_t cgm_node_huge_free(struct cgm_context *ctx, int node, uint64_t page_size);

/** @} */
/* ------------------------------------------------------------------ */
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

/** Open the cgroup a process is in. -ESRCH: no such process. */
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
 * List the processes of a user.
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
 * is removed meanwhile, or closed to the caller, is left out.
 */
int cgm_group_walk(struct cgm_group *group,
		   int (*fn)(struct cgm_group *group, void *data), void *data);

/** @} */
/* ------------------------------------------------------------------ */
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
 * @param flags 0 or CGM_PLACEMENT_PROCESSES
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
 * known and 0.
 * @return 0; -ENODATA: not read from the memory controller
 * @since 0.4
 */
int cgm_placement_marks(const struct cgm_placement *placement, struct cgm_marks *marks);

/** The address space of a process: its mappings, and a picture of it. Opaque. */
struct cgm_layout;

/** One mapping of an address space. */
struct cgm_vma {
	size_t size;		/**< sizeof(struct cgm_vma) */
	uint64_t start;		/**< first address */
	uint64_t end;		/**< address after the last; 0: not known */
	const char *name;	/**< file, "[heap]" ..., or ""; lives as long as the layout */
	const char *policy;	/**< memory policy as numa_maps writes it; likewise */
	uint64_t page_size;	/**< bytes of one of its pages; huge pages of the pools */
	enum cgm_kind kind;	/**< of what is not anonymous in it */
	size_t cell;		/**< the cell it begins in */
	const struct cgm_placement *placement; /**< lives as long as the layout */
	uint64_t locked;	/**< bytes of mlock(2): cgm_layout_read_marks() (0.4) */
	uint64_t huge;		/**< bytes mapped by transparent huge pages, likewise */
};

/**
 * Look at the address space of a process.
 *
 * @param cells about how many cells a picture is to have, each of the same
 *	  number of bytes that are present, in order of address; 0: no picture.
 *	  For a picture every page is looked up; on a recorded tree that cannot be
 *	  done, and nodes follow each other in every mapping.
 * @return 0; -ESRCH: no such process; -EACCES: it is somebody else's
 * @since 0.2
 */
int cgm_layout_read_pid(struct cgm_context *ctx, pid_t pid, size_t cells,
			struct cgm_layout **layout);

/**
 * Find out which mappings are locked, and which have transparent huge pages. That is
 * /proc/PID/smaps: it takes as long as the process is large.
 * @return 0; -ESRCH: no such process any more; -EACCES: it is somebody else's
 * @since 0.4
 */
int cgm_layout_read_marks(struct cgm_layout *layout);

/** Free a layout. NULL is fine. @since 0.2 */
void cgm_layout_free(struct cgm_layout *layout);

/** The index-th mapping in order of address. -ENOENT past the end. @since 0.2 */
int cgm_layout_vma(const struct cgm_layout *layout, size_t index, struct cgm_vma *vma);

/** How many cells there are, and (unless NULL) how many bytes each. @since 0.2 */
size_t cgm_layout_cells(const struct cgm_layout *layout, uint64_t *cell_size);

/** Bytes of a cell that are on a node. @since 0.2 */
uint64_t cgm_layout_cell(const struct cgm_layout *layout, size_t cell, int node);

/** The nodes the process may use. @since 0.2 */
void cgm_layout_allowed(const struct cgm_layout *layout, cgm_nodeset *nodes);

/** 1 when every page was looked up, 0 for proportions. @since 0.2 */
int cgm_layout_exact(const struct cgm_layout *layout);

/** @} */
/* ------------------------------------------------------------------ */
/** @defgroup map Which node's memory goes where
 *  @{ */

/** Where memory goes of which nothing else is said. (0.3) */
enum cgm_map_rule {
	CGM_MAP_RELATIVE,	/**< the n-th old node to the n-th new one: cgm_nodemap() */
	CGM_MAP_DISTANCE,	/**< every old node to the new one that is nearest to it;
				 *   among equals to the one that fewer old nodes go to,
				 *   then to the first */
};

/** A rule's name: "relative", "distance". @since 0.3 */
const char *cgm_map_rule_name(enum cgm_map_rule rule);

/** What is on one node goes to another, or stays where both are the same. (0.3) */
struct cgm_node_pair {
	int from;		/**< the node it is on */
	int to;			/**< and the one it is to be on */
};

/**
 * Read "relative", "distance", or pairs such as "0:2,1:3"; nodes that pairs leave
 * out go by CGM_MAP_RELATIVE.
 *
 * @param rule  result
 * @param pairs result, to be given to free(3); NULL: none
 * @param count how many
 * @return 0; -EINVAL: none of these; -ERANGE: a node too large; -EEXIST: a node
 *	   is named twice as the one to leave; -ENOMEM
 * @since 0.3
 */
int cgm_map_parse(const char *text, enum cgm_map_rule *rule, struct cgm_node_pair **pairs,
		  size_t *count);

/** @} */
/* ------------------------------------------------------------------ */
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

/** One move to plan. Zero everything you do not set. */
struct cgm_move {
	size_t size;		/**< sizeof(struct cgm_move) */
	enum cgm_action action;	/**< what to do */
	struct cgm_group *group; /**< MEMS, SETTLE: whose; ATTACH: into which */
	cgm_nodeset to;		/**< MEMS, PAGES: the nodes; MEMS on v2, empty: those
				 *   of its parent */
	const pid_t *pids;	/**< ATTACH, PAGES: which processes */
	size_t pid_count;	/**< how many */
	enum cgm_map_rule rule;	/**< MEMS, PAGES: what goes where (0.3) */
	const struct cgm_node_pair *pairs; /**< nodes for which that is said one by one */
	size_t pair_count;	/**< how many */
	cgm_nodeset only;	/**< only what is on these nodes leaves them, and what is
				 *   elsewhere stays; empty: all (0.3) */
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

/** @} */
/* ------------------------------------------------------------------ */
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
 *	   cgm_context_error(); -EINVAL: masks that do not go together
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
/** @addtogroup plan
 *  @{ */

#define CGM_JOB_FORCE 0x1u	/**< start although there is not enough room */
#define CGM_JOB_PERSIST 0x2u	/**< systemd units: keep the nodes over a reboot, too (0.2) */

/**
 * Why a checked plan would not start, or NULL when it would.
 * @param flags as in struct cgm_job_options: CGM_JOB_FORCE leaves room out
 */
const char *cgm_plan_refusal(const struct cgm_plan *plan, unsigned int flags);

/** @} */
/* ------------------------------------------------------------------ */
/** @defgroup job Jobs
 *  @{ */

/** A plan that runs. Opaque. */
struct cgm_job;

/** Options of cgm_job_start(). Zero everything you do not set. */
struct cgm_job_options {
	size_t size;		/**< sizeof(struct cgm_job_options) */
	unsigned int flags;	/**< CGM_JOB_* */
	uint64_t rate;		/**< bytes per second, 0: no limit. On the engine each
				 *   cgroup of the plan has it as its limit until the
				 *   job has ended or is freed, unless it has one as low */
	uint32_t max_stall_usec; /**< stock kernels: how long one batch may take, 0: 2000 */
};

/** How a job stands. */
enum cgm_state {
	CGM_STATE_RUNNING,
	CGM_STATE_DONE,		/**< everything is where it should be */
	CGM_STATE_PARTIAL,	/**< finished, some memory stayed */
	CGM_STATE_CANCELLED,	/**< stopped by cgm_job_cancel() or by somebody's stop file */
	CGM_STATE_SUPERSEDED,	/**< somebody else changed the cpuset meanwhile */
	CGM_STATE_FAILED,	/**< could not go on: see cgm_context_error() */
};

/** A state's name: "running", "done", "partial" ... */
const char *cgm_state_name(enum cgm_state state);

/** How far a job is. */
struct cgm_progress {
	size_t size;		/**< sizeof(struct cgm_progress) */
	enum cgm_state state;	/**< how the job stands */
	uint64_t total;		/**< bytes that were to be moved, as planned */
	uint64_t moved;		/**< bytes that were */
	uint64_t stayed;	/**< bytes that cannot be, so far */
	uint64_t elapsed_usec;	/**< since it was started */
	uint64_t max_batch_usec; /**< longest batch or chunk seen, 0: not known */
	int held;		/**< 1 while the engine is told to hold */
};

/**
 * Start a plan. On the engine the new mask is in force when this returns and
 * the kernel does the rest, with or without us. On stock kernels nothing moves
 * unless cgm_job_dispatch() (or cgm_job_wait()) is called.
 *
 * @param options NULL for the defaults
 * @return 0; -ECANCELED: the plan was refused (cgm_context_error()); -EROFS on
 *	   a recorded tree; other negative errno: a write failed, nothing changed
 */
int cgm_job_start(struct cgm_plan *plan, const struct cgm_job_options *options,
		  struct cgm_job **job);

/**
 * Free a job. It does not stop what the kernel does, but a limit that was set for
 * it ends. NULL is fine.
 */
void cgm_job_free(struct cgm_job *job);

/**
 * Free a job that a forked child goes on with: limits that were set for it are
 * left for the child to put back. NULL is fine.
 * @since 0.2
 */
void cgm_job_leave(struct cgm_job *job);

/** A descriptor that is readable whenever cgm_job_dispatch() has something to do. */
int cgm_job_fd(const struct cgm_job *job);

/**
 * Do what can be done now: on stock kernels one batch, on the engine read the
 * counters. Returns soon.
 *
 * @return 1 while the job runs, 0 once it has ended
 */
int cgm_job_dispatch(struct cgm_job *job);

/** How far it is; @p progress->size has to be set. */
int cgm_job_progress(const struct cgm_job *job, struct cgm_progress *progress);

/**
 * Dispatch until the job ends.
 * @param timeout_ms give up waiting after so long (-1: never); the job goes on
 * @return 0 ended, -ETIMEDOUT
 */
int cgm_job_wait(struct cgm_job *job, int timeout_ms);

/**
 * Ask the job to stop at the next chunk. Goes on being dispatched until it has
 * ended. On the engine the new mask stays in force and what was not moved are
 * strays. On a v2 stock kernel the cpuset is left with the old and the new
 * nodes, because narrowing it would make that kernel move the rest.
 */
int cgm_job_cancel(struct cgm_job *job);

/**
 * Have a job wait, or go on. On stock kernels nothing is moved from the next batch on,
 * and cgm_job_fd() is quiet. On the engine the cgroups of the job are put on hold, with
 * all below them, until the job goes on, has ended or is freed; one that was on hold
 * before stays so. A job on hold can be cancelled.
 *
 * @param hold 1: wait; 0: go on
 * @return 0; negative errno: a cgroup could not be told; the others were
 * @since 0.4
 */
int cgm_job_hold(struct cgm_job *job, int hold);

/**
 * Another limit for a job, from now on: as cgm_job_options::rate.
 *
 * @param rate bytes per second, 0: no limit
 * @return 0; negative errno: a cgroup could not be told; the others were
 * @since 0.4
 */
int cgm_job_set_rate(struct cgm_job *job, uint64_t rate);

/** @} */
/* ------------------------------------------------------------------ */
/** @defgroup result Results
 *  @{ */

/** What became of every page a job looked at. Opaque; belongs to its job. */
struct cgm_result;

/** What became of a page. Names as in the kernel's cpuset.mems.stat. */
enum cgm_reason {
	CGM_MOVED,		/**< is on its new node */
	CGM_INPLACE,		/**< was where it belongs, or the nearest to it */
	CGM_GONE,		/**< freed meanwhile */
	CGM_SWAPPED,		/**< swapped out to make room */
	CGM_LEFT,		/**< not looked at: cancelled */
	CGM_SKIP_VMA,		/**< in a mapping that cannot be moved (devices) */
	CGM_SKIP_EXEMPT,	/**< the owner asked for it to stay */
	CGM_SKIP_SHARED,	/**< others use it where it is, such as program text they run */
	CGM_SKIP_UNMAPPED,	/**< page cache that no process maps */
	CGM_FAIL_NOMEM,		/**< no room on the new nodes */
	CGM_FAIL_PINNED,	/**< something in the kernel holds on to it */
	CGM_FAIL_BUSY,		/**< locked, under writeback, or off the LRU lists */
	CGM_FAIL_FS,		/**< its file system cannot move pages */
	CGM_FAIL_NONLRU,	/**< a driver's page that cannot move */
	CGM_FAIL_HUGETLB,	/**< no huge page free on the new nodes */
	CGM_FAIL_PERM,		/**< shared with others, needs CAP_SYS_NICE (stock kernels) */
	CGM_REASON_COUNT,
};

/** A reason's name: "moved", "fail_nomem" ... */
const char *cgm_reason_name(enum cgm_reason reason);
/** One line that explains a reason to a person. */
const char *cgm_reason_text(enum cgm_reason reason);

#define CGM_ROW_ESTIMATED 0x1u	/**< total is exact, its split by node and kind is not */

/** One line of a result: so many bytes of this kind had this fate. */
struct cgm_row {
	size_t size;		/**< sizeof(struct cgm_row) */
	size_t item;		/**< which move of the plan */
	int from;		/**< node it was on; -1: not known */
	int to;			/**< node it was to go to, or went to; -1: not known */
	enum cgm_kind kind;	/**< CGM_KIND_MOVABLE: not known */
	enum cgm_reason reason;	/**< what became of them */
	uint64_t bytes;		/**< how many */
	unsigned int flags;	/**< CGM_ROW_* */
};

/** The account of a job that has ended; NULL while it runs. */
const struct cgm_result *cgm_job_result(const struct cgm_job *job);

/** The index-th row; -ENOENT past the end. Rows add up to the totals. */
int cgm_result_row(const struct cgm_result *result, size_t index,
		   struct cgm_row *row);

/** Bytes with a reason, over all moves of the job. */
uint64_t cgm_result_total(const struct cgm_result *result, enum cgm_reason reason);

/** Bytes that were looked at: all reasons but CGM_LEFT together. */
uint64_t cgm_result_scanned(const struct cgm_result *result);

/** Where the memory of the index-th move was when the job ended. May be NULL. */
const struct cgm_placement *cgm_result_after(const struct cgm_result *result,
					     size_t index);

/** The index-th remark on how it went, or NULL past the end. */
const char *cgm_result_note(const struct cgm_result *result, size_t index);

/** @} */

#ifdef __cplusplus
}
#endif

#include "libcgmigrate-cpus.h"

#endif /* LIBCGMIGRATE_H */
