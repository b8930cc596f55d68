/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Huge pages of the pools that several processes map, so that each counts once. */
#ifndef CGM_HUGESHARE_H
#define CGM_HUGESHARE_H

#include "numamaps.h"

/* A piece of a file, and the pages of it that were counted. */
struct huge_share {
	unsigned int major;
	unsigned int minor;
	unsigned long long inode;
	unsigned long long offset;
	uint64_t *pages;	/* by node */
};

struct huge_shares {
	struct huge_share *list;
	size_t count;
};

int huge_shares_take(struct huge_shares *shares, const char *map, struct numa_line *line);
void huge_shares_free(struct huge_shares *shares);

#endif /* CGM_HUGESHARE_H */
