/* SPDX-License-Identifier: GPL-2.0 */
/* What "cgmigrate bench" and the process whose memory it moves have in common. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"

/* Single bytes; each is answered with a number. */
enum order {
	FILL = 'f',
	VERIFY = 'v',
	WHERE = 'w',
	PROBE_TOUCH = 't',
	PROBE_MMAP = 'm',
	PROBED = 'p',
};

/* In memory that both processes see. A probe may span several of them. */
enum stage { STAGE_IDLE, STAGE_MOVING, STAGE_AFTER };

struct shared {
	_Atomic int stage;
	atomic_bool stop;
	int probe_error;
	uint64_t wrong;		/* words */
	struct bench_where where;
	struct stalls idle;
	struct stalls moving;
	char error[512];
};

struct bench_load {
	struct bench *bench;
	enum bench_kind kind;
	uint64_t size;
	size_t page_size;
	size_t step;		/* bytes of what is moved in one piece */
	unsigned char *memory;
	pid_t pid;
	int fd;
	struct shared *shared;
	pthread_t thread;
	enum bench_probe probe;
};

/* bench-memory.c: what the process does; it does not return. */
void bench_memory_main(struct bench_load *load, pid_t parent) __attribute__((noreturn));

#endif /* BENCH_LOAD_H */
