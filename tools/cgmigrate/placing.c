// SPDX-License-Identifier: GPL-2.0
/* Which node's memory goes where (--map, --from): read, told, and said again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

int parse_map(struct app *app, const char *option, const char *text, struct placing *out)
{
	int err;

	placing_free(out);
	err = cgm_map_parse(text, &out->rule, &out->pairs, &out->count);
	if (err == -ENOMEM)
		return fail(app, EXIT_FAILED, "out of memory");
	if (err == -ERANGE)
		return usage_error(app, "%s %s: node numbers end at %d", option, text,
				   CGM_NODES_MAX - 1);
	if (err == -EEXIST)
		return usage_error(app, "%s %s: a node is named twice as the one to leave",
				   option, text);
	if (err)
		return usage_error(app, "%s \"%s\": can be relative, distance or pairs of nodes such as 0:2,1:3",
				   option, text);
	return 0;
}

void placing_free(struct placing *placing)
{
	free(placing->pairs);
	placing->pairs = NULL;
	placing->count = 0;
}

/* Do --map, --from and --to go together? */
int placing_check(struct app *app, const struct placing *placing, const cgm_nodeset *to)
{
	char list[256];

	for (size_t i = 0; i < placing->count; i++) {
		const struct cgm_node_pair *pair = &placing->pairs[i];

		if (!cgm_nodeset_has(to, pair->to))
			return usage_error(app, "--map %d:%d: node %d is not one of those of --to (%s)",
					   pair->from, pair->to, pair->to,
					   nodes_text(to, list, sizeof(list)));
		if (cgm_nodeset_weight(&placing->only) && pair->from != pair->to &&
		    !cgm_nodeset_has(&placing->only, pair->from))
			return usage_error(app, "--map %d:%d: node %d is not one of those of --from (%s)",
					   pair->from, pair->to, pair->from,
					   nodes_text(&placing->only, list, sizeof(list)));
	}
	return 0;
}

/* ---- told ---- */

static bool concerns(const struct cgm_plan *plan, size_t index,
		     const struct cgm_plan_item *item, const struct cgm_plan_map *map,
		     int node)
{
	int to = cgm_plan_destination(plan, index, node);

	return cgm_nodeset_has(&item->from, node) || cgm_nodeset_has(&map->named, node) ||
	       cgm_nodeset_has(&map->only, node) || cgm_plan_bytes(plan, index, node, to);
}

/* What goes where, for every node that memory can be on; NULL: each its own way. */
json_t *json_nodemap(const struct app *app, const struct cgm_plan *plan, size_t index,
		     const struct cgm_plan_item *item)
{
	const cgm_nodeset *online = &app->features.online;
	struct cgm_plan_map map = { .size = sizeof(map) };
	json_t *nodes, *object;

	if (cgm_plan_map(plan, index, &map))
		return NULL;
	nodes = json_array();
	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n))
		if (concerns(plan, index, item, &map, n))
			json_array_append_new(nodes,
				json_pack("{s:i, s:i}", "from", n, "to",
					  cgm_plan_destination(plan, index, n)));
	object = json_pack("{s:s, s:o}", "rule",
			   cgm_nodeset_weight(&map.named) ? "pairs" :
			   cgm_map_rule_name(map.rule), "nodes", nodes);
	if (cgm_nodeset_weight(&map.only))
		json_object_set_new(object, "from", json_nodes(&map.only));
	return object;
}

/* Is it what happens when nothing is said? */
bool map_is_plain(const json_t *target)
{
	const json_t *map = json_object_get(target, "map");
	const char *rule = json_string_value(json_object_get(map, "rule"));

	return !rule || (!strcmp(rule, "relative") && !json_object_get(map, "from"));
}

void print_map_rule(const json_t *target)
{
	const json_t *map = json_object_get(target, "map");
	const char *from = json_string_value(json_object_get(map, "from"));

	if (map_is_plain(target))
		return;
	printf(", map %s", json_string_value(json_object_get(map, "rule")));
	if (from)
		printf(", from %s only", from);
}

/* ---- said again, to go on or back ---- */

static int node_of(const json_t *entry, const char *key)
{
	return json_integer_value(json_object_get(entry, key));
}

static void nodes_in(const json_t *target, const char *key, cgm_nodeset *set)
{
	const char *list = json_string_value(json_object_get(target, key));

	cgm_nodeset_clear(set);
	if (list)
		cgm_nodeset_parse(list, set);
}

static bool has_node(const json_t *target, const char *key, int node)
{
	cgm_nodeset set;

	nodes_in(target, key, &set);
	return cgm_nodeset_has(&set, node);
}

/* The first other node whose memory goes to this one, or -1. */
static int comes_from(const json_t *nodes, int node)
{
	json_t *entry;
	size_t i;

	json_array_foreach(nodes, i, entry)
		if (node_of(entry, "to") == node && node_of(entry, "from") != node)
			return node_of(entry, "from");
	return -1;
}

/*
 * Where what is on a node has to go when a move was stopped. What was moved to a node
 * that is left, too, cannot be told from what is to leave it: that stays.
 */
static int way_on(const json_t *target, const json_t *entry)
{
	int from = node_of(entry, "from");

	if (has_node(target, "to", from) &&
	    comes_from(json_object_get(json_object_get(target, "map"), "nodes"), from) >= 0)
		return from;
	return node_of(entry, "to");
}

struct pair_list {
	char *text;		/* empty while there is none */
	size_t size;
	cgm_nodeset seen;	/* nodes that are left */
	const cgm_nodeset *now;	/* nodes in force */
	cgm_nodeset goal;	/* and those to come */
	bool needed;		/* one goes where it would not go by itself */
};

/* A node that was named is not named again. */
static void add_pair(struct pair_list *list, int from, int to)
{
	size_t len = strlen(list->text);
	int own;

	if (cgm_nodeset_has(&list->seen, from))
		return;
	own = cgm_nodemap(list->now, &list->goal, from);
	list->needed |= own != CGM_NODE_NEAREST && own != to;
	cgm_nodeset_add(&list->seen, from);
	snprintf(list->text + len, list->size - len, "%s%d:%d", len ? "," : " --map ", from,
		 to);
}

static bool add_way_on(const json_t *target, const json_t *entry, struct pair_list *list)
{
	int from = node_of(entry, "from"), to = way_on(target, entry);

	add_pair(list, from, to);
	return from != to;
}

static bool add_way_back(const json_t *target, const json_t *entry, struct pair_list *list)
{
	int from = node_of(entry, "from"), to = node_of(entry, "to");

	if (!has_node(target, "from", from))
		return false;
	if (has_node(target, "to", from))
		add_pair(list, from, from);
	if (has_node(target, "from", to))
		return false;
	add_pair(list, to, from);
	return true;
}

/*
 * Is the mask that of a move half-way, with the old and the new nodes? The order of the
 * nodes in it says nothing of where their memory is to go.
 */
static bool is_half_way(const json_t *target, const cgm_nodeset *now)
{
	cgm_nodeset from, to, both;

	nodes_in(target, "from", &from);
	nodes_in(target, "to", &to);
	cgm_nodeset_or(&both, &from, &to);
	return cgm_nodeset_equal(now, &both) && !cgm_nodeset_equal(now, &from) &&
	       !cgm_nodeset_equal(now, &to);
}

/*
 * The option that ends a move which was stopped when the nodes were @now, or takes it
 * back; empty when none is needed. False when nothing would move unless a mask is changed.
 */
bool map_option(const json_t *target, const cgm_nodeset *now, bool back, char *buf,
		size_t size)
{
	const json_t *nodes = json_object_get(json_object_get(target, "map"), "nodes");
	struct pair_list list = { .text = buf, .size = size, .now = now };
	bool plain = map_is_plain(target), moves = plain;
	json_t *entry;
	size_t i;

	*buf = '\0';
	if (plain && !is_half_way(target, now))
		return true;
	nodes_in(target, back ? "from" : "to", &list.goal);
	json_array_foreach(nodes, i, entry)
		moves |= back ? add_way_back(target, entry, &list) :
				add_way_on(target, entry, &list);
	if (plain && !list.needed)
		*buf = '\0';
	return moves;
}

/*
 * Old nodes that are new ones, too, and that memory of others goes to: what has come there
 * cannot be told from what was there.
 */
bool map_mixed(const json_t *target, cgm_nodeset *mixed)
{
	const json_t *nodes = json_object_get(json_object_get(target, "map"), "nodes");
	json_t *entry;
	size_t i;

	cgm_nodeset_clear(mixed);
	json_array_foreach(nodes, i, entry) {
		int from = node_of(entry, "from"), to = node_of(entry, "to");

		if (from != to && has_node(target, "from", from) &&
		    has_node(target, "from", to))
			cgm_nodeset_add(mixed, to);
	}
	return cgm_nodeset_weight(mixed);
}
