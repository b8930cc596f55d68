/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-context.h
 * @brief What this machine can do: everything else is made from it.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_CONTEXT_H
#define LIBCGMIGRATE_CONTEXT_H

#include <stddef.h>

#include "libcgmigrate-nodeset.h"

#ifdef __cplusplus
extern "C" {
#endif

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
 * Copy what was found out about the machine when the context was made. Nodes that come or
 * go since, or a cpuset of the caller's that changes, are not seen: make another context.
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

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_CONTEXT_H */
