// SPDX-License-Identifier: GPL-2.0
/* Plans and results for people, out of the objects that programs get. */
#include <string.h>

#include "cgmigrate.h"

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
		say("%s%s", strcmp(action, "attach") ? "" : "into ", word(item, "cgroup"));
	say(": nodes %s -> %s, %llu process%s, %s to move", word(item, "from"),
	    word(item, "to"), (unsigned long long)processes, processes == 1 ? "" : "es",
	    size_text(app, number(item, "bytes"), size, sizeof(size)));
	if (number(item, "stray"))
		printf(", %s outside",
		       size_text(app, number(item, "stray"), size, sizeof(size)));
	print_cache(app, item);
	print_map_rule(item);
	say(" (%s)\n", word(item, "backend"));
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

/* How much room there is on the nodes, and how much is to be left. */
void print_rooms(struct app *app, const json_t *object)
{
	static const struct node_column columns[] = {
		{ "ROOM", "room" }, { "AFTER", "room_after" },
	};
	struct libscols_table *table = node_table(app, json_object_get(object, "capacity"),
						  columns, ARRAY_SIZE(columns));

	if (table)
		table_print(table);
	scols_unref_table(table);
}

/* What the largest part takes at that rate, which each target has to itself. */
void print_pace(struct app *app, const json_t *object, uint64_t rate)
{
	const json_t *targets = json_object_get(object, "targets");
	uint64_t most = 0, seconds;
	char size[32];
	json_t *item;
	size_t i;

	json_array_foreach(targets, i, item)
		if (number(item, "bytes") > most)
			most = number(item, "bytes");
	seconds = most / rate + !!(most % rate);
	printf("at %s/s%s it takes at least %llu:%02llu\n",
	       size_text(app, rate, size, sizeof(size)),
	       json_array_size(targets) > 1 ? " for each" : "",
	       (unsigned long long)seconds / 60, (unsigned long long)seconds % 60);
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

/* Which of several it is: the process, where one was named, else the cgroup. */
static const char *item_name(const json_t *item, char *buf, size_t size)
{
	const json_t *pids = json_object_get(item, "pids");

	if (json_array_size(pids) != 1)
		return word(item, "cgroup");
	snprintf(buf, size, "%lld", json_integer_value(json_array_get(pids, 0)));
	return buf;
}

/* @item: whose row it is, where there are several. */
static int add_row(struct app *app, struct libscols_table *table, const json_t *item,
		   const json_t *row)
{
	const char *reason = word(row, "reason");
	struct libscols_line *line;
	size_t pos = 0;
	char buf[64];

	if (!strcmp(reason, cgm_reason_name(CGM_INPLACE)))
		return 0;
	line = table_line(table);
	if (!line)
		return -1;
	if (item)
		table_cell(line, pos++, item_name(item, buf, sizeof(buf)));
	node_text(buf, sizeof(buf), json_object_get(row, "from"));
	table_cell(line, pos++, buf);
	node_text(buf, sizeof(buf), json_object_get(row, "to"));
	table_cell(line, pos++, buf);
	table_cell(line, pos++, word(row, "kind"));
	size_text(app, number(row, "bytes"), buf + 1, sizeof(buf) - 1);
	buf[0] = '~';
	table_cell(line, pos++,
		   json_is_true(json_object_get(row, "estimated")) ? buf : buf + 1);
	table_cell(line, pos++, reason);
	table_cell(line, pos, reason_text(reason));
	return 0;
}

/* Rows for people: what happened to every byte, and why it stayed. */
static void print_rows(struct app *app, const json_t *object)
{
	static const char * const heads[] = { "FROM", "TO", "KIND", "BYTES", "REASON", "" };
	const json_t *targets = json_object_get(object, "targets");
	bool several = json_array_size(targets) > 1;
	struct libscols_table *table = scols_new_table();
	json_t *item, *row;
	size_t i, r;

	if (!table) {
		shortage_note();
		return;
	}
	if (several)
		table_column(table, "CGROUP", 0);
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		table_column(table, heads[i], i == 0 || i == 1 || i == 3 ? SCOLS_FL_RIGHT : 0);
	json_array_foreach(targets, i, item)
		json_array_foreach(json_object_get(item, "rows"), r, row)
			if (add_row(app, table, several ? item : NULL, row))
				break;
	if (scols_table_get_nlines(table))
		table_print(table);
	scols_unref_table(table);
}

/* One target that was stopped. @path: as a word for the shell. */
static void print_way_on(const struct cgm_plan_item *item, const json_t *target,
			 const char *path)
{
	char from[NODES_TEXT_MAX], to[NODES_TEXT_MAX], cpus[NODES_TEXT_MAX + 16], map[1024];
	bool remask = !cgm_nodeset_equal(&item->from, &item->to);
	cgm_nodeset now, mixed;

	nodes_text(&item->from, from, sizeof(from));
	nodes_text(&item->to, to, sizeof(to));
	if (cgm_group_mems(item->group, &now))
		now = item->from;
	if (map_is_plain(target) && cgm_nodeset_equal(&now, &item->to))
		say("to finish:  cgmigrate settle %s%s\n", path, cache_option(target));
	else if (map_option(target, &now, false, map, sizeof(map)) || remask)
		say("to finish:  cgmigrate move %s --to %s%s%s%s\n", path, to, map,
		    cache_option(target), cpus_option(target, "after", cpus, sizeof(cpus)));
	if (item->action == CGM_ACTION_ATTACH)
		return;		/* they need not all come from one */
	if (map_option(target, &now, true, map, sizeof(map)) || remask)
		say("to go back: cgmigrate move %s --to %s%s%s\n", path, from, map,
		    cpus_option(target, "before", cpus, sizeof(cpus)));
	if (map_mixed(target, &mixed))
		say(MIXED_TEXT "\n", nodes_text(&mixed, to, sizeof(to)));
}

/* How to finish a move that was stopped, and how to go back; @object tells of it. */
void print_ways_on(const struct cgm_plan *plan, const json_t *object)
{
	json_t *targets = json_object_get(object, "targets");
	struct cgm_plan_item item = { .size = sizeof(item) };

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		char *path;

		if (!item.group || (item.action != CGM_ACTION_MEMS &&
				    item.action != CGM_ACTION_ATTACH))
			continue;
		path = shell_word(cgm_group_path(item.group));
		if (path)
			print_way_on(&item, json_array_get(targets, i), path);
		free(path);
	}
}

/* What became of it: an object of report_result(), with its state. */
void print_result(struct app *app, const json_t *object)
{
	const json_t *result = json_object_get(object, "result"), *note;
	uint64_t usec = number(result, "elapsed_usec");
	uint64_t moved = number(json_object_get(result, "totals"), "moved");
	uint64_t dropped = number(json_object_get(result, "totals"), "dropped");
	uint64_t batch = number(result, "max_batch_usec");
	char size[32], rate[32];
	size_t i;

	print_rows(app, object);
	print_owners(app, result);
	say("%s: %s moved in %.2f s, %s/s", word(object, "state"),
	    size_text(app, moved, size, sizeof(size)), usec / 1e6,
	    size_text(app, usec ? (uint64_t)((double)moved * 1e6 / usec) : 0, rate,
		      sizeof(rate)));
	if (dropped)
		printf(", %s of page cache dropped",
		       size_text(app, dropped, size, sizeof(size)));
	if (batch)
		printf(", longest batch %.2f ms", batch / 1e3);
	if (json_object_get(object, "job"))
		say(", job %s", word(object, "job"));
	putchar('\n');
	fflush(stdout);
	json_array_foreach(json_object_get(result, "notes"), i, note)
		if (json_is_string(note))
			warn(app, "%s", json_string_value(note));
}
