// SPDX-License-Identifier: LGPL-2.1-or-later
/* Settings of a group, its nodes above all. */
#include <stdlib.h>

#include "core.h"

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
