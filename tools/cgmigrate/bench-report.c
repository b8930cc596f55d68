// SPDX-License-Identifier: GPL-2.0
/* The results as tables, from the object that --json writes. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct column speed_columns[] = {
	{ "KIND", 0, NULL },
	{ "WAY", 0, NULL },
	{ "LIMIT", SCOLS_FL_RIGHT, NULL },
	{ "SIZE", SCOLS_FL_RIGHT, NULL },
	{ "SPEED", SCOLS_FL_RIGHT, NULL },
	{ "PER-PAGE", SCOLS_FL_RIGHT, NULL },
	{ "STAYED", SCOLS_FL_RIGHT, NULL },
};

static const struct column stall_columns[] = {
	{ "KIND", 0, NULL },
	{ "WAY", 0, NULL },
	{ "LIMIT", SCOLS_FL_RIGHT, NULL },
	{ "STALL", 0, NULL },
	{ "IDLE", SCOLS_FL_RIGHT, NULL },
	{ "P50", SCOLS_FL_RIGHT, NULL },
	{ "P99", SCOLS_FL_RIGHT, NULL },
	{ "P999", SCOLS_FL_RIGHT, NULL },
	{ "MAX", SCOLS_FL_RIGHT, NULL },
	{ "SAMPLES", SCOLS_FL_RIGHT, NULL },
};

static const char *word(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* 12us, 3.4ms; or microseconds. */
const char *bench_time(const struct app *app, double usec, char *buf, size_t size)
{
	if (app->bytes)
		snprintf(buf, size, "%.3f", usec);
	else if (usec < 1)
		snprintf(buf, size, "%.2fus", usec);
	else if (usec < 1e3)
		snprintf(buf, size, "%.*fus", usec < 100, usec);
	else if (usec < 1e6)
		snprintf(buf, size, "%.*fms", usec < 1e5, usec / 1e3);
	else
		snprintf(buf, size, "%.1fs", usec / 1e6);
	return buf;
}

static void set_size(const struct app *app, struct libscols_line *line, int column,
		     uint64_t bytes, const char *unit)
{
	char text[64], size[32];

	snprintf(text, sizeof(text), "%s%s", size_text(app, bytes, size, sizeof(size)),
		 app->bytes ? "" : unit);
	table_cell(line, column, text);
}

static void set_time(const struct app *app, struct libscols_line *line, int column,
		     double usec)
{
	char text[32];

	table_cell(line, column, bench_time(app, usec, text, sizeof(text)));
}

static void set_names(const struct app *app, struct libscols_line *line,
		      const json_t *result)
{
	table_cell(line, 0, word(result, "kind"));
	table_cell(line, 1, word(result, "way"));
	if (json_is_null(json_object_get(result, "rate")))
		table_cell(line, 2, app->raw ? "max" : "-");
	else
		set_size(app, line, 2, number(result, "rate"), "/s");
}

static void add_speed(const struct app *app, struct libscols_table *table,
		      const json_t *result)
{
	struct libscols_line *line = table_line(table);

	set_names(app, line, result);
	set_size(app, line, 3, number(result, "bytes"), "");
	set_size(app, line, 4, number(result, "bytes_per_second"), "/s");
	set_time(app, line, 5, number(result, "time_per_page"));
	set_size(app, line, 6, number(result, "stayed"), "");
}

static void add_stall(const struct app *app, struct libscols_table *table,
		      const json_t *result, const char *name)
{
	struct libscols_line *line = table_line(table);
	const json_t *stall = json_object_get(result, name);
	char text[32];

	set_names(app, line, result);
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(name, "_"), name);
	table_cell(line, 3, text);
	set_time(app, line, 4, number(json_object_get(stall, "idle"), "p999"));
	set_time(app, line, 5, number(stall, "p50"));
	set_time(app, line, 6, number(stall, "p99"));
	set_time(app, line, 7, number(stall, "p999"));
	set_time(app, line, 8, number(stall, "max"));
	snprintf(text, sizeof(text), "%.0f", number(stall, "samples"));
	table_cell(line, 9, text);
}

static struct libscols_table *new_table(const struct app *app, const struct column *columns,
					size_t count)
{
	struct libscols_table *table = table_new(app);

	for (size_t i = 0; table && i < count; i++)
		table_column(table, columns[i].name, columns[i].flags);
	return table;
}

/* Which machine, which nodes. */
void bench_title(const json_t *object, char *buf, size_t size)
{
	const json_t *machine = json_object_get(object, "machine");
	const char *cpu = word(machine, "cpu");

	snprintf(buf, size, "%s%s, %.0f CPUs, Linux %s (%s); nodes %s to %s",
		 cpu ? cpu : "unknown CPU",
		 json_is_true(json_object_get(machine, "virtual")) ? " (virtual)" : "",
		 number(machine, "cpus"), word(machine, "kernel"), word(machine, "backend"),
		 word(object, "from"), word(object, "to"));
}

static void print_tables(const struct app *app, const json_t *results)
{
	struct libscols_table *speeds, *stalls;
	json_t *result;
	size_t i;

	if (!json_array_size(results))
		return;
	speeds = new_table(app, speed_columns, ARRAY_SIZE(speed_columns));
	stalls = new_table(app, stall_columns, ARRAY_SIZE(stall_columns));
	json_array_foreach(results, i, result) {
		add_speed(app, speeds, result);
		add_stall(app, stalls, result, "touch_stall");
		add_stall(app, stalls, result, "mmap_stall");
	}
	table_print(speeds);
	putchar('\n');
	table_print(stalls);
	scols_unref_table(speeds);
	scols_unref_table(stalls);
}

static void print_huge(const struct app *app, const json_t *result)
{
	const json_t *huge = json_object_get(result, "huge");
	char before[32], after[32], all[32];

	if (!huge || (number(huge, "before") == number(result, "bytes") &&
		      number(huge, "after") == number(result, "bytes")))
		return;
	printf("thp by %s: of %s %s were in huge pages, and %s after the moves\n",
	       word(result, "way"),
	       size_text(app, number(result, "bytes"), all, sizeof(all)),
	       size_text(app, number(huge, "before"), before, sizeof(before)),
	       size_text(app, number(huge, "after"), after, sizeof(after)));
}

/* What a dry run would have measured. */
static void print_lists(const json_t *object)
{
	static const char * const lists[] = { "kinds", "ways" };
	json_t *one;
	size_t i;

	for (size_t n = 0; n < ARRAY_SIZE(lists); n++) {
		printf("%s:", lists[n]);
		json_array_foreach(json_object_get(object, lists[n]), i, one)
			printf(" %s", json_string_value(one));
		putchar('\n');
	}
}

void bench_print(const struct app *app, const json_t *object)
{
	const json_t *results = json_object_get(object, "results");
	char title[1024];
	json_t *one;
	size_t i;

	if (!app->noheadings && !app->raw) {
		bench_title(object, title, sizeof(title));
		printf("%s\n", title);
	}
	print_tables(app, results);
	if (!strcmp(word(object, "state"), "planned"))
		print_lists(object);
	if (app->raw)
		return;
	json_array_foreach(results, i, one)
		print_huge(app, one);
	json_array_foreach(json_object_get(object, "missing"), i, one)
		printf("%s: %s\n", word(one, "what"), word(one, "message"));
}
