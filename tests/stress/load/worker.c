// SPDX-License-Identifier: GPL-2.0
/*
 * A worker: its main thread does one operation after the other to pages of its area,
 * a second one checks all of them, over and over.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "numastress.h"

/* At most, between two operations. */
#define REST_US		2000

static int op_write(struct worker *w, struct random *r, size_t from, size_t count)
{
	(void)r;
	return area_write(w->area, from, count);
}

/* Nothing: the pages are checked after every operation. */
static int op_check(struct worker *w, struct random *r, size_t from, size_t count)
{
	(void)w;
	(void)from;
	(void)count;
	rest(r, REST_US);
	return 0;
}

static const struct op basic_ops[] = {
	{ "write", false, op_write },
	{ "check", false, op_check },
	{ 0 }
};

static const struct op *const tables[] = {
	basic_ops, advice_ops, map_ops, fork_ops, file_ops, pin_ops, uffd_ops, move_ops,
};

static bool listed(const char *name, const char *list)
{
	size_t len = strlen(name);
	const char *at = list;

	while ((at = strstr(at, name))) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
		at += len;
	}
	return false;
}

/* What was asked for, as far as this kind of memory has it. */
static int choose_ops(const char *wanted, const char *possible, const struct op **ops)
{
	const struct op *op;
	int count = 0;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (op = tables[i]; op->name; op++)
			if (listed(op->name, possible) && listed(op->name, wanted))
				ops[count++] = op;
	return count;
}

static void choose_range(const struct area *area, const struct op *op, struct random *r,
			 size_t *from, size_t *count)
{
	size_t pages = area->kind->pages, unit = area->kind->huge ? HUGE_PAGES : 1;

	*from = random_below(r, pages / unit) * unit;
	*count = (1 + random_below(r, (pages - *from) / unit)) * unit;
	/* Short ranges more often: an operation on a part of a huge page splits it. */
	if (random_below(r, 2) && *count > 32 && unit == 1)
		*count = 1 + *count % 32;
	if (op->whole) {
		*from = 0;
		*count = pages;
	}
}

static void operate(struct worker *w, const struct op *op, struct random *r)
{
	size_t from, count;
	char text[48];
	int number = board_op(op->name), ret;

	choose_range(w->area, op, r, &from, &count);
	snprintf(text, sizeof(text), "pages %zu+%zu", from, count);
	board_begin(number);
	if (!area_lock(w->area, from, count))
		return;
	ret = op->fn(w, r, from, count);
	if (area_check_locked(w->area, from, count))
		area_unlock(w->area, from, count);
	board_end(number, ret, text);
}

/**
 * worker_reap - look after children that have ended
 * @all: wait for all of them
 */
void worker_reap(struct worker *w, bool all)
{
	int status;

	while (w->nr_children) {
		pid_t pid = waitpid(-1, &status, all ? 0 : WNOHANG);

		if (pid <= 0)
			return;
		w->nr_children--;
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			continue;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			continue;
		board_fail("a child ended with status %x", status);
	}
}

static void *check_main(void *arg)
{
	struct area *area = arg;

	while (!board_stops(PHASE_END))
		if (!area_check_round(area))
			break;
	return NULL;
}

static void act(struct worker *w, const struct op **ops, int count)
{
	uint64_t number;
	struct random r;
	size_t op;

	for (number = 0; !board_stops(PHASE_END); number++) {
		random_start(&r, board->seed, w->actor, number);
		/* A third of them writes, or all would be zeroes soon. */
		op = random_below(&r, 3) ? random_below(&r, count) : 0;
		operate(w, ops[op], &r);
		worker_reap(w, false);
		rest(&r, REST_US);
	}
}

static int start_checker(struct worker *w, pthread_t *checker)
{
	int tries = 0, ret;

	do {
		ret = pthread_create(checker, NULL, check_main, w->area);
	} while (ret == EAGAIN && rest_for_memory(&tries));
	return ret;
}

/**
 * worker_main - be a worker until all has to end
 * @ops: names of operations, with blanks between
 */
void worker_main(struct worker *w, const char *ops)
{
	const struct op *chosen[MAX_OPS];
	int count = choose_ops(ops, w->area->kind->ops, chosen), ret;
	pthread_t checker;

	catch_faults();
	offer_to_oom();
	ret = area_map(w->area);
	atomic_store(&own_slot->addr, (uintptr_t)area_page(w->area, 0));
	if (ret)
		board_fail("cannot map memory of kind %s: %s", w->area->kind->name, strerror(-ret));
	ret = start_checker(w, &checker);
	if (ret)
		board_fail("cannot start a thread: %s", strerror(ret));
	else
		act(w, chosen, count);
	worker_reap(w, true);
	if (!ret)
		pthread_join(checker, NULL);
	if (!board_stops(PHASE_LEAVE))
		area_check_round(w->area);
	if (atomic_load(&board->failed))
		board_wait_for_leave(1);
	_exit(0);
}
