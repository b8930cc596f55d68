// SPDX-License-Identifier: GPL-2.0
/* Options that all verbs share, and values that several read. */
#include <errno.h>
#include <string.h>

#include "../../libcgroup-plugin/plugin/units.h"
#include "cgmigrate.h"

#define MAX_STALL_USEC 10000000	/* the most that --max-stall takes */

/* Take one of the options of COMMON_LONG and TABLE_LONG. */
static bool take_common(struct app *app, int c)
{
	switch (c) {
	case 'J':
		app->json = true;
		return true;
	case OPT_SYSROOT:
		app->sysroot = optarg;
		return true;
	case OPT_WRITE_SYSROOT:
		app->write_sysroot = true;
		return true;
	case 'b':
		app->bytes = true;
		return true;
	case 'n':
		app->noheadings = true;
		return true;
	case 'r':
		app->raw = true;
		app->bytes = true;
		return true;
	default:
		return false;
	}
}

int usage_error(struct app *app, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail(app, EXIT_USAGE, "%s", text);
	if (!app->json)
		fprintf(stderr, "Try \"cgmigrate %s%s--help\".\n", app->verb,
			*app->verb ? " " : "");
	return EXIT_USAGE;
}

/* What getopt_long() did not like; opterr is off. */
static int bad_option(struct app *app, int c, char **argv)
{
	if (c == ':')
		return usage_error(app, "%s: needs a value", argv[optind - 1]);
	if (optopt && optopt < 256)
		return usage_error(app, "-%c: no such option", optopt);
	return usage_error(app, "%s: no such option, or not the only one it stands for",
			   argv[optind - 1]);
}

static void print_help(const struct app *app, const struct options *options)
{
	fputs(options->help, stdout);
	if (options->more_help)
		options->more_help();
	printf("\nFor more details see cgmigrate-%s(8).\n",
	       options->page ? options->page : app->verb);
}

void print_version(void)
{
	printf("cgmigrate %s\n", cgm_version());
}

/*
 * Read the options of a verb; its targets start at argv[optind] then. Returns
 * GO_ON, or an exit code when there is nothing more to do.
 */
int read_options(struct app *app, int argc, char **argv, const struct options *options,
		 void *data)
{
	int c, code;

	opterr = 0;
	while ((c = getopt_long(argc, argv, options->shorts, options->longs, NULL)) != -1) {
		if (c == 'h') {
			print_help(app, options);
			return EXIT_OK;
		}
		if (c == 'V') {
			print_version();
			return EXIT_OK;
		}
		if (c == '?' || c == ':')
			return bad_option(app, c, argv);
		if (take_common(app, c))
			continue;
		code = options->take(app, c, data);
		if (code)
			return code;
	}
	return GO_ON;
}

/* Make the context, once all options are known. */
int app_open(struct app *app)
{
	struct cgm_context_options options = {
		.size = sizeof(options),
		.sysroot = app->sysroot,
		.flags = app->write_sysroot ? CGM_CONTEXT_WRITE_SYSROOT : 0,
	};
	int err = cgm_context_new(&app->ctx, &options);

	if (err)
		return fail(app, EXIT_FAILED, "cannot look at %s: %s",
			    app->sysroot ? app->sysroot : "this system", strerror(-err));
	app->features.size = sizeof(app->features);
	cgm_context_features(app->ctx, &app->features);
	return 0;
}

/* The same, for verbs that believe the records of jobs. */
int app_open_jobs(struct app *app)
{
	int code = state_check(app);

	return code ? code : app_open(app);
}

int parse_nodes(struct app *app, const char *option, const char *text, cgm_nodeset *set)
{
	int err = cgm_nodeset_parse(text, set);

	if (err == -ERANGE)
		return usage_error(app, "%s %s: node numbers end at %d", option, text,
				   CGM_NODES_MAX - 1);
	if (err || !cgm_nodeset_weight(set))
		return usage_error(app, "%s \"%s\": not a list of nodes such as 2-3 or 0,4",
				   option, text);
	return 0;
}

int parse_size(struct app *app, const char *option, const char *text, uint64_t *bytes)
{
	if (units_size(text, bytes))
		return usage_error(app, "%s %s: not a size such as 500M or 2G", option,
				   text);
	return 0;
}

int parse_time(struct app *app, const char *option, const char *text, uint64_t *usec)
{
	if (units_time(text, 1e6, usec))
		return usage_error(app, "%s %s: not a time such as 2ms, 30 (seconds) or 5min",
				   option, text);
	return 0;
}

/* A thousandth of a second is the usual thing, so that a number alone may mean that. */
int parse_stall(struct app *app, const char *text, uint64_t *usec)
{
	if (units_time(text, 1e6, usec))
		return usage_error(app, "--max-stall %s: not a time such as 2ms or 500us", text);
	if (units_time(text, 0, usec))
		return usage_error(app, "--max-stall %s: needs a unit, such as 2ms or 500us",
				   text);
	if (*usec > MAX_STALL_USEC)
		return usage_error(app, "--max-stall: at most 10s");
	return 0;
}
