// SPDX-License-Identifier: GPL-2.0
/* cgmigrate show: as a table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

#define STRAY_MARK "*"

enum {
	COL_CGROUP, COL_PID, COL_COMMAND, COL_START, COL_NAME, COL_KIND, COL_PAGE,
	COL_POLICY, COL_MEMS, COL_SOURCE, COL_TOTAL, COL_NODES, COL_STRAY, COL_LOCKED,
	COL_PINNED, COL_HUGE, COL_MARKS,
};

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

int show_choose_columns(struct show *show)
{
	return choose_columns(show->app, &columns, views[show->by], show->output,
			      &show->chosen);
}

void show_print_columns(void)
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
	} else if (s->entry->pid && !s->process) {
		cgm_process_marks(show->app->ctx, s->entry->pid, &marks);
	} else if (s->process || s->kind == CGM_KIND_MOVABLE) {
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

bool show_tells_marks(const struct show *show)
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
	if (show_tells_marks(show))
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
	if (show_tells_marks(show))
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

	if (show_keeps_processes(show) && !e->pid)
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

char *show_table(const struct show *show)
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
