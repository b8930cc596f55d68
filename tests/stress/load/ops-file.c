// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: the file behind an area.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numastress.h"

#define REST_US		2000

static int op_read(struct worker *w, struct random *r, size_t from, size_t count)
{
	uint64_t words[PAGE_WORDS];
	size_t page;
	ssize_t done;

	(void)r;
	for (page = from; page < from + count; page++) {
		done = pread(w->area->fd, words, PAGE, page * PAGE);
		if (done != (ssize_t)PAGE)
			return done < 0 ? -errno : -EIO;
		if (!area_check_copy(w->area, page, words))
			break;
	}
	return 0;
}

static int op_pwrite(struct worker *w, struct random *r, size_t from, size_t count)
{
	uint64_t words[PAGE_WORDS];
	size_t page;
	ssize_t done;

	(void)r;
	for (page = from; page < from + count; page++) {
		area_compose(w->area, page, words);
		done = pwrite(w->area->fd, words, PAGE, page * PAGE);
		if (done != (ssize_t)PAGE) {
			area_flag(w->area, page, 1, STATE_TORN);
			return done < 0 ? -errno : -EIO;
		}
		area_written(w->area, page);
	}
	return 0;
}

/* The end of the file, whatever was asked for: that is what a truncation cuts off. */
static int op_truncate(struct worker *w, struct random *r, size_t from, size_t count)
{
	size_t keep = random_below(r, from + count);

	if (ftruncate(w->area->fd, keep * PAGE))
		return -errno;
	area_discarded(w->area, keep, from + count - keep);
	rest(r, REST_US);
	if (ftruncate(w->area->fd, w->area->kind->pages * PAGE)) {
		board_fail("a file cannot be extended: error %d", errno);
		return -errno;
	}
	return 0;
}

static int op_punch(struct worker *w, struct random *r, size_t from, size_t count)
{
	(void)r;
	if (fallocate(w->area->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from * PAGE,
		      count * PAGE))
		return -errno;
	area_discarded(w->area, from, count);
	return 0;
}

static int op_sync(struct worker *w, struct random *r, size_t from, size_t count)
{
	if (random_below(r, 2) || w->area->kind->unmapped)
		return fdatasync(w->area->fd) ? -errno : 0;
	return msync(area_page(w->area, from), count * PAGE, MS_SYNC) ? -errno : 0;
}

/* Out of memory, as far as it is clean and nobody has it mapped; read again after that. */
static int op_forget(struct worker *w, struct random *r, size_t from, size_t count)
{
	if (random_below(r, 2) && fdatasync(w->area->fd))
		return -errno;
	return -posix_fadvise(w->area->fd, from * PAGE, count * PAGE, POSIX_FADV_DONTNEED);
}

const struct op file_ops[] = {
	{ "read", false, op_read },
	{ "pwrite", false, op_pwrite },
	{ "truncate", true, op_truncate },
	{ "punch", false, op_punch },
	{ "sync", false, op_sync },
	{ "forget", false, op_forget },
	{ 0 }
};
