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

#include "libcgmigrate-nodeset.h"
#include "libcgmigrate-context.h"
#include "libcgmigrate-node.h"
#include "libcgmigrate-group.h"
#include "libcgmigrate-placement.h"
#include "libcgmigrate-layout.h"
#include "libcgmigrate-map.h"
#include "libcgmigrate-plan.h"
#include "libcgmigrate-schedule.h"
#include "libcgmigrate-job.h"
#include "libcgmigrate-result.h"
#include "libcgmigrate-cpus.h"
#include "libcgmigrate-freeze.h"

#endif /* LIBCGMIGRATE_H */
