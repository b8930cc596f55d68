// SPDX-License-Identifier: GPL-2.0
/* How long something took, very many times, in little room. */
#include "stalls.h"

#define LONGEST ((1ULL << STALLS_BITS) - 1)

static unsigned int range_of(uint64_t ns)
{
	unsigned int shift;

	if (ns > LONGEST)
		ns = LONGEST;
	if (ns < STALLS_PARTS)
		return ns;
	shift = 63 - __builtin_clzll(ns) - STALLS_SHIFT;
	return shift * STALLS_PARTS + (ns >> shift);
}

/* The longest duration that counts in a range. */
static uint64_t end_of(unsigned int range)
{
	unsigned int shift = range / STALLS_PARTS;

	if (shift)
		shift--;
	return ((uint64_t)(range - shift * STALLS_PARTS + 1) << shift) - 1;
}

void stalls_note(struct stalls *stalls, uint64_t ns)
{
	stalls->count++;
	stalls->ranges[range_of(ns)]++;
	if (ns > stalls->max)
		stalls->max = ns;
}

/* The duration that so many of a thousand are not above, by the nearest rank. */
uint64_t stalls_quantile(const struct stalls *stalls, unsigned int permille)
{
	uint64_t rank = (stalls->count * permille + 999) / 1000, seen = 0;

	if (!stalls->count)
		return 0;
	if (!rank)
		rank = 1;
	for (unsigned int range = 0; range < STALLS_RANGES; range++) {
		uint64_t end = end_of(range);

		seen += stalls->ranges[range];
		if (seen >= rank)
			return end < stalls->max ? end : stalls->max;
	}
	return stalls->max;
}
