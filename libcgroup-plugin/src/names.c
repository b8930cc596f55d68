// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The names of everything the library enumerates, and what a reason means to
 * a person. Programs compare these names, so they never change.
 */
#include <stdlib.h>

#include "private.h"

#define NAME_OF(table, index) \
	((size_t)(index) < ARRAY_SIZE(table) && (table)[index] ? (table)[index] : "unknown")

CGM_PUBLIC const char *cgm_backend_name(enum cgm_backend backend)
{
	static const char * const names[] = {
		[CGM_BACKEND_NONE] = "none",
		[CGM_BACKEND_ENGINE_V2] = "engine-v2",
		[CGM_BACKEND_ENGINE_V1] = "engine-v1",
		[CGM_BACKEND_STOCK_V2] = "stock-v2",
		[CGM_BACKEND_STOCK_V1] = "stock-v1",
		[CGM_BACKEND_MOVE_PAGES] = "move_pages",
	};

	return NAME_OF(names, backend);
}

CGM_PUBLIC const char *cgm_cache_name(enum cgm_cache cache)
{
	static const char * const names[] = {
		[CGM_CACHE_MOVE] = "move",
		[CGM_CACHE_DROP] = "drop",
		[CGM_CACHE_LEAVE] = "leave",
	};

	return NAME_OF(names, cache);
}

CGM_PUBLIC const char *cgm_cgroup_mode_name(enum cgm_cgroup_mode mode)
{
	static const char * const names[] = {
		[CGM_CGROUP_NONE] = "none",
		[CGM_CGROUP_V1] = "v1",
		[CGM_CGROUP_V2] = "v2",
		[CGM_CGROUP_HYBRID] = "hybrid",
	};

	return NAME_OF(names, mode);
}

CGM_PUBLIC const char *cgm_kind_name(enum cgm_kind kind)
{
	static const char * const names[] = {
		[CGM_KIND_ANON] = "anon",
		[CGM_KIND_FILE] = "file",
		[CGM_KIND_SHMEM] = "shmem",
		[CGM_KIND_HUGETLB] = "hugetlb",
		[CGM_KIND_KERNEL] = "kernel",
	};

	if (kind == CGM_KIND_MOVABLE)
		return "movable";
	return NAME_OF(names, kind);
}

CGM_PUBLIC const char *cgm_state_name(enum cgm_state state)
{
	static const char * const names[] = {
		[CGM_STATE_RUNNING] = "running",
		[CGM_STATE_DONE] = "done",
		[CGM_STATE_PARTIAL] = "partial",
		[CGM_STATE_CANCELLED] = "cancelled",
		[CGM_STATE_SUPERSEDED] = "superseded",
		[CGM_STATE_FAILED] = "failed",
	};

	return NAME_OF(names, state);
}

static const struct {
	const char *name;
	const char *text;
} reasons[CGM_REASON_COUNT] = {
	[CGM_MOVED] = { "moved", "is on its new node" },
	[CGM_INPLACE] = { "inplace", "was already where it belongs" },
	[CGM_GONE] = { "gone", "was freed meanwhile" },
	[CGM_SWAPPED] = { "swapped", "was swapped out to make room" },
	[CGM_LEFT] = { "left", "not looked at: the move was stopped" },
	[CGM_SKIP_VMA] = { "skip_vma", "in a mapping that cannot be moved, such as a device's" },
	[CGM_SKIP_EXEMPT] = { "skip_exempt", "its owner asked for it to stay" },
	[CGM_SKIP_SHARED] = { "skip_shared",
			      "others use it where it is, such as program text they run" },
	[CGM_SKIP_UNMAPPED] = { "skip_unmapped",
				"page cache that no process maps, which is not moved here" },
	[CGM_FAIL_NOMEM] = { "fail_nomem", "no room on the new nodes" },
	[CGM_FAIL_PINNED] = { "fail_pinned", "held by the kernel, for I/O or a device" },
	[CGM_FAIL_BUSY] = { "fail_busy", "locked, being written back, or not on the LRU lists" },
	[CGM_FAIL_FS] = { "fail_fs", "its file system cannot move pages" },
	[CGM_FAIL_NONLRU] = { "fail_nonlru", "a driver's page that cannot be moved" },
	[CGM_FAIL_HUGETLB] = { "fail_hugetlb", "no huge page free on the new nodes" },
	[CGM_FAIL_PERM] = { "fail_perm",
		"shared with others: needs CAP_SYS_NICE, where nodes overlap CAP_SYS_ADMIN too" },
	[CGM_DROPPED] = { "dropped", "clean page cache that was given back" },
	[CGM_FAIL_PROCESS] = { "fail_process",
			       "the kernel refused to move pages of its process: see the notes" },
};

CGM_PUBLIC const char *cgm_reason_name(enum cgm_reason reason)
{
	return (unsigned int)reason < CGM_REASON_COUNT ? reasons[reason].name : "unknown";
}

CGM_PUBLIC const char *cgm_reason_text(enum cgm_reason reason)
{
	return (unsigned int)reason < CGM_REASON_COUNT ? reasons[reason].text : "unknown";
}

/* A list of nodes for a message. */
/* What a file of the kernel takes, however long that is. To be given to free(3). */
char *nodes_to_write(const cgm_nodeset *set)
{
	int len = cgm_nodeset_format(set, NULL, 0);
	char *text = malloc(len + 2);

	if (text)
		cgm_nodeset_format(set, text, len + 1);
	/* an empty write does nothing; a newline clears the mask */
	if (text && !len)
		strcpy(text, "\n");
	return text;
}

const char *nodes_name(const cgm_nodeset *set, char *buf, size_t size)
{
	cgm_nodeset_format(set, buf, size);
	return *buf ? buf : "none";
}

/* A size for a message. */
const char *size_name(uint64_t bytes, char *buf, size_t size)
{
	if (bytes >= 1ULL << 30)
		snprintf(buf, size, "%.1fG", (double)bytes / (1ULL << 30));
	else if (bytes >= 1ULL << 20)
		snprintf(buf, size, "%.1fM", (double)bytes / (1ULL << 20));
	else
		snprintf(buf, size, "%lluK", (unsigned long long)(bytes + 1023) >> 10);
	return buf;
}

CGM_PUBLIC const char *cgm_step_name(enum cgm_step_kind kind)
{
	static const char * const names[] = {
		[CGM_STEP_PIN] = "pin",
		[CGM_STEP_WIDEN] = "widen",
		[CGM_STEP_MOVE] = "move",
		[CGM_STEP_BOUNCE] = "bounce",
		[CGM_STEP_NARROW] = "narrow",
		[CGM_STEP_RELEASE] = "release",
	};

	return NAME_OF(names, kind);
}
