// SPDX-License-Identifier: GPL-2.0
/* Plans and results, as tables and as JSON. */
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

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

	return names[code];
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

/* ---- JSON ---- */

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

static json_t *json_item(const struct app *app, const struct cgm_plan *plan, size_t index,
			 const struct cgm_plan_item *item)
{
	json_t *object, *pids = json_array();

	for (size_t i = 0; i < item->pid_count; i++)
		json_array_append_new(pids, json_integer(item->pids[i]));
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
				    json_string(cgm_group_path(item->group)));
	if (item->pid_count)
		json_object_set_new(object, "pids", pids);
	else
		json_decref(pids);
	return object;
}

static json_t *json_capacity(const struct app *app, const struct cgm_plan *plan)
{
	const cgm_nodeset *online = &app->features.online;
	struct cgm_plan_node node = { .size = sizeof(node) };
	json_t *nodes = json_array();

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		node.size = sizeof(node);
		if (cgm_plan_node(plan, n, &node))
			continue;
		json_array_append_new(nodes,
			json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "node", n,
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
		json_array_append_new(notes, json_pack("{s:s, s:s}", "severity",
						       names[severity], "message", text));
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
		json_array_append_new(notes, json_string(text));
	cgm_job_progress(job, &progress);
	json_object_set_new(object, "result",
		json_pack("{s:I, s:o, s:I, s:I, s:o}", "scanned",
			  (json_int_t)cgm_result_scanned(result), "totals",
			  json_totals(result), "elapsed_usec",
			  (json_int_t)progress.elapsed_usec, "max_batch_usec",
			  (json_int_t)progress.max_batch_usec, "notes", notes));
	return object;
}

/* ---- tables ---- */

static void print_flows(struct app *app, const struct cgm_plan *plan, size_t index)
{
	const cgm_nodeset *online = &app->features.online;
	char size[32];

	for (int from = cgm_nodeset_next(online, -1); from >= 0;
	     from = cgm_nodeset_next(online, from))
		for (int to = cgm_nodeset_next(online, -1); to >= 0;
		     to = cgm_nodeset_next(online, to)) {
			uint64_t bytes = cgm_plan_bytes(plan, index, from, to);

			if (bytes)
				printf("  node %d -> %d  %10s\n", from, to,
				       size_text(app, bytes, size, sizeof(size)));
		}
}

static void print_item(struct app *app, const struct cgm_plan *plan, size_t index,
		       const struct cgm_plan_item *item)
{
	char from[256], to[256], size[32];

	if (item->action == CGM_ACTION_PAGES)
		printf("process %d", item->pids[0]);
	else if (item->action == CGM_ACTION_ATTACH)
		printf("into %s", cgm_group_path(item->group));
	else
		printf("%s", cgm_group_path(item->group));
	printf(": nodes %s -> %s, %zu process%s, %s to move",
	       nodes_text(&item->from, from, sizeof(from)),
	       nodes_text(&item->to, to, sizeof(to)), item->processes,
	       item->processes == 1 ? "" : "es",
	       size_text(app, item->bytes, size, sizeof(size)));
	if (item->stray)
		printf(", %s outside", size_text(app, item->stray, size, sizeof(size)));
	printf(" (%s)\n", cgm_backend_name(item->backend));
	print_flows(app, plan, index);
}

void print_plan(struct app *app, const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		print_item(app, plan, i, &item);
}

/* Remarks, on stderr; a refusal is told as the error it is. */
void print_notes(struct app *app, const struct cgm_plan *plan)
{
	enum cgm_severity severity;
	const char *text;

	for (size_t i = 0; (text = cgm_plan_note(plan, i, &severity)); i++)
		if (severity != CGM_REFUSAL)
			warn(app, "%s%s", severity == CGM_WARNING ? "warning: " : "", text);
}

static void node_text(char *buf, size_t size, int node)
{
	if (node < 0)
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%d", node);
}

/* Rows for people: what happened to every byte, and why it stayed. */
static void print_rows(struct app *app, const struct cgm_result *result)
{
	static const char * const heads[] = { "FROM", "TO", "KIND", "BYTES", "REASON", "" };
	struct libscols_table *table = scols_new_table();
	struct cgm_row row = { .size = sizeof(row) };
	char buf[64];

	if (!table)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		scols_table_new_column(table, heads[i], 0,
				       i == 0 || i == 1 || i == 3 ? SCOLS_FL_RIGHT : 0);
	for (size_t i = 0; !cgm_result_row(result, i, &row); i++) {
		struct libscols_line *line;

		if (row.reason == CGM_INPLACE)
			continue;
		line = scols_table_new_line(table, NULL);
		if (!line)
			break;
		node_text(buf, sizeof(buf), row.from);
		scols_line_set_data(line, 0, buf);
		node_text(buf, sizeof(buf), row.to);
		scols_line_set_data(line, 1, buf);
		scols_line_set_data(line, 2, row.kind == CGM_KIND_MOVABLE ? "-" :
				    cgm_kind_name(row.kind));
		size_text(app, row.bytes, buf + 1, sizeof(buf) - 1);
		buf[0] = '~';
		scols_line_set_data(line, 3,
				    row.flags & CGM_ROW_ESTIMATED ? buf : buf + 1);
		scols_line_set_data(line, 4, cgm_reason_name(row.reason));
		scols_line_set_data(line, 5, cgm_reason_text(row.reason));
	}
	if (scols_table_get_nlines(table))
		scols_print_table(table);
	scols_unref_table(table);
}

/* How to finish a move that was stopped, and how to go back. */
static void print_ways_on(const struct cgm_plan *plan)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	cgm_nodeset now;
	char from[256], to[256];

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		const char *path = item.group ? cgm_group_path(item.group) : NULL;

		if (!path || item.action != CGM_ACTION_MEMS)
			continue;
		nodes_text(&item.from, from, sizeof(from));
		nodes_text(&item.to, to, sizeof(to));
		if (!cgm_group_mems(item.group, &now) && cgm_nodeset_equal(&now, &item.to))
			printf("to finish:  cgmigrate settle %s\n", path);
		else
			printf("to finish:  cgmigrate move %s --to %s\n", path, to);
		printf("to go back: cgmigrate move %s --to %s\n", path, from);
	}
}

void print_result(struct app *app, const struct cgm_plan *plan, struct cgm_job *job,
		  int code)
{
	const struct cgm_result *result = cgm_job_result(job);
	struct cgm_progress p = { .size = sizeof(p) };
	char moved[32], rate[32];
	const char *text;

	cgm_job_progress(job, &p);
	print_rows(app, result);
	printf("%s: %s moved in %.2f s, %s/s", code_name(code),
	       size_text(app, cgm_result_total(result, CGM_MOVED), moved, sizeof(moved)),
	       p.elapsed_usec / 1e6,
	       size_text(app, p.elapsed_usec ?
			 (uint64_t)((double)p.moved * 1e6 / p.elapsed_usec) : 0, rate,
			 sizeof(rate)));
	if (p.max_batch_usec)
		printf(", longest batch %.2f ms", p.max_batch_usec / 1e3);
	putchar('\n');
	for (size_t i = 0; (text = cgm_result_note(result, i)); i++)
		warn(app, "%s", text);
	if (code == EXIT_CANCELLED || code == EXIT_TIMEOUT)
		print_ways_on(plan);
}
