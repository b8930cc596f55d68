// SPDX-License-Identifier: GPL-2.0
/* cgmigrate limit: how fast memory of a cgroup may move. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

enum { OPT_RATE = 1, OPT_ALL };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "bytes", no_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate limit CGROUP|JOB...\n"
	"       cgmigrate limit CGROUP|JOB... --rate RATE\n"
	"       cgmigrate limit --all [--rate RATE]\n"
	"\n"
	"Show or set how many bytes a second may move in a cgroup and below it, all\n"
	"moves together. It stays until it is set again. A job, named as \"cgmigrate\n"
	"report\" does (j17), stands for the cgroups it moves, until it has ended.\n"
	OPTIONS_HEAD
	"      --rate RATE        bytes per second (500M), \"max\" for no limit; 0 holds\n"
	"      --all              every cgroup that has a limit\n"
	"  -b, --bytes            print sizes in bytes\n"
	COMMON_HELP;

struct limit {
	bool all;
	bool set;
	uint64_t rate;
	bool changed;
	json_t *targets;
};

static int take_option(struct app *app, int c, void *data)
{
	struct limit *limit = data;

	if (c == OPT_ALL) {
		limit->all = true;
		return 0;
	}
	limit->set = true;
	limit->rate = !strcmp(optarg, "max") ? CGM_RATE_MAX : 0;
	if (limit->rate || !strcmp(optarg, "0"))
		return 0;
	return parse_size(app, "--rate", optarg, &limit->rate);
}

static void tell(struct app *app, struct limit *limit, struct cgm_group *group,
		 uint64_t rate, bool changed)
{
	const char *path = cgm_group_path(group);
	char size[32];

	limit->changed |= changed;
	json_array_append_new(limit->targets,
		json_pack("{s:o, s:o, s:b}", "cgroup", json_text(path), "rate",
			  rate == CGM_RATE_MAX ? json_null() : json_integer(rate),
			  "changed", changed));
	if (app->json)
		return;
	if (rate == CGM_RATE_MAX)
		say("%s: no limit\n", path);
	else if (!rate)
		say("%s: 0, moves are held\n", path);
	else
		say("%s: %s/s\n", path, size_text(app, rate, size, sizeof(size)));
}

static int limit_group(struct app *app, struct limit *limit, struct cgm_group *group)
{
	struct cgm_activity now = { .size = sizeof(now) };
	bool changed;
	int err = cgm_group_activity(group, &now);

	if (err)
		return fail_errno(app, err);
	changed = limit->set && (!now.engine || now.rate != limit->rate);
	if (changed)
		err = cgm_group_set_rate(group, limit->rate);
	if (err)
		return err == -EOPNOTSUPP ?
		       fail(app, EXIT_REFUSED, "%s; \"cgmigrate move --rate\" limits one move",
			    cgm_context_error(app->ctx)) : fail_errno(app, err);
	tell(app, limit, group, changed ? limit->rate : now.rate, changed);
	return 0;
}

static void tell_job(struct app *app, struct limit *limit, const char *id, const char *text)
{
	json_array_append_new(limit->targets,
			      json_pack("{s:s, s:b}", "job", id, "changed", false));
	if (!app->json)
		say("%s: %s\n", id, text);
}

static int limit_named(struct app *app, struct limit *limit, const char *name)
{
	struct target target;
	int code = target_open_cgroup(app, name, &target);

	if (code)
		return code;
	code = limit_group(app, limit, target.group);
	target_close(&target);
	return code;
}

#define OWN_PROCESS "its process moves the memory itself, which no limit of a cgroup holds"

/* The cgroups that the engine moves for a job, if it does. */
static int limit_job(struct app *app, struct limit *limit, const char *id)
{
	json_t *record = record_read(app, id), *target;
	bool moves = false;
	int code = 0;
	size_t i;

	json_array_foreach(json_object_get(record, "targets"), i, target)
		moves |= process_moves(app, target);
	if (!record_goes_on(app, record))
		tell_job(app, limit, id, "has ended, and its cgroups are left as they are");
	else if (moves && limit->set)
		code = fail(app, EXIT_REFUSED, "%s: %s; \"cgmigrate move --rate\" limits one move",
			    id, OWN_PROCESS);
	else if (moves)
		tell_job(app, limit, id, OWN_PROCESS);
	else
		for (i = 0; i < json_array_size(json_object_get(record, "targets")); i++) {
			const char *path = record_cgroup(record, i);

			if (path && !code)
				code = limit_named(app, limit, path);
		}
	json_decref(record);
	return code;
}

struct all_walk {
	struct app *app;
	struct limit *limit;
	int code;
};

static int consider(struct cgm_group *group, void *data)
{
	struct all_walk *walk = data;
	struct cgm_activity now = { .size = sizeof(now) };

	if (cgm_group_activity(group, &now) || !now.engine || now.rate == CGM_RATE_MAX)
		return 0;
	walk->code = limit_group(walk->app, walk->limit, group);
	return walk->code;
}

static int limit_all(struct app *app, struct limit *limit)
{
	struct all_walk walk = { .app = app, .limit = limit };
	struct cgm_group *root;
	int err = cgm_group_open(app->ctx, "/", &root);

	if (err)
		return fail_errno(app, err);
	err = cgm_group_walk(root, consider, &walk);
	cgm_group_unref(root);
	if (walk.code)
		return walk.code;
	if (err)
		return fail_errno(app, err);
	if (!app->json && !json_array_size(limit->targets))
		puts("no cgroup has a limit");
	return 0;
}

static int limit_targets(struct app *app, struct limit *limit, char **targets)
{
	int code = check_cgroups_and_jobs(app, targets);

	for (; *targets && !code; targets++)
		code = job_number(*targets) ? limit_job(app, limit, *targets) :
					      limit_named(app, limit, *targets);
	return code;
}

static const struct options options = {
	.shorts = COMMON_SHORT "b",
	.longs = long_options,
	.help = help,
	.take = take_option,
};

int cmd_limit(struct app *app, int argc, char **argv)
{
	struct limit limit = { 0 };
	int code = read_options(app, argc, argv, &options, &limit);

	if (code != GO_ON)
		return code;
	if (optind == argc && !limit.all)
		return usage_error(app, "no cgroup or job named");
	if (optind < argc && limit.all)
		return usage_error(app, "--all: means every cgroup, and some are named");
	code = app_open_jobs(app);
	if (code)
		return code;
	interrupted_put_back(app, !limit.set);
	limit.targets = json_array();
	code = limit.all ? limit_all(app, &limit) :
			   limit_targets(app, &limit, argv + optind);
	entry_of_change(app, limit.targets, code);
	if (!code && app->json)
		print_json(app, json_pack("{s:s, s:s, s:i, s:b, s:O}", "command", app->verb,
					  "state", limit.changed ? "done" : "unchanged", "exit",
					  0, "changed", limit.changed, "targets", limit.targets));
	json_decref(limit.targets);
	return code;
}
