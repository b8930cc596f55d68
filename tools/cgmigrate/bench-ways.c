// SPDX-License-Identifier: GPL-2.0
/*
 * What moves the memory. A process of its own does it, which can be killed when we are
 * told to stop; in the kernel some ways wait for the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* In memory that both processes see. */
struct outcome {
	uint64_t began;
	uint64_t ended;		/* 0: not at all */
	int err;
	char error[1200];
};

struct move {
	const struct bench_mover *mover;
	const cgm_nodeset *from;
	const cgm_nodeset *to;
	struct outcome *outcome;
};

const char *bench_way_name(enum bench_way way)
{
	static const char * const names[] = {
		[BENCH_CPUSET] = "cpuset",
		[BENCH_MOVE_PAGES] = "move_pages",
		[BENCH_MIGRATE_PAGES] = "migrate_pages",
		[BENCH_MIGRATEPAGES] = "migratepages",
	};

	return names[way];
}

/* Can it be told how fast to move? */
bool bench_way_limits(const struct bench *bench, enum bench_way way)
{
	return way == BENCH_MOVE_PAGES ||
	       (way == BENCH_CPUSET && (bench->app->features.flags & CGM_FEATURE_ENGINE));
}

static int move_error(struct move *move, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int move_error(struct move *move, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(move->outcome->error, sizeof(move->outcome->error), fmt, ap);
	va_end(ap);
	return err;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void begin(struct move *move)
{
	bench_load_moves(move->mover->load, true);
	move->outcome->began = now_ns();
}

static void end(struct move *move)
{
	move->outcome->ended = now_ns();
	bench_load_moves(move->mover->load, false);
}

static int by_cpuset(struct move *move)
{
	const char *file = bench_cgroup_mems(move->mover->cgroup);
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	char nodes[2048];
	int err = 0;
	ssize_t n;

	if (fd < 0)
		return move_error(move, -errno, "%s: %s", file, strerror(errno));
	nodes_text(move->to, nodes, sizeof(nodes));
	begin(move);
	n = write(fd, nodes, strlen(nodes));
	end(move);
	if (n < 0)
		err = move_error(move, -errno, "%s: cannot write \"%s\": %s", file, nodes,
				 strerror(errno));
	close(fd);
	return err;
}

static int by_migrate_pages(struct move *move)
{
	long n;

	begin(move);
	n = syscall(SYS_migrate_pages, bench_load_pid(move->mover->load), CGM_NODES_MAX + 1,
		    move->from->bits, move->to->bits);
	end(move);
	return n < 0 ? move_error(move, -errno, "migrate_pages: %s", strerror(errno)) : 0;
}

/* With all that it takes to start a program, as one who uses it has it. */
static int by_program(struct move *move)
{
	const char *program = move->mover->bench->program;
	pid_t us = getpid(), pid;
	char from[2048], to[2048], number[32];
	int status = -1;

	snprintf(number, sizeof(number), "%d", bench_load_pid(move->mover->load));
	nodes_text(move->from, from, sizeof(from));
	nodes_text(move->to, to, sizeof(to));
	begin(move);
	pid = fork();
	if (!pid) {
		bench_child(us);
		execl(program, program, number, from, to, NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	end(move);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return move_error(move, -EIO, "%s %s %s %s has failed", program, number, from, to);
}

/* Each node to its own; what the process has elsewhere stays there. */
static int add_pairs(struct move *move, struct cgm_plan *plan)
{
	struct cgm_node_pair pairs[CGM_NODES_MAX];
	pid_t pid = bench_load_pid(move->mover->load);
	struct cgm_move what = {
		.size = sizeof(what),
		.action = CGM_ACTION_PAGES,
		.to = move->mover->bench->app->features.own,
		.pids = &pid,
		.pid_count = 1,
		.pairs = pairs,
	};
	int to = -1;

	for (int n = cgm_nodeset_next(move->from, -1); n >= 0;
	     n = cgm_nodeset_next(move->from, n)) {
		to = cgm_nodeset_next(move->to, to);
		pairs[what.pair_count++] = (struct cgm_node_pair){ n, to };
	}
	return cgm_plan_add(plan, &what);
}

/* The library lists the pages and moves them in batches. The plan is not timed. */
static int by_library(struct move *move)
{
	struct cgm_context *ctx = move->mover->bench->app->ctx;
	struct cgm_job_options how = { .size = sizeof(how), .rate = move->mover->rate };
	struct cgm_job *job;
	struct cgm_plan *plan;
	int err = cgm_plan_new(ctx, &plan);

	if (!err)
		err = add_pairs(move, plan);
	if (!err)
		err = cgm_plan_check(plan);
	begin(move);
	if (!err)
		err = cgm_job_start(plan, &how, &job);
	if (!err)
		err = cgm_job_wait(job, -1);
	end(move);
	return err ? move_error(move, err, "%s", cgm_context_error(ctx)) : 0;
}

static int do_move(struct move *move)
{
	switch (move->mover->way) {
	case BENCH_CPUSET:
		return by_cpuset(move);
	case BENCH_MOVE_PAGES:
		return by_library(move);
	case BENCH_MIGRATE_PAGES:
		return by_migrate_pages(move);
	default:
		return by_program(move);
	}
}

/* Ends when the other process has: nobody writes to the pipe. */
static int wait_for_mover(struct bench *bench, pid_t pid, int fd)
{
	int err = bench_wait_fd(bench, fd);

	if (err)
		kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err;
}

static int run(struct move *move)
{
	struct bench *bench = move->mover->bench;
	pid_t parent = getpid(), pid;
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC))
		return bench_error(bench, -errno, "cannot make a pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		bench_child(parent);
		close(fds[0]);
		move->outcome->err = do_move(move);
		_exit(EXIT_OK);
	}
	close(fds[1]);
	if (pid < 0)
		err = bench_error(bench, -errno, "cannot start a process: %s",
				  strerror(errno));
	else
		err = wait_for_mover(bench, pid, fds[0]);
	close(fds[0]);
	return err;
}

/* Move the memory of a process, or bring it back, and tell what that took. */
int bench_move(const struct bench_mover *mover, bool back, uint64_t *ns)
{
	struct bench *bench = mover->bench;
	struct move move = {
		.mover = mover,
		.from = back ? &bench->to : &bench->from,
		.to = back ? &bench->from : &bench->to,
	};
	int err;

	move.outcome = mmap(NULL, sizeof(*move.outcome), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (move.outcome == MAP_FAILED)
		return bench_error(bench, -ENOMEM, "out of memory");
	err = run(&move);
	*ns = move.outcome->ended - move.outcome->began;
	if (!err && move.outcome->err)
		err = bench_error(bench, -EIO, "%s", move.outcome->error);
	else if (!err && !move.outcome->ended)
		err = bench_error(bench, -ECHILD, "the process that moves memory was killed");
	munmap(move.outcome, sizeof(*move.outcome));
	return err;
}
