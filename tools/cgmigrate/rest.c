// SPDX-License-Identifier: GPL-2.0
/*
 * What an apply or an undo that was stopped has left: cgroups that have their nodes
 * already, and memory outside of them. The engine leaves that where its move was
 * stopped. It is brought in when the command goes on.
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

/* Told in @object, if there is any. */
void rest_report(const struct cgm_schedule *schedule, json_t *object)
{
	json_t *list = find_rest(schedule);

	if (json_array_size(list))
		json_object_set(object, "rest", list);
	json_decref(list);
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

static bool is_named(const json_t *list, const char *path)
{
	json_t *rest;
	size_t i;

	json_array_foreach(list, i, rest)
		if (!strcmp(path, json_string_value(json_object_get(rest, "cgroup"))))
			return true;
	return false;
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

		if (is_named(list, cgm_group_path(target.group)) &&
		    !rounds_removed(target.group))
			err = cgm_plan_add(*plan, &move);
	}
	return err ? fail_errno(rounds->app, err) : 0;
}
