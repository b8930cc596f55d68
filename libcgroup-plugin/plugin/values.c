// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Taking the settings in a struct cgroup apart, with what libcgroup exports.
 * There is no function that removes one, nor one that lists controllers, so a
 * part is a new struct, and whether nothing was overlooked is seen by comparing
 * a whole copy with the original.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

/* What we use of libcgroup, found where our caller's functions are. */
struct library {
	struct cgroup *(*new_cgroup)(const char *name);
	void (*free_cgroup)(struct cgroup **group);
	int (*compare)(struct cgroup *a, struct cgroup *b);
	int (*copy)(struct cgroup *to, struct cgroup *from);
	struct cgroup_controller *(*add_controller)(struct cgroup *group, const char *name);
	struct cgroup_controller *(*get_controller)(struct cgroup *group, const char *name);
	int (*count)(struct cgroup_controller *controller);
	char *(*name)(struct cgroup_controller *controller, int index);
	int (*value)(struct cgroup_controller *controller, const char *name, char **value);
	int (*add)(struct cgroup_controller *controller, const char *name, const char *value);
};

static bool library_find(struct library *lib, const void *caller)
{
	lib->new_cgroup = real_function("cgroup_new_cgroup", caller);
	lib->free_cgroup = real_function("cgroup_free", caller);
	lib->compare = real_function("cgroup_compare_cgroup", caller);
	lib->copy = real_function("cgroup_copy_cgroup", caller);
	lib->add_controller = real_function("cgroup_add_controller", caller);
	lib->get_controller = real_function("cgroup_get_controller", caller);
	lib->count = real_function("cgroup_get_value_name_count", caller);
	lib->name = real_function("cgroup_get_value_name", caller);
	lib->value = real_function("cgroup_get_value_string", caller);
	lib->add = real_function("cgroup_add_value_string", caller);
	return lib->new_cgroup && lib->free_cgroup && lib->compare && lib->copy &&
	       lib->add_controller && lib->get_controller && lib->count && lib->name &&
	       lib->value && lib->add;
}

/* In 2.0 there is no function that tells it, in all versions it comes first. */
const char *group_name(const struct cgroup *group)
{
	const char *name = (const char *)group;

	if (!group || strnlen(name, FILENAME_MAX) == FILENAME_MAX)
		return NULL;
	return name;
}

/* Which part a setting belongs to. */
static unsigned int part_of(const char *name)
{
	if (!strcmp(name, "cpuset.mems"))
		return KEEP_MEMS;
	if (!strcmp(name, "cpuset.memory_migrate"))
		return KEEP_MIGRATE;
	return KEEP_OTHERS;
}

/*
 * The names a controller can have: every one the kernel was built with, and
 * "cgroup", under which libcgroup keeps the files of cgroup v2 itself.
 */
static int each_controller(int (*fn)(const char *name, void *data), void *data)
{
	FILE *table = fopen("/proc/cgroups", "re");
	char line[256], name[64];
	int stop = fn("cgroup", data);

	while (table && !stop && fgets(line, sizeof(line), table))
		if (line[0] != '#' && sscanf(line, "%63s", name) == 1)
			stop = fn(name, data);
	if (table)
		fclose(table);
	return stop;
}

struct copying {
	const struct library *lib;
	struct cgroup *from;
	struct cgroup *to;
	unsigned int keep;
};

/* A part of a controller's settings; a controller without any is left out. */
static int copy_controller(const char *name, void *data)
{
	struct copying *c = data;
	struct cgroup_controller *from = c->lib->get_controller(c->from, name), *to = NULL;
	int count = from ? c->lib->count(from) : 0;

	if (from && c->keep == KEEP_ALL)
		to = c->lib->add_controller(c->to, name);
	for (int i = 0; i < count; i++) {
		const char *key = c->lib->name(from, i);
		char *value = NULL;

		if (!key || !(part_of(key) & c->keep))
			continue;
		if (!to)
			to = c->lib->add_controller(c->to, name);
		if (!to || c->lib->value(from, key, &value))
			return -1;
		if (c->lib->add(to, key, value)) {
			free(value);
			return -1;
		}
		free(value);
	}
	return 0;
}

/* The part of a group's settings named by KEEP_*; NULL: cannot be made. */
struct cgroup *settings_copy(struct cgroup *group, const void *caller, unsigned int keep)
{
	struct copying copying = { .from = group, .keep = keep };
	struct library lib;

	if (!library_find(&lib, caller) || !group_name(group))
		return NULL;
	copying.lib = &lib;
	copying.to = lib.new_cgroup(group_name(group));
	if (copying.to && each_controller(copy_controller, &copying))
		lib.free_cgroup(&copying.to);
	return copying.to;
}

void settings_free_copy(struct cgroup *copy, const void *caller)
{
	struct library lib;

	if (copy && library_find(&lib, caller))
		lib.free_cgroup(&copy);
}

/* Are our copy and libcgroup's own of a group the same? */
static bool nothing_overlooked(const struct library *lib, struct cgroup *group,
			       const void *caller)
{
	struct cgroup *theirs = lib->new_cgroup(group_name(group));
	struct cgroup *ours = settings_copy(group, caller, KEEP_ALL);
	bool same = false;

	if (theirs && ours && !lib->copy(theirs, group))
		same = !lib->compare(theirs, ours);
	if (theirs)
		lib->free_cgroup(&theirs);
	if (ours)
		lib->free_cgroup(&ours);
	return same;
}

struct reading {
	const struct library *lib;
	struct cgroup *group;
	struct settings *settings;
};

/* Text without the white space around it, or NULL. */
static char *trimmed(const char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return strndup(text, len);
}

static void read_setting(struct settings *s, const char *name, const char *value)
{
	switch (part_of(name)) {
	case KEEP_MEMS:
		free((char *)s->mems);
		s->mems = trimmed(value);
		break;
	case KEEP_MIGRATE:
		s->migrate = strtoull(value, NULL, 0) != 0;
		s->stay = !s->migrate;
		break;
	default:
		s->others++;
		s->copied |= !strcmp(name, "cpuset.mems.effective") ||
			     !strcmp(name, "cpuset.effective_mems");
	}
}

static int read_controller(const char *name, void *data)
{
	struct reading *r = data;
	struct cgroup_controller *controller = r->lib->get_controller(r->group, name);
	int count = controller ? r->lib->count(controller) : 0;

	for (int i = 0; i < count; i++) {
		const char *key = r->lib->name(controller, i);
		char *value = NULL;

		if (!key || r->lib->value(controller, key, &value))
			return -1;
		read_setting(r->settings, key, value);
		free(value);
	}
	return 0;
}

/* Look at the settings of a group that is to be written. */
void settings_read(struct cgroup *group, const void *caller, struct settings *settings)
{
	struct library lib;
	struct reading reading = { .lib = &lib, .group = group, .settings = settings };

	memset(settings, 0, sizeof(*settings));
	if (!group_name(group) || !library_find(&lib, caller))
		return;
	if (each_controller(read_controller, &reading)) {
		settings_clear(settings);
		return;
	}
	settings->complete = (settings->mems || settings->migrate || settings->stay) &&
			     !settings->copied && nothing_overlooked(&lib, group, caller);
}

void settings_clear(struct settings *settings)
{
	free((char *)settings->mems);
	memset(settings, 0, sizeof(*settings));
}
