/* SPDX-License-Identifier: GPL-2.0 */
/* How long something took, very many times, in little room. */
#ifndef STALLS_H
#define STALLS_H

#include <stdint.h>

/*
 * Durations in ns are counted by range. A range is exact up to 2 * STALLS_PARTS, and
 * from there on at most 1/STALLS_PARTS of its lower end wide.
 */
#define STALLS_PARTS 64
#define STALLS_SHIFT 6
#define STALLS_BITS 42		/* more than an hour counts as that */
#define STALLS_RANGES ((STALLS_BITS - STALLS_SHIFT + 1) * STALLS_PARTS)

struct stalls {
	uint64_t count;
	uint64_t max;
	uint64_t ranges[STALLS_RANGES];
};

void stalls_note(struct stalls *stalls, uint64_t ns);
uint64_t stalls_quantile(const struct stalls *stalls, unsigned int permille);

#endif /* STALLS_H */
