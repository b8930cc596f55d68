// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reading memory.numa_stat of cgroup v2. Pure: text in, numbers out. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "memcg.h"
#include "number.h"

/* What a line counts as. shmem is a part of file, so file gives it back. */
static const struct {
	const char *name;
	enum cgm_kind kind;
	int sign;
} lines[] = {
	{ "anon", CGM_KIND_ANON, 1 },
	{ "file", CGM_KIND_FILE, 1 },
	{ "shmem", CGM_KIND_SHMEM, 1 },
	{ "shmem", CGM_KIND_FILE, -1 },
	{ "kernel_stack", CGM_KIND_KERNEL, 1 },
	{ "pagetables", CGM_KIND_KERNEL, 1 },
	{ "sec_pagetables", CGM_KIND_KERNEL, 1 },
	{ "slab_reclaimable", CGM_KIND_KERNEL, 1 },
	{ "slab_unreclaimable", CGM_KIND_KERNEL, 1 },
};

/* " N0=123 N1=456": up to the end of the line. */
static void parse_nodes(const char *p, enum cgm_kind kind, int sign,
			void (*add)(void *, enum cgm_kind, int, int64_t), void *data)
{
	while (*p == ' ') {
		uint64_t node, bytes;
		char *end;

		if (*++p != 'N' || !isdigit((unsigned char)p[1]))
			return;
		node = number_parse(p + 1, &end);
		if (*end != '=' || node >= CGM_NODES_MAX)
			return;
		p = end + 1;
		bytes = number_parse(p, &end);
		if (bytes > INT64_MAX)
			bytes = INT64_MAX;
		add(data, kind, node, sign * (int64_t)bytes);
		p = end;
	}
}

/*
 * Call @add for every number that counts. Returns -EINVAL when there was none
 * of the lines that always are.
 */
int memcg_parse(const char *text,
		void (*add)(void *data, enum cgm_kind kind, int node, int64_t bytes),
		void *data)
{
	int seen = 0;

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		size_t len = strcspn(p, " \n");

		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
			if (strlen(lines[i].name) != len || strncmp(p, lines[i].name, len))
				continue;
			parse_nodes(p + len, lines[i].kind, lines[i].sign, add, data);
			seen = 1;
		}
	}
	return seen ? 0 : -EINVAL;
}

static void add_sum(void *data, enum cgm_kind kind, int node, int64_t bytes)
{
	(void)kind;
	(void)node;
	*(uint64_t *)data += bytes;
}

/* What of it is locked, and what is in transparent huge pages, on all nodes. */
void memcg_marks(const char *text, uint64_t *locked, uint64_t *huge)
{
	*locked = 0;
	*huge = 0;
	for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		size_t len = strcspn(p, " \n");

		if (len == 11 && !strncmp(p, "unevictable", len))
			parse_nodes(p + len, CGM_KIND_MOVABLE, 1, add_sum, locked);
		else if ((len == 8 && !strncmp(p, "anon_thp", len)) ||
			 (len == 8 && !strncmp(p, "file_thp", len)) ||
			 (len == 9 && !strncmp(p, "shmem_thp", len)))
			parse_nodes(p + len, CGM_KIND_MOVABLE, 1, add_sum, huge);
	}
}

struct cache_lines {
	struct cache_bytes *nodes;
	int count;
	size_t field;	/* in struct cache_bytes */
};

static void add_cache(void *data, enum cgm_kind kind, int node, int64_t bytes)
{
	struct cache_lines *lines = data;

	(void)kind;
	if (node < lines->count)
		*(uint64_t *)((char *)&lines->nodes[node] + lines->field) += bytes;
}

/* Page cache by node, up to so many; what no line tells of stays as it is. */
void memcg_cache(const char *text, struct cache_bytes *nodes, int count)
{
	static const struct {
		const char *name;
		size_t field;
	} names[] = {
		{ "file", offsetof(struct cache_bytes, file) },
		{ "shmem", offsetof(struct cache_bytes, shmem) },
		{ "file_mapped", offsetof(struct cache_bytes, mapped) },
		{ "file_dirty", offsetof(struct cache_bytes, dirty) },
		{ "file_writeback", offsetof(struct cache_bytes, dirty) },
	};
	struct cache_lines lines = { .nodes = nodes, .count = count };

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		size_t len = strcspn(p, " \n");

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			if (strlen(names[i].name) != len || strncmp(p, names[i].name, len))
				continue;
			lines.field = names[i].field;
			parse_nodes(p + len, CGM_KIND_FILE, 1, add_cache, &lines);
		}
	}
}
