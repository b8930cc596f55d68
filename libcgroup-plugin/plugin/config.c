// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What was asked for, in the environment. What cannot be understood is left out
 * and told in every record: a plugin that is misspelt must not break a tool.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "units.h"

#define PREFIX "CGMIGRATE_PLUGIN_"
#define MOST_STALL_USEC 10000000

static struct config config = { .report_fd = -1 };
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* JSON is UTF-8, and a variable can have any bytes: then its value is not told. */
static void complain(const char *name, const char *value, const char *allowed)
{
	static const char format[] = "%s=%s: not understood and left out; allowed: %s";
	json_t *text = json_sprintf(format, name, value, allowed);

	json_array_append_new(config.complaints,
			      text ? text : json_sprintf(format, name, "?", allowed));
}

/* The index of a variable's value in a list of words; 0 where it is none. */
static int word(const char *name, const char * const words[], const char *allowed)
{
	const char *text = getenv(name);

	if (!text || !*text)
		return 0;
	for (int i = 0; words[i]; i++)
		if (!strcmp(text, words[i]))
			return i;
	complain(name, text, allowed);
	return 0;
}

/* fd:N, an open descriptor. It is not for a payload. */
static void report_to_fd(const char *name, const char *text)
{
	char *end;
	long fd = strtol(text + 3, &end, 10);

	if (end == text + 3 || *end || fd < 0 || fd > 1 << 20 || fcntl(fd, F_GETFD) < 0) {
		complain(name, text, "fd: and the number of an open descriptor");
		return;
	}
	if (fd > 2)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	config.report_fd = fd;
	config.report_to = REPORT_FD;
}

static void read_report(void)
{
	static const char name[] = PREFIX "REPORT";
	const char *text = getenv(name);

	if (!text || !*text)
		return;
	if (!strncmp(text, "fd:", 3)) {
		report_to_fd(name, text);
	} else if (!strcmp(text, "journal")) {
		config.report_to = REPORT_JOURNAL;
	} else if (text[0] == '/') {
		config.report_file = strdup(text);
		config.report_to = config.report_file ? REPORT_FILE : REPORT_NOWHERE;
	} else {
		complain(name, text, "a full path, fd:N or journal");
	}
}

static void read_rate(void)
{
	static const char name[] = PREFIX "RATE";
	const char *text = getenv(name);

	if (text && *text && units_size(text, &config.rate))
		complain(name, text, "bytes a second, such as 500M");
}

static void read_max_stall(void)
{
	static const char name[] = PREFIX "MAX_STALL";
	const char *text = getenv(name);
	uint64_t usec;

	if (!text || !*text)
		return;
	if (units_time(text, 1, &usec) || usec > MOST_STALL_USEC)
		complain(name, text, "a time up to 10s, such as 2ms, or microseconds");
	else
		config.max_stall_usec = usec;
}

static void read_config(void)
{
	static const char * const waits[] = { "yes", "no", NULL };
	static const char * const settles[] = { "auto", "always", "never", NULL };

	config.complaints = json_array();
	read_rate();
	read_max_stall();
	config.no_wait = word(PREFIX "WAIT", waits, "yes, no");
	config.settle = word(PREFIX "SETTLE", settles, "auto, always, never");
	read_report();
}

const struct config *config_get(void)
{
	pthread_once(&once, read_config);
	return &config;
}
