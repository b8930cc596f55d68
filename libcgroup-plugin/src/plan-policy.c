// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What becomes of memory policies that name nodes when the nodes of a cgroup
 * change. The kernel rebinds them; it does not do what a map says.
 */
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "placement.h"
#include "plan.h"
#include "policies.h"
#include "procs.h"

/* numa_maps of so many processes are read where nothing else has read them. */
#define PROCESSES 32
/* Remarks on one move. */
#define REMARKS 8

struct collected {
	struct policies policies;
	pid_t pid;
};

static int collect(const struct vma_seen *vma, void *data)
{
	struct collected *collected = data;

	return policies_add(&collected->policies, collected->pid, vma->line->policy, 1);
}

/* Those of a cgroup whose placement was not read from its processes. */
static void read_policies(struct cgm_plan *plan, struct plan_item *item,
			  struct policies *policies)
{
	struct collected collected = { 0 };
	pid_t *pids;
	size_t count;

	if (cgm_group_pids(item->group, CGM_PIDS_SUBTREE, &pids, &count))
		return;
	for (size_t i = 0; i < count && count <= PROCESSES; i++) {
		collected.pid = pids[i];
		placement_each_vma(plan->ctx, pids[i], collect, &collected);
	}
	free(pids);
	*policies = collected.policies;
}

static void note_use(struct cgm_plan *plan, const struct plan_item *item,
		     const struct policy_use *use)
{
	bool is_static = strstr(use->policy, "=static");
	bool binds = !strncmp(use->policy, "bind", 4);
	const char *list = strchr(use->policy, ':');
	enum cgm_severity severity = CGM_NOTE;
	const char *fate = "rebound with the cpuset";
	cgm_nodeset nodes;
	char comm[64];

	if (!list || cgm_nodeset_parse(list + 1, &nodes))
		return;
	if (is_static && cgm_nodeset_subset(&nodes, &item->to)) {
		fate = "static, stays so";
	} else if (is_static) {
		severity = CGM_WARNING;
		fate = "static, stays so, though not all of them are among its new nodes";
	} else if (item->placed) {
		severity = CGM_WARNING;
		fate = "the kernel rebinds that by relative place, not as the map says";
	}
	if (process_comm(plan->ctx, use->pid, comm, sizeof(comm)))
		plan->notes.lost = true;
	notes_add(&plan->notes, severity, "%d (%s) %s %zu mapping%s %s nodes %s: %s",
		  use->pid, comm, binds ? "binds" : "interleaves", use->mappings,
		  use->mappings == 1 ? "" : "s", binds ? "to" : "over", list + 1, fate);
}

static int more_mappings_first(const void *a, const void *b)
{
	const struct policy_use *x = a, *y = b;

	if (x->mappings != y->mappings)
		return x->mappings < y->mappings ? 1 : -1;
	return x->pid != y->pid ? x->pid - y->pid : strcmp(x->policy, y->policy);
}

/* Say what becomes of the policies of those whose nodes an item changes. */
void plan_note_policies(struct cgm_plan *plan, struct plan_item *item)
{
	struct policies policies = { 0 };

	if (!item->change || cgm_nodeset_equal(&item->from, &item->to))
		return;
	if (item->before->source == CGM_SOURCE_MAPPED)
		policies_merge(&policies, &item->before->policies);
	else
		read_policies(plan, item, &policies);
	if (policies.count)
		qsort(policies.list, policies.count, sizeof(*policies.list),
		      more_mappings_first);
	for (size_t i = 0; i < policies.count && i < REMARKS; i++)
		note_use(plan, item, &policies.list[i]);
	if (policies.count > REMARKS)
		notes_add(&plan->notes, CGM_NOTE,
			  "%s: there are %zu more memory policies that name nodes",
			  item->group->path, policies.count - REMARKS);
	policies_free(&policies);
}
