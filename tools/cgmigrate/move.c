// SPDX-License-Identifier: GPL-2.0
/* cgmigrate move: memory to other nodes, or processes into a cgroup. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

enum {
	OPT_TO = 1, OPT_INTO, OPT_NO_WAIT, OPT_DRY_RUN, OPT_TIMEOUT, OPT_RATE,
	OPT_MAX_STALL, OPT_FORCE,
};

static const struct option long_options[] = {
	COMMON_LONG,
	{ "to", required_argument, NULL, OPT_TO },
	{ "into", required_argument, NULL, OPT_INTO },
	{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "max-stall", required_argument, NULL, OPT_MAX_STALL },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "bytes", no_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate move TARGET... --to NODES\n"
	"       cgmigrate move TARGET... --into CGROUP\n"
	"\n"
	"Move memory to other nodes (sets cpuset.mems), or processes with their memory\n"
	"into a cgroup.\n"
	"\n"
	"      --to NODES         the nodes to move to, such as 2-3\n"
	"      --into CGROUP      the cgroup to move processes into\n"
	"      --dry-run          show what would move, change nothing\n"
	"      --no-wait          start and leave\n"
	"      --timeout TIME     do not wait longer (30, 500ms, 5min)\n"
	"      --rate BYTES       at most so much a second (500M)\n"
	"      --max-stall TIME   longest stall of the job, stock kernels (2ms)\n"
	"      --force            start although there is not enough room\n"
	"  -b, --bytes            print sizes in bytes\n"
	COMMON_HELP;

struct move_arguments {
	struct run_options run;
	cgm_nodeset to;
	bool has_to;
	const char *into;
};

static int take_option(struct app *app, int c, char **argv, struct move_arguments *args)
{
	switch (c) {
	case OPT_TO:
		args->has_to = true;
		return parse_nodes(app, "--to", optarg, &args->to);
	case OPT_INTO:
		args->into = optarg;
		return 0;
	case OPT_NO_WAIT:
		args->run.no_wait = true;
		return 0;
	case OPT_DRY_RUN:
		args->run.dry_run = true;
		return 0;
	case OPT_FORCE:
		args->run.force = true;
		return 0;
	case OPT_TIMEOUT:
		return parse_time(app, "--timeout", optarg, &args->run.timeout_usec);
	case OPT_RATE:
		return parse_size(app, "--rate", optarg, &args->run.rate);
	case OPT_MAX_STALL:
		return parse_time(app, "--max-stall", optarg, &args->run.max_stall_usec);
	case 'b':
		app->bytes = true;
		return 0;
	default:
		return common_option(app, c) ? 0 : bad_option(app, c, argv);
	}
}

static int check_arguments(struct app *app, int targets, const struct move_arguments *args)
{
	if (!targets)
		return usage_error(app, "no target named");
	if (args->has_to == !!args->into)
		return usage_error(app, "one of --to NODES and --into CGROUP is needed");
	if (args->run.no_wait && args->run.timeout_usec)
		return usage_error(app, "--timeout: means nothing with --no-wait");
	if (args->run.no_wait && args->run.rate)
		return usage_error(app,
				   "--rate: the limit is taken back at the end, so somebody has to wait: not with --no-wait");
	if (args->run.max_stall_usec > 10000000)
		return usage_error(app, "--max-stall: at most 10s");
	return 0;
}

/* A process alone in a cgroup stands for it; in company the user has to choose. */
static int pid_stands_for_group(struct app *app, const struct target *target)
{
	const char *path = cgm_group_path(target->group);
	pid_t *pids;
	size_t count;
	int err = cgm_group_pids(target->group, CGM_PIDS_SUBTREE, &pids, &count);

	if (err)
		return fail_errno(app, err);
	free(pids);
	if (count == 1 && strcmp(path, "/"))
		return 0;
	return fail(app, EXIT_REFUSED,
		    "%d: shares its cgroup %s with %zu other processes; move them all with \"move %s --to ...\", or this one into a cgroup of its own with \"move %d --into CGROUP\"",
		    target->pid, path, count - 1, path, target->pid);
}

static int add_to(struct app *app, struct cgm_plan *plan, const struct target *target,
		  const struct move_arguments *args)
{
	struct cgm_move move = { .size = sizeof(move), .to = args->to };
	int err;

	if (target->group) {
		if (target->pid) {
			int code = pid_stands_for_group(app, target);

			if (code)
				return code;
		}
		move.action = CGM_ACTION_MEMS;
		move.group = target->group;
	} else {
		move.action = CGM_ACTION_PAGES;
		move.pids = &target->pid;
		move.pid_count = 1;
	}
	err = cgm_plan_add(plan, &move);
	return err ? fail_errno(app, err) : 0;
}

static int add_into(struct app *app, struct cgm_plan *plan, const struct target *target,
		    struct cgm_group *into)
{
	struct cgm_move move = {
		.size = sizeof(move),
		.action = CGM_ACTION_ATTACH,
		.group = into,
		.pids = &target->pid,
		.pid_count = 1,
	};
	pid_t *pids = NULL;
	int err = 0;

	if (!target->pid) {
		err = cgm_group_pids(target->group, CGM_PIDS_SUBTREE, &pids,
				     &move.pid_count);
		move.pids = pids;
		if (!err && !move.pid_count) {
			free(pids);
			return fail(app, EXIT_REFUSED, "%s: has no processes to move",
				    target->text);
		}
	}
	if (!err)
		err = cgm_plan_add(plan, &move);
	free(pids);
	return err ? fail_errno(app, err) : 0;
}

static int add_target(struct app *app, struct cgm_plan *plan, const char *text,
		      const struct move_arguments *args)
{
	struct target target, into;
	int code = target_open(app, text, &target);

	if (code)
		return code;
	if (args->into) {
		code = target_open(app, args->into, &into);
		if (!code && into.pid)
			code = usage_error(app, "--into %s: not a cgroup", args->into);
		if (!code)
			code = add_into(app, plan, &target, into.group);
		target_close(&into);
	} else {
		code = add_to(app, plan, &target, args);
	}
	target_close(&target);
	return code;
}

int cmd_move(struct app *app, int argc, char **argv)
{
	struct move_arguments args = { 0 };
	struct cgm_plan *plan;
	int c, code = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":b" COMMON_SHORT, long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return EXIT_OK;
		}
		code = take_option(app, c, argv, &args);
		if (code)
			return code;
	}
	code = check_arguments(app, argc - optind, &args);
	if (!code)
		code = app_open(app);
	if (code)
		return code;
	if (cgm_plan_new(app->ctx, &plan))
		return fail(app, EXIT_FAILED, "out of memory");
	for (int i = optind; i < argc && !code; i++)
		code = add_target(app, plan, argv[i], &args);
	if (!code)
		code = run_plan(app, plan, &args.run);
	cgm_plan_free(plan);
	return code;
}
