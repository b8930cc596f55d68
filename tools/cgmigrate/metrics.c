// SPDX-License-Identifier: GPL-2.0
/*
 * Totals of all jobs for a monitor. OpenMetrics and the text of Prometheus, which is all
 * that node_exporter's textfile collector reads, look alike; but a counter has the name of
 * its family and "_total" in one, and in the other no name but that of its family. What is
 * of one kind has no type to those who read the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../../libcgroup-plugin/plugin/files.h"
#include "cgmigrate.h"

struct metrics {
	FILE *out;
	bool open;	/* OpenMetrics */
};

static void write_head(const struct metrics *m, const char *name, const char *type,
		       const char *unit, const char *help)
{
	const char *end = !m->open && !strcmp(type, "counter") ? "_total" : "";

	fprintf(m->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, end, help, name, end, type);
	if (m->open && unit)
		fprintf(m->out, "# UNIT %s %s\n", name, unit);
}

static void write_jobs(const struct metrics *m, const json_t *totals)
{
	const char *command, *state;
	json_t *states, *count;

	write_head(m, "cgmigrate_jobs", "counter", NULL,
		   "Jobs that have ended, by verb and outcome.");
	json_object_foreach(json_object_get(totals, "jobs"), command, states)
		json_object_foreach(states, state, count)
			fprintf(m->out,
				"cgmigrate_jobs_total{command=\"%s\",state=\"%s\"} %lld\n",
				command, state, json_integer_value(count));
}

static void write_bytes(const struct metrics *m, const json_t *totals)
{
	json_t *bytes = json_object_get(totals, "bytes");

	write_head(m, "cgmigrate_bytes", "counter", "bytes",
		   "What became of the memory jobs looked at.");
	for (int r = 0; r < CGM_REASON_COUNT; r++)
		fprintf(m->out, "cgmigrate_bytes_total{reason=\"%s\"} %lld\n",
			cgm_reason_name(r),
			json_integer_value(json_object_get(bytes, cgm_reason_name(r))));
}

static void write_all(const struct metrics *m, const json_t *totals, const json_t *records)
{
	json_t *record, *end = json_object_get(totals, "last_end");
	size_t i, running = 0;

	json_array_foreach(records, i, record)
		running += record_runs(record);
	write_jobs(m, totals);
	write_bytes(m, totals);
	write_head(m, "cgmigrate_job_seconds", "counter", "seconds",
		   "How long jobs took, all together.");
	fprintf(m->out, "cgmigrate_job_seconds_total %.6f\n",
		json_integer_value(json_object_get(totals, "usec")) / 1e6);
	write_head(m, "cgmigrate_running_jobs", "gauge", NULL, "Jobs that run.");
	fprintf(m->out, "cgmigrate_running_jobs %zu\n", running);
	if (end) {
		write_head(m, "cgmigrate_last_end_timestamp_seconds", "gauge", "seconds",
			   "When the last job ended.");
		fprintf(m->out, "cgmigrate_last_end_timestamp_seconds %lld\n",
			json_integer_value(end));
	}
	if (m->open)
		fputs("# EOF\n", m->out);
}

/* To a file, which is replaced as a whole, or the standard output. Returns the exit code. */
int metrics_write(struct app *app, bool open, const char *file)
{
	json_t *totals = records_totals(app), *records = records_read(app);
	char *text = NULL;
	size_t len;
	struct metrics m = { .out = open_memstream(&text, &len), .open = open };
	int err = 0;

	if (m.out) {
		write_all(&m, totals, records);
		if (fclose(m.out))
			err = -ENOMEM;
	}
	json_decref(totals);
	json_decref(records);
	if (!text || err)
		return fail(app, EXIT_FAILED, "out of memory");
	if (file)
		err = file_replace(AT_FDCWD, file, text, len, false);
	else
		fputs(text, stdout);
	free(text);
	if (err)
		return fail(app, EXIT_FAILED, "%s: cannot write: %s", file, strerror(-err));
	return EXIT_OK;
}
