/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of the kernel's migration engine. */
#ifndef CGM_ENGINE_H
#define CGM_ENGINE_H

#include "private.h"

struct engine_files {
	const char *max;
	const char *hold;
	const char *stop;
	const char *settle;
	const char *cache;
	const char *events;
	const char *stat;
};

const struct engine_files *engine_files(const struct cgm_context *ctx);
bool group_has_engine(struct cgm_group *group);
enum cgm_backend group_backend(struct cgm_group *group);

/* The counters of the stat file, in the order of its names (engine.c). */
enum engine_counter {
	EC_PENDING, EC_HELD, EC_TOTAL,
	EC_SCANNED, EC_MOVED, EC_INPLACE, EC_GONE, EC_SPLIT, EC_SWAPPED, EC_LEFT,
	EC_SKIP_VMA, EC_SKIP_EXEMPT, EC_SKIP_SHARED,
	EC_FAIL_NOMEM, EC_FAIL_PINNED, EC_FAIL_BUSY, EC_FAIL_FS, EC_FAIL_NONLRU,
	EC_FAIL_HUGETLB,
	EC_CHUNK_MAX_USEC,
	EC_COUNT
};

struct engine_stat {
	uint64_t value[EC_COUNT];
};

int engine_parse_stat(const char *text, struct engine_stat *stat);
int engine_read_stat(struct cgm_group *group, struct engine_stat *stat);
enum cgm_reason engine_counter_reason(enum engine_counter counter);

/* control.c */
int engine_read_rate(struct cgm_group *group, uint64_t *rate);

#endif /* CGM_ENGINE_H */
