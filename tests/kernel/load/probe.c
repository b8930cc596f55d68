// SPDX-License-Identifier: GPL-2.0
/*
 * The probe: a thread that does something small again and again and notes how long it
 * took, to see what a move costs the process it is done to. It maps and unmaps a page,
 * or it reads a word of a page chosen at random.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numaload.h"

#define MAX_SAMPLES	(1 << 18)

struct sample {
	uint64_t start_ns;
	uint64_t took_ns;
};

static struct probe {
	pthread_t thread;
	bool running;
	struct region *touched;
	uint64_t random;
	long rest_us;
	atomic_bool stop;
	struct sample *samples;
	size_t nr;
	uint64_t max_ns;
	uint64_t total_ns;
	int error;
} probe;

/* What needs mmap_lock for writing, twice. */
static int probe_mmap(void)
{
	void *addr = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		return -errno;
	munmap(addr, page_size);
	return 0;
}

static int probe_touch(void)
{
	size_t page = random_next(&probe.random) % probe.touched->pages;

	(void)*(volatile unsigned char *)region_page(probe.touched, page);
	return 0;
}

static void note(uint64_t start, uint64_t ns)
{
	if (probe.nr < MAX_SAMPLES)
		probe.samples[probe.nr] = (struct sample){ start, ns };
	probe.nr++;
	probe.total_ns += ns;
	if (ns > probe.max_ns)
		probe.max_ns = ns;
}

static void *probe_main(void *arg)
{
	uint64_t start;

	(void)arg;
	while (!atomic_load(&probe.stop) && !probe.error) {
		start = now_ns();
		probe.error = probe.touched ? probe_touch() : probe_mmap();
		note(start, now_ns() - start);
		if (probe.rest_us)
			usleep(probe.rest_us);
	}
	return NULL;
}

static int do_probe(struct request *req)
{
	const char *touch = arg_str(req, "touch", NULL);
	long long rest;
	int ret;

	if (probe.running)
		return refuse(req, "probe: it is running");
	if (arg_num(req, "rest", 200, &rest))
		return -1;
	if (touch && !region_find(touch))
		return refuse(req, "probe: no region is called %s", touch);
	if (!probe.samples)
		probe.samples = calloc(MAX_SAMPLES, sizeof(*probe.samples));
	if (!probe.samples)
		return refuse(req, "probe: no memory");
	probe.touched = touch ? region_find(touch) : NULL;
	probe.random = 0x2545f4914f6cdd1dULL;
	probe.nr = 0;
	probe.max_ns = probe.total_ns = 0;
	probe.error = 0;
	probe.rest_us = rest;
	atomic_store(&probe.stop, false);
	ret = thread_start(&probe.thread, probe_main, NULL);
	if (ret)
		return refuse(req, "cannot start a probe: %s", strerror(ret));
	probe.running = true;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->took_ns < y->took_ns ? -1 : x->took_ns > y->took_ns;
}

/* Pairs of 64-bit numbers: when, on the monotonic clock, and how long, in ns. */
static int save(struct request *req, const char *path, size_t count)
{
	FILE *file = fopen(path, "we");
	size_t done;

	if (!file)
		return refuse(req, "probed: %s: %s", path, strerror(errno));
	done = fwrite(probe.samples, sizeof(*probe.samples), count, file);
	if (fclose(file) || done != count)
		return refuse(req, "probed: %s: %s", path, strerror(errno));
	return 0;
}

static int do_probed(struct request *req)
{
	const char *path = arg_str(req, "file", NULL);
	size_t kept;

	if (!probe.running)
		return refuse(req, "probed: no probe is running");
	atomic_store(&probe.stop, true);
	pthread_join(probe.thread, NULL);
	probe.running = false;
	if (probe.error)
		return refuse(req, "the probe failed: %s", strerror(-probe.error));
	kept = probe.nr < MAX_SAMPLES ? probe.nr : MAX_SAMPLES;
	if (path && save(req, path, kept))
		return -1;
	qsort(probe.samples, kept, sizeof(*probe.samples), by_value);
	fprintf(req->out, " count=%zu p50=%" PRIu64 " p99=%" PRIu64 " max=%" PRIu64
		" total=%" PRIu64, probe.nr, probe.samples[kept / 2].took_ns / 1000,
		probe.samples[kept * 99 / 100].took_ns / 1000, probe.max_ns / 1000,
		probe.total_ns / 1000);
	return 0;
}

const struct verb probe_verbs[] = {
	{ "probe", do_probe, "[touch=NAME] [rest=USEC] (mmap and munmap without touch=)" },
	{ "probed", do_probed, "[file=PATH]" },
	{ 0 }
};
