// SPDX-License-Identifier: GPL-2.0
/* Wait for a job: progress on a terminal, interrupts, time-outs. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cgmigrate.h"

#define REDRAW_USEC 200000
#define NOTE_USEC 1000000

static volatile sig_atomic_t interrupts, hangups, paused;

static void on_signal(int sig)
{
	if (sig == FOLLOW_PAUSE)
		paused = 1;
	else if (sig == FOLLOW_RESUME)
		paused = 0;
	else if (sig == SIGHUP)
		hangups++;
	else
		interrupts++;
}

/* What a job's process is told with. */
static const int signals[] = {
	SIGINT, SIGQUIT, SIGTERM, SIGHUP, FOLLOW_PAUSE, FOLLOW_RESUME,
};

/* As nohup(1) has it. */
static bool is_ignored(int sig)
{
	struct sigaction action;

	return !sigaction(sig, NULL, &action) && action.sa_handler == SIG_IGN;
}

/*
 * Signals are held back except while waiting, so that none gets lost. Before a
 * job starts: one that comes just then has to stop it.
 */
void follow_prepare(sigset_t *waiting)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t held;

	sigemptyset(&action.sa_mask);
	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (signals[i] != SIGHUP || !is_ignored(SIGHUP))
			sigaction(signals[i], &action, NULL);
		sigaddset(&held, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &held, waiting);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigdelset(waiting, signals[i]);
	/* What was begun is brought to its end, whoever reads what is told of it. */
	signal(SIGPIPE, SIG_IGN);
}

/* A process of its own goes on; what its parent was told is done with. */
void follow_alone(void)
{
	signal(SIGHUP, SIG_IGN);
	interrupts = 0;
	hangups = 0;
}

/* How far a job is: bytes, rate, and when it may be done. */
const char *progress_text(const struct app *app, const struct cgm_progress *p, char *buf,
			  size_t size)
{
	char moved[32], total[32], rate[32], eta[32] = "";
	uint64_t speed = p->elapsed_usec ?
			 (uint64_t)((double)p->moved * 1e6 / p->elapsed_usec) : 0;
	uint64_t done = p->moved + p->stayed;
	unsigned int percent = p->total ? 100.0 * done / p->total : 0;

	if (percent > 100)
		percent = 100;
	if (speed && p->total > done) {
		unsigned long long left = (p->total - done) / speed;

		snprintf(eta, sizeof(eta), "  ETA %llu:%02llu", left / 60, left % 60);
	}
	snprintf(buf, size, "%s of %s  %u%%  %s/s%s%s",
		 size_text(app, p->moved, moved, sizeof(moved)),
		 size_text(app, p->total, total, sizeof(total)), percent,
		 size_text(app, speed, rate, sizeof(rate)), eta, p->held ? "  held" : "");
	return buf;
}

/* Is there somebody to see how far it is? */
bool progress_wanted(const struct app *app)
{
	return !app->json && !app->quiet && isatty(STDERR_FILENO);
}

/* One line, written over again and again; @p NULL: none any more. */
void progress_draw(const struct app *app, const struct cgm_progress *p, const char *more)
{
	char text[160];

	if (p)
		fprintf(stderr, "\r  %s%s\033[K", progress_text(app, p, text, sizeof(text)),
			more);
	else
		fputs("\r\033[K", stderr);
	fflush(stderr);
}

static int code_of(enum cgm_state state)
{
	switch (state) {
	case CGM_STATE_DONE:
		return EXIT_OK;
	case CGM_STATE_PARTIAL:
		return EXIT_PARTIAL;
	case CGM_STATE_CANCELLED:
		return EXIT_CANCELLED;
	case CGM_STATE_SUPERSEDED:
		return EXIT_SUPERSEDED;
	default:
		return EXIT_FAILED;
	}
}

/* Between jobs: nothing begins while it is paused. Has anybody asked to stop? */
bool follow_interrupted(const struct follow_options *options)
{
	struct timespec now = { 0 };

	ppoll(NULL, 0, &now, &options->waiting);
	while (paused && !interrupts && !hangups)
		ppoll(NULL, 0, NULL, &options->waiting);
	return interrupts + hangups;
}

static bool wait_for_end(struct app *app, struct cgm_job *job,
			 const struct follow_options *options, bool show, int *code)
{
	struct cgm_progress progress = { .size = sizeof(progress) };
	uint64_t start = now_usec(), drawn = 0, noted = 0;
	bool timed_out = false, cancelled = false;

	while (paused || cgm_job_dispatch(job)) {
		struct pollfd pfd = { .fd = cgm_job_fd(job), .events = POLLIN };
		struct timespec tick = { .tv_nsec = REDRAW_USEC * 1000 };
		uint64_t now = now_usec();

		cgm_job_progress(job, &progress);
		progress.held |= paused;
		if (options->note && now - noted >= NOTE_USEC) {
			options->note(&progress, options->data);
			noted = now;
		}
		if (show && now - drawn >= REDRAW_USEC) {
			progress_draw(app, &progress, cancelled ? "  stopping" : "");
			drawn = now;
		}
		ppoll(&pfd, paused ? 0 : 1, &tick, &options->waiting);
		if (interrupts > 1) {
			*code = EXIT_CANCELLED;
			return false;
		}
		if (hangups && options->leave) {
			*code = EXIT_OK;
			return false;
		}
		if (interrupts + hangups && !cancelled) {
			cgm_job_cancel(job);
			cancelled = true;
			paused = 0;
			drawn = 0;	/* who has asked is to see it */
		}
		if (!options->timeout_usec || timed_out ||
		    now - start < options->timeout_usec)
			continue;
		timed_out = true;
		*code = EXIT_TIMEOUT;
		if (!options->cancel)
			return false;
		cgm_job_cancel(job);
		paused = 0;
	}
	cgm_job_progress(job, &progress);
	*code = code_of(progress.state);
	if (timed_out && progress.state == CGM_STATE_CANCELLED)
		*code = EXIT_TIMEOUT;
	return true;
}

/*
 * Follow a job to its end. Returns false when it is to be left to somebody else before;
 * *code is the exit code.
 */
int follow_job(struct app *app, struct cgm_job *job, const struct follow_options *options,
	       int *code)
{
	bool show = !options->silent && progress_wanted(app);
	bool ended = wait_for_end(app, job, options, show, code);

	if (show)
		progress_draw(app, NULL, "");
	return ended;
}
