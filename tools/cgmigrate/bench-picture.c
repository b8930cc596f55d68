// SPDX-License-Identifier: GPL-2.0
/*
 * The results as a picture. A row for each: how fast, as a bar; how long reading the
 * memory and mapping took, on scales of powers of ten: a thin line from the median to
 * the longest, thick from 99 to 99.9 percent, and a mark where 99.9 percent are without
 * a move.
 */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "canvas.h"

#define MARGIN 20
#define LINE 18
#define LABELS 260
#define SPEEDS 260
#define STALLS 300
#define GAP 24
#define WIDTH (2 * MARGIN + LABELS + SPEEDS + 2 * STALLS + 3 * GAP)
#define FASTEST_WIDTH (SPEEDS - 70)	/* and room for the number */
#define GRID 0xe0e0e0
#define IDLE 0x7f7f7f
#define DECADES 7		/* from 0.1 us to 1 s */
#define FIRST_USEC 0.1

struct picture {
	const struct app *app;
	const json_t *object;
	double fastest;
};

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static double at(double left, double usec)
{
	double decades = log10((usec > FIRST_USEC ? usec : FIRST_USEC) / FIRST_USEC);

	return left + (decades < DECADES ? decades : DECADES) * STALLS / DECADES;
}

static void draw_speed(const struct picture *p, const struct canvas *c,
		       const json_t *result, double x, double y, uint32_t colour)
{
	double speed = number(result, "bytes_per_second");
	double width = p->fastest ? FASTEST_WIDTH * speed / p->fastest : 0;
	char text[64], size[32];

	canvas_rectangle(c, x, y + 4, width, LINE - 8, colour);
	snprintf(text, sizeof(text), "%s/s", size_text(p->app, speed, size, sizeof(size)));
	canvas_words(c, x + width + 6, y + LINE - 5, text);
}

static void draw_stall(const struct canvas *c, const json_t *stall, double x, double y,
		       uint32_t colour)
{
	double middle = y + LINE / 2.0, left = at(x, number(stall, "p50"));
	double p99 = at(x, number(stall, "p99")), p999 = at(x, number(stall, "p999"));

	canvas_rectangle(c, left, middle - 1, at(x, number(stall, "max")) - left + 1, 2,
			 colour);
	canvas_rectangle(c, p99, middle - 4, p999 - p99 + 2, 8, colour);
	canvas_rectangle(c, at(x, number(json_object_get(stall, "idle"), "p999")), y + 2, 2,
			 LINE - 4, IDLE);
}

static void draw_scale(const struct picture *p, const struct canvas *c, const char *title,
		       double x, double y, size_t rows)
{
	double usec = FIRST_USEC;

	canvas_words(c, x, y, title);
	for (int i = 0; i <= DECADES; i++, usec *= 10) {
		double left = x + (double)i * STALLS / DECADES;
		char text[32];

		canvas_rectangle(c, left, y + LINE + 4, 1, rows * LINE, GRID);
		if (i % 2)
			canvas_words(c, left - 10, y + LINE,
				     bench_time(p->app, usec, text, sizeof(text)));
	}
}

static void draw_row(const struct picture *p, const struct canvas *c, const json_t *result,
		     double y)
{
	const char *way = json_string_value(json_object_get(result, "way"));
	double x = MARGIN + LABELS;
	uint32_t colour = 0;
	char text[128], rate[32], limit[64] = "";

	for (enum bench_way w = 0; w < BENCH_WAYS; w++)
		if (!strcmp(way, bench_way_name(w)))
			colour = node_colour(w);
	if (number(result, "rate"))
		snprintf(limit, sizeof(limit), ", at most %s/s",
			 size_text(p->app, number(result, "rate"), rate, sizeof(rate)));
	snprintf(text, sizeof(text), "%s by %s%s",
		 json_string_value(json_object_get(result, "kind")), way, limit);
	canvas_words(c, MARGIN, y + LINE - 5, text);
	draw_speed(p, c, result, x, y, colour);
	draw_stall(c, json_object_get(result, "touch_stall"), x + SPEEDS + GAP, y, colour);
	draw_stall(c, json_object_get(result, "mmap_stall"), x + SPEEDS + STALLS + 2 * GAP,
		   y, colour);
}

static void draw(const struct canvas *c, const void *data)
{
	const struct picture *p = data;
	const json_t *results = json_object_get(p->object, "results"), *result;
	size_t rows = json_array_size(results), i;
	double y = MARGIN + 2 * LINE, x = MARGIN + LABELS;
	char title[1024];

	bench_title(p->object, title, sizeof(title));
	canvas_words(c, MARGIN, MARGIN + 8, title);
	canvas_words(c, x, y, "speed");
	draw_scale(p, c, "reading a word of the memory", x + SPEEDS + GAP, y, rows);
	draw_scale(p, c, "mapping and unmapping a page", x + SPEEDS + STALLS + 2 * GAP, y,
		   rows);
	y += LINE + 4;
	json_array_foreach(results, i, result)
		draw_row(p, c, result, y + i * LINE);
	canvas_words(c, MARGIN, y + (rows + 1) * LINE,
		     "Thin: from the median to the longest. Thick: from 99 to 99.9 %. Grey mark: 99.9 % while nothing moves.");
}

/* 0, or an exit code. */
int bench_draw(struct bench *bench, const json_t *object)
{
	const json_t *results = json_object_get(object, "results"), *result;
	struct picture all = { .app = bench->app, .object = object };
	struct canvas_picture picture = {
		.width = WIDTH,
		.height = 2 * MARGIN + (json_array_size(results) + 5) * LINE,
		.draw = draw,
		.data = &all,
	};
	size_t i;

	json_array_foreach(results, i, result)
		if (number(result, "bytes_per_second") > all.fastest)
			all.fastest = number(result, "bytes_per_second");
	return canvas_write(bench->app, bench->picture, &picture);
}
