/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memory.numa_stat of cgroup v2. */
#ifndef CGM_MEMCG_H
#define CGM_MEMCG_H

#include <stdint.h>

#include "libcgmigrate.h"

/* Page cache on a node. */
struct cache_bytes {
	uint64_t file;		/* all of it, shmem too */
	uint64_t shmem;
	uint64_t mapped;	/* of both */
	uint64_t dirty;		/* or being written */
};

int memcg_parse(const char *text,
		void (*add)(void *data, enum cgm_kind kind, int node, int64_t bytes),
		void *data);
void memcg_marks(const char *text, uint64_t *locked, uint64_t *huge);
void memcg_cache(const char *text, struct cache_bytes *nodes, int count);

#endif /* CGM_MEMCG_H */
