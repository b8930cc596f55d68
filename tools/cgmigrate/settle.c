// SPDX-License-Identifier: GPL-2.0
/* cgmigrate settle: bring memory in that is outside a cgroup's nodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

enum {
	OPT_ALL = 1, OPT_NO_WAIT, OPT_DRY_RUN, OPT_TIMEOUT, OPT_CANCEL_ON_TIMEOUT,
	OPT_RATE, OPT_MAX_STALL, OPT_CACHE,
};

static const struct option long_options[] = {
	COMMON_LONG,
	{ "all", no_argument, NULL, OPT_ALL },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "cancel-on-timeout", no_argument, NULL, OPT_CANCEL_ON_TIMEOUT },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "max-stall", required_argument, NULL, OPT_MAX_STALL },
	{ "bytes", no_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate settle CGROUP...\n"
	"       cgmigrate settle --all\n"
	"\n"
	"Move memory that lies outside a cgroup's nodes to the nearest of them.\n"
	OPTIONS_HEAD
	"      --all              every cgroup that has memory outside its nodes\n"
	"      --cache WHICH      cache nobody maps: move (if not given), drop or leave\n"
	"      --dry-run          show what would move, change nothing\n"
	"      --no-wait          start and leave\n"
	"      --timeout TIME     do not wait longer (30, 500ms, 5min)\n"
	"      --cancel-on-timeout  stop the move then, instead of leaving it\n"
	"      --rate BYTES       at most so much a second (500M)\n"
	"      --max-stall TIME   longest stall of the job, stock kernels (2ms)\n"
	"  -b, --bytes            print sizes in bytes\n"
	COMMON_HELP;

struct settle_arguments {
	struct run_options run;
	bool all;
};

static int take_option(struct app *app, int c, void *data)
{
	struct settle_arguments *args = data;

	switch (c) {
	case OPT_ALL:
		args->all = true;
		return 0;
	case OPT_CACHE:
		return parse_cache(app, "--cache", optarg, &args->run.cache);
	case OPT_NO_WAIT:
		args->run.no_wait = true;
		return 0;
	case OPT_DRY_RUN:
		args->run.dry_run = true;
		return 0;
	case OPT_CANCEL_ON_TIMEOUT:
		args->run.cancel_on_timeout = true;
		return 0;
	case OPT_RATE:
		return parse_size(app, "--rate", optarg, &args->run.rate);
	case OPT_MAX_STALL:
		return parse_stall(app, optarg, &args->run.max_stall_usec);
	default:
		return parse_time(app, "--timeout", optarg, &args->run.timeout_usec);
	}
}

static int check_arguments(struct app *app, int targets,
			   const struct settle_arguments *args)
{
	if (!targets && !args->all)
		return usage_error(app, "no cgroup named");
	if (targets && args->all)
		return usage_error(app, "--all: means every cgroup, and some are named");
	if (args->run.no_wait && args->run.timeout_usec)
		return usage_error(app, "--timeout: means nothing with --no-wait");
	if (args->run.cancel_on_timeout && !args->run.timeout_usec)
		return usage_error(app, "--cancel-on-timeout: goes with --timeout");
	return 0;
}

static int add_group(struct cgm_plan *plan, struct cgm_group *group, enum cgm_cache cache)
{
	struct cgm_move move = {
		.size = sizeof(move), .action = CGM_ACTION_SETTLE, .group = group,
		.cache = cache,
	};

	return cgm_plan_add(plan, &move);
}

/* ---- all of them ---- */

struct all_walk {
	struct cgm_plan *plan;
	enum cgm_cache cache;
	char above[4096];	/* planned already */
};

static bool has_strays(struct cgm_group *group)
{
	struct cgm_placement *placement;
	cgm_nodeset mems;
	bool any;

	if (!strcmp(cgm_group_path(group), "/") || !cgm_group_has_cpuset(group) ||
	    cgm_group_mems(group, &mems) || !cgm_nodeset_weight(&mems) ||
	    cgm_placement_read(group, 0, &placement))
		return false;
	any = cgm_placement_stray(placement) > 0;
	cgm_placement_free(placement);
	return any;
}

/* Memory of those below is brought in with it, each to its own nodes. */
static int consider(struct cgm_group *group, void *data)
{
	struct all_walk *walk = data;
	const char *path = cgm_group_path(group);
	size_t len = strlen(walk->above);
	int err;

	if (len && !strncmp(path, walk->above, len) && path[len] == '/')
		return 0;
	if (!has_strays(group))
		return 0;
	err = add_group(walk->plan, group, walk->cache);
	if (!err)
		snprintf(walk->above, sizeof(walk->above), "%s", path);
	return err == -ENOENT || err == -ENODEV ? 0 : err;	/* is gone */
}

static int add_all(struct app *app, struct cgm_plan *plan, enum cgm_cache cache)
{
	struct all_walk walk = { .plan = plan, .cache = cache };
	struct cgm_group *root;
	int err = cgm_group_open(app->ctx, "/", &root);

	if (!err) {
		err = cgm_group_walk(root, consider, &walk);
		cgm_group_unref(root);
	}
	return err ? fail_errno(app, err) : 0;
}

static int add_target(struct app *app, struct cgm_plan *plan, const char *text,
		      const void *data)
{
	const struct settle_arguments *args = data;
	struct target target;
	int err, code;

	if (args->all)
		return add_all(app, plan, args->run.cache);
	code = target_open_cgroup(app, text, &target);
	if (code)
		return code;
	err = add_group(plan, target.group, args->run.cache);
	target_close(&target);
	return err ? fail_errno(app, err) : 0;
}

static const struct options options = {
	.shorts = COMMON_SHORT "b",
	.longs = long_options,
	.help = help,
	.take = take_option,
};

int cmd_settle(struct app *app, int argc, char **argv)
{
	char *all[2] = { argv[0] };	/* what it says is not looked at */
	struct settle_arguments args = { 0 };
	int code = read_options(app, argc, argv, &options, &args);

	if (code == GO_ON)
		code = check_arguments(app, argc - optind, &args) ?:
		       run_targets(app, args.all ? all : argv + optind, add_target, &args,
				   &args.run);
	return code;
}
