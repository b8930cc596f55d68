// SPDX-License-Identifier: GPL-2.0
/* What a node's files and /proc/zoneinfo tell: room, distances, CPUs. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "numa.h"

#define NODE "sys/devices/system/node/node1/"

static void check_zones(const char *text)
{
	char *twice;

	/* A blank line is no zone. */
	CHECK(asprintf(&twice, "\n\n%s", text) > 0);
	CHECK(zoneinfo_low(twice, 1) == zoneinfo_low(text, 1));
	free(twice);
}

static void put(const char *name, const uint8_t *data, size_t size)
{
	CHECK(machine_put(name, data, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_node node = { .size = sizeof(node) };
	static struct cgm_context *ctx;
	cgm_nodeset one = { { 2 } }, two = { { 5 } };
	cgm_cpuset cpus;
	char *text = fuzz_text(data, size);

	if (!ctx)
		ctx = machine_context();
	CHECK(ctx);
	check_zones(text);
	put(NODE "meminfo", data, size);
	put(NODE "distance", data, size);
	put(NODE "cpulist", data, size);
	put(NODE "hugepages/hugepages-2048kB/free_hugepages", data, size);
	put("proc/zoneinfo", data, size);
	CHECK(!cgm_node_read(ctx, 1, &node));
	cgm_node_huge_free(ctx, 1, 2 << 20);
	for (int n = 0; n < 5; n++) {
		int distance = cgm_node_distance(ctx, 1, n);

		CHECK(distance >= 0 || distance == -ENOENT);
	}
	CHECK(cgm_nodeset_has(&two, numa_nearest(ctx, &two, 1)));
	if (!cgm_nodes_cpus(ctx, &one, &cpus))
		fuzz_check_nodes(&cpus);
	free(text);
	return 0;
}
