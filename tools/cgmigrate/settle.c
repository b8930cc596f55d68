// SPDX-License-Identifier: GPL-2.0
/* cgmigrate settle: bring memory in that is outside a cgroup's nodes. */
#include <stdlib.h>

#include "cgmigrate.h"

enum { OPT_NO_WAIT = 1, OPT_DRY_RUN, OPT_TIMEOUT };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "bytes", no_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate settle CGROUP...\n"
	"\n"
	"Move memory that lies outside a cgroup's nodes to the nearest of them.\n"
	OPTIONS_HEAD
	"      --dry-run          show what would move, change nothing\n"
	"      --no-wait          start and leave\n"
	"      --timeout TIME     do not wait longer (30, 500ms, 5min)\n"
	"  -b, --bytes            print sizes in bytes\n"
	COMMON_HELP;

static int take_option(struct app *app, int c, void *data)
{
	struct run_options *run = data;

	switch (c) {
	case OPT_NO_WAIT:
		run->no_wait = true;
		return 0;
	case OPT_DRY_RUN:
		run->dry_run = true;
		return 0;
	default:
		return parse_time(app, "--timeout", optarg, &run->timeout_usec);
	}
}

static int add_target(struct app *app, struct cgm_plan *plan, const char *text,
		      const void *data)
{
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_SETTLE };
	struct target target;
	int err, code = target_open_cgroup(app, text, &target);

	(void)data;
	if (code)
		return code;
	move.group = target.group;
	err = cgm_plan_add(plan, &move);
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
	struct run_options run = { 0 };
	int code = read_options(app, argc, argv, &options, &run);

	if (code != GO_ON)
		return code;
	if (optind == argc)
		return usage_error(app, "no cgroup named");
	return run_targets(app, argv + optind, add_target, NULL, &run);
}
