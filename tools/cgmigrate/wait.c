// SPDX-License-Identifier: GPL-2.0
/* cgmigrate wait: until no move is under way in a cgroup and below it, or anywhere. */
#include <errno.h>
#include <time.h>

#include "cgmigrate.h"

enum { OPT_ALL = 1, OPT_TIMEOUT };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "all", no_argument, NULL, OPT_ALL },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate wait CGROUP|JOB...\n"
	"       cgmigrate wait --all\n"
	"\n"
	"Wait until neither the kernel nor a job of yours moves memory of these cgroups,\n"
	"or until a job has ended (j17, see \"cgmigrate report\"); the exit status is that\n"
	"of the job then.\n"
	OPTIONS_HEAD
	"      --all              until nothing moves, and no job of yours runs\n"
	"      --timeout TIME     do not wait longer (30, 500ms, 5min)\n"
	COMMON_HELP;

struct wait {
	bool all;
	uint64_t timeout_usec;
};

#define NAME_SIZE 4096

/* @name gets what still moves, "" if nothing does. 0 or an exit code. */
typedef int (*moving_fn)(struct app *app, struct cgm_group *group, char *name);

/* deadline 0: for ever. Returns an exit code. */
static int wait_while(struct app *app, moving_fn moving, struct cgm_group *group,
		      uint64_t deadline)
{
	struct timespec tick = { .tv_nsec = 50000000 };
	char name[NAME_SIZE];
	int code;

	for (;;) {
		*name = '\0';
		code = moving(app, group, name);
		if (code || !*name)
			return code;
		if (deadline && now_usec() >= deadline)
			return fail(app, EXIT_TIMEOUT, "%s: still moving", name);
		nanosleep(&tick, NULL);
	}
}

/* A job whose process moves what is in a cgroup; without one, any that runs. */
static void find_job(const struct app *app, const char *path, char *name)
{
	json_t *records = records_read(app), *record;
	size_t i;

	json_array_foreach(records, i, record)
		if (path ? process_concerns(app, record, path) : record_runs(record))
			snprintf(name, NAME_SIZE, "%s",
				 json_string_value(json_object_get(record, "job")));
	json_decref(records);
}

/* ---- a cgroup ---- */

static int moving_in(struct app *app, struct cgm_group *group, char *name)
{
	const char *path = cgm_group_path(group);
	uint64_t pending;
	int err = cgm_group_pending(group, &pending);

	if (err)
		return fail_errno(app, err);
	if (pending)
		snprintf(name, NAME_SIZE, "%s", path);
	else
		find_job(app, path, name);
	return 0;
}

static int wait_for_cgroup(struct app *app, const char *name, uint64_t deadline)
{
	struct target target;
	int code = target_open_cgroup(app, name, &target);

	if (!code) {
		code = wait_while(app, moving_in, target.group, deadline);
		target_close(&target);
	}
	return code;
}

/* ---- all of them ---- */

static int find_pending(struct cgm_group *group, void *data)
{
	uint64_t pending;
	int err = cgm_group_pending(group, &pending);

	if (!err && pending)
		snprintf(data, NAME_SIZE, "%s", cgm_group_path(group));
	return err == -ENOENT || err == -ENODEV ? 0 : err;	/* is gone */
}

static int moving_below(struct app *app, struct cgm_group *root, char *name)
{
	int err;

	find_job(app, NULL, name);
	if (*name || !has_engine(app))
		return 0;
	err = cgm_group_walk(root, find_pending, name);
	return err ? fail_errno(app, err) : 0;
}

static int wait_for_all(struct app *app, uint64_t deadline)
{
	struct cgm_group *root = NULL;
	int code, err = has_engine(app) ? cgm_group_open(app->ctx, "/", &root) : 0;

	if (err)
		return fail_errno(app, err);
	code = wait_while(app, moving_below, root, deadline);
	cgm_group_unref(root);
	return code;
}

/* ---- a job ---- */

/* Until a job has ended, or time is up: its record, NULL where there is none. */
static json_t *watch_job(struct app *app, const char *id, uint64_t deadline)
{
	struct cgm_progress progress = { .size = sizeof(progress) };
	struct timespec tick = { .tv_nsec = 50000000 };
	bool show = progress_wanted(app);
	json_t *record;

	for (;;) {
		record = record_read(app, id);
		if (!record || !record_runs(record) || (deadline && now_usec() >= deadline))
			break;
		if (show && record_has_progress(record, &progress))
			progress_draw(app, &progress, "");
		json_decref(record);
		nanosleep(&tick, NULL);
	}
	if (show)
		progress_draw(app, NULL, "");
	return record;
}

/* Wait for a job; its exit status is ours. */
static int wait_for_job(struct app *app, const char *id, uint64_t deadline)
{
	json_t *record = watch_job(app, id, deadline);
	const json_t *code = json_object_get(record, "exit");
	int status = code ? (int)json_integer_value(code) : -1;
	bool runs = record && record_runs(record);

	if (!record)
		return fail(app, EXIT_FAILED,
			    "%s: no such job; \"cgmigrate report\" lists them", id);
	json_decref(record);
	if (runs)
		return fail(app, EXIT_TIMEOUT, "%s: still moving", id);
	if (status < 0)
		return fail(app, EXIT_FAILED,
			    "%s: nobody watched it to the end; see \"cgmigrate report %s\"", id,
			    id);
	return status ? fail(app, status, "%s: %s", id, code_name(status)) : EXIT_OK;
}

/* ---- the verb ---- */

static int take_option(struct app *app, int c, void *data)
{
	struct wait *wait = data;

	if (c == OPT_TIMEOUT)
		return parse_time(app, "--timeout", optarg, &wait->timeout_usec);
	wait->all = true;
	return 0;
}

static const struct options options = {
	.shorts = COMMON_SHORT,
	.longs = long_options,
	.help = help,
	.take = take_option,
};

int cmd_wait(struct app *app, int argc, char **argv)
{
	struct wait wait = { 0 };
	uint64_t deadline;
	int code = read_options(app, argc, argv, &options, &wait);

	if (code != GO_ON)
		return code;
	if ((optind < argc) == wait.all)
		return usage_error(app, "name cgroups or jobs, or say --all");
	app->quiet = app->json;	/* an error goes into one object with what is told below */
	code = app_open_jobs(app);
	if (!code)
		code = check_cgroups_and_jobs(app, argv + optind);
	deadline = wait.timeout_usec ? now_usec() + wait.timeout_usec : 0;
	if (wait.all && !code)
		code = wait_for_all(app, deadline);
	for (int i = optind; i < argc && !code; i++)
		code = job_number(argv[i]) ? wait_for_job(app, argv[i], deadline) :
					     wait_for_cgroup(app, argv[i], deadline);
	app->quiet = false;
	if (app->ctx)
		interrupted_put_back(app, false);
	if (code && app->json)
		fail_late(app, code);
	else if (app->json)
		print_json(app, json_pack("{s:s, s:s, s:i}", "command", app->verb, "state",
					  "done", "exit", 0));
	return code;
}
