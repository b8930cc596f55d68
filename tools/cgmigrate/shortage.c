// SPDX-License-Identifier: GPL-2.0
/*
 * Memory, or open files, that could not be had for what is told and kept. Objects and
 * tables are made of hundreds of small parts, and nobody looks at each of them; whoever is
 * about to rely on the whole asks here whether all of it came to be.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "cgmigrate.h"

static bool short_of_memory;

void shortage_note(void)
{
	short_of_memory = true;
}

/* What failed is missed only if it might have been there. */
void shortage_note_error(int err)
{
	if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
		shortage_note();
}

/* Has anything been left out? */
bool shortage(void)
{
	return short_of_memory;
}

static void *take(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		shortage_note();
	return memory;
}

/* From now on know of it when a part of an object is left out. */
void shortage_watch(void)
{
	json_set_alloc_funcs(take, free);
}

/* Before anything is changed: 0, or an exit code. */
int shortage_check(struct app *app)
{
	if (!shortage())
		return 0;
	return fail(app, EXIT_FAILED, "out of memory or files; nothing was changed");
}
