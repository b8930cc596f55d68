// SPDX-License-Identifier: GPL-2.0
/* cgmigrate show: where memory is. */
#include <errno.h>
#include <getopt.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

enum { OPT_ALL = 1, OPT_BY };

enum by { BY_TARGET, BY_KIND, BY_PROCESS };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "all", no_argument, NULL, OPT_ALL },
	{ "by", required_argument, NULL, OPT_BY },
	{ "bytes", no_argument, NULL, 'b' },
	{ "noheadings", no_argument, NULL, 'n' },
	{ "raw", no_argument, NULL, 'r' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate show [OPTION...] [TARGET...]\n"
	"\n"
	"Show on which nodes memory is: of the cgroups that have nodes of their own, or\n"
	"of the targets named. Memory on a node where it is not allowed is marked *.\n"
	"\n"
	"      --all              every cgroup\n"
	"      --by kind          a line for anon, file, shmem, hugetlb and kernel memory\n"
	"      --by process       a line for every process\n"
	"  -b, --bytes            print sizes in bytes\n"
	"  -n, --noheadings       no heading\n"
	"  -r, --raw              words separated by single spaces, sizes in bytes\n"
	COMMON_HELP;

/* One thing to show: a cgroup or a process. */
struct entry {
	char *cgroup;		/* NULL: only a process is known */
	pid_t pid;		/* 0: a cgroup */
	cgm_nodeset mems;
	struct cgm_placement *placement;
};

struct show {
	struct app *app;
	enum by by;
	bool all;
	struct entry *entries;
	size_t count;
};

static uint64_t total_of(const struct entry *e)
{
	return cgm_placement_bytes(e->placement, CGM_KIND_MOVABLE, CGM_NODE_ALL);
}

/* ---- collecting ---- */

static struct entry *new_entry(struct show *show)
{
	struct entry *more = realloc(show->entries, (show->count + 1) * sizeof(*more));

	if (!more)
		return NULL;
	show->entries = more;
	more += show->count++;
	memset(more, 0, sizeof(*more));
	return more;
}

static int add_group(struct show *show, struct cgm_group *group)
{
	struct cgm_placement *placement;
	struct entry *e;
	int err;

	err = cgm_placement_read(group, show->by == BY_PROCESS ?
				 CGM_PLACEMENT_PROCESSES : 0, &placement);
	if (err)
		return err;
	e = new_entry(show);
	if (!e) {
		cgm_placement_free(placement);
		return -ENOMEM;
	}
	e->placement = placement;
	e->cgroup = strdup(cgm_group_path(group));
	if (!e->cgroup)
		return -ENOMEM;
	cgm_placement_allowed(placement, &e->mems);
	return 0;
}

static int add_pid(struct show *show, struct cgm_group *group, pid_t pid)
{
	struct cgm_placement *placement;
	struct entry *e;
	int err = cgm_placement_read_pid(show->app->ctx, pid, &placement);

	if (err)
		return err;
	e = new_entry(show);
	if (!e) {
		cgm_placement_free(placement);
		return -ENOMEM;
	}
	e->placement = placement;
	e->pid = pid;
	e->cgroup = group ? strdup(cgm_group_path(group)) : NULL;
	cgm_placement_allowed(placement, &e->mems);
	return 0;
}

/* Cgroups that went away meanwhile are not missed. */
static int consider_group(struct cgm_group *group, void *data)
{
	struct show *show = data;
	cgm_nodeset mems;
	int err;

	if (!show->all) {
		if (!strcmp(cgm_group_path(group), "/") || !cgm_group_has_cpuset(group) ||
		    cgm_group_mems(group, &mems) || !cgm_nodeset_weight(&mems))
			return 0;
	}
	err = add_group(show, group);
	return err == -ENOENT || err == -ENODEV ? 0 : err;
}

static int collect_all(struct show *show)
{
	struct cgm_group *root;
	int err = cgm_group_open(show->app->ctx, "/", &root);

	if (!err) {
		err = cgm_group_walk(root, consider_group, show);
		cgm_group_unref(root);
	}
	return err ? fail_errno(show->app, err) : 0;
}

static int collect_target(struct show *show, const char *text)
{
	struct target target;
	int err, code = target_open(show->app, text, &target);

	if (code)
		return code;
	if (target.pid)
		err = add_pid(show, target.group, target.pid);
	else
		err = add_group(show, target.group);
	target_close(&target);
	return err ? fail_errno(show->app, err) : 0;
}

static int larger_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (total_of(x) != total_of(y))
		return total_of(x) < total_of(y) ? 1 : -1;
	return x->cgroup && y->cgroup ? strcmp(x->cgroup, y->cgroup) : 0;
}

static void free_entries(struct show *show)
{
	for (size_t i = 0; i < show->count; i++) {
		free(show->entries[i].cgroup);
		cgm_placement_free(show->entries[i].placement);
	}
	free(show->entries);
}

/* ---- the table ---- */

static const struct column {
	const char *name;
	int flags;
	unsigned int by;	/* shown in these views */
} columns[] = {
	{ "CGROUP", 0, 1 << BY_TARGET | 1 << BY_KIND | 1 << BY_PROCESS },
	{ "PID", SCOLS_FL_RIGHT, 1 << BY_PROCESS },
	{ "COMMAND", 0, 1 << BY_PROCESS },
	{ "KIND", 0, 1 << BY_KIND },
	{ "MEMS", 0, 1 << BY_TARGET },
	{ "TOTAL", SCOLS_FL_RIGHT, 1 << BY_TARGET | 1 << BY_KIND | 1 << BY_PROCESS },
};

enum { COL_CGROUP, COL_PID, COL_COMMAND, COL_KIND, COL_MEMS, COL_TOTAL };

/* Where a column is in the table, or -1. */
static int position(const struct show *show, unsigned int column)
{
	int pos = 0;

	if (!(columns[column].by & 1U << show->by))
		return -1;
	for (unsigned int i = 0; i < column; i++)
		pos += !!(columns[i].by & 1U << show->by);
	return pos;
}

static void set_text(const struct show *show, struct libscols_line *line,
		     unsigned int column, const char *text)
{
	int pos = position(show, column);

	if (pos >= 0)
		scols_line_set_data(line, pos, text);
}

static void set_size(const struct show *show, struct libscols_line *line, int pos,
		     uint64_t bytes, bool stray)
{
	char buf[40];

	size_text(show->app, bytes, buf, sizeof(buf) - 1);
	if (stray && bytes && !show->app->raw && !show->app->bytes)
		strcat(buf, "*");
	scols_line_set_data(line, pos, bytes || show->app->bytes ? buf : "-");
}

/* The cells by node, and how much of them is where it must not be. */
static void set_nodes(const struct show *show, struct libscols_line *line,
		      const struct cgm_placement *p, enum cgm_kind kind)
{
	const cgm_nodeset *online = &show->app->features.online;
	int pos = position(show, COL_TOTAL);
	uint64_t outside = 0;
	cgm_nodeset allowed;

	cgm_placement_allowed(p, &allowed);
	set_size(show, line, pos++, cgm_placement_bytes(p, kind, CGM_NODE_ALL), false);
	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		uint64_t bytes = cgm_placement_bytes(p, kind, n);
		bool stray = kind != CGM_KIND_KERNEL && cgm_nodeset_weight(&allowed) &&
			     !cgm_nodeset_has(&allowed, n);

		outside += stray ? bytes : 0;
		set_size(show, line, pos++, bytes, stray);
	}
	set_size(show, line, pos, outside, false);
}

static const char *label_of(const struct entry *e, char *buf, size_t size)
{
	if (!e->pid)
		return e->cgroup;
	snprintf(buf, size, "%d", e->pid);
	return buf;
}

static int add_line(const struct show *show, struct libscols_table *table,
		    const struct entry *e, const struct cgm_placement *p,
		    enum cgm_kind kind, struct libscols_line **out)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char label[32], mems[1024];

	if (!line)
		return -ENOMEM;
	set_text(show, line, COL_CGROUP, label_of(e, label, sizeof(label)));
	set_text(show, line, COL_MEMS, nodes_text(&e->mems, mems, sizeof(mems)));
	set_text(show, line, COL_KIND, cgm_kind_name(kind));
	set_nodes(show, line, p, kind);
	*out = line;
	return 0;
}

static int add_processes(const struct show *show, struct libscols_table *table,
			 const struct entry *e)
{
	struct cgm_process process = { .size = sizeof(process) };
	struct libscols_line *line;
	char buf[32];
	int err = 0;

	for (size_t i = 0; !err && !cgm_placement_process(e->placement, i, &process); i++) {
		err = add_line(show, table, e, process.placement, CGM_KIND_MOVABLE, &line);
		if (err)
			break;
		snprintf(buf, sizeof(buf), "%d", process.pid);
		set_text(show, line, COL_PID, buf);
		set_text(show, line, COL_COMMAND, process.comm);
	}
	return err;
}

static int add_lines(const struct show *show, struct libscols_table *table,
		     const struct entry *e)
{
	struct libscols_line *line;
	int err = 0;

	switch (show->by) {
	case BY_TARGET:
		return add_line(show, table, e, e->placement, CGM_KIND_MOVABLE, &line);
	case BY_PROCESS:
		return add_processes(show, table, e);
	case BY_KIND:
		for (int k = 0; k < CGM_KIND_COUNT && !err; k++)
			if (cgm_placement_bytes(e->placement, k, CGM_NODE_ALL))
				err = add_line(show, table, e, e->placement, k, &line);
		return err;
	}
	return err;
}

static int print_table(const struct show *show)
{
	const cgm_nodeset *online = &show->app->features.online;
	struct libscols_table *table = scols_new_table();
	char name[16];
	int err = table ? 0 : -ENOMEM;

	if (err)
		return err;
	scols_table_enable_raw(table, show->app->raw);
	scols_table_enable_noheadings(table, show->app->noheadings);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (columns[i].by & 1U << show->by)
			scols_table_new_column(table, columns[i].name, 0, columns[i].flags);
	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		snprintf(name, sizeof(name), "N%d", n);
		scols_table_new_column(table, name, 0, SCOLS_FL_RIGHT);
	}
	scols_table_new_column(table, "STRAY", 0, SCOLS_FL_RIGHT);
	for (size_t i = 0; i < show->count && !err; i++)
		err = add_lines(show, table, &show->entries[i]);
	if (!err)
		scols_print_table(table);
	scols_unref_table(table);
	return err;
}

/* ---- JSON ---- */

static json_t *json_processes(const struct show *show, const struct entry *e)
{
	struct cgm_process process = { .size = sizeof(process) };
	json_t *list = json_array();

	for (size_t i = 0; !cgm_placement_process(e->placement, i, &process); i++)
		json_array_append_new(list,
			json_pack("{s:i, s:s, s:o}", "pid", process.pid, "command",
				  process.comm, "placement",
				  json_placement(show->app, process.placement)));
	return list;
}

static json_t *json_entry(const struct show *show, const struct entry *e)
{
	json_t *object = json_pack("{s:o, s:o}", "mems", json_nodes(&e->mems), "placement",
				   json_placement(show->app, e->placement));

	if (e->cgroup)
		json_object_set_new(object, "cgroup", json_string(e->cgroup));
	if (e->pid)
		json_object_set_new(object, "pid", json_integer(e->pid));
	if (show->by == BY_PROCESS)
		json_object_set_new(object, "processes", json_processes(show, e));
	return object;
}

static void print_as_json(const struct show *show)
{
	json_t *list = json_array();

	for (size_t i = 0; i < show->count; i++)
		json_array_append_new(list, json_entry(show, &show->entries[i]));
	print_json(json_pack("{s:s, s:o, s:o}", "command", show->app->verb, "nodes",
			     json_nodes(&show->app->features.online), "targets", list));
}

/* ---- the verb ---- */

static int take_option(struct show *show, int c, char **argv)
{
	switch (c) {
	case OPT_ALL:
		show->all = true;
		return 0;
	case OPT_BY:
		if (!strcmp(optarg, "kind"))
			show->by = BY_KIND;
		else if (!strcmp(optarg, "process"))
			show->by = BY_PROCESS;
		else
			return usage_error(show->app, "--by %s: can be kind or process",
					   optarg);
		return 0;
	case 'b':
		show->app->bytes = true;
		return 0;
	case 'n':
		show->app->noheadings = true;
		return 0;
	case 'r':
		show->app->raw = true;
		show->app->bytes = true;
		return 0;
	default:
		return common_option(show->app, c) ? 0 : bad_option(show->app, c, argv);
	}
}

int cmd_show(struct app *app, int argc, char **argv)
{
	struct show show = { .app = app };
	int c, code = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":bnr" COMMON_SHORT, long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return EXIT_OK;
		}
		code = take_option(&show, c, argv);
		if (code)
			return code;
	}
	code = app_open(app);
	if (code)
		return code;
	if (optind == argc)
		code = collect_all(&show);
	for (int i = optind; i < argc && !code; i++)
		code = collect_target(&show, argv[i]);
	if (!code) {
		if (show.count)
			qsort(show.entries, show.count, sizeof(*show.entries),
			      larger_first);
		if (app->json)
			print_as_json(&show);
		else if (!show.count)
			warn(app, "no cgroup has nodes of its own; --all shows every one");
		else if (print_table(&show))
			code = fail(app, EXIT_FAILED, "out of memory");
	}
	free_entries(&show);
	return code;
}
