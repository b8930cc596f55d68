// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Groups that are made, by a command or out of a configuration file. That can
 * change the nodes of any group, so all are looked at before and after.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

static int see_group(struct cgm_group *group, void *data)
{
	struct event *event = data;
	struct seen_group *more;

	if (!cgm_group_has_cpuset(group))
		return 0;
	more = realloc(event->tree, (event->tree_count + 1) * sizeof(*more));
	if (!more)
		return 1;
	event->tree = more;
	more += event->tree_count;
	cgm_nodeset_clear(&more->nodes);
	cgm_group_effective_mems(group, &more->nodes);
	more->path = strdup(cgm_group_path(group));
	event->tree_count += !!more->path;
	return 0;
}

void tree_begin(struct event *event)
{
	struct cgm_group *root;

	if (cgm_group_open(event->ctx, "/", &root))
		return;
	cgm_group_walk(root, see_group, event);
	cgm_group_unref(root);
}

static bool is_below(const char *path, const char *above)
{
	size_t len = above ? strlen(above) : 0;

	return len && !strncmp(path, above, len) && path[len] == '/';
}

/* A group whose nodes have changed: told, and what is outside brought in. */
static bool changed(struct event *event, const struct seen_group *seen, bool settle)
{
	struct cgm_group *group;
	struct whereabouts now;
	bool differs = false;

	if (cgm_group_open(event->ctx, seen->path, &group))
		return false;
	whereabouts_of_group(group, &now);
	if (!cgm_nodeset_equal(&now.nodes, &seen->nodes)) {
		differs = true;
		whereabouts_read_memory(group, &now);
		if (settle && now.memory && cgm_placement_stray(now.memory) &&
		    event_settles(event, group)) {
			event_settle_group(event, group);
			whereabouts_read_memory(group, &now);
		}
		json_array_append_new(event->groups,
				      json_pack("{s:s, s:o, s:o}", "cgroup", seen->path,
						"from", report_nodes(&seen->nodes), "after",
						report_whereabouts(event, &now)));
	}
	whereabouts_clear(&now);
	cgm_group_unref(group);
	return differs;
}

/* Parents come first; settling one settles all that is below. */
void tree_end(struct event *event)
{
	const char *above = NULL;

	event->groups = json_array();
	for (size_t i = 0; i < event->tree_count; i++) {
		const struct seen_group *seen = &event->tree[i];
		bool covered = is_below(seen->path, above);

		if (changed(event, seen, !covered) && !covered)
			above = seen->path;
	}
}
