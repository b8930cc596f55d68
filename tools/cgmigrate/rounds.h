/* SPDX-License-Identifier: GPL-2.0 */
/* Carrying a schedule out. */
#ifndef ROUNDS_H
#define ROUNDS_H

#include "cgmigrate.h"

struct rounds {
	struct app *app;
	const struct cgm_schedule *schedule;
	struct follow_options follow;
	uint64_t rate;		/* of every move, 0: not limited */
	uint64_t max_stall_usec;
	json_t *object;		/* gets a "result" over all rounds; may have a "rest" */
	struct cpus *cpus;	/* of the schedule's targets */
	json_t *targets;	/* the same ones in the journal */
	bool by_journal;	/* on or back from where another one was stopped */
	bool back;		/* to what the journal says that was */
	int (*save)(void *data); /* the journal: 0, or an exit code */
	void *data;
	struct stayed *stayed;	/* of each target */
	bool changed;
};

/* rest.c */
void rest_report(const struct cgm_schedule *schedule, const json_t *targets, bool back,
		 json_t *object);
bool print_rest(struct app *app, const json_t *object);
int rest_plan(const struct rounds *rounds, struct cgm_plan **plan);
size_t rest_pairs(const struct rounds *rounds, const struct cgm_step *step,
		  struct cgm_node_pair *pairs);

int rounds_run(struct rounds *rounds);
json_t *rounds_notes(struct rounds *rounds);
bool rounds_removed(struct cgm_group *group);

/* cpus-rounds.c */
int cpus_before_round(struct rounds *rounds, int round);
int cpus_after_round(struct rounds *rounds, int round);

#endif /* ROUNDS_H */
