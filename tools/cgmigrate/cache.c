// SPDX-License-Identifier: GPL-2.0
/*
 * Page cache that no process maps (--cache). With "leave" the library tells the engine
 * so for the moment in which it writes the new nodes. The job's record says where that
 * was going to be; should the command have been killed in that moment, the next one
 * finds the engine told so still, and puts it back.
 */
#include <errno.h>
#include <string.h>

#include "cgmigrate.h"

#define KEY "caches"	/* [path of a cgroup] */

int parse_cache(struct app *app, const char *option, const char *text, enum cgm_cache *out)
{
	static const enum cgm_cache all[] = {
		CGM_CACHE_MOVE, CGM_CACHE_DROP, CGM_CACHE_LEAVE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (strcmp(text, cgm_cache_name(all[i])))
			continue;
		*out = all[i];
		return 0;
	}
	return usage_error(app, "%s \"%s\": can be move, drop or leave", option, text);
}

/* Say in what is told of a target what becomes of its cache, where that was asked for. */
void json_cache(json_t *target, const struct cgm_plan_item *item)
{
	if (item->cache == CGM_CACHE_MOVE)
		return;
	json_object_set_new(target, "cache", json_string(cgm_cache_name(item->cache)));
	json_object_set_new(target, "cache_bytes", json_integer(item->cache_bytes));
}

void print_cache(const struct app *app, const json_t *target)
{
	const char *cache = json_string_value(json_object_get(target, "cache"));
	char size[32];

	if (cache)
		printf(", %s of page cache to %s",
		       size_text(app, json_integer_value(json_object_get(target,
									 "cache_bytes")),
				 size, sizeof(size)), strcmp(cache, "drop") ? "stay" : cache);
}

/* What says the same again, to finish a move. */
const char *cache_option(const json_t *target)
{
	const char *cache = json_string_value(json_object_get(target, "cache"));

	if (!cache)
		return "";
	return strcmp(cache, "drop") ? " --cache leave" : " --cache drop";
}

static bool is_left(struct cgm_group *group)
{
	struct cgm_activity now = { .size = sizeof(now) };

	return !cgm_group_activity(group, &now) && now.leave_cache;
}

/* Say in what a record is made of which cgroups the engine will be told of. */
void cache_record(json_t *object, const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	json_t *list = json_array();

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		if (item.change && item.cache == CGM_CACHE_LEAVE && !is_left(item.group))
			json_array_append_new(list,
					      json_string(cgm_group_path(item.group)));
	if (json_array_size(list))
		json_object_set(object, KEY, list);
	json_decref(list);
}

/* One cgroup of a job that was killed. */
static bool put_back(struct app *app, const char *id, const json_t *left, bool dry)
{
	const char *path = json_string_value(left);
	struct cgm_activity now = { .size = sizeof(now) };
	struct cgm_group *group;
	int err = path ? cgm_group_open(app->ctx, path, &group) : -ENOENT;

	if (err)
		return err == -ENOENT;
	err = cgm_group_activity(group, &now);
	if (!err && now.leave_cache) {
		if (!dry)
			err = cgm_group_leave_cache(group, 0);
		if (!err && dry)
			warn(app, "%s: page cache is still to follow again; job %s, which was killed, had changed that",
			     path, id);
		else if (!err)
			warn(app, "%s: page cache follows again; job %s, which was killed, had changed that",
			     path, id);
	}
	cgm_group_unref(group);
	return !err || err == -ENOENT || err == -ENODEV;
}

/* Put back what jobs that were killed have left behind. */
void cache_put_back(struct app *app, bool dry)
{
	interrupted_walk(app, KEY, put_back, dry);
}
