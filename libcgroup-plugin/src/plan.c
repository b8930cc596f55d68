// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A plan: for every move, what lies where now and where it would go. Making
 * one reads only; plan-check.c says what stands in the way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "engine.h"
#include "group.h"
#include "numa.h"
#include "plan.h"
#include "procs.h"

CGM_PUBLIC int cgm_plan_new(struct cgm_context *ctx, struct cgm_plan **out)
{
	struct cgm_plan *plan = calloc(1, sizeof(*plan));
	int last = 0;

	*out = plan;
	if (!plan)
		return cgm_fail(ctx, ENOMEM, "out of memory");
	plan->ctx = ctx;
	for (int n = 0; n >= 0; n = cgm_nodeset_next(&ctx->features.online, n))
		last = n;
	plan->nodes = last + 1;
	return 0;
}

static void item_free(struct plan_item *item)
{
	if (!item)
		return;
	cgm_group_unref(item->group);
	cgm_group_unref(item->source);
	cgm_placement_free(item->before);
	nodemap_exit(&item->map);
	free(item->pids);
	free(item->starts);
	free(item->dest);
	free(item->flows);
	free(item);
}

CGM_PUBLIC void cgm_plan_free(struct cgm_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->count; i++)
		item_free(plan->items[i]);
	notes_free(&plan->notes);
	free(plan->items);
	free(plan->rooms);
	free(plan->freed);
	free(plan);
}

/* Add to an item what a placement would do when its nodes change. */
static void add_flows(struct cgm_plan *plan, struct plan_item *item,
		      const struct cgm_placement *placement, const cgm_nodeset *from,
		      const int *dest)
{
	for (int n = 0; n < plan->nodes; n++) {
		uint64_t bytes = cgm_placement_bytes(placement, CGM_KIND_MOVABLE, n);

		if (!bytes || dest[n] == n || dest[n] < 0)
			continue;
		if (!cgm_nodeset_has(from, n) && !cgm_nodeset_has(&item->to, n))
			item->stray += bytes;
		if (dest[n] >= plan->nodes)
			continue;
		item->flows[n * plan->nodes + dest[n]] += bytes;
		item->bytes += bytes;
	}
}

/* Where its memory goes, and whether the kernel would take it there by itself. */
static void place(struct cgm_plan *plan, struct plan_item *item)
{
	static const struct nodemap plain;
	int own[CGM_NODES_MAX];

	nodemap_make(plan->ctx, &item->map, &item->from, &item->to, item->dest, plan->nodes);
	nodemap_make(plan->ctx, &plain, &item->from, &item->to, own, plan->nodes);
	item->placed = !nodemap_plain(&item->map) &&
		       memcmp(own, item->dest, plan->nodes * sizeof(*own));
}

static void clear_flows(const struct cgm_plan *plan, struct plan_item *item)
{
	memset(item->flows, 0, (size_t)plan->nodes * plan->nodes * sizeof(*item->flows));
	item->bytes = 0;
}

static size_t note_unreadable(struct cgm_plan *plan, const struct cgm_placement *p)
{
	size_t unreadable;

	cgm_placement_counts(p, NULL, &unreadable);
	if (unreadable)
		notes_add(&plan->notes, CGM_WARNING,
			  "%zu process%s to somebody else and cannot be looked at: CAP_SYS_PTRACE is missing",
			  unreadable, unreadable == 1 ? " belongs" : "es belong");
	return unreadable;
}

/* A cgroup that is gone has none; an error is a shortage. */
static int count_processes(struct plan_item *item)
{
	pid_t *pids;
	int err = cgm_group_pids(item->group, CGM_PIDS_SUBTREE, &pids, &item->processes);

	if (!err)
		free(pids);
	return is_shortage(err) ? err : 0;
}

static int add_group(struct cgm_plan *plan, struct plan_item *item,
		     const struct cgm_move *move)
{
	struct cgm_context *ctx = plan->ctx;
	size_t unreadable;
	int err;

	err = cgm_group_effective_mems(item->group, &item->from);
	if (err)
		return err;
	if (item->action == CGM_ACTION_SETTLE) {
		item->to = item->from;
	} else {
		item->to = move->to;
		err = plan_check_mems(plan, item);
		if (err)
			return err;
	}
	err = count_processes(item);
	if (!err)
		err = cgm_placement_read(item->group, 0, &item->before);
	if (err)
		return err;
	unreadable = note_unreadable(plan, item->before);
	place(plan, item);
	add_flows(plan, item, item->before, &item->from, item->dest);
	err = plan_check_map(plan, item);
	if (err)
		return err;
	if (item->action == CGM_ACTION_SETTLE)
		item->change = item->bytes || unreadable;
	else if (item->placed)	/* there is more to do than to write a mask */
		item->change |= item->bytes > 0;
	else if (!item->change)	/* a mask already in force moves nothing */
		clear_flows(plan, item);
	err = plan_add_cache(plan, item);
	if (err)
		return err;
	plan_note_policies(plan, item);
	if (item->action == CGM_ACTION_SETTLE && item->change &&
	    (item->backend == CGM_BACKEND_ENGINE_V2 ||
	     item->backend == CGM_BACKEND_ENGINE_V1))
		plan_check_access(plan, item, engine_files(ctx)->settle);
	plan_check_caller(plan, item);
	return 0;
}

/* The nodes a process may use now. -ESRCH: it has exited. */
static int nodes_of_pid(struct cgm_context *ctx, pid_t pid, cgm_nodeset *nodes)
{
	struct cgm_group *group;
	int err = cgm_group_open_pid(ctx, pid, &group);

	if (err)
		return err;
	err = cgm_group_effective_mems(group, nodes);
	cgm_group_unref(group);
	return err;
}

static int add_pid(struct cgm_plan *plan, struct plan_item *item, pid_t pid)
{
	struct cgm_placement *one;
	int dest[CGM_NODES_MAX];
	cgm_nodeset from;
	int err;

	err = placement_of_pids(plan->ctx, &pid, 1, 0, &one);
	if (err)
		return err;
	if (item->action == CGM_ACTION_ATTACH) {
		err = nodes_of_pid(plan->ctx, pid, &from);
	} else {
		struct cgm_placement *p;

		err = cgm_placement_read_pid(plan->ctx, pid, &p);
		if (!err) {
			cgm_placement_allowed(p, &from);
			cgm_placement_free(p);
		}
	}
	if (!err) {
		note_unreadable(plan, one);
		nodemap_make(plan->ctx, &item->map, &from, &item->to, dest, plan->nodes);
		add_flows(plan, item, one, &from, dest);
		cgm_nodeset_or(&item->from, &item->from, &from);
		err = placement_merge(item->before, one);
	}
	item->before->seen += one->seen;
	cgm_placement_free(one);
	return err;
}

/* Before it takes a while to look at each: later another may have the number of one. */
static int read_starts(struct cgm_plan *plan, struct plan_item *item)
{
	for (size_t i = 0; i < item->pid_count; i++) {
		int err = thread_start(plan->ctx, item->pids[i], &item->starts[i]);

		if (is_shortage(err))
			return cgm_fail(plan->ctx, err, "%d: cannot read when it began: %s",
					item->pids[i], strerror(-err));
	}
	return 0;
}

/* Add up what they have. Those that have exited are dropped, unless all have. */
static int add_each_pid(struct cgm_plan *plan, struct plan_item *item)
{
	size_t kept = 0;
	int err = 0;

	for (size_t i = 0; i < item->pid_count; i++) {
		err = add_pid(plan, item, item->pids[i]);
		if (err && err != -ESRCH)
			return err;
		if (err)
			continue;
		item->pids[kept] = item->pids[i];
		item->starts[kept++] = item->starts[i];
	}
	if (!kept && err)
		return err;
	item->pid_count = kept;
	item->processes = kept;
	return 0;
}

static int add_pids(struct cgm_plan *plan, struct plan_item *item,
		    const struct cgm_move *move)
{
	struct cgm_context *ctx = plan->ctx;
	int err;

	if (!move->pid_count)
		return cgm_fail(ctx, EINVAL, "no process named");
	item->pids = malloc(move->pid_count * sizeof(*item->pids));
	item->starts = calloc(move->pid_count, sizeof(*item->starts));
	item->before = placement_new(ctx);
	if (!item->pids || !item->starts || !item->before)
		return cgm_fail(ctx, ENOMEM, "out of memory");
	memcpy(item->pids, move->pids, move->pid_count * sizeof(*item->pids));
	item->pid_count = move->pid_count;
	item->processes = move->pid_count;
	err = read_starts(plan, item);
	if (item->action == CGM_ACTION_ATTACH) {
		if (HAS_MEMBER(move, source) && move->source)
			item->source = cgm_group_ref(move->source);
		if (!err)
			err = cgm_group_effective_mems(item->group, &item->to);
		if (!err)
			err = plan_check_attach(plan, item);
	} else {
		item->to = move->to;
		item->change = true;
		plan_check_memory_nodes(plan, item);
	}
	if (!err)
		err = add_each_pid(plan, item);
	item->before->source = CGM_SOURCE_MAPPED;
	item->before->allowed = item->from;
	if (!err && item->action == CGM_ACTION_ATTACH)
		plan_note_policies(plan, item);
	if (!err && item->action == CGM_ACTION_PAGES) {
		place(plan, item);
		err = plan_check_map(plan, item);
	}
	if (!err)
		plan_check_caller(plan, item);
	return err;
}

CGM_PUBLIC int cgm_plan_add(struct cgm_plan *plan, const struct cgm_move *move)
{
	struct cgm_context *ctx = plan->ctx;
	struct plan_item *item, **more;
	int err;

	if (!HAS_MEMBER(move, pid_count) || plan->checked)
		return cgm_fail(ctx, EINVAL, "a plan that was checked takes no more moves");
	if (!move->group != (move->action == CGM_ACTION_PAGES))
		return cgm_fail(ctx, EINVAL, "this action needs %s cgroup",
				move->group ? "no" : "a");
	if (HAS_MEMBER(move, cache) && move->cache > CGM_CACHE_LEAVE)
		return cgm_fail(ctx, EINVAL, "impossible choice for page cache");
	if (HAS_MEMBER(move, cache) && move->cache != CGM_CACHE_MOVE &&
	    move->action != CGM_ACTION_MEMS && move->action != CGM_ACTION_SETTLE)
		return cgm_fail(ctx, EINVAL, "this action leaves page cache alone");
	item = calloc(1, sizeof(*item));
	more = realloc(plan->items, (plan->count + 1) * sizeof(*more));
	if (more)
		plan->items = more;
	if (item) {
		item->flows = calloc((size_t)plan->nodes * plan->nodes,
				     sizeof(*item->flows));
		item->dest = calloc(plan->nodes, sizeof(*item->dest));
	}
	if (!item || !more || !item->flows || !item->dest ||
	    nodemap_init(&item->map, move)) {
		item_free(item);
		return cgm_fail(ctx, ENOMEM, "out of memory");
	}
	item->action = move->action;
	item->backend = CGM_BACKEND_MOVE_PAGES;
	item->cache = HAS_MEMBER(move, cache) ? move->cache : CGM_CACHE_MOVE;
	if (move->group) {
		item->group = cgm_group_ref(move->group);
		item->backend = group_backend(move->group);
	}
	if (move->action == CGM_ACTION_MEMS || move->action == CGM_ACTION_SETTLE)
		err = add_group(plan, item, move);
	else
		err = add_pids(plan, item, move);
	if (err) {
		item_free(item);
		return err;
	}
	plan->items[plan->count++] = item;
	return 0;
}

CGM_PUBLIC size_t cgm_plan_size(const struct cgm_plan *plan)
{
	return plan->count;
}

CGM_PUBLIC int cgm_plan_item(const struct cgm_plan *plan, size_t index,
			     struct cgm_plan_item *out)
{
	const struct plan_item *item;
	struct cgm_plan_item all;

	if (index >= plan->count)
		return -ENOENT;
	item = plan->items[index];
	all = (struct cgm_plan_item){
		.action = item->action,
		.backend = item->backend,
		.group = item->group,
		.pids = item->pids,
		.pid_count = item->pid_count,
		.from = item->from,
		.to = item->to,
		.processes = item->processes,
		.bytes = item->bytes,
		.stray = item->stray,
		.change = item->change,
		.before = item->before,
		.cache = item->cache,
		.cache_bytes = item->cache_bytes,
		.starts = item->starts,
	};
	return FILL(out, &all);
}

/* The index-th move, if it is one that says what goes where. NULL: it is not. */
static const struct plan_item *mapped_item(const struct cgm_plan *plan, size_t index)
{
	const struct plan_item *item = index < plan->count ? plan->items[index] : NULL;

	if (!item || (item->action != CGM_ACTION_MEMS && item->action != CGM_ACTION_PAGES))
		return NULL;
	return item;
}

CGM_PUBLIC int cgm_plan_map(const struct cgm_plan *plan, size_t index,
			    struct cgm_plan_map *out)
{
	const struct plan_item *item = mapped_item(plan, index);

	struct cgm_plan_map all;

	if (!item)
		return index < plan->count ? -EOPNOTSUPP : -ENOENT;
	all = (struct cgm_plan_map){
		.rule = item->map.rule,
		.named = item->map.named,
		.only = item->map.only,
	};
	return FILL(out, &all);
}

CGM_PUBLIC int cgm_plan_destination(const struct cgm_plan *plan, size_t index, int node)
{
	const struct plan_item *item = mapped_item(plan, index);

	return item && node >= 0 && node < plan->nodes ? item->dest[node] : -1;
}

CGM_PUBLIC uint64_t cgm_plan_bytes(const struct cgm_plan *plan, size_t index, int from,
				   int to)
{
	if (index >= plan->count || from < 0 || to < 0 || from >= plan->nodes ||
	    to >= plan->nodes)
		return 0;
	return plan->items[index]->flows[from * plan->nodes + to];
}

CGM_PUBLIC int cgm_plan_node(const struct cgm_plan *plan, int node,
			     struct cgm_plan_node *out)
{
	if (!plan->rooms || node < 0 || node >= plan->nodes ||
	    !plan_node_used(&plan->rooms[node]))
		return -ENOENT;
	return FILL(out, &plan->rooms[node]);
}

CGM_PUBLIC const char *cgm_plan_note(const struct cgm_plan *plan, size_t index,
				     enum cgm_severity *severity)
{
	if (index >= plan->notes.count)
		return NULL;
	if (severity)
		*severity = plan->notes.list[index].severity;
	return plan->notes.list[index].text;
}
