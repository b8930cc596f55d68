/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memory.numa_stat of cgroup v2. */
#ifndef CGM_MEMCG_H
#define CGM_MEMCG_H

#include <stdint.h>

#include "libcgmigrate.h"

int memcg_parse(const char *text,
		void (*add)(void *data, enum cgm_kind kind, int node, int64_t bytes),
		void *data);
void memcg_marks(const char *text, uint64_t *locked, uint64_t *huge);

#endif /* CGM_MEMCG_H */
