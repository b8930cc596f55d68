// SPDX-License-Identifier: GPL-2.0
/* Plans and results, as JSON. */
#include "cgmigrate.h"

const char *code_name(int code)
{
	static const char * const names[] = {
		[EXIT_OK] = "done",
		[EXIT_FAILED] = "failed",
		[EXIT_USAGE] = "usage",
		[EXIT_PARTIAL] = "partial",
		[EXIT_REFUSED] = "refused",
		[EXIT_CANCELLED] = "cancelled",
		[EXIT_TIMEOUT] = "timeout",
		[EXIT_SUPERSEDED] = "superseded",
	};

	return names[(size_t)code < ARRAY_SIZE(names) ? code : EXIT_FAILED];
}

static const char *action_name(enum cgm_action action)
{
	static const char * const names[] = {
		[CGM_ACTION_MEMS] = "mems",
		[CGM_ACTION_ATTACH] = "attach",
		[CGM_ACTION_SETTLE] = "settle",
		[CGM_ACTION_PAGES] = "pages",
	};

	return names[action];
}

static json_t *json_flows(const struct app *app, const struct cgm_plan *plan, size_t index)
{
	const cgm_nodeset *online = &app->features.online;
	json_t *flows = json_array();

	for (int from = cgm_nodeset_next(online, -1); from >= 0;
	     from = cgm_nodeset_next(online, from))
		for (int to = cgm_nodeset_next(online, -1); to >= 0;
		     to = cgm_nodeset_next(online, to)) {
			uint64_t bytes = cgm_plan_bytes(plan, index, from, to);

			if (bytes)
				json_array_append_new(flows,
					json_pack("{s:i, s:i, s:I}", "from", from, "to", to,
						  "bytes", (json_int_t)bytes));
		}
	return flows;
}

/* Those that were named, or were there; and when they began, by which they are known. */
static void json_processes(json_t *object, const struct cgm_plan_item *item)
{
	json_t *pids, *starts;

	if (!item->pid_count)
		return;
	pids = json_array();
	starts = json_array();
	for (size_t i = 0; i < item->pid_count; i++) {
		json_array_append_new(pids, json_integer(item->pids[i]));
		json_array_append_new(starts, json_integer(item->starts ? item->starts[i] : 0));
	}
	json_object_set_new(object, "pids", pids);
	json_object_set_new(object, "starts", starts);
}

static json_t *json_item(const struct app *app, const struct cgm_plan *plan, size_t index,
			 const struct cgm_plan_item *item)
{
	json_t *object, *map = json_nodemap(app, plan, index, item);

	object = json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:b, s:o, s:o}",
			   "action", action_name(item->action),
			   "backend", cgm_backend_name(item->backend),
			   "from", json_nodes(&item->from), "to", json_nodes(&item->to),
			   "processes", (json_int_t)item->processes,
			   "bytes", (json_int_t)item->bytes,
			   "stray", (json_int_t)item->stray, "change", item->change,
			   "flows", json_flows(app, plan, index),
			   "before", json_placement(app, item->before));
	if (item->group)
		json_object_set_new(object, "cgroup",
				    json_text(cgm_group_path(item->group)));
	if (map)
		json_object_set_new(object, "map", map);
	json_cache(object, item);
	json_processes(object, item);
	return object;
}

/* What leaves a node makes room there, but huge pages do in their pool only. */
static uint64_t freed(const struct app *app, const struct cgm_plan *plan, int node)
{
	const cgm_nodeset *online = &app->features.online;
	struct cgm_plan_item item = { .size = sizeof(item) };
	uint64_t sum = 0;

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		uint64_t huge = cgm_placement_bytes(item.before, CGM_KIND_HUGETLB, node);
		uint64_t leaves = 0;

		for (int to = cgm_nodeset_next(online, -1); to >= 0;
		     to = cgm_nodeset_next(online, to))
			leaves += cgm_plan_bytes(plan, i, node, to);
		sum += leaves > huge ? leaves - huge : 0;
	}
	return sum;
}

static json_t *json_capacity(const struct app *app, const struct cgm_plan *plan)
{
	const cgm_nodeset *online = &app->features.online;
	struct cgm_plan_node node = { .size = sizeof(node) };
	json_t *nodes = json_array();

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		uint64_t room;	/* below 0 where the watermark is not met */

		node.size = sizeof(node);
		if (cgm_plan_node(plan, n, &node))
			continue;
		room = node.free - node.low;
		json_array_append_new(nodes,
			json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
				  "node", n, "room", (json_int_t)room, "room_after",
				  (json_int_t)(room + freed(app, plan, n) - node.incoming),
				  "incoming", (json_int_t)node.incoming,
				  "outgoing", (json_int_t)node.outgoing,
				  "free", (json_int_t)node.free,
				  "low_watermark", (json_int_t)node.low,
				  "reclaimable", (json_int_t)node.reclaimable,
				  "huge_incoming", (json_int_t)node.huge_incoming,
				  "huge_short", (json_int_t)node.huge_short));
	}
	return nodes;
}

static json_t *json_plan_notes(const struct cgm_plan *plan)
{
	static const char * const names[] = {
		[CGM_NOTE] = "note", [CGM_WARNING] = "warning", [CGM_REFUSAL] = "refusal",
	};
	enum cgm_severity severity;
	json_t *notes = json_array();
	const char *text;

	for (size_t i = 0; (text = cgm_plan_note(plan, i, &severity)); i++)
		json_array_append_new(notes, json_pack("{s:s, s:o}", "severity",
						       names[severity], "message",
						       json_text(text)));
	return notes;
}

/* The object a plan is told with; the caller adds how it went. */
json_t *report_plan(struct app *app, const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	json_t *targets = json_array();

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		json_array_append_new(targets, json_item(app, plan, i, &item));
	return json_pack("{s:s, s:o, s:o, s:o}", "command", app->verb, "targets", targets,
			 "capacity", json_capacity(app, plan), "notes",
			 json_plan_notes(plan));
}

static json_t *json_row(const struct cgm_row *row)
{
	json_t *object = json_pack("{s:s, s:I, s:b}", "reason", cgm_reason_name(row->reason),
				   "bytes", (json_int_t)row->bytes, "estimated",
				   row->flags & CGM_ROW_ESTIMATED ? 1 : 0);

	json_object_set_new(object, "from",
			    row->from < 0 ? json_null() : json_integer(row->from));
	json_object_set_new(object, "to",
			    row->to < 0 ? json_null() : json_integer(row->to));
	json_object_set_new(object, "kind",
			    row->kind == CGM_KIND_MOVABLE ? json_null() :
			    json_string(cgm_kind_name(row->kind)));
	return object;
}

static json_t *json_totals(const struct cgm_result *result)
{
	json_t *totals = json_object();

	for (int r = 0; r < CGM_REASON_COUNT; r++)
		json_object_set_new(totals, cgm_reason_name(r),
				    json_integer(cgm_result_total(result, r)));
	return totals;
}

/* A plan and what became of it. */
json_t *report_result(struct app *app, const struct cgm_plan *plan, struct cgm_job *job)
{
	const struct cgm_result *result = cgm_job_result(job);
	struct cgm_progress progress = { .size = sizeof(progress) };
	struct cgm_row row = { .size = sizeof(row) };
	json_t *object = report_plan(app, plan), *targets, *notes = json_array();
	const char *text;

	targets = json_object_get(object, "targets");
	for (size_t i = 0; i < json_array_size(targets); i++) {
		json_t *rows = json_array(), *target = json_array_get(targets, i);

		for (size_t r = 0; !cgm_result_row(result, r, &row); r++)
			if (row.item == i)
				json_array_append_new(rows, json_row(&row));
		json_object_set_new(target, "rows", rows);
		json_object_set_new(target, "after",
				    json_placement(app, cgm_result_after(result, i)));
	}
	for (size_t i = 0; (text = cgm_result_note(result, i)); i++)
		json_array_append_new(notes, json_text(text));
	cgm_job_progress(job, &progress);
	json_object_set_new(object, "result",
		json_pack("{s:I, s:o, s:I, s:I, s:o}", "scanned",
			  (json_int_t)cgm_result_scanned(result), "totals",
			  json_totals(result), "elapsed_usec",
			  (json_int_t)progress.elapsed_usec, "max_batch_usec",
			  (json_int_t)progress.max_batch_usec, "notes", notes));
	return object;
}
