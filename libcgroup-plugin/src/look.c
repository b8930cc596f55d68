// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is read of processes while many cgroups are looked at.
 *
 * The memory of a cgroup is that of all below it. Whoever walks through a hierarchy asks
 * after each process once for its cgroup and once for every one above that. So as long as
 * a walk goes on, what is read of a process is kept, and so are the lists of processes.
 * Nothing fails for want of memory here: it is read again then.
 */
#include <stdlib.h>
#include <string.h>

#include "descend.h"
#include "group.h"
#include "look.h"

/* The processes of one cgroup, and not of those below it. */
struct branch {
	char *path;		/* "" is the root's */
	pid_t *pids;
	size_t count;
};

struct look {
	size_t depth;		/* of walks in walks */
	struct look_process **table; /* by number; a power of two, at most half full */
	size_t room;
	size_t used;
	struct branch *branches; /* parents first, children in the order of their names */
	size_t branch_count;
	size_t branch_room;
};

void look_begin(struct cgm_context *ctx)
{
	if (!ctx->look)
		ctx->look = calloc(1, sizeof(*ctx->look));
	if (ctx->look)
		ctx->look->depth++;
}

static void drop_branches(struct look *look, size_t from)
{
	while (look->branch_count > from) {
		struct branch *branch = &look->branches[--look->branch_count];

		free(branch->path);
		free(branch->pids);
	}
}

void look_end(struct cgm_context *ctx)
{
	struct look *look = ctx->look;

	if (!look || --look->depth)
		return;
	for (size_t i = 0; i < look->room; i++) {
		if (look->table[i])
			cgm_placement_free(look->table[i]->mapped);
		free(look->table[i]);
	}
	drop_branches(look, 0);
	free(look->branches);
	free(look->table);
	free(look);
	ctx->look = NULL;
}

/* ---- processes ---- */

/* Where a process is in the table, or is to be put. */
static struct look_process **find_slot(struct look_process **table, size_t room, pid_t pid)
{
	size_t i = (uint32_t)pid * 2654435761u & (room - 1);

	while (table[i] && table[i]->pid != pid)
		i = (i + 1) & (room - 1);
	return &table[i];
}

static bool grow(struct look *look)
{
	size_t room = look->room ? 2 * look->room : 256;
	struct look_process **table = calloc(room, sizeof(*table));

	if (!table)
		return false;
	for (size_t i = 0; i < look->room; i++)
		if (look->table[i])
			*find_slot(table, room, look->table[i]->pid) = look->table[i];
	free(look->table);
	look->table = table;
	look->room = room;
	return true;
}

/* What is known of a process, to be added to. NULL: nobody looks at many cgroups. */
struct look_process *look_process(struct cgm_context *ctx, pid_t pid)
{
	struct look *look = ctx->look;
	struct look_process **slot;

	if (!look || (2 * look->used >= look->room && !grow(look)))
		return NULL;
	slot = find_slot(look->table, look->room, pid);
	if (!*slot) {
		*slot = calloc(1, sizeof(**slot));
		if (!*slot)
			return NULL;
		(*slot)->pid = pid;
		look->used++;
	}
	return *slot;
}

/* As process_status(), where that it has exited does not matter. */
void look_status(struct cgm_context *ctx, pid_t pid, struct process_status *out)
{
	struct look_process *seen = look_process(ctx, pid);

	if (seen && seen->has_status) {
		*out = seen->status;
		return;
	}
	process_status(ctx, pid, out);
	if (seen) {
		seen->status = *out;
		seen->has_status = true;
	}
}

/* As process_rollup(). */
void look_rollup(struct cgm_context *ctx, pid_t pid, struct process_rollup *out)
{
	struct look_process *seen = look_process(ctx, pid);

	if (seen && seen->has_rollup) {
		*out = seen->rollup;
		return;
	}
	process_rollup(ctx, pid, out);
	if (seen) {
		seen->rollup = *out;
		seen->has_rollup = true;
	}
}

/* As process_comm(). */
int look_comm(struct cgm_context *ctx, pid_t pid, char *buf, size_t size)
{
	struct look_process *seen = look_process(ctx, pid);
	int err = 0;

	if (!seen || !seen->has_comm)
		err = process_comm(ctx, pid, buf, size);
	else
		snprintf(buf, size, "%s", seen->comm);
	if (seen && !seen->has_comm && !err) {
		snprintf(seen->comm, sizeof(seen->comm), "%s", buf);
		seen->has_comm = true;
	}
	return err;
}

/* ---- which are in a cgroup ---- */

/* In the order of a walk: a slash comes before whatever else a name goes on with. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static bool is_in(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(path, top, len) && (!path[len] || path[len] == '/');
}

/* The first branch that does not come before a path. */
static size_t find_branch(const struct look *look, const char *path)
{
	size_t low = 0, high = look->branch_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare_paths(look->branches[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct listing {
	struct cgm_group *top;
	const char *path;	/* of the top */
};

static int add_branch(int dirfd, const char *below, void *data)
{
	const struct listing *listing = data;
	struct cgm_context *ctx = listing->top->ctx;
	struct look *look = ctx->look;
	struct branch *more;
	struct pid_list list = { 0 };
	int err = procs_of_dir(ctx, dirfd, false, &list);

	if (err == -EACCES && *below)	/* closed to us: its processes are, too */
		err = 0;
	if (!err && look->branch_count == look->branch_room) {
		more = realloc(look->branches, (2 * look->branch_room + 64) * sizeof(*more));
		if (more) {
			look->branches = more;
			look->branch_room = 2 * look->branch_room + 64;
		}
		err = more ? 0 : -ENOMEM;
	}
	if (err) {
		free(list.pids);
		return err;
	}
	more = &look->branches[look->branch_count++];
	more->pids = list.pids;
	more->count = list.count;
	if (asprintf(&more->path, "%s%s", listing->path, below) >= 0)
		return 0;
	more->path = NULL;
	return -ENOMEM;
}

/* What comes after all that was listed before is listed. False: it was not. */
static bool list_below(struct cgm_group *group, const char *path)
{
	struct listing listing = { group, path };
	struct look *look = group->ctx->look;
	size_t before = look->branch_count;

	if (before && compare_paths(look->branches[before - 1].path, path) >= 0)
		return false;
	if (!descend(group->dirfd, add_branch, &listing))
		return true;
	drop_branches(look, before);
	return false;
}

/* As cgm_group_pids() of a cgroup and all below it. */
int look_pids(struct cgm_group *group, pid_t **pids, size_t *count)
{
	const char *path = strcmp(group->path, "/") ? group->path : "";
	struct look *look = group->ctx->look;
	struct pid_list list = { 0 };
	size_t i = look ? find_branch(look, path) : 0;
	int err = 0;

	if (!look || ((i == look->branch_count || strcmp(look->branches[i].path, path)) &&
		      !list_below(group, path)))
		return cgm_group_pids(group, CGM_PIDS_SUBTREE, pids, count);
	for (; i < look->branch_count && is_in(look->branches[i].path, path); i++)
		for (size_t n = 0; n < look->branches[i].count && !err; n++)
			err = pid_list_add(&list, look->branches[i].pids[n]);
	if (err) {
		free(list.pids);
		return cgm_fail(group->ctx, err, "out of memory");
	}
	pid_list_sort(&list);
	*pids = list.pids;
	*count = list.count;
	return 0;
}
