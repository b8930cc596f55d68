// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whole processes at once, from one node to one other: migrate_pages(2), once for
 * each process and node, where every node can be left before it is entered.
 *
 * The kernel finds the pages by itself, so nobody has to list them. But it tells no
 * fate of any page, takes no heed of watermarks, cannot be stopped in the middle and
 * has no limits. So it is used on kernels with the engine only, where there is room,
 * and where nobody asked for a limit. What it leaves behind is moved page by page,
 * with a reason for what stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stock.h"

static long sys_migrate_pages(pid_t pid, const cgm_nodeset *from, const cgm_nodeset *to)
{
	return syscall(SYS_migrate_pages, pid, CGM_NODES_MAX + 1, from->bits, to->bits);
}

static int make_order(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int nodes = run->job->plan->nodes;
	const int **dests = calloc(sr->scope_count, sizeof(*dests));

	sr->pairs.order = calloc(nodes, sizeof(*sr->pairs.order));
	if (!dests || !sr->pairs.order) {
		free(dests);
		return -ENOMEM;
	}
	for (size_t i = 0; i < sr->scope_count; i++)
		dests[i] = sr->scopes[i].dest;
	sr->pairs.count = nodemap_order(dests, sr->scope_count, nodes, sr->pairs.order);
	free(dests);
	return 0;
}

/* 1: pairs_step() is to be called, 0: pages have to be listed, -errno. */
int pairs_start(struct job_run *run)
{
	struct stock_run *sr = run->private;
	const struct cgm_job_options *options = &run->job->options;
	int err;

	if (!sr->engine || options->rate || options->max_stall_usec ||
	    !(run->job->ctx->features.flags & CGM_FEATURE_MIGRATE_PAGES))
		return 0;
	err = make_order(run);
	if (err || sr->pairs.count <= 0)
		return err;
	err = pass_start(run, PASS_NODE);
	return err ? err : 1;
}

static uint64_t less(uint64_t before, uint64_t after)
{
	return before > after ? before - after : 0;
}

/* What is gone from one node and has come to the other. */
static void account_moved(struct job_run *run, const struct cgm_placement *before,
			  const struct cgm_placement *after, int from, int to)
{
	for (int k = 0; k < CGM_KIND_KERNEL; k++) {
		uint64_t left = less(cgm_placement_bytes(before, k, from),
				     cgm_placement_bytes(after, k, from));
		uint64_t came = less(cgm_placement_bytes(after, k, to),
				     cgm_placement_bytes(before, k, to));
		struct cell cell = { .from = from, .to = to, .kind = k };
		uint64_t bytes = left < came ? left : came;

		run_account(run, &cell, CGM_MOVED, bytes, CGM_ROW_ESTIMATED);
		run->moved += bytes;
	}
}

static void account_inplace(struct job_run *run, const struct scope *s,
			    const struct cgm_placement *p)
{
	for (int n = 0; n < run->job->plan->nodes; n++)
		for (int k = 0; s->dest[n] < 0 && k < CGM_KIND_KERNEL; k++) {
			struct cell cell = { .from = n, .to = n, .kind = k };

			run_account(run, &cell, CGM_INPLACE, cgm_placement_bytes(p, k, n),
				    CGM_ROW_ESTIMATED);
		}
}

/* One process leaves the node whose turn it is. False: something is left there. */
static bool leave_node(struct job_run *run, const struct scoped_pid *sp,
		       const struct cgm_placement *before)
{
	struct stock_run *sr = run->private;
	const struct scope *s = &sr->scopes[sp->scope];
	int from = sr->pairs.order[sr->pairs.at], to = s->dest[from];
	cgm_nodeset leave = { 0 }, enter = { 0 };
	struct cgm_placement *after;
	uint64_t bytes;
	bool all;

	bytes = to < 0 ? 0 : cgm_placement_bytes(before, CGM_KIND_MOVABLE, from);
	if (!bytes)
		return true;
	if (!pass_take_room(run, to, bytes - cgm_placement_bytes(before, CGM_KIND_HUGETLB,
								 from)))
		return false;
	cgm_nodeset_add(&leave, from);
	cgm_nodeset_add(&enter, to);
	if (!pin_alive(&sr->mover.pin))
		return true;
	if (sys_migrate_pages(sp->pid, &leave, &enter) < 0)
		return errno == ESRCH;
	if (placement_of_pids(run->job->ctx, &sp->pid, 1, 0, &after))
		return false;
	account_moved(run, before, after, from, to);
	all = !cgm_placement_bytes(after, CGM_KIND_MOVABLE, from);
	cgm_placement_free(after);
	return all;
}

static int move_process(struct job_run *run)
{
	struct stock_run *sr = run->private;
	const struct scoped_pid *sp = &sr->pids[sr->pid++];
	const struct scope *s = &sr->scopes[sp->scope];
	struct cgm_placement *before;
	int err;

	if (scope_blocked(sr, s))
		return 1;
	if (stock_pin(run, sp->pid))
		return 1;
	err = placement_of_pids(run->job->ctx, &sp->pid, 1, 0, &before);
	if (err)
		return err;
	if (!sr->pairs.at)
		account_inplace(run, s, before);
	sr->pairs.rest |= !leave_node(run, sp, before);
	cgm_placement_free(before);
	return 1;
}

/* The node is left by all who could. 1: there is another, 0: there is none, -errno. */
static int next_node(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int err;

	sr->pairs.passing = false;
	sr->pairs.rest = false;
	if (++sr->pairs.at == sr->pairs.count)
		return 0;
	err = pass_start(run, PASS_NODE);
	return err ? err : 1;
}

/* One process leaves one node, or a piece of what is left there moves. As pass_step(). */
int pairs_step(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int more;

	if (sr->pairs.passing)
		more = pass_step(run);
	else if (sr->pid < sr->pid_count)
		return move_process(run);
	else if (!sr->pairs.rest)
		more = 0;
	else
		more = pass_start(run, PASS_NODE) ? : 1;
	sr->pairs.passing = more > 0;
	return more ? more : next_node(run);
}
