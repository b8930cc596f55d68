// SPDX-License-Identifier: GPL-2.0
/* Carrying a schedule out, round by round, and the account over all of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rounds.h"

/* More than that does not make room where the others did not. */
#define SETTLE_PASSES 8

static uint64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void add_number(json_t *to, const json_t *from, const char *key)
{
	json_object_set_new(to, key, json_integer(number(to, key) + number(from, key)));
}

/* The account of one job is added to that of all. */
static void add_result(struct rounds *rounds, json_t *result)
{
	json_t *all = json_object_get(rounds->object, "result"), *totals, *bytes;
	const char *reason;

	if (!all) {
		json_object_set(rounds->object, "result", result);
		return;
	}
	add_number(all, result, "scanned");
	add_number(all, result, "elapsed_usec");
	if (number(result, "max_batch_usec") > number(all, "max_batch_usec"))
		json_object_set(all, "max_batch_usec",
				json_object_get(result, "max_batch_usec"));
	totals = json_object_get(all, "totals");
	json_object_foreach(json_object_get(result, "totals"), reason, bytes)
		add_number(totals, json_object_get(result, "totals"), reason);
	json_array_extend(json_object_get(all, "notes"), json_object_get(result, "notes"));
}

/* The remarks of the result, which there is at the latest now. */
json_t *rounds_notes(struct rounds *rounds)
{
	json_t *all = json_object_get(rounds->object, "result");

	if (!all) {
		all = json_pack("{s:i, s:{}, s:i, s:i, s:[]}", "scanned", 0, "totals",
				"elapsed_usec", 0, "max_batch_usec", 0, "notes");
		json_object_set_new(rounds->object, "result", all);
	}
	return json_object_get(all, "notes");
}

/* Run a plan to its end. *stayed: bytes that should have moved. */
static int run_job(struct rounds *rounds, struct cgm_plan *plan, uint64_t *stayed)
{
	struct app *app = rounds->app;
	struct cgm_progress progress = { .size = sizeof(progress) };
	struct cgm_job_options how = {
		.size = sizeof(how), .flags = CGM_JOB_FORCE, .rate = rounds->rate,
		.max_stall_usec = rounds->max_stall_usec,
	};
	const char *refusal;
	struct cgm_job *job;
	json_t *object;
	int err, code;

	err = cgm_plan_check(plan);
	if (err)
		return fail_errno(app, err);
	refusal = cgm_plan_refusal(plan, CGM_JOB_FORCE);
	if (refusal)
		return fail(app, EXIT_FAILED, "%s", refusal);
	/* To look at all that memory may have taken long. */
	if (follow_interrupted(&rounds->follow))
		return EXIT_CANCELLED;
	err = cgm_job_start(plan, &how, &job);
	if (err)
		return fail(app, EXIT_FAILED, "%s", cgm_context_error(app->ctx));
	if (!follow_job(app, job, &rounds->follow, &code)) {
		cgm_job_free(job);
		return code;
	}
	object = report_result(app, plan, job);
	cgm_job_progress(job, &progress);
	*stayed = progress.state == CGM_STATE_PARTIAL ? progress.stayed : 0;
	owners_note(rounds->schedule, plan, job, rounds->stayed);
	add_result(rounds, json_object_get(object, "result"));
	json_decref(object);
	cgm_job_free(job);
	return code;
}

/* Does the cpuset still have more nodes than it is to have? Then it is not settled. */
static bool is_wide(const struct cgm_step *step)
{
	cgm_nodeset now;

	return cgm_group_mems(step->group, &now) || !cgm_nodeset_equal(&now, &step->to);
}

/* A cgroup that was removed meanwhile keeps nobody from the rest of the schedule. */
bool rounds_removed(struct cgm_group *group)
{
	int fd = cgm_group_open_file(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd == -ENOENT || fd == -ENODEV;
}

/* *wide: how many cpusets are left out of a plan that brings pages in. */
static int new_plan(struct rounds *rounds, int round, enum cgm_action action,
		    struct cgm_plan **plan, int *wide)
{
	struct cgm_step step = { .size = sizeof(step) };
	struct cgm_node_pair pairs[CGM_NODES_MAX];
	int err = cgm_plan_new(rounds->app->ctx, plan);

	*wide = 0;
	for (size_t i = 0; !err && !cgm_schedule_step(rounds->schedule, i, &step); i++) {
		struct cgm_move move = {
			.size = sizeof(move), .action = action, .group = step.group,
			.to = step.to, .pairs = pairs,
		};

		if (step.round != round)
			continue;
		if (action == CGM_ACTION_MEMS)
			move.pair_count = rest_pairs(rounds, &step, pairs);
		if (rounds_removed(step.group)) {
			if (action == CGM_ACTION_MEMS)
				warn(rounds->app, "%s: was removed, and is left out",
				     cgm_group_path(step.group));
			continue;
		}
		if (action == CGM_ACTION_SETTLE && is_wide(&step))
			(*wide)++;
		else
			err = cgm_plan_add(*plan, &move);
	}
	return err ? fail_errno(rounds->app, err) : 0;
}

/* Bring in what was left by one that was stopped, as long as that helps. */
static int settle_rest(struct rounds *rounds)
{
	uint64_t stayed = UINT64_MAX, before;
	int code = EXIT_PARTIAL;

	do {
		struct cgm_plan *plan;

		before = stayed;
		stayed = 0;
		code = rest_plan(rounds, &plan);
		if (!code && cgm_plan_size(plan)) {
			rounds->changed = true;
			code = run_job(rounds, plan, &stayed);
		}
		cgm_plan_free(plan);
	} while (code == EXIT_PARTIAL && stayed && stayed < before);
	return code;
}

/*
 * Moves that were made together have left what found no room in the first go;
 * others have made room since. As long as that helps.
 */
static int settle(struct rounds *rounds, int round, uint64_t stayed)
{
	int code = EXIT_PARTIAL, wide = 0;

	for (int pass = 0; pass < SETTLE_PASSES && code == EXIT_PARTIAL && stayed; pass++) {
		uint64_t before = stayed;
		struct cgm_plan *plan;

		stayed = 0;
		code = new_plan(rounds, round, CGM_ACTION_SETTLE, &plan, &wide);
		if (!code && cgm_plan_size(plan))
			code = run_job(rounds, plan, &stayed);
		cgm_plan_free(plan);
		if (code == EXIT_PARTIAL && stayed >= before)
			break;
	}
	return !code && wide ? EXIT_PARTIAL : code;
}

static void tell_round(const struct rounds *rounds, int round)
{
	struct cgm_step step = { .size = sizeof(step) };
	char from[256], to[256];

	if (rounds->app->json)
		return;
	for (size_t i = 0; !cgm_schedule_step(rounds->schedule, i, &step); i++)
		if (step.round == round)
			say("%d: %s %s %s -> %s\n", round, cgm_step_name(step.kind),
			    cgm_group_path(step.group),
			    nodes_text(&step.from, from, sizeof(from)),
			    nodes_text(&step.to, to, sizeof(to)));
	fflush(stdout);
}

/* All steps of a round at once. */
static int run_round(struct rounds *rounds, int round)
{
	struct cgm_plan *plan;
	uint64_t stayed = 0;
	int code, wide;

	tell_round(rounds, round);
	code = new_plan(rounds, round, CGM_ACTION_MEMS, &plan, &wide);
	if (!code && cgm_plan_size(plan))
		code = run_job(rounds, plan, &stayed);
	if (code == EXIT_PARTIAL && cgm_plan_size(plan) > 1)
		code = settle(rounds, round, stayed);
	cgm_plan_free(plan);
	return code;
}

static bool ends_all(int code)
{
	return code && code != EXIT_PARTIAL;
}

/* A round, and the CPUs of those that begin or end with it. */
static int run_with_cpus(struct rounds *rounds, int round, bool steps)
{
	int code, after;

	if (follow_interrupted(&rounds->follow))
		return EXIT_CANCELLED;
	code = cpus_before_round(rounds, round);
	if (!code && steps) {
		rounds->changed = true;
		code = run_round(rounds, round);
	}
	if (ends_all(code))
		return code;
	after = cpus_after_round(rounds, round);
	return after ? after : code;
}

static int run_steps(struct rounds *rounds)
{
	struct cgm_step step = { .size = sizeof(step) };
	int now, round = 0, code = EXIT_OK;

	for (size_t i = 0; !cgm_schedule_step(rounds->schedule, i, &step); i++) {
		if (step.round == round)
			continue;
		round = step.round;
		now = run_with_cpus(rounds, round, true);
		if (ends_all(now))
			return now;
		code = now ? now : code;
	}
	/* Those whose nodes stay. */
	now = run_with_cpus(rounds, round + 1, false);
	return now ? now : code;
}

/* What finds no room before the others have moved may find it then. */
static int run_all(struct rounds *rounds)
{
	int rest = EXIT_OK, code;

	if (json_object_get(rounds->object, "rest"))
		rest = settle_rest(rounds);
	if (ends_all(rest))
		return rest;
	code = run_steps(rounds);
	if (ends_all(code) || !rest)
		return code;
	rest = settle_rest(rounds);
	return rest ? rest : code;
}

/* Returns the exit code: what stayed does not keep the rest from being done. */
int rounds_run(struct rounds *rounds)
{
	struct cgm_schedule_target target = { .size = sizeof(target) };
	size_t count = 0;
	int code;

	while (!cgm_schedule_target(rounds->schedule, count, &target))
		count++;
	rounds->stayed = calloc(count + 1, sizeof(*rounds->stayed));
	if (!rounds->stayed)
		return fail(rounds->app, EXIT_FAILED, "out of memory");
	code = run_all(rounds);
	if (code == EXIT_PARTIAL) {
		rounds_notes(rounds);
		json_object_set_new(json_object_get(rounds->object, "result"), "owners",
				    json_owners_of(rounds->app, rounds->schedule,
						   rounds->stayed));
	}
	free(rounds->stayed);
	return code;
}
