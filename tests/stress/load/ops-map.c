// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: the mapping itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "numastress.h"

#define REST_US		2000

static int op_protect(struct worker *w, struct random *r, size_t from, size_t count)
{
	unsigned char *addr = area_page(w->area, from);

	if (mprotect(addr, count * PAGE, random_below(r, 2) ? PROT_READ : PROT_NONE))
		return -errno;
	rest(r, REST_US);
	return mprotect(addr, count * PAGE, PROT_READ | PROT_WRITE) ? -errno : 0;
}

/* Nothing is there for a while, then the same kind of memory again. */
static int op_unmap(struct worker *w, struct random *r, size_t from, size_t count)
{
	unsigned char *addr = area_page(w->area, from);
	int ret;

	if (mmap(addr, count * PAGE, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	rest(r, REST_US);
	ret = area_map_pages(w->area, addr, from, count);
	if (ret)
		board_fail("pages %zu+%zu cannot be mapped again: error %d", from, count, -ret);
	else if (!w->area->kind->shared)
		area_discarded(w->area, from, count);
	return ret;
}

static void moved_to(struct worker *w, unsigned char *addr)
{
	atomic_store(&w->area->addr, addr);
	atomic_store(&own_slot->addr, (uintptr_t)addr);
}

/* Operations split mappings, and only one can be moved at a time: halves, if need be. */
static int move_pieces(unsigned char *old, unsigned char *new, size_t pages)
{
	int tries = 0, ret;

	/* What KSM had merged is copied first. */
	do {
		if (mremap(old, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   new) != MAP_FAILED)
			return 0;
	} while (pages == 1 && errno == ENOMEM && rest_for_memory(&tries));
	if (pages == 1)
		return -errno;
	ret = move_pieces(old, new, pages / 2);
	if (ret)
		return ret;
	return move_pieces(old + pages / 2 * PAGE, new + pages / 2 * PAGE, pages - pages / 2);
}

static int op_mremap(struct worker *w, struct random *r, size_t from, size_t count)
{
	size_t bytes = count * PAGE, offset = random_below(r, 2) * random_below(r, HUGE_PAGES);
	unsigned char *room = reserve(bytes + HUGE_PAGES * PAGE);
	unsigned char *new = room + offset * PAGE;
	int ret;

	if (!room)
		return -errno;
	ret = move_pieces(area_page(w->area, from), new, count);
	if (ret) {
		board_fail("mremap of a single page: error %d", -ret);
		return ret;
	}
	moved_to(w, new);
	if (offset)
		munmap(room, offset * PAGE);
	munmap(new + bytes, (HUGE_PAGES - offset) * PAGE);
	return 0;
}

static int op_reattach(struct worker *w, struct random *r, size_t from, size_t count)
{
	unsigned char *old = area_page(w->area, from);
	unsigned char *new = reserve(count * PAGE);
	int ret;

	if (!new)
		return -errno;
	ret = w->area->kind->map(w->area, new, from, count);
	if (ret) {
		munmap(new, count * PAGE);
		return ret;
	}
	moved_to(w, new);
	rest(r, REST_US);
	return shmdt(old) ? -errno : 0;
}

const struct op map_ops[] = {
	{ "protect", false, op_protect },
	{ "unmap", false, op_unmap },
	{ "mremap", true, op_mremap },
	{ "reattach", true, op_reattach },
	{ 0 }
};
