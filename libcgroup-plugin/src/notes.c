// SPDX-License-Identifier: LGPL-2.1-or-later
/* Remarks that plans and results carry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

/* A remark that is already there is not repeated. */
int notes_add(struct notes *notes, enum cgm_severity severity, const char *fmt, ...)
{
	struct note *list;
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		notes->lost = true;
		return -ENOMEM;
	}
	for (size_t i = 0; i < notes->count; i++) {
		if (!strcmp(notes->list[i].text, text)) {
			free(text);
			return 0;
		}
	}
	list = realloc(notes->list, (notes->count + 1) * sizeof(*list));
	if (!list) {
		free(text);
		notes->lost = true;
		return -ENOMEM;
	}
	notes->list = list;
	list[notes->count].text = text;
	list[notes->count++].severity = severity;
	return 0;
}

void notes_free(struct notes *notes)
{
	for (size_t i = 0; i < notes->count; i++)
		free(notes->list[i].text);
	free(notes->list);
	notes->list = NULL;
	notes->count = 0;
}
