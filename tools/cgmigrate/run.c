// SPDX-License-Identifier: GPL-2.0
/* Plan, start, follow and report: what move and settle share. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgmigrate.h"

/* What is in force may still have to be set for good. */
static bool changes(const struct cgm_plan *plan, bool persist)
{
	struct cgm_plan_item item = { .size = sizeof(item) };

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		if (item.change || persist)
			return true;
	return false;
}

/* The mask is in force; memory may be outside it all the same. */
static void tell_unchanged(struct app *app, const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	char size[32], *word;

	puts("nothing to do");
	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		if (!item.stray || item.action != CGM_ACTION_MEMS)
			continue;
		word = shell_word(cgm_group_path(item.group));
		say("%s: %s are outside its nodes: \"cgmigrate settle %s\" brings them in\n",
		    cgm_group_path(item.group),
		    size_text(app, item.stray, size, sizeof(size)), word ? word : "?");
		free(word);
	}
}

/* Say how it went: the object is told as a whole, or the text was already. */
static int tell(struct app *app, json_t *object, const char *state, int code, bool changed)
{
	json_object_set_new(object, "state", json_string(state));
	json_object_set_new(object, "exit", json_integer(code));
	json_object_set_new(object, "changed", json_boolean(changed));
	if (app->json)
		print_json(app, json_incref(object));
	return code;
}

/* What is told when nothing runs: a dry run, nothing to do, or a refusal. */
static int tell_refusal(struct app *app, json_t *object, const char *error)
{
	if (!app->json)
		return fail(app, EXIT_REFUSED, "%s", error);
	json_object_set_new(object, "error", json_pack("{s:o}", "message", json_text(error)));
	return tell(app, object, "refused", EXIT_REFUSED, false);
}

static int tell_running(struct app *app, json_t *object, int code)
{
	const char *id = json_string_value(json_object_get(object, "job"));

	if (!app->json) {
		fputs(code == EXIT_TIMEOUT ? "still running" :
		      code == EXIT_CANCELLED ? "left: told to stop, not waited for" :
					       "started", stdout);
		printf(id ? ": job %s\n" : "\n", id);
	}
	return tell(app, object, "running", code, true);
}

/* A plan that runs. */
struct run {
	struct app *app;
	struct cgm_plan *plan;
	struct cgm_job *job;
	struct cpus *cpus;
	json_t *frozen;		/* until the end; NULL: nobody */
	struct follow_options follow;
	int stays;		/* -errno: why this process could not leave it */
	struct record *record;
	json_t *object;		/* what is told of it */
};

/* Whoever asks how far it is reads that in the record. */
static void note_progress(const struct cgm_progress *progress, void *data)
{
	struct run *run = data;

	if (!run->frozen)	/* who stands still waits for no disk either */
		record_progress(run->record, progress);
}

static void set_id(const struct run *run, json_t *object)
{
	if (run->record)
		json_object_set_new(object, "job", json_string(record_id(run->record)));
}

/* Whoever stands still does not wait for somebody to read this. */
static void tell_stays(struct run *run)
{
	if (run->frozen || !run->stays)
		return;
	warn(run->app, "the move cannot be left to a process of its own: %s; it is waited for",
	     strerror(-run->stays));
	run->stays = 0;
}

/* Whoever was frozen goes on. */
static bool thaw(struct run *run, json_t *object, json_t *notes)
{
	json_t *left;
	bool all;

	if (!run->frozen)
		return true;
	left = freeze_end(run->app, run->frozen, notes);
	run->frozen = NULL;
	all = !json_array_size(left);
	freeze_report(left, object);
	json_decref(left);
	tell_stays(run);
	return all;
}

/* The job has ended: its account, kept and told. */
static int finish(struct run *run, int code, bool silent)
{
	json_t *object = report_result(run->app, run->plan, run->job);
	json_t *notes = json_object_get(json_object_get(object, "result"), "notes");

	if (!cpus_end(run->app, run->cpus, run->plan, notes) && code == EXIT_OK)
		code = EXIT_PARTIAL;
	if (!thaw(run, object, notes) && code == EXIT_OK)
		code = EXIT_PARTIAL;
	if (code == EXIT_PARTIAL)
		json_object_set_new(json_object_get(object, "result"), "owners",
				    json_owners(run->app, run->plan, run->job));
	cpus_report(run->cpus, object);
	set_id(run, object);
	json_object_set_new(object, "state", json_string(code_name(code)));
	json_object_set_new(object, "exit", json_integer(code));
	json_object_set_new(object, "changed", json_true());
	record_end(run->app, run->record, object);
	run->record = NULL;
	if (silent) {
		json_decref(object);
		return code;
	}
	if (run->app->json) {
		print_json(run->app, object);
		return code;
	}
	print_result(run->app, object);
	if (code == EXIT_CANCELLED || code == EXIT_TIMEOUT)
		print_ways_on(run->plan, object);
	json_decref(object);
	return code;
}

static void close_terminal(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
}

static void go_on_alone(struct run *run, int ready)
{
	int code, err;

	setsid();
	follow_alone();
	err = record_take_over(run->app, run->record);
	if (write(ready, &err, sizeof(err)) != sizeof(err) || err)
		_exit(EXIT_FAILED);
	close(ready);
	close_terminal();
	if (chdir("/"))
		_exit(EXIT_FAILED);
	run->follow.timeout_usec = 0;
	run->follow.leave = false;
	run->app->json = true;	/* no progress */
	if (follow_job(run->app, run->job, &run->follow, &code))
		finish(run, code, true);
	thaw(run, run->object, NULL);
	cgm_job_free(run->job);		/* puts limits back */
	_exit(EXIT_OK);
}

/* A process that goes on alone once it is the one on record: till then we are. */
static int start_child(struct run *run)
{
	int ready[2], err = -ECHILD;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		close(ready[0]);
		go_on_alone(run, ready[1]);
	}
	if (pid < 0)
		err = -errno;
	close(ready[1]);
	if (pid > 0)	/* of one that was killed first nothing comes */
		(void)!read(ready[0], &err, sizeof(err));
	close(ready[0]);
	return err;
}

/*
 * Somebody has to stay until the end: to move the pages, where there is no
 * engine that does, and to keep the account. A process of its own, with no
 * terminal, does when this one has left. False: there is none, and this one stays.
 */
static bool leave_to_child(struct run *run)
{
	run->stays = start_child(run);
	if (!run->stays) {
		cgm_job_leave(run->job);
		run->job = NULL;
		return true;
	}
	tell_stays(run);
	follow_alone();
	run->follow.timeout_usec = 0;
	return false;
}

static int follow(struct run *run)
{
	int code;

	do {
		if (follow_job(run->app, run->job, &run->follow, &code))
			return finish(run, code, false);
	} while (!leave_to_child(run));
	tell_running(run->app, run->object, code);
	if (code == EXIT_CANCELLED && !run->app->json)
		print_ways_on(run->plan, run->object);
	return code;
}

/* Nothing was started; but somebody may stand still all the same, and is recorded then. */
static void thaw_unstarted(struct run *run, int code)
{
	json_t *notes = json_array(), *note;
	size_t i;

	if (!thaw(run, run->object, notes)) {
		json_object_set_new(run->object, "state", json_string(code_name(code)));
		json_object_set_new(run->object, "exit", json_integer(code));
		json_object_set_new(run->object, "error",
				    json_pack("{s:o}", "message", json_text(run->app->error)));
		record_end(run->app, run->record, run->object);
		run->record = NULL;
	}
	json_array_foreach(notes, i, note)
		warn(run->app, "%s", json_string_value(note));
	json_decref(notes);
}

/* What is to be done before memory moves is undone when it does not. */
static int start_job(struct run *run, const struct cgm_job_options *how)
{
	struct app *app = run->app;
	int err, code = cpus_widen(app, run->cpus);

	if (code)
		return code;
	err = freeze_start(app, run->frozen);
	if (!err)
		err = cgm_job_start(run->plan, how, &run->job);
	if (!err)
		return 0;
	app->quiet = true;	/* until they go on */
	code = fail_errno(app, err);
	app->quiet = false;
	thaw_unstarted(run, code);
	cpus_undo(run->cpus);
	return fail_late(app, code);
}

static int start(struct run *run, const struct cgm_job_options *how, bool no_wait)
{
	struct app *app = run->app;
	int code;

	fflush(stdout);
	follow_prepare(&run->follow.waiting);
	rate_plan(run->object, run->plan, how->rate);
	cache_record(run->object, run->plan);
	migrate_record(app, run->object, run->plan);
	cpus_record(run->cpus, run->plan, run->object);
	run->record = record_new(app, run->object);
	set_id(run, run->object);
	code = others_check(app, run->record);
	if (!code)
		code = rate_claim(app, run->record);
	if (!code)
		code = shortage_check(app);
	if (!code)
		code = start_job(run, how);
	if (code) {
		record_drop(run->record);
		return code;
	}
	if (no_wait && leave_to_child(run))
		code = tell_running(app, run->object, EXIT_OK);
	else
		code = follow(run);
	record_free(run->record);
	cgm_job_free(run->job);
	return code;
}

/* The engine has one bound for all moves. */
static void warn_of_stall(const struct cgm_plan *plan, json_t *object)
{
	struct cgm_plan_item item = { .size = sizeof(item) };

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		if (!item.change || (item.backend != CGM_BACKEND_ENGINE_V2 &&
				     item.backend != CGM_BACKEND_ENGINE_V1))
			continue;
		json_array_append_new(json_object_get(object, "notes"),
			json_pack("{s:s, s:o}", "severity", "warning", "message",
				  json_textf("--max-stall has no effect on the engine: its bound is %s",
					     "/sys/kernel/mm/numa/migrate/max_stall_usec")));
		return;
	}
}

/* Do what a plan says, as the options want it. Returns the exit code. */
static int run_plan(struct app *app, struct cgm_plan *plan, struct cpus *cpus,
		    json_t *frozen, const struct run_options *options)
{
	struct cgm_job_options how = {
		.size = sizeof(how),
		.flags = (options->force ? CGM_JOB_FORCE : 0) |
			 (options->persist ? CGM_JOB_PERSIST : 0),
		.rate = options->rate,
		.max_stall_usec = options->max_stall_usec,
	};
	struct run run = {
		.app = app,
		.plan = plan,
		.cpus = cpus,
		.frozen = frozen,
		.follow.timeout_usec = options->timeout_usec,
		.follow.cancel = options->cancel_on_timeout,
		.follow.leave = true,
		.follow.silent = json_array_size(frozen),
		.follow.note = note_progress,
		.follow.data = &run,
	};
	const char *refused;
	int code;

	run.object = report_plan(app, plan);
	cpus_report(cpus, run.object);
	freeze_report(frozen, run.object);
	if (options->max_stall_usec)
		warn_of_stall(plan, run.object);
	if (!app->json) {
		print_plan(app, run.object);
		print_notes(app, run.object);
	}
	refused = cgm_plan_refusal(plan, how.flags);
	if (refused) {
		code = tell_refusal(app, run.object, refused);
	} else if (!changes(plan, options->persist) && !cpus_change(cpus)) {
		if (!app->json)
			tell_unchanged(app, plan);
		code = tell(app, run.object, "unchanged", EXIT_OK, false);
	} else if (options->dry_run) {
		if (!app->json)
			print_rooms(app, run.object);
		if (!app->json && options->rate)
			print_pace(app, run.object, options->rate);
		code = tell(app, run.object, "planned", EXIT_OK, false);
	} else {
		code = start(&run, &how, options->no_wait);
	}
	json_decref(run.object);
	return code;
}

/*
 * Some things are undone, also after the command was killed, by what the job's record
 * says. It has to be able to name the cgroups.
 */
static int check_names(struct app *app, const struct cgm_plan *plan,
		       const struct run_options *options)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	const char *option = options->freeze ? "--freeze" : options->rate ? "--rate" :
			     options->cpus.mode != CPUS_KEEP ? "--cpus" :
			     options->cache == CGM_CACHE_LEAVE ? "--cache leave" : NULL;

	if (!option)
		return 0;
	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		if (item.group && !json_can_name(cgm_group_path(item.group)))
			return fail(app, EXIT_REFUSED,
				    "%s: its name is not UTF-8, so that no record can name it, which %s needs",
				    cgm_group_path(item.group), option);
	return 0;
}

/* Look at what a plan takes, then do it. Returns the exit code. */
static int check_and_run(struct app *app, struct cgm_plan *plan,
			 const struct run_options *options)
{
	json_t *frozen = NULL;
	struct cpus *cpus;
	int err = cgm_plan_check(plan), code;

	if (err)
		return fail_errno(app, err);
	code = check_names(app, plan, options);
	if (code)
		return code;
	code = cpus_plan(app, plan, &options->cpus, &cpus);
	if (!code && options->freeze)
		code = freeze_plan(app, plan, &frozen);
	if (!code)
		code = run_plan(app, plan, cpus, frozen, options);
	cpus_free(cpus);
	json_decref(frozen);
	return code;
}

/* Plan what every target means, then do it. Returns the exit code. */
int run_targets(struct app *app, char **targets, add_target_fn add, const void *data,
		const struct run_options *options)
{
	struct cgm_plan *plan;
	int code = app_open_jobs(app);

	if (code)
		return code;
	if (cgm_plan_new(app->ctx, &plan))
		return fail(app, EXIT_FAILED, "out of memory");
	interrupted_put_back(app, options->dry_run);
	for (; *targets && !code; targets++)
		code = add(app, plan, *targets, data);
	if (!code)
		code = check_and_run(app, plan, options);
	cgm_plan_free(plan);
	return code;
}
