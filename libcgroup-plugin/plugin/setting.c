// SPDX-License-Identifier: LGPL-2.1-or-later
/* Settings of a group, its nodes above all. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.h"

/* ---- nodes that the kernel would refuse ---- */

static bool is_subset(const cgm_nodeset *nodes, const cgm_nodeset *of)
{
	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n))
		if (!cgm_nodeset_has(of, n))
			return false;
	return true;
}

static bool parent_has(struct event *event, struct cgm_group *group, const cgm_nodeset *nodes)
{
	const char *path = cgm_group_path(group), *slash = strrchr(path, '/');
	struct cgm_group *parent;
	cgm_nodeset have;
	char *above;
	bool has;

	if (asprintf(&above, "%.*s", slash == path ? 1 : (int)(slash - path), path) < 0)
		return false;
	if (cgm_group_open(event->ctx, above, &parent)) {
		free(above);
		return false;
	}
	has = !cgm_group_mems(parent, &have) && is_subset(nodes, &have);
	cgm_group_unref(parent);
	free(above);
	return has;
}

struct beneath {
	const char *top;
	const cgm_nodeset *nodes;
};

/* Does one below have a node that is not among them? Then the walk stops. */
static int has_others(struct cgm_group *group, void *data)
{
	const struct beneath *beneath = data;
	cgm_nodeset have;

	if (!strcmp(cgm_group_path(group), beneath->top))
		return 0;
	return cgm_group_mems(group, &have) || !is_subset(&have, beneath->nodes);
}

/*
 * Would the kernel take the nodes of a call? Of no nodes at all it is not known. What
 * exclusive cpusets of v1 rule out is not looked at.
 */
bool settings_taken(struct event *event, struct cgm_group *group)
{
	cgm_nodeset nodes;
	struct beneath beneath = { .top = cgm_group_path(group), .nodes = &nodes };
	int fd;

	if (cgm_nodeset_parse(event->call.mems, &nodes) || !cgm_nodeset_weight(&nodes) ||
	    !is_subset(&nodes, &event->features.memory))
		return false;
	fd = cgm_group_open_file(group, "cpuset.mems", O_WRONLY);
	if (fd < 0)
		return false;
	close(fd);
	return !event_is_v1(event) || (parent_has(event, group, &nodes) &&
				       !cgm_group_walk(group, has_others, &beneath));
}

/* ---- changing them ---- */

/* Change the nodes with the library. */
static enum verdict change_nodes(struct event *event, struct cgm_group *group)
{
	struct cgm_move move = { .action = CGM_ACTION_MEMS, .group = group };

	if (cgm_nodeset_parse(event->call.mems, &move.to) ||
	    !cgm_nodeset_weight(&move.to) || !event_follows(event, group))
		return CALL_REAL;
	if (!config_get()->no_wait || whereabouts_bytes(&event->before) < SMALL_BYTES) {
		event->moved = !event_move(event, "mems", &move);
		return CALL_REAL;	/* finds it done, and says so */
	}
	if (helper_start(event)) {
		event->moved = !event_move(event, "mems", &move);
		helper_finish(event);
	}
	return event->handed_over ? CALL_DEFERRED : CALL_REAL;
}

enum verdict settings_begin(struct event *event)
{
	struct cgm_group *group = event_group(event, event->call.group);
	enum verdict verdict = CALL_REAL;

	if (!group)
		return CALL_REAL;
	whereabouts_of_group(group, &event->before);
	if (event->call.mems) {
		whereabouts_read_memory(group, &event->before);
		verdict = change_nodes(event, group);
	}
	cgm_group_unref(group);
	return verdict;
}

json_t *settings_end(struct event *event, int returned)
{
	struct cgm_group *group = event_group(event, event->call.group);
	struct whereabouts after;
	json_t *json;
	bool changed;

	if (!group)
		return NULL;
	whereabouts_of_group(group, &after);
	changed = !cgm_nodeset_equal(&after.nodes, &event->before.nodes);
	if (changed || event->call.mems)
		whereabouts_read_memory(group, &after);
	if (!returned && changed && after.memory && cgm_placement_stray(after.memory) &&
	    event_settles(event, group)) {
		event_settle_group(event, group);
		whereabouts_read_memory(group, &after);
	}
	json = report_whereabouts(event, &after);
	whereabouts_clear(&after);
	cgm_group_unref(group);
	return json;
}
