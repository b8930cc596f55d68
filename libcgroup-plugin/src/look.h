/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read of processes while many cgroups are looked at: each thing once. */
#ifndef CGM_LOOK_H
#define CGM_LOOK_H

#include "placement.h"
#include "procs.h"

/* One process. What was not asked for yet is not known. */
struct look_process {
	pid_t pid;
	bool has_status, has_rollup, has_comm;
	struct process_status status;
	struct process_rollup rollup;
	char comm[64];
	struct cgm_placement *mapped;	/* what is shared counts in full; NULL: not known */
};

void look_begin(struct cgm_context *ctx);
void look_end(struct cgm_context *ctx);
struct look_process *look_process(struct cgm_context *ctx, pid_t pid);
void look_status(struct cgm_context *ctx, pid_t pid, struct process_status *out);
void look_rollup(struct cgm_context *ctx, pid_t pid, struct process_rollup *out);
int look_comm(struct cgm_context *ctx, pid_t pid, char *buf, size_t size);
int look_pids(struct cgm_group *group, pid_t **pids, size_t *count);

#endif /* CGM_LOOK_H */
