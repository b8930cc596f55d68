// SPDX-License-Identifier: GPL-2.0
/* cgmigrate wait: until no move is under way in a cgroup and below it. */
#include <stdlib.h>
#include <time.h>

#include "cgmigrate.h"

enum { OPT_TIMEOUT = 1 };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate wait CGROUP|JOB...\n"
	"\n"
	"Wait until the kernel moves no memory of these cgroups, or until a job has\n"
	"ended (j17, see \"cgmigrate report\"); the exit status is that of the job then.\n"
	"Without the engine there is nothing to wait for but jobs.\n"
	OPTIONS_HEAD
	"      --timeout TIME     do not wait longer (30, 500ms, 5min)\n"
	COMMON_HELP;

/* Wait for one cgroup. deadline 0: for ever. Returns an exit code. */
static int wait_for(struct app *app, struct cgm_group *group, uint64_t deadline)
{
	struct timespec tick = { .tv_nsec = 50000000 };
	uint64_t pending;
	int err;

	for (;;) {
		err = cgm_group_pending(group, &pending);
		if (err)
			return fail_errno(app, err);
		if (!pending)
			return EXIT_OK;
		if (deadline && now_usec() >= deadline)
			return fail(app, EXIT_TIMEOUT, "%s: still moving",
				    cgm_group_path(group));
		nanosleep(&tick, NULL);
	}
}

/* Wait for a job; its exit status is ours. */
static int wait_for_job(struct app *app, const char *id, uint64_t deadline)
{
	struct timespec tick = { .tv_nsec = 50000000 };

	for (;;) {
		json_t *record = record_read(app, id), *code;
		bool runs = record && record_runs(record);
		int status;

		if (!record)
			return fail(app, EXIT_FAILED,
				    "%s: no such job; \"cgmigrate report\" lists them", id);
		code = json_object_get(record, "exit");
		status = runs ? EXIT_OK : (int)json_integer_value(code);
		json_decref(record);
		if (!runs && !code)
			return fail(app, EXIT_FAILED,
				    "%s: nobody watched it to the end; see \"cgmigrate report %s\"",
				    id, id);
		if (status)
			return fail(app, status, "%s: %s", id, code_name(status));
		if (!runs)
			return EXIT_OK;
		if (deadline && now_usec() >= deadline)
			return fail(app, EXIT_TIMEOUT, "%s: still moving", id);
		nanosleep(&tick, NULL);
	}
}

static int wait_for_cgroup(struct app *app, const char *name, uint64_t deadline)
{
	struct target target;
	int code = target_open_cgroup(app, name, &target);

	if (!code) {
		code = wait_for(app, target.group, deadline);
		target_close(&target);
	}
	return code;
}

static int take_option(struct app *app, int c, void *data)
{
	(void)c;
	return parse_time(app, "--timeout", optarg, data);
}

static const struct options options = {
	.shorts = COMMON_SHORT,
	.longs = long_options,
	.help = help,
	.take = take_option,
};

int cmd_wait(struct app *app, int argc, char **argv)
{
	uint64_t timeout = 0, deadline;
	int code = read_options(app, argc, argv, &options, &timeout);

	if (code != GO_ON)
		return code;
	if (optind == argc)
		return usage_error(app, "no cgroup or job named");
	code = app_open_jobs(app);
	deadline = timeout ? now_usec() + timeout : 0;
	for (int i = optind; i < argc && !code; i++)
		code = job_number(argv[i]) ? wait_for_job(app, argv[i], deadline) :
					     wait_for_cgroup(app, argv[i], deadline);
	if (app->ctx)
		interrupted_put_back(app);
	if (!code && app->json)
		print_json(json_pack("{s:s, s:s, s:i}", "command", app->verb, "state",
				     "done", "exit", 0));
	return code;
}
