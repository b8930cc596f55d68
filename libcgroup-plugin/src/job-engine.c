// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Backend: the kernel's engine. It does the work; we write the mask without
 * waiting, follow its counters, and make an account of how they changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "attach.h"
#include "cache.h"
#include "engine.h"
#include "group.h"
#include "job.h"
#include "unit.h"

/* Counters are read at least so often; the events file wakes us earlier. */
#define LOOK_USEC 100000

/* Between looks at whether a move that is not pending any more is counted as ended. */
#define COUNT_USEC 10000

struct engine_run {
	struct engine_stat base;	/* counters before */
	struct engine_stat now;
	uint64_t stopped;		/* migrate_stopped before */
	int events;			/* descriptor, -1 where it cannot be polled */
	bool limited;			/* the cgroup has our limit */
	uint64_t rate;			/* which that is */
	uint64_t old_rate;		/* the one to put back */
	bool holds;			/* the cgroup is on hold because of us */
};

static uint64_t delta(const struct engine_run *er, enum engine_counter c)
{
	uint64_t now = er->now.value[c], base = er->base.value[c];

	return now > base ? now - base : 0;
}

/* How many moves of the group were stopped, and whether all that began have ended. */
struct counted {
	uint64_t stopped;
	bool ended;
};

/* Reading arms the next notification. */
static struct counted read_events(struct job_run *run)
{
	struct engine_run *er = run->private;
	struct counted is = { .stopped = er->stopped, .ended = true };
	uint64_t started = 0, done = 0, partial = 0;
	char *text;

	if (er->events < 0 || lseek(er->events, 0, SEEK_SET) < 0)
		return is;
	text = fs_read_fd(er->events, NULL);
	if (text) {
		fs_keyed_u64(text, "migrate_start", &started);
		fs_keyed_u64(text, "migrate_done", &done);
		fs_keyed_u64(text, "migrate_partial", &partial);
		fs_keyed_u64(text, "migrate_stopped", &is.stopped);
		is.ended = started <= done + partial + is.stopped;
	}
	free(text);
	return is;
}

static int open_events(struct job_run *run)
{
	struct engine_run *er = run->private;
	struct cgm_group *group = run->item->group;
	const char *file = engine_files(run->job->ctx)->events;
	int err;

	er->events = fs_open_below(group->dirfd, file, O_RDONLY);
	if (er->events < 0)
		return cgm_fail(run->job->ctx, errno, "%s/%s: cannot open: %s",
				group->path, file, strerror(errno));
	er->stopped = read_events(run).stopped;
	err = job_watch(run->job, er->events, EPOLLPRI);
	if (err && err != -EPERM)	/* a regular file of a recorded tree */
		return cgm_fail(run->job->ctx, err, "%s/%s: cannot poll: %s",
				group->path, file, strerror(-err));
	return 0;
}

/* Does an earlier run of this job see to the limit of our cgroup, and to its hold? */
static bool is_seen_to(const struct job_run *run)
{
	const struct job_run *other;

	for (other = run->job->runs; other < run; other++)
		if (!strcmp(other->item->group->path, run->item->group->path))
			return true;
	return false;
}

/* Only ever lower: who set the limit that is there had a reason. */
static int set_rate(struct job_run *run, uint64_t rate)
{
	struct engine_run *er = run->private;
	int err;

	if (!rate || is_seen_to(run))
		return 0;
	err = engine_read_rate(run->item->group, &er->old_rate);
	if (err)
		return err;
	if (er->old_rate <= rate) {
		run_note(run, "%s: has a limit that is as low or lower, and keeps it",
			 run->item->group->path);
		return 0;
	}
	err = cgm_group_set_rate(run->item->group, rate);
	er->limited = !err;
	er->rate = rate;
	return err;
}

/* What somebody else has set meanwhile stays. */
static void restore_rate(struct job_run *run)
{
	struct engine_run *er = run->private;
	struct cgm_group *group = run->item->group;
	uint64_t now;
	int err;

	if (!er->limited || run->job->left)
		return;
	er->limited = false;
	err = engine_read_rate(group, &now);
	if (!err && now != er->rate)
		run_note(run, "%s: somebody else has set another limit, which stays",
			 group->path);
	else if (!err)
		err = cgm_group_set_rate(group, er->old_rate);
	/* A cgroup that is gone has no limit either. */
	if (err && err != -ENOENT && err != -ENODEV)
		run_note(run, "%s", run->job->ctx->error);
}

static int engine_set_rate(struct job_run *run, uint64_t rate)
{
	restore_rate(run);
	return set_rate(run, rate);
}

/* Who has put it on hold before us decides when that ends. */
static int engine_hold(struct job_run *run, bool hold)
{
	struct engine_run *er = run->private;
	struct cgm_activity activity = { .size = sizeof(activity) };
	int err;

	if (hold == er->holds || is_seen_to(run))
		return 0;
	err = cgm_group_activity(run->item->group, &activity);
	if (err || (hold && activity.hold))
		return err;
	err = cgm_group_hold(run->item->group, hold);
	if (!err)
		er->holds = hold;
	return err;
}

static void end_hold(struct job_run *run)
{
	struct engine_run *er = run->private;
	int err = er->holds && !run->job->left ? cgm_group_hold(run->item->group, 0) : 0;

	if (err && err != -ENOENT && err != -ENODEV)
		run_note(run, "%s", run->job->ctx->error);
	er->holds = false;
}

/* -ESRCH: it has exited. */
static int is_there(struct job_run *run, pid_t pid)
{
	struct cgm_group *now;
	int err = cgm_group_open_pid(run->job->ctx, pid, &now);

	cgm_group_unref(now);
	return err;
}

static int change(struct job_run *run)
{
	struct plan_item *item = run->item;
	char *list;
	int err;

	switch (item->action) {
	case CGM_ACTION_MEMS:
		list = nodes_to_write(&item->written);
		if (!list)
			return cgm_fail(run->job->ctx, ENOMEM, "out of memory");
		err = group_write(item->group, "cpuset.mems", O_NONBLOCK, list);
		free(list);
		if (!err)
			unit_tell(run, UNIT_WRITTEN);
		return err;
	case CGM_ACTION_ATTACH:
		return attach_all(run, O_NONBLOCK, is_there);
	case CGM_ACTION_SETTLE:
		return group_write(item->group, engine_files(run->job->ctx)->settle,
				   O_NONBLOCK, "1");
	default:
		return cgm_fail(run->job->ctx, EINVAL, "the engine moves cgroups only");
	}
}

/*
 * On cgroup v1 memory follows only while cpuset.memory_migrate is set. The
 * engine reads it when the change is made, so it can be put back at once.
 */
static int change_migrating(struct job_run *run)
{
	struct cgm_group *group = run->item->group;
	char *flag = NULL;
	int err;

	if (run->job->ctx->cpuset.version == 1 && run->item->action != CGM_ACTION_SETTLE)
		flag = fs_read_at(group->dirfd, "cpuset.memory_migrate", NULL);
	if (!flag || flag[0] != '0') {
		free(flag);
		return change(run);
	}
	free(flag);
	err = group_write(group, "cpuset.memory_migrate", 0, "1");
	if (err)
		return err;
	err = change(run);
	if (err)	/* that is the error to be told of */
		fs_write_at(group->dirfd, "cpuset.memory_migrate", 0, "0");
	else if (group_write(group, "cpuset.memory_migrate", 0, "0"))
		run_note(run, "%s: memory follows from now on", run->job->ctx->error);
	return err;
}

static int change_cache(struct job_run *run)
{
	struct cache_left left;
	int err = cache_leave(run, &left);

	if (!err) {
		err = change_migrating(run);
		cache_leave_end(run, &left);
	}
	return err;
}

static int engine_start(struct job_run *run)
{
	struct engine_run *er = calloc(1, sizeof(*er));
	int err;

	run->private = er;
	if (!er)
		return cgm_fail(run->job->ctx, ENOMEM, "out of memory");
	er->events = -1;
	err = engine_read_stat(run->item->group, &er->base);
	if (!err)
		err = open_events(run);
	if (!err)
		err = set_rate(run, run->job->options.rate);
	if (!err)
		err = change_cache(run);
	if (err) {
		restore_rate(run);
		return err;
	}
	if (er->base.value[EC_PENDING])
		run_note(run, "%s: another move was under way: its pages are counted here too",
			 run->item->group->path);
	return 0;
}

/* ---- the account ---- */

/* What left each node, by kind, and where it belongs. */
static size_t cells_moved(struct job_run *run, struct cell *cells)
{
	struct plan_item *item = run->item;
	const struct cgm_placement *after = run->job->result.after[run->index];
	int nodes = run->job->plan->nodes;
	size_t count = 0;

	for (int from = 0; from < nodes; from++)
		for (int to = 0; to < nodes; to++) {
			if (!item->flows[from * nodes + to])
				continue;
			for (int k = 0; k < CGM_KIND_KERNEL; k++) {
				uint64_t had = cgm_placement_bytes(item->before, k, from);
				uint64_t has = run_dropped(run, from, k);

				if (after && !cgm_nodeset_has(&item->to, from))
					has += cgm_placement_bytes(after, k, from);
				cells[count++] = (struct cell){
					.from = from, .to = to, .kind = k,
					.weight = had > has ? had - has : 0,
				};
			}
		}
	return count;
}

/* What is still outside, by node and kind. */
static size_t cells_outside(struct job_run *run, struct cell *cells)
{
	struct plan_item *item = run->item;
	const struct cgm_placement *after = run->job->result.after[run->index];
	int nodes = run->job->plan->nodes;
	size_t count = 0;

	for (int from = 0; after && from < nodes; from++) {
		if (cgm_nodeset_has(&item->to, from))
			continue;
		for (int k = 0; k < CGM_KIND_KERNEL; k++)
			cells[count++] = (struct cell){
				.from = from, .to = -1, .kind = k,
				.weight = cgm_placement_bytes(after, k, from),
			};
	}
	return count;
}

static int make_account(struct job_run *run)
{
	struct engine_run *er = run->private;
	struct cgm_context *ctx = run->job->ctx;
	int nodes = run->job->plan->nodes, err = 0;
	struct cell *cells = calloc((size_t)nodes * nodes * CGM_KIND_COUNT, sizeof(*cells));

	if (!cells)
		return cgm_fail(ctx, ENOMEM, "out of memory");
	for (int c = 0; c < EC_COUNT && !err; c++) {
		enum cgm_reason reason = engine_counter_reason(c);
		size_t count = 0;

		if (reason == CGM_REASON_COUNT || !delta(er, c))
			continue;
		if (reason == CGM_MOVED)
			count = cells_moved(run, cells);
		else if (reason == CGM_LEFT || reason_is_failure(reason))
			count = cells_outside(run, cells);
		err = result_spread(&run->job->result, run->index, cells, count, reason,
				    delta(er, c), ctx->page_size);
	}
	free(cells);
	return err;
}

/* ---- following it ---- */

static void update_progress(struct job_run *run)
{
	struct engine_run *er = run->private;
	uint64_t stayed = delta(er, EC_LEFT);

	for (int c = EC_SKIP_VMA; c <= EC_FAIL_HUGETLB; c++)
		stayed += delta(er, c);
	run->moved = delta(er, EC_MOVED) * run->job->ctx->page_size;
	run->stayed = stayed * run->job->ctx->page_size;
	run->held = er->now.value[EC_HELD] > 0;
	if (delta(er, EC_CHUNK_MAX_USEC) || !er->base.value[EC_CHUNK_MAX_USEC])
		run->max_batch_usec = er->now.value[EC_CHUNK_MAX_USEC];
}

static bool superseded(struct job_run *run)
{
	cgm_nodeset mems;

	return run->item->action == CGM_ACTION_MEMS &&
	       !cgm_group_mems(run->item->group, &mems) &&
	       !cgm_nodeset_equal(&mems, &run->item->written);
}

/* It counts pages of any size, once each; they are base pages now. */
static void note_split(struct job_run *run)
{
	uint64_t split = delta(run->private, EC_SPLIT);

	if (split)
		run_note(run, "%s: %llu huge page%s split for want of huge pages on the new nodes",
			 run->item->group->path, (unsigned long long)split,
			 split == 1 ? " was" : "s were");
}

static void finish(struct job_run *run, enum cgm_state state)
{
	restore_rate(run);
	end_hold(run);
	note_split(run);
	if (state != CGM_STATE_SUPERSEDED)
		unit_tell(run, UNIT_ENDED);
	run_read_after(run);
	run->unaccounted |= make_account(run) != 0;
	run_account_unmapped(run);
	run->state = state == CGM_STATE_DONE ? run_outcome(run) : state;
}

static void engine_step(struct job_run *run)
{
	struct engine_run *er = run->private;
	struct counted is;

	read_events(run);
	if (engine_read_stat(run->item->group, &er->now)) {
		run_fail(run, run->job->ctx->error);
		return;
	}
	update_progress(run);
	if (er->now.value[EC_PENDING]) {
		job_look_after(run->job, LOOK_USEC);
		return;
	}
	/* Before the event there is nobody to tell how it has ended. */
	is = read_events(run);
	if (!is.ended) {
		job_look_after(run->job, COUNT_USEC);
		return;
	}
	if (is.stopped > er->stopped || (run->cancelled && delta(er, EC_LEFT)))
		finish(run, CGM_STATE_CANCELLED);
	else if (superseded(run))
		finish(run, CGM_STATE_SUPERSEDED);
	else
		finish(run, CGM_STATE_DONE);
}

static void engine_cancel(struct job_run *run)
{
	run->cancelled = true;
	if (group_write(run->item->group, engine_files(run->job->ctx)->stop, 0, "1"))
		run_note(run, "%s", run->job->ctx->error);
}

static void engine_free(struct job_run *run)
{
	struct engine_run *er = run->private;

	restore_rate(run);
	end_hold(run);
	if (er->events >= 0)
		close(er->events);
	free(er);
	run->private = NULL;
}

const struct run_ops engine_run_ops = {
	.start = engine_start,
	.step = engine_step,
	.cancel = engine_cancel,
	.hold = engine_hold,
	.set_rate = engine_set_rate,
	.free = engine_free,
};
