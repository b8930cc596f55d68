// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: advice, and locks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>

#include "numastress.h"

/* Not in the C library's headers. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_NOMIGRATE
#define MADV_NOMIGRATE	120
#define MADV_MIGRATE	121
#endif

/* Others move and check the pages meanwhile. */
#define REST_US		3000

static int advise(struct worker *w, size_t from, size_t count, int advice)
{
	return madvise(area_page(w->area, from), count * PAGE, advice) ? -errno : 0;
}

/* Of two kinds of advice that undo each other, one and then the other. */
static int advise_twice(struct worker *w, struct random *r, size_t from, size_t count, int first,
			int second)
{
	int ret = advise(w, from, count, first), again;

	rest(r, REST_US);
	again = advise(w, from, count, second);
	return ret ? ret : again;
}

/* A private page is gone; one of a file was only taken out of the page table. */
static int op_dontneed(struct worker *w, struct random *r, size_t from, size_t count)
{
	int ret = advise(w, from, count,
			 w->area->kind->locked ? MADV_DONTNEED_LOCKED : MADV_DONTNEED);

	(void)r;
	if (!w->area->kind->shared && !ret)
		area_discarded(w->area, from, count);
	return ret;
}

static int op_free(struct worker *w, struct random *r, size_t from, size_t count)
{
	int ret;

	area_flag(w->area, from, count, STATE_MAYBE);
	ret = advise(w, from, count, MADV_FREE);
	rest(r, REST_US);
	return ret;
}

static int op_cold(struct worker *w, struct random *r, size_t from, size_t count)
{
	(void)r;
	return advise(w, from, count, MADV_COLD);
}

static int op_pageout(struct worker *w, struct random *r, size_t from, size_t count)
{
	int ret = advise(w, from, count, MADV_PAGEOUT);

	rest(r, REST_US);
	return ret;
}

static int op_collapse(struct worker *w, struct random *r, size_t from, size_t count)
{
	(void)r;
	return advise(w, from, count, MADV_COLLAPSE);
}

static int op_remove(struct worker *w, struct random *r, size_t from, size_t count)
{
	int ret = advise(w, from, count, MADV_REMOVE);

	(void)r;
	if (!ret)
		area_discarded(w->area, from, count);
	return ret;
}

static int op_merge(struct worker *w, struct random *r, size_t from, size_t count)
{
	return advise_twice(w, r, from, count, MADV_UNMERGEABLE, MADV_MERGEABLE);
}

static int op_huge(struct worker *w, struct random *r, size_t from, size_t count)
{
	if (random_below(r, 2))
		return advise(w, from, count, MADV_HUGEPAGE);
	return advise(w, from, count, MADV_NOHUGEPAGE);
}

static int op_exempt(struct worker *w, struct random *r, size_t from, size_t count)
{
	return advise_twice(w, r, from, count, MADV_MIGRATE, MADV_NOMIGRATE);
}

static int op_lock(struct worker *w, struct random *r, size_t from, size_t count)
{
	unsigned char *addr = area_page(w->area, from);
	int ret = mlock2(addr, count * PAGE, random_below(r, 2) ? MLOCK_ONFAULT : 0) ? -errno : 0;

	rest(r, REST_US);
	if (munlock(addr, count * PAGE))
		return -errno;
	return ret;
}

static int op_unlock(struct worker *w, struct random *r, size_t from, size_t count)
{
	unsigned char *addr = area_page(w->area, from);
	int ret = munlock(addr, count * PAGE) ? -errno : 0;

	rest(r, REST_US);
	if (mlock(addr, count * PAGE))
		return -errno;
	return ret;
}

const struct op advice_ops[] = {
	{ "dontneed", false, op_dontneed },
	{ "free", false, op_free },
	{ "cold", false, op_cold },
	{ "pageout", false, op_pageout },
	{ "collapse", true, op_collapse },
	{ "remove", false, op_remove },
	{ "merge", false, op_merge },
	{ "huge", false, op_huge },
	{ "exempt", false, op_exempt },
	{ "lock", false, op_lock },
	{ "unlock", false, op_unlock },
	{ 0 }
};
