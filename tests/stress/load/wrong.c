// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of a wrong word: where what was found belongs, whether it is still
 * there a moment later, and what the kernel says of the page.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numastress.h"

#define PRESENT		(1ULL << 63)
#define FRAME		((1ULL << 55) - 1)

static uint64_t read_entry(const char *path, uint64_t index)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), index * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

static void ask_kernel(void *addr, char *text, size_t len)
{
	uint64_t entry = read_entry("/proc/self/pagemap", (uintptr_t)addr / PAGE);
	uint64_t frame = entry & FRAME;
	int node = -1000;

	syscall(SYS_move_pages, 0, 1UL, &addr, NULL, &node, 0);
	snprintf(text, len, "node %d, pagemap %016" PRIx64, node, entry);
	if (!(entry & PRESENT))
		return;
	snprintf(text + strlen(text), len - strlen(text),
		 ", frame %" PRIx64 ", kpageflags %" PRIx64 ", kpagecount %" PRIu64, frame,
		 read_entry("/proc/kpageflags", frame), read_entry("/proc/kpagecount", frame));
}

static void name_word(const struct area *area, size_t page, size_t word, uint64_t found,
		      char *text, size_t len)
{
	struct place place;

	if (!found) {
		snprintf(text, len, "zeroes");
	} else if (!word_decode(board->seed, found, &place)) {
		snprintf(text, len, "nothing that anybody here wrote");
	} else if (place.area != area->number) {
		snprintf(text, len, "page %u word %u generation %u of area %u (slot %u), not %u",
			 place.page, place.word, place.generation, place.area, place.area & 63,
			 area->number);
	} else if (place.page != page || place.word != word) {
		snprintf(text, len, "page %u word %u of this area, generation %u", place.page,
			 place.word, place.generation);
	} else {
		snprintf(text, len, "generation %u of this word, the newest is %u",
			 place.generation, atomic_load(&area->last[page]));
	}
}

/**
 * wrong_word - describe it, if it is the first failure
 *
 * The kernel is asked first, before anything can change.
 */
void wrong_word(struct area *area, size_t page, size_t word, uint64_t state,
		uint64_t expected, uint64_t found)
{
	struct failure *failure = board_claim_failure();
	uint64_t *addr = (uint64_t *)area_page(area, page) + word;

	if (!failure)
		return;
	if (!area->kind->unmapped)
		ask_kernel(addr, failure->kernel, sizeof(failure->kernel));
	snprintf(failure->what, sizeof(failure->what), "a wrong word in memory of kind %s",
		 area->kind->name);
	failure->address = area->kind->unmapped ? 0 : (uintptr_t)addr;
	failure->page = page;
	failure->word = word;
	failure->expected = expected;
	failure->found = found;
	failure->state = state;
	name_word(area, page, word, found, failure->named, sizeof(failure->named));
	usleep(100000);
	if (!area->kind->unmapped)
		failure->again = __atomic_load_n(addr, __ATOMIC_RELAXED);
	atomic_store(&failure->complete, true);
}
