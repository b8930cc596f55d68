// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * /proc/PID/pagemap: which pages are there, without looking at what is not.
 *
 * The kernel holds the process's mmap_lock while it fills one answer, so every
 * question here is bounded: that is the stall a look at the process costs it.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pagemap.h"
#include "private.h"

/* From Linux 6.7; Debian 12's headers are older. */
struct scan_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

struct scan_arg {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN_IOCTL	_IOWR('f', 16, struct scan_arg)
#define SCAN_FILE	(1 << 2)
#define SCAN_PRESENT	(1 << 3)
#define SCAN_PFNZERO	(1 << 5)
#define SCAN_HUGE	(1 << 6)

/* Pages asked for at once: the walk below mmap_lock ends there. */
#define SCAN_PAGES	4096
#define SCAN_REGIONS	64
#define READ_ENTRIES	512

bool pagemap_can_scan(int fd)
{
	struct scan_arg arg = { .size = sizeof(arg), .category_mask = SCAN_PRESENT };

	return ioctl(fd, SCAN_IOCTL, &arg) >= 0;
}

bool pagemap_shows_pfn(int fd, unsigned int page_size)
{
	uint64_t here = 0;

	if (pread(fd, &here, sizeof(here),
		  (uintptr_t)&here / page_size * sizeof(here)) != sizeof(here))
		return false;
	return (here & PAGEMAP_PRESENT) && (here & PAGEMAP_PFN_MASK);
}

/* Read entries for @count pages from @addr. Returns how many, or -errno. */
int pagemap_entries(int fd, unsigned int page_size, uint64_t addr, uint64_t *entries,
		    size_t count)
{
	ssize_t n = pread(fd, entries, count * sizeof(*entries),
			  addr / page_size * sizeof(*entries));

	return n < 0 ? -errno : n / (ssize_t)sizeof(*entries);
}

static int runs_by_scan(int fd, uint64_t *start, uint64_t end, struct page_run *runs,
			size_t count)
{
	struct scan_region regions[SCAN_REGIONS];
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = *start,
		.end = end,
		.vec = (uintptr_t)regions,
		.vec_len = count < SCAN_REGIONS ? count : SCAN_REGIONS,
		.max_pages = SCAN_PAGES,
		.category_inverted = SCAN_PFNZERO,
		.category_mask = SCAN_PRESENT | SCAN_PFNZERO,
		.return_mask = SCAN_FILE | SCAN_HUGE,
	};
	int n = ioctl(fd, SCAN_IOCTL, &arg);

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		runs[i].start = regions[i].start;
		runs[i].end = regions[i].end;
		runs[i].file = regions[i].categories & SCAN_FILE;
		runs[i].huge = regions[i].categories & SCAN_HUGE;
	}
	*start = arg.walk_end;
	return n;
}

static int runs_by_read(int fd, unsigned int page_size, uint64_t *start, uint64_t end,
			struct page_run *runs, size_t count)
{
	uint64_t entries[READ_ENTRIES];
	size_t want = (end - *start) / page_size, used = 0;
	uint64_t addr = *start;
	int n;

	n = pagemap_entries(fd, page_size, addr, entries,
			    want < READ_ENTRIES ? want : READ_ENTRIES);
	if (n <= 0) {
		*start = end;
		return n;
	}
	for (int i = 0; i < n; i++, addr += page_size) {
		bool file = entries[i] & PAGEMAP_FILE;

		if (!(entries[i] & PAGEMAP_PRESENT))
			continue;
		if (used && runs[used - 1].end == addr && runs[used - 1].file == file) {
			runs[used - 1].end += page_size;
			continue;
		}
		if (used == count)
			break;
		runs[used++] = (struct page_run){ addr, addr + page_size, file, false };
	}
	*start = addr;
	return used;
}

/*
 * The next runs of present pages from *start on; *start moves behind what was
 * looked at, so that no runs and *start < end means: ask again.
 * Returns how many, or -errno.
 */
int pagemap_runs(int fd, bool scan, unsigned int page_size, uint64_t *start,
		 uint64_t end, struct page_run *runs, size_t count)
{
	if (scan)
		return runs_by_scan(fd, start, end, runs, count);
	return runs_by_read(fd, page_size, start, end, runs, count);
}
