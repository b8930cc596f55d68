// SPDX-License-Identifier: GPL-2.0
/* cgmigrate settle: bring memory in that is outside a cgroup's nodes. */
#include <getopt.h>
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
	"\n"
	"      --dry-run          show what would move, change nothing\n"
	"      --no-wait          start and leave\n"
	"      --timeout TIME     do not wait longer (30, 500ms, 5min)\n"
	"  -b, --bytes            print sizes in bytes\n"
	COMMON_HELP;

static int add_target(struct app *app, struct cgm_plan *plan, const char *text)
{
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_SETTLE };
	struct target target;
	int err, code = target_open(app, text, &target);

	if (code)
		return code;
	if (!target.group || target.pid) {
		target_close(&target);
		return usage_error(app, "%s: settle takes cgroups", text);
	}
	move.group = target.group;
	err = cgm_plan_add(plan, &move);
	target_close(&target);
	return err ? fail_errno(app, err) : 0;
}

int cmd_settle(struct app *app, int argc, char **argv)
{
	struct run_options run = { 0 };
	struct cgm_plan *plan;
	int c, code = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":b" COMMON_SHORT, long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return EXIT_OK;
		}
		if (c == OPT_NO_WAIT)
			run.no_wait = true;
		else if (c == OPT_DRY_RUN)
			run.dry_run = true;
		else if (c == OPT_TIMEOUT)
			code = parse_time(app, "--timeout", optarg, &run.timeout_usec);
		else if (c == 'b')
			app->bytes = true;
		else if (!common_option(app, c))
			code = bad_option(app, c, argv);
		if (code)
			return code;
	}
	if (optind == argc)
		return usage_error(app, "no cgroup named");
	code = app_open(app);
	if (code)
		return code;
	if (cgm_plan_new(app->ctx, &plan))
		return fail(app, EXIT_FAILED, "out of memory");
	for (int i = optind; i < argc && !code; i++)
		code = add_target(app, plan, argv[i]);
	if (!code)
		code = run_plan(app, plan, &run);
	cgm_plan_free(plan);
	return code;
}
