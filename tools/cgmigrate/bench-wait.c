// SPDX-License-Identifier: GPL-2.0
/* Waiting for children, and being told to stop meanwhile. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench.h"

static volatile sig_atomic_t interrupted;

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* Keep in words why something failed; returns the error. */
int bench_error(struct bench *bench, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(bench->error, sizeof(bench->error), fmt, ap);
	va_end(ap);
	return err;
}

/* From here on signals come only while we wait, and everything is put back first. */
void bench_signals(struct bench *bench)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t held;

	sigemptyset(&action.sa_mask);
	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		sigaction(signals[i], &action, NULL);
		sigaddset(&held, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &held, &bench->waiting);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigdelset(&bench->waiting, signals[i]);
}

/* A child dies with us, and not by what the terminal sends to all. */
void bench_child(pid_t parent)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILED);
}

/* 0 when there is something to read, or the other end was closed. */
int bench_wait_fd(struct bench *bench, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (!interrupted) {
		int n = ppoll(&pfd, 1, NULL, &bench->waiting);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return bench_error(bench, -errno, "cannot wait: %s",
					   strerror(errno));
	}
	return bench_error(bench, -EINTR, "interrupted");
}

int bench_rest(struct bench *bench, unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	if (!interrupted)
		ppoll(NULL, 0, &time, &bench->waiting);
	return interrupted ? bench_error(bench, -EINTR, "interrupted") : 0;
}
