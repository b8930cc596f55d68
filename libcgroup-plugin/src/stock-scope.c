// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which cpusets change how when one of them is given other nodes, and which
 * processes are in them.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "procs.h"
#include "stock.h"

void scopes_free(struct stock_run *sr)
{
	for (size_t i = 0; i < sr->scope_count; i++) {
		free(sr->scopes[i].path);
		free(sr->scopes[i].dest);
	}
	free(sr->scopes);
	free(sr->pids);
	sr->scopes = NULL;
	sr->pids = NULL;
	sr->scope_count = 0;
	sr->pid_count = 0;
}

/* Work out where each node's pages go. */
static int scope_map(struct job_run *run, struct scope *s)
{
	int nodes = run->job->plan->nodes;

	s->dest = malloc(nodes * sizeof(*s->dest));
	if (!s->dest)
		return -ENOMEM;
	nodemap_make(run->job->ctx, &run->item->map, &s->from, &s->to, s->dest, nodes);
	for (int n = 0; n < nodes; n++) {
		if (s->dest[n] == n)
			s->dest[n] = -1;
		s->overlap |= s->dest[n] >= 0 && cgm_nodeset_has(&s->to, n);
	}
	return 0;
}

/* Cannot this cpuset be dealt with now, so that narrowing has to do it? */
bool scope_blocked(const struct stock_run *sr, const struct scope *s)
{
	return sr->widened && !cgm_nodeset_subset(&s->to, &s->wide);
}

static int scope_add(struct job_run *run, const struct scope *template)
{
	struct stock_run *sr = run->private;
	struct scope *more = realloc(sr->scopes, (sr->scope_count + 1) * sizeof(*more));
	struct scope *s;

	if (!more)
		return -ENOMEM;
	sr->scopes = more;
	s = &more[sr->scope_count];
	*s = *template;
	s->dest = NULL;
	if (template->path) {
		s->path = strdup(template->path);
		if (!s->path)
			return -ENOMEM;
	}
	sr->scope_count++;
	return scope_map(run, s);
}

/* Is this path the other one or below it? */
static bool path_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (!strcmp(top, "/"))
		return true;
	return !strncmp(path, top, len) && (path[len] == '/' || !path[len]);
}

/* The nearest cpuset a cgroup is in. The first scope is the top one. */
static size_t scope_of_path(const struct stock_run *sr, const char *path)
{
	size_t best = 0;

	for (size_t i = 1; i < sr->scope_count; i++)
		if (path_below(path, sr->scopes[i].path) &&
		    strlen(sr->scopes[i].path) > strlen(sr->scopes[best].path))
			best = i;
	return best;
}

/* What a v2 cpuset with these nodes of its own may use below such a parent. */
static void inherit(cgm_nodeset *out, const cgm_nodeset *own, const cgm_nodeset *parent)
{
	cgm_nodeset both;

	cgm_nodeset_and(&both, own, parent);
	*out = cgm_nodeset_weight(&both) ? both : *parent;
}

static int add_descendant(struct cgm_group *group, void *data)
{
	struct job_run *run = data;
	struct stock_run *sr = run->private;
	struct scope s = { 0 }, *parent;
	cgm_nodeset own;
	int err;

	if (!strcmp(group->path, run->item->group->path) || !cgm_group_has_cpuset(group))
		return 0;
	if (cgm_group_mems(group, &own) || cgm_group_effective_mems(group, &s.from))
		return 0;	/* removed meanwhile */
	parent = &sr->scopes[scope_of_path(sr, group->path)];
	s.path = group->path;
	if (group->ctx->cpuset.version == 2) {
		inherit(&s.to, &own, &parent->to);
		inherit(&s.wide, &own, &parent->wide);
	} else {
		s.to = s.wide = s.from;	/* v1: parents do not change children */
	}
	err = scope_add(run, &s);
	if (!err && !cgm_nodeset_subset(&s.to, &s.wide))
		run_note(run, "%s: has nodes of its own that are not among the new ones: the kernel moved its memory in one go",
			 group->path);
	return err;
}

/* A cgroup and every cpuset below it. */
int scopes_of_group(struct job_run *run)
{
	struct plan_item *item = run->item;
	struct scope top = {
		.path = item->group->path,
		.from = item->from,
		.to = item->to,
		.wide = item->wide,
	};
	int err;

	err = scope_add(run, &top);
	if (!err)
		err = cgm_group_walk(item->group, add_descendant, run);
	return err;
}

/* The nodes a process may use where it is. -ESRCH: it has exited. */
static int nodes_of_pid(struct job_run *run, pid_t pid, cgm_nodeset *nodes)
{
	struct cgm_context *ctx = run->job->ctx;
	struct cgm_placement *p;
	struct cgm_group *group;
	int err;

	if (run->item->action == CGM_ACTION_ATTACH) {
		err = cgm_group_open_pid(ctx, pid, &group);
		if (!err) {
			err = cgm_group_effective_mems(group, nodes);
			cgm_group_unref(group);
		}
		return err;
	}
	err = cgm_placement_read_pid(ctx, pid, &p);
	if (!err) {
		cgm_placement_allowed(p, nodes);
		cgm_placement_free(p);
	}
	return err;
}

/* A scope for a process: where it comes from is its own affair. */
int scope_of_pid(struct job_run *run, pid_t pid)
{
	struct scope s = { .to = run->item->to };
	int err = nodes_of_pid(run, pid, &s.from);

	cgm_nodeset_or(&s.wide, &s.from, &s.to);
	return err ? err : scope_add(run, &s);
}

/* One a process. Those that have exited are dropped, unless all have. */
int scopes_of_pids(struct job_run *run)
{
	struct pid_list *list = &run->pids;
	size_t kept = 0;
	int err = 0;

	for (size_t i = 0; i < list->count; i++) {
		err = scope_of_pid(run, list->pids[i]);
		if (!err)
			list->pids[kept++] = list->pids[i];
		else if (err != -ESRCH)
			return err;
	}
	list->count = kept;
	return kept ? 0 : err;
}

static int add_pid(struct stock_run *sr, pid_t pid, size_t scope)
{
	struct scoped_pid *more;

	more = realloc(sr->pids, (sr->pid_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	sr->pids = more;
	more[sr->pid_count++] = (struct scoped_pid){ pid, scope };
	return 0;
}

static int list_group(struct cgm_group *group, void *data)
{
	struct job_run *run = data;
	struct stock_run *sr = run->private;
	struct pid_list list = { 0 };
	size_t scope = scope_of_path(sr, group->path);
	int err = procs_of_dir(group->ctx, group->dirfd, false, &list);

	for (size_t i = 0; i < list.count && !err; i++)
		err = add_pid(sr, list.pids[i], scope);
	free(list.pids);
	return err;
}

static int same_mm_order(const void *a, const void *b)
{
	const struct scoped_pid *x = a, *y = b;
	long order = syscall(SYS_kcmp, x->pid, y->pid, KCMP_VM, 0, 0);

	if (order == 1)
		return -1;
	if (order == 2)
		return 1;
	if (order == 0)
		return 0;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

/*
 * Processes that share one address space are walked once. That saves work, and
 * where the sets overlap it keeps a page from being moved twice.
 */
static void drop_shared_mm(struct stock_run *sr)
{
	size_t kept = 0;

	if (sr->pid_count < 2)
		return;
	qsort(sr->pids, sr->pid_count, sizeof(*sr->pids), same_mm_order);
	for (size_t i = 0; i < sr->pid_count; i++)
		if (!kept || syscall(SYS_kcmp, sr->pids[kept - 1].pid, sr->pids[i].pid,
				     KCMP_VM, 0, 0) != 0)
			sr->pids[kept++] = sr->pids[i];
	sr->pid_count = kept;
}

/* List who is there now. */
int scopes_list_pids(struct job_run *run)
{
	struct stock_run *sr = run->private;
	struct plan_item *item = run->item;
	int err = 0;

	sr->pid_count = 0;
	if (item->action == CGM_ACTION_ATTACH || item->action == CGM_ACTION_PAGES) {
		for (size_t i = 0; i < run->pids.count && !err; i++)
			err = add_pid(sr, run->pids.pids[i], i);
	} else {
		err = cgm_group_walk(item->group, list_group, run);
	}
	drop_shared_mm(sr);
	return err;
}
