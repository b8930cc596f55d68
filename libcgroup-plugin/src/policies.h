/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory policies that name nodes, by process, as numa_maps tells them. */
#ifndef CGM_POLICIES_H
#define CGM_POLICIES_H

#include <stddef.h>
#include <sys/types.h>

struct policy_use {
	pid_t pid;
	char policy[64];	/* "bind:0", "interleave=static:0-1" ... */
	size_t mappings;
};

struct policies {
	struct policy_use *list;	/* by number of the process */
	size_t count;
};

int policies_add(struct policies *policies, pid_t pid, const char *policy, size_t mappings);
int policies_merge(struct policies *into, const struct policies *from);
void policies_free(struct policies *policies);

#endif /* CGM_POLICIES_H */
