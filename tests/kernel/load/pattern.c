// SPDX-License-Identifier: GPL-2.0
/*
 * What a page must contain.
 *
 * Word 0 of a page holds the version it was written with, odd while a writer is
 * inside. Every other word follows from region, page index and version, so that
 * a byte lost, a page exchanged with another and a page that came back in an
 * older version are all seen.
 *
 * The authority is the version kept beside the page (struct region). A writer
 * takes a page by making it odd and gives it back two higher. A verifier reads
 * it, checks every byte, and believes a mismatch only if it has not changed
 * meanwhile: no lock is taken, so checking does not keep writers away.
 */
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "numaload.h"

#define STEP		0x9e3779b97f4a7c15ULL
#define READ_TRIES	8
#define MAX_BAD		8
/* A writer that has not finished a page by then was killed in it. */
#define STUCK_SECONDS	60

struct bad {
	char who[32];
	size_t page;
	size_t word;
	uint64_t got;
	uint64_t want;
	uint64_t version;
};

static struct bad bad_list[MAX_BAD];
static _Atomic unsigned int nr_bad;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static uint64_t pattern_base(uint64_t seed, size_t index, uint64_t version)
{
	return mix(seed + mix(index + 1) + mix(version * STEP));
}

/**
 * pattern_put - write a version of a page
 * @page: the page
 * @seed: of its region
 * @index: of the page in the region
 * @version: even; what word 0 says in the end
 *
 * Word 0 is odd while the rest is written, which is what a forked child sees of
 * a page it inherits at that moment.
 */
void pattern_put(uint64_t *page, uint64_t seed, size_t index, uint64_t version)
{
	uint64_t word = pattern_base(seed, index, version);
	size_t i;

	__atomic_store_n(&page[0], version - 1, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_release);
	for (i = 1; i < page_words; i++) {
		word += STEP;
		page[i] = word;
	}
	__atomic_store_n(&page[0], version, __ATOMIC_RELEASE);
}

/**
 * pattern_check - compare every byte of a page
 *
 * Return: the index of the first wrong word, page_words if all are right.
 */
size_t pattern_check(const uint64_t *page, uint64_t seed, size_t index,
		     uint64_t version)
{
	uint64_t word = pattern_base(seed, index, version);
	uint64_t differ = __atomic_load_n(&page[0], __ATOMIC_ACQUIRE) ^ version;
	size_t i;

	if (differ)
		return 0;
	for (i = 1; i < page_words; i++) {
		word += STEP;
		differ |= page[i] ^ word;
	}
	if (!differ)
		return page_words;

	word = pattern_base(seed, index, version);
	for (i = 1; i < page_words; i++) {
		word += STEP;
		if (page[i] != word)
			return i;
	}
	/* It was wrong a moment ago and is right now: still wrong. */
	return page_words - 1;
}

/**
 * pattern_check_zero - compare every byte of a page that was never written
 *
 * Return: the index of the first word that is not zero, page_words if all are.
 */
size_t pattern_check_zero(const uint64_t *page)
{
	size_t i;

	for (i = 0; i < page_words; i++)
		if (page[i])
			return i;
	return page_words;
}

/**
 * bad_page - remember a wrong page
 *
 * The first few are kept for the report; all are counted by the caller.
 */
void bad_page(const char *who, size_t page, size_t word, uint64_t got, uint64_t want,
	      uint64_t version)
{
	unsigned int slot = atomic_fetch_add(&nr_bad, 1);
	struct bad *bad;

	if (slot >= MAX_BAD)
		return;
	bad = &bad_list[slot];
	snprintf(bad->who, sizeof(bad->who), "%s", who);
	bad->page = page;
	bad->word = word;
	bad->got = got;
	bad->want = want;
	bad->version = version;
}

void bad_pages_print(FILE *out)
{
	unsigned int i, n = atomic_load(&nr_bad);

	for (i = 0; i < n && i < MAX_BAD; i++) {
		struct bad *bad = &bad_list[i];

		fprintf(out, "%s%s[%zu].%zu:got:%" PRIx64 ":want:%" PRIx64
			":version:%" PRIu64, i ? "," : "", bad->who, bad->page,
			bad->word, bad->got, bad->want, bad->version);
	}
}

static uint64_t expected_word(uint64_t seed, size_t index, uint64_t version, size_t word)
{
	if (!word)
		return version;
	return pattern_base(seed, index, version) + word * STEP;
}

static void report(struct region *region, size_t page, size_t word, uint64_t version)
{
	const uint64_t *p = (const uint64_t *)region_page(region, page);

	bad_page(region->name, page, word, p[word],
		 expected_word(region->seed, page, version, word), version);
}

static time_t seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

/*
 * Take a page for writing: its version becomes odd, and *even is what it was. False
 * if somebody else has it for good.
 */
static bool page_take(struct region *region, size_t page, uint64_t *even)
{
	_Atomic uint64_t *version = &region->version[page];
	time_t until = seconds_now() + STUCK_SECONDS;
	uint64_t old;

	do {
		old = atomic_load_explicit(version, memory_order_relaxed);
		if (!(old & 1) &&
		    atomic_compare_exchange_weak_explicit(version, &old, old + 1,
							  memory_order_acquire,
							  memory_order_relaxed)) {
			*even = old;
			return true;
		}
		sched_yield();
	} while (seconds_now() < until);
	report(region, page, 0, old);
	return false;
}

static void page_give(struct region *region, size_t page, uint64_t version)
{
	atomic_store_explicit(&region->version[page], version, memory_order_release);
}

/**
 * page_rewrite - write the next version of a page
 *
 * Any number of threads and processes may do so at once.
 */
void page_rewrite(struct region *region, size_t page)
{
	uint64_t old;

	if (!page_take(region, page, &old))
		return;
	pattern_put((uint64_t *)region_page(region, page), region->seed, page, old + 2);
	page_give(region, page, old + 2);
}

static bool page_verify_unlocked(struct region *region, size_t page,
				 struct tally *tally)
{
	const uint64_t *p = (const uint64_t *)region_page(region, page);
	_Atomic uint64_t *version = &region->version[page];
	uint64_t before = atomic_load_explicit(version, memory_order_acquire);
	size_t word;

	if (!before)
		return true;
	if (before & 1)
		return false;
	word = pattern_check(p, region->seed, page, before);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(version, memory_order_relaxed) != before)
		return false;
	tally->pages++;
	if (word < page_words) {
		tally->bad++;
		report(region, page, word, before);
	}
	return true;
}

/**
 * page_verify - check every byte of one page, also while it is written
 *
 * A page that was never written is not looked at. One that changes under every
 * look is taken like a writer takes it.
 */
void page_verify(struct region *region, size_t page, struct tally *tally)
{
	uint64_t version;
	size_t word;
	int i;

	for (i = 0; i < READ_TRIES; i++) {
		if (page_verify_unlocked(region, page, tally))
			return;
		sched_yield();
	}
	tally->pages++;
	if (!page_take(region, page, &version)) {
		tally->bad++;
		return;
	}
	word = pattern_check((const uint64_t *)region_page(region, page), region->seed,
			     page, version);
	if (word < page_words) {
		tally->bad++;
		report(region, page, word, version);
	}
	page_give(region, page, version);
}

void region_verify(struct region *region, struct tally *tally)
{
	size_t page;

	for (page = 0; page < region->pages; page++)
		page_verify(region, page, tally);
}

/*
 * A fork gives the child every page as it was at one moment, but not all pages
 * of the same moment, so the versions beside them say nothing: the page's own
 * word 0 is the authority. Odd means that a writer was inside: then each word
 * belongs to the version being written or to the one before.
 */
static uint64_t snapshot_check(struct region *region, size_t page, struct tally *tally)
{
	const uint64_t *p = (const uint64_t *)region_page(region, page);
	uint64_t version = p[0], old, new;
	size_t word;

	tally->pages++;
	if (!(version & 1)) {
		word = version ? pattern_check(p, region->seed, page, version) :
				 pattern_check_zero(p);
		if (word < page_words)
			goto bad;
		return version;
	}
	tally->torn++;
	new = pattern_base(region->seed, page, version + 1);
	old = pattern_base(region->seed, page, version - 1);
	for (word = 1; word < page_words; word++) {
		new += STEP;
		old += STEP;
		/* The first write of a page goes over zeroes. */
		if (p[word] != new && p[word] != (version == 1 ? 0 : old))
			goto bad;
	}
	return version;
bad:
	tally->bad++;
	report(region, page, word, version);
	return version;
}

/**
 * region_verify_snapshot - check pages in a child forked while threads wrote
 *
 * For private regions only. Pages that were never written are not looked at.
 */
void region_verify_snapshot(struct region *region, size_t from, size_t count,
			    struct tally *tally)
{
	size_t page;

	for (page = from; page < from + count && page < region->pages; page++)
		if (atomic_load(&region->version[page]))
			snapshot_check(region, page, tally);
}

/**
 * region_adopt_snapshot - check all pages after a fork and make them the child's own
 *
 * Also after a writer of a shared region was killed, when nobody else writes.
 * Afterwards the versions agree with the pages again.
 */
void region_adopt_snapshot(struct region *region, struct tally *tally)
{
	uint64_t version;
	size_t page;

	for (page = 0; page < region->pages; page++) {
		if (!atomic_load(&region->version[page]))
			continue;
		version = snapshot_check(region, page, tally);
		if (version & 1) {
			version++;
			pattern_put((uint64_t *)region_page(region, page), region->seed,
				    page, version);
		}
		atomic_store(&region->version[page], version);
	}
}
