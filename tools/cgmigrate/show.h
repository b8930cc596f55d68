/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of "cgmigrate show" know of each other. */
#ifndef CGMIGRATE_SHOW_H
#define CGMIGRATE_SHOW_H

#include "cgmigrate.h"

enum by { BY_TARGET, BY_KIND, BY_PROCESS, BY_VMA };

/* One thing to show: a cgroup or a process. */
struct entry {
	char *cgroup;		/* NULL: only a process is known, or a user */
	const char *user;	/* "@name" */
	pid_t pid;		/* 0: a cgroup */
	cgm_nodeset mems;
	cgm_nodeset unit_mems;	/* what systemd has set, where that differs */
	struct cgm_placement *placement;
};

struct show {
	struct app *app;
	enum by by;
	bool all;
	bool nodes;			/* and what there is on each node */
	const char *output;		/* columns the user asked for */
	uint64_t watch_usec;		/* 0: once */
	struct chosen chosen;
	struct entry *entries;
	size_t count;
};

/* show-collect.c: what is there */

/* Look at the targets, or at all cgroups where none is named. Returns an exit code. */
int show_collect(struct show *show, char **targets);
void show_forget(struct show *show);
/* Is every process of a target shown? */
bool show_keeps_processes(const struct show *show);

/* show-table.c: for people */

/* Columns the user asked for, or those of the view. Returns an exit code. */
int show_choose_columns(struct show *show);
void show_print_columns(void);
/* Is there a column that tells marks? */
bool show_tells_marks(const struct show *show);
/* The table as text, to be given to free(3); NULL without memory. */
char *show_table(const struct show *show);

/* show-nodes.c: the nodes themselves */

/* A table as text, to be given to free(3); NULL without memory. */
char *show_nodes(const struct show *show);
json_t *show_json_nodes(const struct show *show);

/* show-json.c: for programs */

void show_print_json(const struct show *show);

#endif /* CGMIGRATE_SHOW_H */
