// SPDX-License-Identifier: GPL-2.0
/* memory.numa_stat of a cgroup. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memcg.h"

#define NODES 4

struct sums {
	size_t calls;
	uint64_t bytes[CGM_KIND_COUNT];
	struct cache_bytes cache[NODES];
};

static void add(void *data, enum cgm_kind kind, int node, int64_t bytes)
{
	struct sums *sums = data;

	CHECK((unsigned int)kind < CGM_KIND_COUNT);
	CHECK(node >= 0 && node < CGM_NODES_MAX);
	sums->calls++;
	sums->bytes[kind] += (uint64_t)bytes;
}

static int parse(const char *text, struct sums *sums)
{
	uint64_t locked, huge;
	int err;

	memset(sums, 0, sizeof(*sums));
	err = memcg_parse(text, add, sums);
	CHECK(!err || (err == -EINVAL && !sums->calls));
	memcg_marks(text, &locked, &huge);
	memcg_cache(text, sums->cache, NODES);
	return err;
}

/* What two halves of a file tell of a node is what the whole tells. */
static void check_cache(const struct cache_bytes *all, const struct cache_bytes *head,
			const struct cache_bytes *tail)
{
	CHECK(all->file == head->file + tail->file);
	CHECK(all->shmem == head->shmem + tail->shmem);
	CHECK(all->mapped == head->mapped + tail->mapped);
	CHECK(all->dirty == head->dirty + tail->dirty);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sums all, head, tail;
	char *text = fuzz_text(data, size), *middle = strchr(text, '\n');

	parse(text, &all);
	if (middle) {	/* lines do not depend on each other */
		*middle = '\0';
		parse(text, &head);
		parse(middle + 1, &tail);
		CHECK(all.calls == head.calls + tail.calls);
		for (int k = 0; k < CGM_KIND_COUNT; k++)
			CHECK(all.bytes[k] == head.bytes[k] + tail.bytes[k]);
		for (int n = 0; n < NODES; n++)
			check_cache(&all.cache[n], &head.cache[n], &tail.cache[n]);
	}
	free(text);
	return 0;
}
