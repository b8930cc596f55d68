// SPDX-License-Identifier: GPL-2.0
/*
 * A table that is drawn again and again: on a terminal in place, cut to its
 * height, with keys to go up and down; else one below the other.
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

/* More than a screen has. */
#define SCREEN_BYTES (1 << 16)

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

/* The terminal's size; what cannot be is taken for one that can. */
static struct winsize terminal_size(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 4)
		return (struct winsize){ .ws_row = 24, .ws_col = 80 };
	return size;
}

static size_t count_lines(const char *text)
{
	size_t lines = *text != '\0';	/* the last has no end */

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* What of a table is to be seen. The heading always is. */
struct view {
	bool heading;
	size_t first;		/* line below the heading that is seen first */
	size_t lines;		/* lines below the heading */
	size_t room;		/* that fit below it */
};

static void print_line(const char **text)
{
	size_t len = strcspn(*text, "\n");

	printf("%.*s\033[K\n", (int)len, *text);
	*text += len + ((*text)[len] == '\n');
}

static void skip_lines(const char **text, size_t count)
{
	for (; count && **text; count--)
		*text += strcspn(*text, "\n") + ((*text)[strcspn(*text, "\n")] == '\n');
}

/* The table may have become shorter, and the screen too. */
static void fit(struct view *view, const char *text)
{
	size_t lines = count_lines(text), heading = view->heading && lines;

	view->room = terminal_size().ws_row - 2 - heading;
	view->lines = lines - heading;
	if (view->lines <= view->room)
		view->first = 0;
	else if (view->first > view->lines - view->room)
		view->first = view->lines - view->room;
}

/* The last line, cut to what fits. */
static void draw_status(const struct view *view, size_t shown)
{
	char now[32], text[128];
	time_t seconds = time(NULL);
	struct tm tm;
	int len;

	strftime(now, sizeof(now), "%H:%M:%S", localtime_r(&seconds, &tm));
	len = snprintf(text, sizeof(text), "%s  q quits", now);
	if (view->lines > shown)
		snprintf(text + len, sizeof(text) - len,
			 "  %zu-%zu of %zu: j, k, PgDn, PgUp scroll", view->first + 1,
			 view->first + shown, view->lines);
	printf("\033[J\033[7m%.*s\033[0m\033[K", terminal_size().ws_col, text);
}

/* Lines that fit, each cleared to its end, so that nothing flickers. */
static void draw(struct view *view, const char *text)
{
	size_t shown = 0;

	fit(view, text);
	fputs("\033[H", stdout);
	if (view->heading && *text)
		print_line(&text);
	skip_lines(&text, view->first);
	for (; *text && shown < view->room; shown++)
		print_line(&text);
	draw_status(view, shown);
	fflush(stdout);
}

static void scroll_up(struct view *view, size_t lines)
{
	view->first -= lines < view->first ? lines : view->first;
}

/* Too far is put right when it is drawn. */
static void scroll_down(struct view *view, size_t lines)
{
	view->first += lines;
}

/* Where a key leads to. The terminal sends arrows as several characters. */
static void scroll(struct view *view, const char *key)
{
	if (!strcmp(key, "j") || !strcmp(key, "\033[B") || !strcmp(key, "\033OB"))
		scroll_down(view, 1);
	else if (!strcmp(key, "k") || !strcmp(key, "\033[A") || !strcmp(key, "\033OA"))
		scroll_up(view, 1);
	else if (!strcmp(key, "\033[6~") || !strcmp(key, " "))
		scroll_down(view, view->room);
	else if (!strcmp(key, "\033[5~"))
		scroll_up(view, view->room);
}

/* The length of the key at the start of what was typed. */
static size_t key_length(const char *typed)
{
	if (typed[0] != '\033' || (typed[1] != '[' && typed[1] != 'O'))
		return 1;
	for (size_t i = 2; typed[i]; i++)
		if (typed[i] >= '@' && typed[i] <= '~')
			return i + 1;
	return strlen(typed);
}

/* Take what was typed. True when it says that it is enough. */
static bool take_keys(struct view *view)
{
	char typed[64], key[64];
	ssize_t len = read(STDIN_FILENO, typed, sizeof(typed) - 1);

	if (len <= 0)
		return true;
	typed[len] = '\0';
	for (const char *p = typed; *p; p += strlen(key)) {
		snprintf(key, sizeof(key), "%.*s", (int)key_length(p), p);
		if (!strcmp(key, "q") || !strcmp(key, "Q"))
			return true;
		scroll(view, key);
	}
	return false;
}

enum rested { TIME_IS_UP, KEY, ENOUGH };

/* Wait for the next time, for a key, or for another size of the screen. */
static enum rested rest(struct view *view, uint64_t until, bool keys,
			const sigset_t *waiting)
{
	uint64_t now = now_usec(), usec = until > now ? until - now : 0;
	struct timespec time = { usec / 1000000, usec % 1000000 * 1000 };
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
	int ready = ppoll(&pfd, keys ? 1 : 0, &time, waiting);

	if (ended || ferror(stdout))
		return ENOUGH;
	if (ready < 0)
		return KEY;
	if (!ready)
		return TIME_IS_UP;
	return take_keys(view) ? ENOUGH : KEY;
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

/* Until it is time for other numbers: keys only show another part of these. */
static bool rest_and_scroll(struct screen *screen, struct view *view, const char *text,
			    uint64_t usec, const sigset_t *waiting)
{
	uint64_t until = now_usec() + usec;
	enum rested rested;

	while ((rested = rest(view, until, screen->keys, waiting)) == KEY) {
		if (suspended)
			suspend(screen, waiting);
		if (screen->on)
			draw(view, text);
	}
	return rested == TIME_IS_UP;
}

/*
 * @text gives what to show, to be freed, or NULL to end: with an error that was
 * told, but on a screen that is gone.
 */
void watch_screen(struct app *app, char *(*text)(void *data), void *data, uint64_t usec)
{
	struct view view = { .heading = !app->noheadings };
	struct screen screen;
	sigset_t waiting;
	char *now = text(data);

	if (!now)
		return;
	listen(&waiting);
	/* A screen is written as one. */
	setvbuf(stdout, NULL, _IOFBF, SCREEN_BYTES);
	enter(&screen);
	while (now) {
		bool more;

		if (screen.on)
			draw(&view, now);
		else
			printf("%s\n\n", now);
		fflush(stdout);
		more = rest_and_scroll(&screen, &view, now, usec, &waiting);
		free(now);
		now = more ? text(data) : NULL;
	}
	leave(&screen);
	if (screen.on && *app->error)
		warn(app, "%s", app->error);
}
