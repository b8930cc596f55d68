// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A process that goes on with a move when nobody is to wait for it. It is told
 * what the real function returned, and makes the record.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core.h"

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

/*
 * Fork, twice, so that the tool never gets to know of a child. Returns true in
 * the helper. In the tool the event is handed over if the helper says that the
 * move has begun, and else is as it was.
 */
bool helper_start(struct event *event)
{
	int ends[2];
	char well = 0;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return false;
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
	close(ends[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (pid > 0 && read(ends[0], &well, 1) == 1 && well) {
		event->helper = ends[0];
		event->handed_over = true;
	} else {
		close(ends[0]);
	}
	return false;
}

/* In the helper: the move has begun, or did not and the tool has to go on alone. */
void helper_started(struct event *event, bool well)
{
	char word = well;

	if (write(event->helper, &word, 1) != 1 || !well)
		_exit(0);
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
