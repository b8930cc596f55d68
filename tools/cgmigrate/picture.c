// SPDX-License-Identifier: GPL-2.0
/*
 * Pictures of address spaces as SVG and PNG. Both are drawn by the same code on
 * a canvas: rectangles and words; SVG is text of our own, PNG goes through cairo.
 */
#include <cairo.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

#define COLUMNS 128
#define CELL 8
#define MARGIN 20
#define LINE 18
#define LABELS 220
#define WIDTH (2 * MARGIN + COLUMNS * CELL + LABELS)
#define INK 0x202020
#define PAPER 0xffffff

/* Told apart by most people who see fewer colours, too. */
uint32_t node_colour(int node)
{
	static const uint32_t colours[] = {
		0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7, 0x56b4e9, 0xd55e00, 0xf0e442,
		0x7f7f7f,
	};

	return colours[node % ARRAY_SIZE(colours)];
}

struct canvas {
	FILE *svg;		/* one of the two */
	cairo_t *png;
};

static void rectangle(const struct canvas *c, double x, double y, double w, double h,
		      uint32_t rgb)
{
	if (c->svg) {
		fprintf(c->svg,
			"<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"#%06x\"/>\n",
			x, y, w, h, rgb);
		return;
	}
	cairo_set_source_rgb(c->png, (rgb >> 16) / 255.0, (rgb >> 8 & 255) / 255.0,
			     (rgb & 255) / 255.0);
	cairo_rectangle(c->png, x, y, w, h);
	cairo_fill(c->png);
}

static void escape(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if ((unsigned char)*text >= ' ')
			fputc(*text, out);
		else
			fputc('?', out);
	}
}

static void words(const struct canvas *c, double x, double y, const char *text)
{
	if (c->svg) {
		fprintf(c->svg, "<text x=\"%g\" y=\"%g\" fill=\"#%06x\">", x, y, INK);
		escape(c->svg, text);
		fputs("</text>\n", c->svg);
		return;
	}
	cairo_set_source_rgb(c->png, 0.125, 0.125, 0.125);
	cairo_move_to(c->png, x, y);
	cairo_show_text(c->png, text);
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
		rectangle(c, x, y, CELL - 1, part * (CELL - 1), node_colour(n));
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

		rectangle(c, x, y, CELL + 2, CELL + 2, node_colour(atoi(node)));
		snprintf(text, sizeof(text), "node %s: %s", node,
			 size_text(app, json_integer_value(bytes), size, sizeof(size)));
		words(c, x + CELL + 8, y + CELL + 2, text);
		x += 130;
		if (x + 130 > WIDTH) {
			x = MARGIN;
			y += LINE;
		}
	}
	return y + 2 * LINE;
}

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
	words(c, MARGIN, y + CELL, title);
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
			words(c, MARGIN + COLUMNS * CELL + 10, top + CELL + 2, label);
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

static void draw(struct app *app, const struct canvas *c, json_t **maps, size_t count)
{
	double y = MARGIN;

	rectangle(c, 0, 0, WIDTH, height_of(maps, count), PAPER);
	for (size_t i = 0; i < count; i++)
		y = draw_map(app, c, maps[i], y);
}

static int draw_svg(struct app *app, json_t **maps, size_t count, char **data, size_t *len)
{
	struct canvas canvas = { .svg = open_memstream(data, len) };
	double height = height_of(maps, count);

	if (!canvas.svg)
		return -ENOMEM;
	fprintf(canvas.svg,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%g\" viewBox=\"0 0 %d %g\" font-family=\"sans-serif\" font-size=\"12\">\n",
		WIDTH, height, WIDTH, height);
	draw(app, &canvas, maps, count);
	fputs("</svg>\n", canvas.svg);
	return fclose(canvas.svg) ? -ENOMEM : 0;
}

static cairo_status_t collect(void *closure, const unsigned char *data, unsigned int len)
{
	return fwrite(data, 1, len, closure) == len ? CAIRO_STATUS_SUCCESS :
	       CAIRO_STATUS_WRITE_ERROR;
}

static int draw_png(struct app *app, json_t **maps, size_t count, char **data, size_t *len)
{
	FILE *out = open_memstream(data, len);
	cairo_surface_t *surface;
	struct canvas canvas = { 0 };
	cairo_status_t status;

	if (!out)
		return -ENOMEM;
	surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH,
					     height_of(maps, count));
	canvas.png = cairo_create(surface);
	cairo_select_font_face(canvas.png, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
			       CAIRO_FONT_WEIGHT_NORMAL);
	cairo_set_font_size(canvas.png, 12);
	draw(app, &canvas, maps, count);
	status = cairo_surface_write_to_png_stream(surface, collect, out);
	cairo_destroy(canvas.png);
	cairo_surface_destroy(surface);
	return fclose(out) || status != CAIRO_STATUS_SUCCESS ? -ENOMEM : 0;
}

static bool ends_in(const char *file, const char *suffix)
{
	size_t len = strlen(file), n = strlen(suffix);

	return len > n && !strcmp(file + len - n, suffix);
}

/* Is this the name of a picture we can make? */
bool picture_knows(const char *file)
{
	return ends_in(file, ".svg") || ends_in(file, ".png");
}

/* Draw maps, one below the other. 0, or an exit code. */
int picture_write(struct app *app, const char *file, json_t **maps, size_t count)
{
	char *data = NULL;
	size_t len = 0;
	int err;

	if (ends_in(file, ".svg"))
		err = draw_svg(app, maps, count, &data, &len);
	else
		err = draw_png(app, maps, count, &data, &len);
	if (!err)
		err = replace_file(AT_FDCWD, file, data, len, false);
	free(data);
	return err ? fail(app, EXIT_FAILED, "%s: cannot write: %s", file, strerror(-err)) : 0;
}
