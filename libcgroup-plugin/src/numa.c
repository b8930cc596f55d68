// SPDX-License-Identifier: LGPL-2.1-or-later
/* Room on nodes, and how far they are from each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "numa.h"

/* "Node 1 MemFree:   123 kB" of a node's meminfo, in bytes. */
static uint64_t meminfo_bytes(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? number_kib(p + strlen(key)) : 0;
}

static char *node_meminfo(struct cgm_context *ctx, int node)
{
	return fs_read(ctx, NULL, "sys/devices/system/node/node%d/meminfo", node);
}

/* Pages of all low watermarks of a node in /proc/zoneinfo. */
uint64_t zoneinfo_low(const char *text, int node)
{
	uint64_t pages = 0;
	int here = -1;

	for (const char *p = text; *p; p++) {
		const char *word = p + strspn(p, " ");

		if (!strncmp(p, "Node ", 5))
			here = strtol(p + 5, NULL, 10);
		else if (here == node && !strncmp(word, "low ", 4))
			pages += number_parse(word + 4, NULL);
		p = strchr(p, '\n');
		if (!p)
			break;
	}
	return pages;
}

int numa_low(struct cgm_context *ctx, int node, uint64_t *low)
{
	char *text = fs_read(ctx, NULL, "proc/zoneinfo");

	if (!text)
		return cgm_fail(ctx, errno, "cannot read /proc/zoneinfo: %m");
	*low = zoneinfo_low(text, node) * ctx->page_size;
	free(text);
	return 0;
}

int numa_free(struct cgm_context *ctx, int node, uint64_t *bytes)
{
	char *text = node_meminfo(ctx, node);

	if (!text)
		return cgm_fail(ctx, errno,
				"cannot read /sys/devices/system/node/node%d/meminfo: %m",
				node);
	*bytes = meminfo_bytes(text, " MemFree:");
	free(text);
	return 0;
}

int numa_room(struct cgm_context *ctx, int node, struct node_room *room)
{
	char *text = node_meminfo(ctx, node);
	uint64_t cache, dirty;

	if (!text)
		return cgm_fail(ctx, errno,
				"cannot read /sys/devices/system/node/node%d/meminfo: %m",
				node);
	room->free = meminfo_bytes(text, " MemFree:");
	cache = meminfo_bytes(text, " Active(file):") +
		meminfo_bytes(text, " Inactive(file):");
	dirty = meminfo_bytes(text, " Dirty:") + meminfo_bytes(text, " Writeback:") +
		meminfo_bytes(text, " Mapped:");
	room->reclaimable = cache > dirty ? cache - dirty : 0;
	room->reclaimable += meminfo_bytes(text, " SReclaimable:");
	free(text);
	return numa_low(ctx, node, &room->low);
}

CGM_PUBLIC int cgm_node_read(struct cgm_context *ctx, int node, struct cgm_node *out)
{
	struct node_room room;
	char *text;
	int err;

	if (!HAS_MEMBER(out, reclaimable))
		return cgm_fail(ctx, EINVAL, "a size this library does not know");
	err = numa_room(ctx, node, &room);
	if (err)
		return err;
	text = node_meminfo(ctx, node);
	out->total = text ? meminfo_bytes(text, " MemTotal:") : 0;
	out->free = room.free;
	out->low = room.low;
	out->reclaimable = room.reclaimable;
	free(text);
	return 0;
}

/* Huge pages of a size that are free in a node's pool. */
uint64_t numa_hugetlb_free(struct cgm_context *ctx, int node, uint64_t page_size)
{
	char *text = fs_read(ctx, NULL, "sys/devices/system/node/node%d/hugepages/"
			     "hugepages-%llukB/free_hugepages", node,
			     (unsigned long long)page_size / 1024);
	uint64_t pages = text ? strtoull(text, NULL, 10) : 0;

	free(text);
	return pages;
}

CGM_PUBLIC uint64_t cgm_node_huge_free(struct cgm_context *ctx, int node,
				       uint64_t page_size)
{
	return numa_hugetlb_free(ctx, node, page_size);
}

/*
 * Distance as the firmware tells it, 10 for a node to itself; INT32_MAX when
 * it is not known. The file has one number for every online node, in order.
 */
int numa_distance(struct cgm_context *ctx, int from, int to)
{
	char *text = fs_read(ctx, NULL, "sys/devices/system/node/node%d/distance", from);
	char *p = text, *end;
	int distance = INT32_MAX;

	if (!text)
		return INT32_MAX;
	for (int node = cgm_nodeset_next(&ctx->features.online, -1); node >= 0;
	     node = cgm_nodeset_next(&ctx->features.online, node)) {
		long value = strtol(p, &end, 10);

		if (end == p)
			break;
		if (node == to) {
			if (value > 0 && value < INT32_MAX)
				distance = value;
			break;
		}
		p = end;
	}
	free(text);
	return distance;
}

CGM_PUBLIC int cgm_node_distance(struct cgm_context *ctx, int from, int to)
{
	int distance = numa_distance(ctx, from, to);

	return distance == INT32_MAX ? -ENOENT : distance;
}

/*
 * The node of a set that is nearest to a node; among equals the one with most
 * free memory. -1 for an empty set.
 */
int numa_nearest(struct cgm_context *ctx, const cgm_nodeset *set, int node)
{
	int best = -1, best_distance = INT32_MAX;
	uint64_t best_free = 0;

	for (int n = cgm_nodeset_next(set, -1); n >= 0; n = cgm_nodeset_next(set, n)) {
		int distance = numa_distance(ctx, node, n);
		uint64_t bytes = 0;

		if (best >= 0 && distance > best_distance)
			continue;
		numa_free(ctx, n, &bytes);
		if (best >= 0 && distance == best_distance && bytes <= best_free)
			continue;
		best = n;
		best_distance = distance;
		best_free = bytes;
	}
	return best;
}
