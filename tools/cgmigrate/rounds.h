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
	json_t *object;		/* gets a "result" over all rounds */
	bool changed;
};

int rounds_run(struct rounds *rounds);

#endif /* ROUNDS_H */
