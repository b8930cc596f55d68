/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes go into a cgroup, for any backend. */
#ifndef CGM_ATTACH_H
#define CGM_ATTACH_H

#include "job.h"

/* Makes itself ready for a process that was not planned; -ESRCH: it has exited. */
typedef int (*attach_joins)(struct job_run *run, pid_t pid);

int attach_all(struct job_run *run, int flags, attach_joins joins);

#endif /* CGM_ATTACH_H */
