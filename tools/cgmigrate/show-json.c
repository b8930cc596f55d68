// SPDX-License-Identifier: GPL-2.0
/* cgmigrate show: as JSON. */
#include <errno.h>

#include "show.h"

static json_t *json_vmas(const struct show *show, pid_t pid)
{
	struct cgm_vma vma = { .size = sizeof(vma) };
	json_t *list = json_array();
	struct cgm_layout *layout;
	int err;

	err = cgm_layout_read_pid(show->app->ctx, pid, 0, &layout);
	if (err == -ENOMEM)
		shortage_note();
	if (err)
		return list;
	cgm_layout_read_marks(layout);
	for (size_t i = 0; !cgm_layout_vma(layout, i, &vma); i++) {
		json_t *object = json_vma(show->app, &vma);

		json_object_set_new(object, "locked", json_integer(vma.locked));
		json_object_set_new(object, "huge", json_integer(vma.huge));
		json_array_append_new(list, object);
	}
	cgm_layout_free(layout);
	return list;
}

/* What is told of a process with --by process and --by vma. */
static void set_details(const struct show *show, json_t *object, pid_t pid,
			const struct cgm_placement *placement)
{
	struct cgm_marks marks = { .size = sizeof(marks) };

	if (!cgm_placement_marks(placement, &marks) ||
	    !cgm_process_marks(show->app->ctx, pid, &marks)) {
		json_object_set_new(object, "locked", json_integer(marks.locked));
		json_object_set_new(object, "pinned", json_integer(marks.pinned));
		json_object_set_new(object, "huge", json_integer(marks.huge));
	}
	if (show->by == BY_VMA)
		json_object_set_new(object, "vmas", json_vmas(show, pid));
}

static json_t *json_processes(const struct show *show, const struct entry *e)
{
	struct cgm_process process = { .size = sizeof(process) };
	json_t *list = json_array(), *object;

	for (size_t i = 0; !cgm_placement_process(e->placement, i, &process); i++) {
		object = json_pack("{s:i, s:o, s:o}", "pid", process.pid, "command",
				   json_text(process.comm), "placement",
				   json_placement(show->app, process.placement));
		set_details(show, object, process.pid, process.placement);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_entry(const struct show *show, const struct entry *e)
{
	json_t *object = json_pack("{s:o, s:o}", "mems", json_nodes(&e->mems), "placement",
				   json_placement(show->app, e->placement));
	struct cgm_marks marks = { .size = sizeof(marks) };

	if (!cgm_placement_marks(e->placement, &marks)) {
		json_object_set_new(object, "locked", json_integer(marks.locked));
		json_object_set_new(object, "huge", json_integer(marks.huge));
	}
	if (e->cgroup)
		json_object_set_new(object, "cgroup", json_text(e->cgroup));
	if (cgm_nodeset_weight(&e->unit_mems))
		json_object_set_new(object, "systemd_mems", json_nodes(&e->unit_mems));
	if (e->user)
		json_object_set_new(object, "user", json_text(e->user + 1));
	if (e->pid)
		json_object_set_new(object, "pid", json_integer(e->pid));
	if (show_keeps_processes(show) && e->pid)
		set_details(show, object, e->pid, e->placement);
	else if (show_keeps_processes(show))
		json_object_set_new(object, "processes", json_processes(show, e));
	return object;
}

void show_print_json(const struct show *show)
{
	json_t *list = json_array(), *object;

	for (size_t i = 0; i < show->count; i++)
		json_array_append_new(list, json_entry(show, &show->entries[i]));
	object = json_pack("{s:s, s:s, s:i, s:o, s:o}", "command", show->app->verb, "state",
			   "done", "exit", 0, "nodes",
			   json_nodes(&show->app->features.online), "targets", list);
	if (show->nodes)
		json_object_set_new(object, "capacity", show_json_nodes(show));
	print_json(show->app, object);
}
