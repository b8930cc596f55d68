// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where is the memory of a cgroup? Usage: where /web */
#include <err.h>
#include <libcgmigrate.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct cgm_features features = { .size = sizeof(features) };
	struct cgm_placement *placement;
	struct cgm_context *ctx;
	struct cgm_group *group;

	if (argc != 2)
		errx(2, "usage: where CGROUP");
	if (cgm_context_new(&ctx, NULL))
		errx(1, "cannot look at this system");
	if (cgm_group_open(ctx, argv[1], &group) ||
	    cgm_placement_read(group, 0, &placement))
		errx(1, "%s", cgm_context_error(ctx));

	cgm_context_features(ctx, &features);
	for (int node = cgm_nodeset_next(&features.memory, -1); node >= 0;
	     node = cgm_nodeset_next(&features.memory, node))
		printf("node %d: %llu bytes\n", node,
		       (unsigned long long)cgm_placement_bytes(placement,
							       CGM_KIND_MOVABLE, node));
	printf("outside its nodes: %llu bytes\n",
	       (unsigned long long)cgm_placement_stray(placement));

	cgm_placement_free(placement);
	cgm_group_unref(group);
	cgm_context_free(ctx);
	return 0;
}
