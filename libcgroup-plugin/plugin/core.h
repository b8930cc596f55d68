/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of libcgroup-cgmigrate-core.so share. */
#ifndef PLUGIN_CORE_H
#define PLUGIN_CORE_H

#include <jansson.h>
#include <limits.h>
#include <stdint.h>

#include <libcgmigrate.h>

#include "interface.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* What the kernel moves by itself before a batch of ours were on its way. */
#define SMALL_BYTES (4 << 20)

/* config.c: what was asked for, in the environment */
enum settle_when {
	SETTLE_AUTO,	/* where memory follows its process */
	SETTLE_ALWAYS,	/* where cgroup v1 is told not to move it, too */
	SETTLE_NEVER,
};

enum report_to {
	REPORT_NOWHERE,
	REPORT_FILE,
	REPORT_FD,
	REPORT_JOURNAL,
};

struct config {
	uint64_t rate;		/* bytes a second, 0: no limit */
	uint32_t max_stall_usec; /* 0: the library's own */
	bool no_wait;
	enum settle_when settle;
	enum report_to report_to;
	const char *report_file;
	int report_fd;
	json_t *complaints;	/* what could not be understood, as notes */
};

const struct config *config_get(void);

/* event.c: one thing that a user does */

/* Where something is in the tree of cpusets, and its memory. */
struct whereabouts {
	char *path;		/* NULL: not known */
	cgm_nodeset nodes;
	struct cgm_placement *memory; /* may be NULL */
};

struct seen_process {
	pid_t pid;
	char *path;
};

struct seen_group {
	char *path;
	cgm_nodeset nodes;
};

struct event {
	struct call call;	/* with copies of its strings */
	struct cgm_context *ctx;
	struct cgm_features features;
	uint64_t started;
	struct whereabouts before;
	json_t *moves;
	json_t *notes;
	json_t *groups;		/* GROUPS: whose nodes changed */
	struct seen_process *processes; /* EVERYBODY, DELETE */
	size_t process_count;
	struct seen_group *tree; /* GROUPS */
	size_t tree_count;
	bool stands_in[3];	/* for a standard descriptor that the tool has closed */
	int helper;		/* to the process that goes on, or from it; -1: none */
	bool in_helper;
	bool hurried;		/* the helper is to end soon: no limit any more */
	bool handed_over;	/* the helper makes the record */
	bool moved;		/* by us; moves say what stayed, and why */
};

#define RETURNED_NOTHING INT_MIN	/* the tool ended before the function did */

struct event *event_new(const struct call *call);
void event_free(struct event *event);
void event_note(struct event *event, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void event_end(struct event *event, int returned);
struct cgm_group *event_group(struct event *event, const char *name);
bool event_follows(struct event *event, struct cgm_group *group);
bool event_settles(struct event *event, struct cgm_group *group);
bool event_is_v1(const struct event *event);
int event_move(struct event *event, const char *purpose, struct cgm_move *move);
void event_settle_group(struct event *event, struct cgm_group *group);
void whereabouts_of_pid(struct event *event, pid_t pid, struct whereabouts *where);
void whereabouts_of_group(struct cgm_group *group, struct whereabouts *where);
void whereabouts_read_memory(struct cgm_group *group, struct whereabouts *where);
void whereabouts_clear(struct whereabouts *where);
uint64_t whereabouts_bytes(const struct whereabouts *where);
uint64_t now_usec(void);

/* attach.c */
void attach_begin(struct event *event);
void attach_inner(struct event *event, const struct call *call);
json_t *attach_end(struct event *event, int returned);
void everybody_begin(struct event *event);
void everybody_end(struct event *event);
void delete_begin(struct event *event);
void delete_end(struct event *event);

/* setting.c */
enum verdict settings_begin(struct event *event);
json_t *settings_end(struct event *event, int returned);
bool settings_taken(struct event *event, struct cgm_group *group);

/* tree.c */
void tree_begin(struct event *event);
void tree_end(struct event *event);

/* helper.c */
bool helper_start(struct event *event);
void helper_started(struct event *event, bool well);
void helper_finish(struct event *event);
void helper_wait(struct event *event, struct cgm_job *job);

/* report.c */
json_t *report_whereabouts(const struct event *event, const struct whereabouts *where);
json_t *report_nodes(const cgm_nodeset *nodes);
void report_event(struct event *event, int returned, json_t *after);

#endif /* PLUGIN_CORE_H */
