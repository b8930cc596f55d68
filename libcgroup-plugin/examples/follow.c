// SPDX-License-Identifier: LGPL-2.1-or-later
/* Move a cgroup and follow it in a poll loop. Usage: follow /web 2-3 */
#include <err.h>
#include <libcgmigrate.h>
#include <poll.h>
#include <stdio.h>

static void print_result(const struct cgm_result *result)
{
	struct cgm_row row = { .size = sizeof(row) };

	for (size_t i = 0; !cgm_result_row(result, i, &row); i++)
		printf("%d -> %d %s: %llu bytes %s\n", row.from, row.to,
		       cgm_kind_name(row.kind), (unsigned long long)row.bytes,
		       cgm_reason_text(row.reason));
}

int main(int argc, char **argv)
{
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_MEMS };
	struct cgm_progress progress = { .size = sizeof(progress) };
	struct cgm_context *ctx;
	struct cgm_plan *plan;
	struct cgm_job *job;

	if (argc != 3 || cgm_nodeset_parse(argv[2], &move.to))
		errx(2, "usage: follow CGROUP NODES");
	if (cgm_context_new(&ctx, NULL))
		errx(1, "cannot look at this system");
	if (cgm_group_open(ctx, argv[1], &move.group) || cgm_plan_new(ctx, &plan) ||
	    cgm_plan_add(plan, &move) || cgm_job_start(plan, NULL, &job))
		errx(1, "%s", cgm_context_error(ctx));

	while (cgm_job_dispatch(job)) {
		struct pollfd pfd = { .fd = cgm_job_fd(job), .events = POLLIN };

		poll(&pfd, 1, -1);
		cgm_job_progress(job, &progress);
		printf("%llu of %llu bytes\n", (unsigned long long)progress.moved,
		       (unsigned long long)progress.total);
	}
	print_result(cgm_job_result(job));

	cgm_job_free(job);
	cgm_plan_free(plan);
	cgm_group_unref(move.group);
	cgm_context_free(ctx);
	return 0;
}
