// SPDX-License-Identifier: GPL-2.0
/* Plan, start, follow and report: what move and settle share. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgmigrate.h"

static bool changes(const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		if (item.change)
			return true;
	return false;
}

/* The mask is in force; memory may be outside it all the same. */
static void tell_unchanged(struct app *app, const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	char size[32];

	puts("nothing to do");
	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		if (item.stray && item.action == CGM_ACTION_MEMS)
			printf("%s: %s are outside its nodes: \"cgmigrate settle %s\" brings them in\n",
			       cgm_group_path(item.group),
			       size_text(app, item.stray, size, sizeof(size)),
			       cgm_group_path(item.group));
}

/* What is told when nothing runs: a dry run, nothing to do, or a refusal. */
static int tell_plan(struct app *app, const struct cgm_plan *plan, const char *state,
		     int code, const char *error)
{
	json_t *object;

	if (!app->json) {
		if (error)
			return fail(app, code, "%s", error);
		if (!strcmp(state, "unchanged"))
			tell_unchanged(app, plan);
		return code;
	}
	object = report_plan(app, plan);
	json_object_set_new(object, "state", json_string(state));
	json_object_set_new(object, "exit", json_integer(code));
	json_object_set_new(object, "changed", json_false());
	if (error)
		json_object_set_new(object, "error", json_pack("{s:s}", "message", error));
	print_json(object);
	return code;
}

static int tell_running(struct app *app, const struct cgm_plan *plan, int code)
{
	json_t *object;

	if (!app->json) {
		puts(code == EXIT_TIMEOUT ? "still running" :
		     code == EXIT_CANCELLED ? "left: told to stop, not waited for" :
					      "started");
		return code;
	}
	object = report_plan(app, plan);
	json_object_set_new(object, "state", json_string("running"));
	json_object_set_new(object, "exit", json_integer(code));
	json_object_set_new(object, "changed", json_true());
	print_json(object);
	return code;
}

static bool engine_runs_all(const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		if (item.backend != CGM_BACKEND_ENGINE_V2 &&
		    item.backend != CGM_BACKEND_ENGINE_V1)
			return false;
	return true;
}

/*
 * Without the engine somebody has to do the moving: a process of its own, with
 * no terminal, that goes on when this one has left.
 */
static int leave_to_child(struct app *app, struct cgm_job *job)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		return fail(app, EXIT_FAILED, "cannot start a process to go on: %s",
			    strerror(errno));
	if (pid)
		return 0;
	setsid();
	if (chdir("/"))
		_exit(EXIT_FAILED);
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	cgm_job_wait(job, -1);
	_exit(EXIT_OK);
}

static int follow(struct app *app, struct cgm_plan *plan, struct cgm_job *job,
		  const struct follow_options *how)
{
	json_t *object;
	int code;

	if (!follow_job(app, job, how, &code))
		return tell_running(app, plan, code);
	if (!app->json) {
		print_result(app, plan, job, code);
		return code;
	}
	object = report_result(app, plan, job);
	json_object_set_new(object, "state", json_string(code_name(code)));
	json_object_set_new(object, "exit", json_integer(code));
	json_object_set_new(object, "changed", json_true());
	print_json(object);
	return code;
}

/* Do what a plan says, as the options want it. Returns the exit code. */
int run_plan(struct app *app, struct cgm_plan *plan, const struct run_options *options)
{
	struct cgm_job_options how = {
		.size = sizeof(how),
		.flags = options->force ? CGM_JOB_FORCE : 0,
		.rate = options->rate,
		.max_stall_usec = options->max_stall_usec,
	};
	struct follow_options follow_how = { .timeout_usec = options->timeout_usec };
	const char *refused;
	struct cgm_job *job;
	int err, code;

	err = cgm_plan_check(plan);
	if (err)
		return fail_errno(app, err);
	if (!app->json) {
		print_plan(app, plan);
		print_notes(app, plan);
	}
	refused = cgm_plan_refusal(plan, how.flags);
	if (refused)
		return tell_plan(app, plan, "refused", EXIT_REFUSED, refused);
	if (!changes(plan))
		return tell_plan(app, plan, "unchanged", EXIT_OK, NULL);
	if (options->dry_run)
		return tell_plan(app, plan, "planned", EXIT_OK, NULL);
	fflush(stdout);
	if (!options->no_wait)
		follow_prepare(&follow_how.waiting);
	err = cgm_job_start(plan, &how, &job);
	if (err)
		return fail_errno(app, err);
	if (options->no_wait) {
		code = engine_runs_all(plan) ? 0 : leave_to_child(app, job);
		if (!code)
			code = tell_running(app, plan, EXIT_OK);
	} else {
		code = follow(app, plan, job, &follow_how);
	}
	cgm_job_free(job);
	return code;
}
