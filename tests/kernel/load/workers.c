// SPDX-License-Identifier: GPL-2.0
/*
 * Workers: threads that keep rewriting and verifying the pages of the regions,
 * while the kernel moves them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "numaload.h"

#define MAX_WORKERS	64
#define BURST		32
#define STACK_BYTES	(128 << 10)

struct worker {
	pthread_t thread;
	bool verifies;
	uint64_t random;
	_Atomic uint64_t pages;
	_Atomic uint64_t bad;
};

static struct worker workers[MAX_WORKERS];
static int nr_workers;
static long worker_rest_us;
static atomic_bool workers_stop;

/**
 * thread_start - start a thread with a small stack
 *
 * Return: 0 or a positive error number.
 */
int thread_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	ret = pthread_create(thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return ret;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/**
 * random_next - xorshift, one state a thread
 */
uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

bool workers_running(void)
{
	return nr_workers > 0;
}

static struct region *pick_region(uint64_t *random)
{
	struct region *region = &regions[random_next(random) % atomic_load(&nr_regions)];

	return region->addr ? region : NULL;
}

static void work_on(struct worker *worker, struct region *region, size_t page)
{
	struct tally tally = { 0 };

	/* Only pages that were filled: a worker must not decide where one goes. */
	if (!atomic_load(&region->version[page]))
		return;
	if (worker->verifies) {
		page_verify(region, page, &tally);
		atomic_fetch_add(&worker->bad, tally.bad);
	} else {
		page_rewrite(region, page);
	}
	atomic_fetch_add(&worker->pages, 1);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct region *region;
	size_t page;
	int i;

	while (!atomic_load(&workers_stop)) {
		region = pick_region(&worker->random);
		if (!region)
			continue;
		page = random_next(&worker->random) % region->pages;
		for (i = 0; i < BURST && page < region->pages; i++, page++)
			work_on(worker, region, page);
		if (worker_rest_us)
			usleep(worker_rest_us);
	}
	return NULL;
}

static int start(struct request *req, bool verifies, long long count)
{
	struct worker *worker;
	int ret;

	while (count-- > 0) {
		if (nr_workers == MAX_WORKERS)
			return refuse(req, "no more than %d workers", MAX_WORKERS);
		worker = &workers[nr_workers];
		memset(worker, 0, sizeof(*worker));
		worker->verifies = verifies;
		worker->random = 0x2545f4914f6cdd1dULL * (nr_workers + 1) + getpid();
		ret = thread_start(&worker->thread, worker_main, worker);
		if (ret)
			return refuse(req, "cannot start a worker: %s", strerror(ret));
		nr_workers++;
	}
	return 0;
}

static int do_work(struct request *req)
{
	long long writers, verifiers, rest;

	if (arg_num(req, "writers", 0, &writers) ||
	    arg_num(req, "verifiers", 0, &verifiers) || arg_num(req, "rest", 0, &rest))
		return -1;
	if (!atomic_load(&nr_regions))
		return refuse(req, "work: there is no region");
	worker_rest_us = rest;
	if (start(req, false, writers))
		return -1;
	return start(req, true, verifiers);
}

static void report(FILE *out)
{
	uint64_t written = 0, verified = 0, bad = 0;
	int i;

	for (i = 0; i < nr_workers; i++) {
		if (workers[i].verifies)
			verified += atomic_load(&workers[i].pages);
		else
			written += atomic_load(&workers[i].pages);
		bad += atomic_load(&workers[i].bad);
	}
	fprintf(out, " written=%" PRIu64 " verified=%" PRIu64 " bad=%" PRIu64, written,
		verified, bad);
	if (bad) {
		fputs(" first=", out);
		bad_pages_print(out);
	}
}

static int do_progress(struct request *req)
{
	report(req->out);
	return 0;
}

static int do_rest(struct request *req)
{
	int i;

	atomic_store(&workers_stop, true);
	for (i = 0; i < nr_workers; i++)
		pthread_join(workers[i].thread, NULL);
	report(req->out);
	atomic_store(&workers_stop, false);
	nr_workers = 0;
	return 0;
}

/**
 * threads_forget - in a forked child: the threads of the parent are not here
 */
void threads_forget(void)
{
	nr_workers = 0;
}

const struct verb worker_verbs[] = {
	{ "work", do_work, "[writers=N] [verifiers=N] [rest=USEC]" },
	{ "progress", do_progress, "" },
	{ "rest", do_rest, "" },
	{ 0 }
};
