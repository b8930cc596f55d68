/* SPDX-License-Identifier: GPL-2.0 */
/* Pictures as SVG and PNG, drawn by the same code. */
#ifndef CANVAS_H
#define CANVAS_H

#include <stdbool.h>
#include <stdint.h>

#include "cgmigrate.h"

#define CANVAS_INK 0x202020
#define CANVAS_PAPER 0xffffff

struct canvas;

struct canvas_picture {
	double width;
	double height;
	void (*draw)(const struct canvas *canvas, const void *data);
	const void *data;
};

void canvas_rectangle(const struct canvas *c, double x, double y, double w, double h,
		      uint32_t rgb);
void canvas_words(const struct canvas *c, double x, double y, const char *text);
bool canvas_knows(const char *file);
int canvas_write(struct app *app, const char *file, const struct canvas_picture *picture);

#endif /* CANVAS_H */
