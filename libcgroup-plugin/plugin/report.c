// SPDX-License-Identifier: LGPL-2.1-or-later
/* One JSON record for each thing that a user does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core.h"
#include "files.h"
#include "journal.h"

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

/* A line is one write, so that records of several tools do not mix. */
static void write_line(int fd, char *record)
{
	struct iovec parts[] = {
		{ .iov_base = record, .iov_len = strlen(record) },
		{ .iov_base = (char[]){ '\n' }, .iov_len = 1 },
	};
	ssize_t written;

	do {
		written = writev(fd, parts, ARRAY_SIZE(parts));
	} while (written < 0 && errno == EINTR);
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
