/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Room on nodes, and how far they are from each other. */
#ifndef CGM_NUMA_H
#define CGM_NUMA_H

#include "private.h"

struct node_room {
	uint64_t free;		/* bytes free */
	uint64_t low;		/* bytes below which the kernel starts to reclaim */
	uint64_t reclaimable;	/* bytes of clean page cache and slab */
};

uint64_t zoneinfo_low(const char *text, int node);
int numa_low(struct cgm_context *ctx, int node, uint64_t *low);
int numa_free(struct cgm_context *ctx, int node, uint64_t *bytes);
int numa_room(struct cgm_context *ctx, int node, struct node_room *room);
uint64_t numa_hugetlb_free(struct cgm_context *ctx, int node, uint64_t page_size);
int numa_distance(struct cgm_context *ctx, int from, int to);
int numa_nearest(struct cgm_context *ctx, const cgm_nodeset *set, int node);

#endif /* CGM_NUMA_H */
