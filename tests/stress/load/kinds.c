// SPDX-License-Identifier: GPL-2.0
/*
 * The kinds of memory, each with what can be done to it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "numastress.h"

/* Not in the C library's headers. */
#ifndef MADV_NOMIGRATE
#define MADV_NOMIGRATE	120
#endif

#define HUGE_BYTES	(HUGE_PAGES * PAGE)

#define PRIVATE_OPS	"write check protect unmap mremap pin splice gup mbind move fork exec " \
			"dontneed "
#define ANON_OPS	PRIVATE_OPS "wp missing free cold pageout collapse lock "
#define FILE_OPS	"write check read pwrite truncate punch dontneed pageout protect " \
			"unmap fork splice gup mbind move "
#define SHMEM_OPS	FILE_OPS "remove collapse wp pin lock "
#define DISK_OPS	FILE_OPS "remove sync forget "
#define UNMAPPED_OPS	"write check truncate punch "

/**
 * reserve - addresses that nobody uses, from the start of a huge page
 *
 * Return: NULL with errno set if there are none.
 */
unsigned char *reserve(size_t bytes)
{
	unsigned char *addr = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (addr == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)addr & (HUGE_BYTES - 1);
	if (head)
		munmap(addr, head);
	munmap(addr + head + bytes, HUGE_BYTES - head);
	return addr + head;
}

static int map_pages(const struct area *area, unsigned char *at, size_t from, size_t count,
		     int flags)
{
	if (mmap(at, count * PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, area->fd,
		 area->fd < 0 ? 0 : (off_t)(from * PAGE)) == MAP_FAILED)
		return -errno;
	return 0;
}

static int map_advised(const struct area *area, unsigned char *at, size_t from, size_t count,
		       int flags, int advice)
{
	int ret = map_pages(area, at, from, count, flags);

	if (!ret && madvise(at, count * PAGE, advice))
		ret = -errno;
	return ret;
}

static int map_anon(struct area *area, unsigned char *at, size_t from, size_t count)
{
	return map_advised(area, at, from, count, MAP_PRIVATE | MAP_ANONYMOUS, MADV_NOHUGEPAGE);
}

static int map_thp(struct area *area, unsigned char *at, size_t from, size_t count)
{
	return map_advised(area, at, from, count, MAP_PRIVATE | MAP_ANONYMOUS, MADV_HUGEPAGE);
}

static int map_exempt(struct area *area, unsigned char *at, size_t from, size_t count)
{
	return map_advised(area, at, from, count, MAP_PRIVATE | MAP_ANONYMOUS, MADV_NOMIGRATE);
}

static int map_mergeable(struct area *area, unsigned char *at, size_t from, size_t count)
{
	return map_advised(area, at, from, count, MAP_PRIVATE | MAP_ANONYMOUS, MADV_MERGEABLE);
}

static int map_locked(struct area *area, unsigned char *at, size_t from, size_t count)
{
	return map_pages(area, at, from, count, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED);
}

/* Its pages come from a pool; a child would take more than it has. */
static int map_hugetlb(struct area *area, unsigned char *at, size_t from, size_t count)
{
	return map_advised(area, at, from, count, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
			   MADV_DONTFORK);
}

static int map_shared_file(struct area *area, unsigned char *at, size_t from, size_t count)
{
	return map_pages(area, at, from, count, MAP_SHARED);
}

static int map_private_file(struct area *area, unsigned char *at, size_t from, size_t count)
{
	return map_pages(area, at, from, count, MAP_PRIVATE);
}

static int map_sysv(struct area *area, unsigned char *at, size_t from, size_t count)
{
	(void)from;
	(void)count;
	return shmat(area->shmid, at, SHM_REMAP) == (void *)-1 ? -errno : 0;
}

static int sized(struct area *area)
{
	if (area->fd < 0 || ftruncate(area->fd, area->kind->pages * PAGE))
		return -errno;
	return 0;
}

static int back_memfd(struct area *area)
{
	area->fd = memfd_create("stress", MFD_CLOEXEC);
	return sized(area);
}

static int back_tmpfs(struct area *area)
{
	area->fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return sized(area);
}

static int back_disk(struct area *area)
{
	area->fd = open(area->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return sized(area);
}

static int back_sysv(struct area *area)
{
	area->shmid = shmget(IPC_PRIVATE, area->kind->pages * PAGE, IPC_CREAT | 0600);
	return area->shmid < 0 ? -errno : 0;
}

/* Nobody writes to the file any more; it is filled by each who starts, the same. */
static int map_cow(struct area *area, unsigned char *at, size_t from, size_t count)
{
	uint64_t words[PAGE_WORDS];
	size_t page;

	if (area->fd < 0) {
		area->fd = open(area->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (sized(area))
			return -errno;
		for (page = 0; page < area->kind->pages; page++) {
			area_fill_base(area, page, words);
			if (pwrite(area->fd, words, PAGE, page * PAGE) != (ssize_t)PAGE)
				return -EIO;
		}
	}
	return map_private_file(area, at, from, count);
}

static const struct kind kinds[] = {
	{ .name = "anon", .pages = 512, .ops = ANON_OPS "huge ", .map = map_anon },
	{ .name = "thp", .pages = 1024, .ops = ANON_OPS "huge ", .map = map_thp },
	/* Too small for a huge page of the largest size. */
	{ .name = "mthp", .pages = 256, .ops = ANON_OPS, .map = map_thp },
	{ .name = "exempt", .pages = 512, .ops = ANON_OPS "exempt ", .map = map_exempt },
	{ .name = "ksm", .identical = true, .pages = 512, .ops = ANON_OPS "merge ",
	  .map = map_mergeable },
	{ .name = "locked", .locked = true, .pages = 512, .map = map_locked,
	  .ops = PRIVATE_OPS "wp unlock collapse " },
	{ .name = "cow", .base = true, .pages = 256, .map = map_cow,
	  .ops = PRIVATE_OPS "pageout lock " },
	{ .name = "hugetlb", .huge = true, .pages = 1024, .map = map_hugetlb,
	  .ops = "write check protect pin splice gup mbind move " },
	{ .name = "memfd", .shared = true, .pages = 1024, .back = back_memfd,
	  .map = map_shared_file, .ops = SHMEM_OPS },
	{ .name = "tmpfs", .shared = true, .pages = 512, .back = back_tmpfs,
	  .map = map_shared_file, .ops = SHMEM_OPS },
	{ .name = "sysv", .shared = true, .pages = 512, .back = back_sysv, .map = map_sysv,
	  .ops = "write check remove dontneed pageout protect reattach fork pin splice gup "
		 "mbind move lock " },
	{ .name = "file", .shared = true, .pages = 512, .back = back_disk,
	  .map = map_shared_file, .ops = DISK_OPS },
	{ .name = "cache-shmem", .shared = true, .unmapped = true, .pages = 512,
	  .back = back_memfd, .ops = UNMAPPED_OPS },
	{ .name = "cache-file", .shared = true, .unmapped = true, .pages = 512,
	  .back = back_disk, .ops = UNMAPPED_OPS "sync forget " },
};

/**
 * kind_find - a kind by its name, or NULL
 */
const struct kind *kind_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/**
 * kinds_print - each kind, how many processes it wants, and what can be done to it
 */
void kinds_print(void)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		printf("%s %s %s\n", kinds[i].name, kinds[i].shared ? "shared" : "private",
		       kinds[i].ops);
}
