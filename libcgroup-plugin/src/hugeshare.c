// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Huge pages of the pools that several processes map.
 *
 * Of other memory the kernel tells a process's part (Pss). Of these pages it does not,
 * and how often one is mapped cannot be told either: processes share page tables there.
 * So a piece of a file is told apart by what /proc/PID/maps says of it, and of those
 * who map it the one with most pages on a node counts.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hugeshare.h"

static bool same_piece(const struct huge_share *a, const struct huge_share *b)
{
	return a->inode == b->inode && a->offset == b->offset && a->major == b->major &&
	       a->minor == b->minor;
}

/* The piece that was seen before, or a new one; NULL: no memory. */
static struct huge_share *find_share(struct huge_shares *shares,
				     const struct huge_share *piece)
{
	struct huge_share *more;

	for (size_t i = 0; i < shares->count; i++)
		if (same_piece(&shares->list[i], piece))
			return &shares->list[i];
	more = realloc(shares->list, (shares->count + 1) * sizeof(*more));
	if (!more)
		return NULL;
	shares->list = more;
	more += shares->count;
	*more = *piece;
	more->pages = calloc(CGM_NODES_MAX, sizeof(*more->pages));
	if (!more->pages)
		return NULL;
	shares->count++;
	return more;
}

/*
 * Leave in a line of numa_maps what was not counted for another process. @map is the
 * line of /proc/PID/maps for it. 0 or -ENOMEM.
 */
int huge_shares_take(struct huge_shares *shares, const char *map, struct numa_line *line)
{
	struct huge_share piece = { 0 }, *share;
	char rights[8];

	if (sscanf(map, "%*s %7s %llx %x:%x %llu", rights, &piece.offset, &piece.major,
		   &piece.minor, &piece.inode) != 5 || !strchr(rights, 's'))
		return 0;
	share = find_share(shares, &piece);
	if (!share)
		return -ENOMEM;
	for (size_t i = 0; i < line->count; i++) {
		uint64_t *counted = &share->pages[line->nodes[i].node];
		uint64_t pages = line->nodes[i].pages;

		line->nodes[i].pages -= pages < *counted ? pages : *counted;
		if (pages > *counted)
			*counted = pages;
	}
	return 0;
}

void huge_shares_free(struct huge_shares *shares)
{
	for (size_t i = 0; i < shares->count; i++)
		free(shares->list[i].pages);
	free(shares->list);
	shares->list = NULL;
	shares->count = 0;
}
