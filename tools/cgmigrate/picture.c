// SPDX-License-Identifier: GPL-2.0
/* Pictures of address spaces. */
#include <stdlib.h>
#include <string.h>

#include "canvas.h"

#define COLUMNS 128
#define CELL 8
#define MARGIN 20
#define LINE 18
#define LABELS 220
#define WIDTH (2 * MARGIN + COLUMNS * CELL + LABELS)

/* Told apart by most people who see fewer colours, too. */
uint32_t node_colour(int node)
{
	static const uint32_t colours[] = {
		0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7, 0x56b4e9, 0xd55e00, 0xf0e442,
		0x7f7f7f,
	};

	return colours[node % ARRAY_SIZE(colours)];
}

/* A cell with memory of several nodes is divided among them. */
static void draw_cell(const struct canvas *c, const json_t *cell, double x, double y)
{
	uint64_t sum = 0;
	json_t *bytes;
	size_t n;

	json_array_foreach(cell, n, bytes)
		sum += json_integer_value(bytes);
	json_array_foreach(cell, n, bytes) {
		double part = sum ? (double)json_integer_value(bytes) / sum : 0;

		if (part <= 0)
			continue;
		canvas_rectangle(c, x, y, CELL - 1, part * (CELL - 1), node_colour(n));
		y += part * (CELL - 1);
	}
}

static double draw_legend(struct app *app, const struct canvas *c, const json_t *map,
			  double y)
{
	double x = MARGIN;
	const char *node;
	json_t *bytes;

	json_object_foreach(json_object_get(map, "bytes"), node, bytes) {
		char text[64], size[32];

		canvas_rectangle(c, x, y, CELL + 2, CELL + 2, node_colour(atoi(node)));
		snprintf(text, sizeof(text), "node %s: %s", node,
			 size_text(app, json_integer_value(bytes), size, sizeof(size)));
		canvas_words(c, x + CELL + 8, y + CELL + 2, text);
		x += 130;
		if (x + 130 > WIDTH) {
			x = MARGIN;
			y += LINE;
		}
	}
	return y + 2 * LINE;
}

struct maps {
	struct app *app;
	json_t **maps;
	size_t count;
};

static size_t rows_of(const json_t *map)
{
	size_t cells = json_array_size(json_object_get(map, "cells"));

	return (cells + COLUMNS - 1) / COLUMNS;
}

static double draw_map(struct app *app, const struct canvas *c, const json_t *map, double y)
{
	char title[512], before[256] = "";
	json_t *cell;
	size_t i;

	map_title(app, map, title, sizeof(title));
	canvas_words(c, MARGIN, y + CELL, title);
	y = draw_legend(app, c, map, y + LINE);
	json_array_foreach(json_object_get(map, "cells"), i, cell) {
		size_t row = i / COLUMNS;
		double top = y + row * CELL;
		const char *label;

		draw_cell(c, cell, MARGIN + i % COLUMNS * CELL, top);
		if (i % COLUMNS || row % 2)
			continue;
		label = map_label(map, i, i + 2 * COLUMNS);
		if (strcmp(label, before))
			canvas_words(c, MARGIN + COLUMNS * CELL + 10, top + CELL + 2, label);
		snprintf(before, sizeof(before), "%s", label);
	}
	return y + rows_of(map) * CELL + LINE;
}

static double height_of(json_t **maps, size_t count)
{
	double height = 2 * MARGIN;

	for (size_t i = 0; i < count; i++) {
		size_t lines = json_object_size(json_object_get(maps[i], "bytes")) / 9;

		height += (4 + lines) * LINE + rows_of(maps[i]) * CELL;
	}
	return height;
}

static void draw(const struct canvas *c, const void *data)
{
	const struct maps *all = data;
	double y = MARGIN;

	for (size_t i = 0; i < all->count; i++)
		y = draw_map(all->app, c, all->maps[i], y);
}

/* Draw maps, one below the other. 0, or an exit code. */
int picture_write(struct app *app, const char *file, json_t **maps, size_t count)
{
	struct maps all = { .app = app, .maps = maps, .count = count };
	struct canvas_picture picture = {
		.width = WIDTH, .height = height_of(maps, count), .draw = draw, .data = &all,
	};

	return canvas_write(app, file, &picture);
}
