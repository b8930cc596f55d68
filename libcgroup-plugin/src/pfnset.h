/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of page frame numbers. */
#ifndef CGM_PFNSET_H
#define CGM_PFNSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pfnset {
	uint64_t *slots;	/* 0: empty */
	size_t room;		/* a power of two, or 0 */
	size_t count;
};

int pfnset_add(struct pfnset *set, uint64_t pfn);
bool pfnset_has(const struct pfnset *set, uint64_t pfn);
void pfnset_free(struct pfnset *set);

#endif /* CGM_PFNSET_H */
