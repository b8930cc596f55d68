// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: children. Each checks every word it inherited, writes its own copies,
 * checks those, and goes, or becomes another program with memory of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numastress.h"

#define MAX_CHILDREN	2
/* Generations of a child differ from all of its parent's. */
#define CHILD_GENERATION	0x8000000U
#define EXEC_PAGES	64

/* A private copy of what is known of the area, for the child. */
static struct area *copy_area(struct area *area)
{
	size_t pages = area->kind->pages, page;
	struct area *copy = malloc(sizeof(*copy) + pages * (sizeof(*copy->state) +
							    sizeof(*copy->last)));

	if (!copy)
		return NULL;
	*copy = *area;
	copy->state = (void *)(copy + 1);
	copy->last = (void *)(copy->state + pages);
	area_states(area, (uint64_t *)copy->state);
	for (page = 0; page < pages; page++)
		copy->last[page] = atomic_load(&area->last[page]) | CHILD_GENERATION;
	return copy;
}

static void child_private(struct area *area, struct random *r)
{
	size_t pages = area->kind->pages, from, count;
	int i;

	if (!area_check_snapshot(area, (const uint64_t *)area->state))
		return;
	/* They were locked when it was forked, and still are. */
	for (i = 0; i < 3 && !board_stops(PHASE_LEAVE); i++) {
		from = random_below(r, pages);
		count = 1 + random_below(r, pages - from);
		area_write(area, from, count);
		rest(r, 5000);
		if (!area_check_locked(area, 0, pages))
			return;
	}
}

static void child_main(struct worker *w, struct area *copy, struct random *r, bool exec)
{
	if (w->area->kind->shared)
		area_check_round(w->area);
	else
		child_private(copy, r);
	if (atomic_load(&board->failed))
		board_wait_for_leave(1);
	if (exec)
		exec_short(random_below(r, ~0ULL));
	_exit(0);
}

static int have_child(struct worker *w, struct random *r, bool exec)
{
	const char *group = pick_group(w->groups, w->nr_groups, r);
	struct area *copy;
	pid_t pid;

	if (random_below(r, 2))
		group = NULL;
	if (w->nr_children == MAX_CHILDREN)
		return -EAGAIN;
	copy = copy_area(w->area);
	if (!copy)
		return -ENOMEM;
	pid = fork_into(group);
	if (!pid)
		child_main(w, copy, r, exec);
	free(copy);
	if (pid < 0)
		return -errno;
	w->nr_children++;
	return 0;
}

static int op_fork(struct worker *w, struct random *r, size_t from, size_t count)
{
	(void)from;
	(void)count;
	return have_child(w, r, false);
}

static int op_exec(struct worker *w, struct random *r, size_t from, size_t count)
{
	(void)from;
	(void)count;
	return have_child(w, r, true);
}

/**
 * exec_short - become a program that writes memory, checks it, and ends
 */
void exec_short(uint64_t number)
{
	char seed[32], *argv[] = { "numastress", "exec", seed, NULL };
	int tries = 0;

	snprintf(seed, sizeof(seed), "%" PRIu64, number);
	do {
		execv("/proc/self/exe", argv);
		/* E2BIG: none for a page of the arguments. */
	} while ((errno == ENOMEM || errno == E2BIG) && rest_for_memory(&tries));
	board_fail("exec: %s", strerror(errno));
	board_wait_for_leave(1);
}

/**
 * exec_main - a short life: write memory, check it, end
 *
 * It has no part in the board: who started it looks at its status.
 */
int exec_main(int argc, char **argv)
{
	uint64_t seed = argc > 0 ? strtoull(argv[0], NULL, 10) : 0;
	uint64_t *words = mmap(NULL, EXEC_PAGES * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i, round;

	if (words == MAP_FAILED)
		return 2;
	for (round = 0; round < 4; round++) {
		for (i = 0; i < EXEC_PAGES * PAGE_WORDS; i++)
			words[i] = word_scramble(seed + round, i);
		usleep(2000);
		for (i = 0; i < EXEC_PAGES * PAGE_WORDS; i++)
			if (words[i] != word_scramble(seed + round, i))
				return 3;
	}
	return 0;
}

const struct op fork_ops[] = {
	{ "fork", true, op_fork },
	{ "exec", true, op_exec },
	{ 0 }
};
