/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much one call may move so that it stays within a time. */
#ifndef CGM_STEER_H
#define CGM_STEER_H

#include <stddef.h>
#include <stdint.h>

#define STEER_SAMPLES 9

/* The last few measurements of something. */
struct samples {
	uint64_t value[STEER_SAMPLES];
	size_t count;		/* ever taken */
};

struct steer {
	uint64_t bound_usec;	/* how long a call may take, beyond its overhead */
	struct samples overhead; /* usec of a call that moves nothing */
	struct samples cost;	/* nsec a KiB */
	uint64_t batch;		/* bytes the next call may move */
	uint64_t least;
	uint64_t most;
};

void samples_add(struct samples *s, uint64_t value);
uint64_t samples_median(const struct samples *s);
void steer_init(struct steer *st, uint64_t bound_usec, uint64_t first, uint64_t least,
		uint64_t most);
uint64_t steer_call(struct steer *st, uint64_t bytes, uint64_t usec);

#endif /* CGM_STEER_H */
