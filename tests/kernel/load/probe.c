// SPDX-License-Identifier: GPL-2.0
/*
 * The probe: a thread that maps and unmaps one page again and again and notes how
 * long it took, to see what a move costs the process it is done to.
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

static struct probe {
	pthread_t thread;
	bool running;
	long rest_us;
	atomic_bool stop;
	uint32_t *sample_us;
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

static void note(uint64_t ns)
{
	if (probe.nr < MAX_SAMPLES)
		probe.sample_us[probe.nr] = ns / 1000;
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
		probe.error = probe_mmap();
		note(now_ns() - start);
		if (probe.rest_us)
			usleep(probe.rest_us);
	}
	return NULL;
}

static int do_probe(struct request *req)
{
	long long rest;
	int ret;

	if (probe.running)
		return refuse(req, "probe: it is running");
	if (arg_num(req, "rest", 200, &rest))
		return -1;
	if (!probe.sample_us)
		probe.sample_us = calloc(MAX_SAMPLES, sizeof(*probe.sample_us));
	if (!probe.sample_us)
		return refuse(req, "probe: no memory");
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
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int do_probed(struct request *req)
{
	size_t kept;

	if (!probe.running)
		return refuse(req, "probed: no probe is running");
	atomic_store(&probe.stop, true);
	pthread_join(probe.thread, NULL);
	probe.running = false;
	if (probe.error)
		return refuse(req, "the probe failed: %s", strerror(-probe.error));
	kept = probe.nr < MAX_SAMPLES ? probe.nr : MAX_SAMPLES;
	qsort(probe.sample_us, kept, sizeof(*probe.sample_us), by_value);
	fprintf(req->out, " count=%zu p50=%u p99=%u max=%" PRIu64 " total=%" PRIu64,
		probe.nr, probe.sample_us[kept / 2], probe.sample_us[kept * 99 / 100],
		probe.max_ns / 1000, probe.total_ns / 1000);
	return 0;
}

const struct verb probe_verbs[] = {
	{ "probe", do_probe, "[rest=USEC]" },
	{ "probed", do_probed, "" },
	{ 0 }
};
