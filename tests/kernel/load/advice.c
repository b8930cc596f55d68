// SPDX-License-Identifier: GPL-2.0
/*
 * What a process says about its memory after it was filled: lock it, advise the
 * kernel, take it out of the address space and back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "numaload.h"

/* Not in the C library's headers. */
#ifndef MADV_NOMIGRATE
#define MADV_NOMIGRATE	120
#define MADV_MIGRATE	121
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static const struct {
	const char *name;
	int advice;
} advices[] = {
	{ "mergeable", MADV_MERGEABLE },
	{ "unmergeable", MADV_UNMERGEABLE },
	{ "free", MADV_FREE },
	{ "pageout", MADV_PAGEOUT },
	{ "collapse", MADV_COLLAPSE },
	{ "nomigrate", MADV_NOMIGRATE },
	{ "migrate", MADV_MIGRATE },
};

#define NR_ADVICES (sizeof(advices) / sizeof(advices[0]))

static int do_lock(struct request *req)
{
	struct region *region = arg_region(req);
	size_t from, count;
	long long onfault;

	if (!region || arg_range(req, region, &from, &count) ||
	    arg_num(req, "onfault", 0, &onfault))
		return -1;
	if (mlock2(region_page(region, from), count * page_size,
		   onfault ? MLOCK_ONFAULT : 0))
		return refuse(req, "lock %s: %s", region->name, strerror(errno));
	return 0;
}

static int do_unlock(struct request *req)
{
	struct region *region = arg_region(req);
	size_t from, count;

	if (!region || arg_range(req, region, &from, &count))
		return -1;
	if (munlock(region_page(region, from), count * page_size))
		return refuse(req, "unlock %s: %s", region->name, strerror(errno));
	return 0;
}

static int do_advise(struct request *req)
{
	struct region *region = arg_region(req);
	size_t from, count, i;

	if (!region || arg_range(req, region, &from, &count))
		return -1;
	if (req->nr_words != 3)
		return refuse(req, "advise: give a region and an advice");
	for (i = 0; i < NR_ADVICES && strcmp(advices[i].name, req->words[2]); i++)
		;
	if (i == NR_ADVICES)
		return refuse(req, "advise: %s is not known", req->words[2]);
	if (madvise(region_page(region, from), count * page_size, advices[i].advice))
		return refuse(req, "advise %s %s: %s", region->name, req->words[2],
			      strerror(errno));
	return 0;
}

/* A region whose file can be mapped another time, and that nobody works on. */
static struct region *arg_shared_file(struct request *req)
{
	struct region *region = arg_region(req);

	if (!region)
		return NULL;
	if (region->fd < 0 || !region->kind->shared) {
		refuse(req, "%s: %s is no shared file", req->words[0], region->name);
		return NULL;
	}
	if (workers_running() || churn_running()) {
		refuse(req, "%s: stop the workers first", req->words[0]);
		return NULL;
	}
	return region;
}

static int map_again(struct request *req, struct region *region, int prot, int flags,
		     int fd)
{
	if (mmap(region->addr, region->pages * page_size, prot, flags | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return refuse(req, "%s %s: %s", req->words[0], region->name,
			      strerror(errno));
	return 0;
}

/* The file stays open and its pages in the cache; only the address is kept. */
static int do_hide(struct request *req)
{
	struct region *region = arg_shared_file(req);

	if (!region)
		return -1;
	return map_again(req, region, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

static int do_show(struct request *req)
{
	struct region *region = arg_shared_file(req);

	if (!region)
		return -1;
	return map_again(req, region, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd);
}

const struct verb advice_verbs[] = {
	{ "lock", do_lock, "NAME [onfault=1] [from= count=]" },
	{ "unlock", do_unlock, "NAME [from= count=]" },
	{ "advise", do_advise,
	  "NAME mergeable|unmergeable|free|pageout|collapse|nomigrate|migrate "
	  "[from= count=]" },
	{ "hide", do_hide, "NAME" },
	{ "show", do_show, "NAME" },
	{ 0 }
};
