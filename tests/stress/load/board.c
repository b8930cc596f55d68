// SPDX-License-Identifier: GPL-2.0
/*
 * The board: memory that all actors share, of which none is ever removed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "numastress.h"

struct board *board;
struct slot *own_slot;
int own_number = -1;

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void map_board(int fd, const char *path)
{
	void *addr = MAP_FAILED;

	if (fd >= 0)
		addr = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED) {
		fprintf(stderr, "numastress: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	close(fd);
	board = addr;
}

void board_open(const char *path)
{
	map_board(open(path, O_RDWR | O_CLOEXEC), path);
}

/**
 * board_create - a new board, all of it in memory
 */
void board_create(const char *path, uint64_t seed)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0 && posix_fallocate(fd, 0, sizeof(*board))) {
		close(fd);
		fd = -1;
	}
	map_board(fd, path);
	board->seed = seed;
	board->failure.slot = -1;
}

/**
 * board_take_slot - be this actor from now on
 */
void board_take_slot(int number, const char *name)
{
	own_number = number;
	own_slot = &board->slots[number];
	snprintf(own_slot->name, sizeof(own_slot->name), "%s", name);
	atomic_store(&own_slot->now, -1);
	atomic_fetch_add(&own_slot->born, 1);
	atomic_store(&own_slot->pid, getpid());
}

/**
 * board_op - the number of an operation of this actor, by name
 */
int board_op(const char *name)
{
	int i;

	for (i = 0; i < MAX_OPS; i++) {
		if (!own_slot->ops[i].name[0])
			snprintf(own_slot->ops[i].name, sizeof(own_slot->ops[i].name), "%s",
				 name);
		if (!strcmp(own_slot->ops[i].name, name))
			return i;
	}
	fprintf(stderr, "numastress: more than %d operations\n", MAX_OPS);
	_exit(2);
}

void board_begin(int op)
{
	atomic_store(&own_slot->since, now_ns());
	atomic_store(&own_slot->now, op);
}

/**
 * board_end - an operation has ended
 * @result: 0, or -errno if the kernel refused it
 * @text: what it was asked for
 */
void board_end(int op, int result, const char *text)
{
	struct op_count *count = &own_slot->ops[op];
	uint64_t at = atomic_load(&own_slot->traced);
	struct trace *trace = &own_slot->trace[at % MAX_TRACE];

	trace->at = atomic_load(&own_slot->since);
	trace->took = now_ns() - trace->at;
	trace->op = op;
	trace->result = result;
	snprintf(trace->text, sizeof(trace->text), "%s", text);
	atomic_store(&own_slot->traced, at + 1);
	atomic_store(&own_slot->now, -1);
	if (result) {
		atomic_fetch_add(&count->refused, 1);
		atomic_store(&count->error, -result);
	} else {
		atomic_fetch_add(&count->done, 1);
	}
	board_beat();
}

void board_beat(void)
{
	atomic_fetch_add(&own_slot->beats, 1);
}

/**
 * board_stops - whether who acts until a phase has to end
 */
bool board_stops(enum phase phase)
{
	return atomic_load(&board->failed) || atomic_load(&board->phase) >= (int)phase;
}

/**
 * board_pick_worker - the slot of a process that has an area, or -1
 */
int board_pick_worker(struct random *r)
{
	int workers[MAX_SLOTS], count = 0, slot;

	for (slot = 0; slot < MAX_SLOTS; slot++)
		if (board->slots[slot].pages && atomic_load(&board->slots[slot].pid))
			workers[count++] = slot;
	return count ? workers[random_below(r, count)] : -1;
}

/**
 * board_claim_failure - the failure to describe, NULL if there is one already
 */
struct failure *board_claim_failure(void)
{
	int nobody = -1, now;

	atomic_store(&board->failed, true);
	if (!atomic_compare_exchange_strong(&board->failure.slot, &nobody, own_number))
		return NULL;
	board->failure.pid = getpid();
	now = atomic_load(&own_slot->now);
	snprintf(board->failure.op, sizeof(board->failure.op), "%s",
		 now < 0 ? "none" : own_slot->ops[now].name);
	return &board->failure;
}

/**
 * board_fail - a failure that is not about a word; everything stops
 */
void board_fail(const char *fmt, ...)
{
	struct failure *failure = board_claim_failure();
	va_list args;

	if (!failure)
		return;
	va_start(args, fmt);
	vsnprintf(failure->what, sizeof(failure->what), fmt, args);
	va_end(args);
	atomic_store(&failure->complete, true);
}

/**
 * board_wait_for_leave - keep the memory until somebody has looked at it, and end
 * @status: exit status
 */
void board_wait_for_leave(int status)
{
	while (atomic_load(&board->phase) != PHASE_LEAVE)
		usleep(20000);
	_exit(status);
}

/**
 * rest - sleep, for a random time
 */
void rest(struct random *r, unsigned int most_us)
{
	usleep(random_below(r, most_us + 1));
}

/**
 * rest_for_memory - sleep where the kernel had no memory just now
 * @tries: how often it was so, 0 at first
 *
 * Limits are lowered, and blocks and nodes go: what is refused may be had a while later.
 *
 * Return: whether it is worth another try; not after some 20 s.
 */
bool rest_for_memory(int *tries)
{
	if (++*tries > 1000)
		return false;
	usleep(20000);
	return true;
}
