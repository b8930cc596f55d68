/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of CPUs: of nodes, of cgroups, of threads. */
#ifndef CGM_CPUS_H
#define CGM_CPUS_H

#include "group.h"

/* A thread as /proc tells of it. */
struct thread_status {
	pid_t pid;		/* its process */
	uid_t user;
	uint64_t start;		/* when it began, in ticks; 0: not known */
	cgm_cpuset cpus;	/* where it may run */
};

const char *group_effective_cpus_file(const struct cgm_context *ctx);
int thread_read(struct cgm_context *ctx, pid_t tid, struct thread_status *status);
int thread_pin(struct cgm_context *ctx, pid_t tid, const cgm_cpuset *cpus);
bool cpus_map(const cgm_cpuset *from, const cgm_cpuset *to, const cgm_cpuset *mask,
	      cgm_cpuset *out);

#endif /* CGM_CPUS_H */
