// SPDX-License-Identifier: GPL-2.0
/* What the engine is set to, for all moves; see Documentation/cpuset-migrate.rst. */
#include <stdlib.h>

#include "cgmigrate.h"

#define DIRECTORY "sys/kernel/mm/numa/migrate/"

static const struct {
	const char *name;
	bool is_number;		/* else 0 or 1 */
	const char *help;
} knobs[] = {
	{ "max_stall_usec", true, "microseconds that moving keeps a process from its pages" },
	{ "workers", true, "kernel threads that move one address space at a time" },
	{ "exempt", false, "memory stays whose owner asked for that" },
	{ "pagecache", false, "page cache that nobody maps moves, too" },
	{ "swap_fallback", false, "what finds no room may be swapped out" },
};

static json_t *json_knob(const struct app *app, size_t i)
{
	char path[128], text[64];
	long long value;

	snprintf(path, sizeof(path), DIRECTORY "%s", knobs[i].name);
	if (!read_text(app, path, text, sizeof(text)))
		return json_null();
	value = strtoll(text, NULL, 10);
	return knobs[i].is_number ? json_integer(value) : json_boolean(value);
}

/* {name: number or bool, null where this kernel does not have it}; null: no engine */
json_t *json_knobs(const struct app *app)
{
	json_t *object;

	if (!(app->features.flags & CGM_FEATURE_ENGINE))
		return json_null();
	object = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
		json_object_set_new(object, knobs[i].name, json_knob(app, i));
	return object;
}

void print_knobs(const struct app *app)
{
	json_t *object = json_knobs(app), *value;

	for (size_t i = 0; json_is_object(object) && i < ARRAY_SIZE(knobs); i++) {
		value = json_object_get(object, knobs[i].name);
		if (json_is_integer(value))
			printf("%-15s %-4lld %s\n", knobs[i].name, json_integer_value(value),
			       knobs[i].help);
		else if (!json_is_null(value))
			printf("%-15s %-3s  %s\n", knobs[i].name,
			       json_is_true(value) ? "yes" : "no", knobs[i].help);
	}
	json_decref(object);
}
