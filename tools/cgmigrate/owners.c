// SPDX-License-Identifier: GPL-2.0
/*
 * Whose memory stayed: after a move that is partial, the processes with most of
 * what lies outside the new nodes, and in which of their mappings it is.
 */
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

#define OWNERS 5
#define VMAS 3

/* What to look for: memory of these kinds that is not on these nodes. */
struct sought {
	cgm_nodeset nodes;
	bool kinds[CGM_KIND_COUNT];
};

struct owner {
	pid_t pid;
	char command[64];
	uint64_t bytes;
	struct sought sought;
};

/* The largest, largest first. */
struct owners {
	struct app *app;
	struct owner list[OWNERS];
	size_t count;
};

struct mapping {
	struct cgm_vma vma;
	int kind;		/* of most of it: copies of pages of a file are anonymous */
	uint64_t bytes;
};

/*
 * The kinds of which something stayed that should not have. The kernel does not
 * always tell them: then all.
 */
static bool what_stayed(const struct cgm_result *result, size_t item, bool *kinds)
{
	struct cgm_row row = { .size = sizeof(row) };
	bool any = false;

	for (size_t i = 0; !cgm_result_row(result, i, &row); i++) {
		if (row.item != item || row.reason == CGM_DROPPED ||
		    (row.reason < CGM_FAIL_NOMEM && row.reason != CGM_LEFT))
			continue;
		any = true;
		for (int k = 0; k < CGM_KIND_KERNEL; k++)
			kinds[k] |= row.kind == CGM_KIND_MOVABLE || (int)row.kind == k;
	}
	return any;
}

static uint64_t bytes_of_kind(const struct app *app, const struct sought *sought,
			      const struct cgm_placement *placement, int kind)
{
	const cgm_nodeset *online = &app->features.online;
	uint64_t sum = 0;

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n))
		if (sought->kinds[kind] && !cgm_nodeset_has(&sought->nodes, n))
			sum += cgm_placement_bytes(placement, kind, n);
	return sum;
}

static uint64_t bytes_of(const struct app *app, const struct sought *sought,
			 const struct cgm_placement *placement)
{
	uint64_t sum = 0;

	for (int k = 0; k < CGM_KIND_KERNEL; k++)
		sum += bytes_of_kind(app, sought, placement, k);
	return sum;
}

/* One that was met in a cgroup and the one above counts once: false if it counts already. */
static bool forget_less(struct owners *owners, pid_t pid, uint64_t bytes)
{
	for (size_t i = 0; i < owners->count; i++) {
		if (owners->list[i].pid != pid)
			continue;
		if (owners->list[i].bytes >= bytes)
			return false;
		owners->count--;
		memmove(&owners->list[i], &owners->list[i + 1],
			(owners->count - i) * sizeof(*owners->list));
		return true;
	}
	return true;
}

static void add_owner(struct owners *owners, const struct cgm_process *process,
		      const struct sought *sought)
{
	uint64_t bytes = bytes_of(owners->app, sought, process->placement);
	struct owner *owner;
	size_t at;

	if (!forget_less(owners, process->pid, bytes))
		return;
	at = owners->count;
	while (at && owners->list[at - 1].bytes < bytes)
		at--;
	if (!bytes || at == OWNERS)
		return;
	if (owners->count < OWNERS)
		owners->count++;
	memmove(&owners->list[at + 1], &owners->list[at],
		(owners->count - at - 1) * sizeof(*owners->list));
	owner = &owners->list[at];
	owner->pid = process->pid;
	snprintf(owner->command, sizeof(owner->command), "%s", process->comm);
	owner->bytes = bytes;
	owner->sought = *sought;
}

static void add_processes(struct owners *owners, const struct cgm_placement *placement,
			  const struct sought *sought)
{
	struct cgm_process process = { .size = sizeof(process) };

	for (size_t i = 0; !cgm_placement_process(placement, i, &process); i++)
		add_owner(owners, &process, sought);
}

/* A process that cannot be looked at any more owns nothing. */
static void add_owners(struct owners *owners, const struct cgm_plan_item *item,
		       const struct sought *sought)
{
	struct cgm_placement *placement;
	int err;

	if (item->pid_count)
		err = cgm_placement_read_pids(owners->app->ctx, item->pids, item->pid_count,
					      CGM_PLACEMENT_PROCESSES, &placement);
	else
		err = cgm_placement_read(item->group, CGM_PLACEMENT_PROCESSES, &placement);
	if (err)
		return;
	add_processes(owners, placement, sought);
	cgm_placement_free(placement);
}

static struct mapping look_at(const struct app *app, const struct sought *sought,
			      const struct cgm_vma *vma)
{
	struct mapping mapping = { .vma = *vma };
	uint64_t most = 0;

	for (int k = 0; k < CGM_KIND_KERNEL; k++) {
		uint64_t bytes = bytes_of_kind(app, sought, vma->placement, k);

		mapping.bytes += bytes;
		if (bytes <= most)
			continue;
		most = bytes;
		mapping.kind = k;
	}
	return mapping;
}

/* Returns how many there are then. */
static size_t add_mapping(struct mapping *list, size_t count, const struct mapping *one)
{
	size_t at = count;

	while (at && list[at - 1].bytes < one->bytes)
		at--;
	if (!one->bytes || at == VMAS)
		return count;
	if (count < VMAS)
		count++;
	memmove(&list[at + 1], &list[at], (count - at - 1) * sizeof(*list));
	list[at] = *one;
	return count;
}

static json_t *json_mappings(struct app *app, const struct owner *owner)
{
	struct cgm_vma vma = { .size = sizeof(vma) };
	struct mapping list[VMAS];
	json_t *vmas = json_array();
	struct cgm_layout *layout;
	size_t count = 0;
	char start[24];

	if (cgm_layout_read_pid(app->ctx, owner->pid, 0, &layout))
		return vmas;
	for (size_t i = 0; !cgm_layout_vma(layout, i, &vma); i++) {
		struct mapping one = look_at(app, &owner->sought, &vma);

		count = add_mapping(list, count, &one);
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(start, sizeof(start), "%llx",
			 (unsigned long long)list[i].vma.start);
		json_array_append_new(vmas,
			json_pack("{s:s, s:o, s:s, s:I}", "start", start, "name",
				  json_text(list[i].vma.name), "kind",
				  cgm_kind_name(list[i].kind), "bytes",
				  (json_int_t)list[i].bytes));
	}
	cgm_layout_free(layout);
	return vmas;
}

static json_t *json_list(const struct owners *owners)
{
	json_t *list = json_array();

	for (size_t i = 0; i < owners->count; i++) {
		const struct owner *owner = &owners->list[i];

		json_array_append_new(list,
			json_pack("{s:i, s:o, s:I, s:o}", "pid", owner->pid, "command",
				  json_text(owner->command), "bytes",
				  (json_int_t)owner->bytes, "vmas",
				  json_mappings(owners->app, owner)));
	}
	return list;
}

/* Whose memory a job left outside the new nodes, though it should have moved. */
json_t *json_owners(struct app *app, const struct cgm_plan *plan, struct cgm_job *job)
{
	const struct cgm_result *result = cgm_job_result(job);
	struct cgm_plan_item item = { .size = sizeof(item) };
	struct owners owners = { .app = app };

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		struct sought sought = { .nodes = item.to };

		if (what_stayed(result, i, sought.kinds))
			add_owners(&owners, &item, &sought);
	}
	return json_list(&owners);
}

/* Remember what a job of a schedule left, in @stayed, which has one for each target. */
void owners_note(const struct cgm_schedule *schedule, const struct cgm_plan *plan,
		 struct cgm_job *job, struct stayed *stayed)
{
	struct cgm_schedule_target target = { .size = sizeof(target) };
	struct cgm_plan_item item = { .size = sizeof(item) };

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		for (size_t t = 0; !cgm_schedule_target(schedule, t, &target); t++)
			if (!strcmp(cgm_group_path(item.group),
				    cgm_group_path(target.group)))
				stayed[t].any |= what_stayed(cgm_job_result(job), i,
							     stayed[t].kinds);
}

/* After the last of them: whose memory is outside the nodes that each has at the end. */
json_t *json_owners_of(struct app *app, const struct cgm_schedule *schedule,
		       const struct stayed *stayed)
{
	struct cgm_schedule_target target = { .size = sizeof(target) };
	struct owners owners = { .app = app };

	for (size_t i = 0; !cgm_schedule_target(schedule, i, &target); i++) {
		struct sought sought = { .nodes = target.after };
		struct cgm_placement *placement;

		memcpy(sought.kinds, stayed[i].kinds, sizeof(sought.kinds));
		if (!stayed[i].any || cgm_placement_read(target.group,
							 CGM_PLACEMENT_PROCESSES, &placement))
			continue;
		add_processes(&owners, placement, &sought);
		cgm_placement_free(placement);
	}
	return json_list(&owners);
}

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : "-";
}

static const char *bytes_text(const struct app *app, const json_t *object, char *buf,
			      size_t size)
{
	return size_text(app, json_integer_value(json_object_get(object, "bytes")), buf,
			 size);
}

/* A line for each process, and below it one for each mapping. */
void print_owners(const struct app *app, const json_t *result)
{
	const json_t *owners = json_object_get(result, "owners"), *owner, *vma;
	char size[32];
	size_t i, v;

	if (json_array_size(owners))
		puts("mostly of:");
	json_array_foreach(owners, i, owner) {
		say("  %-8lld %-16s %8s\n",
		       json_integer_value(json_object_get(owner, "pid")),
		       word(owner, "command"), bytes_text(app, owner, size, sizeof(size)));
		json_array_foreach(json_object_get(owner, "vmas"), v, vma)
			say("    %-16s %-7s %8s  %s\n", word(vma, "start"),
			       word(vma, "kind"), bytes_text(app, vma, size, sizeof(size)),
			       word(vma, "name"));
	}
}
