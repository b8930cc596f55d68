// SPDX-License-Identifier: GPL-2.0
/* Plans and results, as tables and as JSON. */
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
	json_t *object, *pids = json_array(), *map = json_nodemap(app, plan, index, item);

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
				    json_text(cgm_group_path(item->group)));
	if (map)
		json_object_set_new(object, "map", map);
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

/* ---- tables, out of the same objects ---- */

static uint64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

/* Is nothing on this node that would go there? */
static bool is_idle(const json_t *item, const json_t *way)
{
	json_t *flow;
	size_t i;

	json_array_foreach(json_object_get(item, "flows"), i, flow)
		if (number(flow, "from") == number(way, "from"))
			return false;
	return number(way, "from") != number(way, "to");
}

static void print_flow(const struct app *app, const json_t *flow)
{
	char size[32];

	printf("  node %llu -> %llu  %10s\n", (unsigned long long)number(flow, "from"),
	       (unsigned long long)number(flow, "to"),
	       size_text(app, number(flow, "bytes"), size, sizeof(size)));
}

/* From where to where, and where that was asked for, also what is empty now. */
static void print_flows(const struct app *app, const json_t *item)
{
	json_t *flow;
	size_t i;

	json_array_foreach(json_object_get(item, "flows"), i, flow)
		print_flow(app, flow);
	if (map_is_plain(item))
		return;
	json_array_foreach(json_object_get(json_object_get(item, "map"), "nodes"), i, flow)
		if (is_idle(item, flow))
			print_flow(app, flow);
}

static void print_item(struct app *app, const json_t *item)
{
	const char *action = word(item, "action");
	uint64_t processes = number(item, "processes");
	char size[32];

	if (!strcmp(action, "pages"))
		printf("process %lld",
		       json_integer_value(json_array_get(json_object_get(item, "pids"), 0)));
	else
		printf("%s%s", strcmp(action, "attach") ? "" : "into ",
		       word(item, "cgroup"));
	printf(": nodes %s -> %s, %llu process%s, %s to move", word(item, "from"),
	       word(item, "to"), (unsigned long long)processes,
	       processes == 1 ? "" : "es",
	       size_text(app, number(item, "bytes"), size, sizeof(size)));
	if (number(item, "stray"))
		printf(", %s outside",
		       size_text(app, number(item, "stray"), size, sizeof(size)));
	print_map_rule(item);
	printf(" (%s)\n", word(item, "backend"));
	print_flows(app, item);
	print_cpus(json_object_get(item, "cpus"));
}

/* What an object of report_plan() or report_result() is to do. */
void print_plan(struct app *app, const json_t *object)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(object, "targets"), i, item)
		print_item(app, item);
}

/* Remarks, on stderr; a refusal is told as the error it is. */
void print_notes(struct app *app, const json_t *object)
{
	json_t *note;
	size_t i;

	json_array_foreach(json_object_get(object, "notes"), i, note) {
		const char *severity = word(note, "severity");

		if (strcmp(severity, "refusal"))
			warn(app, "%s%s", strcmp(severity, "warning") ? "" : "warning: ",
			     word(note, "message"));
	}
}

static void node_text(char *buf, size_t size, const json_t *node)
{
	if (json_is_integer(node))
		snprintf(buf, size, "%lld", json_integer_value(node));
	else
		snprintf(buf, size, "-");
}

static const char *reason_text(const char *name)
{
	for (int r = 0; r < CGM_REASON_COUNT; r++)
		if (!strcmp(cgm_reason_name(r), name))
			return cgm_reason_text(r);
	return "";
}

static int add_row(struct app *app, struct libscols_table *table, const json_t *row)
{
	const char *reason = word(row, "reason");
	struct libscols_line *line;
	char buf[64];

	if (!strcmp(reason, cgm_reason_name(CGM_INPLACE)))
		return 0;
	line = table_line(table);
	if (!line)
		return -1;
	node_text(buf, sizeof(buf), json_object_get(row, "from"));
	table_cell(line, 0, buf);
	node_text(buf, sizeof(buf), json_object_get(row, "to"));
	table_cell(line, 1, buf);
	table_cell(line, 2, word(row, "kind"));
	size_text(app, number(row, "bytes"), buf + 1, sizeof(buf) - 1);
	buf[0] = '~';
	table_cell(line, 3, json_is_true(json_object_get(row, "estimated")) ? buf : buf + 1);
	table_cell(line, 4, reason);
	table_cell(line, 5, reason_text(reason));
	return 0;
}

/* Rows for people: what happened to every byte, and why it stayed. */
static void print_rows(struct app *app, const json_t *object)
{
	static const char * const heads[] = { "FROM", "TO", "KIND", "BYTES", "REASON", "" };
	struct libscols_table *table = scols_new_table();
	json_t *item, *row;
	size_t i, r;

	if (!table) {
		shortage_note();
		return;
	}
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		table_column(table, heads[i], i == 0 || i == 1 || i == 3 ? SCOLS_FL_RIGHT : 0);
	json_array_foreach(json_object_get(object, "targets"), i, item)
		json_array_foreach(json_object_get(item, "rows"), r, row)
			if (add_row(app, table, row))
				break;
	if (scols_table_get_nlines(table))
		table_print(table);
	scols_unref_table(table);
}

/* How to finish a move that was stopped, and how to go back; @object tells of it. */
void print_ways_on(const struct cgm_plan *plan, const json_t *object)
{
	json_t *targets = json_object_get(object, "targets");
	struct cgm_plan_item item = { .size = sizeof(item) };
	char from[256], to[256], cpus[256], map[1024];
	cgm_nodeset now;

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		const json_t *target = json_array_get(targets, i);
		const char *path = item.group ? cgm_group_path(item.group) : NULL;
		bool remask = !cgm_nodeset_equal(&item.from, &item.to);

		if (!path || (item.action != CGM_ACTION_MEMS &&
			      item.action != CGM_ACTION_ATTACH))
			continue;
		nodes_text(&item.from, from, sizeof(from));
		nodes_text(&item.to, to, sizeof(to));
		if (map_is_plain(target) && !cgm_group_mems(item.group, &now) &&
		    cgm_nodeset_equal(&now, &item.to))
			printf("to finish:  cgmigrate settle %s\n", path);
		else if (map_option(target, false, map, sizeof(map)) || remask)
			printf("to finish:  cgmigrate move %s --to %s%s%s\n", path, to, map,
			       cpus_option(target, "after", cpus, sizeof(cpus)));
		if (item.action == CGM_ACTION_ATTACH)
			continue;	/* they need not all come from one */
		if (map_option(target, true, map, sizeof(map)) || remask)
			printf("to go back: cgmigrate move %s --to %s%s%s\n", path, from, map,
			       cpus_option(target, "before", cpus, sizeof(cpus)));
	}
}

/* What became of it: an object of report_result(), with its state. */
void print_result(struct app *app, const json_t *object)
{
	const json_t *result = json_object_get(object, "result"), *note;
	uint64_t usec = number(result, "elapsed_usec");
	uint64_t moved = number(json_object_get(result, "totals"), "moved");
	uint64_t batch = number(result, "max_batch_usec");
	char size[32], rate[32];
	size_t i;

	print_rows(app, object);
	print_owners(app, result);
	printf("%s: %s moved in %.2f s, %s/s", word(object, "state"),
	       size_text(app, moved, size, sizeof(size)), usec / 1e6,
	       size_text(app, usec ? (uint64_t)((double)moved * 1e6 / usec) : 0, rate,
			 sizeof(rate)));
	if (batch)
		printf(", longest batch %.2f ms", batch / 1e3);
	if (json_object_get(object, "job"))
		printf(", job %s", word(object, "job"));
	putchar('\n');
	fflush(stdout);
	json_array_foreach(json_object_get(result, "notes"), i, note)
		warn(app, "%s", json_string_value(note));
}
