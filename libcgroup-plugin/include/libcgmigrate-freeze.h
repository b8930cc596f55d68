/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-freeze.h
 * @brief Cgroups that stand still while their memory moves.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_FREEZE_H
#define LIBCGMIGRATE_FREEZE_H

#include <stddef.h>

#include "libcgmigrate-group.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup freeze Cgroups that stand still
 *  @{ */

/** Where and whether a cgroup is frozen. */
struct cgm_freezer {
	size_t size;		/**< sizeof(struct cgm_freezer) */
	int frozen;		/**< 1: this cgroup itself is told to be */
	char file[4096];	/**< the file that tells it */
	const char *thawed;	/**< what is written there to let it go on */
};

/**
 * Look whether a cgroup is frozen.
 * @param freezer its size field has to be set
 * @return 0; -EOPNOTSUPP: v1 without a freezer hierarchy; -ENOENT: that has no such
 *	   cgroup; -EINVAL: the root cgroup
 * @since 0.2
 */
int cgm_group_freezer(struct cgm_group *group, struct cgm_freezer *freezer);

/**
 * Tell whether cgm_group_freeze() could freeze it.
 * @return 0; -EINVAL: this process is in it, or v1's freezer has other processes in the
 *	   cgroup of that name; -EACCES; or as cgm_group_freezer()
 * @since 0.2
 */
int cgm_group_freeze_check(struct cgm_group *group);

/**
 * Freeze a cgroup and all below it and wait until they stand still, or let them go on.
 * @return 0; -EBUSY: they did not within ten seconds, and go on; or as
 *	   cgm_group_freeze_check()
 * @since 0.2
 */
int cgm_group_freeze(struct cgm_group *group, int freeze);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_FREEZE_H */
