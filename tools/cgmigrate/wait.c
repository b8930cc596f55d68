// SPDX-License-Identifier: GPL-2.0
/* cgmigrate wait: until no move is under way in a cgroup and below it. */
#include <getopt.h>
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
	"Usage: cgmigrate wait CGROUP...\n"
	"\n"
	"Wait until the kernel moves no memory of these cgroups. Without the engine\n"
	"there is nothing to wait for: the command that moves is the one that waits.\n"
	"\n"
	"      --timeout TIME     do not wait longer (30, 500ms, 5min)\n"
	COMMON_HELP;

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

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

int cmd_wait(struct app *app, int argc, char **argv)
{
	uint64_t timeout = 0, deadline;
	int c, code = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":" COMMON_SHORT, long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return EXIT_OK;
		}
		if (c == OPT_TIMEOUT)
			code = parse_time(app, "--timeout", optarg, &timeout);
		else if (!common_option(app, c))
			code = bad_option(app, c, argv);
		if (code)
			return code;
	}
	if (optind == argc)
		return usage_error(app, "no cgroup named");
	code = app_open(app);
	deadline = timeout ? now_usec() + timeout : 0;
	for (int i = optind; i < argc && !code; i++) {
		struct target target;

		code = target_open(app, argv[i], &target);
		if (code)
			break;
		if (target.group)
			code = wait_for(app, target.group, deadline);
		target_close(&target);
	}
	if (!code && app->json)
		print_json(json_pack("{s:s, s:s, s:i}", "command", app->verb, "state",
				     "done", "exit", 0));
	return code;
}
