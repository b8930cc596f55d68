// SPDX-License-Identifier: GPL-2.0
/*
 * cpuset.memory_migrate of cgroup v1. The library sets it for the moment in which it
 * writes new nodes that memory is to follow, or clears it for one in which memory is not
 * to. The job's record says what was there before; should the command have been killed
 * in that moment, the next one puts it back.
 */
#include <errno.h>
#include <string.h>

#include "cgmigrate.h"

#define KEY "memory_migrate"	/* [{"cgroup": path, "before": 0 or 1}] */

static void add(json_t *list, struct cgm_group *group)
{
	const char *path = cgm_group_path(group);
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (!strcmp(json_string_value(json_object_get(entry, "cgroup")), path))
			return;
	json_array_append_new(list, json_pack("{s:s, s:i}", "cgroup", path, "before",
					      cgm_group_memory_migrate(group)));
}

static void set(json_t *object, json_t *list)
{
	if (json_array_size(list))
		json_object_set(object, KEY, list);
	json_decref(list);
}

/* The engine needs it set, and moves page by page have it cleared. */
static bool may_change(const struct cgm_plan_item *item)
{
	bool on = cgm_group_memory_migrate(item->group);

	return item->backend == CGM_BACKEND_ENGINE_V1 ? !on : on;
}

/* Say in what a record is made of where it may be changed. */
void migrate_record(const struct app *app, json_t *object, const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	json_t *list;

	if (app->features.cpuset_version != 1)
		return;
	list = json_array();
	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		if (item.change && item.group &&
		    (item.action == CGM_ACTION_MEMS || item.action == CGM_ACTION_ATTACH) &&
		    may_change(&item))
			add(list, item.group);
	set(object, list);
}

/* The same for moves that a schedule will make, one after the other. */
void migrate_record_schedule(const struct app *app, json_t *object,
			     const struct cgm_schedule *schedule)
{
	struct cgm_step step = { .size = sizeof(step) };
	json_t *list;

	if (app->features.cpuset_version != 1)
		return;
	list = json_array();
	for (size_t i = 0; !cgm_schedule_step(schedule, i, &step); i++)
		add(list, step.group);
	set(object, list);
}

/* One cgroup of a job that was killed. */
static bool put_back(struct app *app, const char *id, const json_t *entry, bool dry)
{
	const char *path = json_string_value(json_object_get(entry, "cgroup"));
	int before = json_integer_value(json_object_get(entry, "before"));
	struct cgm_group *group;
	int err = path ? cgm_group_open(app->ctx, path, &group) : -ENOENT;

	if (err)
		return err == -ENOENT;
	if (cgm_group_memory_migrate(group) != before) {
		if (!dry)
			err = cgm_group_set_memory_migrate(group, before);
		if (!err && dry)
			warn(app, "%s: the cpuset.memory_migrate that job %s, which was killed, had changed is still to be put back",
			     path, id);
		else if (!err)
			warn(app, "%s: put back the cpuset.memory_migrate that job %s, which was killed, had changed",
			     path, id);
	}
	cgm_group_unref(group);
	return !err || err == -ENOENT || err == -ENODEV;
}

/* Put back what jobs that were killed have left behind. */
void migrate_put_back(struct app *app, bool dry)
{
	interrupted_walk(app, KEY, put_back, dry);
}
