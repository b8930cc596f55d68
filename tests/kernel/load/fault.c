// SPDX-License-Identifier: GPL-2.0
/*
 * Faulters: threads that write pages for the first time, one after the other,
 * wherever the kernel puts them.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "numaload.h"

#define MAX_FAULTERS	64

static pthread_t faulters[MAX_FAULTERS];
static int nr_faulters;
static struct region *fault_region;
static long fault_rest_us;
static _Atomic size_t next_page;
static atomic_bool fault_stop;

static void *faulter_main(void *arg)
{
	size_t page;

	(void)arg;
	while (!atomic_load(&fault_stop)) {
		page = atomic_fetch_add(&next_page, 1);
		if (page >= fault_region->pages)
			break;
		page_rewrite(fault_region, page);
		if (fault_rest_us)
			usleep(fault_rest_us);
	}
	return NULL;
}

static int do_fault(struct request *req)
{
	struct region *region = arg_region(req);
	long long count, rest;
	int ret;

	if (!region || arg_num(req, "threads", 1, &count) || arg_num(req, "rest", 0, &rest))
		return -1;
	if (nr_faulters)
		return refuse(req, "fault: is going on");
	if (count < 1 || count > MAX_FAULTERS)
		return refuse(req, "fault: 1 to %d threads", MAX_FAULTERS);
	fault_region = region;
	fault_rest_us = rest;
	atomic_store(&next_page, 0);
	atomic_store(&fault_stop, false);
	while (nr_faulters < count) {
		ret = thread_start(&faulters[nr_faulters], faulter_main, NULL);
		if (ret)
			return refuse(req, "cannot start a thread: %s", strerror(ret));
		nr_faulters++;
	}
	return 0;
}

static size_t faulted_pages(void)
{
	size_t pages = atomic_load(&next_page);

	return fault_region && pages > fault_region->pages ? fault_region->pages : pages;
}

static int do_faulting(struct request *req)
{
	fprintf(req->out, " pages=%zu", faulted_pages());
	return 0;
}

static int do_faulted(struct request *req)
{
	atomic_store(&fault_stop, true);
	while (nr_faulters)
		pthread_join(faulters[--nr_faulters], NULL);
	fprintf(req->out, " pages=%zu", faulted_pages());
	return 0;
}

const struct verb fault_verbs[] = {
	{ "fault", do_fault, "NAME [threads=N] [rest=USEC]" },
	{ "faulting", do_faulting, "" },
	{ "faulted", do_faulted, "" },
	{ 0 }
};
