// SPDX-License-Identifier: GPL-2.0
/* /proc/PID/numa_maps: a line alone, and bytes by node and kind. */
#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "numamaps.h"
#include "placement.h"

static void check_line(const struct numa_line *line)
{
	CHECK(line->count <= ARRAY_SIZE(line->nodes));
	CHECK(strlen(line->policy) < sizeof(line->policy));
	CHECK(memchr(line->file, '\0', sizeof(line->file)));
	for (size_t i = 0; i < line->count; i++)
		CHECK(line->nodes[i].node >= 0 && line->nodes[i].node < CGM_NODES_MAX);
}

/* Is all that was counted on some node, none of it twice? */
static void check_vma(struct cgm_context *ctx, const struct numa_line *line)
{
	static const enum cgm_kind kinds[] = {
		CGM_KIND_ANON, CGM_KIND_FILE, CGM_KIND_SHMEM, CGM_KIND_HUGETLB,
	};
	struct vma_seen vma = { .line = line, .name = "" };

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct cgm_placement *p = placement_new(ctx);

		CHECK(p);
		vma.kind = kinds[k];
		CHECK(!placement_add_vma(p, &vma));
		for (int n = 0; n < p->nodes; n++) {
			uint64_t pages = 0;

			for (size_t i = 0; i < line->count; i++)
				if (line->nodes[i].node == n)
					pages += line->nodes[i].pages;
			CHECK(cgm_placement_bytes(p, CGM_KIND_MOVABLE, n) ==
			      pages * line->page_size);
		}
		cgm_placement_free(p);
	}
}

static bool same_line(const struct numa_line *a, const struct numa_line *b)
{
	return a->start == b->start && a->anon == b->anon && a->total == b->total &&
	       a->page_size == b->page_size && a->huge == b->huge &&
	       a->count == b->count && !strcmp(a->policy, b->policy) &&
	       !strcmp(a->file, b->file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cgm_context *ctx;
	struct numa_line line, alone;
	char *text = fuzz_text(data, size), *end = strchr(text, '\n');
	int err = numamaps_parse(text, 4096, &line);

	if (!ctx)
		ctx = machine_context();
	CHECK(ctx);
	CHECK(!err || err == -EINVAL);
	if (!err) {
		check_line(&line);
		check_vma(ctx, &line);
	}
	if (end) {	/* what follows is of other mappings */
		*end = '\0';
		CHECK(numamaps_parse(text, 4096, &alone) == err);
		CHECK(err || same_line(&line, &alone));
	}
	free(text);
	return 0;
}
