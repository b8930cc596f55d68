/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of libcgroup-cgmigrate.so share. */
#ifndef PLUGIN_PRELOAD_H
#define PLUGIN_PRELOAD_H

#include <stddef.h>

#include "interface.h"

#define HOOK __attribute__((visibility("default")))

/* As libcgroup's header has them: other headers may not be there to build with. */
#define ECGFAIL 50013

struct cgroup;
struct cgroup_controller;

/* loader.c */
const struct plugin_core *plugin_core(void);

/* real.c */
void *real_function(const char *name, const void *caller);

/* values.c */

/* The settings of a group, by what is to become of them. */
struct settings {
	bool complete;		/* we could take all of it apart */
	int others;		/* settings that are neither of the two below */
	const char *mems;	/* cpuset.mems, or NULL; to be given to free(3) */
	bool migrate;		/* cpuset.memory_migrate = 1 */
	bool stay;		/* cpuset.memory_migrate = 0 */
	bool copied;		/* with files nobody can write: all of another group's */
};

#define KEEP_OTHERS	0x1u
#define KEEP_MEMS	0x2u
#define KEEP_MIGRATE	0x4u
#define KEEP_ALL	(KEEP_OTHERS | KEEP_MEMS | KEEP_MIGRATE)

void settings_read(struct cgroup *group, const void *caller, struct settings *settings);
void settings_clear(struct settings *settings);
struct cgroup *settings_copy(struct cgroup *group, const void *caller, unsigned int keep);
void settings_free_copy(struct cgroup *copy, const void *caller);
const char *group_name(const struct cgroup *group);

#endif /* PLUGIN_PRELOAD_H */
