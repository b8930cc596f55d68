// SPDX-License-Identifier: GPL-2.0
/* cgmigrate show: where memory is. */
#include <stdlib.h>
#include <string.h>

#include "show.h"

enum { OPT_ALL = 1, OPT_BY, OPT_NODES, OPT_WATCH };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "all", no_argument, NULL, OPT_ALL },
	{ "by", required_argument, NULL, OPT_BY },
	{ "nodes", no_argument, NULL, OPT_NODES },
	{ "watch", optional_argument, NULL, OPT_WATCH },
	{ "output", required_argument, NULL, 'o' },
	TABLE_LONG,
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate show [OPTION...] [TARGET...]\n"
	"\n"
	"Show on which nodes memory is: of the cgroups that have nodes of their own, or\n"
	"of the targets named. Memory on a node where it is not allowed is marked *;\n"
	"letters after a total, or the page size of a mapping: h has transparent huge\n"
	"pages, l has locked memory, p has pinned memory.\n"
	OPTIONS_HEAD
	"      --all              every cgroup\n"
	"      --by kind          a line for anon, file, shmem, hugetlb and kernel memory\n"
	"      --by process       a line for every process\n"
	"      --by vma           a line for every mapping of every process\n"
	"      --nodes            and how much of each node is free\n"
	"      --watch[=TIME]     again every 2 seconds, or so often\n"
	"  -b, --bytes            print sizes in bytes\n"
	"  -n, --noheadings       no heading\n"
	"  -o, --output LIST      columns, separated by commas; +LIST: besides the usual\n"
	"  -r, --raw              words separated by single spaces, sizes in bytes\n"
	COMMON_HELP;

static void warn_of_drift(const struct show *show)
{
	char list[2048];

	for (size_t i = 0; i < show->count; i++) {
		const struct entry *e = &show->entries[i];
		char *word;

		if (!cgm_nodeset_weight(&e->unit_mems))
			continue;
		word = shell_word(e->cgroup);
		warn(show->app, "%s: systemd has AllowedMemoryNodes=%s for it, and writes that back when it reloads: \"cgmigrate move %s --to NODES\" settles which it is",
		     e->cgroup, nodes_text(&e->unit_mems, list, sizeof(list)),
		     word ? word : "?");
		free(word);
	}
}

/* The table, and that of the nodes where it was asked for; NULL without memory. */
static char *text_of(const struct show *show)
{
	char *table = show_table(show), *nodes, *text;

	if (!table || !show->nodes)
		return table;
	nodes = show_nodes(show);
	if (!nodes || asprintf(&text, "%s%s%s", table, *table ? "\n\n" : "", nodes) < 0)
		text = NULL;
	free(nodes);
	free(table);
	return text;
}

static int tell(struct show *show)
{
	char *text;

	if (show->app->json) {
		show_print_json(show);
		return EXIT_OK;
	}
	if (!show->count)
		warn(show->app, "no cgroup has nodes of its own; --all shows every one");
	text = text_of(show);
	if (!text)
		return fail(show->app, EXIT_FAILED, "out of memory");
	fputs(text, stdout);
	if (*text)
		putchar('\n');
	free(text);
	warn_of_drift(show);
	return EXIT_OK;
}

struct watched {
	struct show *show;
	char **targets;
	int code;
};

static char *watch_text(void *data)
{
	struct watched *watched = data;
	char *text = NULL;

	watched->code = show_collect(watched->show, watched->targets);
	if (!watched->code)
		text = text_of(watched->show);
	show_forget(watched->show);
	return text;
}

/* Again and again, until somebody has seen enough. */
static int watch(struct show *show, char **targets)
{
	struct watched watched = { .show = show, .targets = targets };

	watch_screen(show->app, watch_text, &watched, show->watch_usec);
	return watched.code;
}

/* ---- the verb ---- */

static int take_option(struct app *app, int c, void *data)
{
	struct show *show = data;

	switch (c) {
	case OPT_ALL:
		show->all = true;
		return 0;
	case OPT_BY:
		if (!strcmp(optarg, "kind"))
			show->by = BY_KIND;
		else if (!strcmp(optarg, "process"))
			show->by = BY_PROCESS;
		else if (!strcmp(optarg, "vma"))
			show->by = BY_VMA;
		else
			return usage_error(app, "--by %s: can be kind, process or vma",
					   optarg);
		return 0;
	case OPT_NODES:
		show->nodes = true;
		return 0;
	case OPT_WATCH:
		show->watch_usec = 2000000;
		return optarg ? parse_time(app, "--watch", optarg, &show->watch_usec) : 0;
	default:
		show->output = optarg;
		return 0;
	}
}

static const struct options options = {
	.shorts = COMMON_SHORT TABLE_SHORT "o:",
	.longs = long_options,
	.help = help,
	.more_help = show_print_columns,
	.take = take_option,
};

int cmd_show(struct app *app, int argc, char **argv)
{
	struct show show = { .app = app };
	int code = read_options(app, argc, argv, &options, &show);

	if (code != GO_ON)
		return code;
	if (show.watch_usec && app->json)
		return usage_error(app, "--watch: draws again and again, --json writes one object");
	code = show_choose_columns(&show);
	if (!code)
		code = app_open(app);
	if (code)
		return code;
	if (show.watch_usec)
		return watch(&show, argv + optind);
	code = show_collect(&show, argv + optind);
	if (!code)
		code = tell(&show);
	show_forget(&show);
	return code;
}
