/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line of /proc/PID/numa_maps. */
#ifndef CGM_NUMAMAPS_H
#define CGM_NUMAMAPS_H

#include <stddef.h>
#include <stdint.h>

#include "libcgmigrate.h"

struct numa_line {
	uint64_t start;		/* address of the mapping */
	char policy[64];	/* "default", "bind:0" ... */
	char file[256];		/* backing file, "" for none; ends may be cut */
	int huge;		/* from a huge page pool */
	uint64_t page_size;	/* bytes a counted page stands for */
	uint64_t anon;		/* anonymous pages, of all nodes */
	uint64_t total;		/* pages of all nodes */
	size_t count;
	struct {
		int node;
		uint64_t pages;
	} nodes[CGM_NODES_MAX];	/* where they are; the others are not filled in */
};

int numamaps_parse(const char *text, unsigned int page_size, struct numa_line *line);
int numamaps_shared_name(const char *file);

#endif /* CGM_NUMAMAPS_H */
