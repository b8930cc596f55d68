// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Page cache of a cgroup that no process maps: how much there is, and telling the
 * kernel's engine to leave it where it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "group.h"
#include "job.h"

/* What the memory controller counts, by node; for free(3). */
int cache_read(struct cgm_group *group, struct cache_bytes **out, int nodes)
{
	struct cgm_context *ctx = group->ctx;
	char *text = fs_read_at(group->dirfd, "memory.numa_stat", NULL);
	int err = -errno;

	*out = NULL;
	if (!text)
		return cgm_fail(ctx, err, "%s/memory.numa_stat: cannot read: %s",
				group->path, strerror(-err));
	*out = calloc(nodes, sizeof(**out));
	if (*out)
		memcg_cache(text, *out, nodes);
	free(text);
	return *out ? 0 : cgm_fail(ctx, ENOMEM, "out of memory");
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* What files have, mapped or not. */
uint64_t cache_files(const struct cache_bytes *bytes)
{
	return minus(bytes->file, bytes->shmem);
}

/* What no process maps, shared memory too. */
uint64_t cache_unmapped(const struct cache_bytes *bytes)
{
	return minus(bytes->file, bytes->mapped);
}

/*
 * What could be dropped. The controller does not tell which of the mapped pages are
 * shared memory, and which of the dirty ones are mapped; so this is the least there is.
 */
uint64_t cache_clean(const struct cache_bytes *bytes)
{
	return minus(minus(cache_files(bytes), bytes->mapped), bytes->dirty);
}

/* Is what is on a node to go elsewhere? */
bool cache_leaves(const struct plan_item *item, int node)
{
	return item->dest[node] >= 0 && item->dest[node] != node;
}

/*
 * The engine looks at its file when a change is made, so it can be told otherwise as
 * soon as that has been written.
 */
int cache_leave(struct job_run *run, struct cache_left *left)
{
	struct cgm_activity now = { .size = sizeof(now) };
	int err;

	left->told = false;
	if (run->item->cache != CGM_CACHE_LEAVE)
		return 0;
	err = cgm_group_activity(run->item->group, &now);
	if (err || !now.engine || now.leave_cache)
		return err;
	err = cgm_group_leave_cache(run->item->group, 1);
	left->told = !err;
	return err;
}

void cache_leave_end(struct job_run *run, const struct cache_left *left)
{
	int err = left->told ? cgm_group_leave_cache(run->item->group, 0) : 0;

	/* A cgroup that is gone needs nothing. */
	if (err && err != -ENOENT && err != -ENODEV)
		run_note(run, "%s", run->job->ctx->error);
}
