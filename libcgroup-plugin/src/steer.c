// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How much one call may move so that it stays within a time. Pure arithmetic.
 *
 * A single measurement says little: the mover is preempted, CPUs are slow to
 * answer. Medians of the last few are followed instead, so that one outlier
 * does not make all following batches tiny.
 */
#include <stdlib.h>
#include <string.h>

#include "steer.h"

void samples_add(struct samples *s, uint64_t value)
{
	s->value[s->count++ % STEER_SAMPLES] = value;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t samples_median(const struct samples *s)
{
	uint64_t sorted[STEER_SAMPLES];
	size_t n = s->count < STEER_SAMPLES ? s->count : STEER_SAMPLES;

	if (!n)
		return 0;
	memcpy(sorted, s->value, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return sorted[n / 2];
}

void steer_init(struct steer *st, uint64_t bound_usec, uint64_t first, uint64_t least,
		uint64_t most)
{
	memset(st, 0, sizeof(*st));
	st->bound_usec = bound_usec;
	st->batch = first;
	st->least = least;
	st->most = most;
}

/*
 * A call moved so much in so long: choose the next batch, at most twice this
 * one. Returns the time without the overhead, which does not hurt the process
 * whose pages move.
 */
uint64_t steer_call(struct steer *st, uint64_t bytes, uint64_t usec)
{
	uint64_t overhead = samples_median(&st->overhead), cost, next;

	usec = usec > overhead ? usec - overhead : 0;
	if (bytes < st->least / 2)	/* too little to tell */
		return usec;
	samples_add(&st->cost, usec * 1000 / (bytes / 1024 ? bytes / 1024 : 1));
	cost = samples_median(&st->cost);
	next = cost ? st->bound_usec * 1000 / cost * 1024 : st->most;
	if (next > st->batch * 2)
		next = st->batch * 2;
	if (next < st->least)
		next = st->least;
	st->batch = next < st->most ? next : st->most;
	return usec;
}
