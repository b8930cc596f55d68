// SPDX-License-Identifier: GPL-2.0
/*
 * Moves that a killed command has left to the engine, which goes on with them. They are
 * waited for, unless somebody holds them: that would be for ever.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spec.h"

static bool holds(struct cgm_group *group, struct cgm_activity *now)
{
	return !cgm_group_activity(group, now) && now->engine && (now->hold || !now->rate);
}

/* How to end a hold, if this is who holds. */
static char *way_out(struct cgm_group *group)
{
	struct cgm_activity now = { .size = sizeof(now) };
	char *word, *text = NULL;

	if (!holds(group, &now))
		return NULL;
	word = shell_word(cgm_group_path(group));
	if (!word || asprintf(&text, now.hold ? "cgmigrate resume %s" :
						"cgmigrate limit %s --rate max", word) < 0)
		text = NULL;
	free(word);
	return text;
}

static int look_below(struct cgm_group *group, void *data)
{
	char **way = data;

	*way = way_out(group);
	return *way ? 1 : 0;
}

/* The same for one above it, the nearest first. */
static char *look_above(struct app *app, const char *cgroup)
{
	char path[4096], *slash, *way = NULL;

	snprintf(path, sizeof(path), "%s", cgroup);
	while (!way && (slash = strrchr(path, '/')) && slash > path) {
		struct cgm_group *group;

		*slash = '\0';
		if (cgm_group_open(app->ctx, path, &group))
			break;
		way = way_out(group);
		cgm_group_unref(group);
	}
	return way;
}

static int refuse_held(struct app *app, struct cgm_group *group)
{
	char *way = NULL;
	int code;

	cgm_group_walk(group, look_below, &way);
	if (!way)
		way = look_above(app, cgm_group_path(group));
	code = fail(app, EXIT_REFUSED,
		    "%s: a move that was begun is held: \"%s\" lets it go on",
		    cgm_group_path(group), way ? way : "cgmigrate resume --all");
	free(way);
	return code;
}

/* 0, or an exit code. */
static int wait_for(struct app *app, struct cgm_group *group)
{
	struct cgm_activity now = { .size = sizeof(now) };
	struct timespec tick = { .tv_nsec = 50000000 };
	bool told = app->json;
	int err;

	for (;;) {
		err = cgm_group_activity(group, &now);
		if (err)
			return fail_errno(app, err);
		if (!now.pending)
			return 0;
		if (now.held)
			return refuse_held(app, group);
		if (!told)
			warn(app, "%s: waiting for the end of a move that was begun",
			     cgm_group_path(group));
		told = true;
		nanosleep(&tick, NULL);
	}
}

/* Until the kernel moves no memory of a cgroup. 0, or an exit code. */
int pending_wait(struct app *app, const char *cgroup)
{
	struct cgm_group *group;
	int code, err = cgm_group_open(app->ctx, cgroup, &group);

	if (err)
		return fail_errno(app, err);
	code = wait_for(app, group);
	cgm_group_unref(group);
	return code;
}
