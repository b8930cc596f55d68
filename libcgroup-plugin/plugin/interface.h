/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The libcgroup plugin, in two objects so that a process that never calls
 * libcgroup has nothing but a few small functions mapped:
 *
 * libcgroup-cgmigrate.so       is preloaded; takes the place of the functions
 *                              of libcgroup that its tools call. libc only.
 *   hooks.c                    those functions
 *   real.c                     finding the ones they stand for
 *   values.c                   taking a struct cgroup's settings apart
 *   loader.c                   the other object, and what an exec gets to see
 *
 * libcgroup-cgmigrate-core.so  is opened when the first of them is called.
 *   attach.c setting.c tree.c  what is done before and after the real function
 *   event.c                    one thing a user does, and how memory moves for it
 *   helper.c                   a process that goes on when nobody waits
 *   config.c report.c          what was asked for; one JSON record an event
 *
 * This is what passes between the two. They are built and installed together.
 */
#ifndef PLUGIN_INTERFACE_H
#define PLUGIN_INTERFACE_H

#include <stdbool.h>
#include <sys/types.h>

/* What a function of libcgroup was called to do. */
enum call_kind {
	CALL_PROCESS,	/* put a process, with all its threads, into a group */
	CALL_THREAD,	/* put one thread into a group */
	CALL_EVERYBODY,	/* put every process where the rules want it */
	CALL_SETTINGS,	/* write settings of a group */
	CALL_GROUPS,	/* make groups, with settings */
	CALL_DELETE,	/* remove a group; what is in it falls to the parent */
};

struct call {
	enum call_kind kind;
	const char *function;	/* as libcgroup calls it */
	pid_t pid;		/* PROCESS, THREAD */
	const char *group;	/* its name where it is known, else NULL */
	bool cpuset;		/* the group is named in cpuset's hierarchy, too */
	const char *mems;	/* SETTINGS: nodes about to be written, or NULL */
	bool recursive;		/* DELETE: with everything below */
};

/* What begin() and inner() tell the caller to do. */
enum verdict {
	CALL_REAL,	/* call the real function */
	CALL_DEFERRED,	/* cpuset.mems is being changed: leave it out */
};

struct event;

struct plugin_core {
	/* Before the real function. Never fails; *event may come back NULL. */
	enum verdict (*begin)(const struct call *call, struct event **event);
	/* The same, within a call that is not over yet. */
	void (*inner)(struct event *event, const struct call *call);
	/* After it, with what it returned. Takes the event over. */
	void (*end)(struct event *event, int returned);
	/* Would the kernel take the nodes, as far as can be seen? */
	bool (*takes)(const struct call *call);
	/* Is cpuset on a v2 hierarchy? */
	bool (*unified)(void);
	/* Is it, and does this group have one? */
	bool (*has_v2_cpuset)(const char *group);
};

#define PLUGIN_CORE_FILE "libcgroup-cgmigrate-core.so"
#define PLUGIN_CORE_SYMBOL "cgmigrate_plugin_core"

#endif /* PLUGIN_INTERFACE_H */
