// SPDX-License-Identifier: GPL-2.0
/*
 * Cgroups that stand still while they move (--freeze). What was frozen before is left
 * as it is. A command that is killed lets nobody go on; the job's record says whom it
 * has stopped, and every later command how to end that: by hand, because by then
 * somebody else may want them to stand still.
 *
 * As long as they stand nothing keeps the command waiting that may depend on them, or on
 * somebody who has gone away: it does not stop with its terminal, and writes nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

#define KEY "frozen"	/* [{"cgroup": path, "thaw": what to say to the shell}] */

static json_t *way_to_thaw(const struct cgm_freezer *freezer)
{
	char *word = shell_word(freezer->file);
	json_t *way = json_textf("echo %s >%s", freezer->thawed, word);

	free(word);
	return way;
}

/* The cgroups of a plan that can be frozen, and are not. 0 or an exit code. */
int freeze_plan(struct app *app, const struct cgm_plan *plan, json_t **out)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	struct cgm_freezer freezer = { .size = sizeof(freezer) };
	int err = 0;

	*out = json_array();
	for (size_t i = 0; !err && !cgm_plan_item(plan, i, &item); i++) {
		if (item.action != CGM_ACTION_MEMS)
			return fail(app, EXIT_REFUSED,
				    "--freeze: a process alone is in no cgroup that could be frozen");
		err = cgm_group_freeze_check(item.group);
		if (!err)
			err = cgm_group_freezer(item.group, &freezer);
		if (!err && !freezer.frozen)
			json_array_append_new(*out,
				json_pack("{s:s, s:o}", "cgroup",
					  cgm_group_path(item.group), "thaw",
					  way_to_thaw(&freezer)));
	}
	return err ? fail_errno(app, err) : 0;
}

/* Say in what is told or recorded who stands still until the end. */
void freeze_report(json_t *frozen, json_t *object)
{
	if (frozen)
		json_object_set(object, KEY, frozen);
}

static int set(struct app *app, const json_t *object, bool freeze)
{
	const char *path = json_string_value(json_object_get(object, "cgroup"));
	struct cgm_group *group;
	int err = cgm_group_open(app->ctx, path, &group);

	if (err)
		return err;
	err = cgm_group_freeze(group, freeze);
	cgm_group_unref(group);
	return err;
}

/*
 * Let them go on. Returns those that could not be told, with @notes why. A cgroup
 * that is gone needs nothing.
 */
json_t *freeze_end(struct app *app, const json_t *frozen, json_t *notes)
{
	json_t *left = json_array(), *object;
	size_t i;

	json_array_foreach(frozen, i, object) {
		int err = set(app, object, false);

		if (!err || err == -ENOENT || err == -ENODEV)
			continue;
		json_array_append(left, object);
		if (notes)
			json_array_append_new(notes,
				json_textf("%s; it is still frozen: %s",
					   cgm_context_error(app->ctx),
					   json_string_value(json_object_get(object,
									     "thaw"))));
	}
	return left;
}

/* Stop them. 0, or -errno: some may have been stopped, and nobody is told why yet. */
int freeze_start(struct app *app, const json_t *frozen)
{
	/* Of a terminal, or a pipe, that is closed, or that somebody else has. */
	static const int ignored[] = { SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU };
	json_t *object;
	int err = 0;
	size_t i;

	for (i = 0; json_array_size(frozen) && i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	json_array_foreach(frozen, i, object) {
		err = set(app, object, true);
		if (err)
			break;
	}
	return err;
}

/* Has a job that does not run any more left somebody standing still? Perhaps. */
bool freeze_left(const json_t *record)
{
	return !record_runs(record) && json_array_size(json_object_get(record, KEY));
}

/* What of such a job still stands still. */
static json_t *still_frozen(struct app *app, const json_t *record)
{
	struct cgm_freezer freezer = { .size = sizeof(freezer) };
	json_t *list = json_array(), *object;
	size_t i;

	json_array_foreach(json_object_get(record, KEY), i, object) {
		const char *path = json_string_value(json_object_get(object, "cgroup"));
		struct cgm_group *group = NULL;
		int err = path ? cgm_group_open(app->ctx, path, &group) : -ENOENT;

		if (!err)
			err = cgm_group_freezer(group, &freezer);
		/* What cannot be told is not taken for an end of it. */
		if (err ? err != -ENOENT && err != -ENODEV : freezer.frozen)
			json_array_append(list, object);
		cgm_group_unref(group);
	}
	return list;
}

/* For such a record that is told: only what is true now. */
void freeze_look(struct app *app, json_t *record)
{
	if (json_object_get(record, KEY))
		json_object_set_new(record, KEY, still_frozen(app, record));
}

void print_frozen(const json_t *record)
{
	const char *cgroup, *thaw;
	json_t *object;
	size_t i;

	json_array_foreach(json_object_get(record, KEY), i, object)
		if (!json_unpack(object, "{s:s, s:s}", "cgroup", &cgroup, "thaw", &thaw))
			say("%s: is still frozen\nto thaw:    %s\n", cgroup, thaw);
}

/* Whom commands have left standing still, until somebody lets them go on. */
void freeze_remind(struct app *app, bool dry)
{
	json_t *records = records_read(app), *record, *object, *list;
	const char *cgroup, *thaw;
	size_t i, j;

	json_array_foreach(records, i, record) {
		const char *id = json_string_value(json_object_get(record, "job"));

		if (!id || !freeze_left(record))
			continue;
		list = still_frozen(app, record);
		json_array_foreach(list, j, object)
			if (!json_unpack(object, "{s:s, s:s}", "cgroup", &cgroup, "thaw",
					 &thaw))
				warn(app, "%s: job %s%s has left it frozen: %s", cgroup, id,
				     record_unwatched(record) ? ", which was killed," : "",
				     thaw);
		if (!json_array_size(list) && !dry)
			record_forget(app, id, KEY);
		json_decref(list);
	}
	json_decref(records);
}
