// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory policies that name nodes, by process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies.h"

/* Those that a cpuset binds. What is preferred restricts no page. */
static int names_nodes(const char *policy)
{
	return !strncmp(policy, "bind", 4) || !strncmp(policy, "interleave", 10) ||
	       !strncmp(policy, "weighted interleave", 19);
}

/* Where those of the processes after this one begin: there may be thousands. */
static size_t end_of(const struct policies *policies, pid_t pid)
{
	size_t low = 0, high = policies->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (policies->list[middle].pid <= pid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* So many mappings of a process have this policy; others than binding ones are dropped. */
int policies_add(struct policies *policies, pid_t pid, const char *policy, size_t mappings)
{
	struct policy_use *use;
	size_t end;

	if (!names_nodes(policy))
		return 0;
	end = end_of(policies, pid);
	for (size_t i = end; i && policies->list[i - 1].pid == pid; i--) {
		use = &policies->list[i - 1];
		if (strcmp(use->policy, policy))
			continue;
		use->mappings += mappings;
		return 0;
	}
	use = realloc(policies->list, (policies->count + 1) * sizeof(*use));
	if (!use)
		return -ENOMEM;
	policies->list = use;
	use += end;
	memmove(use + 1, use, (policies->count++ - end) * sizeof(*use));
	use->pid = pid;
	use->mappings = mappings;
	snprintf(use->policy, sizeof(use->policy), "%s", policy);
	return 0;
}

int policies_merge(struct policies *into, const struct policies *from)
{
	int err = 0;

	for (size_t i = 0; i < from->count && !err; i++)
		err = policies_add(into, from->list[i].pid, from->list[i].policy,
				   from->list[i].mappings);
	return err;
}

void policies_free(struct policies *policies)
{
	free(policies->list);
	policies->list = NULL;
	policies->count = 0;
}
