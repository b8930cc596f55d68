// SPDX-License-Identifier: GPL-2.0
/* Starting the process whose memory is moved, and telling it what to do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench-load.h"

static int died(struct bench_load *load)
{
	int status = 0;

	waitpid(load->pid, &status, 0);
	load->pid = 0;
	if (WIFSIGNALED(status))
		return bench_error(load->bench, -ECHILD,
				   "the process with the memory was killed by signal %d (%s)",
				   WTERMSIG(status), strsignal(WTERMSIG(status)));
	return bench_error(load->bench, -ECHILD, "the process with the memory has ended");
}

/* 0, or -errno with the reason kept. */
static int tell(struct bench_load *load, char order)
{
	int answer, err;

	if (send(load->fd, &order, 1, MSG_NOSIGNAL) != 1)
		return died(load);
	err = bench_wait_fd(load->bench, load->fd);
	if (err)
		return err;
	if (read(load->fd, &answer, sizeof(answer)) != sizeof(answer))
		return died(load);
	return answer ? bench_error(load->bench, answer, "%s", load->shared->error) : 0;
}

static int fork_load(struct bench_load *load)
{
	pid_t parent = getpid();
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	fflush(NULL);
	load->pid = fork();
	load->fd = fds[load->pid ? 0 : 1];
	if (!load->pid) {
		close(fds[0]);
		bench_memory_main(load, parent);
	}
	close(fds[1]);
	if (load->pid > 0)
		return 0;
	load->pid = 0;
	return -errno;
}

int bench_load_start(struct bench *bench, enum bench_kind kind, uint64_t size,
		     struct bench_load **out)
{
	struct bench_load *load = calloc(1, sizeof(*load));
	int err;

	*out = load;
	if (!load)
		return bench_error(bench, -ENOMEM, "out of memory");
	load->bench = bench;
	load->kind = kind;
	load->size = size;
	load->fd = -1;
	load->page_size = sysconf(_SC_PAGESIZE);
	load->step = kind == BENCH_HUGETLB ? bench->huge_size :
		     kind == BENCH_THP ? bench->thp_size : load->page_size;
	load->shared = mmap(NULL, sizeof(*load->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (load->shared == MAP_FAILED) {
		load->shared = NULL;
		return bench_error(bench, -ENOMEM, "out of memory");
	}
	err = fork_load(load);
	return err ? bench_error(bench, err, "cannot start a process: %s", strerror(-err)) :
		     0;
}

pid_t bench_load_pid(const struct bench_load *load)
{
	return load->pid;
}

int bench_load_fill(struct bench_load *load)
{
	return tell(load, FILL);
}

/* Every word has to be what it was. */
int bench_load_verify(struct bench_load *load)
{
	int err = tell(load, VERIFY);

	if (err || !load->shared->wrong)
		return err;
	return bench_error(load->bench, -EILSEQ,
			   "%llu of %llu words of the memory are not what they were before it moved",
			   (unsigned long long)load->shared->wrong,
			   (unsigned long long)(load->size / 8));
}

int bench_load_where(struct bench_load *load, struct bench_where *out)
{
	int err = tell(load, WHERE);

	*out = load->shared->where;
	return err;
}

int bench_load_probe(struct bench_load *load, enum bench_probe probe)
{
	return tell(load, probe == BENCH_TOUCH ? PROBE_TOUCH : PROBE_MMAP);
}

int bench_load_probed(struct bench_load *load, struct stalls *idle, struct stalls *moving)
{
	int err = tell(load, PROBED);

	*idle = load->shared->idle;
	*moving = load->shared->moving;
	return err;
}

/* Its memory begins to move, or has moved. May be called by another child. */
void bench_load_moves(struct bench_load *load, bool moves)
{
	atomic_store(&load->shared->stage, moves ? STAGE_MOVING : STAGE_AFTER);
}

void bench_load_end(struct bench_load *load)
{
	if (!load)
		return;
	if (load->pid > 0) {
		kill(load->pid, SIGKILL);
		waitpid(load->pid, NULL, 0);
	}
	if (load->fd >= 0)
		close(load->fd);
	if (load->shared)
		munmap(load->shared, sizeof(*load->shared));
	free(load);
}
