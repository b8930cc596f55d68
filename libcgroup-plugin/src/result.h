/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The account of a job. */
#ifndef CGM_RESULT_H
#define CGM_RESULT_H

#include "private.h"

struct cgm_result {
	struct cgm_row *rows;
	size_t count;
	size_t room;
	uint64_t totals[CGM_REASON_COUNT];
	struct cgm_placement **after;	/* by item */
	size_t items;
	struct notes notes;
};

/* Node, node and kind of a row; what is not known is -1. */
struct cell {
	int from;
	int to;
	enum cgm_kind kind;
	uint64_t weight;
	uint64_t share;
};

int result_init(struct cgm_result *result, size_t items);
void result_clear(struct cgm_result *result);
int result_add(struct cgm_result *result, size_t item, const struct cell *cell,
	       enum cgm_reason reason, uint64_t bytes, unsigned int flags);
int result_spread(struct cgm_result *result, size_t item, struct cell *cells,
		  size_t count, enum cgm_reason reason, uint64_t units, uint64_t unit);
void result_sort(struct cgm_result *result);
bool reason_is_failure(enum cgm_reason reason);
bool result_partial(const struct cgm_result *result, size_t item);

#endif /* CGM_RESULT_H */
