// SPDX-License-Identifier: GPL-2.0
/* Columns of tables: one list for what is printed, --help and --output. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cgmigrate.h"

/* Take the columns of a list, too. 0, or an exit code. */
static int add_columns(struct app *app, const struct columns *columns, const char *list,
		       struct chosen *chosen)
{
	for (const char *p = list; *p;) {
		size_t len = strcspn(p, ","), i;

		for (i = 0; i < columns->count; i++)
			if (strlen(columns->list[i].name) == len &&
			    !strncasecmp(p, columns->list[i].name, len))
				break;
		if (i == columns->count)
			return usage_error(app,
					   "--output %.*s: no such column; see \"cgmigrate %s --help\"",
					   (int)len, p, app->verb);
		if (chosen->count == ARRAY_SIZE(chosen->columns))
			return usage_error(app, "--output: too many columns");
		chosen->columns[chosen->count++] = i;
		p += len + (p[len] == ',');
	}
	return 0;
}

/* Those of @usual; or of @list, after the usual ones with a plus. 0, or an exit code. */
int choose_columns(struct app *app, const struct columns *columns, const char *usual,
		   const char *list, struct chosen *chosen)
{
	bool more = list && *list == '+';
	int code = 0;

	chosen->count = 0;
	if (list && !list[more])
		return usage_error(app, "--output: no column named");
	if (!list || more)
		code = add_columns(app, columns, usual, chosen);
	if (list && !code)
		code = add_columns(app, columns, list + more, chosen);
	return code;
}

void print_columns(const struct columns *columns)
{
	puts("\nColumns for --output:");
	for (size_t i = 0; i < columns->count; i++)
		printf("  %-8s %s\n", columns->list[i].name, columns->list[i].help);
}

/* Is there somebody to see them, who has not said that they disturb? */
bool colours_wanted(void)
{
	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

struct libscols_table *table_new(const struct app *app)
{
	struct libscols_table *table = scols_new_table();

	if (!table) {
		shortage_note();
		return NULL;
	}
	scols_table_enable_raw(table, app->raw);
	scols_table_enable_noheadings(table, app->noheadings);
	scols_table_enable_colors(table, colours_wanted());
	return table;
}

/* ---- whatever of a table cannot be made is noted, see shortage.c ---- */

void table_column(struct libscols_table *table, const char *name, int flags)
{
	if (!scols_table_new_column(table, name, 0, flags))
		shortage_note();
}

/* NULL where there is no memory for it. */
struct libscols_line *table_line(struct libscols_table *table)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	if (!line)
		shortage_note();
	return line;
}

void table_cell(struct libscols_line *line, size_t column, const char *text)
{
	char *plain = plain_text(text);

	if (scols_line_set_data(line, column, plain ? plain : text))
		shortage_note();
	free(plain);
}

static void node_cells(const struct app *app, struct libscols_line *line,
		       const json_t *node, const struct node_column *columns, size_t count)
{
	char buf[64];

	snprintf(buf, sizeof(buf), "%lld", json_integer_value(json_object_get(node, "node")));
	table_cell(line, 0, buf);
	for (size_t i = 0; i < count; i++) {
		json_int_t bytes = json_integer_value(json_object_get(node, columns[i].key));

		buf[0] = '-';
		size_text(app, bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes,
			  buf + (bytes < 0), sizeof(buf) - 1);
		table_cell(line, i + 1, buf);
	}
}

/* A line for each object of a list, with sizes; NULL without memory. */
struct libscols_table *node_table(const struct app *app, const json_t *nodes,
				  const struct node_column *columns, size_t count)
{
	struct libscols_table *table = table_new(app);
	json_t *node;
	size_t i;

	if (!table)
		return NULL;
	table_column(table, "NODE", SCOLS_FL_RIGHT);
	for (i = 0; i < count; i++)
		table_column(table, columns[i].head, SCOLS_FL_RIGHT);
	json_array_foreach(nodes, i, node) {
		struct libscols_line *line = table_line(table);

		if (!line)
			break;
		node_cells(app, line, node, columns, count);
	}
	return table;
}

void table_print(struct libscols_table *table)
{
	if (scols_print_table(table))
		shortage_note();
}
