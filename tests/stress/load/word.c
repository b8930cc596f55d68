// SPDX-License-Identifier: GPL-2.0
/*
 * What a word must be: its place, scrambled by the seed. That can be undone, so a
 * wrong word says where it belongs.
 */
#include "numastress.h"

#define MARK		0x16ULL		/* the upper five bits of every place */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* What WORD_ODD times is one. */
static uint64_t inverse_of_odd(void)
{
	uint64_t inverse = WORD_ODD;
	int i;

	/* Each step doubles the bits that are right, at first three. */
	for (i = 0; i < 5; i++)
		inverse *= 2 - WORD_ODD * inverse;
	return inverse;
}

/**
 * random_start - random numbers that depend on nothing but these three
 */
void random_start(struct random *r, uint64_t seed, uint64_t actor, uint64_t number)
{
	r->state = mix(seed + mix(actor + mix(number)));
}

/**
 * random_below - a random number
 * @limit: not 0
 */
uint64_t random_below(struct random *r, uint64_t limit)
{
	r->state += WORD_ODD;
	return mix(r->state) % limit;
}

/**
 * random_nodes - some of these nodes, at least one
 */
unsigned long random_nodes(struct random *r, unsigned long among)
{
	unsigned long nodes;

	do
		nodes = among & random_below(r, ~0ULL);
	while (!nodes);
	return nodes;
}

/**
 * word_plain - what must be there, before it is scrambled
 */
uint64_t word_plain(const struct place *place)
{
	return MARK << 59 | (uint64_t)(place->area & 0x3ff) << 49 |
	       (uint64_t)(place->page & 0xfff) << 37 |
	       (uint64_t)(place->word & 0x1ff) << WORD_SHIFT | (place->generation & 0xfffffff);
}

/**
 * word_decode - where a word belongs
 *
 * Return: false if nobody with this seed ever wrote it.
 */
bool word_decode(uint64_t seed, uint64_t word, struct place *place)
{
	uint64_t x = ((word ^ word >> 32) * inverse_of_odd()) ^ seed;

	place->area = x >> 49 & 0x3ff;
	place->page = x >> 37 & 0xfff;
	place->word = x >> 28 & 0x1ff;
	place->generation = x & 0xfffffff;
	return x >> 59 == MARK;
}
