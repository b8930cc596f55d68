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
int process_comm(struct cgm_context *ctx, pid_t pid, char *buf, size_t size);
void process_rss(struct cgm_context *ctx, pid_t pid, uint64_t *anon, uint64_t *huge);

#endif /* CGM_PROCS_H */
