// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What stands in the way of a plan: masks the kernel would not take, missing
 * permission, other writers, and room on the nodes. Findings are remarks; a
 * refusal among them keeps the plan from starting.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "group.h"
#include "numa.h"
#include "plan.h"
#include "unit.h"

static void minus(cgm_nodeset *out, const cgm_nodeset *a, const cgm_nodeset *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(out->bits); i++)
		out->bits[i] = a->bits[i] & ~b->bits[i];
}

static const char *item_name(const struct plan_item *item, char *buf, size_t size)
{
	if (item->group)
		return item->group->path;
	snprintf(buf, size, "%d", item->pids[0]);
	return buf;
}

/* May we write this file? On a recorded tree the question makes no sense. */
void plan_check_access(struct cgm_plan *plan, struct plan_item *item, const char *file)
{
	if (plan->ctx->recorded || !faccessat(item->group->dirfd, file, W_OK, AT_EACCESS))
		return;
	notes_add(&plan->notes, CGM_REFUSAL,
		  "%s: no permission to write %s: become root, or have the cgroup delegated to you",
		  item->group->path, file);
}

/*
 * A cgroup without the files of a cpuset; systemd gives one to its units.
 * Returns whether that will do.
 */
static bool check_missing_cpuset(struct cgm_plan *plan, struct plan_item *item)
{
	char unit[256];

	if (!unit_of(item->group, unit, sizeof(unit))) {
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: has no cpuset: its parent's cgroup.subtree_control lacks \"cpuset\"",
			  item->group->path);
		return false;
	}
	item->enable = true;
	item->backend = plan->ctx->features.backend;
	plan_check_access(plan, item, "cgroup.procs");
	return true;
}

void plan_check_memory_nodes(struct cgm_plan *plan, struct plan_item *item)
{
	char name[32], buf[256], have[256];
	cgm_nodeset bad;

	minus(&bad, &item->to, &plan->ctx->features.memory);
	if (cgm_nodeset_weight(&bad))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: node %s has no memory here; nodes with memory are %s",
			  item_name(item, name, sizeof(name)),
			  nodes_name(&bad, buf, sizeof(buf)),
			  nodes_name(&plan->ctx->features.memory, have, sizeof(have)));
	else if (!cgm_nodeset_weight(&item->to))	/* v2 has those of its parent */
		notes_add(&plan->notes, CGM_REFUSAL, "%s: no node to move to",
			  item_name(item, name, sizeof(name)));
}

static int parent_nodes(struct cgm_group *group, cgm_nodeset *nodes)
{
	struct cgm_group *parent;
	int err = group_parent(group, &parent);

	if (err)
		return err;
	err = cgm_group_effective_mems(parent, nodes);
	cgm_group_unref(parent);
	return err;
}

static int check_parent(struct cgm_plan *plan, struct plan_item *item)
{
	struct cgm_group *parent;
	cgm_nodeset allowed, bad;
	char buf[256], have[256];
	int err = group_parent(item->group, &parent);

	if (err)
		return err;
	err = cgm_group_effective_mems(parent, &allowed);
	if (!err) {
		minus(&bad, &item->to, &allowed);
		if (cgm_nodeset_weight(&bad))
			notes_add(&plan->notes, CGM_REFUSAL,
				  "%s: node %s is not allowed by its parent %s, which has %s: widen that first",
				  item->group->path, nodes_name(&bad, buf, sizeof(buf)),
				  parent->path, nodes_name(&allowed, have, sizeof(have)));
	}
	cgm_group_unref(parent);
	return err;
}

struct child_check {
	struct cgm_plan *plan;
	struct plan_item *item;
};

/* Descendants with a mask of their own. */
static int check_child(struct cgm_group *child, void *data)
{
	struct child_check *check = data;
	struct plan_item *item = check->item;
	cgm_nodeset mems, both;
	char buf[256], to[256];

	if (!strcmp(child->path, item->group->path) || !cgm_group_has_cpuset(child) ||
	    cgm_group_mems(child, &mems) || !cgm_nodeset_weight(&mems))
		return 0;
	nodes_name(&mems, buf, sizeof(buf));
	nodes_name(&item->to, to, sizeof(to));
	if (child->ctx->cpuset.version == 1) {
		if (!cgm_nodeset_subset(&mems, &item->to))
			notes_add(&check->plan->notes, CGM_REFUSAL,
				  "%s: its child %s has nodes %s; on cgroup v1 they have to be among %s: change the child first",
				  item->group->path, child->path, buf, to);
		return 0;
	}
	if (!nodemap_plain(&item->map))
		notes_add(&check->plan->notes, CGM_WARNING,
			  "%s: has nodes of its own (%s), and the kernel moves what leaves them by relative place",
			  child->path, buf);
	cgm_nodeset_and(&both, &mems, &item->to);
	if (!cgm_nodeset_weight(&both))
		notes_add(&check->plan->notes, CGM_WARNING,
			  "%s: has nodes %s of its own, none of them in %s: it will use %s as long as that is so",
			  child->path, buf, to, to);
	return 0;
}

/* A change of cpuset.mems. Errors are those of reading. */
int plan_check_mems(struct cgm_plan *plan, struct plan_item *item)
{
	struct child_check check = { plan, item };
	struct cgm_group *group = item->group;
	int err;

	if (!strcmp(group->path, "/")) {
		notes_add(&plan->notes, CGM_REFUSAL, "%s", group_root_text(group));
		return 0;
	}
	if (!cgm_group_has_cpuset(group) && !check_missing_cpuset(plan, item))
		return 0;
	if (item->backend == CGM_BACKEND_NONE)
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: this kernel has neither the engine nor move_pages(2)",
			  group->path);
	err = item->enable ? 0 : cgm_group_mems(group, &item->configured);
	if (err)
		return err;
	item->written = item->to;
	item->change = !cgm_nodeset_equal(&item->configured, &item->to);
	unit_check(plan, item);
	if (plan->ctx->cpuset.version == 2 && !cgm_nodeset_weight(&item->to)) {
		err = parent_nodes(group, &item->to);
		if (err)
			return err;
	}
	plan_check_memory_nodes(plan, item);
	if (!item->change)
		return 0;
	err = check_parent(plan, item);
	if (!err)
		err = cgm_group_walk(group, check_child, &check);
	if (err)
		return err;
	if (!item->enable)
		plan_check_access(plan, item, "cpuset.mems");
	return 0;
}

/* ---- what goes where ---- */

/* Can memory be on this node? It is one of the present ones, or some is there. */
static bool may_leave(const struct plan_item *item, int node)
{
	return cgm_nodeset_has(&item->from, node) ||
	       cgm_placement_bytes(item->before, CGM_KIND_MOVABLE, node);
}

static void check_pairs(struct cgm_plan *plan, const struct plan_item *item)
{
	char name[32], list[256];

	for (size_t i = 0; i < item->map.count; i++) {
		const struct cgm_node_pair *pair = &item->map.pairs[i];

		if (!may_leave(item, pair->from))
			notes_add(&plan->notes, CGM_REFUSAL,
				  "%s: map %d:%d: node %d is not one of its nodes (%s) and has none of its memory",
				  item_name(item, name, sizeof(name)), pair->from,
				  pair->to, pair->from,
				  nodes_name(&item->from, list, sizeof(list)));
		else if (!cgm_nodeset_has(&item->to, pair->to))
			notes_add(&plan->notes, CGM_REFUSAL,
				  "%s: map %d:%d: node %d is not one of the nodes it is to have (%s)",
				  item_name(item, name, sizeof(name)), pair->from,
				  pair->to, pair->to,
				  nodes_name(&item->to, list, sizeof(list)));
	}
}

/* What is not to leave its node has to be allowed there. */
static void check_only(struct cgm_plan *plan, const struct plan_item *item)
{
	const cgm_nodeset *only = &item->map.only;
	char name[32], list[256], to[256];
	cgm_nodeset out;

	if (!cgm_nodeset_weight(only))
		return;
	for (int n = cgm_nodeset_next(only, -1); n >= 0; n = cgm_nodeset_next(only, n))
		if (!may_leave(item, n))
			notes_add(&plan->notes, CGM_REFUSAL,
				  "%s: from %d: node %d is not one of its nodes (%s) and has none of its memory",
				  item_name(item, name, sizeof(name)), n, n,
				  nodes_name(&item->from, list, sizeof(list)));
	minus(&out, &item->from, only);
	minus(&out, &out, &item->to);
	if (cgm_nodeset_weight(&out))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: node %s is not among those to leave, nor among those it is to have (%s)",
			  item_name(item, name, sizeof(name)),
			  nodes_name(&out, list, sizeof(list)),
			  nodes_name(&item->to, to, sizeof(to)));
}

/*
 * The kernel's engine brings in what is outside whenever the nodes change, so a
 * node outside that is to be left for one that was named has to be allowed first.
 */
static int check_engine_strays(struct cgm_plan *plan, struct plan_item *item)
{
	cgm_nodeset allowed, bad;
	char list[256], have[256];
	int err;

	if (item->backend != CGM_BACKEND_ENGINE_V2 && item->backend != CGM_BACKEND_ENGINE_V1)
		return 0;
	cgm_nodeset_or(&item->wide, &item->wide, &item->map.named);
	err = parent_nodes(item->group, &allowed);
	if (err)
		return err;
	minus(&bad, &item->wide, &allowed);
	if (cgm_nodeset_weight(&bad))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: memory on node %s cannot be placed: its parent has %s, and the kernel brings in what is elsewhere",
			  item->group->path, nodes_name(&bad, list, sizeof(list)),
			  nodes_name(&allowed, have, sizeof(have)));
	return 0;
}

/*
 * Where a move says what goes where, and that is not what the kernel does: is it
 * possible? Then it is us who move, whatever the kernel.
 */
int plan_check_map(struct cgm_plan *plan, struct plan_item *item)
{
	int err = 0;

	cgm_nodeset_or(&item->wide, &item->from, &item->to);
	check_pairs(plan, item);
	check_only(plan, item);
	if (!item->placed || !item->group)
		return 0;
	if (strcmp(item->group->path, "/"))
		err = check_engine_strays(plan, item);
	item->backend = item->group->ctx->cpuset.version == 1 ? CGM_BACKEND_STOCK_V1 :
								CGM_BACKEND_STOCK_V2;
	if (!(plan->ctx->features.flags & CGM_FEATURE_MOVE_PAGES))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: this kernel has no move_pages(2), so its memory goes where the kernel puts it",
			  item->group->path);
	return err;
}

/* Is a cgroup the other one or above it? */
static bool is_above(const char *path, const char *other)
{
	size_t len = strlen(path);

	return !strcmp(path, "/") ||
	       (!strncmp(path, other, len) && (!other[len] || other[len] == '/'));
}

/*
 * On v2 who moves a process has to be allowed to write to the nearest cgroup that is
 * above where it is and where it goes, too.
 */
static int check_ancestor(struct cgm_plan *plan, struct plan_item *item,
			  const struct cgm_group *now)
{
	struct cgm_group *group = cgm_group_ref(item->group), *parent;
	int err = 0;

	while (!is_above(group->path, now->path)) {
		err = group_parent(group, &parent);
		if (err)
			break;
		cgm_group_unref(group);
		group = parent;
	}
	if (!err && strcmp(group->path, item->group->path) &&
	    !plan->ctx->recorded &&
	    faccessat(group->dirfd, "cgroup.procs", W_OK, AT_EACCESS))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: no permission to write %s/cgroup.procs, which is above both %s and %s: become root, or have that cgroup delegated to you",
			  item->group->path, strcmp(group->path, "/") ? group->path : "",
			  now->path, item->group->path);
	cgm_group_unref(group);
	return err;
}

/*
 * Processes into a cgroup: those that are there already are dropped, and those that have
 * exited, unless all have.
 */
int plan_check_attach(struct cgm_plan *plan, struct plan_item *item)
{
	struct cgm_group *group = item->group;
	size_t kept = 0, gone = 0;
	char *text;

	for (size_t i = 0; i < item->pid_count; i++) {
		struct cgm_group *now;
		int err = cgm_group_open_pid(plan->ctx, item->pids[i], &now);

		if (err == -ESRCH && ++gone < item->pid_count)
			continue;
		if (err)
			return err;
		if (strcmp(now->path, group->path)) {
			item->pids[kept++] = item->pids[i];
			if (group->ctx->cpuset.version == 2)
				err = check_ancestor(plan, item, now);
		}
		cgm_group_unref(now);
		if (err)
			return err;
	}
	item->pid_count = kept;
	item->processes = kept;
	item->change = kept > 0;
	if (!kept)
		return 0;
	if (!cgm_nodeset_weight(&item->to))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: has no nodes yet: set its cpuset.mems first", group->path);
	if (group->ctx->cpuset.version == 1) {
		text = fs_read_at(group->dirfd, "cpuset.cpus", NULL);
		if (text && (!*text || *text == '\n'))
			notes_add(&plan->notes, CGM_REFUSAL,
				  "%s: has no CPUs yet: set its cpuset.cpus first",
				  group->path);
		free(text);
	}
	plan_check_access(plan, item, "cgroup.procs");
	return 0;
}

/* ---- who moves ---- */

/* A caller that goes there itself has the nodes when it begins to move. */
static bool caller_is_among(const struct plan_item *item)
{
	for (size_t i = 0; item->action == CGM_ACTION_ATTACH && i < item->pid_count; i++)
		if (item->pids[i] == getpid())
			return true;
	return false;
}

/* The nodes something is to go to. */
static cgm_nodeset destinations(const struct cgm_plan *plan, const struct plan_item *item)
{
	cgm_nodeset set = { 0 };

	for (int from = 0; from < plan->nodes; from++)
		for (int to = 0; to < plan->nodes; to++)
			if (item->flows[from * plan->nodes + to])
				cgm_nodeset_add(&set, to);
	return set;
}

static void refuse_caller(struct cgm_plan *plan, const struct plan_item *item,
			  const cgm_nodeset *need)
{
	const cgm_nodeset *own = &plan->ctx->features.own;
	char name[32], to[256], may[256];

	if (!cgm_nodeset_subset(need, own))
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: it is the caller who moves this memory to nodes %s, and the caller may use nodes %s only: call from a cpuset that has them all",
			  item_name(item, name, sizeof(name)),
			  nodes_name(need, to, sizeof(to)),
			  nodes_name(own, may, sizeof(may)));
}

/* The kernel's own move is not bound by who asks for it. */
static void leave_to_kernel(struct cgm_plan *plan, struct plan_item *item)
{
	char to[256], may[256];

	nodes_name(&item->to, to, sizeof(to));
	nodes_name(&plan->ctx->features.own, may, sizeof(may));
	if (!group_kernel_moves(item->group)) {
		notes_add(&plan->notes, CGM_REFUSAL,
			  "%s: the caller may use nodes %s only and cannot move memory to nodes %s, and the kernel does not: its cpuset.memory_migrate is 0",
			  item->group->path, may, to);
		return;
	}
	item->by_kernel = true;
	notes_add(&plan->notes, CGM_WARNING,
		  "%s: the caller may use nodes %s only, so the kernel moves the memory to nodes %s, in one go and with no bound on stalls",
		  item->group->path, may, to);
}

/*
 * Who moves pages allocates the new ones, and can do that on its own nodes only. A
 * process has all nodes where the kernel knows no cpusets and so shows none.
 */
void plan_check_caller(struct cgm_plan *plan, struct plan_item *item)
{
	const cgm_nodeset *own = &plan->ctx->features.own;
	cgm_nodeset need;

	if (!cgm_nodeset_weight(own) || !item->bytes || !item->change ||
	    cgm_nodeset_subset(&item->to, own) || item->backend == CGM_BACKEND_ENGINE_V2 ||
	    item->backend == CGM_BACKEND_ENGINE_V1 || caller_is_among(item))
		return;
	need = item->placed ? item->to : destinations(plan, item);
	if (item->placed || item->action == CGM_ACTION_SETTLE ||
	    item->action == CGM_ACTION_PAGES)
		refuse_caller(plan, item, &need);
	else
		leave_to_kernel(plan, item);
}

/* ---- room ---- */

/* Huge pages come from pools, not from free memory. */
static void sum_huge(struct cgm_plan *plan, const struct plan_item *item)
{
	const struct cgm_placement *p = item->before;

	for (size_t h = 0; p && h < p->huge_count; h++) {
		uint64_t size = p->huge[h].page_size;

		for (int to = 0; to < plan->nodes; to++) {
			uint64_t need = 0, have;

			for (int from = 0; from < plan->nodes; from++)
				if (item->flows[from * plan->nodes + to])
					need += p->huge[h].pages[from];
			if (!need)
				continue;
			plan->rooms[to].huge_incoming += need * size;
			if (need * size < plan->rooms[to].incoming)
				plan->rooms[to].incoming -= need * size;
			else
				plan->rooms[to].incoming = 0;
			have = numa_hugetlb_free(plan->ctx, to, size);
			if (need > have)
				plan->rooms[to].huge_short += (need - have) * size;
		}
	}
}

/* What leaves a pool makes room in the pool only. */
static void sum_freed(struct cgm_plan *plan, const struct plan_item *item)
{
	for (int from = 0; from < plan->nodes; from++) {
		uint64_t leaves = 0, huge;

		for (int to = 0; to < plan->nodes; to++)
			leaves += item->flows[from * plan->nodes + to];
		huge = cgm_placement_bytes(item->before, CGM_KIND_HUGETLB, from);
		plan->rooms[from].outgoing += leaves;
		plan->freed[from] += leaves > huge ? leaves - huge : 0;
	}
}

/* Does anything go to this node or leave it? */
bool plan_node_used(const struct cgm_plan_node *node)
{
	return node->incoming || node->outgoing || node->huge_incoming;
}

/* May pages come here if they find no room elsewhere? */
static bool is_destination(const struct cgm_plan *plan, int node)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->items[i]->bytes && cgm_nodeset_has(&plan->items[i]->to, node))
			return true;
	return false;
}

static int sum_rooms(struct cgm_plan *plan)
{
	struct node_room room;

	for (size_t i = 0; i < plan->count; i++) {
		const uint64_t *flows = plan->items[i]->flows;

		for (int from = 0; from < plan->nodes; from++)
			for (int to = 0; to < plan->nodes; to++)
				plan->rooms[to].incoming += flows[from * plan->nodes + to];
		sum_freed(plan, plan->items[i]);
		sum_huge(plan, plan->items[i]);
	}
	for (int n = 0; n < plan->nodes; n++) {
		int err;

		if (!plan_node_used(&plan->rooms[n]) && !is_destination(plan, n))
			continue;
		err = numa_room(plan->ctx, n, &room);
		if (err)
			return err;
		plan->rooms[n].free = room.free;
		plan->rooms[n].low = room.low;
		plan->rooms[n].reclaimable = room.reclaimable;
	}
	return 0;
}

static uint64_t room_of(const struct cgm_plan_node *n)
{
	return n->free > n->low ? n->free - n->low : 0;
}

/* What a plan asks of the nodes of one set together. */
static void judge_set(struct cgm_plan *plan, const cgm_nodeset *set)
{
	uint64_t need = 0, room = 0, reclaimable = 0;
	char nodes[256], a[32], b[32], c[32];

	for (int n = 0; n < plan->nodes; n++) {
		const struct cgm_plan_node *r = &plan->rooms[n];

		if (!cgm_nodeset_has(set, n))
			continue;
		need += r->incoming;
		room += room_of(r) + plan->freed[n];
		reclaimable += r->reclaimable;
	}
	if (need <= room)
		return;
	nodes_name(set, nodes, sizeof(nodes));
	size_name(need, a, sizeof(a));
	size_name(room, b, sizeof(b));
	if (need <= room + reclaimable) {
		notes_add(&plan->notes, CGM_WARNING,
			  "nodes %s: %s are to come, there is room for %s above the low watermarks; page cache has to make room",
			  nodes, a, b);
		return;
	}
	notes_add(&plan->notes, CGM_REFUSAL,
		  "no room on nodes %s: %s are to come, there is room for %s above the low watermarks, and %s of page cache to reclaim",
		  nodes, a, b, size_name(reclaimable, c, sizeof(c)));
}

/* What was named has no other node to go to. */
static void judge_named(struct cgm_plan *plan, const struct plan_item *item)
{
	cgm_nodeset seen = { 0 };

	for (size_t i = 0; i < item->map.count; i++) {
		cgm_nodeset one = { 0 };

		cgm_nodeset_add(&one, item->map.pairs[i].to);
		if (cgm_nodeset_subset(&one, &seen) || cgm_nodeset_equal(&one, &item->to))
			continue;
		cgm_nodeset_or(&seen, &seen, &one);
		judge_set(plan, &one);
	}
}

/*
 * Pages that find no room on their own node may go to another of the new set,
 * so only the sum over a set decides. Clean page cache makes room, at a price.
 * Refusals for want of room come last, so that they can be left out.
 */
static void judge_room(struct cgm_plan *plan)
{
	char a[32], b[32];

	for (int n = 0; n < plan->nodes; n++) {
		const struct cgm_plan_node *r = &plan->rooms[n];

		if (r->huge_short)
			notes_add(&plan->notes, CGM_WARNING,
				  "node %d: %s of huge pages find no free page in its pool and may stay",
				  n, size_name(r->huge_short, a, sizeof(a)));
		if (r->incoming > room_of(r) + plan->freed[n])
			notes_add(&plan->notes, CGM_NOTE,
				  "node %d: has room for %s above its low watermark, %s are to come",
				  n, size_name(room_of(r) + plan->freed[n], a, sizeof(a)),
				  size_name(r->incoming, b, sizeof(b)));
	}
	plan->room_notes = plan->notes.count;
	for (size_t i = 0; i < plan->count; i++) {
		judge_set(plan, &plan->items[i]->to);
		judge_named(plan, plan->items[i]);
	}
}

static int new_rooms(struct cgm_plan *plan)
{
	plan->rooms = calloc(plan->nodes, sizeof(*plan->rooms));
	plan->freed = calloc(plan->nodes, sizeof(*plan->freed));
	if (!plan->rooms || !plan->freed)
		return cgm_fail(plan->ctx, ENOMEM, "out of memory");
	for (int n = 0; n < plan->nodes; n++) {
		plan->rooms[n].size = sizeof(plan->rooms[n]);
		plan->rooms[n].node = n;
	}
	return 0;
}

CGM_PUBLIC int cgm_plan_check(struct cgm_plan *plan)
{
	int err;

	if (plan->checked)
		return 0;
	err = new_rooms(plan);
	if (!err)
		err = sum_rooms(plan);
	if (!err)
		judge_room(plan);
	if (!err && plan->notes.lost)
		err = cgm_fail(plan->ctx, ENOMEM, "out of memory");
	if (err) {
		free(plan->rooms);
		free(plan->freed);
		plan->rooms = NULL;
		plan->freed = NULL;
		return err;
	}
	plan->checked = true;
	return 0;
}

CGM_PUBLIC const char *cgm_plan_refusal(const struct cgm_plan *plan, unsigned int flags)
{
	size_t count = flags & CGM_JOB_FORCE ? plan->room_notes : plan->notes.count;

	for (size_t i = 0; i < count; i++)
		if (plan->notes.list[i].severity == CGM_REFUSAL)
			return plan->notes.list[i].text;
	return NULL;
}
