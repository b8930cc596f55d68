/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files about churn share: a patch of memory whose every page is known.
 */
#ifndef NUMALOAD_CHURN_H
#define NUMALOAD_CHURN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "numaload.h"

#define PATCH_PAGES	64

/**
 * struct patch - memory that one thread alone writes
 * @addr: where it is now
 * @seed: of its pattern
 * @expect: version of each page, 0: all zeroes
 * @last: the newest version
 */
struct patch {
	unsigned char *addr;
	uint64_t seed;
	uint64_t expect[PATCH_PAGES];
	uint64_t last;
};

/**
 * struct churner - a thread that changes its memory all the time
 * @ops: what it does, a bit for each
 * @random: state of its random numbers
 * @patch: its private memory
 * @file: its memory that is a file
 * @fd: the file; -1 if it has none yet
 * @done: operations done
 * @bad: pages that were not as they should be
 * @error: errno of what failed
 */
struct churner {
	pthread_t thread;
	unsigned int ops;
	uint64_t random;
	struct patch patch;
	struct patch file;
	int fd;
	_Atomic uint64_t done;
	_Atomic uint64_t bad;
	_Atomic int error;
};

/* Where files are made; empty: in memory. */
extern char churn_dir[256];

static inline uint64_t *patch_page(const struct patch *patch, size_t page)
{
	return (uint64_t *)(patch->addr + page * page_size);
}

void patch_write(struct patch *patch, size_t from, size_t count);
/* Returns the number of wrong pages. */
uint64_t patch_verify(const struct patch *patch, const char *who);
void churn_pick_range(struct churner *churner, size_t *from, size_t *count);

/* churn-file.c */
int churn_file(struct churner *churner);
void churn_file_end(struct churner *churner);

#endif /* NUMALOAD_CHURN_H */
