// SPDX-License-Identifier: GPL-2.0
/*
 * What an apply or an undo that was stopped has left. The engine leaves cgroups that
 * have their nodes already, and memory outside of them: that is brought in when the
 * command goes on. A stock kernel's cgroup is left with the old and the new nodes, and
 * the order of the nodes in that mask says nothing: then the journal says which node's
 * memory goes where.
 */
#include <string.h>

#include "rounds.h"

/* Nobody knows of what cannot be read. */
static uint64_t stray_bytes(struct cgm_group *group)
{
	struct cgm_placement *placement;
	uint64_t bytes;

	if (cgm_placement_read(group, 0, &placement))
		return 0;
	bytes = cgm_placement_stray(placement);
	cgm_placement_free(placement);
	return bytes;
}

static bool is_below(const char *path, const char *above)
{
	size_t len = strlen(above);

	return !strncmp(path, above, len) && path[len] == '/';
}

/* Memory of those below it is brought in with a cgroup. */
static bool comes_with(const json_t *list, const char *path)
{
	json_t *rest;
	size_t i;

	json_array_foreach(list, i, rest)
		if (is_below(path, json_string_value(json_object_get(rest, "cgroup"))))
			return true;
	return false;
}

/* Does the schedule change its nodes? Then what is outside comes along. */
static bool is_changed(const struct cgm_schedule_target *target)
{
	return !cgm_nodeset_equal(&target->from, &target->to) ||
	       !cgm_nodeset_equal(&target->before, &target->after);
}

static bool nodes_of(const json_t *target, const char *key, cgm_nodeset *set)
{
	const char *list = json_string_value(json_object_get(target, key));

	return list && !cgm_nodeset_parse(list, set) && cgm_nodeset_weight(set);
}

static const json_t *find_target(const json_t *targets, const char *path)
{
	json_t *target;
	size_t i;

	json_array_foreach(targets, i, target)
		if (!strcmp(path, json_string_value(json_object_get(target, "cgroup"))))
			return target;
	return NULL;
}

/* The nodes in force before and after, by the journal. False: it does not say. */
static bool journal_nodes(const json_t *targets, struct cgm_group *group, cgm_nodeset *old,
			  cgm_nodeset *new)
{
	const json_t *target = find_target(targets, cgm_group_path(group));

	return (nodes_of(target, "before", old) || nodes_of(target, "from", old)) &&
	       (nodes_of(target, "after", new) || nodes_of(target, "to", new));
}

/* ---- memory outside of the nodes ---- */

/* Those of a schedule whose nodes stay and that have memory outside of them. */
static json_t *find_rest(const struct cgm_schedule *schedule)
{
	struct cgm_schedule_target target = { .size = sizeof(target) };
	json_t *list = json_array();

	for (size_t i = 0; !cgm_schedule_target(schedule, i, &target); i++) {
		const char *path = cgm_group_path(target.group);
		uint64_t bytes = is_changed(&target) ? 0 : stray_bytes(target.group);

		if (bytes && !comes_with(list, path))
			json_array_append_new(list,
				json_pack("{s:o, s:I}", "cgroup", json_text(path), "bytes",
					  (json_int_t)bytes));
	}
	return list;
}

/* Nodes of old and new that memory of others has gone to, or will. */
static bool find_mixed(const cgm_nodeset *old, const cgm_nodeset *new, cgm_nodeset *mixed)
{
	cgm_nodeset_clear(mixed);
	for (int n = cgm_nodeset_next(old, -1); n >= 0; n = cgm_nodeset_next(old, n)) {
		int to = cgm_nodemap(old, new, n);

		if (to != n && cgm_nodeset_has(old, to))
			cgm_nodeset_add(mixed, to);
	}
	return cgm_nodeset_weight(mixed);
}

static bool is_wide(const cgm_nodeset *now, const cgm_nodeset *old, const cgm_nodeset *new)
{
	cgm_nodeset both;

	cgm_nodeset_or(&both, old, new);
	return cgm_nodeset_equal(now, &both) && !cgm_nodeset_equal(now, old) &&
	       !cgm_nodeset_equal(now, new);
}

/* Was it stopped on the way, with a part of its memory moved? */
static bool is_half_way(const struct cgm_schedule_target *target, const cgm_nodeset *old,
			const cgm_nodeset *new, bool back)
{
	if (!back && cgm_nodeset_equal(&target->before, old))
		return false;
	return is_wide(&target->before, old, new) || stray_bytes(target->group);
}

/* What cannot be set right. */
static void note_mixed(const struct cgm_schedule_target *target, const json_t *targets,
		       bool back, json_t *object)
{
	cgm_nodeset old, new, mixed;
	char list[256];

	if (!journal_nodes(targets, target->group, &old, &new) ||
	    !find_mixed(&old, &new, &mixed) || !is_half_way(target, &old, &new, back))
		return;
	json_array_append_new(json_object_get(object, "notes"),
		json_pack("{s:s, s:o}", "severity", "note", "message",
			  json_textf("%s: " MIXED_TEXT, cgm_group_path(target->group),
				     nodes_text(&mixed, list, sizeof(list)))));
}

/* Told in @object: what is brought in, if there is any, and what cannot be set right. */
void rest_report(const struct cgm_schedule *schedule, const json_t *targets, bool back,
		 json_t *object)
{
	struct cgm_schedule_target target = { .size = sizeof(target) };
	json_t *list = find_rest(schedule);

	if (json_array_size(list))
		json_object_set(object, "rest", list);
	json_decref(list);
	for (size_t i = 0; !cgm_schedule_target(schedule, i, &target); i++)
		note_mixed(&target, targets, back, object);
}

/* Returns whether there is any. */
bool print_rest(struct app *app, const json_t *object)
{
	const json_t *list = json_object_get(object, "rest"), *rest;
	char size[32];
	size_t i;

	json_array_foreach(list, i, rest)
		say("%s: %s outside its nodes are brought in\n",
		    json_string_value(json_object_get(rest, "cgroup")),
		    size_text(app, json_integer_value(json_object_get(rest, "bytes")), size,
			      sizeof(size)));
	return json_array_size(list);
}

/* All that was told, in one plan. 0, or an exit code. */
int rest_plan(const struct rounds *rounds, struct cgm_plan **plan)
{
	const json_t *list = json_object_get(rounds->object, "rest");
	struct cgm_schedule_target target = { .size = sizeof(target) };
	int err = cgm_plan_new(rounds->app->ctx, plan);

	for (size_t i = 0; !err && !cgm_schedule_target(rounds->schedule, i, &target); i++) {
		struct cgm_move move = {
			.size = sizeof(move), .action = CGM_ACTION_SETTLE,
			.group = target.group,
		};

		if (find_target(list, cgm_group_path(target.group)) &&
		    !rounds_removed(target.group))
			err = cgm_plan_add(*plan, &move);
	}
	return err ? fail_errno(rounds->app, err) : 0;
}

/* ---- the old and the new nodes at once ---- */

/* Where what is on a node is to go now; negative: wherever it is nearest. */
static int destination(const cgm_nodeset *old, const cgm_nodeset *new,
		       const cgm_nodeset *goal, int node)
{
	bool both = cgm_nodeset_has(old, node) && cgm_nodeset_has(new, node);

	/* Nobody knows whether that has moved. */
	if (both && cgm_nodeset_has(goal, node))
		return node;
	return cgm_nodemap(cgm_nodeset_has(new, node) ? new : old, goal, node);
}

/* By a process only, and that may not be allowed to use the nodes. */
static bool can_map(const struct app *app, const cgm_nodeset *goal)
{
	return app->features.backend != CGM_BACKEND_ENGINE_V2 &&
	       app->features.backend != CGM_BACKEND_ENGINE_V1 &&
	       cgm_nodeset_subset(goal, &app->features.own);
}

/*
 * Pairs of nodes for a step from a mask with the old and the new nodes; there is room
 * for CGM_NODES_MAX. Returns how many: 0 where the kernel's order is right.
 */
size_t rest_pairs(const struct rounds *rounds, const struct cgm_step *step,
		  struct cgm_node_pair *pairs)
{
	cgm_nodeset old, new;
	size_t count = 0;

	if (!rounds->by_journal || !can_map(rounds->app, &step->to) ||
	    !journal_nodes(rounds->targets, step->group, &old, &new) ||
	    !is_wide(&step->from, &old, &new))
		return 0;
	for (int n = cgm_nodeset_next(&step->from, -1); n >= 0;
	     n = cgm_nodeset_next(&step->from, n)) {
		int to = destination(&old, &new, &step->to, n);

		if (to >= 0)
			pairs[count++] = (struct cgm_node_pair){ .from = n, .to = to };
	}
	return count;
}
