// SPDX-License-Identifier: GPL-2.0
/*
 * A table that is drawn again and again: on a terminal in place, cut to its
 * height, with what was cut counted; else one below the other.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cgmigrate.h"

/* What is done to a terminal, and how it was before. */
struct screen {
	bool on;		/* a terminal at all */
	bool keys;		/* they are read one by one */
	struct termios before;
};

static volatile sig_atomic_t ended, suspended;

static void on_signal(int sig)
{
	if (sig == SIGTSTP)
		suspended = 1;
	else if (sig != SIGWINCH)
		ended = 1;
}

static void listen(sigset_t *waiting)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH,
				       SIGTSTP };
	struct sigaction action = { .sa_handler = on_signal }, before;
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		sigaction(signals[i], &action, &before);
		if (signals[i] == SIGTSTP && before.sa_handler == SIG_IGN)
			sigaction(SIGTSTP, &before, NULL);
		sigaddset(&held, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &held, waiting);
}

static size_t height(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 4)
		return 24;
	return size.ws_row;
}

static size_t count_lines(const char *text)
{
	size_t lines = *text != '\0';	/* the last has no end */

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Lines that fit, each cleared to its end, so that nothing flickers. */
static void draw(const char *text)
{
	size_t room = height() - 2, lines = count_lines(text), shown = 0;
	char now[32];
	time_t seconds = time(NULL);
	struct tm tm;

	fputs("\033[H", stdout);
	for (; *text && shown < room; shown++) {
		size_t len = strcspn(text, "\n");

		printf("%.*s\033[K\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	strftime(now, sizeof(now), "%H:%M:%S", localtime_r(&seconds, &tm));
	printf("\033[J\033[7m%s  ", now);
	if (lines > shown)
		printf("%zu more  ", lines - shown);
	fputs("q quits\033[0m\033[K", stdout);
	fflush(stdout);
}

/* Wait for the next time. True when a key says that it is enough. */
static bool rest(uint64_t usec, bool keys, const sigset_t *waiting)
{
	struct timespec time = { usec / 1000000, usec % 1000000 * 1000 };
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;

	if (ppoll(&pfd, keys ? 1 : 0, &time, waiting) <= 0)
		return false;
	return read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q';
}

static bool read_keys(struct termios *before)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, before))
		return false;
	raw = *before;
	raw.c_lflag &= ~(ICANON | ECHO);
	return !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void enter(struct screen *screen)
{
	screen->on = isatty(STDOUT_FILENO);
	screen->keys = screen->on && read_keys(&screen->before);
	if (screen->on)
		fputs("\033[?1049h\033[?25l\033[?7l\033[2J", stdout);
}

static void leave(const struct screen *screen)
{
	if (screen->on)
		fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (screen->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
}

/* Stop as Ctrl-Z asks, with the terminal as it was, and go on with fg. */
static void suspend(struct screen *screen, const sigset_t *waiting)
{
	struct sigaction action = { .sa_handler = SIG_DFL }, before;
	sigset_t held;

	leave(screen);
	sigaction(SIGTSTP, &action, &before);
	raise(SIGTSTP);
	sigprocmask(SIG_SETMASK, waiting, &held);	/* it is delivered here */
	sigprocmask(SIG_SETMASK, &held, NULL);
	sigaction(SIGTSTP, &before, NULL);
	suspended = 0;
	enter(screen);
}

/*
 * @text gives what to show, to be freed, or NULL to end: with an error that was
 * told, but on a screen that is gone.
 */
void watch_screen(struct app *app, char *(*text)(void *data), void *data, uint64_t usec)
{
	struct screen screen;
	sigset_t waiting;
	char *now = text(data);

	if (!now)
		return;
	listen(&waiting);
	enter(&screen);
	while (now) {
		if (screen.on)
			draw(now);
		else
			printf("%s\n\n", now);
		fflush(stdout);
		free(now);
		now = NULL;
		if (rest(usec, screen.keys, &waiting))
			break;
		if (suspended)
			suspend(&screen, &waiting);
		if (!ended && !ferror(stdout))
			now = text(data);
	}
	leave(&screen);
	if (screen.on && *app->error)
		fprintf(stderr, "cgmigrate: %s: %s\n", app->verb, app->error);
}
