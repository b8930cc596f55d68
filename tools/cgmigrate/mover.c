// SPDX-License-Identifier: GPL-2.0
/*
 * Who moves the memory of a job: the engine, or the job's own process. That is also
 * what begins the rounds of an apply, whoever moves in them.
 */
#include <string.h>

#include "cgmigrate.h"

bool has_engine(const struct app *app)
{
	return app->features.flags & CGM_FEATURE_ENGINE;
}

/* Does the process of a job move the memory of a target, and not the engine? */
bool process_moves(const struct app *app, const json_t *target)
{
	const char *backend = json_string_value(json_object_get(target, "backend"));

	return backend ? strncmp(backend, "engine", 6) != 0 : !has_engine(app);
}

/* Is it a job of several rounds? */
bool record_has_rounds(const json_t *record)
{
	return json_object_get(record, "steps");
}

/*
 * Else what moves in its cgroups now is another one's. The engine goes on with what
 * nobody watches any more.
 */
bool record_goes_on(const struct app *app, const json_t *record)
{
	return record_runs(record) || (record_unwatched(record) && has_engine(app));
}

static const char *path_at(const json_t *record, size_t index)
{
	const json_t *targets = json_object_get(record, "targets");

	return json_string_value(json_object_get(json_array_get(targets, index), "cgroup"));
}

/* The cgroup of one of a job's targets. NULL: there is none, or it was an earlier one's. */
const char *record_cgroup(const json_t *record, size_t index)
{
	const char *path = path_at(record, index), *earlier;

	for (size_t i = 0; i < index && path; i++) {
		earlier = path_at(record, i);
		if (earlier && !strcmp(earlier, path))
			path = NULL;
	}
	return path;
}

/*
 * Does a job that runs, and that only its process can end, concern this cgroup or one
 * below it?
 */
bool process_concerns(const struct app *app, const json_t *record, const char *path)
{
	size_t len = strlen(path), i;
	json_t *target;

	if (!record_runs(record))
		return false;
	json_array_foreach(json_object_get(record, "targets"), i, target) {
		const char *p = json_string_value(json_object_get(target, "cgroup"));

		if (!record_has_rounds(record) && !process_moves(app, target))
			continue;
		if (!strcmp(path, "/") ||
		    (p && !strncmp(p, path, len) && (!p[len] || p[len] == '/')))
			return true;
	}
	return false;
}
