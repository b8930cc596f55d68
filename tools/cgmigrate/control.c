// SPDX-License-Identifier: GPL-2.0
/* cgmigrate pause, resume, cancel: moves that are under way. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cgmigrate.h"

enum { OPT_ALL = 1, OPT_TIMEOUT };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "all", no_argument, NULL, OPT_ALL },
	{ NULL, 0, NULL, 0 },
};

static const struct option cancel_options[] = {
	COMMON_LONG,
	{ "all", no_argument, NULL, OPT_ALL },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ NULL, 0, NULL, 0 },
};

#define TARGETS_HELP \
	"\n" \
	"A job is named as \"cgmigrate report\" does (j17). With the migration engine in\n" \
	"the kernel a cgroup is told, and all moves in it and below it obey; on stock\n" \
	"kernels, and where --map says what goes where, the processes that run the jobs\n" \
	"are; so is, everywhere, the process of an apply, which begins its rounds.\n" \
	OPTIONS_HEAD

static const char pause_help[] =
	"Usage: cgmigrate pause CGROUP|JOB...\n"
	"       cgmigrate pause --all\n"
	"\n"
	"Make moves wait where they are, until \"cgmigrate resume\".\n"
	TARGETS_HELP
	"      --all              every move that is under way\n"
	COMMON_HELP;

static const char resume_help[] =
	"Usage: cgmigrate resume CGROUP|JOB...\n"
	"       cgmigrate resume --all\n"
	"\n"
	"Let moves go on that \"cgmigrate pause\" made wait.\n"
	TARGETS_HELP
	"      --all              all that are paused\n"
	COMMON_HELP;

static const char cancel_help[] =
	"Usage: cgmigrate cancel CGROUP|JOB...\n"
	"       cgmigrate cancel --all\n"
	"\n"
	"Stop moves. What has not moved stays where it is.\n"
	TARGETS_HELP
	"      --all              every move that is under way\n"
	"      --timeout TIME     wait so long for the moves to have stopped (10s)\n"
	COMMON_HELP;

enum what { PAUSE, RESUME, CANCEL };

static const int signals[] = {
	[PAUSE] = FOLLOW_PAUSE, [RESUME] = FOLLOW_RESUME, [CANCEL] = SIGTERM,
};

static const char * const done_text[] = {
	[PAUSE] = "paused", [RESUME] = "goes on", [CANCEL] = "stopped",
};

static const char * const idle_text[] = {
	[PAUSE] = "is paused already", [RESUME] = "is not paused",
	[CANCEL] = "nothing moves",
};

struct control {
	enum what what;
	bool all;
	uint64_t timeout_usec;
	json_t *targets;	/* what was done, for --json */
	bool changed;
	size_t shown;
};

static void tell_as(struct app *app, struct control *control, const char *key,
		    const char *name, bool changed, const char *text)
{
	control->changed |= changed;
	control->shown++;
	json_array_append_new(control->targets, json_pack("{s:o, s:b}", key,
							  json_text(name), "changed",
							  changed));
	if (!app->json)
		say("%s: %s\n", name, text);
}

static void tell(struct app *app, struct control *control, const char *key,
		 const char *name, bool changed)
{
	tell_as(app, control, key, name, changed,
		changed ? done_text[control->what] : idle_text[control->what]);
}

static int still_moving(struct app *app, const char *name)
{
	return fail(app, EXIT_TIMEOUT, "%s: told to stop, still moving", name);
}

/* Stopping takes until the end of a chunk. */
static int wait_until_stopped(struct app *app, struct cgm_group *group, uint64_t usec)
{
	struct timespec tick = { .tv_nsec = 20000000 };
	uint64_t deadline = now_usec() + usec, pending;
	int err;

	for (;;) {
		err = cgm_group_pending(group, &pending);
		if (err)
			return fail_errno(app, err);
		if (!pending)
			return 0;
		if (now_usec() >= deadline)
			return still_moving(app, cgm_group_path(group));
		nanosleep(&tick, NULL);
	}
}

/* So does a process, which puts nodes and limits back and writes its record. */
static int wait_until_ended(struct app *app, const char *id, uint64_t usec)
{
	struct timespec tick = { .tv_nsec = 20000000 };
	uint64_t deadline = now_usec() + usec;

	for (;;) {
		json_t *record = record_read(app, id);
		bool runs = record && record_runs(record);

		json_decref(record);
		if (!runs)
			return 0;
		if (now_usec() >= deadline)
			return still_moving(app, id);
		nanosleep(&tick, NULL);
	}
}

/* One cgroup of an engine. */
static int tell_engine(struct app *app, struct control *control, struct cgm_group *group,
		       const struct cgm_activity *now)
{
	bool changed;
	int err, code = 0;

	if (control->what == CANCEL) {
		changed = now->pending > 0;
		err = changed ? cgm_group_stop(group) : 0;
	} else {
		changed = now->hold != (control->what == PAUSE);
		err = changed ? cgm_group_hold(group, control->what == PAUSE) : 0;
	}
	if (err)
		return fail_errno(app, err);
	if (control->what == CANCEL && changed)
		code = wait_until_stopped(app, group, control->timeout_usec);
	if (!code)
		tell(app, control, "cgroup", cgm_group_path(group), changed);
	return code;
}

static int signal_job(struct app *app, struct control *control, const json_t *record)
{
	const char *id = json_string_value(json_object_get(record, "job"));
	int err = record_signal(app, record, signals[control->what]);

	if (err == -EPERM)
		return fail(app, EXIT_REFUSED, "%s: belongs to somebody else", id);
	if (err && err != -ESRCH)
		return fail(app, EXIT_FAILED, "%s: cannot tell its process: %s", id,
			    strerror(-err));
	if (!err && control->what == CANCEL) {
		int code = wait_until_ended(app, id, control->timeout_usec);

		if (code)
			return code;
	}
	tell(app, control, "job", id, !err);
	return 0;
}

/* Jobs of a cgroup that processes of ours run; *found: how many. */
static int tell_processes(struct app *app, struct control *control, const char *path,
			  size_t *found)
{
	json_t *records = records_read(app), *record;
	int code = 0;
	size_t i;

	*found = 0;
	json_array_foreach(records, i, record) {
		if (code || !process_concerns(app, record, path))
			continue;
		(*found)++;
		code = signal_job(app, control, record);
	}
	json_decref(records);
	return code;
}

/* A cgroup, and @processes that move something in it. */
static int tell_group(struct app *app, struct control *control, struct cgm_group *group,
		      bool processes)
{
	struct cgm_activity now = { .size = sizeof(now) };
	size_t found = 0;
	int err, code = 0;

	if (processes)
		code = tell_processes(app, control, cgm_group_path(group), &found);
	if (code)
		return code;
	err = cgm_group_activity(group, &now);
	if (err)
		return fail_errno(app, err);
	if (found && control->what == CANCEL && !now.pending)
		return 0;
	if (now.engine)
		return tell_engine(app, control, group, &now);
	if (!found && has_engine(app)) {
		err = cgm_group_hold(group, 0);	/* says why not */
		return fail_errno(app, err);
	}
	if (!found)
		tell(app, control, "cgroup", cgm_group_path(group), false);
	return 0;
}

static int tell_cgroup(struct app *app, struct control *control, const char *name,
		       bool processes)
{
	struct target target;
	int code = target_open_cgroup(app, name, &target);

	if (code)
		return code;
	code = tell_group(app, control, target.group, processes);
	target_close(&target);
	return code;
}

/* A job: its process where that moves, and cgroups where the engine does. */
static int tell_job(struct app *app, struct control *control, const char *id)
{
	json_t *record = record_read(app, id), *target;
	bool ended;
	int code = 0;
	size_t i;

	if (!record_goes_on(app, record)) {
		tell_as(app, control, "job", id, false, "has ended");
		json_decref(record);
		return 0;
	}
	if (process_concerns(app, record, "/") || !has_engine(app))
		code = signal_job(app, control, record);
	/* The process of an apply has stopped what the engine did for it. */
	ended = record_has_rounds(record) && record_runs(record) && control->what == CANCEL;
	json_array_foreach(json_object_get(record, "targets"), i, target) {
		const char *path = record_cgroup(record, i);

		if (path && !code && !ended && !process_moves(app, target))
			code = tell_cgroup(app, control, path, false);
	}
	json_decref(record);
	return code;
}

/* Is this what --all means? A cgroup below one that was told is not named too. */
static bool is_meant(const struct control *control, const struct cgm_activity *now)
{
	if (control->what == RESUME)
		return now->hold;
	return now->pending && (control->what == CANCEL || !now->hold);
}

struct all_walk {
	struct app *app;
	struct control *control;
	int code;
	char above[4096];	/* told already */
};

static int consider(struct cgm_group *group, void *data)
{
	struct all_walk *walk = data;
	struct cgm_activity now = { .size = sizeof(now) };
	const char *path = cgm_group_path(group);
	size_t len = strlen(walk->above);

	if (len && walk->control->what != RESUME && !strncmp(path, walk->above, len) &&
	    path[len] == '/')
		return 0;
	if (cgm_group_activity(group, &now) || !now.engine ||
	    !is_meant(walk->control, &now))
		return 0;
	snprintf(walk->above, sizeof(walk->above), "%s", path);
	walk->code = tell_engine(walk->app, walk->control, group, &now);
	return walk->code;
}

static int tell_all(struct app *app, struct control *control)
{
	struct all_walk walk = { .app = app, .control = control };
	struct cgm_group *root;
	size_t found;
	int err;

	walk.code = tell_processes(app, control, "/", &found);
	if (walk.code || !has_engine(app))
		return walk.code;
	err = cgm_group_open(app->ctx, "/", &root);
	if (err)
		return fail_errno(app, err);
	err = cgm_group_walk(root, consider, &walk);
	cgm_group_unref(root);
	if (walk.code)
		return walk.code;
	return err ? fail_errno(app, err) : 0;
}

static int take_option(struct app *app, int c, void *data)
{
	struct control *control = data;

	if (c == OPT_TIMEOUT)
		return parse_time(app, "--timeout", optarg, &control->timeout_usec);
	control->all = true;
	return 0;
}

static int run(struct app *app, struct control *control, char **targets)
{
	int code = 0;

	if (!*targets == !control->all)
		return usage_error(app, "name cgroups or jobs, or say --all");
	code = app_open_jobs(app);
	if (!code)
		code = check_cgroups_and_jobs(app, targets);
	if (code)
		return code;
	control->targets = json_array();
	app->quiet = app->json;	/* an error goes into one object with what is told below */
	if (control->all)
		code = tell_all(app, control);
	for (; *targets && !code; targets++)
		code = job_number(*targets) ? tell_job(app, control, *targets) :
					      tell_cgroup(app, control, *targets, true);
	entry_of_change(app, control->targets, code);
	app->quiet = false;
	interrupted_put_back(app, false);
	if (code && app->json)
		fail_late(app, code);
	else if (app->json)
		print_json(app, json_pack("{s:s, s:s, s:i, s:b, s:O}", "command", app->verb,
					  "state", control->changed ? "done" : "unchanged",
					  "exit", 0, "changed", control->changed, "targets",
					  control->targets));
	else if (!code && !control->shown)
		puts("nothing to do");
	json_decref(control->targets);
	return code;
}

static int control(struct app *app, int argc, char **argv, const struct options *options,
		   enum what what)
{
	struct control control = { .what = what, .timeout_usec = 10000000 };
	int code = read_options(app, argc, argv, options, &control);

	return code == GO_ON ? run(app, &control, argv + optind) : code;
}

int cmd_pause(struct app *app, int argc, char **argv)
{
	static const struct options options = {
		.shorts = COMMON_SHORT, .longs = long_options, .help = pause_help,
		.take = take_option,
	};

	return control(app, argc, argv, &options, PAUSE);
}

int cmd_resume(struct app *app, int argc, char **argv)
{
	static const struct options options = {
		.shorts = COMMON_SHORT, .longs = long_options, .help = resume_help, .page = "pause",
		.take = take_option,
	};

	return control(app, argc, argv, &options, RESUME);
}

int cmd_cancel(struct app *app, int argc, char **argv)
{
	static const struct options options = {
		.shorts = COMMON_SHORT, .longs = cancel_options, .help = cancel_help, .page = "pause",
		.take = take_option,
	};

	return control(app, argc, argv, &options, CANCEL);
}
