// SPDX-License-Identifier: GPL-2.0
/*
 * Processes and threads: children that inherit the regions, threads that only
 * exist, a leader that leaves, a file written for the test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numaload.h"

#define MAX_IDLE	1024
#define IDLE_STACK	(64 << 10)

static pid_t idle_tid[MAX_IDLE];
static _Atomic int nr_idle;

static void *idle_main(void *arg)
{
	int *slot = arg;

	idle_tid[*slot] = syscall(SYS_gettid);
	free(slot);
	atomic_fetch_add(&nr_idle, 1);
	for (;;)
		pause();
	return NULL;
}

static int start_idle(int slot)
{
	pthread_t thread;
	int *arg = malloc(sizeof(*arg));

	if (!arg)
		return ENOMEM;
	*arg = slot;
	return thread_start(&thread, idle_main, arg);
}

static int do_threads(struct request *req)
{
	long long count;
	int first = atomic_load(&nr_idle), i, ret;

	if (arg_num(req, "count", 1, &count))
		return -1;
	if (first + count > MAX_IDLE)
		return refuse(req, "no more than %d threads", MAX_IDLE);
	for (i = 0; i < count; i++) {
		ret = start_idle(first + i);
		if (ret)
			return refuse(req, "cannot start a thread: %s", strerror(ret));
	}
	while (atomic_load(&nr_idle) < first + count)
		usleep(1000);
	fputs(" tids=", req->out);
	for (i = 0; i < count; i++)
		fprintf(req->out, "%s%d", i ? "," : "", idle_tid[first + i]);
	return 0;
}

static int do_leader_exit(struct request *req)
{
	(void)req;
	leader_release();
	return 0;
}

static pid_t fork_into(int cgroup)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (cgroup < 0)
		return fork();
	args.flags = CLONE_INTO_CGROUP;
	args.cgroup = cgroup;
	return syscall(SYS_clone3, &args, sizeof(args));
}

/*
 * The child is left with the control thread only, which is its leader now. It
 * owns its private regions from here on, and answers on the socket that came
 * with the request.
 */
static void child_start(int fd, bool busy)
{
	struct tally tally = { 0 };
	int i;

	threads_forget();
	atomic_store(&nr_idle, 0);
	for (i = 0; busy && i < atomic_load(&nr_regions); i++)
		if (regions[i].addr && !regions[i].kind->shared)
			region_adopt_snapshot(&regions[i], &tally);
	process_run(fd);
}

static int do_fork(struct request *req)
{
	const char *path = arg_str(req, "cgroup", NULL);
	bool busy = workers_running();
	int cgroup = -1, error;
	pid_t pid;

	if (req->fd < 0)
		return refuse(req, "fork: send the child's socket with the request");
	if (busy && path)
		return refuse(req, "fork: stop the workers before cloning into a cgroup");
	if (churn_running())
		return refuse(req, "fork: stop churning first");
	if (path) {
		cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (cgroup < 0)
			return refuse(req, "fork: %s: %s", path, strerror(errno));
	}
	pid = fork_into(cgroup);
	if (!pid)
		child_start(req->fd, busy);
	error = errno;
	close(req->fd);
	if (cgroup >= 0)
		close(cgroup);
	if (pid < 0)
		return refuse(req, "fork: %s", strerror(error));
	fprintf(req->out, " pid=%d", pid);
	return 0;
}

static int do_pid(struct request *req)
{
	fprintf(req->out, " pid=%d", getpid());
	return 0;
}

static int do_exec(struct request *req)
{
	req->exec = true;
	return 0;
}

/* Write a word to a file, as a manager does with a control file. */
static int do_write(struct request *req)
{
	long long nonblock;
	uint64_t start;
	ssize_t n;
	int fd, error;

	if (req->nr_words != 3)
		return refuse(req, "write: give a file and a word");
	if (arg_num(req, "nonblock", 0, &nonblock))
		return -1;
	fd = open(req->words[1], O_WRONLY | O_CLOEXEC | (nonblock ? O_NONBLOCK : 0));
	if (fd < 0)
		return refuse(req, "write: %s: %s", req->words[1], strerror(errno));
	start = now_ns();
	n = write(fd, req->words[2], strlen(req->words[2]));
	error = errno;
	close(fd);
	if (n < 0)
		return refuse(req, "write: %s: %s", req->words[1], strerror(error));
	fprintf(req->out, " bytes=%zd usec=%" PRIu64, n, (now_ns() - start) / 1000);
	return 0;
}

const struct verb process_verbs[] = {
	{ "threads", do_threads, "count=N" },
	{ "leader-exit", do_leader_exit, "" },
	{ "fork", do_fork, "[cgroup=DIR], with a socket for the child" },
	{ "pid", do_pid, "" },
	{ "exec", do_exec, "(a new program answers from here on)" },
	{ "write", do_write, "FILE WORD [nonblock=1]" },
	{ 0 }
};
