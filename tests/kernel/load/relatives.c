// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that share the address space: one on its way to another program, as
 * posix_spawn() makes it, and one that stays.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numaload.h"

#define TWIN_STACK	(64 << 10)
#define LONG_ARGUMENT	100000

static char argument[LONG_ARGUMENT];

static struct spawn {
	int fd;
	int cgroup;
	char program[256];
	_Atomic pid_t pid;
	_Atomic int error;
} spawn;

/* Another program has the socket as its input and output, and a MiB of arguments. */
static void become_other(int fd, const char *path)
{
	char *a = argument;

	dup2(fd, 0);
	dup2(fd, 1);
	execl(path, path, a, a, a, a, a, a, a, a, a, a, a, a, NULL);
}

/* Wait for a byte, then be a program that answers on the same socket. */
static void __attribute__((noreturn)) become_program(int fd)
{
	char go, number[16];

	snprintf(number, sizeof(number), "%d", fd);
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	fcntl(fd, F_SETFD, 0);
	if (read(fd, &go, 1) != 1)
		_exit(127);
	if (spawn.program[0])
		become_other(fd, spawn.program);
	else
		execl("/proc/self/exe", "numaload", number, NULL);
	_exit(127);
}

/*
 * The C library has no clone3(). The child is on its parent's stack, so it must not
 * return: the parent goes on where the child was made.
 */
static long __attribute__((noinline)) vfork_into(struct clone_args *args, int fd)
{
	long ret = SYS_clone3;

	asm volatile("syscall"
		     : "+a"(ret)
		     : "D"(args), "S"(sizeof(*args))
		     : "rcx", "r11", "memory");
	if (!ret)
		become_program(fd);
	return ret;
}

/* A thread of its own, which the kernel suspends until the child is a program. */
static void *spawner_main(void *arg)
{
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP | CLONE_PARENT_SETTID,
		.parent_tid = (uintptr_t)&spawn.pid,
		.exit_signal = SIGCHLD,
		.cgroup = spawn.cgroup,
	};
	long ret = vfork_into(&args, spawn.fd);

	(void)arg;
	if (ret < 0)
		atomic_store(&spawn.error, -ret);
	return NULL;
}

static int do_spawn(struct request *req)
{
	const char *path = arg_str(req, "cgroup", NULL);
	pthread_t thread;
	int ret;

	if (req->fd < 0 || !path)
		return refuse(req, "spawn: give a cgroup, and send the child's socket");
	memset(argument, 'x', sizeof(argument) - 1);
	snprintf(spawn.program, sizeof(spawn.program), "%s", arg_str(req, "program", ""));
	spawn.fd = req->fd;
	spawn.cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spawn.cgroup < 0)
		return refuse(req, "spawn: %s: %s", path, strerror(errno));
	atomic_store(&spawn.pid, 0);
	atomic_store(&spawn.error, 0);
	ret = thread_start(&thread, spawner_main, NULL);
	if (ret)
		atomic_store(&spawn.error, ret);
	while (!atomic_load(&spawn.pid) && !atomic_load(&spawn.error))
		usleep(1000);
	close(spawn.fd);
	close(spawn.cgroup);
	ret = atomic_load(&spawn.error);
	if (ret)
		return refuse(req, "spawn: %s", strerror(ret));
	fprintf(req->out, " pid=%d", atomic_load(&spawn.pid));
	return 0;
}

/* It has a stack of its own, but what the C library knows of threads is ours. */
static int twin_main(void *arg)
{
	(void)arg;
	for (;;)
		syscall(SYS_pause);
	return 0;
}

static int do_twin(struct request *req)
{
	char *stack = mmap(NULL, TWIN_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (stack == MAP_FAILED)
		return refuse(req, "twin: %s", strerror(errno));
	pid = clone(twin_main, stack + TWIN_STACK, CLONE_VM | SIGCHLD, NULL);
	if (pid < 0)
		return refuse(req, "twin: %s", strerror(errno));
	fprintf(req->out, " pid=%d", pid);
	return 0;
}

const struct verb relatives_verbs[] = {
	{ "spawn", do_spawn,
	  "cgroup=DIR [program=PATH], with a socket for the program it becomes" },
	{ "twin", do_twin, "(a process with the same address space, that only exists)" },
	{ 0 }
};
