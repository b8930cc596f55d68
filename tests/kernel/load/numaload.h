/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numaload: a process whose memory tells what happened to it.
 *
 * A test drives it with lines over a socket: it maps regions, puts their pages
 * on chosen nodes, writes a pattern into every byte, rewrites and verifies the
 * pattern from many threads, and says on which node every page is.
 *
 *   main.c      start, the leader thread, the control thread
 *   control.c   the line protocol and the table of verbs
 *   region.c    mapping, filling and freeing regions
 *   pattern.c   what a page must contain; writing and verifying one page
 *   place.c     node lists, memory policies, where pages are
 *   verbs.c     the verbs that act on regions
 *   workers.c   threads that rewrite and verify pages
 *   fault.c     threads that write pages for the first time
 *   churn.c     threads that map, unmap, fork, protect, discard and move memory
 *   churn-file.c  the same with a file
 *   probe.c     a thread that measures how long the process is held up
 *   process.c   fork, CLONE_INTO_CGROUP, idle threads, writing a file
 *   relatives.c processes that share the address space
 *   pin.c       long-term pins, pages of the kernel's own
 *   advice.c    locking, advice, taking files out of the address space
 *   uffd.c      memory registered with userfaultfd
 *   nodefill.c  leaving a node nearly full
 */
#ifndef NUMALOAD_H
#define NUMALOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define MAX_REGIONS	64
#define MAX_NODES	1024
#define MAX_WORDS	24

extern size_t page_size;
extern size_t page_words;

/* ---- node sets: place.c ---- */

struct nodes {
	unsigned long bits[MAX_NODES / (8 * sizeof(unsigned long))];
	int list[MAX_NODES];
	int count;
};

int nodes_parse(const char *text, struct nodes *nodes);
void nodes_print(const unsigned long *bits, FILE *out);
int nodes_bind_task(const struct nodes *nodes);
int nodes_unbind_task(void);
int policy_mode(const char *name, int *mode);
const char *policy_name(int mode);

/* ---- regions: region.c ---- */

/**
 * struct region - a mapping and what it must contain
 * @name: how the test calls it
 * @kind: how it was mapped, an entry of the table in region.c
 * @addr: first byte
 * @pages: length in base pages
 * @seed: makes the pattern differ between regions
 * @version: one per page, kept apart from the page so that a stale copy of a
 *	whole page is noticed: 0 never written, odd being written, else the
 *	version every word of the page was last written with. Shared between
 *	processes exactly when the region is.
 * @version_bytes: length of that mapping
 * @fd: the file behind it, or -1
 * @shmid: the SysV segment behind it, or -1
 */
struct region {
	char name[32];
	const struct kind *kind;
	unsigned char *addr;
	size_t pages;
	uint64_t seed;
	_Atomic uint64_t *version;
	size_t version_bytes;
	int fd;
	int shmid;
};

struct kind {
	const char *name;
	bool shared;
	size_t align;
	int (*map)(struct region *region, const char *path);
	void (*unmap)(struct region *region);
};

extern struct region regions[MAX_REGIONS];
extern _Atomic int nr_regions;

struct region *region_find(const char *name);
struct region *region_create(const char *name, const char *kind, size_t pages,
			     const char *path, bool lock, char *why, size_t len);
void region_destroy(struct region *region);
int region_remap(struct region *region, struct region *onto);
int region_fill(struct region *region, size_t from, size_t count,
		const struct nodes *nodes, size_t stripe);
void region_touch(struct region *region, size_t from, size_t count);
unsigned char *region_page(const struct region *region, size_t page);

/* ---- pattern: pattern.c ---- */

/**
 * struct tally - what a verification saw
 * @pages: pages checked, every byte
 * @torn: pages a fork caught in the middle of a write (snapshots only)
 * @bad: pages with a wrong byte
 */
struct tally {
	uint64_t pages;
	uint64_t torn;
	uint64_t bad;
};

void pattern_put(uint64_t *page, uint64_t seed, size_t index, uint64_t version);
size_t pattern_check(const uint64_t *page, uint64_t seed, size_t index,
		     uint64_t version);
size_t pattern_check_zero(const uint64_t *page);
void page_rewrite(struct region *region, size_t page);
void page_verify(struct region *region, size_t page, struct tally *tally);
void region_verify(struct region *region, struct tally *tally);
void region_verify_snapshot(struct region *region, size_t from, size_t count,
			    struct tally *tally);
void region_adopt_snapshot(struct region *region, struct tally *tally);
void bad_page(const char *who, size_t page, size_t word, uint64_t got, uint64_t want,
	      uint64_t version);
void bad_pages_print(FILE *out);

/* ---- requests: control.c ---- */

/**
 * struct request - one line of the test
 * @words: the verb, then its plain arguments
 * @nr_words: how many
 * @keys: the key of every key=value argument
 * @values: the value of every key=value argument
 * @nr_keys: how many
 * @fd: a file descriptor that came with the line, or -1; the verb owns it
 * @exec: be a new program when the reply has been sent
 * @out: the reply after "ok"
 * @why: the reply after "error"
 */
struct request {
	const char *words[MAX_WORDS];
	int nr_words;
	const char *keys[MAX_WORDS];
	const char *values[MAX_WORDS];
	int nr_keys;
	int fd;
	bool exec;
	FILE *out;
	char why[512];
};

typedef int (*verb_fn)(struct request *req);

struct verb {
	const char *name;
	verb_fn fn;
	const char *usage;
};

void control_serve(int fd) __attribute__((noreturn));
int refuse(struct request *req, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
const char *arg_str(struct request *req, const char *key, const char *fallback);
int arg_num(struct request *req, const char *key, long long fallback, long long *value);
int arg_nodes(struct request *req, const char *key, struct nodes *nodes);
int arg_range(struct request *req, const struct region *region, size_t *from,
	      size_t *count);
struct region *arg_region(struct request *req);

extern const struct verb region_verbs[];
extern const struct verb worker_verbs[];
extern const struct verb fault_verbs[];
extern const struct verb churn_verbs[];
extern const struct verb probe_verbs[];
extern const struct verb process_verbs[];
extern const struct verb relatives_verbs[];
extern const struct verb pin_verbs[];
extern const struct verb advice_verbs[];
extern const struct verb uffd_verbs[];
extern const struct verb nodefill_verbs[];

/* ---- threads ---- */

int thread_start(pthread_t *thread, void *(*fn)(void *), void *arg);
uint64_t now_ns(void);
uint64_t random_next(uint64_t *state);
bool workers_running(void);
bool churn_running(void);
void threads_forget(void);

/* ---- main.c ---- */

_Noreturn void process_run(int fd);
_Noreturn void process_exec(void);
void leader_release(void);

#endif
