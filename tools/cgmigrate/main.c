// SPDX-License-Identifier: GPL-2.0
/* cgmigrate: see and move the memory of cgroups between NUMA nodes. */
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgmigrate.h"

static int cmd_help(struct app *app, int argc, char **argv);

static const struct verb verbs[] = {
	{ "show", cmd_show, "where memory is: cgroups or processes by node" },
	{ "map", cmd_map, "picture of an address space by node" },
	{ "move", cmd_move, "move memory to other nodes, or processes into a cgroup" },
	{ "settle", cmd_settle, "bring memory in that is outside a cgroup's nodes" },
	{ "plan", cmd_plan, "other nodes for many cgroups, in an order that works" },
	{ "apply", cmd_apply, "carry a plan out" },
	{ "undo", cmd_undo, "go back to before the last apply" },
	{ "wait", cmd_wait, "wait until no move is under way" },
	{ "pause", cmd_pause, "make moves wait" },
	{ "resume", cmd_resume, "let them go on" },
	{ "cancel", cmd_cancel, "stop moves" },
	{ "limit", cmd_limit, "how fast memory of a cgroup may move" },
	{ "report", cmd_report, "what jobs moved, and what stayed" },
	{ "run", cmd_run, "one of libcgroup's tools, taking memory along" },
	{ "features", cmd_features, "what this kernel and system can do" },
	{ "bench", cmd_bench, "how fast memory moves here, and who is held up" },
	{ "help", cmd_help, "what there is, or what a verb takes" },
};

static void print_usage(FILE *out)
{
	fputs("Usage: cgmigrate VERB [OPTION...] [TARGET...]\n"
	      "\n"
	      "See and move the memory of running jobs between NUMA nodes.\n"
	      "\n"
	      "Verbs:\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
	fputs("\n"
	      "A TARGET is a cgroup (/web), a systemd unit (web.service), a process (1234) or\n"
	      "a user (@alice).\n"
	      "\n"
	      "Options:\n"
	      COMMON_HELP
	      "\n"
	      "\"cgmigrate VERB --help\" tells of a verb. For more details see cgmigrate(8).\n",
	      out);
}

static int no_such_verb(struct app *app, const char *name)
{
	char list[512] = "";

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 i ? ", " : "", verbs[i].name);
	return usage_error(app, "%s: no such verb; verbs are %s", name, list);
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static bool is_help(const char *word)
{
	return !strcmp(word, "-h") || !strcmp(word, "--help");
}

/* "help VERB" is "VERB --help". */
static int cmd_help(struct app *app, int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2 || is_help(argv[1]) || !strcmp(argv[1], app->verb)) {
		print_usage(stdout);
		return EXIT_OK;
	}
	if (argc > 2)
		return usage_error(app, "%s: help takes one verb", argv[2]);
	verb = find_verb(argv[1]);
	if (!verb)
		return no_such_verb(app, argv[1]);
	app->verb = verb->name;
	argv[0] = argv[1];
	argv[1] = "--help";
	return verb->run(app, argc, argv);
}

/* Errors in what follows are JSON too, wherever the option stands. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "-J") || !strcmp(argv[i], "--json"))
			return true;
	return false;
}

/* A file opened later must not become our standard output by accident. */
static void open_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	struct app app = { .verb = "" };
	const struct verb *verb;
	int code;

	open_standard_files();
	setlocale(LC_CTYPE, "");	/* what is a character of a name */
	shortage_watch();
	atexit(close_stdout);
	app.json = wants_json(argc, argv);
	if (argc > 1 && is_help(argv[1])) {
		print_usage(stdout);
		return EXIT_OK;
	}
	if (argc > 1 && (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version"))) {
		print_version();
		return EXIT_OK;
	}
	if (argc < 2) {
		if (!app.json)
			print_usage(stderr);
		return app.json ? usage_error(&app, "no verb named") : EXIT_USAGE;
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return no_such_verb(&app, argv[1]);
	app.verb = verb->name;
	app.argv = argv + 1;
	code = verb->run(&app, argc - 1, argv + 1);
	cgm_context_free(app.ctx);
	return code;
}
