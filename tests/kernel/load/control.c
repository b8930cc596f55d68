// SPDX-License-Identifier: GPL-2.0
/*
 * The line protocol.
 *
 * A request is one line: a verb, plain arguments, key=value arguments, separated
 * by blanks. The reply is one line: "ok" and key=value words, or "error" and a
 * sentence. On a socket a file descriptor may come with the line. End of input
 * ends the process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "numaload.h"

#define LINE_BYTES	65536

static char line[LINE_BYTES];
static size_t line_used;
static int came_fd = -1;

static const struct verb *const verb_tables[] = {
	region_verbs, worker_verbs, churn_verbs, probe_verbs, process_verbs, relatives_verbs,
	pin_verbs, nodefill_verbs, fault_verbs, advice_verbs, uffd_verbs,
};

/**
 * refuse - set the reason of a failure
 *
 * Return: -1, for the verb to return.
 */
int refuse(struct request *req, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(req->why, sizeof(req->why), fmt, ap);
	va_end(ap);
	return -1;
}

const char *arg_str(struct request *req, const char *key, const char *fallback)
{
	int i;

	for (i = 0; i < req->nr_keys; i++)
		if (!strcmp(req->keys[i], key))
			return req->values[i];
	return fallback;
}

int arg_num(struct request *req, const char *key, long long fallback, long long *value)
{
	const char *text = arg_str(req, key, NULL);
	char *end;

	*value = fallback;
	if (!text)
		return 0;
	*value = strtoll(text, &end, 0);
	if (!*text || *end)
		return refuse(req, "%s=%s is not a number", key, text);
	return 0;
}

int arg_nodes(struct request *req, const char *key, struct nodes *nodes)
{
	const char *text = arg_str(req, key, "");

	if (nodes_parse(text, nodes))
		return refuse(req, "%s=%s is not a list of nodes", key, text);
	return 0;
}

/**
 * arg_range - the pages from= and count= of a region, all of them by default
 */
int arg_range(struct request *req, const struct region *region, size_t *from,
	      size_t *count)
{
	long long a, n;

	if (arg_num(req, "from", 0, &a) || arg_num(req, "count", -1, &n))
		return -1;
	if (n < 0)
		n = (long long)region->pages - a;
	if (a < 0 || n < 0 || (size_t)(a + n) > region->pages)
		return refuse(req, "from=%lld count=%lld: %s has %zu pages", a, n,
			      region->name, region->pages);
	*from = a;
	*count = n;
	return 0;
}

/**
 * arg_region - the region named by the first plain argument
 */
struct region *arg_region(struct request *req)
{
	struct region *region;

	if (req->nr_words < 2) {
		refuse(req, "%s: which region?", req->words[0]);
		return NULL;
	}
	region = region_find(req->words[1]);
	if (!region)
		refuse(req, "%s: no region is called %s", req->words[0], req->words[1]);
	return region;
}

static void send_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		text += n;
		len -= n;
	}
}

static ssize_t receive(int fd, char *buffer, size_t len)
{
	char space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = buffer, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	struct cmsghdr *cmsg;
	ssize_t n;

	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == ENOTSOCK)
		return read(fd, buffer, len);
	if (n <= 0)
		return n;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&came_fd, CMSG_DATA(cmsg), sizeof(came_fd));
	return n;
}

/* Wait for a whole line. Returns its length without the newline. */
static size_t next_line(int fd)
{
	char *newline;
	ssize_t n;

	while (!(newline = memchr(line, '\n', line_used))) {
		if (line_used == sizeof(line))
			_exit(2);
		n = receive(fd, line + line_used, sizeof(line) - line_used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		line_used += n;
	}
	*newline = '\0';
	return newline - line;
}

static void drop_line(size_t len)
{
	line_used -= len + 1;
	memmove(line, line + len + 1, line_used);
}

static int split(struct request *req, char *text)
{
	char *save, *word, *equals;

	for (word = strtok_r(text, " \t\r", &save); word;
	     word = strtok_r(NULL, " \t\r", &save)) {
		equals = strchr(word, '=');
		if (equals && req->nr_words && req->nr_keys < MAX_WORDS) {
			*equals = '\0';
			req->keys[req->nr_keys] = word;
			req->values[req->nr_keys++] = equals + 1;
		} else if (!equals && req->nr_words < MAX_WORDS) {
			req->words[req->nr_words++] = word;
		} else {
			return refuse(req, "too many words, or %s without a verb", word);
		}
	}
	return req->nr_words ? 0 : refuse(req, "an empty line");
}

static const struct verb *verb_find(const char *name)
{
	const struct verb *verb;
	size_t i;

	for (i = 0; i < sizeof(verb_tables) / sizeof(verb_tables[0]); i++)
		for (verb = verb_tables[i]; verb->name; verb++)
			if (!strcmp(verb->name, name))
				return verb;
	return NULL;
}

static void print_usage(FILE *out)
{
	const struct verb *verb;
	size_t i;

	for (i = 0; i < sizeof(verb_tables) / sizeof(verb_tables[0]); i++)
		for (verb = verb_tables[i]; verb->name; verb++)
			fprintf(out, "\n  %s %s", verb->name, verb->usage);
}

static int run(struct request *req, char *text)
{
	const struct verb *verb;

	if (split(req, text))
		return -1;
	if (!strcmp(req->words[0], "help")) {
		print_usage(req->out);
		return 0;
	}
	if (!strcmp(req->words[0], "quit"))
		_exit(0);
	verb = verb_find(req->words[0]);
	if (!verb)
		return refuse(req, "no verb is called %s; try help", req->words[0]);
	return verb->fn(req);
}

static void answer(int fd)
{
	struct request req = { .fd = came_fd };
	int out = fd == STDIN_FILENO ? STDOUT_FILENO : fd;
	char *reply;
	size_t size;

	came_fd = -1;
	req.out = open_memstream(&reply, &size);
	if (!req.out)
		_exit(2);
	fputs("ok", req.out);
	if (run(&req, line)) {
		fclose(req.out);
		free(reply);
		if (asprintf(&reply, "error %s", req.why) < 0)
			_exit(2);
		size = strlen(reply);
	} else {
		fclose(req.out);
	}
	send_all(out, reply, size);
	send_all(out, "\n", 1);
	free(reply);
	if (req.exec)
		process_exec();
}

/**
 * control_serve - answer requests until the input ends, then end the process
 */
void control_serve(int fd)
{
	size_t len;

	line_used = 0;
	for (;;) {
		len = next_line(fd);
		answer(fd);
		drop_line(len);
	}
}
