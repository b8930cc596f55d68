/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/PID/pagemap: which pages are there, without looking at what is not. */
#ifndef CGM_PAGEMAP_H
#define CGM_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits of an entry; Documentation/admin-guide/mm/pagemap.rst. */
#define PAGEMAP_PFN_MASK	((1ULL << 55) - 1)
#define PAGEMAP_EXCLUSIVE	(1ULL << 56)
#define PAGEMAP_FILE		(1ULL << 61)
#define PAGEMAP_PRESENT		(1ULL << 63)

/* A run of present pages of one nature. */
struct page_run {
	uint64_t start;
	uint64_t end;
	bool file;	/* not anonymous */
	bool huge;	/* mapped by one huge entry a huge page */
};

bool pagemap_can_scan(int fd);
bool pagemap_shows_pfn(int fd, unsigned int page_size);
int pagemap_runs(int fd, bool scan, unsigned int page_size, uint64_t *start,
		 uint64_t end, struct page_run *runs, size_t count);
int pagemap_entries(int fd, unsigned int page_size, uint64_t addr, uint64_t *entries,
		    size_t count);

#endif /* CGM_PAGEMAP_H */
