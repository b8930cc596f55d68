// SPDX-License-Identifier: GPL-2.0
/* cgmigrate show: where memory is. */
#include <errno.h>
#include <getopt.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cgmigrate.h"

enum { OPT_ALL = 1, OPT_BY };

enum by { BY_TARGET, BY_KIND, BY_PROCESS };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "all", no_argument, NULL, OPT_ALL },
	{ "by", required_argument, NULL, OPT_BY },
	{ "bytes", no_argument, NULL, 'b' },
	{ "noheadings", no_argument, NULL, 'n' },
	{ "output", required_argument, NULL, 'o' },
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
	"  -o, --output LIST      columns, separated by commas\n"
	"  -r, --raw              words separated by single spaces, sizes in bytes\n"
	COMMON_HELP;

/* One thing to show: a cgroup or a process. */
struct entry {
	char *cgroup;		/* NULL: only a process is known */
	pid_t pid;		/* 0: a cgroup */
	cgm_nodeset mems;
	struct cgm_placement *placement;
};

enum column {
	COL_CGROUP, COL_PID, COL_COMMAND, COL_KIND, COL_MEMS, COL_SOURCE, COL_TOTAL,
	COL_NODES, COL_STRAY, COL_COUNT,
};

struct show {
	struct app *app;
	enum by by;
	bool all;
	const char *output;		/* columns the user asked for */
	enum column columns[32];
	size_t column_count;
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

static const struct {
	const char *name;
	int flags;
	const char *help;
} columns[] = {
	[COL_CGROUP] = { "CGROUP", 0, "cgroup, or the process that was named" },
	[COL_PID] = { "PID", SCOLS_FL_RIGHT, "process" },
	[COL_COMMAND] = { "COMMAND", 0, "name of the process" },
	[COL_KIND] = { "KIND", 0, "anon, file, shmem, hugetlb or kernel" },
	[COL_MEMS] = { "MEMS", 0, "nodes it may use" },
	[COL_SOURCE] = { "SOURCE", 0, "charged (memory controller) or mapped (page tables)" },
	[COL_TOTAL] = { "TOTAL", SCOLS_FL_RIGHT, "bytes on all nodes" },
	[COL_NODES] = { NULL, SCOLS_FL_RIGHT, "a column for every node" },
	[COL_STRAY] = { "STRAY", SCOLS_FL_RIGHT, "bytes outside MEMS" },
};

/* What is shown without -o. */
static const char * const views[] = {
	[BY_TARGET] = "CGROUP,MEMS,TOTAL,NODES,STRAY",
	[BY_KIND] = "CGROUP,KIND,TOTAL,NODES,STRAY",
	[BY_PROCESS] = "CGROUP,PID,COMMAND,TOTAL,NODES,STRAY",
};

static const char *column_name(int column)
{
	return column == COL_NODES ? "NODES" : columns[column].name;
}

/* Read a list of columns. 0, or an exit code. */
static int choose_columns(struct show *show, const char *list)
{
	show->column_count = 0;
	for (const char *p = list; *p;) {
		size_t len = strcspn(p, ",");
		int i;

		for (i = 0; i < COL_COUNT; i++)
			if (strlen(column_name(i)) == len &&
			    !strncasecmp(p, column_name(i), len))
				break;
		if (i == COL_COUNT)
			return usage_error(show->app,
					   "--output %.*s: no such column; see \"cgmigrate show --help\"",
					   (int)len, p);
		if (show->column_count == ARRAY_SIZE(show->columns))
			return usage_error(show->app, "--output: too many columns");
		show->columns[show->column_count++] = i;
		p += len + (p[len] == ',');
	}
	if (!show->column_count)
		return usage_error(show->app, "--output: no column named");
	return 0;
}

static void print_column_help(void)
{
	puts("\nColumns for --output:");
	for (int i = 0; i < COL_COUNT; i++)
		printf("  %-8s %s\n", column_name(i), columns[i].help);
}

/* What one line is about. */
struct subject {
	const struct entry *entry;
	const struct cgm_placement *placement;
	enum cgm_kind kind;
	const struct cgm_process *process;	/* or NULL */
};

static bool is_stray(const struct subject *s, int node)
{
	cgm_nodeset allowed = s->entry->mems;

	return s->kind != CGM_KIND_KERNEL && cgm_nodeset_weight(&allowed) &&
	       !cgm_nodeset_has(&allowed, node);
}

static void set_size(const struct show *show, struct libscols_line *line, size_t pos,
		     uint64_t bytes, bool stray)
{
	char buf[40];

	size_text(show->app, bytes, buf, sizeof(buf) - 1);
	if (stray && bytes && !show->app->bytes)
		strcat(buf, "*");
	scols_line_set_data(line, pos, bytes || show->app->bytes ? buf : "-");
}

/* Fill in the columns of nodes from @pos on; returns how many there are. */
static size_t set_nodes(const struct show *show, struct libscols_line *line, size_t pos,
			const struct subject *s)
{
	const cgm_nodeset *online = &show->app->features.online;
	size_t start = pos;

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n))
		set_size(show, line, pos++, cgm_placement_bytes(s->placement, s->kind, n),
			 is_stray(s, n));
	return pos - start;
}

static uint64_t stray_of(const struct show *show, const struct subject *s)
{
	const cgm_nodeset *online = &show->app->features.online;
	uint64_t sum = 0;

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n))
		if (is_stray(s, n))
			sum += cgm_placement_bytes(s->placement, s->kind, n);
	return sum;
}

static const char *cell_text(int column, const struct subject *s, char *buf, size_t size)
{
	const struct entry *e = s->entry;
	pid_t pid = s->process ? s->process->pid : e->pid;

	snprintf(buf, size, "-");
	if (column == COL_CGROUP && !e->pid)
		return e->cgroup;
	switch (column) {
	case COL_CGROUP:	/* a process stands for itself */
	case COL_PID:
		if (pid)
			snprintf(buf, size, "%d", pid);
		return buf;
	case COL_COMMAND:
		return s->process ? s->process->comm : buf;
	case COL_KIND:
		return cgm_kind_name(s->kind);
	case COL_MEMS:
		return nodes_text(&e->mems, buf, size);
	default:
		return cgm_placement_source(s->placement) == CGM_SOURCE_CHARGED ?
		       "charged" : "mapped";
	}
}

static int add_line(const struct show *show, struct libscols_table *table,
		    const struct subject *s)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char buf[2048];
	size_t pos = 0;

	if (!line)
		return -ENOMEM;
	for (size_t i = 0; i < show->column_count; i++) {
		int column = show->columns[i];

		if (column == COL_NODES)
			pos += set_nodes(show, line, pos, s);
		else if (column == COL_TOTAL)
			set_size(show, line, pos++,
				 cgm_placement_bytes(s->placement, s->kind, CGM_NODE_ALL),
				 false);
		else if (column == COL_STRAY)
			set_size(show, line, pos++, stray_of(show, s), false);
		else
			scols_line_set_data(line, pos++,
					    cell_text(column, s, buf, sizeof(buf)));
	}
	return 0;
}

static int add_processes(const struct show *show, struct libscols_table *table,
			 const struct entry *e)
{
	struct cgm_process process = { .size = sizeof(process) };
	int err = 0;

	for (size_t i = 0; !err && !cgm_placement_process(e->placement, i, &process); i++) {
		struct subject s = { e, process.placement, CGM_KIND_MOVABLE, &process };

		err = add_line(show, table, &s);
	}
	return err;
}

static int add_lines(const struct show *show, struct libscols_table *table,
		     const struct entry *e)
{
	struct subject s = { e, e->placement, CGM_KIND_MOVABLE, NULL };
	int err = 0;

	if (show->by == BY_PROCESS && !e->pid)
		return add_processes(show, table, e);
	if (show->by != BY_KIND)
		return add_line(show, table, &s);
	for (int k = 0; k < CGM_KIND_COUNT && !err; k++) {
		s.kind = k;
		if (cgm_placement_bytes(e->placement, k, CGM_NODE_ALL))
			err = add_line(show, table, &s);
	}
	return err;
}

static void add_columns(const struct show *show, struct libscols_table *table)
{
	const cgm_nodeset *online = &show->app->features.online;
	char name[16];

	for (size_t i = 0; i < show->column_count; i++) {
		int column = show->columns[i];

		if (column != COL_NODES) {
			scols_table_new_column(table, columns[column].name, 0,
					       columns[column].flags);
			continue;
		}
		for (int n = cgm_nodeset_next(online, -1); n >= 0;
		     n = cgm_nodeset_next(online, n)) {
			snprintf(name, sizeof(name), "N%d", n);
			scols_table_new_column(table, name, 0, columns[column].flags);
		}
	}
}

static int print_table(const struct show *show)
{
	struct libscols_table *table = scols_new_table();
	int err = table ? 0 : -ENOMEM;

	if (err)
		return err;
	scols_table_enable_raw(table, show->app->raw);
	scols_table_enable_noheadings(table, show->app->noheadings);
	add_columns(show, table);
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
	case 'o':
		show->output = optarg;
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
	while ((c = getopt_long(argc, argv, ":bno:r" COMMON_SHORT, long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			print_column_help();
			return EXIT_OK;
		}
		code = take_option(&show, c, argv);
		if (code)
			return code;
	}
	code = choose_columns(&show, show.output ? show.output : views[show.by]);
	if (!code)
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
