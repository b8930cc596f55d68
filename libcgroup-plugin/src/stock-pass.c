// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One pass over the pages of all processes of a run, in small steps: look at a
 * chunk, then hand it to move_pages(2) in batches, one destination a batch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "numa.h"
#include "stock.h"

#define CHUNK 1024

/* Free memory is read again after so many bytes or so much time. */
#define BUDGET_BYTES (16ULL << 20)
#define BUDGET_USEC 100000
#define FRESH_USEC 1000

int pass_start(struct job_run *run, enum pass pass)
{
	struct stock_run *sr = run->private;

	if (!sr->chunk) {
		sr->chunk = malloc(CHUNK * sizeof(*sr->chunk));
		sr->budget = calloc(run->job->plan->nodes, sizeof(*sr->budget));
		sr->low = calloc(run->job->plan->nodes, sizeof(*sr->low));
		if (!sr->chunk || !sr->budget || !sr->low)
			return -ENOMEM;
	}
	pass_end(sr);
	sr->pass = pass;
	sr->pid = 0;
	/* Other runs may have made room since it was read. */
	sr->budget_time = 0;
	return scopes_list_pids(run);
}

void pass_end(struct stock_run *sr)
{
	if (sr->walking)
		walker_close(&sr->walker);
	sr->walking = false;
	sr->chunk_count = 0;
}

/* ---- room ---- */

static void read_budget(struct job_run *run)
{
	struct stock_run *sr = run->private;
	struct cgm_context *ctx = run->job->ctx;

	for (int n = 0; n < run->job->plan->nodes; n++) {
		uint64_t bytes = 0;

		sr->budget[n] = 0;
		if (!cgm_nodeset_has(&ctx->features.memory, n) ||
		    numa_free(ctx, n, &bytes))
			continue;
		if (!sr->low[n] && numa_low(ctx, n, &sr->low[n]))
			continue;
		sr->budget[n] = bytes > sr->low[n] ? bytes - sr->low[n] : 0;
	}
	sr->budget_used = 0;
	sr->budget_time = now_usec();
}

/* Read it again when it is old, or much of it was used. */
static void refresh_budget(struct job_run *run, uint64_t usec)
{
	struct stock_run *sr = run->private;

	if (sr->budget_used > BUDGET_BYTES || !sr->budget_time ||
	    now_usec() - sr->budget_time > usec)
		read_budget(run);
}

/* A node that came after the plan has none that was read. */
static bool has_room(const struct job_run *run, int node, uint64_t bytes)
{
	const struct stock_run *sr = run->private;

	return node < run->job->plan->nodes && sr->budget[node] >= bytes;
}

static void use_budget(struct stock_run *sr, int node, uint64_t bytes)
{
	sr->budget[node] -= bytes;
	sr->budget_used += bytes;
}

/* Take room for so much on a node, if it has that now. */
bool pass_take_room(struct job_run *run, int node, uint64_t bytes)
{
	struct stock_run *sr = run->private;

	refresh_budget(run, FRESH_USEC);
	if (!has_room(run, node, bytes))
		return false;
	use_budget(sr, node, bytes);
	return true;
}

/*
 * A node of the new set with room for a page: the one it belongs to, else the
 * nearest that has room, unless it was named. -1: none has. Huge pages come from
 * pools.
 */
static int find_room(struct job_run *run, const struct scope *s, int dest,
		     const struct move_page *p)
{
	struct stock_run *sr = run->private;
	const struct walk_page *page = &p->page;
	cgm_nodeset roomy = { 0 };

	if (page->kind == CGM_KIND_HUGETLB)
		return dest;
	refresh_budget(run, BUDGET_USEC);
	if (!has_room(run, dest, page->size)) {
		if (sr->pass <= PASS_FIRST && cgm_nodeset_has(&run->item->map.named, p->from))
			return -1;
		for (int n = cgm_nodeset_next(&s->to, -1); n >= 0;
		     n = cgm_nodeset_next(&s->to, n))
			if (has_room(run, n, page->size))
				cgm_nodeset_add(&roomy, n);
		dest = numa_nearest(run->job->ctx, &roomy, dest);
	}
	if (dest >= 0)
		use_budget(sr, dest, page->size);
	return dest;
}

/* ---- the account ---- */

static void account(struct job_run *run, const struct move_page *p,
		    enum cgm_reason reason)
{
	struct cell cell = { .from = p->from, .to = p->to, .kind = p->page.kind };

	if (reason == CGM_INPLACE)
		cell.to = p->from;
	run_account(run, &cell, reason, p->page.size, 0);
	if (reason == CGM_MOVED)
		run->moved += p->page.size;
	else if (reason > CGM_LEFT)
		run->stayed += p->page.size;
}

static int keep_late(struct stock_run *sr, const struct move_page *p)
{
	const struct scoped_pid *sp = &sr->pids[sr->pid];

	if (sr->late_count == sr->late_room) {
		size_t room = sr->late_room ? sr->late_room * 2 : 256;
		struct late_page *more = realloc(sr->late, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		sr->late = more;
		sr->late_room = room;
	}
	sr->late[sr->late_count++] = (struct late_page){
		.pid = sp->pid,
		.addr = p->page.addr,
		.size = p->page.size,
		.from = p->from,
		.to = p->to,
		.kind = p->page.kind,
		.reason = p->reason,
		.scope = sp->scope,
	};
	return 0;
}

/*
 * A page that did not move. Those outside the new set are met again in later
 * passes; the others, which had to change places inside it, are kept in mind
 * and tried once more when the first pass is over.
 */
static int not_moved(struct job_run *run, struct move_page *p, const struct scope *s)
{
	struct stock_run *sr = run->private;
	bool inside = cgm_nodeset_has(&s->to, p->from);

	if (p->reason == CGM_GONE || sr->pass == PASS_LAST) {
		account(run, p, p->reason);
		return 0;
	}
	if (inside || sr->pass == PASS_OUTSIDE)
		return keep_late(sr, p);
	return 0;
}

/* ---- looking ---- */

/*
 * Where a page is to go, -1 when it is to stay. What was moved once is not
 * moved again, though its new node may be one of the old set: such pages can
 * be met again only where they are shared.
 */
static int destination(struct stock_run *sr, const struct scope *s,
		       const struct move_page *p)
{
	int dest = s->dest[p->from];

	if (sr->pass == PASS_NODE && p->from != sr->pairs.order[sr->pairs.at])
		return -1;
	if (sr->pass > PASS_FIRST && cgm_nodeset_has(&s->to, p->from))
		return -1;
	if (dest < 0 || !s->overlap || !p->page.shared || !cgm_nodeset_has(&s->to, p->from))
		return dest;
	/* not told which frame it is: it may have been moved already */
	if (!p->page.pfn || pfnset_has(&sr->done, p->page.pfn))
		return -1;
	return dest;
}

/* Why a page has no destination: no frame is shown to us, or it is where it belongs. */
static enum cgm_reason why_stays(struct job_run *run, const struct scope *s,
				 const struct move_page *p)
{
	bool shown = run->job->ctx->features.flags & CGM_FEATURE_PAGEMAP_PFN;

	return !shown && s->overlap && p->page.shared && s->dest[p->from] >= 0 ?
		       CGM_FAIL_PERM : CGM_INPLACE;
}

/* Decide about the pages of a chunk; those to be moved stay in it. */
static int sort_chunk(struct job_run *run, size_t count)
{
	struct stock_run *sr = run->private;
	const struct scope *s = &sr->scopes[sr->pids[sr->pid].scope];
	size_t kept = 0;
	int err = 0, room;

	for (size_t i = 0; i < count && !err; i++) {
		struct move_page *p = &sr->chunk[i];

		if (p->from < 0 || p->from >= run->job->plan->nodes)
			continue;	/* gone, or the zero page */
		p->tried = false;
		p->to = destination(sr, s, p);
		if (p->to < 0) {
			if (sr->pass == PASS_FIRST)
				account(run, p, why_stays(run, s, p));
			continue;
		}
		room = find_room(run, s, p->to, p);
		if (room < 0) {
			p->reason = CGM_FAIL_NOMEM;
			err = not_moved(run, p, s);
			continue;
		}
		p->to = room;
		sr->chunk[kept++] = *p;
	}
	sr->chunk_count = kept;
	return err;
}

/*
 * Between being listed and its turn a process can end, and its number become another's.
 * From now on the number is that of one that is in the cgroup. 0, or -ESRCH.
 */
int stock_pin(struct job_run *run, pid_t pid)
{
	struct stock_run *sr = run->private;
	const struct plan_item *item = run->item;

	if (mover_hold(&sr->mover, pid))
		return -ESRCH;
	if (item->action != CGM_ACTION_PAGES && item->group && !group_has_pid(item->group, pid))
		return -ESRCH;
	return pin_alive(&sr->mover.pin) ? 0 : -ESRCH;
}

/* A process whose pages cannot be looked at. Of one that is not ours it is told at the end. */
static void note_closed(struct job_run *run, pid_t pid, int err)
{
	struct stock_run *sr = run->private;

	if (err == -ESRCH)
		return;
	if (err != -EACCES && err != -EPERM) {
		run_note(run, "%d: cannot look at its pages: %s", pid, strerror(-err));
		return;
	}
	if (sr->pass != PASS_LAST)
		return;
	run_note(run, "%d: is somebody else's, or closed to us, and CAP_SYS_PTRACE is missing: its pages are not in the account, and %s",
		 pid, sr->kernel_moves ? "only the kernel could move them" :
					 "stay where they are");
	run->refused |= !sr->kernel_moves;
}

/* Go to the next process that can be looked at. False: the pass is over. */
static bool next_process(struct job_run *run)
{
	struct stock_run *sr = run->private;

	for (; sr->pid < sr->pid_count; sr->pid++) {
		struct scoped_pid *sp = &sr->pids[sr->pid];
		const struct scope *s = &sr->scopes[sp->scope];
		int err;

		if (scope_blocked(sr, s))
			continue;
		err = stock_pin(run, sp->pid);
		if (!err)
			err = walker_open(&sr->walker, run->job->ctx, sp->pid, s->overlap);
		if (!err) {
			sr->walking = true;
			return true;
		}
		note_closed(run, sp->pid, err);
		run->unaccounted |= is_shortage(err);
	}
	return false;
}

static void leave_process(struct stock_run *sr)
{
	pass_end(sr);
	sr->pid++;
}

/* Look at the next chunk. 1: there may be more, 0: the pass is over, -errno. */
static int look(struct job_run *run)
{
	struct stock_run *sr = run->private;
	struct walk_page pages[CHUNK];
	int n, err;

	if (!sr->walking && !next_process(run))
		return 0;
	n = walker_next(&sr->walker, pages, CHUNK);
	if (n <= 0) {
		leave_process(sr);
		return 1;
	}
	for (int i = 0; i < n; i++)
		sr->chunk[i].page = pages[i];
	err = mover_query(sr->pids[sr->pid].pid, sr->chunk, n);
	if (err == -ESRCH || err == -EINVAL) {	/* has exited; has no mm left */
		leave_process(sr);
		return 1;
	}
	if (err) {
		note_closed(run, sr->pids[sr->pid].pid, err);
		leave_process(sr);
		return 1;
	}
	err = sort_chunk(run, n);
	return err ? err : 1;
}

/* ---- moving ---- */

/* Pages of the chunk with one destination, as many as fit a batch. */
static size_t pick_batch(struct stock_run *sr, struct move_page **batch)
{
	uint64_t bytes = 0;
	size_t n = 0;

	for (size_t i = 0; i < sr->chunk_count && n < MOVER_PAGES; i++) {
		struct move_page *p = &sr->chunk[i];

		if (p->tried || (n && p->to != batch[0]->to))
			continue;
		if (n && bytes + p->page.size > sr->mover.steer.batch)
			break;
		bytes += p->page.size;
		batch[n++] = p;
	}
	sr->sent += bytes;
	return n;
}

/* Remember where shared pages are now. */
static int remember(struct stock_run *sr, pid_t pid, const struct move_page *p)
{
	uint64_t pfn;

	if (!p->page.shared)
		return 0;
	pfn = mover_pfn(&sr->mover, pid, p->page.addr);
	return pfn ? pfnset_add(&sr->done, pfn) : 0;
}

static const char *why_not(int err)
{
	switch (err) {
	case -EACCES:
		return "its cpuset does not allow the new nodes";
	case -EPERM:
		return "it is somebody else's, and CAP_SYS_PTRACE is missing";
	default:
		return strerror(-err);
	}
}

/* The process cannot be moved at all: all of its chunk shares that fate. */
static int give_up(struct job_run *run, struct move_page **batch, size_t n, int why)
{
	struct stock_run *sr = run->private;
	const struct scope *s = &sr->scopes[sr->pids[sr->pid].scope];
	pid_t pid = sr->pids[sr->pid].pid;
	int err = 0;

	if (why != -ESRCH && why != -EINVAL)
		run_note(run, "%d: cannot move its pages: %s", pid, why_not(why));
	for (size_t i = 0; i < n && !err; i++) {
		batch[i]->reason = why == -ESRCH || why == -EINVAL ? CGM_GONE :
								     CGM_FAIL_PROCESS;
		err = not_moved(run, batch[i], s);
	}
	return err;
}

static int move_batch(struct job_run *run, struct move_page **batch, size_t n)
{
	struct stock_run *sr = run->private;
	const struct scope *s = &sr->scopes[sr->pids[sr->pid].scope];
	pid_t pid = sr->pids[sr->pid].pid;
	int err;

	err = mover_move(&sr->mover, pid, batch, n, batch[0]->to);
	run->max_batch_usec = sr->mover.max_usec;
	if (err) {
		for (size_t i = 0; i < n; i++)
			batch[i]->tried = true;
		return give_up(run, batch, n, err);
	}
	for (size_t i = 0; i < n && !err; i++) {
		struct move_page *p = batch[i];

		if (p->reason == CGM_MOVED || p->reason == CGM_INPLACE)
			account(run, p, p->reason);
		else
			err = not_moved(run, p, s);
		if (!err && s->overlap && p->reason == CGM_MOVED)
			err = remember(sr, pid, p);
	}
	return err;
}

/* One batch, or one look. 1: there is more, 0: the pass is over, or -errno. */
int pass_step(struct job_run *run)
{
	struct stock_run *sr = run->private;
	struct move_page *batch[MOVER_PAGES];
	size_t n = pick_batch(sr, batch);
	int err;

	if (!n)
		return look(run);
	err = move_batch(run, batch, n);
	return err ? err : 1;
}

/* One page that had to change places inside the new set and did not: once more. */
static int retry_one(struct job_run *run, const struct late_page *late)
{
	struct stock_run *sr = run->private;
	struct move_page p = {
		.page = { .addr = late->addr, .size = late->size, .kind = late->kind },
		.to = late->to,
	}, *batch = &p;
	int err = sr->mover.pin.pid == late->pid ? 0 : stock_pin(run, late->pid);

	if (!err)
		err = mover_query(late->pid, &p, 1);
	if (err || p.from != late->from)
		p.reason = CGM_GONE;
	else if (late->reason == CGM_FAIL_NOMEM && !pass_take_room(run, late->to, late->size))
		p.reason = late->reason;
	else
		err = mover_move(&sr->mover, late->pid, &batch, 1, late->to);
	if (err == -ESRCH || err == -EINVAL)
		p.reason = CGM_GONE;
	else if (err)
		p.reason = late->reason;
	p.from = late->from;
	account(run, &p, p.reason);
	return 0;
}

/* The end of the first pass, in steps. 1: there is more, 0: done, -errno. */
int pass_retry_inside(struct job_run *run)
{
	struct stock_run *sr = run->private;
	uint64_t until = now_usec() + sr->mover.steer.bound_usec;

	while (sr->late_count) {
		int err = retry_one(run, &sr->late[--sr->late_count]);

		if (err)
			return err;
		if (now_usec() > until)
			return 1;
	}
	return 0;
}

/* Did a page outside the new set find no room? */
bool pass_late_nomem(const struct stock_run *sr)
{
	for (size_t i = 0; i < sr->late_count; i++)
		if (sr->late[i].reason == CGM_FAIL_NOMEM)
			return true;
	return false;
}

/* They are outside the new set: another pass meets them again. */
void pass_forget_late(struct stock_run *sr)
{
	sr->late_count = 0;
}

/*
 * After narrowing: what the kernel moved that we could not. What is still
 * outside is met by the last pass.
 */
int pass_review_late(struct job_run *run)
{
	struct stock_run *sr = run->private;

	for (size_t i = 0; i < sr->late_count; i++) {
		const struct late_page *late = &sr->late[i];
		struct move_page p = {
			.page = { .addr = late->addr, .size = late->size,
				  .kind = late->kind },
		};
		int err = mover_query(late->pid, &p, 1);

		if (err && err != -ESRCH && err != -EINVAL)
			return err;
		p.to = err ? -ENOENT : p.from;
		p.from = late->from;
		if (p.to < 0) {
			p.to = -1;
			account(run, &p, CGM_GONE);
		} else if (cgm_nodeset_has(&sr->scopes[late->scope].to, p.to)) {
			account(run, &p, CGM_MOVED);
		}
	}
	sr->late_count = 0;
	return 0;
}

/* They stay where they are, for the reasons they had. */
int pass_account_late(struct job_run *run)
{
	struct stock_run *sr = run->private;
	int err = 0;

	for (size_t i = 0; i < sr->late_count && !err; i++) {
		const struct late_page *late = &sr->late[i];
		struct cell cell = { .from = late->from, .to = -1, .kind = late->kind };

		err = run_account(run, &cell, late->reason, late->size, 0);
		run->stayed += late->size;
	}
	sr->late_count = 0;
	return err;
}
