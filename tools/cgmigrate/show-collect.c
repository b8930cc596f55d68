// SPDX-License-Identifier: GPL-2.0
/* cgmigrate show: what there is to show, and where its memory is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

static uint64_t total_of(const struct entry *e)
{
	return cgm_placement_bytes(e->placement, CGM_KIND_MOVABLE, CGM_NODE_ALL);
}

static struct entry *new_entry(struct show *show)
{
	struct entry *more = realloc(show->entries, (show->count + 1) * sizeof(*more));

	if (!more)
		return NULL;
	show->entries = more;
	more += show->count++;
	memset(more, 0, sizeof(*more));
	return more;
}

bool show_keeps_processes(const struct show *show)
{
	return show->by == BY_PROCESS || show->by == BY_VMA;
}

/* What is read of a target: finding marks out takes a while. */
static unsigned int read_flags(const struct show *show)
{
	if (!show_keeps_processes(show))
		return 0;
	if (show->app->json || (show->by == BY_PROCESS && show_tells_marks(show)))
		return CGM_PLACEMENT_PROCESSES | CGM_PLACEMENT_MARKS;
	return CGM_PLACEMENT_PROCESSES;
}

/*
 * Has somebody written other nodes than systemd has for the unit? Where it
 * cannot be asked that is not known, and placement is told all the same.
 */
static void read_drift(struct cgm_group *group, cgm_nodeset *unit_mems)
{
	cgm_nodeset mems;

	if (cgm_group_unit_mems(group, unit_mems) || cgm_group_mems(group, &mems) ||
	    cgm_nodeset_equal(unit_mems, &mems))
		cgm_nodeset_clear(unit_mems);
}

static int add_group(struct show *show, struct cgm_group *group)
{
	struct cgm_placement *placement;
	struct entry *e;
	int err;

	err = cgm_placement_read(group, read_flags(show), &placement);
	if (err)
		return err;
	e = new_entry(show);
	if (!e) {
		cgm_placement_free(placement);
		return -ENOMEM;
	}
	e->placement = placement;
	e->cgroup = strdup(cgm_group_path(group));
	if (!e->cgroup)
		return -ENOMEM;
	cgm_placement_allowed(placement, &e->mems);
	if (!show->watch_usec)
		read_drift(group, &e->unit_mems);
	return 0;
}

static int add_pid(struct show *show, struct cgm_group *group, pid_t pid)
{
	struct cgm_placement *placement;
	struct entry *e;
	int err = cgm_placement_read_pid(show->app->ctx, pid, &placement);

	if (err)
		return err;
	e = new_entry(show);
	if (!e) {
		cgm_placement_free(placement);
		return -ENOMEM;
	}
	e->placement = placement;
	e->pid = pid;
	e->cgroup = group ? strdup(cgm_group_path(group)) : NULL;
	cgm_placement_allowed(placement, &e->mems);
	return 0;
}

static int add_user(struct show *show, const struct target *target)
{
	struct cgm_placement *placement;
	struct entry *e;
	int err = cgm_placement_read_pids(show->app->ctx, target->pids, target->pid_count,
					  read_flags(show), &placement);

	if (err)
		return err;
	e = new_entry(show);
	if (!e) {
		cgm_placement_free(placement);
		return -ENOMEM;
	}
	e->placement = placement;
	e->user = target->text;
	return 0;
}

/* Cgroups that went away meanwhile are not missed. */
static int consider_group(struct cgm_group *group, void *data)
{
	struct show *show = data;
	cgm_nodeset mems;
	int err = 0;

	if (!show->all) {
		if (!strcmp(cgm_group_path(group), "/") || !cgm_group_has_cpuset(group))
			return 0;
		err = cgm_group_mems(group, &mems);
		if (!err && !cgm_nodeset_weight(&mems))
			return 0;
	}
	if (!err)
		err = add_group(show, group);
	/* gone, or somebody lets nobody look: that hides no others */
	return err == -ENOENT || err == -ENODEV || err == -EACCES ? 0 : err;
}

static int collect_all(struct show *show)
{
	struct cgm_group *root;
	int err = cgm_group_open(show->app->ctx, "/", &root);

	if (!err) {
		err = cgm_group_walk(root, consider_group, show);
		cgm_group_unref(root);
	}
	return err ? fail_errno(show->app, err) : 0;
}

static int collect_target(struct show *show, const char *text)
{
	struct target target;
	int err, code = target_open(show->app, text, &target);

	if (code)
		return code;
	if (target.pids)
		err = add_user(show, &target);
	else if (target.pid)
		err = add_pid(show, target.group, target.pid);
	else
		err = add_group(show, target.group);
	target_close(&target);
	return err ? fail_errno(show->app, err) : 0;
}

static int larger_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (total_of(x) != total_of(y))
		return total_of(x) < total_of(y) ? 1 : -1;
	return x->cgroup && y->cgroup ? strcmp(x->cgroup, y->cgroup) : 0;
}

void show_forget(struct show *show)
{
	for (size_t i = 0; i < show->count; i++) {
		free(show->entries[i].cgroup);
		cgm_placement_free(show->entries[i].placement);
	}
	free(show->entries);
	show->entries = NULL;
	show->count = 0;
}

int show_collect(struct show *show, char **targets)
{
	int code = *targets ? 0 : collect_all(show);

	for (; *targets && !code; targets++)
		code = collect_target(show, *targets);
	if (!code && show->count)
		qsort(show->entries, show->count, sizeof(*show->entries), larger_first);
	return code;
}
