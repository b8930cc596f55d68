// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Backend: kernels without the engine.
 *
 * The cpuset is widened to the old and the new nodes, which moves nothing;
 * move_pages(2) then moves the pages in batches of bounded time, each to the
 * place it has in the new set; at the end the cpuset is narrowed to the new
 * nodes. Narrowing lets the kernel move what is left outside, and only that:
 * it leaves pages alone whose node stays allowed when the sets differ in size
 * (do_migrate_pages() in mm/mempolicy.c), and old and new nodes together are
 * more than the new ones. Changed in one write, a kernel without the engine
 * would move pages of threads twice where the sets overlap.
 *
 * A kernel with the engine is told so, too, where pages are to go elsewhere than it
 * would take them. It looks for pages outside whenever a mask was written; that is
 * waited for, so that it has nothing to do while we move.
 *
 * Where the caller may not use the new nodes it cannot move anything there. The kernel
 * can, which moves with a worker of its own when the mask changes or a process comes:
 * then that is all that is done, without batches.
 *
 * Killed at any point, the cpuset is left as it was, wide, or narrow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "cache.h"
#include "engine.h"
#include "stock.h"
#include "unit.h"

#define DEFAULT_STALL_USEC 2000

/* Between looks at whether other moves have made room, and how many. */
#define ROOM_USEC 20000
#define ROOM_LOOKS 500

/* A rate holds over such a time. */
#define BURST_USEC 100000

/* Between looks at whether the engine is done. */
#define KERNEL_USEC 10000

enum stage {
	STAGE_WIDE,	/* the mask was written */
	STAGE_PAIRS,	/* whole processes, where that will do */
	STAGE_FIRST,	/* every page, the mask is wide */
	STAGE_RETRY,	/* what had to change places inside the new set and failed */
	STAGE_OUTSIDE,	/* what failed, and what was touched meanwhile */
	STAGE_NARROW,
	STAGE_NARROWED,	/* the mask was written again */
	STAGE_LAST,	/* what the kernel left, one more try, with reasons */
	STAGE_ACCOUNT,
};

static void stock_free(struct job_run *run)
{
	struct stock_run *sr = run->private;

	pass_end(sr);
	mover_exit(&sr->mover);
	scopes_free(sr);
	pfnset_free(&sr->done);
	free(sr->pairs.order);
	free(sr->chunk);
	free(sr->late);
	free(sr->budget);
	free(sr->low);
	free(sr->narrow);
	free(sr->wide);
	free(sr);
	run->private = NULL;
}

/* Write the nodes. The engine is not waited for here. */
static int write_mems(struct job_run *run, const char *list)
{
	const struct stock_run *sr = run->private;
	struct cache_left left;
	int err = cache_leave(run, &left);

	if (!err) {
		err = group_write(run->item->group, "cpuset.mems",
				  sr->engine ? O_NONBLOCK : 0, list);
		cache_leave_end(run, &left);
	}
	return err;
}

/*
 * Through systemd where it has a hand in it, and never so that it has to wait: where the
 * kernel moves memory when this is written it is told afterwards.
 */
static int write_wide(struct job_run *run)
{
	const struct stock_run *sr = run->private;
	int err;

	if (run->item->action != CGM_ACTION_MEMS || run->item->by_kernel)
		return write_mems(run, sr->wide);
	err = sr->engine ? write_mems(run, sr->wide) : 0;
	return err ? err : unit_widen(run, sr->wide);
}

/*
 * Write the wide mask where it differs from what is there. An error leaves
 * everything as it was.
 */
static int widen(struct job_run *run, const cgm_nodeset *wide, const cgm_nodeset *narrow,
		 const cgm_nodeset *current)
{
	struct stock_run *sr = run->private;
	struct cgm_group *group = run->item->group;
	int err;

	sr->wide = nodes_to_write(wide);
	sr->narrow = nodes_to_write(narrow);
	if (!sr->wide || !sr->narrow)
		return cgm_fail(run->job->ctx, ENOMEM, "out of memory");
	sr->kernel_moves = group_kernel_moves(group);
	if (!cgm_nodeset_equal(wide, current)) {
		err = write_wide(run);
		if (err)
			return err;
	}
	sr->widened = !cgm_nodeset_equal(wide, narrow);
	return 0;
}

static int start_mems(struct job_run *run)
{
	struct plan_item *item = run->item;
	int err = scopes_of_group(run);

	if (err)
		return cgm_fail(run->job->ctx, err, "%s: cannot look below it: %s",
				item->group->path, strerror(-err));
	err = widen(run, item->by_kernel ? &item->written : &item->wide, &item->written,
		    &item->configured);
	if (!err && !((struct stock_run *)run->private)->widened)
		unit_tell(run, UNIT_WRITTEN);
	return err;
}

/* Can the destination take in the nodes the processes come from for a while? */
static bool can_widen(struct job_run *run, const cgm_nodeset *wide)
{
	struct cgm_group *group = run->item->group, *parent;
	cgm_nodeset allowed;
	bool can;

	if (!cgm_group_has_cpuset(group) || group_parent(group, &parent))
		return false;
	can = !cgm_group_effective_mems(parent, &allowed) &&
	      cgm_nodeset_subset(wide, &allowed);
	cgm_group_unref(parent);
	return can;
}

static int attach(struct job_run *run)
{
	return attach_all(run, 0, scope_of_pid);
}

static int start_attach(struct job_run *run)
{
	struct stock_run *sr = run->private;
	struct plan_item *item = run->item;
	cgm_nodeset wide, configured;
	int err = scopes_of_pids(run);

	if (err)
		return err;
	sr->kernel_moves = group_kernel_moves(item->group);
	if (item->by_kernel)
		return attach(run);
	cgm_nodeset_or(&wide, &item->from, &item->to);
	if (cgm_nodeset_equal(&wide, &item->to))
		return attach(run);
	if (!can_widen(run, &wide)) {
		run_note(run, "%s: cannot be widened for the move: the kernel moved the memory in one go, with no bound on stalls",
			 item->group->path);
		return attach(run);
	}
	err = cgm_group_mems(item->group, &configured);
	if (!err)
		err = widen(run, &wide, &configured, &configured);
	if (err)
		return err;
	err = attach(run);
	if (err && sr->widened)
		group_write(item->group, "cpuset.mems", 0, sr->narrow);
	return err;
}

static int stock_start(struct job_run *run)
{
	struct stock_run *sr = calloc(1, sizeof(*sr));
	uint32_t bound = run->job->options.max_stall_usec;
	int err = 0;

	run->private = sr;
	if (!sr)
		return cgm_fail(run->job->ctx, ENOMEM, "out of memory");
	sr->engine = run->item->group && group_has_engine(run->item->group);
	mover_init(&sr->mover, run->job->ctx, bound ? bound : DEFAULT_STALL_USEC);
	sr->begun = now_usec();
	switch (run->item->action) {
	case CGM_ACTION_MEMS:
		err = start_mems(run);
		break;
	case CGM_ACTION_ATTACH:
		err = start_attach(run);
		break;
	case CGM_ACTION_SETTLE:
		err = scopes_of_group(run);
		break;
	case CGM_ACTION_PAGES:
		err = scopes_of_pids(run);
		break;
	}
	sr->stage = run->item->by_kernel ? STAGE_ACCOUNT : STAGE_WIDE;
	return err;
}

/* ---- ending ---- */

static bool somebody_wrote(struct job_run *run)
{
	struct stock_run *sr = run->private;
	cgm_nodeset now, wrote;

	return !cgm_group_mems(run->item->group, &now) &&
	       !cgm_nodeset_parse(sr->wide, &wrote) && !cgm_nodeset_equal(&now, &wrote);
}

/* Narrow without letting the kernel move what is left. Only v1 can. */
static void narrow_quietly(struct job_run *run)
{
	struct stock_run *sr = run->private;
	struct cgm_group *group = run->item->group;

	if (group->ctx->cpuset.version == 2)
		return;
	if (sr->kernel_moves && group_write(group, "cpuset.memory_migrate", 0, "0"))
		return;
	if (group_write(group, "cpuset.mems", 0, sr->narrow))
		run_note(run, "%s", run->job->ctx->error);
	else
		sr->widened = false;
	if (sr->kernel_moves && group_write(group, "cpuset.memory_migrate", 0, "1"))
		run_note(run, "%s: memory does not follow any more", run->job->ctx->error);
}

static void end_cancelled(struct job_run *run)
{
	struct stock_run *sr = run->private;

	pass_end(sr);
	if (sr->widened)
		narrow_quietly(run);
	if (sr->widened)
		run_note(run, "%s: stopped half-way: cpuset.mems is left at %s, because narrowing it makes this kernel move the rest",
			 run->item->group->path, sr->wide);
	run_read_after(run);
	run_account_left(run);
	run->state = CGM_STATE_CANCELLED;
}

static void end_failed(struct job_run *run, const char *why)
{
	struct stock_run *sr = run->private;
	char text[1200];

	pass_end(sr);
	snprintf(text, sizeof(text), "the move failed: %s", why);
	run_fail(run, text);
	if (sr->widened)
		run_note(run, "%s: cpuset.mems is left at %s", run->item->group->path,
			 sr->wide);
	run_read_after(run);
	run_account_left(run);
}

/*
 * There is no room for the rest. A v2 kernel that is told to narrow would push
 * it in, down to the last free page and past what keeps others from being
 * killed for memory. So the cpuset stays wide.
 */
static void end_wide(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int err = pass_account_late(run);

	if (err) {
		end_failed(run, strerror(-err));
		return;
	}
	run_note(run, "%s: cpuset.mems is left at %s: there is no room for the rest, and narrowing makes this kernel fill the nodes to the last page",
		 run->item->group->path, sr->wide);
	run_read_after(run);
	run_account_unmapped(run);
	run->state = CGM_STATE_PARTIAL;
}

static uint64_t moved_by_job(const struct cgm_job *job)
{
	uint64_t moved = 0;

	for (size_t i = 0; i < job->count; i++)
		moved += job->runs[i].moved;
	return moved;
}

/* Is another run moving that may make room? Not if it waits for room too. */
static bool others_move(const struct job_run *run)
{
	const struct cgm_job *job = run->job;

	for (size_t i = 0; i < job->count; i++) {
		const struct job_run *other = &job->runs[i];
		const struct stock_run *sr = other->private;

		if (other != run && other->ops == &stock_run_ops &&
		    other->state == CGM_STATE_RUNNING && !sr->waits)
			return true;
	}
	return false;
}

/* One pass for what is outside the new set. */
static int start_outside(struct job_run *run)
{
	struct stock_run *sr = run->private;

	sr->stage = STAGE_OUTSIDE;
	sr->moved_before = moved_by_job(run->job);
	return pass_start(run, PASS_OUTSIDE);
}

/*
 * What found no room may find it later: cpusets that exchange their nodes make
 * room for each other. Is it worth another pass, because something has moved
 * during the last one or is about to?
 */
static bool may_find_room(struct job_run *run)
{
	const struct stock_run *sr = run->private;

	/* A process may keep moving pages in and out for ever. */
	return pass_late_nomem(sr) && sr->looks < ROOM_LOOKS &&
	       (moved_by_job(run->job) != sr->moved_before || others_move(run));
}

static void await_room(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int err;

	pass_forget_late(sr);
	sr->waits = true;
	sr->looks++;
	sr->look_again = now_usec() + ROOM_USEC;
	err = start_outside(run);
	if (err)
		end_failed(run, strerror(-err));
}

static void narrow(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int err;

	if (somebody_wrote(run)) {
		run_note(run, "%s: somebody else changed cpuset.mems meanwhile: it was not touched again",
			 run->item->group->path);
		run_read_after(run);
		run->state = CGM_STATE_SUPERSEDED;
		return;
	}
	if (sr->widened && may_find_room(run)) {
		await_room(run);
		return;
	}
	sr->waits = false;
	if (sr->kernel_moves && !sr->engine && pass_late_nomem(sr)) {
		narrow_quietly(run);
		if (sr->widened) {
			end_wide(run);
			return;
		}
	}
	err = sr->widened ? write_mems(run, sr->narrow) : 0;
	if (err) {
		end_failed(run, run->job->ctx->error);
		return;
	}
	sr->widened = false;
	unit_tell(run, UNIT_WRITTEN);
	sr->stage = STAGE_NARROWED;
}

/* ---- stages ---- */

/* Does the engine still look for pages outside? */
static bool engine_busy(struct job_run *run)
{
	const struct stock_run *sr = run->private;
	struct engine_stat stat;

	run->held = false;
	if (!sr->engine || engine_read_stat(run->item->group, &stat) ||
	    !stat.value[EC_PENDING])
		return false;
	run->held = stat.value[EC_HELD] > 0;
	return true;
}

/* The mask is wide. */
static int start_moving(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int err = pairs_start(run);

	sr->stage = err == 1 ? STAGE_PAIRS : STAGE_FIRST;
	return err ? err : pass_start(run, PASS_FIRST);
}

/* The mask is narrow. */
static int start_last(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int err = pass_review_late(run);

	sr->stage = STAGE_LAST;
	return err ? err : pass_start(run, PASS_LAST);
}

static int next_stage(struct job_run *run)
{
	struct stock_run *sr = run->private;

	switch (sr->stage) {
	case STAGE_PAIRS:
	case STAGE_FIRST:
		sr->stage = STAGE_RETRY;
		return 0;
	case STAGE_RETRY:
		if (sr->widened)
			return start_outside(run);
		sr->stage = STAGE_LAST;
		return pass_start(run, PASS_LAST);
	case STAGE_OUTSIDE:
		sr->stage = STAGE_NARROW;
		return 0;
	default:
		sr->stage = STAGE_ACCOUNT;
		return 0;
	}
}

/*
 * How long to wait, for the rate or for room, in microseconds. As with the engine, what
 * the rate would have allowed meanwhile is not saved up for longer than BURST_USEC.
 */
static uint64_t not_before(const struct job_run *run)
{
	struct stock_run *sr = run->private;
	uint64_t rate = run->job->options.rate, due = 0, now = now_usec();

	if (rate) {
		due = sr->begun + (uint64_t)((__uint128_t)sr->sent * 1000000 / rate);
		if (now > due + BURST_USEC)
			sr->begun += now - due - BURST_USEC;
	}
	if (sr->look_again > due)
		due = sr->look_again;
	return due > now ? due - now : 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* One kind on one node: what has left it, and what is still there. */
static void account_node(struct job_run *run, int node, enum cgm_kind kind,
			 const struct cgm_placement *mapped)
{
	const struct cgm_placement *after = run->job->result.after[run->index];
	uint64_t was = cgm_placement_bytes(run->item->before, kind, node);
	uint64_t is = cgm_placement_bytes(after, kind, node) + run_dropped(run, node, kind);
	uint64_t moved = was - smaller(was, is);
	struct cell cell = { .from = node, .to = -1, .kind = kind };

	run_account(run, &cell, CGM_MOVED, moved, CGM_ROW_ESTIMATED);
	run->moved += moved;
	if (!cgm_nodeset_has(&run->item->to, node)) {
		run_account(run, &cell, CGM_LEFT, cgm_placement_bytes(mapped, kind, node),
			    CGM_ROW_ESTIMATED);
		return;
	}
	cell.to = node;
	run_account(run, &cell, CGM_INPLACE, smaller(was, is), CGM_ROW_ESTIMATED);
}

/*
 * The kernel has moved all it could when the write returned, and tells of no page. So
 * what lay where before and after is all there is, and nobody can tell what it went by.
 */
static void account_by_kernel(struct job_run *run)
{
	const struct cgm_placement *after = run->job->result.after[run->index];
	struct plan_item *item = run->item;
	struct cgm_placement *mapped = NULL;
	char own[256];

	run_note(run, "%s: the caller may use nodes %s only: the kernel moved the memory in one go, with no bound on stalls, and what it left could not be tried again",
		 item->group->path,
		 nodes_name(&run->job->ctx->features.own, own, sizeof(own)));
	if (item->action == CGM_ACTION_MEMS)
		cgm_placement_read(item->group, CGM_PLACEMENT_MAPPED, &mapped);
	for (int n = 0; after && n < run->job->plan->nodes; n++)
		for (int k = 0; k < CGM_KIND_KERNEL; k++)
			account_node(run, n, k, mapped ? mapped : after);
	cgm_placement_free(mapped);
}

static void end_done(struct job_run *run)
{
	unit_tell(run, UNIT_ENDED);
	run_read_after(run);
	if (run->item->by_kernel)
		account_by_kernel(run);
	run_account_unmapped(run);
	run->state = run_outcome(run);
}

/* A piece of the stage we are in. 0 or -errno. */
static int do_stage(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int more;

	switch (sr->stage) {
	case STAGE_WIDE:
		return start_moving(run);
	case STAGE_NARROWED:
		return start_last(run);
	case STAGE_PAIRS:
		more = pairs_step(run);
		break;
	case STAGE_RETRY:
		more = pass_retry_inside(run);
		break;
	default:
		more = pass_step(run);
		break;
	}
	return more ? more : next_stage(run);
}

static void stock_step(struct job_run *run)
{
	struct stock_run *sr = run->private;
	uint64_t wait;
	int err = 0;

	if (run->cancelled) {
		end_cancelled(run);
		return;
	}
	if (run->job->on_hold)
		return;
	wait = not_before(run);
	if (wait) {
		job_look_after(run->job, wait);
		return;
	}
	if ((sr->stage == STAGE_WIDE || sr->stage == STAGE_NARROWED) && engine_busy(run)) {
		job_look_after(run->job, KERNEL_USEC);
		return;
	}
	if (sr->stage == STAGE_NARROW)
		narrow(run);
	else if (sr->stage == STAGE_ACCOUNT)
		end_done(run);
	else
		err = do_stage(run);
	if (err < 0)
		end_failed(run, strerror(-err));
	job_look_after(run->job, 0);
}

static void stock_cancel(struct job_run *run)
{
	run->cancelled = true;
}

static int stock_hold(struct job_run *run, bool hold)
{
	run->held = hold;
	return 0;
}

/* What went before does not count. */
static int stock_set_rate(struct job_run *run, uint64_t rate)
{
	struct stock_run *sr = run->private;

	(void)rate;	/* the job's is looked at before every batch */
	sr->begun = now_usec();
	sr->sent = 0;
	return 0;
}

const struct run_ops stock_run_ops = {
	.start = stock_start,
	.step = stock_step,
	.cancel = stock_cancel,
	.hold = stock_hold,
	.set_rate = stock_set_rate,
	.free = stock_free,
};
