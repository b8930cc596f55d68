// SPDX-License-Identifier: LGPL-2.1-or-later
/* Schedules of real cgroups: what schedule.c decides on, read from the system. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "group.h"
#include "numa.h"
#include "placement.h"
#include "schedule.h"

#define LEAST_ROOM (8ULL << 20)

#define NO_INDEX SIZE_MAX

struct target {
	struct cgm_group *group;
	cgm_nodeset to;
	size_t index;		/* among the groups of the schedule, or NO_INDEX */
};

struct cgm_schedule {
	struct cgm_context *ctx;
	struct target *targets;
	size_t target_count;
	struct schedule s;
	struct cgm_group **groups;	/* of s.groups */
	struct cgm_placement **placements;
	uint64_t *huge_sizes;		/* of kinds from 1 on */
	uint64_t *own;			/* bytes of groups at first */
	int64_t *before;		/* room at first */
	int64_t *cache;			/* what page cache could add */
	struct notes notes;
	bool made;
};

CGM_PUBLIC int cgm_schedule_new(struct cgm_context *ctx, struct cgm_schedule **out)
{
	struct cgm_schedule *schedule = calloc(1, sizeof(*schedule));

	*out = schedule;
	if (!schedule)
		return cgm_fail(ctx, ENOMEM, "out of memory");
	schedule->ctx = ctx;
	return 0;
}

CGM_PUBLIC void cgm_schedule_free(struct cgm_schedule *schedule)
{
	if (!schedule)
		return;
	for (size_t i = 0; i < schedule->target_count; i++)
		cgm_group_unref(schedule->targets[i].group);
	for (size_t g = 0; g < schedule->s.count; g++) {
		cgm_group_unref(schedule->groups[g]);
		cgm_placement_free(schedule->placements[g]);
	}
	free(schedule->targets);
	free(schedule->groups);
	free(schedule->placements);
	free(schedule->huge_sizes);
	free(schedule->own);
	free(schedule->before);
	free(schedule->cache);
	free(schedule->s.groups);
	free(schedule->s.room);
	free(schedule->s.least);
	free(schedule->s.steps);
	notes_free(&schedule->notes);
	free(schedule);
}

static int check_target(struct cgm_schedule *schedule, struct cgm_group *group,
			const cgm_nodeset *to)
{
	struct cgm_context *ctx = schedule->ctx;
	char buf[256], have[256];

	if (!strcmp(group->path, "/"))
		return cgm_fail(ctx, EINVAL, "%s", group_root_text(group));
	if (!cgm_group_has_cpuset(group))
		return cgm_fail(ctx, EINVAL,
				"%s: has no cpuset: its parent's cgroup.subtree_control lacks \"cpuset\"",
				group->path);
	if (!cgm_nodeset_weight(to) && ctx->cpuset.version == 1)
		return cgm_fail(ctx, EINVAL, "%s: on cgroup v1 it has to have nodes",
				group->path);
	if (!cgm_nodeset_subset(to, &ctx->features.memory))
		return cgm_fail(ctx, EINVAL,
				"%s: not all of nodes %s have memory here; nodes with memory are %s",
				group->path, nodes_name(to, buf, sizeof(buf)),
				nodes_name(&ctx->features.memory, have, sizeof(have)));
	for (size_t i = 0; i < schedule->target_count; i++)
		if (!strcmp(schedule->targets[i].group->path, group->path))
			return cgm_fail(ctx, EINVAL, "%s: named twice", group->path);
	return 0;
}

CGM_PUBLIC int cgm_schedule_add(struct cgm_schedule *schedule, struct cgm_group *group,
				const cgm_nodeset *to)
{
	struct target *more;
	int err = schedule->made ? -EINVAL : check_target(schedule, group, to);

	if (err)
		return err;
	more = realloc(schedule->targets, (schedule->target_count + 1) * sizeof(*more));
	if (!more)
		return cgm_fail(schedule->ctx, ENOMEM, "out of memory");
	schedule->targets = more;
	more[schedule->target_count++] = (struct target){ cgm_group_ref(group), *to, NO_INDEX };
	return 0;
}

/* ---- cgroups ---- */

static bool is_below(const char *path, const char *above)
{
	size_t len = strlen(above);

	return !strncmp(path, above, len) && path[len] == '/';
}

static struct target *target_of(struct cgm_schedule *schedule, const char *path)
{
	for (size_t i = 0; i < schedule->target_count; i++)
		if (!strcmp(schedule->targets[i].group->path, path))
			return &schedule->targets[i];
	return NULL;
}

static int find_parent(const struct cgm_schedule *schedule, const char *path)
{
	int g;

	for (g = (int)schedule->s.count - 1; g >= 0; g--)
		if (is_below(path, schedule->groups[g]->path))
			break;
	return g;
}

/* Room for one more, in all arrays. */
static int grow(struct cgm_schedule *schedule)
{
	size_t count = schedule->s.count + 1;
	struct sched_group *groups = realloc(schedule->s.groups, count * sizeof(*groups));
	struct cgm_group **refs;
	struct cgm_placement **placements;

	if (groups)
		schedule->s.groups = groups;
	refs = realloc(schedule->groups, count * sizeof(struct cgm_group *));
	if (refs)
		schedule->groups = refs;
	placements = realloc(schedule->placements, count * sizeof(*placements));
	if (placements)
		schedule->placements = placements;
	if (!groups || !refs || !placements)
		return cgm_fail(schedule->ctx, ENOMEM, "out of memory");
	return 0;
}

static int outer_nodes(struct cgm_group *group, cgm_nodeset *outer)
{
	struct cgm_group *parent;
	int err = group_parent(group, &parent);

	if (err)
		return err;
	err = cgm_group_effective_mems(parent, outer);
	cgm_group_unref(parent);
	return err;
}

static int add_group(struct cgm_schedule *schedule, struct cgm_group *group,
		     const cgm_nodeset *now, struct target *target)
{
	struct sched_group *g;
	struct cgm_placement *placement;
	int err = cgm_placement_read(group, 0, &placement);

	if (!err)
		err = grow(schedule);
	if (err) {
		cgm_placement_free(placement);
		return err;
	}
	g = &schedule->s.groups[schedule->s.count];
	*g = (struct sched_group){
		.parent = find_parent(schedule, group->path),
		.now = *now,
		.wanted = target ? target->to : *now,
	};
	schedule->groups[schedule->s.count] = cgm_group_ref(group);
	schedule->placements[schedule->s.count] = placement;
	if (target)
		target->index = schedule->s.count;
	schedule->s.count++;
	return g->parent < 0 ? outer_nodes(group, &g->outer) : 0;
}

/* Cgroups that are named, or have nodes of their own below one that is. */
static int consider(struct cgm_group *group, void *data)
{
	struct cgm_schedule *schedule = data;
	struct target *target = target_of(schedule, group->path);
	cgm_nodeset now;
	int err;

	if (!target && !cgm_group_has_cpuset(group))
		return 0;
	err = cgm_group_mems(group, &now);
	if (err || (!target && !cgm_nodeset_weight(&now)))
		return err == -ENOENT || err == -ENODEV ? 0 : err;
	return add_group(schedule, group, &now, target);
}

static int find_groups(struct cgm_schedule *schedule)
{
	int err = 0;

	for (size_t i = 0; i < schedule->target_count && !err; i++) {
		struct cgm_group *group = schedule->targets[i].group;
		bool inner = false;

		for (size_t k = 0; k < schedule->target_count; k++)
			inner |= is_below(group->path, schedule->targets[k].group->path);
		if (!inner)
			err = cgm_group_walk(group, consider, schedule);
	}
	return err;
}

/* One that is gone by now would have nothing to be told by. */
static int check_found(struct cgm_schedule *schedule)
{
	for (size_t i = 0; i < schedule->target_count; i++)
		if (schedule->targets[i].index == NO_INDEX)
			return cgm_fail(schedule->ctx, ENOENT, "%s: was removed",
					schedule->targets[i].group->path);
	return 0;
}

/* ---- memory ---- */

static int find_huge_sizes(struct cgm_schedule *schedule)
{
	int known = 0;

	for (size_t g = 0; g < schedule->s.count; g++) {
		const struct cgm_placement *p = schedule->placements[g];

		for (size_t h = 0; h < p->huge_count; h++) {
			uint64_t *more, size = p->huge[h].page_size;
			int i;

			for (i = 0; i < known; i++)
				if (schedule->huge_sizes[i] == size)
					break;
			if (i < known)
				continue;
			more = realloc(schedule->huge_sizes, (known + 1) * sizeof(*more));
			if (!more)
				return cgm_fail(schedule->ctx, ENOMEM, "out of memory");
			schedule->huge_sizes = more;
			more[known++] = size;
		}
	}
	schedule->s.kinds = 1 + known;
	return 0;
}

static uint64_t resource_of(const struct cgm_schedule *schedule, size_t g, int resource)
{
	const struct cgm_placement *p = schedule->placements[g];
	int node = resource % schedule->s.nodes, kind = resource / schedule->s.nodes;

	if (!kind)
		return cgm_placement_bytes(p, CGM_KIND_MOVABLE, node) -
		       cgm_placement_bytes(p, CGM_KIND_HUGETLB, node);
	return cgm_placement_hugetlb(p, schedule->huge_sizes[kind - 1], node) *
	       schedule->huge_sizes[kind - 1];
}

/* A cgroup's own memory is what those below it with nodes of their own have not. */
static void find_own_memory(struct cgm_schedule *schedule)
{
	int resources = schedule->s.kinds * schedule->s.nodes;

	for (size_t g = 0; g < schedule->s.count; g++) {
		int p = schedule->s.groups[g].parent;

		for (int r = 0; r < resources; r++) {
			uint64_t bytes = resource_of(schedule, g, r);
			uint64_t *above = p < 0 ? NULL : &schedule->own[p * resources + r];

			schedule->own[g * resources + r] = bytes;
			if (above)
				*above -= bytes < *above ? bytes : *above;
		}
	}
}

static int find_room(struct cgm_schedule *schedule)
{
	const cgm_nodeset *memory = &schedule->ctx->features.memory;
	int nodes = schedule->s.nodes, err;

	for (int n = cgm_nodeset_next(memory, -1); n >= 0 && n < nodes;
	     n = cgm_nodeset_next(memory, n)) {
		struct node_room room;

		err = numa_room(schedule->ctx, n, &room);
		if (err)
			return err;
		schedule->before[n] = (int64_t)room.free - (int64_t)room.low;
		schedule->cache[n] = room.reclaimable;
		for (int k = 1; k < schedule->s.kinds; k++) {
			uint64_t size = schedule->huge_sizes[k - 1];

			schedule->before[k * nodes + n] =
				numa_hugetlb_free(schedule->ctx, n, size) * size;
		}
	}
	return 0;
}

static int nearest(void *data, const cgm_nodeset *set, int node)
{
	return numa_nearest(data, set, node);
}

static int find_memory(struct cgm_schedule *schedule)
{
	struct schedule *s = &schedule->s;
	size_t resources;
	int err, last = 0;

	for (int n = 0; n >= 0; n = cgm_nodeset_next(&schedule->ctx->features.online, n))
		last = n;
	s->nodes = last + 1;
	s->version = schedule->ctx->cpuset.version;
	s->memory = schedule->ctx->features.memory;
	s->nearest = nearest;
	s->data = schedule->ctx;
	err = find_huge_sizes(schedule);
	if (err)
		return err;
	resources = (size_t)s->kinds * s->nodes;
	/* the second half is what schedule_make() works on */
	schedule->own = calloc(2 * s->count * resources + 1, sizeof(*schedule->own));
	schedule->before = calloc(resources, sizeof(*schedule->before));
	schedule->cache = calloc(resources, sizeof(*schedule->cache));
	s->room = calloc(resources, sizeof(*s->room));
	s->least = calloc(s->kinds, sizeof(*s->least));
	if (!schedule->own || !schedule->before || !schedule->cache || !s->room ||
	    !s->least)
		return cgm_fail(schedule->ctx, ENOMEM, "out of memory");
	s->least[0] = LEAST_ROOM;
	for (int k = 1; k < s->kinds; k++)
		s->least[k] = schedule->huge_sizes[k - 1];
	find_own_memory(schedule);
	return find_room(schedule);
}

/* ---- the order ---- */

static enum sched_error try(struct cgm_schedule *schedule, bool cache)
{
	struct schedule *s = &schedule->s;
	size_t resources = (size_t)s->kinds * s->nodes;

	free(s->steps);
	s->steps = NULL;
	s->step_count = 0;
	memcpy(schedule->own + s->count * resources, schedule->own,
	       s->count * resources * sizeof(*schedule->own));
	for (size_t g = 0; g < s->count; g++) {
		s->groups[g].bytes = schedule->own + (s->count + g) * resources;
		s->groups[g].bounced = false;
	}
	for (size_t r = 0; r < resources; r++)
		s->room[r] = schedule->before[r] + (cache ? schedule->cache[r] : 0);
	return schedule_make(s);
}

/* "12.0M on node 2", or "3 huge pages of 2.0M on node 2". */
static void missing_text(const struct cgm_schedule *schedule, char *buf, size_t size)
{
	const struct schedule *s = &schedule->s;
	int kind = s->bad_resource / s->nodes, node = s->bad_resource % s->nodes;
	char bytes[32];

	if (!kind)
		snprintf(buf, size, "%s on node %d", size_name(s->missing, bytes, sizeof(bytes)),
			 node);
	else
		snprintf(buf, size, "%llu huge pages of %s on node %d",
			 (unsigned long long)(s->missing / schedule->huge_sizes[kind - 1]),
			 size_name(schedule->huge_sizes[kind - 1], bytes, sizeof(bytes)),
			 node);
}

static int explain(struct cgm_schedule *schedule, enum sched_error error)
{
	struct schedule *s = &schedule->s;
	const struct sched_group *group = &s->groups[s->bad_group];
	const char *path = schedule->groups[s->bad_group]->path;
	char missing[128], nodes[256];

	nodes_name(&group->wanted, nodes, sizeof(nodes));
	switch (error) {
	case SCHED_INVALID:
		return cgm_fail(schedule->ctx, EINVAL,
				"%s: its parent will not have all of nodes %s: widen that too",
				path, nodes);
	case SCHED_EMPTY:
		return cgm_fail(schedule->ctx, EINVAL,
				"%s: has nodes %s, and its parent will have none of them: give it others too",
				path, nodes);
	case SCHED_NO_ROOM:
		missing_text(schedule, missing, sizeof(missing));
		return cgm_fail(schedule->ctx, ENOSPC,
				"no room: %s too little in the end, page cache counted as free",
				missing);
	case SCHED_STUCK:
		missing_text(schedule, missing, sizeof(missing));
		return cgm_fail(schedule->ctx, ENOSPC,
				"no order works: nothing can start, together or by way of free nodes; %s lacks least, %s",
				path, missing);
	default:
		return cgm_fail(schedule->ctx, ENOMEM, "out of memory");
	}
}

/* What keeps a target from being written, or may write it back. */
static void note_targets(struct cgm_schedule *schedule)
{
	char unit[256];

	for (size_t i = 0; i < schedule->target_count; i++) {
		struct cgm_group *group = schedule->targets[i].group;

		if (!schedule->ctx->recorded &&
		    faccessat(group->dirfd, "cpuset.mems", W_OK, AT_EACCESS))
			notes_add(&schedule->notes, CGM_REFUSAL,
				  "%s: no permission to write cpuset.mems: become root, or have the cgroup delegated to you",
				  group->path);
		if (cgm_group_owner(group, unit, sizeof(unit)) == CGM_OWNER_SYSTEMD)
			notes_add(&schedule->notes, CGM_NOTE,
				  "%s: belongs to systemd (%s), and is changed through it",
				  group->path, unit);
	}
}

static void note_groups(struct cgm_schedule *schedule)
{
	for (size_t g = 0; g < schedule->s.count; g++) {
		const struct sched_group *group = &schedule->s.groups[g];
		const char *path = schedule->groups[g]->path;
		size_t unreadable;

		cgm_placement_counts(schedule->placements[g], NULL, &unreadable);
		if (unreadable)
			notes_add(&schedule->notes, CGM_WARNING,
				  "%s: %zu processes cannot be looked at: CAP_SYS_PTRACE is missing",
				  path, unreadable);
		if (cgm_nodeset_equal(&group->before, &group->after))
			continue;
		if (group->out_of_place)
			notes_add(&schedule->notes, CGM_NOTE,
				  "%s: not all of its pages keep their relative place on the way",
				  path);
		if (cgm_nodeset_weight(&group->after) < cgm_nodeset_weight(&group->before))
			notes_add(&schedule->notes, CGM_NOTE,
				  "%s: comes to fewer nodes; going back will not tell apart what came together",
				  path);
	}
}

CGM_PUBLIC int cgm_schedule_make(struct cgm_schedule *schedule)
{
	enum sched_error error;
	int err;

	if (schedule->made)
		return cgm_fail(schedule->ctx, EINVAL, "a schedule is made once");
	schedule->made = true;
	err = find_groups(schedule);
	if (!err)
		err = check_found(schedule);
	if (!err)
		err = find_memory(schedule);
	if (err)
		return err;
	error = try(schedule, false);
	if (error == SCHED_NO_ROOM || error == SCHED_STUCK) {
		error = try(schedule, true);
		if (!error)
			notes_add(&schedule->notes, CGM_WARNING,
				  "page cache has to make room for some of it");
	}
	if (error)
		return explain(schedule, error);
	note_groups(schedule);
	note_targets(schedule);
	if (schedule->notes.lost)
		return cgm_fail(schedule->ctx, ENOMEM, "out of memory");
	return 0;
}

/* ---- looking at one ---- */

CGM_PUBLIC int cgm_schedule_target(const struct cgm_schedule *schedule, size_t index,
				   struct cgm_schedule_target *out)
{
	const struct sched_group *g;
	size_t resources = (size_t)schedule->s.kinds * schedule->s.nodes;
	struct cgm_schedule_target all;

	if (index >= schedule->target_count)
		return -ENOENT;
	if (!schedule->own)
		return -EINVAL;
	g = &schedule->s.groups[schedule->targets[index].index];
	all = (struct cgm_schedule_target){
		.group = schedule->targets[index].group,
		.from = g->now,
		.to = g->wanted,
		.before = g->before,
		.after = g->after,
	};
	for (size_t r = 0; r < resources; r++)
		all.bytes += schedule->own[schedule->targets[index].index * resources + r];
	return FILL(out, &all);
}

CGM_PUBLIC int cgm_schedule_step(const struct cgm_schedule *schedule, size_t index,
				 struct cgm_step *out)
{
	const struct sched_step *step;
	struct cgm_step all;

	if (index >= schedule->s.step_count)
		return -ENOENT;
	step = &schedule->s.steps[index];
	all = (struct cgm_step){
		.kind = step->kind,
		.round = step->round,
		.group = schedule->groups[step->group],
		.from = step->from,
		.to = step->to,
		.bytes = step->bytes,
	};
	return FILL(out, &all);
}

CGM_PUBLIC int cgm_schedule_room(const struct cgm_schedule *schedule, int node,
				 int64_t *before, int64_t *after)
{
	if (!schedule->before || node < 0 || node >= schedule->s.nodes ||
	    !cgm_nodeset_has(&schedule->s.memory, node))
		return -ENOENT;
	*before = schedule->before[node];
	*after = *before;
	for (size_t g = 0; g < schedule->s.count; g++) {
		size_t resources = (size_t)schedule->s.kinds * schedule->s.nodes;

		*after += (int64_t)schedule->own[g * resources + node] -
			  (int64_t)schedule->s.groups[g].bytes[node];
	}
	return 0;
}

CGM_PUBLIC const char *cgm_schedule_note(const struct cgm_schedule *schedule, size_t index,
					 enum cgm_severity *severity)
{
	if (index >= schedule->notes.count)
		return NULL;
	if (severity)
		*severity = schedule->notes.list[index].severity;
	return schedule->notes.list[index].text;
}
