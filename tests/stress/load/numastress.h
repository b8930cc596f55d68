/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numastress: processes that know what every word of their memory must be, and
 * others that move that memory, change it and take it away, all at once.
 *
 *   main.c      which actor to be
 *   board.c     what all actors share: whether to go on, what each has done, the
 *               first failure
 *   show.c      the board as JSON
 *   word.c      what a word must be, and what a wrong one was
 *   area.c      an area of memory whose every page has a state; checking it
 *   wrong.c     what is known of a wrong word
 *   kinds.c     the kinds of memory
 *   keeper.c    starts the workers of an area, again when they were killed
 *   worker.c    a process that operates on an area while a second thread checks it
 *   ops-*.c     what a worker does: advise, map, fork, files, pins, userfaultfd, move
 *   outsider.c  an actor without memory of its own
 *   mover.c     actors that move memory from outside
 *   disturb.c   actors that disturb everybody
 *   files.c     reading and writing files of the kernel
 */
#ifndef NUMASTRESS_H
#define NUMASTRESS_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define PAGE		4096UL
#define PAGE_WORDS	(PAGE / sizeof(uint64_t))
#define HUGE_PAGES	512UL
#define MAX_NODES	64

/* ---- random numbers: word.c ---- */

/**
 * struct random - the random numbers of one operation
 *
 * Each operation has its own, made of seed, actor and number of the operation, so
 * that how often one of them draws does not change what the next one does.
 */
struct random {
	uint64_t state;
};

void random_start(struct random *r, uint64_t seed, uint64_t actor, uint64_t number);
uint64_t random_below(struct random *r, uint64_t limit);
unsigned long random_nodes(struct random *r, unsigned long among);

/* ---- words: word.c ---- */

#define WORD_ODD	0x9e3779b97f4a7c15ULL
#define WORD_SHIFT	28

/**
 * struct place - where a word belongs
 * @area: number of the area, 10 bits
 * @page: of the area, 12 bits
 * @word: of the page, 9 bits
 * @generation: how often the page was written by then, 28 bits
 */
struct place {
	unsigned int area;
	unsigned int page;
	unsigned int word;
	unsigned int generation;
};

uint64_t word_plain(const struct place *place);
bool word_decode(uint64_t seed, uint64_t word, struct place *place);

/* The plain form of the next word of a page is that of this one and 1 << WORD_SHIFT. */
static inline uint64_t word_scramble(uint64_t seed, uint64_t plain)
{
	uint64_t x = (plain ^ seed) * WORD_ODD;

	return x ^ x >> 32;
}

/* ---- the board: board.c ---- */

#define MAX_SLOTS	64
#define MAX_OPS		32
#define MAX_TRACE	48
#define NAME_LEN	24

enum phase {
	PHASE_RUN,	/* everybody acts */
	PHASE_CALM,	/* movers and disturbers put back what they changed, and end */
	PHASE_END,	/* workers check all once more, and end */
	PHASE_LEAVE,	/* after a failure: it has been looked at */
};

/**
 * struct trace - an operation that was done
 * @at: when it began, nanoseconds
 * @took: how long
 * @op: its number in the slot
 * @result: 0 or -errno
 * @text: what it was asked for
 */
struct trace {
	uint64_t at;
	uint64_t took;
	int32_t op;
	int32_t result;
	char text[48];
};

struct op_count {
	char name[16];
	_Atomic uint64_t done;
	_Atomic uint64_t refused;
	_Atomic int error;
};

/**
 * struct slot - an actor, as the others see it
 * @name: kind or role, and number
 * @pid: its process now, 0: none
 * @beats: grows as long as it gets on
 * @bytes: checked
 * @born: processes there were
 * @killed: of those, by a signal 9
 * @addr: where its area is now
 * @pages: of its area
 * @now: the operation under way, -1: none
 * @since: when that began
 * @ops: what it can do, and how often it did
 * @trace: the last operations, a ring
 * @traced: entries written so far
 */
struct slot {
	char name[NAME_LEN];
	_Atomic int pid;
	_Atomic uint64_t beats;
	_Atomic uint64_t bytes;
	_Atomic unsigned int born;
	_Atomic unsigned int killed;
	_Atomic uintptr_t addr;
	size_t pages;
	_Atomic int now;
	_Atomic uint64_t since;
	struct op_count ops[MAX_OPS];
	struct trace trace[MAX_TRACE];
	_Atomic uint64_t traced;
};

/**
 * struct failure - the first that was seen; nobody writes another one
 * @slot: of the actor that saw it
 * @pid: its process, which waits to be looked at
 * @what: one line
 * @op: what was being done
 * @address: 0 if it is not about memory
 * @page: of the area
 * @word: of the page
 * @expected: what had to be there
 * @found: what was
 * @again: what is there a moment later
 * @state: of the page, see area.c
 * @named: where the found word belongs, in words
 * @kernel: what the kernel says of the page
 */
struct failure {
	_Atomic int slot;
	_Atomic bool complete;
	int pid;
	char what[128];
	char op[16];
	uintptr_t address;
	unsigned int page;
	unsigned int word;
	uint64_t expected;
	uint64_t found;
	uint64_t again;
	uint64_t state;
	char named[128];
	char kernel[256];
};

struct board {
	uint64_t seed;
	_Atomic int phase;
	_Atomic bool failed;
	struct failure failure;
	struct slot slots[MAX_SLOTS];
};

extern struct board *board;
extern struct slot *own_slot;
extern int own_number;

void board_open(const char *path);
void board_create(const char *path, uint64_t seed);
void board_take_slot(int number, const char *name);
int board_op(const char *name);
void board_begin(int op);
void board_end(int op, int result, const char *text);
void board_beat(void);
bool board_stops(enum phase phase);
int board_pick_worker(struct random *r);
struct failure *board_claim_failure(void);
void board_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void board_wait_for_leave(int status) __attribute__((noreturn));
uint64_t now_ns(void);
void rest(struct random *r, unsigned int most_us);
bool rest_for_memory(int *tries);

void show_board(const char *path, bool traces);

/* ---- areas: area.c ---- */

/*
 * The state of a page: who has it locked, what may be in it, its generation, and how
 * often it was locked. All processes that share an area share its states.
 */
#define STATE_LOCKER	0xffULL		/* slot number + 1 */
#define STATE_ZERO	(1ULL << 8)	/* nothing but zeroes */
#define STATE_MAYBE	(1ULL << 9)	/* the generation, or dropped for zeroes */
#define STATE_TORN	(1ULL << 10)	/* a writer was killed: each word one of several */
#define STATE_FLAGS	(STATE_ZERO | STATE_MAYBE | STATE_TORN)
#define GEN_SHIFT	16
#define GEN_MASK	0xfffffffULL
#define SEQ_SHIFT	44

struct area;

/**
 * struct kind - a kind of memory
 * @name: how it is called
 * @shared: its workers share one area, and a file or segment is behind it
 * @unmapped: it is a file that is read and written, never mapped
 * @huge: only whole huge pages can be unmapped, moved, given a policy
 * @identical: pages have the same contents, for KSM
 * @locked: it is locked
 * @base: an unwritten page has generation 1, from a file, instead of zeroes
 * @pages: of the area
 * @ops: names of what can be done to it, see worker.c
 * @back: make what is behind it, once for all workers; optional
 * @map: map pages anew at an address, replacing what is there
 */
struct kind {
	const char *name;
	bool shared;
	bool unmapped;
	bool huge;
	bool identical;
	bool locked;
	bool base;
	size_t pages;
	const char *ops;
	int (*back)(struct area *area);
	int (*map)(struct area *area, unsigned char *at, size_t from, size_t count);
};

/**
 * struct area - memory whose every page is known
 * @kind: of memory
 * @number: in its words
 * @addr: where it is now
 * @state: of each page
 * @last: the newest generation of each page
 * @fd: the file behind it, or -1
 * @shmid: the SysV segment behind it, or -1
 * @folder: where files on a disk are made
 */
struct area {
	const struct kind *kind;
	unsigned int number;
	unsigned char *_Atomic addr;
	_Atomic uint64_t *state;
	_Atomic uint32_t *last;
	int fd;
	int shmid;
	const char *folder;
};

int area_create(struct area *area, const struct kind *kind, const char *folder);
int area_map(struct area *area);
int area_map_pages(struct area *area, unsigned char *at, size_t from, size_t count);
void area_reset(struct area *area, unsigned int number);
void area_repair(struct area *area, int slot);
bool area_lock(struct area *area, size_t from, size_t count);
void area_unlock(struct area *area, size_t from, size_t count);
void area_flag(struct area *area, size_t from, size_t count, uint64_t flags);
void area_discarded(struct area *area, size_t from, size_t count);
void area_refilled(struct area *area, size_t from, size_t count);
void area_compose(struct area *area, size_t page, uint64_t *words);
void area_written(struct area *area, size_t page);
int area_write(struct area *area, size_t from, size_t count);
void area_fill_base(struct area *area, size_t page, uint64_t *words);
bool area_check_locked(struct area *area, size_t from, size_t count);
bool area_check_copy(struct area *area, size_t page, const uint64_t *copy);
bool area_check_round(struct area *area);
bool area_check_snapshot(struct area *area, const uint64_t *states);
void area_states(struct area *area, uint64_t *states);
void catch_faults(void);
unsigned char *area_page(struct area *area, size_t page);

/* kinds.c */
const struct kind *kind_find(const char *name);
void kinds_print(void);
unsigned char *reserve(size_t bytes);

/* wrong.c */
void wrong_word(struct area *area, size_t page, size_t word, uint64_t state,
		uint64_t expected, uint64_t found);

/* ---- workers: keeper.c, worker.c ---- */

/**
 * struct worker - a process that has an area
 * @area: the area
 * @actor: makes its random numbers differ from those of others
 * @groups: folders of cgroups that it may enter
 * @nodes: that there are, a bit for each
 * @nr_children: forked and not waited for yet
 */
struct worker {
	struct area *area;
	uint64_t actor;
	char **groups;
	int nr_groups;
	unsigned long nodes;
	int nr_children;
};

/**
 * struct op - what a worker does to pages that it has locked
 * @name: how it is called
 * @whole: it needs all pages of the area
 * @fn: returns 0, or -errno if the kernel did not do it, and sets the states of the
 *	pages to what is right afterwards
 */
struct op {
	const char *name;
	bool whole;
	int (*fn)(struct worker *w, struct random *r, size_t from, size_t count);
};

extern const struct op advice_ops[];
extern const struct op map_ops[];
extern const struct op fork_ops[];
extern const struct op file_ops[];
extern const struct op pin_ops[];
extern const struct op uffd_ops[];
extern const struct op move_ops[];

int keeper_main(int argc, char **argv);
void worker_main(struct worker *w, const char *ops) __attribute__((noreturn));
int exec_main(int argc, char **argv);
void exec_short(uint64_t number) __attribute__((noreturn));
void worker_reap(struct worker *w, bool all);
pid_t fork_into(const char *group);

/* ---- from outside: outsider.c, mover.c, disturb.c ---- */

/**
 * struct outsider - an actor without memory of its own that matters
 * @groups: folders of the cgroups
 * @nodes: that there are, a bit for each
 */
struct outsider {
	char **groups;
	int nr_groups;
	unsigned long nodes;
};

/**
 * struct role - what an outsider does, over and over
 * @name: how it is called
 * @rest_us: at most, between two times
 * @fn: once; says in text what it did
 * @end: put back what was changed; optional
 */
struct role {
	const char *name;
	unsigned int rest_us;
	int (*fn)(struct outsider *o, struct random *r, char *text, size_t len);
	void (*end)(struct outsider *o);
};

extern const struct role mover_roles[];
extern const struct role disturber_roles[];

int outsider_main(int argc, char **argv);

/* ---- files.c ---- */

int file_write(const char *path, const char *text, bool nonblock);
int group_write(const char *group, const char *file, const char *text, bool nonblock);
void offer_to_oom(void);
unsigned long nodes_allowed(int pid);
void nodes_text(unsigned long nodes, char *text, size_t len);
const char *pick_group(char **groups, int count, struct random *r);

#endif /* NUMASTRESS_H */
