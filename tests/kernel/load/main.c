// SPDX-License-Identifier: GPL-2.0
/*
 * Start. The thread that the kernel calls the leader does nothing, so that it can
 * be told to leave; a second one, the control thread, answers requests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "numaload.h"

size_t page_size;
size_t page_words;

static sem_t leader_may_go;
static int control_fd = -1;

static void *control_main(void *arg)
{
	control_serve((int)(intptr_t)arg);
}

/**
 * leader_release - let the leader thread exit; the process lives on
 */
void leader_release(void)
{
	sem_post(&leader_may_go);
}

/**
 * process_run - be a process that answers requests; called by its leader
 */
void process_run(int fd)
{
	pthread_t thread;
	int ret;

	/* A forked child has its parent's too. */
	if (control_fd >= 0)
		close(control_fd);
	control_fd = fd;
	sem_init(&leader_may_go, 0, 0);
	ret = thread_start(&thread, control_main, (void *)(intptr_t)fd);
	if (ret) {
		fprintf(stderr, "numaload: cannot start a thread: %s\n", strerror(ret));
		_exit(1);
	}
	while (sem_wait(&leader_may_go))
		;
	/* This thread only, without the C library's view of what is left. */
	syscall(SYS_exit, 0);
	_exit(1);
}

/**
 * process_exec - be a new program that answers requests on the same socket
 */
void process_exec(void)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", control_fd);
	fcntl(control_fd, F_SETFD, 0);
	execl("/proc/self/exe", "numaload", number, NULL);
	_exit(127);
}

/* Continue as a child born in a cgroup; the parent only waits for it. */
static void start_into(const char *path, char **argv)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status;
	pid_t pid;

	if (fd < 0) {
		fprintf(stderr, "numaload: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	args.cgroup = fd;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0) {
		fprintf(stderr, "numaload: clone3 into %s: %s\n", path, strerror(errno));
		exit(1);
	}
	if (!pid) {
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void usage(FILE *out)
{
	fputs("Usage: numaload [--into CGROUP] [FD]\n"
	      "A process whose memory tells what happened to it. Answers requests read\n"
	      "from file descriptor FD (default 0); the request \"help\" lists them.\n"
	      "--into CGROUP: be born in that cgroup (CLONE_INTO_CGROUP).\n",
	      out);
}

int main(int argc, char **argv)
{
	int fd = 0;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		usage(stdout);
		return 0;
	}
	if (argc > 2 && !strcmp(argv[1], "--into")) {
		const char *path = argv[2];

		argv[2] = argv[0];
		start_into(path, argv + 2);
	}
	if (argc > 2) {
		usage(stderr);
		return 2;
	}
	if (argc > 1)
		fd = atoi(argv[1]);
	page_size = sysconf(_SC_PAGESIZE);
	page_words = page_size / sizeof(uint64_t);
	signal(SIGPIPE, SIG_IGN);
	process_run(fd);
}
