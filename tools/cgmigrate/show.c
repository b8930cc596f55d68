// SPDX-License-Identifier: GPL-2.0
/* cgmigrate show: where memory is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

#define STRAY_MARK "*"

enum { OPT_ALL = 1, OPT_BY, OPT_WATCH };

enum by { BY_TARGET, BY_KIND, BY_PROCESS, BY_VMA };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "all", no_argument, NULL, OPT_ALL },
	{ "by", required_argument, NULL, OPT_BY },
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
	"      --watch[=TIME]     again every 2 seconds, or so often\n"
	"  -b, --bytes            print sizes in bytes\n"
	"  -n, --noheadings       no heading\n"
	"  -o, --output LIST      columns, separated by commas\n"
	"  -r, --raw              words separated by single spaces, sizes in bytes\n"
	COMMON_HELP;

/* One thing to show: a cgroup or a process. */
struct entry {
	char *cgroup;		/* NULL: only a process is known, or a user */
	const char *user;	/* "@name" */
	pid_t pid;		/* 0: a cgroup */
	cgm_nodeset mems;
	cgm_nodeset unit_mems;	/* what systemd has set, where that differs */
	struct cgm_placement *placement;
};

enum {
	COL_CGROUP, COL_PID, COL_COMMAND, COL_START, COL_NAME, COL_KIND, COL_PAGE,
	COL_POLICY, COL_MEMS, COL_SOURCE, COL_TOTAL, COL_NODES, COL_STRAY, COL_LOCKED,
	COL_PINNED, COL_HUGE, COL_MARKS,
};

struct show {
	struct app *app;
	enum by by;
	bool all;
	const char *output;		/* columns the user asked for */
	uint64_t watch_usec;		/* 0: once */
	struct chosen chosen;
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

static unsigned int keep_processes(const struct show *show)
{
	return show->by == BY_PROCESS || show->by == BY_VMA ? CGM_PLACEMENT_PROCESSES : 0;
}

/*
 * Has somebody written other nodes than systemd has for the unit? Where it
 * cannot be asked that is not known, and placement is told all the same.
 */
static void read_drift(struct cgm_group *group, cgm_nodeset *unit_mems)
{
	cgm_nodeset mems;

	if (cgm_group_unit_mems(group, unit_mems) || cgm_group_mems(group, &mems) ||
	    cgm_nodeset_equal(unit_mems, &mems))
		cgm_nodeset_clear(unit_mems);
}

static int add_group(struct show *show, struct cgm_group *group)
{
	struct cgm_placement *placement;
	struct entry *e;
	int err;

	err = cgm_placement_read(group, keep_processes(show), &placement);
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
	if (!show->watch_usec)
		read_drift(group, &e->unit_mems);
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

static int add_user(struct show *show, const struct target *target)
{
	struct cgm_placement *placement;
	struct entry *e;
	int err = cgm_placement_read_pids(show->app->ctx, target->pids, target->pid_count,
					  keep_processes(show), &placement);

	if (err)
		return err;
	e = new_entry(show);
	if (!e) {
		cgm_placement_free(placement);
		return -ENOMEM;
	}
	e->placement = placement;
	e->user = target->text;
	return 0;
}

/* Cgroups that went away meanwhile are not missed. */
static int consider_group(struct cgm_group *group, void *data)
{
	struct show *show = data;
	cgm_nodeset mems;
	int err = 0;

	if (!show->all) {
		if (!strcmp(cgm_group_path(group), "/") || !cgm_group_has_cpuset(group))
			return 0;
		err = cgm_group_mems(group, &mems);
		if (!err && !cgm_nodeset_weight(&mems))
			return 0;
	}
	if (!err)
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
	if (target.pids)
		err = add_user(show, &target);
	else if (target.pid)
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
	show->entries = NULL;
	show->count = 0;
}

/* ---- the table ---- */

static const struct column list[] = {
	[COL_CGROUP] = { "CGROUP", 0, "cgroup, or the process or user that was named" },
	[COL_PID] = { "PID", SCOLS_FL_RIGHT, "process" },
	[COL_COMMAND] = { "COMMAND", 0, "name of the process" },
	[COL_START] = { "START", SCOLS_FL_RIGHT, "first address of a mapping" },
	[COL_NAME] = { "NAME", 0, "file of a mapping, or what the kernel calls it" },
	[COL_KIND] = { "KIND", 0, "anon, file, shmem, hugetlb or kernel" },
	[COL_PAGE] = { "PAGE", SCOLS_FL_RIGHT, "size of a page of a mapping" },
	[COL_POLICY] = { "POLICY", 0, "memory policy of a mapping" },
	[COL_MEMS] = { "MEMS", 0, "nodes it may use" },
	[COL_SOURCE] = { "SOURCE", 0, "charged (memory controller) or mapped (page tables)" },
	[COL_TOTAL] = { "TOTAL", SCOLS_FL_RIGHT, "bytes on all nodes" },
	[COL_NODES] = { "NODES", SCOLS_FL_RIGHT, "a column for every node" },
	[COL_STRAY] = { "STRAY", SCOLS_FL_RIGHT, "bytes outside MEMS" },
	[COL_LOCKED] = { "LOCKED", SCOLS_FL_RIGHT, "bytes that are locked; they move" },
	[COL_PINNED] = { "PINNED", SCOLS_FL_RIGHT,
		"bytes a process accounts as pinned (VmPin); they stay" },
	[COL_HUGE] = { "HUGE", SCOLS_FL_RIGHT, "bytes in transparent huge pages" },
	[COL_MARKS] = { "MARKS", 0, "letters: h huge, l locked, p pinned" },
};

static const struct columns columns = { list, ARRAY_SIZE(list) };

/* What is shown without -o. */
static const char * const views[] = {
	[BY_TARGET] = "CGROUP,MEMS,TOTAL,NODES,STRAY",
	[BY_KIND] = "CGROUP,KIND,TOTAL,NODES,STRAY",
	[BY_PROCESS] = "CGROUP,PID,COMMAND,TOTAL,NODES,STRAY",
	[BY_VMA] = "PID,START,KIND,PAGE,TOTAL,NODES,STRAY,POLICY,NAME",
};

static void print_column_help(void)
{
	print_columns(&columns);
}

/* What one line is about. */
struct subject {
	const struct entry *entry;
	const struct cgm_placement *placement;
	enum cgm_kind kind;
	const struct cgm_process *process;	/* or NULL */
	const struct cgm_vma *vma;		/* or NULL */
};

static pid_t pid_of(const struct subject *s)
{
	return s->process ? s->process->pid : s->entry->pid;
}

static bool is_stray(const struct subject *s, int node)
{
	cgm_nodeset allowed = s->entry->mems;

	return s->kind != CGM_KIND_KERNEL && cgm_nodeset_weight(&allowed) &&
	       !cgm_nodeset_has(&allowed, node);
}

/* @mark follows a number that people read; what is a stray's is red. */
static void set_size(const struct show *show, struct libscols_line *line, size_t pos,
		     uint64_t bytes, const char *mark)
{
	char buf[40];

	size_text(show->app, bytes, buf, sizeof(buf) - 4);
	if (bytes && !show->app->bytes)
		strcat(buf, mark);
	table_cell(line, pos, bytes || show->app->bytes ? buf : "-");
	if (bytes && !strcmp(mark, STRAY_MARK) &&
	    scols_cell_set_color(scols_line_get_cell(line, pos), "red"))
		shortage_note();
}

/* Fill in the columns of nodes from @pos on; returns how many there are. */
static size_t set_nodes(const struct show *show, struct libscols_line *line, size_t pos,
			const struct subject *s)
{
	const cgm_nodeset *online = &show->app->features.online;
	size_t start = pos;

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n))
		set_size(show, line, pos++, cgm_placement_bytes(s->placement, s->kind, n),
			 is_stray(s, n) ? STRAY_MARK : "");
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
	pid_t pid = pid_of(s);

	snprintf(buf, size, "-");
	if (column == COL_CGROUP && !e->pid)
		return e->user ? e->user : e->cgroup;
	switch (column) {
	case COL_CGROUP:	/* a process stands for itself */
	case COL_PID:
		if (pid)
			snprintf(buf, size, "%d", pid);
		return buf;
	case COL_COMMAND:
		return s->process ? s->process->comm : buf;
	case COL_KIND:
		return cgm_kind_name(s->vma ? s->vma->kind : s->kind);
	case COL_START:
		if (s->vma)
			snprintf(buf, size, "%llx", (unsigned long long)s->vma->start);
		return buf;
	case COL_NAME:
		return s->vma && *s->vma->name ? s->vma->name : buf;
	case COL_POLICY:
		return s->vma ? s->vma->policy : buf;
	case COL_MEMS:
		return cgm_nodeset_weight(&e->mems) ? nodes_text(&e->mems, buf, size) : buf;
	default:
		return cgm_placement_source(s->placement) == CGM_SOURCE_CHARGED ?
		       "charged" : "mapped";
	}
}

/*
 * What is out of the ordinary of one line's memory; 0 what is not known. Which
 * mapping is pinned is not told by the kernel, nor what processes of a cgroup pin.
 */
static struct cgm_marks marks_of(const struct show *show, const struct subject *s)
{
	struct cgm_marks marks = { .size = sizeof(marks) };

	if (s->vma) {
		marks.locked = s->vma->locked;
		marks.huge = s->vma->huge;
	} else if (pid_of(s)) {
		cgm_process_marks(show->app->ctx, pid_of(s), &marks);
	} else if (s->kind == CGM_KIND_MOVABLE) {
		cgm_placement_marks(s->placement, &marks);
	}
	return marks;
}

static const char *marks_text(const struct cgm_marks *marks, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s", marks->huge ? "h" : "", marks->locked ? "l" : "",
		 marks->pinned ? "p" : "");
	return buf;
}

/* Finding marks out takes a while: is there a column that tells them? */
static bool tells_marks(const struct show *show)
{
	for (size_t i = 0; i < show->chosen.count; i++)
		switch (show->chosen.columns[i]) {
		case COL_LOCKED:
		case COL_PINNED:
		case COL_HUGE:
		case COL_MARKS:
			return true;
		case COL_TOTAL:
		case COL_PAGE:
			if (!show->app->bytes)
				return true;
			break;
		default:
			break;
		}
	return false;
}

/* A column of bytes; false for others. */
static bool bytes_of(const struct show *show, const struct subject *s, int column,
		     const struct cgm_marks *marks, uint64_t *bytes)
{
	switch (column) {
	case COL_TOTAL:
		*bytes = cgm_placement_bytes(s->placement, s->kind, CGM_NODE_ALL);
		return true;
	case COL_STRAY:
		*bytes = stray_of(show, s);
		return true;
	case COL_PAGE:
		*bytes = s->vma ? s->vma->page_size : 0;
		return true;
	case COL_LOCKED:
		*bytes = marks->locked;
		return true;
	case COL_PINNED:
		*bytes = marks->pinned;
		return true;
	case COL_HUGE:
		*bytes = marks->huge;
		return true;
	default:
		return false;
	}
}

static int add_line(const struct show *show, struct libscols_table *table,
		    const struct subject *s)
{
	struct libscols_line *line = table_line(table);
	struct cgm_marks marks = { .size = sizeof(marks) };
	char buf[2048], letters[4];
	size_t pos = 0;
	uint64_t bytes;

	if (!line)
		return -ENOMEM;
	if (tells_marks(show))
		marks = marks_of(show, s);
	marks_text(&marks, letters, sizeof(letters));
	for (size_t i = 0; i < show->chosen.count; i++) {
		int column = show->chosen.columns[i];

		if (column == COL_NODES)
			pos += set_nodes(show, line, pos, s);
		else if (bytes_of(show, s, column, &marks, &bytes))
			set_size(show, line, pos++, bytes,
				 column == (s->vma ? COL_PAGE : COL_TOTAL) ? letters : "");
		else if (column == COL_MARKS)
			table_cell(line, pos++, *letters ? letters : "-");
		else
			table_cell(line, pos++, cell_text(column, s, buf, sizeof(buf)));
	}
	return 0;
}

/* The mappings of a process that have anything present. One that exited has none. */
static int add_vmas(const struct show *show, struct libscols_table *table,
		    const struct subject *process)
{
	struct subject s = *process;
	struct cgm_vma vma = { .size = sizeof(vma) };
	struct cgm_layout *layout;
	int err;

	err = cgm_layout_read_pid(show->app->ctx, pid_of(&s), 0, &layout);
	if (err)
		return err == -ENOMEM ? err : 0;
	if (tells_marks(show))
		cgm_layout_read_marks(layout);
	for (size_t i = 0; !err && !cgm_layout_vma(layout, i, &vma); i++) {
		s.vma = &vma;
		s.placement = vma.placement;
		if (cgm_placement_bytes(vma.placement, CGM_KIND_MOVABLE, CGM_NODE_ALL))
			err = add_line(show, table, &s);
	}
	cgm_layout_free(layout);
	return err;
}

static int add_processes(const struct show *show, struct libscols_table *table,
			 const struct entry *e)
{
	struct cgm_process process = { .size = sizeof(process) };
	int err = 0;

	for (size_t i = 0; !err && !cgm_placement_process(e->placement, i, &process); i++) {
		struct subject s = { e, process.placement, CGM_KIND_MOVABLE, &process, NULL };

		err = show->by == BY_VMA ? add_vmas(show, table, &s) :
					   add_line(show, table, &s);
	}
	return err;
}

static int add_lines(const struct show *show, struct libscols_table *table,
		     const struct entry *e)
{
	struct subject s = { e, e->placement, CGM_KIND_MOVABLE, NULL, NULL };
	int err = 0;

	if (keep_processes(show) && !e->pid)
		return add_processes(show, table, e);
	if (show->by == BY_VMA)
		return add_vmas(show, table, &s);
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

	for (size_t i = 0; i < show->chosen.count; i++) {
		int column = show->chosen.columns[i];

		if (column != COL_NODES) {
			table_column(table, list[column].name, list[column].flags);
			continue;
		}
		for (int n = cgm_nodeset_next(online, -1); n >= 0;
		     n = cgm_nodeset_next(online, n)) {
			snprintf(name, sizeof(name), "N%d", n);
			table_column(table, name, list[column].flags);
		}
	}
}

/* The table as text, to be given to free(3); NULL without memory. */
static char *table_text(const struct show *show)
{
	struct libscols_table *table = table_new(show->app);
	char *text = NULL;
	int err = table ? 0 : -ENOMEM;

	if (err)
		return NULL;
	add_columns(show, table);
	for (size_t i = 0; i < show->count && !err; i++)
		err = add_lines(show, table, &show->entries[i]);
	if (!err && scols_table_get_nlines(table))
		scols_print_table_to_string(table, &text);
	else if (!err)
		text = strdup("");
	scols_unref_table(table);
	return text;
}

/* ---- JSON ---- */

static json_t *json_vmas(const struct show *show, pid_t pid)
{
	struct cgm_vma vma = { .size = sizeof(vma) };
	json_t *list = json_array();
	struct cgm_layout *layout;
	int err;

	err = cgm_layout_read_pid(show->app->ctx, pid, 0, &layout);
	if (err == -ENOMEM)
		shortage_note();
	if (err)
		return list;
	cgm_layout_read_marks(layout);
	for (size_t i = 0; !cgm_layout_vma(layout, i, &vma); i++) {
		json_t *object = json_vma(show->app, &vma);

		json_object_set_new(object, "locked", json_integer(vma.locked));
		json_object_set_new(object, "huge", json_integer(vma.huge));
		json_array_append_new(list, object);
	}
	cgm_layout_free(layout);
	return list;
}

/* What is told of a process with --by process and --by vma. */
static void set_details(const struct show *show, json_t *object, pid_t pid)
{
	struct cgm_marks marks = { .size = sizeof(marks) };

	if (!cgm_process_marks(show->app->ctx, pid, &marks)) {
		json_object_set_new(object, "locked", json_integer(marks.locked));
		json_object_set_new(object, "pinned", json_integer(marks.pinned));
		json_object_set_new(object, "huge", json_integer(marks.huge));
	}
	if (show->by == BY_VMA)
		json_object_set_new(object, "vmas", json_vmas(show, pid));
}

static json_t *json_processes(const struct show *show, const struct entry *e)
{
	struct cgm_process process = { .size = sizeof(process) };
	json_t *list = json_array(), *object;

	for (size_t i = 0; !cgm_placement_process(e->placement, i, &process); i++) {
		object = json_pack("{s:i, s:o, s:o}", "pid", process.pid, "command",
				   json_text(process.comm), "placement",
				   json_placement(show->app, process.placement));
		set_details(show, object, process.pid);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_entry(const struct show *show, const struct entry *e)
{
	json_t *object = json_pack("{s:o, s:o}", "mems", json_nodes(&e->mems), "placement",
				   json_placement(show->app, e->placement));
	struct cgm_marks marks = { .size = sizeof(marks) };

	if (!cgm_placement_marks(e->placement, &marks)) {
		json_object_set_new(object, "locked", json_integer(marks.locked));
		json_object_set_new(object, "huge", json_integer(marks.huge));
	}
	if (e->cgroup)
		json_object_set_new(object, "cgroup", json_text(e->cgroup));
	if (cgm_nodeset_weight(&e->unit_mems))
		json_object_set_new(object, "systemd_mems", json_nodes(&e->unit_mems));
	if (e->user)
		json_object_set_new(object, "user", json_text(e->user + 1));
	if (e->pid)
		json_object_set_new(object, "pid", json_integer(e->pid));
	if (keep_processes(show) && e->pid)
		set_details(show, object, e->pid);
	else if (keep_processes(show))
		json_object_set_new(object, "processes", json_processes(show, e));
	return object;
}

static void print_as_json(const struct show *show)
{
	json_t *list = json_array();

	for (size_t i = 0; i < show->count; i++)
		json_array_append_new(list, json_entry(show, &show->entries[i]));
	print_json(json_pack("{s:s, s:s, s:i, s:o, s:o}", "command", show->app->verb,
			     "state", "done", "exit", 0, "nodes",
			     json_nodes(&show->app->features.online), "targets", list));
}

struct watched {
	struct show *show;
	char **targets;
	int code;
};

static int collect(struct show *show, char **targets)
{
	int code = *targets ? 0 : collect_all(show);

	for (; *targets && !code; targets++)
		code = collect_target(show, *targets);
	if (!code && show->count)
		qsort(show->entries, show->count, sizeof(*show->entries), larger_first);
	return code;
}

static void warn_of_drift(const struct show *show)
{
	char list[2048];

	for (size_t i = 0; i < show->count; i++) {
		const struct entry *e = &show->entries[i];

		if (!cgm_nodeset_weight(&e->unit_mems))
			continue;
		warn(show->app, "%s: systemd has AllowedMemoryNodes=%s for it, and writes that back when it reloads: \"cgmigrate move %s --to NODES\" settles which it is",
		     e->cgroup, nodes_text(&e->unit_mems, list, sizeof(list)), e->cgroup);
	}
}

static int tell(struct show *show)
{
	char *text;

	if (show->app->json) {
		print_as_json(show);
		return EXIT_OK;
	}
	if (!show->count) {
		warn(show->app, "no cgroup has nodes of its own; --all shows every one");
		return EXIT_OK;
	}
	text = table_text(show);
	if (!text)
		return fail(show->app, EXIT_FAILED, "out of memory");
	fputs(text, stdout);
	if (*text)
		putchar('\n');
	free(text);
	warn_of_drift(show);
	return EXIT_OK;
}

static char *watch_text(void *data)
{
	struct watched *watched = data;
	char *text = NULL;

	watched->code = collect(watched->show, watched->targets);
	if (!watched->code)
		text = table_text(watched->show);
	free_entries(watched->show);
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
	.more_help = print_column_help,
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
	code = choose_columns(app, &columns, show.output ? show.output : views[show.by],
			      &show.chosen);
	if (!code)
		code = app_open(app);
	if (code)
		return code;
	if (show.watch_usec)
		return watch(&show, argv + optind);
	code = collect(&show, argv + optind);
	if (!code)
		code = tell(&show);
	free_entries(&show);
	return code;
}
