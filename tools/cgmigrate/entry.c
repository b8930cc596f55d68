// SPDX-License-Identifier: GPL-2.0
/*
 * Entries in the system's journal: who changed what, and how it ended. Its own
 * protocol keeps the fields apart; where there is no journald, syslog gets the line.
 */
#include <string.h>
#include <syslog.h>

#include "../../libcgroup-plugin/plugin/journal.h"
#include "cgmigrate.h"

#define PRIORITY "5"		/* LOG_NOTICE */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* A cgroup, a job, or a process where that moves alone. */
static void add_target(struct journal_entry *entry, const json_t *target)
{
	const json_t *pid = json_array_get(json_object_get(target, "pids"), 0);
	char number[24];

	if (json_object_get(target, "cgroup")) {
		journal_field(entry, "CGMIGRATE_TARGET", text_of(target, "cgroup"));
	} else if (json_object_get(target, "job")) {
		journal_field(entry, "CGMIGRATE_JOB", text_of(target, "job"));
	} else if (pid) {
		snprintf(number, sizeof(number), "%lld", json_integer_value(pid));
		journal_field(entry, "CGMIGRATE_TARGET", number);
	}
}

/* @record: {"user", "state", "targets"} and, of a job, {"job"}. */
static void send_entry(const struct app *app, const json_t *record, const char *message)
{
	struct journal_entry entry;
	char path[4096];
	json_t *target;
	size_t i;

	journal_begin(&entry);
	journal_field(&entry, "MESSAGE", message);
	journal_field(&entry, "PRIORITY", PRIORITY);
	journal_field(&entry, "SYSLOG_IDENTIFIER", "cgmigrate");
	journal_field(&entry, "CGMIGRATE_VERB", app->verb);
	journal_field(&entry, "CGMIGRATE_USER", text_of(record, "user"));
	journal_field(&entry, "CGMIGRATE_STATE", text_of(record, "state"));
	if (json_object_get(record, "job"))
		journal_field(&entry, "CGMIGRATE_JOB", text_of(record, "job"));
	json_array_foreach(json_object_get(record, "targets"), i, target)
		add_target(&entry, target);
	snprintf(path, sizeof(path), "%s%s", app->sysroot ? app->sysroot : "", JOURNAL_SOCKET);
	if (!journal_end(&entry, path) || app->sysroot)
		return;
	openlog("cgmigrate", LOG_PID, LOG_DAEMON);
	syslog(LOG_NOTICE, "%s", message);
	closelog();
}

/* The command line from the verb on, as far as it fits. */
static void join_arguments(const struct app *app, char *line, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; app->argv[i] && used < size; i++)
		used += snprintf(line + used, size - used, "%s%s", i ? " " : "",
				 app->argv[i]);
}

/* A job has ended: @record says all of it. */
void entry_of_job(const struct app *app, const json_t *record)
{
	const json_t *result = json_object_get(record, "result");
	char line[1024], message[1400];

	join_arguments(app, line, sizeof(line));
	snprintf(message, sizeof(message), "job %s of %s: %s: %s, %lld bytes moved, %lld ms",
		 text_of(record, "job"), text_of(record, "user"), line,
		 text_of(record, "state"),
		 json_integer_value(json_object_get(json_object_get(result, "totals"),
						    "moved")),
		 json_integer_value(json_object_get(result, "elapsed_usec")) / 1000);
	send_entry(app, record, message);
}

/* Of @targets, those whose "changed" is true were changed, if any was. */
void entry_of_change(const struct app *app, const json_t *targets, int code)
{
	json_t *record, *changed = json_array(), *target;
	char line[1024], message[1400];
	size_t i;

	json_array_foreach(targets, i, target)
		if (json_is_true(json_object_get(target, "changed")))
			json_array_append(changed, target);
	record = json_pack("{s:o, s:s, s:o}", "user", user_name(), "state", code_name(code),
			   "targets", changed);
	join_arguments(app, line, sizeof(line));
	snprintf(message, sizeof(message), "%s: %s: %s", text_of(record, "user"), line,
		 text_of(record, "state"));
	if (json_array_size(changed))
		send_entry(app, record, message);
	json_decref(record);
}
