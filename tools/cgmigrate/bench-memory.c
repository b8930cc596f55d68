// SPDX-License-Identifier: GPL-2.0
/*
 * The process whose memory is moved. It has nothing else, knows what every word of it
 * has to be, and can probe how long it is held up: a thread that does something small
 * again and again and notes how long that took.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench-load.h"

#define TOUCH_REST_NS 20000	/* between two probes, as tests/bench has it */
#define MMAP_REST_NS 50000
#define PAGES_AT_ONCE 4096
#define BUFFER (1 << 20)

static int child_error(struct bench_load *load, const char *what)
{
	int err = errno;

	snprintf(load->shared->error, sizeof(load->shared->error), "%s: %s", what,
		 strerror(err));
	return -err;
}

static uint64_t word_of(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL;
}

static void write_words(uint64_t *words, uint64_t first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		words[i] = word_of(first + i);
}

/* Pages that are made from now on are on this node. */
static int bind_to(struct bench_load *load, int node)
{
	cgm_nodeset set;

	cgm_nodeset_clear(&set);
	cgm_nodeset_add(&set, node);
	if (syscall(SYS_set_mempolicy, MPOL_BIND, set.bits, CGM_NODES_MAX + 1))
		return child_error(load, "cannot allocate on one node");
	return 0;
}

/*
 * Not the default, which would let automatic balancing take pages back to where they
 * are read.
 */
static int bind_to_nothing(struct bench_load *load)
{
	if (syscall(SYS_set_mempolicy, MPOL_LOCAL, NULL, 0))
		return child_error(load, "cannot reset the memory policy");
	return 0;
}

static int open_file(struct bench_load *load)
{
	const char *folder = load->bench->folder;
	char name[4096];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		snprintf(name, sizeof(name), "%s/cgmigrate-bench.XXXXXX", folder);
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	return fd < 0 ? child_error(load, folder) : fd;
}

static int write_file(struct bench_load *load, int fd, uint64_t offset, uint64_t len)
{
	uint64_t *buffer = malloc(BUFFER);
	int err = buffer ? 0 : -ENOMEM;

	while (len && !err) {
		size_t part = len < BUFFER ? len : BUFFER;

		write_words(buffer, offset / sizeof(*buffer), part / sizeof(*buffer));
		if (pwrite(fd, buffer, part, offset) != (ssize_t)part) {
			errno = errno ? errno : ENOSPC;
			err = child_error(load, load->bench->folder);
		}
		offset += part;
		len -= part;
	}
	free(buffer);
	return err;
}

/* A line of a file of ours in /proc, "Name:   123 kB", in bytes. */
static uint64_t proc_bytes(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	unsigned long long kib = 0;
	char line[256];
	size_t len = strlen(name);

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':')
			sscanf(line + len + 1, "%llu", &kib);
	if (file)
		fclose(file);
	return kib * 1024;
}

static int map(struct bench_load *load, int flags, int fd)
{
	int protection = load->kind == BENCH_FILE ? PROT_READ : PROT_READ | PROT_WRITE;
	size_t align = load->kind == BENCH_THP ? load->step : 0;
	void *addr = mmap(NULL, load->size + align, protection, flags, fd, 0);

	if (addr == MAP_FAILED)
		return child_error(load, "cannot map memory");
	load->memory = addr;
	if (align)
		load->memory = (unsigned char *)(((uintptr_t)addr + align - 1) / align *
						 align);
	if (load->kind == BENCH_HUGETLB)
		return 0;
	madvise(load->memory, load->size, load->kind == BENCH_THP ? MADV_HUGEPAGE :
		MADV_NOHUGEPAGE);
	return 0;
}

static void read_every_page(const struct bench_load *load)
{
	for (uint64_t i = 0; i < load->size; i += load->page_size)
		(void)*(volatile unsigned char *)(load->memory + i);
}

/* The part of the memory that belongs on the index-th of the nodes. */
static uint64_t part_begin(const struct bench_load *load, int index, int nodes)
{
	return load->size / load->step * index / nodes * load->step;
}

static int fill_nodes(struct bench_load *load, int fd)
{
	const cgm_nodeset *from = &load->bench->from;
	int count = cgm_nodeset_weight(from), index = 0, err = 0;

	for (int n = cgm_nodeset_next(from, -1); n >= 0 && !err;
	     n = cgm_nodeset_next(from, n)) {
		uint64_t begin = part_begin(load, index, count);
		uint64_t end = part_begin(load, ++index, count);

		err = bind_to(load, n);
		if (!err && fd >= 0)
			err = write_file(load, fd, begin, end - begin);
		else if (!err)
			write_words((uint64_t *)(load->memory + begin), begin / 8,
				    (end - begin) / 8);
	}
	return err ? err : bind_to_nothing(load);
}

static int fill_file(struct bench_load *load)
{
	const char *status = "/proc/self/status";
	uint64_t before = proc_bytes(status, "RssShmem");
	int fd = open_file(load), err;

	if (fd < 0)
		return fd;
	err = fill_nodes(load, fd);
	if (!err && fsync(fd))
		err = child_error(load, load->bench->folder);
	if (!err)
		err = map(load, MAP_SHARED, fd);
	close(fd);
	if (err)
		return err;
	read_every_page(load);
	if (proc_bytes(status, "RssShmem") < before + load->size / 2)
		return 0;
	snprintf(load->shared->error, sizeof(load->shared->error),
		 "%s keeps files in memory, as tmpfs does: name a folder on a disk with --folder",
		 load->bench->folder);
	return -EMEDIUMTYPE;
}

static int fill(struct bench_load *load)
{
	static const int flags[] = {
		[BENCH_ANON] = MAP_PRIVATE | MAP_ANONYMOUS,
		[BENCH_THP] = MAP_PRIVATE | MAP_ANONYMOUS,
		[BENCH_SHMEM] = MAP_SHARED | MAP_ANONYMOUS,
		[BENCH_HUGETLB] = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
	};
	int err;

	if (load->kind == BENCH_FILE)
		return fill_file(load);
	err = map(load, flags[load->kind], -1);
	return err ? err : fill_nodes(load, -1);
}

static int verify(struct bench_load *load)
{
	const uint64_t *words = (const uint64_t *)load->memory;
	uint64_t count = load->size / sizeof(*words), wrong = 0;

	for (uint64_t i = 0; i < count; i++)
		wrong += words[i] != word_of(i);
	load->shared->wrong = wrong;
	return 0;
}

static int where(struct bench_load *load)
{
	static void *addrs[PAGES_AT_ONCE];
	static int status[PAGES_AT_ONCE];
	struct bench_where *out = &load->shared->where;
	uint64_t at = 0;

	memset(out, 0, sizeof(*out));
	while (at < load->size) {
		size_t n;

		for (n = 0; n < PAGES_AT_ONCE && at < load->size; n++) {
			addrs[n] = load->memory + at;
			at += load->kind == BENCH_HUGETLB ? load->step : load->page_size;
		}
		if (syscall(SYS_move_pages, 0, n, addrs, NULL, status, 0))
			return child_error(load, "cannot tell where pages are");
		for (size_t i = 0; i < n; i++) {
			uint64_t bytes = load->kind == BENCH_HUGETLB ? load->step :
					 load->page_size;

			if (cgm_nodeset_has(&load->bench->from, status[i]))
				out->from += bytes;
			else if (cgm_nodeset_has(&load->bench->to, status[i]))
				out->to += bytes;
		}
	}
	if (load->kind == BENCH_THP)
		out->huge = proc_bytes("/proc/self/smaps_rollup", "AnonHugePages");
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* What needs mmap_lock for writing, twice. */
static int probe_mmap(const struct bench_load *load)
{
	void *addr = mmap(NULL, load->page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		return -errno;
	munmap(addr, load->page_size);
	return 0;
}

/* A probe counts as held up by the move if it touches the time of the move. */
static void note(struct shared *shared, int first, uint64_t ns)
{
	if (first == STAGE_AFTER)
		return;
	if (first == STAGE_MOVING || atomic_load(&shared->stage) != STAGE_IDLE)
		stalls_note(&shared->moving, ns);
	else
		stalls_note(&shared->idle, ns);
}

static void *probe_main(void *arg)
{
	struct bench_load *load = arg;
	struct shared *shared = load->shared;
	struct timespec rest = {
		.tv_nsec = load->probe == BENCH_TOUCH ? TOUCH_REST_NS : MMAP_REST_NS,
	};
	uint64_t random = 0x2545f4914f6cdd1dULL, start;

	prctl(PR_SET_TIMERSLACK, 1000);
	while (!atomic_load(&shared->stop) && !shared->probe_error) {
		uint64_t page = random_next(&random) % (load->size / load->page_size);
		int first = atomic_load(&shared->stage);

		start = now_ns();
		if (load->probe == BENCH_TOUCH)
			(void)*(volatile unsigned char *)(load->memory +
							  page * load->page_size);
		else
			shared->probe_error = probe_mmap(load);
		note(shared, first, now_ns() - start);
		nanosleep(&rest, NULL);
	}
	return NULL;
}

static int start_probe(struct bench_load *load, enum bench_probe probe)
{
	struct shared *shared = load->shared;

	load->probe = probe;
	memset(&shared->idle, 0, sizeof(shared->idle));
	memset(&shared->moving, 0, sizeof(shared->moving));
	shared->probe_error = 0;
	atomic_store(&shared->stop, false);
	atomic_store(&shared->stage, STAGE_IDLE);
	errno = pthread_create(&load->thread, NULL, probe_main, load);
	return errno ? child_error(load, "cannot start a thread") : 0;
}

static int end_probe(struct bench_load *load)
{
	atomic_store(&load->shared->stop, true);
	pthread_join(load->thread, NULL);
	errno = -load->shared->probe_error;
	return errno ? child_error(load, "the probe cannot map a page") : 0;
}

static int obey(struct bench_load *load, char order)
{
	switch (order) {
	case FILL:
		return fill(load);
	case VERIFY:
		return verify(load);
	case WHERE:
		return where(load);
	case PROBE_TOUCH:
		return start_probe(load, BENCH_TOUCH);
	case PROBE_MMAP:
		return start_probe(load, BENCH_MMAP);
	default:
		return end_probe(load);
	}
}

/* If memory runs out all the same, let it be us. */
static void offer_to_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "1000", 4);
	close(fd);
}

void bench_memory_main(struct bench_load *load, pid_t parent)
{
	char order;

	bench_child(parent);
	offer_to_oom();
	while (read(load->fd, &order, 1) == 1) {
		int err = obey(load, order);

		if (write(load->fd, &err, sizeof(err)) != sizeof(err))
			break;
	}
	_exit(EXIT_OK);
}
