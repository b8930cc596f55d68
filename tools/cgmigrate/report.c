// SPDX-License-Identifier: GPL-2.0
/* cgmigrate report: what past and present jobs did. */
#include <stdlib.h>
#include <string.h>

#include "spec.h"

enum { OPT_OPENMETRICS = 1, OPT_PROMETHEUS, OPT_FILE };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "openmetrics", no_argument, NULL, OPT_OPENMETRICS },
	{ "prometheus", no_argument, NULL, OPT_PROMETHEUS },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "output", required_argument, NULL, 'o' },
	TABLE_LONG,
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate report [OPTION...] [JOB...]\n"
	"       cgmigrate report --prometheus|--openmetrics [--file FILE]\n"
	"\n"
	"List the last hundred jobs, or tell all that became of one (j17).\n"
	OPTIONS_HEAD
	"      --prometheus       totals of all jobs since the machine was started, as\n"
	"                         text for node_exporter's textfile collector\n"
	"      --openmetrics      the same as OpenMetrics text\n"
	"      --file FILE        replace this file instead of writing to the terminal\n"
	"  -b, --bytes            print sizes in bytes\n"
	"  -n, --noheadings       no heading\n"
	"  -o, --output LIST      columns, separated by commas; +LIST: besides the usual\n"
	"  -r, --raw              words separated by single spaces, sizes in bytes\n"
	COMMON_HELP;

enum { COL_JOB, COL_STARTED, COL_USER, COL_STATE, COL_MOVED, COL_STAYED, COL_TIME,
	COL_COMMAND };

static const struct column list[] = {
	[COL_JOB] = { "JOB", 0, "name of the job" },
	[COL_STARTED] = { "STARTED", 0, "when it was started" },
	[COL_USER] = { "USER", 0, "who started it" },
	[COL_STATE] = { "STATE", 0,
		"as the exit status; running; unwatched: end not known" },
	[COL_MOVED] = { "MOVED", SCOLS_FL_RIGHT, "bytes that moved" },
	[COL_STAYED] = { "STAYED", SCOLS_FL_RIGHT, "bytes that should have and did not" },
	[COL_TIME] = { "TIME", SCOLS_FL_RIGHT, "how long it took, in seconds" },
	[COL_COMMAND] = { "COMMAND", 0, "what was asked for" },
};

static const struct columns columns = { list, ARRAY_SIZE(list) };

/* What is listed without -o. */
#define USUAL "JOB,STARTED,USER,STATE,MOVED,STAYED,TIME,COMMAND"

struct report {
	const char *metrics;	/* the option that asks for them */
	const char *file;
	const char *output;
	struct chosen chosen;
};

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

static void join_arguments(const json_t *record, char *buf, size_t size)
{
	json_t *arg;
	size_t i;

	buf[0] = '\0';
	json_array_foreach(json_object_get(record, "arguments"), i, arg) {
		char *word;

		if (!json_is_string(arg))
			continue;
		word = shell_word(json_string_value(arg));
		snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", *buf ? " " : "",
			 word ? word : "?");
		free(word);
	}
}

/* What makes a move partial. */
static uint64_t stayed(const json_t *record)
{
	json_t *totals = json_object_get(json_object_get(record, "result"), "totals");
	uint64_t sum = 0;
	const char *reason;
	json_t *bytes;

	json_object_foreach(totals, reason, bytes)
		if (!strcmp(reason, "left") || !strncmp(reason, "fail_", 5))
			sum += json_integer_value(bytes);
	return sum;
}

static const char *cell_text(struct app *app, int column, const json_t *record, char *buf,
			     size_t size)
{
	json_t *result = json_object_get(record, "result");
	json_t *totals = json_object_get(result, "totals");

	switch (column) {
	case COL_JOB:
		return word(record, "job");
	case COL_STARTED:
		return word(record, "started");
	case COL_USER:
		return word(record, "user");
	case COL_STATE:
		return word(record, "state");
	case COL_COMMAND:
		join_arguments(record, buf, size);
		return buf;
	default:
		break;
	}
	if (!result)
		snprintf(buf, size, "-");
	else if (column == COL_MOVED)
		size_text(app, json_integer_value(json_object_get(totals, "moved")), buf,
			  size);
	else if (column == COL_STAYED)
		size_text(app, stayed(record), buf, size);
	else
		snprintf(buf, size, "%.2f",
			 json_integer_value(json_object_get(result, "elapsed_usec")) / 1e6);
	return buf;
}

/* For people; who reads a table knows what no line means. */
static void print_none(const struct app *app)
{
	char dir[4096];

	if (app->raw || app->noheadings)
		return;
	if (state_path(app, STATE_RUN, dir, sizeof(dir)))
		puts("no jobs so far");
	else
		say("no jobs so far (%s)\n", dir);
}

static int print_list(struct app *app, const struct report *report, const json_t *records)
{
	struct libscols_table *table = table_new(app);
	char buf[1024];
	json_t *record;
	size_t i;

	if (!table)
		return fail(app, EXIT_FAILED, "out of memory");
	for (i = 0; i < report->chosen.count; i++)
		table_column(table, list[report->chosen.columns[i]].name,
			     list[report->chosen.columns[i]].flags);
	json_array_foreach(records, i, record) {
		struct libscols_line *line = table_line(table);

		for (size_t c = 0; line && c < report->chosen.count; c++)
			table_cell(line, c, cell_text(app, report->chosen.columns[c], record,
						      buf, sizeof(buf)));
	}
	if (scols_table_get_nlines(table))
		table_print(table);
	else
		print_none(app);
	scols_unref_table(table);
	return EXIT_OK;
}

static void print_running(const struct app *app, const json_t *record)
{
	struct cgm_progress progress = { .size = sizeof(progress) };
	char text[160];

	if (record_has_progress(record, &progress))
		printf("running%s: %s\n", record_has_rounds(record) ? ", of this round" : "",
		       progress_text(app, &progress, text, sizeof(text)));
	else
		puts("running");
}

/* How it ended, as far as anybody knows. */
static void print_end(struct app *app, const json_t *record)
{
	const json_t *error = json_object_get(record, "error");

	if (json_is_object(json_object_get(record, "result")))
		print_result(app, record);
	else if (record_unwatched(record))
		puts("unwatched: the command was killed before the end; \"cgmigrate show\" tells where memory is");
	else if (record_runs(record))
		print_running(app, record);
	else if (!error)
		say("%s\n", word(record, "state"));
	if (error)
		say("%s: %s\n", word(record, "state"), word(error, "message"));
}

static void print_record(struct app *app, const json_t *record)
{
	char command[1024];

	join_arguments(record, command, sizeof(command));
	say("%s: cgmigrate %s\n", word(record, "job"), command);
	say("by %s, started %s", word(record, "user"), word(record, "started"));
	if (json_object_get(record, "ended"))
		say(", ended %s", word(record, "ended"));
	putchar('\n');
	if (json_object_get(record, "steps"))
		print_schedule(app, record);
	else
		print_plan(app, record);
	print_end(app, record);
	if (json_object_get(record, "interrupted"))
		print_interrupted(json_object_get(record, "interrupted"));
	if (freeze_left(record))
		print_frozen(record);
}

static int print_records(struct app *app, const json_t *records)
{
	json_t *record;
	size_t i;

	json_array_foreach(records, i, record) {
		if (i)
			putchar('\n');
		print_record(app, record);
	}
	return EXIT_OK;
}

/* ---- the verb ---- */

static void print_column_help(void)
{
	print_columns(&columns);
}

static int take_option(struct app *app, int c, void *data)
{
	struct report *report = data;

	(void)app;
	if (c == OPT_OPENMETRICS)
		report->metrics = "--openmetrics";
	else if (c == OPT_PROMETHEUS)
		report->metrics = "--prometheus";
	else if (c == OPT_FILE)
		report->file = optarg;
	else
		report->output = optarg;
	return 0;
}

static int check_arguments(struct app *app, char **jobs, const struct report *report)
{
	if (report->file && !report->metrics)
		return usage_error(app, "--file: goes with --prometheus or --openmetrics");
	if (report->metrics && *jobs)
		return usage_error(app, "%s: is about all jobs, not about %s",
				   report->metrics, *jobs);
	if (report->metrics && app->json)
		return usage_error(app, "%s: is no JSON: not with --json", report->metrics);
	for (; *jobs; jobs++)
		if (!job_number(*jobs))
			return usage_error(app, "%s: not the name of a job such as j17",
					   *jobs);
	return 0;
}

static int read_jobs(struct app *app, char **jobs, json_t **out)
{
	json_t *records = *jobs ? json_array() : records_read(app);

	*out = records;
	for (; *jobs; jobs++) {
		json_t *record = record_read(app, *jobs);

		if (!record)
			return fail(app, EXIT_FAILED,
				    "%s: no such job; \"cgmigrate report\" lists them", *jobs);
		json_array_append_new(records, record);
	}
	return 0;
}

/* Where the cpusets of killed commands stand now, and who stands still. */
static int look_at_left(struct app *app, json_t *records)
{
	json_t *record;
	size_t i;
	int code = 0;

	json_array_foreach(records, i, record) {
		if (!record_unwatched(record) && !freeze_left(record))
			continue;
		if (!app->ctx)
			code = app_open(app);
		if (code)
			break;
		if (record_unwatched(record))
			json_object_set_new(record, "interrupted",
					    interrupted_state(app, record));
		freeze_look(app, record);
	}
	return code;
}

static const struct options options = {
	.shorts = COMMON_SHORT TABLE_SHORT "o:",
	.longs = long_options,
	.help = help,
	.more_help = print_column_help,
	.take = take_option,
};

int cmd_report(struct app *app, int argc, char **argv)
{
	struct report report = { 0 };
	int code = read_options(app, argc, argv, &options, &report);
	json_t *records;

	if (code != GO_ON)
		return code;
	argv += optind;
	code = check_arguments(app, argv, &report);
	if (!code)
		code = choose_columns(app, &columns, USUAL, report.output, &report.chosen);
	if (!code)
		code = state_check(app);
	if (code)
		return code;
	if (report.metrics)
		return metrics_write(app, !strcmp(report.metrics, "--openmetrics"), report.file);
	code = read_jobs(app, argv, &records);
	if (!code && (*argv || app->json))
		code = look_at_left(app, records);
	if (!code && app->json)
		print_json(app, json_pack("{s:s, s:s, s:i, s:O}", "command", app->verb, "state",
					  "done", "exit", 0, "jobs", records));
	else if (!code)
		code = *argv ? print_records(app, records) :
			       print_list(app, &report, records);
	json_decref(records);
	return code;
}
