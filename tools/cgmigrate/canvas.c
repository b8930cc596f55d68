// SPDX-License-Identifier: GPL-2.0
/*
 * Pictures as SVG and PNG. Both are drawn by the same code on a canvas: rectangles
 * and words; SVG is text of our own, PNG goes through cairo.
 */
#include <cairo.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../../libcgroup-plugin/plugin/files.h"
#include "canvas.h"

struct canvas {
	FILE *svg;		/* one of the two */
	cairo_t *png;
};

static void set_colour(cairo_t *png, uint32_t rgb)
{
	cairo_set_source_rgb(png, (rgb >> 16) / 255.0, (rgb >> 8 & 255) / 255.0,
			     (rgb & 255) / 255.0);
}

void canvas_rectangle(const struct canvas *c, double x, double y, double w, double h,
		      uint32_t rgb)
{
	if (c->svg) {
		fprintf(c->svg,
			"<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"#%06x\"/>\n",
			x, y, w, h, rgb);
		return;
	}
	set_colour(c->png, rgb);
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

void canvas_words(const struct canvas *c, double x, double y, const char *text)
{
	if (c->svg) {
		fprintf(c->svg, "<text x=\"%g\" y=\"%g\" fill=\"#%06x\">", x, y,
			CANVAS_INK);
		escape(c->svg, text);
		fputs("</text>\n", c->svg);
		return;
	}
	set_colour(c->png, CANVAS_INK);
	cairo_move_to(c->png, x, y);
	cairo_show_text(c->png, text);
}

static void draw(const struct canvas *c, const struct canvas_picture *picture)
{
	canvas_rectangle(c, 0, 0, picture->width, picture->height, CANVAS_PAPER);
	picture->draw(c, picture->data);
}

static int draw_svg(const struct canvas_picture *picture, char **data, size_t *len)
{
	struct canvas canvas = { .svg = open_memstream(data, len) };

	if (!canvas.svg)
		return -ENOMEM;
	fprintf(canvas.svg,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" font-size=\"12\">\n",
		picture->width, picture->height, picture->width, picture->height);
	draw(&canvas, picture);
	fputs("</svg>\n", canvas.svg);
	return fclose(canvas.svg) ? -ENOMEM : 0;
}

static cairo_status_t collect(void *closure, const unsigned char *data, unsigned int len)
{
	return fwrite(data, 1, len, closure) == len ? CAIRO_STATUS_SUCCESS :
	       CAIRO_STATUS_WRITE_ERROR;
}

static int draw_png(const struct canvas_picture *picture, char **data, size_t *len)
{
	FILE *out = open_memstream(data, len);
	cairo_surface_t *surface;
	struct canvas canvas = { 0 };
	cairo_status_t status;

	if (!out)
		return -ENOMEM;
	surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, picture->width,
					     picture->height);
	canvas.png = cairo_create(surface);
	cairo_select_font_face(canvas.png, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
			       CAIRO_FONT_WEIGHT_NORMAL);
	cairo_set_font_size(canvas.png, 12);
	draw(&canvas, picture);
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
bool canvas_knows(const char *file)
{
	return ends_in(file, ".svg") || ends_in(file, ".png");
}

/* 0, or an exit code. */
int canvas_write(struct app *app, const char *file, const struct canvas_picture *picture)
{
	char *data = NULL;
	size_t len = 0;
	int err;

	if (ends_in(file, ".svg"))
		err = draw_svg(picture, &data, &len);
	else
		err = draw_png(picture, &data, &len);
	if (!err)
		err = file_replace(AT_FDCWD, file, data, len, false);
	free(data);
	return err ? fail(app, EXIT_FAILED, "%s: cannot write: %s", file, strerror(-err)) : 0;
}
