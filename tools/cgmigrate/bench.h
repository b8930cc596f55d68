/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of cgmigrate bench share. */
#ifndef BENCH_H
#define BENCH_H

#include "cgmigrate.h"
#include "stalls.h"

/* Kinds of memory. */
enum bench_kind {
	BENCH_ANON,		/* base pages */
	BENCH_THP,
	BENCH_SHMEM,
	BENCH_FILE,		/* mapped, on a disk */
	BENCH_HUGETLB,
	BENCH_KINDS,
};

/* Ways to move memory. */
enum bench_way {
	BENCH_CPUSET,		/* a write to cpuset.mems of a cgroup of its own */
	BENCH_MOVE_PAGES,	/* the library, on any kernel */
	BENCH_MIGRATE_PAGES,	/* migrate_pages(2) */
	BENCH_MIGRATEPAGES,	/* the program of numactl */
	BENCH_WAYS,
};

struct bench_cgroup;
struct bench_load;

/* Everything about one run of the command. */
struct bench {
	struct app *app;
	cgm_nodeset from, to;	/* as many nodes in both */
	uint64_t size;
	uint64_t rate;		/* 0: measure without a limit only */
	unsigned int repeat;
	unsigned int kinds;	/* bits, by enum bench_kind */
	unsigned int ways;
	bool kinds_named;	/* by the user: what cannot be measured is missed */
	bool ways_named;
	bool dry_run;
	bool failed;		/* something could not be measured after all */
	const char *folder;	/* for the mapped file */
	const char *below;	/* where its cgroup is made */
	const char *output;
	const char *picture;
	char *program;		/* of BENCH_MIGRATEPAGES */
	uint64_t huge_size;	/* of a huge page: THP, hugetlb */
	uint64_t thp_size;
	sigset_t waiting;	/* signals are held back but while we wait */
	char error[1200];	/* why something failed */
	json_t *missing;
	json_t *results;
};

/* bench-load.c: the process whose memory is moved */
enum bench_probe {
	BENCH_TOUCH,		/* read a word of the memory that moves */
	BENCH_MMAP,		/* map and unmap a page */
	BENCH_PROBES,
};

struct bench_where {
	uint64_t from;		/* bytes on the old nodes */
	uint64_t to;		/* and on the new ones */
	uint64_t huge;		/* bytes in transparent huge pages */
};

int bench_load_start(struct bench *bench, enum bench_kind kind, uint64_t size,
		     struct bench_load **out);
pid_t bench_load_pid(const struct bench_load *load);
int bench_load_fill(struct bench_load *load);
int bench_load_verify(struct bench_load *load);
int bench_load_where(struct bench_load *load, struct bench_where *where);
int bench_load_probe(struct bench_load *load, enum bench_probe probe);
int bench_load_probed(struct bench_load *load, struct stalls *idle, struct stalls *moving);
void bench_load_moves(struct bench_load *load, bool moves);
void bench_load_end(struct bench_load *load);

/* bench-cgroup.c: a cgroup of its own */
bool bench_cgroup_missing(struct bench *bench, char *why, size_t size);
int bench_cgroup_make(struct bench *bench, struct bench_cgroup **out);
int bench_cgroup_attach(struct bench *bench, const struct bench_cgroup *cgroup, pid_t pid);
int bench_cgroup_limit(struct bench *bench, const struct bench_cgroup *cgroup,
		       uint64_t rate);
const char *bench_cgroup_mems(const struct bench_cgroup *cgroup);
void bench_cgroup_remove(struct bench *bench, struct bench_cgroup *cgroup);

/* bench-ways.c: what moves the memory */
const char *bench_way_name(enum bench_way way);
bool bench_way_limits(const struct bench *bench, enum bench_way way);

struct bench_mover {
	struct bench *bench;
	struct bench_load *load;
	const struct bench_cgroup *cgroup;
	enum bench_way way;
	uint64_t rate;		/* 0: no limit */
};

int bench_move(const struct bench_mover *mover, bool back, uint64_t *ns);

/* bench-check.c: what can be measured here */
const char *bench_kind_name(enum bench_kind kind);
uint64_t bench_size(struct bench *bench, enum bench_kind kind);
int bench_check(struct bench *bench);
void bench_miss(struct bench *bench, const char *what, const char *why);

/* bench-series.c: one kind of memory, one way */
int bench_series(struct bench *bench, enum bench_kind kind, enum bench_way way,
		 uint64_t rate);

/* bench-machine.c */
json_t *bench_machine(struct bench *bench);

/* bench-report.c */
void bench_title(const json_t *object, char *buf, size_t size);
const char *bench_time(const struct app *app, double usec, char *buf, size_t size);
void bench_print(const struct app *app, const json_t *object);

/* bench-picture.c */
int bench_draw(struct bench *bench, const json_t *object);

/* bench-wait.c: waiting, and being told to stop */
int bench_error(struct bench *bench, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void bench_signals(struct bench *bench);
int bench_wait_fd(struct bench *bench, int fd);
int bench_rest(struct bench *bench, unsigned int ms);
void bench_child(pid_t parent);

#endif /* BENCH_H */
