// SPDX-License-Identifier: LGPL-2.1-or-later
/* The files of the kernel's migration engine: their names and formats. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "group.h"

static const struct engine_files files_v2 = {
	.max = "cpuset.mems.migrate.max",
	.hold = "cpuset.mems.migrate.hold",
	.stop = "cpuset.mems.migrate.stop",
	.settle = "cpuset.mems.migrate.settle",
	.cache = "cpuset.mems.migrate.cache",
	.events = "cpuset.mems.events",
	.stat = "cpuset.mems.stat",
};

static const struct engine_files files_v1 = {
	.max = "cpuset.memory_migrate_max",
	.hold = "cpuset.memory_migrate_hold",
	.stop = "cpuset.memory_migrate_stop",
	.settle = "cpuset.memory_migrate_settle",
	.cache = "cpuset.memory_migrate_cache",
	.events = "cpuset.memory_migrate_events",
	.stat = "cpuset.memory_migrate_stat",
};

static const struct {
	const char *name;
	enum cgm_reason reason;
} counters[EC_COUNT] = {
	[EC_PENDING] = { "migrate_pending", CGM_REASON_COUNT },
	[EC_HELD] = { "migrate_held", CGM_REASON_COUNT },
	[EC_TOTAL] = { "migrate_total", CGM_REASON_COUNT },
	[EC_SCANNED] = { "migrate_scanned", CGM_REASON_COUNT },
	[EC_MOVED] = { "migrate_moved", CGM_MOVED },
	[EC_INPLACE] = { "migrate_inplace", CGM_INPLACE },
	[EC_GONE] = { "migrate_gone", CGM_GONE },
	[EC_SPLIT] = { "migrate_split", CGM_REASON_COUNT },
	[EC_SWAPPED] = { "migrate_swapped", CGM_SWAPPED },
	[EC_LEFT] = { "migrate_left", CGM_LEFT },
	[EC_SKIP_VMA] = { "migrate_skip_vma", CGM_SKIP_VMA },
	[EC_SKIP_EXEMPT] = { "migrate_skip_exempt", CGM_SKIP_EXEMPT },
	[EC_SKIP_SHARED] = { "migrate_skip_shared", CGM_SKIP_SHARED },
	[EC_FAIL_NOMEM] = { "migrate_fail_nomem", CGM_FAIL_NOMEM },
	[EC_FAIL_PINNED] = { "migrate_fail_pinned", CGM_FAIL_PINNED },
	[EC_FAIL_BUSY] = { "migrate_fail_busy", CGM_FAIL_BUSY },
	[EC_FAIL_FS] = { "migrate_fail_fs", CGM_FAIL_FS },
	[EC_FAIL_NONLRU] = { "migrate_fail_nonlru", CGM_FAIL_NONLRU },
	[EC_FAIL_HUGETLB] = { "migrate_fail_hugetlb", CGM_FAIL_HUGETLB },
	[EC_CHUNK_MAX_USEC] = { "migrate_chunk_max_usec", CGM_REASON_COUNT },
};

const struct engine_files *engine_files(const struct cgm_context *ctx)
{
	return ctx->cpuset.version == 2 ? &files_v2 : &files_v1;
}

/* A counter of pages: what it means for them. Others: CGM_REASON_COUNT. */
enum cgm_reason engine_counter_reason(enum engine_counter counter)
{
	return counters[counter].reason;
}

bool group_has_engine(struct cgm_group *group)
{
	return fs_exists_at(group->dirfd, engine_files(group->ctx)->stat);
}

/* What a change of this cgroup would use. */
enum cgm_backend group_backend(struct cgm_group *group)
{
	struct cgm_context *ctx = group->ctx;
	bool v2 = ctx->cpuset.version == 2;

	if (group_has_engine(group))
		return v2 ? CGM_BACKEND_ENGINE_V2 : CGM_BACKEND_ENGINE_V1;
	if (!(ctx->features.flags & CGM_FEATURE_MOVE_PAGES))
		return CGM_BACKEND_NONE;
	return v2 ? CGM_BACKEND_STOCK_V2 : CGM_BACKEND_STOCK_V1;
}

/* Counters a newer or older kernel lacks are 0, but pending has to be there. */
int engine_parse_stat(const char *text, struct engine_stat *stat)
{
	memset(stat, 0, sizeof(*stat));
	for (int i = 0; i < EC_COUNT; i++)
		if (!fs_keyed_u64(text, counters[i].name, &stat->value[i]) &&
		    i == EC_PENDING)
			return -EINVAL;
	return 0;
}

int engine_read_stat(struct cgm_group *group, struct engine_stat *stat)
{
	const char *file = engine_files(group->ctx)->stat;
	char *text = fs_read_at(group->dirfd, file, NULL);
	int err;

	if (!text)
		return cgm_fail(group->ctx, errno, "%s/%s: cannot read: %s", group->path,
				file, strerror(errno));
	err = engine_parse_stat(text, stat);
	free(text);
	if (err)
		return cgm_fail(group->ctx, err, "%s/%s: not in the known format",
				group->path, file);
	return 0;
}

CGM_PUBLIC int cgm_group_pending(struct cgm_group *group, uint64_t *pending)
{
	struct engine_stat stat = { 0 };
	int err;

	*pending = 0;
	if (!group_has_engine(group))
		return 0;
	err = engine_read_stat(group, &stat);
	if (!err)
		*pending = stat.value[EC_PENDING];
	return err;
}
