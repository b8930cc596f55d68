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

/* So many mappings of a process have this policy; others than binding ones are dropped. */
int policies_add(struct policies *policies, pid_t pid, const char *policy, size_t mappings)
{
	struct policy_use *use;

	if (!names_nodes(policy))
		return 0;
	for (size_t i = 0; i < policies->count; i++) {
		use = &policies->list[i];
		if (use->pid != pid || strcmp(use->policy, policy))
			continue;
		use->mappings += mappings;
		return 0;
	}
	use = realloc(policies->list, (policies->count + 1) * sizeof(*use));
	if (!use)
		return -ENOMEM;
	policies->list = use;
	use += policies->count++;
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
