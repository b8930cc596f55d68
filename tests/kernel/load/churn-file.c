// SPDX-License-Identifier: GPL-2.0
/*
 * Churn of a file: written through its mapping and beside it, cut off, extended,
 * punched, synced, dropped from memory, mapped anew; and read both ways.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "churn.h"
#include "numaload.h"

#define BYTES	(PATCH_PAGES * page_size)

char churn_dir[256];

static int file_map(struct churner *churner)
{
	void *addr = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, churner->fd, 0);

	if (addr == MAP_FAILED)
		return -errno;
	churner->file.addr = addr;
	return 0;
}

static int file_open(struct churner *churner)
{
	if (churn_dir[0])
		churner->fd = open(churn_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	else
		churner->fd = memfd_create("churn", MFD_CLOEXEC);
	if (churner->fd < 0 || ftruncate(churner->fd, BYTES))
		return -errno;
	churner->file.seed = churner->patch.seed + 2;
	return file_map(churner);
}

static void file_forget(struct churner *churner, size_t from, size_t count)
{
	memset(&churner->file.expect[from], 0, count * sizeof(churner->file.expect[0]));
}

static int file_write(struct churner *churner, size_t from, size_t count)
{
	patch_write(&churner->file, from, count);
	return 0;
}

static int file_pwrite(struct churner *churner, size_t from, size_t count)
{
	struct patch *file = &churner->file;
	char *buffer = malloc(count * page_size);
	size_t page;
	ssize_t ret;

	if (!buffer)
		return -ENOMEM;
	file->last += 2;
	for (page = 0; page < count; page++) {
		pattern_put((uint64_t *)(buffer + page * page_size), file->seed,
			    from + page, file->last);
		file->expect[from + page] = file->last;
	}
	ret = pwrite(churner->fd, buffer, count * page_size, from * page_size);
	free(buffer);
	if (ret < 0)
		return -errno;
	return ret == (ssize_t)(count * page_size) ? 0 : -EIO;
}

static int file_punch(struct churner *churner, size_t from, size_t count)
{
	file_forget(churner, from, count);
	return fallocate(churner->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 from * page_size, count * page_size) ? -errno : 0;
}

static int file_truncate(struct churner *churner, size_t from, size_t count)
{
	(void)count;
	file_forget(churner, from, PATCH_PAGES - from);
	return ftruncate(churner->fd, from * page_size) || ftruncate(churner->fd, BYTES) ?
	       -errno : 0;
}

static int file_sync(struct churner *churner, size_t from, size_t count)
{
	return msync(patch_page(&churner->file, from), count * page_size, MS_SYNC) ?
	       -errno : 0;
}

/* Out of the page table, and if nobody needs them, out of memory. */
static int file_drop(struct churner *churner, size_t from, size_t count)
{
	if (madvise(patch_page(&churner->file, from), count * page_size, MADV_DONTNEED))
		return -errno;
	return -posix_fadvise(churner->fd, from * page_size, count * page_size,
			      POSIX_FADV_DONTNEED);
}

static int file_read(struct churner *churner, size_t from, size_t count)
{
	struct patch copy = churner->file;
	int ret = 0;

	(void)from;
	(void)count;
	copy.addr = malloc(BYTES);
	if (!copy.addr)
		return -ENOMEM;
	if (pread(churner->fd, copy.addr, BYTES, 0) != (ssize_t)BYTES)
		ret = errno ? -errno : -EIO;
	else
		atomic_fetch_add(&churner->bad, patch_verify(&copy, "file-read"));
	free(copy.addr);
	return ret;
}

static int file_remap(struct churner *churner, size_t from, size_t count)
{
	(void)from;
	(void)count;
	munmap(churner->file.addr, BYTES);
	return file_map(churner);
}

static int (* const steps[])(struct churner *, size_t, size_t) = {
	file_write, file_pwrite, file_punch, file_truncate, file_write,
	file_sync, file_drop, file_read, file_remap,
};

/* Some steps, each followed by a look at every byte of the mapping. */
int churn_file(struct churner *churner)
{
	size_t from, count;
	int ret, i;

	if (churner->fd < 0) {
		ret = file_open(churner);
		if (ret)
			return ret;
	}
	for (i = 0; i < 4; i++) {
		churn_pick_range(churner, &from, &count);
		ret = steps[random_next(&churner->random) %
			    (sizeof(steps) / sizeof(steps[0]))](churner, from, count);
		if (ret)
			return ret;
		atomic_fetch_add(&churner->bad, patch_verify(&churner->file, "file"));
	}
	return 0;
}

void churn_file_end(struct churner *churner)
{
	if (churner->fd < 0)
		return;
	munmap(churner->file.addr, BYTES);
	close(churner->fd);
}
