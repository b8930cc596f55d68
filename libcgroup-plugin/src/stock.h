/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Backend for kernels without the engine, and for moves that go elsewhere than
 * the kernel would take them.
 *
 * stock-run.c   the stages: widen, passes, narrow, account
 * stock-scope.c which cpusets change how, and which processes are in them
 * stock-pass.c  one pass over the pages of all processes
 * stock-pairs.c whole processes at once, from one node to one other
 */
#ifndef CGM_STOCK_H
#define CGM_STOCK_H

#include "group.h"
#include "job.h"
#include "mover.h"
#include "pfnset.h"
#include "walk.h"

/* A cpuset whose nodes change, or the cpuset a process comes from. */
struct scope {
	char *path;		/* NULL: not a cgroup of ours */
	cgm_nodeset from;
	cgm_nodeset to;
	cgm_nodeset wide;	/* in force while we move */
	bool overlap;		/* what was moved to a node could be moved on */
	int *dest;		/* by node; -1: does not move */
};

struct scoped_pid {
	pid_t pid;
	size_t scope;
};

/* A page that could not be moved, for another look at it. */
struct late_page {
	pid_t pid;
	uint64_t addr;
	uint32_t size;
	int from;
	int to;
	enum cgm_kind kind;
	enum cgm_reason reason;
	size_t scope;
};

enum pass {
	PASS_NODE,	/* pages on one node, before others come there */
	PASS_FIRST,	/* every page */
	PASS_OUTSIDE,	/* pages outside the new set, the mask still wide */
	PASS_LAST,	/* the same, and what stays now stays */
};

struct stock_run {
	struct scope *scopes;
	size_t scope_count;
	struct scoped_pid *pids;
	size_t pid_count;
	size_t pid;		/* the one being walked */
	bool walking;
	struct walker walker;
	struct move_page *chunk; /* looked at, some to be moved */
	size_t chunk_count;
	enum pass pass;
	struct mover mover;
	struct pfnset done;	/* shared pages that were moved, by frame */
	struct late_page *late;
	size_t late_count;
	size_t late_room;
	uint64_t *budget;	/* by node: bytes above the low watermark */
	uint64_t *low;		/* by node: the low watermark */
	uint64_t budget_used;	/* since it was last read */
	uint64_t budget_time;
	struct pairs {
		int *order;	/* nodes, each left before it is entered */
		int count;
		int at;
		bool rest;	/* something is left on this one */
		bool passing;	/* over that rest */
	} pairs;
	bool engine;		/* the kernel has one: it moves when masks change */
	bool widened;		/* the mask is wide and has to be narrowed */
	bool kernel_moves;	/* narrowing makes the kernel move what is left */
	char *narrow;		/* what to write then */
	char *wide;		/* what was written */
	int stage;
	bool waits;		/* for others to make room */
	unsigned int looks;	/* at whether they have */
	uint64_t moved_before;	/* by the whole job, when the pass began */
	uint64_t look_again;	/* not before this time */
	uint64_t sent;		/* bytes handed to the kernel, for the rate */
	uint64_t begun;
};

/* stock-scope.c */
int scopes_of_group(struct job_run *run);
int scope_of_pid(struct job_run *run, pid_t pid);
int scopes_of_pids(struct job_run *run);
int scopes_list_pids(struct job_run *run);
bool scope_blocked(const struct stock_run *sr, const struct scope *s);
void scopes_free(struct stock_run *sr);

/* stock-pass.c */
int stock_pin(struct job_run *run, pid_t pid);
int pass_start(struct job_run *run, enum pass pass);
int pass_step(struct job_run *run);
void pass_end(struct stock_run *sr);
bool pass_take_room(struct job_run *run, int node, uint64_t bytes);
int pass_retry_inside(struct job_run *run);
bool pass_late_nomem(const struct stock_run *sr);
void pass_forget_late(struct stock_run *sr);
int pass_review_late(struct job_run *run);
int pass_account_late(struct job_run *run);

/* stock-pairs.c */
int pairs_start(struct job_run *run);
int pairs_step(struct job_run *run);

#endif /* CGM_STOCK_H */
