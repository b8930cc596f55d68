// SPDX-License-Identifier: LGPL-2.1-or-later
/* A plan that runs: start, follow, stop, and the account at its end. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cache.h"
#include "group.h"
#include "job.h"
#include "unit.h"

/* Wake the job's descriptor when this one has something. */
int job_watch(struct cgm_job *job, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };

	return epoll_ctl(job->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Wake the job's descriptor after so long, or sooner where another run asks for it. */
void job_look_after(struct cgm_job *job, uint64_t usec)
{
	struct itimerspec when = { 0 };
	uint64_t at = now_usec() + usec;

	if (job->look_at && job->look_at <= at)
		return;
	job->look_at = at;
	if (!usec)
		usec = 1;
	when.it_value.tv_sec = usec / 1000000;
	when.it_value.tv_nsec = usec % 1000000 * 1000;
	timerfd_settime(job->timer, 0, &when, NULL);
}

int run_account(struct job_run *run, const struct cell *cell, enum cgm_reason reason,
		uint64_t bytes, unsigned int flags)
{
	int err = result_add(&run->job->result, run->index, cell, reason, bytes, flags);

	run->unaccounted |= err;
	return err;
}

void run_note(struct job_run *run, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		run->unaccounted = true;
		return;
	}
	notes_add(&run->job->result.notes, CGM_NOTE, "%s", text);
	free(text);
}

/* It cannot go on. The first of a job to say why is what its context tells at the end. */
void run_fail(struct job_run *run, const char *why)
{
	struct cgm_job *job = run->job;

	run_note(run, "%s", why);
	if (!*job->failure)
		snprintf(job->failure, sizeof(job->failure), "%s", why);
	run->state = CGM_STATE_FAILED;
}

/* Keep where the memory is at the end; a cgroup that is gone has none. */
void run_read_after(struct job_run *run)
{
	struct plan_item *item = run->item;
	struct cgm_placement **after = &run->job->result.after[run->index];
	struct cgm_context *ctx = run->job->ctx;
	int err;

	cgm_placement_free(*after);
	*after = NULL;
	if (item->action == CGM_ACTION_ATTACH || item->action == CGM_ACTION_PAGES) {
		err = placement_of_pids(ctx, run->pids.pids, run->pids.count, 0, after);
		if (!err)
			(*after)->allowed = item->to;
	} else {
		unsigned int flags = item->before->source == CGM_SOURCE_CHARGED ?
				     CGM_PLACEMENT_CHARGED : CGM_PLACEMENT_MAPPED;

		err = cgm_placement_read(item->group, flags, after);
	}
	run->unaccounted |= is_shortage(err);
}

/* What rows of this run tell of, on a node and of a kind. */
static uint64_t sum_rows(const struct job_run *run, int node, enum cgm_kind kind,
			 bool (*wanted)(enum cgm_reason reason))
{
	const struct cgm_result *r = &run->job->result;
	uint64_t sum = 0;

	for (size_t i = 0; i < r->count; i++)
		if (r->rows[i].item == run->index && wanted(r->rows[i].reason) &&
		    r->rows[i].from == node && r->rows[i].kind == kind)
			sum += r->rows[i].bytes;
	return sum;
}

static bool is_dropped(enum cgm_reason reason)
{
	return reason == CGM_DROPPED;
}

/* What was dropped before the move, on a node and of a kind. */
uint64_t run_dropped(const struct job_run *run, int node, enum cgm_kind kind)
{
	return sum_rows(run, node, kind, is_dropped);
}

static bool has_stayed(enum cgm_reason reason)
{
	return reason >= CGM_LEFT && reason != CGM_DROPPED;
}

/* What stayed. */
static uint64_t told_of(const struct job_run *run, int node, enum cgm_kind kind)
{
	return sum_rows(run, node, kind, has_stayed);
}

/* One kind on one node: what nothing told of was not mapped. */
static void account_unmapped(struct job_run *run, const struct cgm_placement *charged,
			     const struct cell *cell, uint64_t *unplaced)
{
	uint64_t bytes = cgm_placement_bytes(charged, cell->kind, cell->from);
	uint64_t told = told_of(run, cell->from, cell->kind), part;

	bytes -= told < bytes ? told : bytes;
	part = *unplaced < bytes ? *unplaced : bytes;
	*unplaced -= part;
	bytes -= part;
	if (bytes > 1 << 20)
		run_account(run, cell, CGM_SKIP_UNMAPPED, bytes, CGM_ROW_ESTIMATED);
}

/*
 * Page cache that is charged to the cgroup and mapped by nobody has no address
 * to name it by. The controller's counters lag behind by up to a MiB, so less
 * is not worth telling.
 */
void run_account_unmapped(struct job_run *run)
{
	static const enum cgm_kind kinds[] = { CGM_KIND_FILE, CGM_KIND_SHMEM };
	uint64_t unplaced = told_of(run, -1, CGM_KIND_MOVABLE);
	struct plan_item *item = run->item;
	struct cgm_placement *charged;

	if (item->action != CGM_ACTION_MEMS ||
	    cgm_placement_read(item->group, CGM_PLACEMENT_CHARGED, &charged))
		return;
	for (int n = 0; n < run->job->plan->nodes; n++) {
		if (cgm_nodeset_has(&item->to, n))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			struct cell cell = { .from = n, .to = -1, .kind = kinds[k] };

			account_unmapped(run, charged, &cell, &unplaced);
		}
	}
	cgm_placement_free(charged);
}

/* What is outside now was not come to. */
void run_account_left(struct job_run *run)
{
	const struct cgm_placement *after = run->job->result.after[run->index];

	for (int n = 0; after && n < run->job->plan->nodes; n++) {
		if (cgm_nodeset_has(&run->item->to, n))
			continue;
		for (int k = 0; k < CGM_KIND_KERNEL; k++) {
			struct cell cell = { .from = n, .to = -1, .kind = k };

			run_account(run, &cell, CGM_LEFT,
				    cgm_placement_bytes(after, k, n), 0);
		}
	}
}

/* How a run ended that nobody stopped. */
enum cgm_state run_outcome(const struct job_run *run)
{
	bool partial = run->refused || result_partial(&run->job->result, run->index);

	return partial ? CGM_STATE_PARTIAL : CGM_STATE_DONE;
}

static int copy_pids(struct job_run *run)
{
	int err = 0;

	for (size_t i = 0; i < run->item->pid_count && !err; i++)
		err = pid_list_add(&run->pids, run->item->pids[i]);
	return err;
}

static const struct run_ops *ops_for(enum cgm_backend backend)
{
	switch (backend) {
	case CGM_BACKEND_ENGINE_V2:
	case CGM_BACKEND_ENGINE_V1:
		return &engine_run_ops;
	default:
		return &stock_run_ops;
	}
}

static int job_new(struct cgm_plan *plan, const struct cgm_job_options *options,
		   struct cgm_job **out)
{
	struct cgm_job *job = calloc(1, sizeof(*job));

	*out = job;
	if (!job)
		return -ENOMEM;
	job->plan = plan;
	job->ctx = plan->ctx;
	job->options = *options;
	job->epoll = epoll_create1(EPOLL_CLOEXEC);
	job->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	job->runs = calloc(plan->count ? plan->count : 1, sizeof(*job->runs));
	if (job->epoll < 0 || job->timer < 0 || !job->runs ||
	    result_init(&job->result, plan->count))
		return -ENOMEM;
	job->count = plan->count;
	for (size_t i = 0; i < job->count; i++) {
		struct job_run *run = &job->runs[i];

		run->job = job;
		run->item = plan->items[i];
		run->index = i;
		run->ops = ops_for(run->item->backend);
		run->state = CGM_STATE_RUNNING;
		if (copy_pids(run))
			return -ENOMEM;
	}
	return job_watch(job, job->timer, EPOLLIN);
}

static void run_cancel(struct job_run *run)
{
	if (run->state != CGM_STATE_RUNNING || run->cancelled)
		return;
	run->cancelled = true;
	if (!run->drop)
		run->ops->cancel(run);
}

/* Change what has to change. An error means that nothing was. */
static int run_start(struct job_run *run)
{
	int err = run->item->enable ? unit_enable(run) : 0;

	return err ? err : run->ops->start(run);
}

/* What was started is stopped again when a later one cannot start. */
static int start_runs(struct cgm_job *job)
{
	int err = 0;

	for (size_t i = 0; i < job->count && !err; i++) {
		struct job_run *run = &job->runs[i];

		if (!run->item->change) {
			run->state = CGM_STATE_DONE;
			if (job->options.flags & CGM_JOB_PERSIST)
				unit_tell(run, UNIT_WRITTEN);
			run_read_after(run);
			continue;
		}
		err = run->item->cache == CGM_CACHE_DROP ? drop_start(run) :
							   run_start(run);
		if (!err || !i)
			continue;
		for (size_t j = 0; j < i; j++)
			run_cancel(&job->runs[j]);
		run_fail(run, job->ctx->error);
		for (size_t j = i + 1; j < job->count; j++)
			job->runs[j].state = CGM_STATE_CANCELLED;
		return 0;
	}
	return err;
}

CGM_PUBLIC int cgm_job_start(struct cgm_plan *plan,
			     const struct cgm_job_options *options, struct cgm_job **out)
{
	struct cgm_job_options all = { .size = sizeof(all) };
	struct cgm_context *ctx = plan->ctx;
	const char *refusal;
	struct cgm_job *job;
	int err;

	*out = NULL;
	if (options && (TAKE(&all, options) ||
			(all.flags & ~(CGM_JOB_FORCE | CGM_JOB_PERSIST))))
		return cgm_fail(ctx, EINVAL, "impossible job options");
	if (!ctx->writable)
		return cgm_fail(ctx, EROFS, "a recorded tree is not written to");
	err = cgm_plan_check(plan);
	if (err)
		return err;
	refusal = cgm_plan_refusal(plan, all.flags);
	if (refusal)
		return cgm_fail(ctx, ECANCELED, "%s", refusal);
	err = job_new(plan, &all, &job);
	if (err) {
		cgm_job_free(job);
		return cgm_fail(ctx, err, "cannot make a job: %s", strerror(-err));
	}
	job->started = now_usec();
	err = start_runs(job);
	if (err) {
		cgm_job_free(job);
		return err;
	}
	job_look_after(job, 0);
	*out = job;
	return 0;
}

CGM_PUBLIC void cgm_job_free(struct cgm_job *job)
{
	if (!job)
		return;
	for (size_t i = 0; i < job->count; i++) {
		if (job->runs[i].private)
			job->runs[i].ops->free(&job->runs[i]);
		drop_end(&job->runs[i]);
		free(job->runs[i].pids.pids);
	}
	if (job->epoll >= 0)
		close(job->epoll);
	if (job->timer >= 0)
		close(job->timer);
	result_clear(&job->result);
	free(job->runs);
	free(job);
}

CGM_PUBLIC void cgm_job_leave(struct cgm_job *job)
{
	if (job)
		job->left = true;
	cgm_job_free(job);
}

CGM_PUBLIC int cgm_job_fd(const struct cgm_job *job)
{
	return job->epoll;
}

/* Numbers that do not add up are not told as if they did. */
static void check_account(struct job_run *run)
{
	bool lost = run->unaccounted || run->job->result.notes.lost;

	if (!lost || run->state == CGM_STATE_RUNNING || run->state == CGM_STATE_FAILED)
		return;
	run_fail(run, "the account of the move is not complete: out of memory or files");
}

/* Stopped before anything else was begun. */
static void end_dropping(struct job_run *run)
{
	drop_end(run);
	run_note(run, "%s: stopped while its page cache was dropped: nothing else was changed",
		 run->item->group->path);
	run_read_after(run);
	run_account_left(run);
	run->state = CGM_STATE_CANCELLED;
}

/* Nothing is left to be dropped: now it moves. */
static void start_dropped(struct job_run *run)
{
	drop_end(run);
	if (!run_start(run))
		return;
	run_fail(run, run->job->ctx->error);
	cgm_job_cancel(run->job);
}

static void run_step(struct job_run *run)
{
	if (!run->drop) {
		run->ops->step(run);
	} else if (run->cancelled) {
		end_dropping(run);
	} else {
		run->held = run->job->on_hold;
		if (run->held)
			return;
		if (!drop_step(run))
			start_dropped(run);
		job_look_after(run->job, 0);
	}
}

CGM_PUBLIC int cgm_job_dispatch(struct cgm_job *job)
{
	bool running = false;
	uint64_t ticks;

	if (job->finished)
		return 0;
	if (read(job->timer, &ticks, sizeof(ticks)) < 0)
		ticks = 0;	/* woken by something else, or not at all */
	job->look_at = 0;
	for (size_t i = 0; i < job->count; i++) {
		struct job_run *run = &job->runs[i];

		if (run->state == CGM_STATE_RUNNING)
			run_step(run);
		check_account(run);
		running |= run->state == CGM_STATE_RUNNING;
	}
	if (!running) {
		job->finished = true;
		job->ended = now_usec();
		result_sort(&job->result);
		if (*job->failure)
			cgm_fail(job->ctx, EIO, "%s", job->failure);
	}
	return running;
}

/* The whole job is as its worst part. */
static enum cgm_state job_state(const struct cgm_job *job)
{
	static const enum cgm_state worst_first[] = {
		CGM_STATE_FAILED, CGM_STATE_CANCELLED, CGM_STATE_SUPERSEDED,
		CGM_STATE_PARTIAL,
	};

	if (!job->finished)
		return CGM_STATE_RUNNING;
	for (size_t s = 0; s < ARRAY_SIZE(worst_first); s++)
		for (size_t i = 0; i < job->count; i++)
			if (job->runs[i].state == worst_first[s])
				return worst_first[s];
	return CGM_STATE_DONE;
}

CGM_PUBLIC int cgm_job_progress(const struct cgm_job *job, struct cgm_progress *out)
{
	struct cgm_progress all = {
		.state = job_state(job),
		.elapsed_usec = (job->finished ? job->ended : now_usec()) - job->started,
	};

	for (size_t i = 0; i < job->count; i++) {
		const struct job_run *run = &job->runs[i];

		all.total += run->item->bytes;
		all.moved += run->moved;
		all.stayed += run->stayed;
		all.held |= run->held;
		if (run->max_batch_usec > all.max_batch_usec)
			all.max_batch_usec = run->max_batch_usec;
	}
	return FILL(out, &all);
}

CGM_PUBLIC int cgm_job_wait(struct cgm_job *job, int timeout_ms)
{
	uint64_t deadline = now_usec() + (uint64_t)timeout_ms * 1000;

	while (cgm_job_dispatch(job)) {
		struct pollfd pfd = { .fd = job->epoll, .events = POLLIN };
		int left = -1;

		if (timeout_ms >= 0) {
			uint64_t now = now_usec();

			if (now >= deadline)
				return -ETIMEDOUT;
			left = (deadline - now + 999) / 1000;
		}
		poll(&pfd, 1, left);
	}
	return 0;
}

CGM_PUBLIC int cgm_job_cancel(struct cgm_job *job)
{
	for (size_t i = 0; i < job->count; i++)
		run_cancel(&job->runs[i]);
	job_look_after(job, 0);
	return 0;
}

CGM_PUBLIC int cgm_job_hold(struct cgm_job *job, int hold)
{
	int err = 0;

	job->on_hold = hold;
	for (size_t i = 0; i < job->count; i++) {
		struct job_run *run = &job->runs[i];
		int one;

		if (run->state != CGM_STATE_RUNNING || run->drop)
			continue;
		one = run->ops->hold(run, hold);
		err = err ? err : one;
	}
	job_look_after(job, 0);
	return err;
}

CGM_PUBLIC int cgm_job_set_rate(struct cgm_job *job, uint64_t rate)
{
	int err = 0;

	job->options.rate = rate;
	for (size_t i = 0; i < job->count; i++) {
		struct job_run *run = &job->runs[i];
		int one;

		if (run->state != CGM_STATE_RUNNING || run->drop)
			continue;
		one = run->ops->set_rate(run, rate);
		err = err ? err : one;
	}
	job_look_after(job, 0);
	return err;
}

CGM_PUBLIC const struct cgm_result *cgm_job_result(const struct cgm_job *job)
{
	return job->finished ? &job->result : NULL;
}
