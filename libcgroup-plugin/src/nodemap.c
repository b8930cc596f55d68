// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which node's memory goes where in one move: by rule, by distance, or as named
 * one by one. Nothing here but distances is read from the system.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nodemap.h"
#include "numa.h"

CGM_PUBLIC const char *cgm_map_rule_name(enum cgm_map_rule rule)
{
	return rule == CGM_MAP_DISTANCE ? "distance" : "relative";
}

static int parse_pair(const char **p, struct cgm_node_pair *pair)
{
	int err = node_parse(p, &pair->from);

	if (!err && *(*p)++ != ':')
		err = -EINVAL;
	return err ? err : node_parse(p, &pair->to);
}

/* Pairs with a comma between them; there is room for as many as there can be. */
static int parse_pairs(const char *text, struct cgm_node_pair *pairs, size_t *count)
{
	cgm_nodeset named = { 0 };
	size_t n = 0;

	for (const char *p = text;; p++) {
		int err = parse_pair(&p, &pairs[n]);

		if (err)
			return err;
		if (cgm_nodeset_has(&named, pairs[n].from))
			return -EEXIST;
		cgm_nodeset_add(&named, pairs[n++].from);
		if (*p != ',') {
			*count = n;
			return *p ? -EINVAL : 0;
		}
	}
}

CGM_PUBLIC int cgm_map_parse(const char *text, enum cgm_map_rule *rule,
			     struct cgm_node_pair **pairs, size_t *count)
{
	int err;

	*rule = CGM_MAP_RELATIVE;
	*pairs = NULL;
	*count = 0;
	if (!strcmp(text, cgm_map_rule_name(CGM_MAP_RELATIVE)))
		return 0;
	if (!strcmp(text, cgm_map_rule_name(CGM_MAP_DISTANCE))) {
		*rule = CGM_MAP_DISTANCE;
		return 0;
	}
	*pairs = calloc(CGM_NODES_MAX + 1, sizeof(**pairs));
	if (!*pairs)
		return -ENOMEM;
	err = parse_pairs(text, *pairs, count);
	if (err) {
		free(*pairs);
		*pairs = NULL;
		*count = 0;
	}
	return err;
}

/* Take over what a move says. Callers that know less of it say nothing. */
int nodemap_init(struct nodemap *map, const struct cgm_move *move)
{
	memset(map, 0, sizeof(*map));
	if (!HAS_MEMBER(move, only))
		return 0;
	map->rule = move->rule;
	map->only = move->only;
	if (!move->pair_count)
		return 0;
	map->pairs = calloc(move->pair_count, sizeof(*map->pairs));
	if (!map->pairs)
		return -ENOMEM;
	memcpy(map->pairs, move->pairs, move->pair_count * sizeof(*map->pairs));
	map->count = move->pair_count;
	for (size_t i = 0; i < map->count; i++)
		cgm_nodeset_add(&map->named, map->pairs[i].from);
	return 0;
}

void nodemap_exit(struct nodemap *map)
{
	free(map->pairs);
	map->pairs = NULL;
}

/* Does it say nothing but what the kernel does by itself? */
bool nodemap_plain(const struct nodemap *map)
{
	return map->rule == CGM_MAP_RELATIVE && !map->count &&
	       !cgm_nodeset_weight(&map->only);
}

static void by_place(struct cgm_context *ctx, const cgm_nodeset *from,
		     const cgm_nodeset *to, int *dest, int nodes)
{
	for (int n = 0; n < nodes; n++) {
		dest[n] = cgm_nodemap(from, to, n);
		if (dest[n] == CGM_NODE_NEAREST)
			dest[n] = numa_nearest(ctx, to, n);
	}
}

/* The nearest node of a set; among equals the one with least load, then the first. */
static int nearest(struct cgm_context *ctx, const cgm_nodeset *to, int node,
		   const int *load, bool *tied)
{
	int best = -1, best_distance = 0;

	*tied = false;
	for (int n = cgm_nodeset_next(to, -1); n >= 0; n = cgm_nodeset_next(to, n)) {
		int distance = numa_distance(ctx, node, n);

		if (best >= 0 && distance == best_distance)
			*tied = true;
		if (best >= 0 && (distance > best_distance ||
				  (distance == best_distance && load[n] >= load[best])))
			continue;
		if (distance < best_distance)
			*tied = false;
		best = n;
		best_distance = distance;
	}
	return best;
}

/*
 * Every old node to the new one that is nearest to it. Those that have no choice
 * come first, so that the others see all of that load.
 */
static void by_distance(struct cgm_context *ctx, const cgm_nodeset *from,
			const cgm_nodeset *to, const cgm_nodeset *fixed, int *dest,
			int nodes)
{
	int load[CGM_NODES_MAX] = { 0 };

	for (int n = 0; n < nodes; n++)
		if (cgm_nodeset_has(from, n) && cgm_nodeset_has(fixed, n) && dest[n] >= 0)
			load[dest[n]]++;
	for (int choice = 0; choice < 2; choice++)
		for (int n = 0; n < nodes; n++) {
			bool tied;
			int best;

			if (!cgm_nodeset_has(from, n) || cgm_nodeset_has(fixed, n))
				continue;
			best = nearest(ctx, to, n, load, &tied);
			if (best < 0 || tied != choice)
				continue;
			dest[n] = best;
			load[best]++;
		}
}

/* What stays because it is not to leave, and what is named; the others can follow. */
static void set_fixed(const struct nodemap *map, const cgm_nodeset *to, int *dest,
		      int nodes, cgm_nodeset *fixed)
{
	cgm_nodeset_clear(fixed);
	for (int n = 0; n < nodes; n++) {
		if (!cgm_nodeset_weight(&map->only) || cgm_nodeset_has(&map->only, n) ||
		    !cgm_nodeset_has(to, n))
			continue;
		dest[n] = n;
		cgm_nodeset_add(fixed, n);
	}
	for (size_t i = 0; i < map->count; i++) {
		const struct cgm_node_pair *pair = &map->pairs[i];

		if (pair->from >= nodes || !cgm_nodeset_has(to, pair->to))
			continue;
		dest[pair->from] = pair->to;
		cgm_nodeset_add(fixed, pair->from);
	}
}

/*
 * For every node below @nodes: where its memory goes when the nodes change from
 * @from to @to. The node itself where it stays, -1 for all when @to is empty.
 */
void nodemap_make(struct cgm_context *ctx, const struct nodemap *map,
		  const cgm_nodeset *from, const cgm_nodeset *to, int *dest, int nodes)
{
	cgm_nodeset fixed;

	by_place(ctx, from, to, dest, nodes);
	set_fixed(map, to, dest, nodes, &fixed);
	if (map->rule == CGM_MAP_DISTANCE)
		by_distance(ctx, from, to, &fixed, dest, nodes);
}

/* Does one of the maps move what is on this node to one that has still to be left? */
static bool enters_full(const int *const *dests, size_t count, int node, const bool *leave)
{
	for (size_t i = 0; i < count; i++) {
		int to = dests[i][node];

		if (to >= 0 && to != node && leave[to])
			return true;
	}
	return false;
}

/*
 * The nodes that something leaves, in an order in which every node is left before
 * it is entered. Several maps are taken together: processes of different cpusets
 * may share pages. Returns how many, or -1 when there is no such order.
 */
int nodemap_order(const int *const *dests, size_t count, int nodes, int *order)
{
	bool leave[CGM_NODES_MAX] = { false };
	int left = 0, used = 0;

	for (int n = 0; n < nodes; n++) {
		for (size_t i = 0; i < count; i++)
			leave[n] |= dests[i][n] >= 0 && dests[i][n] != n;
		left += leave[n];
	}
	while (used < left) {
		int before = used;

		for (int n = 0; n < nodes; n++) {
			if (!leave[n] || enters_full(dests, count, n, leave))
				continue;
			leave[n] = false;
			order[used++] = n;
		}
		if (used == before)
			return -1;
	}
	return used;
}
