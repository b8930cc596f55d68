// SPDX-License-Identifier: GPL-2.0
/*
 * bystander: those who have nothing to do with a move, and what they feel of it; and
 * what plain copying takes on this machine.
 *
 *   mkdir DIR FILE     make and remove a cgroup, again and again
 *   fault NODE FILE    fault in pages on a node, again and again
 *   isolated FILE      how many pages are isolated
 *   memcpy THREADS MIB FROM TO
 *                      copy between two nodes, a few times; prints how many ns each took
 *   hold MIB THREADS NODE MAPPINGS
 *                      have memory, in so many mappings; on every line of input verify it
 *
 * The first three go on until the end of their input, then write their samples to FILE:
 * pairs of 64-bit numbers, when it began (ns, monotonic) and how long it took (ns), or for
 * "isolated" how many.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES	(1 << 19)
#define MAX_THREADS	1024
#define PAGE		4096UL
#define MIB		(1UL << 20)
#define FAULT_PAGES	256
#define ROUNDS		15
#define IDLE_STACK	(64 << 10)

struct sample {
	uint64_t start;
	uint64_t value;
};

static struct sample samples[MAX_SAMPLES];
static size_t nr_samples;

static void fail(const char *what)
{
	fprintf(stderr, "bystander: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void note(uint64_t start, uint64_t value)
{
	if (nr_samples < MAX_SAMPLES)
		samples[nr_samples++] = (struct sample){ start, value };
}

/* Rest; true when the input has ended. */
static bool told_to_stop(long usec)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	struct timespec rest = { .tv_nsec = usec * 1000 };

	return ppoll(&input, 1, &rest, NULL) > 0;
}

static int save(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file || fwrite(samples, sizeof(*samples), nr_samples, file) != nr_samples)
		fail(path);
	if (fclose(file))
		fail(path);
	return 0;
}

/* Memory from now on comes from this node only. */
static void bind_to(int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask)))
		fail("set_mempolicy");
}

static unsigned char *map(size_t bytes)
{
	void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (addr == MAP_FAILED)
		fail("mmap");
	madvise(addr, bytes, MADV_NOHUGEPAGE);
	return addr;
}

static int do_mkdir(char **args)
{
	char path[4096];
	uint64_t start;

	snprintf(path, sizeof(path), "%s/somebody-else", args[0]);
	while (!told_to_stop(2000)) {
		start = now();
		if (mkdir(path, 0755))
			fail(path);
		note(start, now() - start);
		start = now();
		if (rmdir(path))
			fail(path);
		note(start, now() - start);
	}
	return save(args[1]);
}

static int do_fault(char **args)
{
	unsigned char *addr;
	uint64_t start;
	size_t i;

	bind_to(atoi(args[0]));
	while (!told_to_stop(5000)) {
		addr = map(FAULT_PAGES * PAGE);
		for (i = 0; i < FAULT_PAGES; i++) {
			start = now();
			*(volatile unsigned char *)(addr + i * PAGE) = 1;
			note(start, now() - start);
		}
		munmap(addr, FAULT_PAGES * PAGE);
	}
	return save(args[1]);
}

static uint64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static int do_isolated(char **args)
{
	static char text[1 << 16];
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	uint64_t start;
	ssize_t n;

	if (fd < 0)
		fail("/proc/vmstat");
	while (!told_to_stop(300)) {
		start = now();
		n = pread(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			fail("/proc/vmstat");
		text[n] = '\0';
		note(start, number_after(text, "nr_isolated_anon ") +
			    number_after(text, "nr_isolated_file "));
	}
	return save(args[0]);
}

struct copy {
	pthread_t thread;
	pthread_barrier_t *gate;
	unsigned char *from, *to;
	size_t bytes;
};

static void *copy_main(void *arg)
{
	struct copy *copy = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(copy->gate);
		memcpy(copy->to, copy->from, copy->bytes);
		pthread_barrier_wait(copy->gate);
	}
	return NULL;
}

static int do_memcpy(char **args)
{
	int threads = atoi(args[0]), i;
	size_t bytes = strtoul(args[1], NULL, 10) * MIB, part = bytes / threads;
	static struct copy copies[MAX_THREADS];
	unsigned char *from, *to;
	pthread_barrier_t gate;
	uint64_t start;

	bind_to(atoi(args[2]));
	from = map(bytes);
	memset(from, 0x5a, bytes);
	bind_to(atoi(args[3]));
	to = map(bytes);
	memset(to, 1, bytes);
	pthread_barrier_init(&gate, NULL, threads + 1);
	for (i = 0; i < threads; i++) {
		copies[i] = (struct copy){ .gate = &gate, .from = from + i * part,
					   .to = to + i * part, .bytes = part };
		errno = pthread_create(&copies[i].thread, NULL, copy_main, &copies[i]);
		if (errno)
			fail("a thread");
	}
	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&gate);
		start = now();
		pthread_barrier_wait(&gate);
		printf("%" PRIu64 "\n", now() - start);
	}
	for (i = 0; i < threads; i++)
		pthread_join(copies[i].thread, NULL);
	if (memcmp(from, to, part * threads)) {
		fputs("bystander: the copy differs\n", stderr);
		return 1;
	}
	return 0;
}

static void *idle_main(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void start_idle(int count)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, IDLE_STACK);
	while (count-- > 0) {
		errno = pthread_create(&thread, &attr, idle_main, NULL);
		if (errno)
			fail("a thread");
	}
}

static uint64_t word_of(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL;
}

/* Every other piece has a flag that the others have not, so they stay apart. */
static void split(unsigned char *addr, size_t bytes, size_t pieces)
{
	size_t pages = bytes / PAGE, i, first, end;

	for (i = 1; i < pieces; i += 2) {
		first = i * pages / pieces;
		end = (i + 1) * pages / pieces;
		if (madvise(addr + first * PAGE, (end - first) * PAGE, MADV_DONTDUMP))
			fail("madvise");
	}
}

static int do_hold(char **args)
{
	size_t words = strtoul(args[0], NULL, 10) * MIB / sizeof(uint64_t), i, bad;
	uint64_t *data;
	char line[64];

	bind_to(atoi(args[2]));
	data = (uint64_t *)map(words * sizeof(*data));
	for (i = 0; i < words; i++)
		data[i] = word_of(i);
	split((unsigned char *)data, words * sizeof(*data), strtoul(args[3], NULL, 10));
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	start_idle(atoi(args[1]) - 1);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		bad = 0;
		for (i = 0; i < words; i++)
			bad += data[i] != word_of(i);
		printf("%zu\n", bad);
		fflush(stdout);
	}
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*run)(char **args);
} verbs[] = {
	{ "mkdir", 2, do_mkdir },
	{ "fault", 2, do_fault },
	{ "isolated", 1, do_isolated },
	{ "memcpy", 4, do_memcpy },
	{ "hold", 4, do_hold },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(argv[1], verbs[i].name) && argc == 2 + verbs[i].args)
			return verbs[i].run(argv + 2);
	fputs("Usage: bystander mkdir DIR FILE | fault NODE FILE | isolated FILE |\n"
	      "       memcpy THREADS MIB FROM TO | hold MIB THREADS NODE MAPPINGS\n", stderr);
	return 2;
}
