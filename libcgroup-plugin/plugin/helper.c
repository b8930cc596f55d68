// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A process that goes on with a move when nobody is to wait for it. It is told
 * what the real function returned, and makes the record.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core.h"

#define LOOK_MSEC 100	/* how often a helper looks whether it is to end */

/* Ours are closed on exec; the others are the tool's, and somebody may wait for them. */
static void close_others(int keep)
{
	DIR *dir = opendir("/proc/self/fd");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct dirent *entry;

	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		if (fd != keep)
			dup2(null, fd);
	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != keep && fcntl(fd, F_GETFD) == 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
}

/* In the tool: did the helper say that the move has begun? Signals go on meanwhile. */
static bool has_begun(pid_t child, int helper)
{
	ssize_t n;
	char well = 0;

	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	do {
		n = read(helper, &well, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 && well;
}

/*
 * Fork, twice, so that the tool never gets to know of a child. Returns true in
 * the helper. In the tool the event is handed over if the helper says that the
 * move has begun, and else is as it was.
 *
 * What the tool does on a signal is not for the helper, which would leave a group
 * half-way: all signals stay blocked there, and helper_wait() looks for them.
 */
bool helper_start(struct event *event)
{
	sigset_t all, before;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid) {
		if (fork())
			_exit(0);
		close(ends[0]);
		setsid();
		close_others(config_get()->report_fd);
		event->helper = ends[1];
		event->in_helper = true;
		return true;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (pid > 0 && has_begun(pid, ends[0])) {
		event->helper = ends[0];
		event->handed_over = true;
	} else {
		close(ends[0]);
	}
	return false;
}

/*
 * In the helper: the move has begun, or did not and the tool has to go on alone.
 * Where the tool is gone, what has begun is brought to its end all the same.
 */
void helper_started(struct event *event, bool well)
{
	char word = well;

	send(event->helper, &word, 1, MSG_NOSIGNAL);
	if (!well)
		_exit(0);
}

/* Has somebody asked us to end? */
static bool is_to_end(void)
{
	const struct timespec now = { 0 };
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	return sigtimedwait(&signals, NULL, &now) > 0;
}

/*
 * In the helper: wait for a move. Who is asked to end, as with the service that the
 * tool is a part of, ends soon: the rest moves without a limit. To stop half-way would
 * leave a group with nodes that nobody wanted.
 */
void helper_wait(struct event *event, struct cgm_job *job)
{
	while (cgm_job_wait(job, LOOK_MSEC)) {
		if (!is_to_end())
			continue;
		event->hurried = true;
		cgm_job_set_rate(job, 0);
	}
}

/* In the helper: the end of it. */
void helper_finish(struct event *event)
{
	int returned;

	if (!event->handed_over)	/* there was nothing to move */
		helper_started(event, false);
	if (read(event->helper, &returned, sizeof(returned)) != sizeof(returned))
		returned = RETURNED_NOTHING;
	event_end(event, returned);
	_exit(0);
}
