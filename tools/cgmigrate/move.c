// SPDX-License-Identifier: GPL-2.0
/* cgmigrate move: memory to other nodes, or processes into a cgroup. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

enum {
	OPT_TO = 1, OPT_INTO, OPT_NO_WAIT, OPT_DRY_RUN, OPT_TIMEOUT, OPT_RATE,
	OPT_MAX_STALL, OPT_FORCE, OPT_PERSIST, OPT_CPUS,
	OPT_CANCEL_ON_TIMEOUT, OPT_FREEZE, OPT_MAP, OPT_FROM, OPT_CACHE,
};

static const struct option long_options[] = {
	COMMON_LONG,
	{ "to", required_argument, NULL, OPT_TO },
	{ "into", required_argument, NULL, OPT_INTO },
	{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "cancel-on-timeout", no_argument, NULL, OPT_CANCEL_ON_TIMEOUT },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "max-stall", required_argument, NULL, OPT_MAX_STALL },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "persist", no_argument, NULL, OPT_PERSIST },
	{ "freeze", no_argument, NULL, OPT_FREEZE },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "map", required_argument, NULL, OPT_MAP },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "bytes", no_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate move TARGET... --to NODES\n"
	"       cgmigrate move TARGET... --into CGROUP\n"
	"\n"
	"Move memory to other nodes (sets cpuset.mems), or processes with their memory\n"
	"into a cgroup; --map, --from, --cpus, --cache, --freeze and --persist go with\n"
	"--to only.\n"
	OPTIONS_HEAD
	"      --to NODES         the nodes to move to, such as 2-3\n"
	"      --into CGROUP      the cgroup to move processes into\n"
	"      --map WHICH        what goes where: relative (if not given), distance, or\n"
	"                         pairs such as 0:3,1:2\n"
	"      --from NODES       only what is on these nodes leaves them\n"
	"      --cpus WHICH       follow: those of the new nodes, and pinned threads go\n"
	"                         with them; keep (if not given); or a list of CPUs\n"
	"      --cache WHICH      cache nobody maps: move (if not given), drop or leave\n"
	"      --freeze           the processes stand still while they move\n"
	"      --dry-run          show what would move, change nothing\n"
	"      --no-wait          start and leave\n"
	"      --timeout TIME     do not wait longer (30, 500ms, 5min)\n"
	"      --cancel-on-timeout  stop the move then, instead of leaving it\n"
	"      --rate BYTES       at most so much a second (500M)\n"
	"      --max-stall TIME   longest stall of the job, stock kernels (2ms)\n"
	"      --force            start although there is not enough room\n"
	"      --persist          systemd units: keep the nodes over a reboot, too\n"
	"  -b, --bytes            print sizes in bytes\n"
	COMMON_HELP;

struct move_arguments {
	struct run_options run;
	cgm_nodeset to;
	struct placing placing;
	bool has_to;
	bool has_map;
	const char *into;
};

static int take_option(struct app *app, int c, void *data)
{
	struct move_arguments *args = data;

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
	case OPT_PERSIST:
		args->run.persist = true;
		return 0;
	case OPT_FREEZE:
		args->run.freeze = true;
		return 0;
	case OPT_CACHE:
		return parse_cache(app, "--cache", optarg, &args->run.cache);
	case OPT_CANCEL_ON_TIMEOUT:
		args->run.cancel_on_timeout = true;
		return 0;
	case OPT_MAP:
		args->has_map = true;
		return parse_map(app, "--map", optarg, &args->placing);
	case OPT_FROM:
		return parse_nodes(app, "--from", optarg, &args->placing.only);
	case OPT_CPUS:
		return parse_cpus(app, "--cpus", optarg, &args->run.cpus);
	case OPT_TIMEOUT:
		return parse_time(app, "--timeout", optarg, &args->run.timeout_usec);
	case OPT_RATE:
		return parse_size(app, "--rate", optarg, &args->run.rate);
	default:
		return parse_stall(app, optarg, &args->run.max_stall_usec);
	}
}

static int check_arguments(struct app *app, int targets, const struct move_arguments *args)
{
	if (!targets)
		return usage_error(app, "no target named");
	if (!args->has_to && !args->into)
		return usage_error(app, "one of --to NODES and --into CGROUP is needed");
	if (args->has_to && args->into)
		return usage_error(app, "only one of --to NODES and --into CGROUP");
	if (args->run.persist && args->into)
		return usage_error(app, "--persist: goes with --to");
	if (args->run.cpus.mode != CPUS_KEEP && args->into)
		return usage_error(app, "--cpus: goes with --to");
	if (args->run.freeze && args->into)
		return usage_error(app, "--freeze: goes with --to");
	if (args->run.cache != CGM_CACHE_MOVE && args->into)
		return usage_error(app, "--cache: goes with --to");
	if (args->has_map && args->into)
		return usage_error(app, "--map: goes with --to");
	if (cgm_nodeset_weight(&args->placing.only) && args->into)
		return usage_error(app, "--from: goes with --to");
	if (args->run.no_wait && args->run.timeout_usec)
		return usage_error(app, "--timeout: means nothing with --no-wait");
	if (args->run.cancel_on_timeout && !args->run.timeout_usec)
		return usage_error(app, "--cancel-on-timeout: goes with --timeout");
	return args->has_to ? placing_check(app, &args->placing, &args->to) : 0;
}

/* A process alone in a cgroup stands for it; in company the user has to choose. */
static int pid_stands_for_group(struct app *app, const struct target *target)
{
	const char *path = cgm_group_path(target->group);
	bool alone, among;
	pid_t *pids;
	size_t count;
	int err = cgm_group_pids(target->group, CGM_PIDS_SUBTREE, &pids, &count);

	if (err)
		return fail_errno(app, err);
	alone = count == 1 && pids[0] == target->pid;
	among = false;
	for (size_t i = 0; i < count; i++)
		among |= pids[i] == target->pid;
	free(pids);
	if (!among)
		return fail(app, EXIT_FAILED, "%d: is no process of %s any more; a thread goes by the number of its process",
			    target->pid, path);
	if (alone && strcmp(path, "/"))
		return 0;
	return fail(app, EXIT_REFUSED,
		    "%d: shares its cgroup %s with %zu other process%s; move them all with \"move %s --to ...\", or this one into a cgroup of its own with \"move %d --into CGROUP\"",
		    target->pid, path, count - 1, count == 2 ? "" : "es", path, target->pid);
}

static int add_to(struct app *app, struct cgm_plan *plan, const struct target *target,
		  const struct move_arguments *args)
{
	struct cgm_move move = {
		.size = sizeof(move),
		.to = args->to,
		.rule = args->placing.rule,
		.pairs = args->placing.pairs,
		.pair_count = args->placing.count,
		.only = args->placing.only,
		.cache = args->run.cache,
	};
	char unit[256];
	int err;

	if (target->group) {
		if (target->pid) {
			int code = pid_stands_for_group(app, target);

			if (code)
				return code;
		}
		if (args->run.persist &&
		    cgm_group_owner(target->group, unit, sizeof(unit)) != CGM_OWNER_SYSTEMD)
			return fail(app, EXIT_REFUSED,
				    "--persist: %s is not the cgroup of a systemd unit, and nothing else keeps nodes over a reboot",
				    target->text);
		move.action = CGM_ACTION_MEMS;
		move.group = target->group;
	} else if (args->run.cache != CGM_CACHE_MOVE) {
		return fail(app, EXIT_REFUSED,
			    "--cache: a process alone has no page cache of its own");
	} else {
		move.action = CGM_ACTION_PAGES;
		move.pids = &target->pid;
		move.pid_count = 1;
	}
	err = cgm_plan_add(plan, &move);
	return err ? fail_errno(app, err) : 0;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* Have all processes of a cgroup been named? */
static int all_named(struct app *app, struct cgm_group *group, const struct target *target)
{
	const char *path = cgm_group_path(group);
	size_t count, strangers = 0;
	pid_t *pids;
	int err = cgm_group_pids(group, CGM_PIDS_SUBTREE, &pids, &count);

	if (err)
		return fail_errno(app, err);
	for (size_t i = 0; i < count; i++)
		strangers += !bsearch(&pids[i], target->pids, target->pid_count,
				      sizeof(*pids), compare_pids);
	free(pids);
	if (!strangers)
		return 0;
	return fail(app, EXIT_REFUSED,
		    "%s: shares the cgroup %s with %zu process%s of others; move them all with \"move %s --to ...\", or the user's into a cgroup of their own with \"move %s --into CGROUP\"",
		    target->text, path, strangers, strangers == 1 ? "" : "es", path,
		    target->text);
}

/* All cgroups a user's processes are in, each once. */
static int add_user_to(struct app *app, struct cgm_plan *plan, const struct target *target,
		       const struct move_arguments *args)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	int code = 0;

	for (size_t i = 0; i < target->pid_count && !code; i++) {
		struct target one = { .text = target->text };
		bool known = false;
		int err = cgm_group_open_pid(app->ctx, target->pids[i], &one.group);

		if (err == -ESRCH)	/* has exited */
			continue;
		if (err)
			return fail_errno(app, err);
		for (size_t k = 0; !cgm_plan_item(plan, k, &item); k++)
			known |= item.group && !strcmp(cgm_group_path(item.group),
						       cgm_group_path(one.group));
		if (!known)
			code = all_named(app, one.group, target);
		if (!known && !code)
			code = add_to(app, plan, &one, args);
		cgm_group_unref(one.group);
	}
	return code;
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

	if (target->pids) {
		move.pids = target->pids;
		move.pid_count = target->pid_count;
	} else if (!target->pid) {
		err = cgm_group_pids(target->group, CGM_PIDS_SUBTREE, &pids,
				     &move.pid_count);
		move.pids = pids;
		move.source = target->group;
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
		      const void *data)
{
	const struct move_arguments *args = data;
	struct target target, into;
	int code = target_open(app, text, &target);

	if (code)
		return code;
	if (args->into) {
		code = target_open(app, args->into, &into);
		if (!code && (into.pid || into.pids))
			code = usage_error(app, "--into %s: not a cgroup", args->into);
		if (!code)
			code = add_into(app, plan, &target, into.group);
		target_close(&into);
	} else if (target.pids) {
		code = add_user_to(app, plan, &target, args);
	} else {
		code = add_to(app, plan, &target, args);
	}
	target_close(&target);
	return code;
}

static const struct options options = {
	.shorts = COMMON_SHORT "b",
	.longs = long_options,
	.help = help,
	.take = take_option,
};

int cmd_move(struct app *app, int argc, char **argv)
{
	struct move_arguments args = { 0 };
	int code = read_options(app, argc, argv, &options, &args);

	if (code == GO_ON)
		code = check_arguments(app, argc - optind, &args) ?:
		       run_targets(app, argv + optind, add_target, &args, &args.run);
	placing_free(&args.placing);
	return code;
}
