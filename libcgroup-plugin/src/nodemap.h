/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which node's memory goes where in one move. */
#ifndef CGM_NODEMAP_H
#define CGM_NODEMAP_H

#include "private.h"

struct nodemap {
	enum cgm_map_rule rule;	/* for nodes that no pair names */
	struct cgm_node_pair *pairs;
	size_t count;
	cgm_nodeset named;	/* the nodes that pairs leave */
	cgm_nodeset only;	/* only what is on these leaves them; empty: all */
};

int nodemap_init(struct nodemap *map, const struct cgm_move *move);
void nodemap_exit(struct nodemap *map);
bool nodemap_plain(const struct nodemap *map);
void nodemap_make(struct cgm_context *ctx, const struct nodemap *map,
		  const cgm_nodeset *from, const cgm_nodeset *to, int *dest, int nodes);
int nodemap_order(const int *const *dests, size_t count, int nodes, int *order);

#endif /* CGM_NODEMAP_H */
