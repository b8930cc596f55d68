/* SPDX-License-Identifier: GPL-2.0 */
/* CPUs that go along: what the files about them share. */
#ifndef CPUS_H
#define CPUS_H

#include "cgmigrate.h"

struct cpu_item {
	struct cgm_cpumove *move;	/* NULL: the CPUs stay */
	cgm_cpuset before;		/* where there is no move */
	bool known;
	bool begun;
	int first;			/* the rounds of an apply that it lasts */
	int last;
	char *warning;
};

struct cpus {
	struct cpu_item *items;		/* one for each of the plan */
	size_t count;
	size_t *order;			/* for an apply: those above first */
};

/* A cgroup that is to have some nodes. */
struct cpu_target {
	struct cgm_group *group;
	const cgm_nodeset *to;
	bool change;
};

int cpus_new(struct app *app, size_t count, struct cpus **out);
int cpus_keep(struct app *app, const struct cpu_target *target, struct cpu_item *item);
int cpus_choose(struct app *app, const struct cpu_target *target,
		const struct cpu_choice *choice, cgm_cpuset *to);
bool cpus_end_item(struct app *app, const struct cpu_target *target,
		   const struct cpu_item *item, json_t *notes);
bool cpus_read_set(const json_t *object, const char *key, cgm_nodeset *set);

#endif /* CPUS_H */
