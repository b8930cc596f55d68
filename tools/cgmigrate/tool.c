// SPDX-License-Identifier: GPL-2.0
/* cgmigrate run: one of libcgroup's tools, with the plugin. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../../libcgroup-plugin/plugin/files.h"
#include "cgmigrate.h"

/* As env(1) and the shells have them; every other status is the tool's. */
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

#define PREFIX "CGMIGRATE_PLUGIN_"

enum { OPT_RATE = 1, OPT_MAX_STALL, OPT_NO_WAIT, OPT_SETTLE, OPT_REPORT };

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "json", no_argument, NULL, 'J' },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "max-stall", required_argument, NULL, OPT_MAX_STALL },
	{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
	{ "settle", required_argument, NULL, OPT_SETTLE },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate run [OPTION...] -- TOOL [ARGUMENT...]\n"
	"\n"
	"Run a tool of libcgroup, such as cgclassify or cgset, with the plugin that takes\n"
	"memory along. The exit status is the tool's.\n"
	OPTIONS_HEAD
	"      --rate BYTES       at most so much a second (500M)\n"
	"      --max-stall TIME   longest stall of the job, stock kernels (2ms)\n"
	"      --no-wait          the tool does not wait for memory, a process goes on\n"
	"      --settle WHEN      auto: bring in what is left outside (the default);\n"
	"                         always: on cgroup v1 without memory_migrate too; never\n"
	"      --report FILE      a line of JSON for each thing the tool does, added to a\n"
	"                         file, to an open descriptor (fd:N), or to the journal\n"
	COMMON_HELP;

struct tool_options {
	uint64_t rate;
	uint64_t max_stall_usec;
	bool no_wait;
	const char *settle;
	const char *report;
};

static int check_settle(struct app *app, const char *text)
{
	if (!strcmp(text, "auto") || !strcmp(text, "always") || !strcmp(text, "never"))
		return 0;
	return usage_error(app, "--settle %s: one of auto, always and never is needed",
			   text);
}

static int take_option(struct app *app, int c, void *data)
{
	struct tool_options *options = data;

	switch (c) {
	case OPT_RATE:
		return parse_size(app, "--rate", optarg, &options->rate);
	case OPT_MAX_STALL:
		return parse_stall(app, optarg, &options->max_stall_usec);
	case OPT_NO_WAIT:
		options->no_wait = true;
		return 0;
	case OPT_SETTLE:
		options->settle = optarg;
		return check_settle(app, optarg);
	default:
		options->report = optarg;
		return 0;
	}
}

/* Which file execvp() would take, or NULL. */
char *find_tool(const char *name)
{
	const char *path = getenv("PATH");
	char *found;

	if (strchr(name, '/'))
		return access(name, F_OK) ? NULL : strdup(name);
	for (const char *p = path ? path : "/bin:/usr/bin"; *p; p += strspn(p, ":")) {
		size_t len = strcspn(p, ":");

		if (asprintf(&found, "%.*s/%s", (int)len, p, name) < 0)
			return NULL;
		if (!access(found, X_OK))
			return found;
		free(found);
		p += len;
	}
	return NULL;
}

/*
 * With which rights that its user has not a program runs, in words; NULL: with none. The
 * loader obeys nobody then. Root has every capability already.
 */
static const char *gained_rights(const char *file)
{
	struct stat st;

	if (stat(file, &st))
		return NULL;
	if (((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
	    ((st.st_mode & S_ISGID) && st.st_gid != getgid()))
		return "the rights of its owner, so no plugin can be loaded; run it as that user";
	if (getuid() && getxattr(file, "security.capability", NULL, 0) > 0)
		return "capabilities of its own, so no plugin can be loaded; run it as root";
	return NULL;
}

static int check_tool(struct app *app, const char *name)
{
	char *file = find_tool(name);
	const char *rights;
	int code = 0;

	if (!file)
		return fail(app, EXIT_NOT_FOUND, "%s: no such program", name);
	rights = gained_rights(file);
	if (rights)
		code = fail(app, EXIT_REFUSED, "%s: runs with %s", file, rights);
	free(file);
	return code;
}

/* The plugin lies in a folder next to the library. LD_PRELOAD has no way to quote. */
static int find_plugin(struct app *app, char *path, size_t size)
{
	Dl_info info;
	char real[PATH_MAX];
	char *slash;

	if (!dladdr((void *)cgm_version, &info) || !realpath(info.dli_fname, real))
		return fail(app, EXIT_FAILED, "cannot tell where libcgmigrate is");
	slash = strrchr(real, '/');
	*slash = '\0';
	if (snprintf(path, size, "%s/cgmigrate/libcgroup-cgmigrate.so", real) >= (int)size ||
	    access(path, R_OK))
		return fail(app, EXIT_FAILED, "%s: cannot read the plugin: %s", path,
			    strerror(errno));
	if (strpbrk(path, " :"))
		return fail(app, EXIT_FAILED,
			    "%s: the plugin cannot be loaded from a folder with a space or a colon in its name",
			    path);
	return 0;
}

bool plugin_is_there(struct app *app)
{
	bool quiet = app->quiet, found;
	char path[PATH_MAX];

	app->quiet = true;
	found = !find_plugin(app, path, sizeof(path));
	app->quiet = quiet;
	return found;
}

/* Before what is preloaded already. */
static int preload(struct app *app, const char *plugin)
{
	const char *others = getenv("LD_PRELOAD");
	char *list;

	if (asprintf(&list, "%s%s%s", plugin, others && *others ? ":" : "",
		     others ? others : "") < 0)
		return fail(app, EXIT_FAILED, "out of memory");
	setenv("LD_PRELOAD", list, 1);
	free(list);
	return 0;
}

static void set_number(const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	if (value)
		setenv(name, text, 1);
	else
		unsetenv(name);
}

/* The report is a full path: tools may go elsewhere. */
static int set_report(struct app *app, const char *report)
{
	char *path, here[PATH_MAX], why[FILE_WHY];
	int fd, code;

	if (!report) {
		unsetenv(PREFIX "REPORT");
		return 0;
	}
	if (!strncmp(report, "fd:", 3) || !strcmp(report, "journal") || *report == '/')
		path = strdup(report);
	else if (!getcwd(here, sizeof(here)) || asprintf(&path, "%s/%s", here, report) < 0)
		path = NULL;
	if (!path)
		return fail(app, EXIT_FAILED, "--report %s: %s", report, strerror(errno));
	if (*path == '/') {
		fd = file_open_append(path, why);
		if (fd < 0) {
			code = fail(app, EXIT_REFUSED, "--report %s: cannot write: %s", report,
				    why);
			free(path);
			return code;
		}
		close(fd);
	}
	setenv(PREFIX "REPORT", path, 1);
	free(path);
	return 0;
}

static int check_report(struct app *app, const char *report)
{
	char *end;
	long fd;

	if (!report || strncmp(report, "fd:", 3))
		return 0;
	fd = strtol(report + 3, &end, 10);
	if (end == report + 3 || *end || fd < 0 || fd > INT_MAX ||
	    fcntl(fd, F_GETFD) < 0)
		return usage_error(app, "--report %s: not an open descriptor", report);
	return 0;
}

static int prepare(struct app *app, const struct tool_options *options)
{
	char plugin[PATH_MAX];
	int code = find_plugin(app, plugin, sizeof(plugin));

	if (!code)
		code = set_report(app, options->report);
	if (!code)
		code = preload(app, plugin);
	if (code)
		return code;
	set_number(PREFIX "RATE", options->rate);
	set_number(PREFIX "MAX_STALL", options->max_stall_usec);
	setenv(PREFIX "WAIT", options->no_wait ? "no" : "yes", 1);
	setenv(PREFIX "SETTLE", options->settle ? options->settle : "auto", 1);
	return 0;
}

int cmd_run(struct app *app, int argc, char **argv)
{
	static const struct options options = {
		.shorts = "+" COMMON_SHORT, .longs = long_options, .help = help,
		.take = take_option,
	};
	struct tool_options tool = { 0 };
	int code = read_options(app, argc, argv, &options, &tool);

	if (code != GO_ON)
		return code;
	if (optind == argc)
		return usage_error(app, "no tool named");
	code = check_report(app, tool.report);
	if (!code)
		code = check_tool(app, argv[optind]);
	if (!code)
		code = prepare(app, &tool);
	if (code)
		return code;
	fflush(NULL);
	execvp(argv[optind], argv + optind);
	return fail(app, errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "%s: %s",
		    argv[optind], strerror(errno));
}
