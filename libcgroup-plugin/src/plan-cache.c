// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a plan does with page cache that no process maps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "engine.h"
#include "group.h"

/* There has to be something to ask. */
static void check_drop(struct cgm_plan *plan, struct plan_item *item)
{
	static const char what[] = "its page cache cannot be dropped";
	struct cgm_group *group = item->group;

	if (plan->ctx->cpuset.version == 1)
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: %s: its cpuset is on cgroup v1, whose memory.force_empty takes everything it can get",
			  group->path, what);
	else if (!fs_exists_at(group->dirfd, "memory.numa_stat"))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: %s: its parent's cgroup.subtree_control lacks \"memory\"",
			  group->path, what);
	else if (!fs_exists_at(group->dirfd, "memory.reclaim"))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: %s: this kernel has no memory.reclaim", group->path, what);
	else
		plan_check_access(plan, item, "memory.reclaim");
}

/* Without the engine it stays anyhow. */
static void check_leave(struct cgm_plan *plan, struct plan_item *item)
{
	const char *file = engine_files(plan->ctx)->cache;

	if (!group_has_engine(item->group))
		return;
	if (fs_exists_at(item->group->dirfd, file))
		plan_check_access(plan, item, file);
	else
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: its page cache cannot be left where it is: this kernel has no %s",
			  item->group->path, file);
}

/*
 * What is not to move is taken from what goes to other nodes, where that is known from
 * the memory controller: page tables do not tell of it.
 */
static void take_from_flow(struct cgm_plan *plan, struct plan_item *item, int from,
			   uint64_t bytes)
{
	uint64_t *flow = &item->flows[from * plan->nodes + item->dest[from]];

	item->cache_bytes += bytes;
	if (item->before->source != CGM_SOURCE_CHARGED)
		return;
	if (bytes > *flow)
		bytes = *flow;
	*flow -= bytes;
	item->bytes -= bytes;
}

/* An item whose flows are known. */
int plan_add_cache(struct cgm_plan *plan, struct plan_item *item)
{
	struct cache_bytes *bytes;
	int err;

	if (item->cache == CGM_CACHE_MOVE || !item->change)
		return 0;
	if (item->cache == CGM_CACHE_DROP)
		check_drop(plan, item);
	else
		check_leave(plan, item);
	err = cache_read(item->group, &bytes, plan->nodes);
	for (int n = 0; !err && n < plan->nodes; n++)
		if (cache_leaves(item, n) && item->dest[n] < plan->nodes)
			take_from_flow(plan, item, n,
				       item->cache == CGM_CACHE_DROP ?
					       cache_clean(&bytes[n]) :
					       cache_unmapped(&bytes[n]));
	free(bytes);
	return is_shortage(err) ? err : 0;	/* there need be no memory controller */
}
