/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes are in a cgroup, and a little about each. */
#ifndef CGM_PROCS_H
#define CGM_PROCS_H

#include "private.h"

struct pid_list {
	pid_t *pids;
	size_t count;
	size_t room;
};

int pid_list_add(struct pid_list *list, pid_t pid);
void pid_list_sort(struct pid_list *list);
int procs_of_dir(struct cgm_context *ctx, int dirfd, bool subtree,
		 struct pid_list *list);
int thread_start(struct cgm_context *ctx, pid_t tid, uint64_t *start);
int process_comm(struct cgm_context *ctx, pid_t pid, char *buf, size_t size);

bool process_exited(struct cgm_context *ctx, pid_t pid);

/* Bytes of a process that cost no look at its address space. */
struct process_status {
	uint64_t anon;		/* private memory, which is hardly ever shared */
	uint64_t huge;		/* pages from the pools of huge ones, which often are */
	uint64_t locked;
	uint64_t pinned;
};

/* And those that cost one. */
struct process_rollup {
	bool has_pss;
	uint64_t anon, file, shmem; /* its part of what it shares */
	uint64_t huge;		/* in transparent huge pages */
};

int process_status(struct cgm_context *ctx, pid_t pid, struct process_status *out);
void process_rollup(struct cgm_context *ctx, pid_t pid, struct process_rollup *out);

#endif /* CGM_PROCS_H */
