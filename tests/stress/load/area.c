// SPDX-License-Identifier: GPL-2.0
/*
 * An area of memory whose every page has a state that says what must be in it.
 *
 * Who changes pages locks them first, in order of their numbers. Who checks a page
 * takes no lock: he reads the state, every word, and the state again, and believes
 * what he saw only if it is the same. So all words are checked while others write,
 * unmap and truncate; a fault on the way counts as nothing seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numastress.h"

/* The area in the words of all that have the same contents. */
#define IDENTICAL_AREA	0x3ff

/* Where to go on after a fault; NULL: there must be none. */
static _Thread_local sigjmp_buf *fault_jump;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (fault_jump)
		siglongjmp(*fault_jump, 1);
	board_fail("signal %d at address %p, code %d", number, info->si_addr, info->si_code);
	board_wait_for_leave(1);
}

/**
 * catch_faults - a fault on memory that is locked is a failure
 */
void catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static uint64_t generation(uint64_t state)
{
	return state >> GEN_SHIFT & GEN_MASK;
}

unsigned char *area_page(struct area *area, size_t page)
{
	return atomic_load(&area->addr) + page * PAGE;
}

/**
 * area_create - the states of an area, and what is behind it, for all its workers
 *
 * Return: 0 or -errno.
 */
int area_create(struct area *area, const struct kind *kind, const char *folder)
{
	size_t bytes = kind->pages * (sizeof(*area->state) + sizeof(*area->last));
	void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		return -errno;
	*area = (struct area){ .kind = kind, .fd = -1, .shmid = -1, .folder = folder };
	area->state = addr;
	area->last = (void *)(area->state + kind->pages);
	return kind->back ? kind->back(area) : 0;
}

/**
 * area_map_pages - map pages of it
 * @at: where; what is there is replaced
 *
 * Return: 0 or -errno.
 */
int area_map_pages(struct area *area, unsigned char *at, size_t from, size_t count)
{
	int tries = 0, ret;

	do {
		ret = area->kind->map(area, at, from, count);
	} while (ret == -ENOMEM && rest_for_memory(&tries));
	return ret;
}

/**
 * area_map - map all of it, at the start of a huge page
 *
 * Return: 0 or -errno.
 */
int area_map(struct area *area)
{
	size_t bytes = area->kind->pages * PAGE;
	unsigned char *at;
	int ret;

	if (area->kind->unmapped)
		return 0;
	at = reserve(bytes);
	if (!at)
		return -errno;
	ret = area_map_pages(area, at, 0, area->kind->pages);
	atomic_store(&area->addr, at);
	return ret;
}

/**
 * area_reset - nothing was written yet
 * @number: that its words will have
 */
void area_reset(struct area *area, unsigned int number)
{
	size_t page;

	area->number = number;
	for (page = 0; page < area->kind->pages; page++) {
		atomic_store(&area->last[page], 1);
		atomic_store(&area->state[page],
			     area->kind->base ? 1ULL << GEN_SHIFT : STATE_ZERO);
	}
}

/**
 * area_repair - somebody who shared the area was killed
 * @slot: his
 *
 * What he had locked may have been written in part, or cut off.
 */
void area_repair(struct area *area, int slot)
{
	uint64_t state;
	size_t page;

	if (area->fd >= 0 && ftruncate(area->fd, area->kind->pages * PAGE))
		board_fail("cannot extend the file of a killed process: %s", strerror(errno));
	for (page = 0; page < area->kind->pages; page++) {
		state = atomic_load(&area->state[page]);
		if ((state & STATE_LOCKER) == (uint64_t)slot + 1)
			atomic_store(&area->state[page], (state & ~STATE_LOCKER) | STATE_TORN);
	}
}

static bool lock_page(struct area *area, size_t page)
{
	uint64_t old, new;

	for (;;) {
		old = atomic_load(&area->state[page]);
		new = (old + (1ULL << SEQ_SHIFT)) | (uint64_t)(own_number + 1);
		if (!(old & STATE_LOCKER) &&
		    atomic_compare_exchange_strong(&area->state[page], &old, new))
			return true;
		if (board_stops(PHASE_LEAVE))
			return false;
		usleep(100);
	}
}

/**
 * area_lock - pages that only the caller may change from now on
 *
 * Return: false if all has to stop; then nothing is locked.
 */
bool area_lock(struct area *area, size_t from, size_t count)
{
	size_t page;

	for (page = from; page < from + count; page++) {
		if (!lock_page(area, page)) {
			area_unlock(area, from, page - from);
			return false;
		}
	}
	return true;
}

void area_unlock(struct area *area, size_t from, size_t count)
{
	size_t page;

	for (page = from; page < from + count; page++)
		atomic_fetch_and(&area->state[page], ~STATE_LOCKER);
}

/* Another content, the same lock. */
static void set_content(struct area *area, size_t page, uint64_t gen, uint64_t flags)
{
	uint64_t state = atomic_load(&area->state[page]);

	state &= ~(STATE_FLAGS | GEN_MASK << GEN_SHIFT);
	atomic_store(&area->state[page], state | gen << GEN_SHIFT | flags);
}

/**
 * area_flag - locked pages may be something else besides
 */
void area_flag(struct area *area, size_t from, size_t count, uint64_t flags)
{
	size_t page;

	for (page = from; page < from + count; page++)
		atomic_fetch_or(&area->state[page], flags);
}

/**
 * area_discarded - locked pages are as if nobody had written them
 */
void area_discarded(struct area *area, size_t from, size_t count)
{
	size_t page;

	for (page = from; page < from + count; page++) {
		if (area->kind->base)
			set_content(area, page, 1, 0);
		else
			set_content(area, page, 0, STATE_ZERO);
	}
}

static uint64_t plain_of(const struct area *area, size_t page, uint64_t gen)
{
	struct place place = { area->number, page, 0, gen };

	if (area->kind->identical)
		place = (struct place){ IDENTICAL_AREA, page % 4, 0, gen % 2 + 1 };
	return word_plain(&place);
}

static void put_words(uint64_t *words, uint64_t plain)
{
	size_t i;

	for (i = 0; i < PAGE_WORDS; i++, plain += 1ULL << WORD_SHIFT)
		__atomic_store_n(&words[i], word_scramble(board->seed, plain), __ATOMIC_RELAXED);
}

/**
 * area_compose - the words of the next generation of a locked page
 * @words: where to write them; afterwards area_written() has to say that they are there
 */
void area_compose(struct area *area, size_t page, uint64_t *words)
{
	uint32_t gen = atomic_fetch_add(&area->last[page], 1) + 1;

	put_words(words, plain_of(area, page, gen));
}

/**
 * area_written - a locked page has the newest generation
 */
void area_written(struct area *area, size_t page)
{
	set_content(area, page, atomic_load(&area->last[page]), 0);
}

/**
 * area_fill_base - the words of a page that nobody wrote, where that is not zeroes
 */
void area_fill_base(struct area *area, size_t page, uint64_t *words)
{
	put_words(words, plain_of(area, page, 1));
}

/**
 * area_refilled - locked pages have their first generation again
 */
void area_refilled(struct area *area, size_t from, size_t count)
{
	size_t page;

	for (page = from; page < from + count; page++)
		set_content(area, page, 1, 0);
}

static int write_unmapped(struct area *area, size_t page)
{
	uint64_t words[PAGE_WORDS];
	ssize_t done;

	area_compose(area, page, words);
	done = pwrite(area->fd, words, PAGE, page * PAGE);
	if (done != (ssize_t)PAGE)
		return done < 0 ? -errno : -EIO;
	return 0;
}

/**
 * area_write - write the next generation of locked pages
 *
 * Return: 0 or -errno, which only writing a file can give.
 */
int area_write(struct area *area, size_t from, size_t count)
{
	size_t page;
	int ret = 0;

	for (page = from; page < from + count && !ret; page++) {
		if (area->kind->unmapped)
			ret = write_unmapped(area, page);
		else
			area_compose(area, page, (uint64_t *)area_page(area, page));
		if (!ret)
			area_written(area, page);
	}
	return ret;
}

/* The first wrong word; PAGE_WORDS: there is none. */
static size_t check_words(const struct area *area, size_t page, uint64_t state,
			  const uint64_t *words, uint64_t *expected, uint64_t *found)
{
	uint64_t old = plain_of(area, page, generation(state));
	uint64_t new = plain_of(area, page, atomic_load(&area->last[page]));
	bool zero = state & STATE_ZERO, dropped = false;
	size_t i;

	for (i = 0; i < PAGE_WORDS; i++) {
		*expected = zero ? 0 : word_scramble(board->seed, old);
		*found = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
		if (*found == *expected && !dropped)
			goto right;
		if (state & STATE_TORN &&
		    (!*found || *found == *expected ||
		     *found == word_scramble(board->seed, new)))
			goto right;
		/* What was dropped once does not come back. */
		if (state & STATE_MAYBE && !(state & STATE_TORN) && !*found) {
			dropped = true;
			goto right;
		}
		return i;
right:
		old += 1ULL << WORD_SHIFT;
		new += 1ULL << WORD_SHIFT;
	}
	atomic_fetch_add(&own_slot->bytes, PAGE);
	return PAGE_WORDS;
}

/* The words of a page: itself, or what read(2) says of it. */
static const uint64_t *view(struct area *area, size_t page, uint64_t *buffer)
{
	int tries = 0;
	ssize_t done;

	if (!area->kind->unmapped)
		return (const uint64_t *)area_page(area, page);
	do {
		done = pread(area->fd, buffer, PAGE, page * PAGE);
	} while (done < 0 && errno == ENOMEM && rest_for_memory(&tries));
	/* Cut off right now: not believed, as its state has changed. */
	if (done >= 0 && done < (ssize_t)PAGE)
		memset((char *)buffer + done, 0xff, PAGE - done);
	if (done < 0)
		board_fail("read of page %zu: %s", page, strerror(errno));
	return buffer;
}

static bool check_stable(struct area *area, size_t page, uint64_t state)
{
	uint64_t buffer[PAGE_WORDS], expected, found;
	size_t word = check_words(area, page, state, view(area, page, buffer), &expected, &found);

	if (word == PAGE_WORDS)
		return true;
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load(&area->state[page]) != state)
		return true;
	wrong_word(area, page, word, state, expected, found);
	return false;
}

/* Check a page that others may change meanwhile. */
static bool check_unlocked(struct area *area, size_t page)
{
	uint64_t state = atomic_load(&area->state[page]);
	volatile bool right = true;
	sigjmp_buf here;

	if (state & STATE_LOCKER)
		return true;
	fault_jump = &here;
	if (!sigsetjmp(here, 0)) {
		right = check_stable(area, page, state);
	} else if (atomic_load(&area->state[page]) == state) {
		fault_jump = NULL;
		board_fail("a fault on page %zu, which nobody had locked", page);
		right = false;
	}
	fault_jump = NULL;
	return right;
}

/**
 * area_check_round - check every page that nobody has locked
 *
 * Return: false if one was wrong.
 */
bool area_check_round(struct area *area)
{
	size_t page;

	for (page = 0; page < area->kind->pages; page++) {
		if (!check_unlocked(area, page))
			return false;
		if (page % 64 == 63) {
			board_beat();
			usleep(500);
		}
		if (board_stops(PHASE_LEAVE))
			break;
	}
	return true;
}

/**
 * area_check_locked - check pages that the caller has locked
 */
bool area_check_locked(struct area *area, size_t from, size_t count)
{
	size_t page;

	for (page = from; page < from + count; page++)
		if (!check_stable(area, page, atomic_load(&area->state[page])))
			return false;
	return true;
}

/**
 * area_check_copy - check a copy of a page that the caller has locked
 */
bool area_check_copy(struct area *area, size_t page, const uint64_t *copy)
{
	uint64_t state = atomic_load(&area->state[page]), expected, found;
	size_t word = check_words(area, page, state, copy, &expected, &found);

	if (word == PAGE_WORDS)
		return true;
	wrong_word(area, page, word, state, expected, found);
	return false;
}

/**
 * area_states - remember the states of all pages
 */
void area_states(struct area *area, uint64_t *states)
{
	size_t page;

	for (page = 0; page < area->kind->pages; page++)
		states[page] = atomic_load(&area->state[page]);
}

/**
 * area_check_snapshot - check the copy of an area that a child has for itself
 * @states: of its pages when it was forked
 */
bool area_check_snapshot(struct area *area, const uint64_t *states)
{
	uint64_t expected, found;
	size_t page, word;

	for (page = 0; page < area->kind->pages && !board_stops(PHASE_LEAVE); page++) {
		word = check_words(area, page, states[page],
				   (const uint64_t *)area_page(area, page), &expected, &found);
		if (word == PAGE_WORDS)
			continue;
		wrong_word(area, page, word, states[page], expected, found);
		return false;
	}
	return true;
}
