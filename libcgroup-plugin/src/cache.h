/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Page cache of a cgroup that no process maps. */
#ifndef CGM_CACHE_H
#define CGM_CACHE_H

#include "memcg.h"
#include "plan.h"
#include "private.h"

struct job_run;

int cache_read(struct cgm_group *group, struct cache_bytes **out, int nodes);
uint64_t cache_files(const struct cache_bytes *bytes);
uint64_t cache_unmapped(const struct cache_bytes *bytes);
uint64_t cache_clean(const struct cache_bytes *bytes);
bool cache_leaves(const struct plan_item *item, int node);

/* The kernel's engine is to leave cache where it is, for one change. */
struct cache_left {
	bool told;		/* it was, and is to be told otherwise again */
};

int cache_leave(struct job_run *run, struct cache_left *left);
void cache_leave_end(struct job_run *run, const struct cache_left *left);

/* plan-cache.c */
int plan_add_cache(struct cgm_plan *plan, struct plan_item *item);

/* drop.c */
int drop_start(struct job_run *run);
int drop_step(struct job_run *run);
void drop_end(struct job_run *run);

#endif /* CGM_CACHE_H */
