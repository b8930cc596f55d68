// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel's engine has the limit of a move in a file of the cgroup, where it would
 * stay when the tool is ended before the move. So what ends a tool waits until the
 * limit is put back. The engine goes on without one.
 */
#include <stdbool.h>

#include "limited.h"

#define LOOK_MSEC 100	/* how long a signal waits at most */

static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

#define ENDS (sizeof(ends) / sizeof(ends[0]))

/* Before the limit is set. What the tool ignores or has blocked itself is not for us. */
void limited_begin(sigset_t *held)
{
	struct sigaction action;
	sigset_t before;

	sigemptyset(held);
	for (size_t i = 0; i < ENDS; i++)
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(held, ends[i]);
	pthread_sigmask(SIG_BLOCK, held, &before);
	for (size_t i = 0; i < ENDS; i++)
		if (sigismember(&before, ends[i]))
			sigdelset(held, ends[i]);
}

static bool has_come(const sigset_t *held)
{
	sigset_t pending;
	bool come = false;

	sigpending(&pending);
	for (size_t i = 0; i < ENDS; i++)
		come |= sigismember(held, ends[i]) && sigismember(&pending, ends[i]);
	return come;
}

/* A tool that has a handler and goes on gets its limit again. */
void limited_wait(struct cgm_job *job, uint64_t rate, const sigset_t *held)
{
	while (cgm_job_wait(job, LOOK_MSEC)) {
		if (!has_come(held))
			continue;
		cgm_job_set_rate(job, 0);
		pthread_sigmask(SIG_UNBLOCK, held, NULL);
		pthread_sigmask(SIG_BLOCK, held, NULL);
		cgm_job_set_rate(job, rate);
	}
}

/* The limit is put back. */
void limited_end(const sigset_t *held)
{
	pthread_sigmask(SIG_UNBLOCK, held, NULL);
}
