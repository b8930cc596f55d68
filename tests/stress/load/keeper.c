// SPDX-License-Identifier: GPL-2.0
/*
 * The keeper of an area: it makes what is behind it, starts its workers, and starts
 * another one where one was killed. It has none of the memory mapped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "numastress.h"

#define MAX_WORKERS	4

/**
 * struct keeper - its arguments, and its workers
 * @slot: of the first worker; the others have the next
 * @area: theirs, if they share one; else each has his entry
 * @pid: of each worker, 0: it has ended
 */
struct keeper {
	int slot;
	const struct kind *kind;
	int nr_workers;
	const char *ops;
	struct area area[MAX_WORKERS];
	pid_t pid[MAX_WORKERS];
	struct worker worker;
};

static struct area *area_of(struct keeper *keeper, int i)
{
	return &keeper->area[keeper->kind->shared ? 0 : i];
}

/**
 * fork_into - a child that is born in a cgroup; NULL: in the parent's
 *
 * Return: as fork().
 */
pid_t fork_into(const char *group)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int fd = -1;
	pid_t pid;

	if (group) {
		fd = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -1;
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = fd;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (fd >= 0)
		close(fd);
	return pid;
}

static void be_worker(struct keeper *keeper, int i)
{
	struct worker *worker = &keeper->worker;
	unsigned int born = atomic_load(&board->slots[keeper->slot + i].born);
	char name[NAME_LEN];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name, sizeof(name), "%s.%d", keeper->kind->name, i);
	worker->area = area_of(keeper, i);
	worker->actor = (uint64_t)(keeper->slot + i) << 16 | born;
	if (!keeper->kind->shared)
		area_reset(worker->area, (keeper->slot + i) | (born & 15) << 6);
	board_take_slot(keeper->slot + i, name);
	own_slot->pages = keeper->kind->pages;
	worker_main(worker, keeper->ops);
}

/* Every worker starts in a cgroup that its random numbers say. */
static int start(struct keeper *keeper, int i)
{
	struct random r;
	unsigned int born = atomic_load(&board->slots[keeper->slot + i].born);
	const char *group;
	int tries = 0;

	random_start(&r, board->seed, keeper->slot + i, born);
	group = pick_group(keeper->worker.groups, keeper->worker.nr_groups, &r);
	do {
		keeper->pid[i] = fork_into(group);
	} while (keeper->pid[i] < 0 && errno == ENOMEM && rest_for_memory(&tries));
	if (!keeper->pid[i])
		be_worker(keeper, i);
	if (keeper->pid[i] < 0) {
		board_fail("cannot start a worker: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static void ended(struct keeper *keeper, int i, int status)
{
	struct slot *slot = &board->slots[keeper->slot + i];

	keeper->pid[i] = 0;
	atomic_store(&slot->pid, 0);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		atomic_fetch_add(&slot->killed, 1);
		if (keeper->kind->shared)
			area_repair(&keeper->area[0], keeper->slot + i);
		if (!board_stops(PHASE_END))
			start(keeper, i);
		return;
	}
	board_fail("worker %d of kind %s ended with status %x", i, keeper->kind->name, status);
}

static int keep(struct keeper *keeper)
{
	int status, i, running = keeper->nr_workers;
	pid_t pid;

	while (running) {
		pid = waitpid(-1, &status, 0);
		if (pid < 0)
			return 1;
		for (i = 0; i < keeper->nr_workers; i++)
			if (keeper->pid[i] == pid)
				ended(keeper, i, status);
		for (running = 0, i = 0; i < keeper->nr_workers; i++)
			running += keeper->pid[i] > 0;
	}
	return atomic_load(&board->failed);
}

static int parse(struct keeper *keeper, int argc, char **argv)
{
	if (argc < 7) {
		fputs("numastress keep BOARD SLOT KIND WORKERS OPS NODES FOLDER [GROUP...]\n",
		      stderr);
		return 2;
	}
	board_open(argv[0]);
	keeper->slot = atoi(argv[1]);
	keeper->kind = kind_find(argv[2]);
	keeper->nr_workers = atoi(argv[3]);
	keeper->ops = argv[4];
	keeper->worker.nodes = strtoul(argv[5], NULL, 16);
	keeper->worker.groups = argv + 7;
	keeper->worker.nr_groups = argc - 7;
	if (!keeper->kind || keeper->nr_workers < 1 || keeper->nr_workers > MAX_WORKERS) {
		fprintf(stderr, "numastress: %s: no such kind, or too many workers\n", argv[2]);
		return 2;
	}
	return 0;
}

/**
 * keeper_main - keep an area until all has to end
 */
int keeper_main(int argc, char **argv)
{
	static struct keeper keeper;
	int ret = parse(&keeper, argc, argv), i;

	if (ret)
		return ret;
	own_number = keeper.slot;
	own_slot = &board->slots[keeper.slot];
	for (i = 0; i < keeper.nr_workers; i++) {
		ret = area_create(&keeper.area[i], keeper.kind, argv[6]);
		if (ret) {
			fprintf(stderr, "numastress: %s: %s\n", argv[2], strerror(-ret));
			return 2;
		}
		area_reset(&keeper.area[i], keeper.slot);
		if (keeper.kind->shared)
			break;
	}
	for (i = 0; i < keeper.nr_workers; i++)
		if (start(&keeper, i))
			return 1;
	ret = keep(&keeper);
	if (keeper.area[0].shmid >= 0)
		shmctl(keeper.area[0].shmid, IPC_RMID, NULL);
	return ret;
}
