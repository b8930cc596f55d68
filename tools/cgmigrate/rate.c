// SPDX-License-Identifier: GPL-2.0
/*
 * The limit that a move sets for itself (--rate). With the engine it is that of
 * the cgroups, and put back at the end; a command that is killed cannot. So the
 * job's record says which limits it was going to set and what was there before,
 * and the next command that finds its process gone, and nothing moving there any
 * more, puts that back.
 */
#include <errno.h>
#include <string.h>

#include "cgmigrate.h"

#define KEY "limits"	/* [{"cgroup": path, "rate": ours, "before": rate or null}] */

static json_t *json_rate(uint64_t rate)
{
	return rate == CGM_RATE_MAX ? json_null() : json_integer(rate);
}

static const json_t *find(const json_t *limits, const char *path)
{
	json_t *limit;
	size_t i;

	json_array_foreach(limits, i, limit)
		if (!strcmp(json_string_value(json_object_get(limit, "cgroup")), path))
			return limit;
	return NULL;
}

static void add_limit(json_t *limits, const struct cgm_group *group, uint64_t rate)
{
	const char *path = cgm_group_path(group);

	if (!find(limits, path))
		json_array_append_new(limits, json_pack("{s:s, s:I}", "cgroup", path, "rate",
							(json_int_t)rate));
}

/* Say in what a record is made of which cgroups will have a limit. */
void rate_plan(json_t *object, const struct cgm_plan *plan, uint64_t rate)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	json_t *limits;

	if (!rate)
		return;
	limits = json_array();
	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		if (!item.change || (item.backend != CGM_BACKEND_ENGINE_V2 &&
				     item.backend != CGM_BACKEND_ENGINE_V1))
			continue;
		add_limit(limits, item.group, rate);
	}
	json_object_set_new(object, KEY, limits);
}

/* The same for moves that a schedule will make, one after the other. */
void rate_plan_schedule(const struct app *app, json_t *object,
			const struct cgm_schedule *schedule, uint64_t rate)
{
	struct cgm_step step = { .size = sizeof(step) };
	json_t *limits;

	if (!rate || !(app->features.flags & CGM_FEATURE_ENGINE))
		return;
	limits = json_array();
	for (size_t i = 0; !cgm_schedule_step(schedule, i, &step); i++)
		add_limit(limits, step.group, rate);
	json_object_set_new(object, KEY, limits);
}

/* Two jobs that limit one cgroup could not both put back what was there. */
static int check_others(struct app *app, const json_t *limits, const char *id)
{
	json_t *records = records_read(app), *other, *limit;
	size_t i, j;
	int code = 0;

	json_array_foreach(records, i, other) {
		const char *name = json_string_value(json_object_get(other, "job"));

		if (!name || job_number(name) >= job_number(id) || !record_runs(other))
			continue;
		json_array_foreach(json_object_get(other, KEY), j, limit) {
			const char *path =
				json_string_value(json_object_get(limit, "cgroup"));

			if (!code && path && find(limits, path))
				code = fail(app, EXIT_REFUSED,
					    "%s: job %s limits its moves with --rate; \"cgmigrate wait %s\" first, or move without --rate",
					    path, name, name);
		}
	}
	json_decref(records);
	return code;
}

static int note_before(struct app *app, json_t *limit)
{
	const char *path = json_string_value(json_object_get(limit, "cgroup"));
	struct cgm_activity now = { .size = sizeof(now) };
	struct cgm_group *group;
	int err = cgm_group_open(app->ctx, path, &group);

	if (err)
		return err;
	err = cgm_group_activity(group, &now);
	cgm_group_unref(group);
	if (!err && now.engine)
		json_object_set_new(limit, "before", json_rate(now.rate));
	return err;
}

/* Before a job sets limits: 0, or an exit code. One without a record was not let. */
int rate_claim(struct app *app, struct record *record)
{
	json_t *limits, *limit;
	size_t i;
	int err = 0, code;

	if (!record)
		return 0;
	limits = json_object_get(record_object(record), KEY);
	if (!limits)
		return 0;
	code = check_others(app, limits, record_id(record));
	if (code)
		return code;
	json_array_foreach(limits, i, limit)
		if (!err)
			err = note_before(app, limit);
	if (err)
		return fail_errno(app, err);
	err = record_save(record);
	return err ? fail(app, EXIT_REFUSED,
			  "--rate: cannot record what limit there was before: %s",
			  strerror(-err)) : 0;
}

/* One limit of a job that was killed. */
static bool put_back(struct app *app, const char *id, const json_t *limit, bool dry)
{
	const char *path = json_string_value(json_object_get(limit, "cgroup"));
	json_t *before = json_object_get(limit, "before");
	struct cgm_activity now = { .size = sizeof(now) };
	uint64_t rate = json_integer_value(json_object_get(limit, "rate"));
	struct cgm_group *group;
	bool done;
	int err;

	if (!path || !before)
		return true;
	err = cgm_group_open(app->ctx, path, &group);
	if (err)
		return err == -ENOENT;
	err = cgm_group_activity(group, &now);
	done = !err || err == -ENOENT || err == -ENODEV;
	if (!err && now.engine && now.rate == rate) {
		rate = json_is_null(before) ? CGM_RATE_MAX :
			       (uint64_t)json_integer_value(before);
		done = !now.pending && (dry || !cgm_group_set_rate(group, rate));
		if (done && now.rate != rate && dry)
			warn(app, "%s: the limit that job %s, which was killed, had changed is still to be put back",
			     path, id);
		else if (done && now.rate != rate)
			warn(app, "%s: put back the limit that job %s, which was killed, had changed",
			     path, id);
	}
	cgm_group_unref(group);
	return done;
}

/* Put back what jobs that were killed have left behind, where nothing moves. */
void rates_put_back(struct app *app, bool dry)
{
	interrupted_walk(app, KEY, put_back, dry);
}
