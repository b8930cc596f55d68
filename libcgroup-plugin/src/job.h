/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan that runs: one run per planned move, each with a backend. */
#ifndef CGM_JOB_H
#define CGM_JOB_H

#include "plan.h"
#include "private.h"
#include "procs.h"
#include "result.h"

struct drop;
struct job_run;

struct run_ops {
	/* Change what has to change; an error means nothing was changed. */
	int (*start)(struct job_run *run);
	/* Do a bounded piece of work; set run->state once it has ended. */
	void (*step)(struct job_run *run);
	/* Stop at the next chunk; step() is called until it has ended. */
	void (*cancel)(struct job_run *run);
	/* Move nothing until told to go on. */
	int (*hold)(struct job_run *run, bool hold);
	/* Another limit from now on, 0: none. */
	int (*set_rate)(struct job_run *run, uint64_t rate);
	void (*free)(struct job_run *run);
};

struct job_run {
	struct cgm_job *job;
	struct plan_item *item;
	struct pid_list pids;		/* of the item; and who was born meanwhile */
	size_t index;			/* of the item */
	const struct run_ops *ops;
	struct drop *drop;		/* page cache is dropped, and nothing else begun */
	enum cgm_state state;
	bool cancelled;
	bool held;
	bool untold;			/* systemd could not be told */
	bool unaccounted;		/* a part of the account is lost */
	bool refused;			/* a process could not be moved */
	uint64_t moved;
	uint64_t stayed;
	uint64_t max_batch_usec;
	void *private;
};

struct cgm_job {
	struct cgm_plan *plan;
	struct cgm_context *ctx;
	struct cgm_job_options options;
	struct job_run *runs;
	size_t count;
	int epoll;
	int timer;		/* when to look again */
	uint64_t look_at;	/* what it is set to, 0: not since the last look */
	uint64_t started;
	uint64_t ended;
	bool finished;
	bool on_hold;
	bool left;		/* another process goes on with it */
	struct cgm_result result;
	char failure[1024];	/* why the first of its runs failed, or "" */
};

int job_watch(struct cgm_job *job, int fd, uint32_t events);
void job_look_after(struct cgm_job *job, uint64_t usec);
int run_account(struct job_run *run, const struct cell *cell, enum cgm_reason reason,
		uint64_t bytes, unsigned int flags);
void run_note(struct job_run *run, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void run_fail(struct job_run *run, const char *why);
void run_read_after(struct job_run *run);
enum cgm_state run_outcome(const struct job_run *run);
void run_account_unmapped(struct job_run *run);
void run_account_left(struct job_run *run);
uint64_t run_dropped(const struct job_run *run, int node, enum cgm_kind kind);

extern const struct run_ops engine_run_ops;
extern const struct run_ops stock_run_ops;

#endif /* CGM_JOB_H */
