// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs that must not run at the same time. When the engine has moves in one cgroup
 * it supersedes the earlier by the later, and both are told so. A process that moves
 * pages itself (stock kernels, --map) widens the cpuset, and narrows it at the end:
 * two of them could not tell their masks apart. An apply does that over many rounds.
 *
 * The later job looks for the earlier one. It has its record, and so its number, by
 * then, so that of two that start at once one sees the other. A job whose process is
 * gone changes nothing any more.
 */
#include <string.h>

#include "cgmigrate.h"

static const char *path_of(const json_t *target)
{
	return json_string_value(json_object_get(target, "cgroup"));
}

static bool is_below_or_same(const char *path, const char *above)
{
	size_t len = strlen(above);

	return !strncmp(path, above, len) && (!path[len] || path[len] == '/');
}

/* Is that one write, which the engine carries out? */
static bool is_plain(const json_t *record, const json_t *target)
{
	const char *backend = json_string_value(json_object_get(target, "backend"));

	return !record_has_rounds(record) && backend && !strncmp(backend, "engine", 6);
}

/* A target of @other that a target of @record may not move along with, or NULL. */
static const json_t *clash(const json_t *record, const json_t *target, const json_t *other)
{
	const char *path = path_of(target), *other_path;
	json_t *other_target;
	size_t i;

	json_array_foreach(json_object_get(other, "targets"), i, other_target) {
		other_path = path_of(other_target);
		if (!path || !other_path ||
		    (is_plain(record, target) && is_plain(other, other_target)))
			continue;
		if (is_below_or_same(path, other_path) || is_below_or_same(other_path, path))
			return other_target;
	}
	return NULL;
}

static int check_other(struct app *app, const json_t *record, const json_t *other,
		       const char *id)
{
	const json_t *target, *found;
	size_t i;

	json_array_foreach(json_object_get(record, "targets"), i, target) {
		found = clash(record, target, other);
		if (found)
			return fail(app, EXIT_REFUSED,
				    "%s: job %s is moving %s: \"cgmigrate wait %s\" or \"cgmigrate cancel %s\"",
				    path_of(target), id,
				    strcmp(path_of(target), path_of(found)) ?
				    path_of(found) : "it", id, id);
	}
	return 0;
}

/*
 * One without a record cannot be seen, so nothing keeps others from starting. That is
 * no reason not to move; but what has to be put back is not changed.
 */
static int check_unrecorded(struct app *app)
{
	int code = shortage_check(app);

	if (code)
		return code;
	if (app->owed)
		return fail(app, EXIT_REFUSED,
			    "no record of the job can be kept (%s), and without one nobody could put back what a killed command has left (%s)",
			    app->unrecorded, app->owed);
	warn(app, "no record of the job can be kept (%s): nothing keeps another one from moving the same memory",
	     app->unrecorded);
	return 0;
}

/* Before a job starts: 0, or an exit code. */
int others_check(struct app *app, const struct record *record)
{
	json_t *records, *other;
	int code = 0;
	size_t i;

	if (!record)
		return check_unrecorded(app);
	records = records_read(app);
	json_array_foreach(records, i, other) {
		const char *id = json_string_value(json_object_get(other, "job"));

		if (!code && id && job_number(id) < job_number(record_id(record)) &&
		    record_runs(other))
			code = check_other(app, record_object(record), other, id);
	}
	json_decref(records);
	return code;
}
