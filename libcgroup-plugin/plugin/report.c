// SPDX-License-Identifier: LGPL-2.1-or-later
/* One JSON record for each thing that a user does. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core.h"
#include "files.h"
#include "journal.h"

#define PATIENCE_USEC 5000000	/* with a reader of records that does not read */

json_t *report_nodes(const cgm_nodeset *nodes)
{
	char list[2048];

	cgm_nodeset_format(nodes, list, sizeof(list));
	return json_string(list);
}

/* {"cgroup": "/a", "nodes": "0-1", "bytes": {"0": B, "1": B}, "stray": B} */
json_t *report_whereabouts(const struct event *event, const struct whereabouts *where)
{
	const cgm_nodeset *online = &event->features.online;
	json_t *bytes, *object;

	if (!where->path)
		return json_null();
	object = json_pack("{s:s, s:o}", "cgroup", where->path, "nodes",
			   report_nodes(&where->nodes));
	if (!where->memory)
		return object;
	bytes = json_object();
	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		char key[16];

		snprintf(key, sizeof(key), "%d", n);
		json_object_set_new(bytes, key,
				    json_integer(cgm_placement_bytes(where->memory,
								     CGM_KIND_MOVABLE, n)));
	}
	json_object_set_new(object, "bytes", bytes);
	json_object_set_new(object, "stray",
			    json_integer(cgm_placement_stray(where->memory)));
	return object;
}

static const char *kind_name(enum call_kind kind)
{
	static const char * const names[] = {
		[CALL_PROCESS] = "process", [CALL_THREAD] = "thread",
		[CALL_EVERYBODY] = "everybody", [CALL_SETTINGS] = "settings",
		[CALL_GROUPS] = "groups", [CALL_DELETE] = "delete",
	};

	return names[kind];
}

static json_t *time_text(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *make_record(const struct event *event, int returned, json_t *after)
{
	const struct call *call = &event->call;
	json_t *record;

	json_array_extend(event->notes, config_get()->complaints);
	record = json_pack("{s:i, s:o, s:s, s:i, s:s, s:s, s:s, s:i, s:o, s:O, s:O, s:I}",
			   "cgmigrate", 1, "time", time_text(), "tool",
			   program_invocation_short_name, "pid", (int)getpid(),
			   "action", kind_name(call->kind), "function", call->function,
			   "backend", cgm_backend_name(event->features.backend),
			   "cpuset", event->features.cpuset_version,
			   "before", report_whereabouts(event, &event->before),
			   "moves", event->moves, "notes", event->notes,
			   "elapsed_usec", (json_int_t)(now_usec() - event->started));
	if (json_object_set_new(record, "returned", returned == RETURNED_NOTHING ?
				json_null() : json_integer(returned))) {
		json_decref(record);	/* no record rather than one that misleads */
		return NULL;
	}
	if (call->pid)
		json_object_set_new(record, "process", json_integer(call->pid));
	if (call->group)
		json_object_set_new(record, "group", json_string(call->group));
	if (after)
		json_object_set(record, "after", after);
	if (event->groups)
		json_object_set(record, "groups", event->groups);
	return record;
}

static void send_to_journal(const struct event *event, const char *record)
{
	struct journal_entry entry;
	char message[512];

	snprintf(message, sizeof(message), "%s: %s", program_invocation_short_name,
		 event->call.function);
	journal_begin(&entry);
	journal_field(&entry, "MESSAGE", message);
	journal_field(&entry, "PRIORITY", "6");
	journal_field(&entry, "SYSLOG_IDENTIFIER", "cgmigrate");
	journal_field(&entry, "CGMIGRATE_RECORD", record);
	journal_end(&entry, JOURNAL_SOCKET);
}

/* Is somebody at the other end who may be slow, or gone? */
static bool has_reader(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* As much as there is room for, where this kernel can do that with what is open here. */
static ssize_t write_now(int fd, const struct iovec *parts, int count)
{
	ssize_t written = pwritev2(fd, parts, count, -1, RWF_NOWAIT);

	if (written < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		written = writev(fd, parts, count);
	return written;
}

/* A reader that does not read is waited for, but not for ever. */
static bool wait_for_room(int fd, uint64_t until)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
	uint64_t now;
	int ready;

	do {
		now = now_usec();
		ready = now < until ? poll(&pollfd, 1, (until - now) / 1000 + 1) : 0;
	} while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* What is left of the parts after so many bytes. */
static void advance(struct iovec *parts, int count, size_t written)
{
	for (int i = 0; i < count; i++) {
		size_t here = written < parts[i].iov_len ? written : parts[i].iov_len;

		parts[i].iov_base = (char *)parts[i].iov_base + here;
		parts[i].iov_len -= here;
		written -= here;
	}
}

/* A line is one write where there is room, so that records of several tools do not mix. */
static void write_parts(int fd, struct iovec *parts, int count)
{
	bool reader = has_reader(fd);
	uint64_t until = now_usec() + PATIENCE_USEC;
	ssize_t written;

	while (parts[count - 1].iov_len) {
		if (reader && !wait_for_room(fd, until))
			return;
		written = reader ? write_now(fd, parts, count) : writev(fd, parts, count);
		if (written >= 0)
			advance(parts, count, written);
		else if (errno != EINTR && !(reader && errno == EAGAIN))
			return;
	}
}

/* A reader that is gone is no reason for a tool to die: its SIGPIPE is taken away. */
static void write_line(int fd, char *record)
{
	struct iovec parts[] = {
		{ .iov_base = record, .iov_len = strlen(record) },
		{ .iov_base = (char[]){ '\n' }, .iov_len = 1 },
	};
	const struct timespec now = { 0 };
	sigset_t pipe, before, pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	write_parts(fd, parts, ARRAY_SIZE(parts));
	if (!sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void report_event(struct event *event, int returned, json_t *after)
{
	const struct config *config = config_get();
	json_t *object;
	char *record, why[FILE_WHY];
	int fd;

	if (config->report_to == REPORT_NOWHERE)
		return;
	object = make_record(event, returned, after);
	record = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!record)
		return;
	switch (config->report_to) {
	case REPORT_FILE:
		fd = file_open_append(config->report_file, why);
		if (fd >= 0) {
			write_line(fd, record);
			close(fd);
		}
		break;
	case REPORT_FD:
		write_line(config->report_fd, record);
		break;
	case REPORT_JOURNAL:
		send_to_journal(event, record);
		break;
	case REPORT_NOWHERE:
		break;
	}
	free(record);
}
