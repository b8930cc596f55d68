// SPDX-License-Identifier: LGPL-2.1-or-later
/* A set of page frame numbers, none of them 0: open addressing, half full. */
#include <errno.h>
#include <stdlib.h>

#include "pfnset.h"

/* Where the number is, or where it would be put. */
static size_t slot_of(const uint64_t *slots, size_t room, uint64_t pfn)
{
	size_t i = (pfn * 0x9e3779b97f4a7c15ULL >> 20) & (room - 1);

	while (slots[i] && slots[i] != pfn)
		i = (i + 1) & (room - 1);
	return i;
}

static int grow(struct pfnset *set)
{
	size_t room = set->room ? set->room * 2 : 1024;
	uint64_t *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < set->room; i++)
		if (set->slots[i])
			slots[slot_of(slots, room, set->slots[i])] = set->slots[i];
	free(set->slots);
	set->slots = slots;
	set->room = room;
	return 0;
}

int pfnset_add(struct pfnset *set, uint64_t pfn)
{
	size_t i;

	if (set->count * 2 >= set->room && grow(set))
		return -ENOMEM;
	i = slot_of(set->slots, set->room, pfn);
	set->count += !set->slots[i];
	set->slots[i] = pfn;
	return 0;
}

bool pfnset_has(const struct pfnset *set, uint64_t pfn)
{
	return set->room && set->slots[slot_of(set->slots, set->room, pfn)] == pfn;
}

void pfnset_free(struct pfnset *set)
{
	free(set->slots);
	set->slots = NULL;
	set->room = 0;
	set->count = 0;
}
