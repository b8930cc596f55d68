// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: memory of each kind that a process can have, filled page by page.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numaload.h"

#define HUGE_BYTES	(2UL << 20)
#define GIGANTIC_BYTES	(1UL << 30)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008U
#endif

struct region regions[MAX_REGIONS];
_Atomic int nr_regions;

static size_t region_bytes(const struct region *region)
{
	return region->pages * page_size;
}

static int set_addr(struct region *region, void *addr)
{
	if (addr == MAP_FAILED)
		return -errno;
	region->addr = addr;
	return 0;
}

static void unmap_pages(struct region *region)
{
	munmap(region->addr, region_bytes(region));
	if (region->fd >= 0)
		close(region->fd);
}

static int map_anon(struct region *region, const char *path)
{
	int ret;

	(void)path;
	ret = set_addr(region, mmap(NULL, region_bytes(region), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	if (!ret)
		madvise(region->addr, region_bytes(region), MADV_NOHUGEPAGE);
	return ret;
}

/* Sparse, as garbage collectors reserve their heaps. */
static int map_noreserve(struct region *region, const char *path)
{
	(void)path;
	return set_addr(region,
			mmap(NULL, region_bytes(region), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

static int map_thp(struct region *region, const char *path)
{
	size_t bytes = region_bytes(region), head;
	unsigned char *addr;

	(void)path;
	addr = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		return -errno;
	head = -(uintptr_t)addr & (HUGE_BYTES - 1);
	if (head)
		munmap(addr, head);
	munmap(addr + head + bytes, HUGE_BYTES - head);
	region->addr = addr + head;
	if (madvise(region->addr, bytes, MADV_HUGEPAGE))
		return -errno;
	return 0;
}

static int map_shared(struct region *region, const char *path)
{
	(void)path;
	return set_addr(region, mmap(NULL, region_bytes(region), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static int map_fd_as(struct region *region, int prot, int flags)
{
	if (region->fd < 0)
		return -errno;
	if (ftruncate(region->fd, region_bytes(region)))
		return -errno;
	return set_addr(region,
			mmap(NULL, region_bytes(region), prot, flags, region->fd, 0));
}

static int map_fd(struct region *region, int flags)
{
	return map_fd_as(region, PROT_READ | PROT_WRITE, flags);
}

static int map_memfd(struct region *region, const char *path)
{
	(void)path;
	region->fd = memfd_create(region->name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	return map_fd(region, MAP_SHARED);
}

static int open_file(struct region *region, const char *path)
{
	if (!path)
		return -EINVAL;
	region->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return region->fd < 0 ? -errno : 0;
}

static int map_file(struct region *region, const char *path)
{
	return open_file(region, path) ?: map_fd(region, MAP_SHARED);
}

/* Of a size of its own. */
static int map_device(struct region *region, const char *path)
{
	return open_file(region, path) ?:
	       set_addr(region, mmap(NULL, region_bytes(region),
				     PROT_READ | PROT_WRITE, MAP_SHARED,
				     region->fd, 0));
}

static int map_private(struct region *region, const char *path)
{
	return open_file(region, path) ?: map_fd(region, MAP_PRIVATE);
}

/* As the text of a program, but for being writable, so that it can be filled. */
static int map_text(struct region *region, const char *path)
{
	return open_file(region, path) ?:
	       map_fd_as(region, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED);
}

static int map_cow(struct region *region, const char *path)
{
	(void)path;
	region->fd = memfd_create(region->name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	return map_fd(region, MAP_PRIVATE);
}

static int map_secret(struct region *region, const char *path)
{
	(void)path;
	region->fd = syscall(SYS_memfd_secret, 0);
	return map_fd(region, MAP_SHARED);
}

static int map_hugetlb_as(struct region *region, int flags)
{
	return set_addr(region,
			mmap(NULL, region_bytes(region), PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_HUGETLB | flags, -1, 0));
}

static int map_hugetlb(struct region *region, const char *path)
{
	(void)path;
	return map_hugetlb_as(region, MAP_PRIVATE | MAP_HUGE_2MB);
}

static int map_hugetlb_shared(struct region *region, const char *path)
{
	(void)path;
	return map_hugetlb_as(region, MAP_SHARED | MAP_HUGE_2MB);
}

static int map_gigantic(struct region *region, const char *path)
{
	(void)path;
	return map_hugetlb_as(region, MAP_PRIVATE | MAP_HUGE_1GB);
}

static int map_sysv(struct region *region, const char *path)
{
	void *addr;
	int ret;

	(void)path;
	region->shmid = shmget(IPC_PRIVATE, region_bytes(region), IPC_CREAT | 0600);
	if (region->shmid < 0)
		return -errno;
	addr = shmat(region->shmid, NULL, 0);
	ret = addr == (void *)-1 ? -errno : 0;
	/* It goes with the last process that has it attached. */
	shmctl(region->shmid, IPC_RMID, NULL);
	region->addr = ret ? NULL : addr;
	return ret;
}

static void unmap_sysv(struct region *region)
{
	shmdt(region->addr);
}

static const struct kind kinds[] = {
	{ "anon",	false,	0,		map_anon,	unmap_pages },
	{ "thp",	false,	HUGE_BYTES,	map_thp,	unmap_pages },
	{ "noreserve",	false,	0,		map_noreserve,	unmap_pages },
	{ "cow",	false,	0,		map_cow,	unmap_pages },
	{ "private",	false,	0,		map_private,	unmap_pages },
	{ "hugetlb",	false,	HUGE_BYTES,	map_hugetlb,	unmap_pages },
	{ "gigantic",	false,	GIGANTIC_BYTES,	map_gigantic,	unmap_pages },
	{ "hugetlb-shared", true, HUGE_BYTES,	map_hugetlb_shared, unmap_pages },
	{ "shared",	true,	0,		map_shared,	unmap_pages },
	{ "memfd",	true,	0,		map_memfd,	unmap_pages },
	{ "file",	true,	0,		map_file,	unmap_pages },
	{ "text",	true,	0,		map_text,	unmap_pages },
	{ "secret",	true,	0,		map_secret,	unmap_pages },
	{ "device",	true,	0,		map_device,	unmap_pages },
	{ "sysv",	true,	0,		map_sysv,	unmap_sysv },
};

static const struct kind *kind_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

static uint64_t seed_of(const char *name)
{
	uint64_t seed = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		seed = (seed ^ (unsigned char)*name) * 0x100000001b3ULL;
	return seed;
}

static int map_versions(struct region *region)
{
	int flags = region->kind->shared ? MAP_SHARED : MAP_PRIVATE;
	void *addr;

	region->version_bytes = region->pages * sizeof(*region->version);
	addr = mmap(NULL, region->version_bytes, PROT_READ | PROT_WRITE,
		    flags | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		return -errno;
	region->version = addr;
	return 0;
}

/**
 * region_page - the address of a page
 */
unsigned char *region_page(const struct region *region, size_t page)
{
	return region->addr + page * page_size;
}

/**
 * region_find - look a region up by name
 */
struct region *region_find(const char *name)
{
	int i, n = atomic_load(&nr_regions);

	for (i = 0; i < n; i++)
		if (regions[i].addr && !strcmp(regions[i].name, name))
			return &regions[i];
	return NULL;
}

/**
 * region_create - map a region; no page of it is touched
 * @name: not in use yet
 * @kind: entry of the table above
 * @pages: base pages, a multiple of the kind's alignment
 * @path: the file of the kinds "file", "private", "text" and "device"
 * @lock: every page is mlocked when it is first touched
 * @why: takes the reason of a failure
 * @len: size of @why
 *
 * Return: the region, or NULL with @why set.
 */
struct region *region_create(const char *name, const char *kind, size_t pages,
			     const char *path, bool lock, char *why, size_t len)
{
	int slot = atomic_load(&nr_regions), ret;
	struct region *region = &regions[slot];

	if (slot == MAX_REGIONS) {
		snprintf(why, len, "no more than %d regions", MAX_REGIONS);
		return NULL;
	}
	memset(region, 0, sizeof(*region));
	snprintf(region->name, sizeof(region->name), "%s", name);
	region->kind = kind_find(kind);
	region->pages = pages;
	region->seed = seed_of(name);
	region->fd = -1;
	region->shmid = -1;
	if (!region->kind) {
		snprintf(why, len, "no kind of memory is called %s", kind);
		return NULL;
	}
	if (!pages || (region->kind->align && region_bytes(region) % region->kind->align)) {
		snprintf(why, len, "%s: %zu pages are not a multiple of %zu bytes", kind,
			 pages, region->kind->align ? region->kind->align : page_size);
		return NULL;
	}
	ret = map_versions(region);
	if (!ret)
		ret = region->kind->map(region, path);
	if (!ret && lock && mlock2(region->addr, region_bytes(region), MLOCK_ONFAULT))
		ret = -errno;
	if (ret) {
		snprintf(why, len, "cannot map %zu pages of kind %s: %s", pages, kind,
			 strerror(-ret));
		region->addr = NULL;
		return NULL;
	}
	atomic_store(&nr_regions, slot + 1);
	return region;
}

/**
 * region_destroy - unmap a region; no worker may be running
 */
void region_destroy(struct region *region)
{
	region->kind->unmap(region);
	munmap(region->version, region->version_bytes);
	region->addr = NULL;
}

/**
 * region_remap - move a region to other addresses; no worker may be running
 * @onto: the region whose place it takes, which is destroyed, or NULL
 *
 * Return: 0 or a negative error number; with one it is where it was.
 */
int region_remap(struct region *region, struct region *onto)
{
	size_t bytes = region_bytes(region);
	void *place = onto ? onto->addr : NULL, *addr;

	if (onto)
		region_destroy(onto);
	place = mmap(place, bytes, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		     (onto ? MAP_FIXED_NOREPLACE : 0), -1, 0);
	if (place == MAP_FAILED)
		return -errno;
	addr = mremap(region->addr, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	return set_addr(region, addr);
}

/* The file of a private file mapping gets its first version by write(2). */
static int fill_file_page(struct region *region, size_t page)
{
	/* Only the control thread fills. */
	static uint64_t buffer[1 << 13];
	volatile unsigned char *p = region_page(region, page);

	pattern_put(buffer, region->seed, page, 2);
	if (pwrite(region->fd, buffer, page_size, page * page_size) != (ssize_t)page_size)
		return errno ? -errno : -EIO;
	(void)*p;
	atomic_store(&region->version[page], 2);
	return 0;
}

static int fill_page(struct region *region, size_t page)
{
	if (region->fd >= 0 && !region->kind->shared &&
	    !atomic_load(&region->version[page]))
		return fill_file_page(region, page);
	page_rewrite(region, page);
	return 0;
}

/**
 * region_fill - write pages so that the first touch of each is on a chosen node
 * @nodes: page i goes to entry (i / @stripe) modulo their number
 * @stripe: pages in a row on one node
 *
 * The node is chosen by the memory policy of the calling thread, which is taken
 * back afterwards: the region keeps no policy of its own.
 */
int region_fill(struct region *region, size_t from, size_t count,
		const struct nodes *nodes, size_t stripe)
{
	struct nodes one = { .count = 1 };
	size_t page, end;
	int ret = 0;

	for (page = from; page < from + count && !ret; page = end) {
		if (nodes->count) {
			int node = nodes->list[(page - from) / stripe % nodes->count];
			const size_t width = 8 * sizeof(one.bits[0]);

			memset(one.bits, 0, sizeof(one.bits));
			one.bits[node / width] |= 1UL << (node % width);
			ret = nodes_bind_task(&one);
			if (ret)
				break;
		}
		end = page + stripe;
		if (end > from + count || nodes->count < 2)
			end = from + count;
		for (; page < end && !ret; page++)
			ret = fill_page(region, page);
	}
	if (nodes->count)
		nodes_unbind_task();
	return ret;
}

/**
 * region_touch - read one byte of each page, so that pages in core are mapped
 */
void region_touch(struct region *region, size_t from, size_t count)
{
	volatile unsigned char *p;
	size_t page;

	for (page = from; page < from + count; page++) {
		p = region_page(region, page);
		(void)*p;
	}
}
