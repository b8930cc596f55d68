// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The address space of a process: its mappings with what they have on which
 * node, out of numa_maps, and a picture of it, cell by cell in order of address,
 * for which every page is looked up. On a recorded tree pages cannot be looked
 * up, and cells follow the proportions in each mapping.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mover.h"
#include "numamaps.h"
#include "placement.h"
#include "smaps.h"

#define WALK_PAGES 512

struct layout_vma {
	uint64_t start;
	uint64_t end;
	char name[256];
	char policy[64];
	uint64_t page_size;
	enum cgm_kind kind;
	struct cgm_placement *placement;
	size_t cell;		/* its first */
	uint64_t locked;
	uint64_t huge;
};

struct cgm_layout {
	struct cgm_context *ctx;
	pid_t pid;
	char asked[32];		/* what was last asked about it */
	int nodes;
	cgm_nodeset allowed;
	struct layout_vma *vmas;
	size_t vma_count;
	uint64_t resident;
	uint64_t cell_size;
	uint64_t *cells;	/* [cell][node] */
	size_t cell_count;
	size_t cell_room;	/* so many fit into what is allocated */
	bool exact;
	uint64_t filled;	/* bytes that were put into cells */
};

CGM_PUBLIC void cgm_layout_free(struct cgm_layout *layout)
{
	if (!layout)
		return;
	for (size_t i = 0; i < layout->vma_count; i++)
		cgm_placement_free(layout->vmas[i].placement);
	free(layout->vmas);
	free(layout->cells);
	free(layout);
}

static int add_vma(const struct vma_seen *seen, void *data)
{
	struct cgm_layout *layout = data;
	struct layout_vma *vma, *more;

	more = realloc(layout->vmas, (layout->vma_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	layout->vmas = more;
	vma = &more[layout->vma_count];
	memset(vma, 0, sizeof(*vma));
	vma->placement = placement_new(layout->ctx);
	if (!vma->placement)
		return -ENOMEM;
	layout->vma_count++;
	vma->start = seen->line->start;
	vma->end = seen->end;
	vma->kind = seen->kind;
	vma->page_size = seen->line->page_size;
	snprintf(vma->name, sizeof(vma->name), "%s", seen->name);
	snprintf(vma->policy, sizeof(vma->policy), "%s", seen->line->policy);
	vma->placement->source = CGM_SOURCE_MAPPED;
	vma->placement->allowed = layout->allowed;
	return placement_add_vma(vma->placement, seen);
}

/* The sum ends at the largest number: a recorded tree can have any. */
static void add_resident(struct cgm_layout *layout, const struct cgm_placement *p)
{
	for (int n = 0; n < layout->nodes; n++)
		if (__builtin_add_overflow(layout->resident,
					   cgm_placement_bytes(p, CGM_KIND_MOVABLE, n),
					   &layout->resident))
			layout->resident = UINT64_MAX;
}

/* ---- cells ---- */

static int add_cells(struct cgm_layout *layout, size_t count)
{
	size_t size = layout->nodes * sizeof(*layout->cells);
	size_t room = count > layout->cell_room ? 2 * count : layout->cell_room;
	uint64_t *more = layout->cells;

	if (room > layout->cell_room)
		more = realloc(layout->cells, room * size);
	if (!more)
		return -ENOMEM;
	memset((char *)more + layout->cell_count * size, 0,
	       (count - layout->cell_count) * size);
	layout->cells = more;
	layout->cell_room = room;
	layout->cell_count = count;
	return 0;
}

/* The next bytes in order of address lie on this node. */
static int fill(struct cgm_layout *layout, int node, uint64_t bytes)
{
	if (node < 0 || node >= layout->nodes)
		return 0;
	while (bytes) {
		size_t cell = layout->filled / layout->cell_size;
		uint64_t room = layout->cell_size - layout->filled % layout->cell_size;
		uint64_t part = bytes < room ? bytes : room;

		if (cell >= layout->cell_count && add_cells(layout, cell + 1))
			return -ENOMEM;
		layout->cells[cell * layout->nodes + node] += part;
		layout->filled += part;
		bytes -= part;
	}
	return 0;
}

static void start_vma(struct cgm_layout *layout, size_t index)
{
	layout->vmas[index].cell = layout->filled / layout->cell_size;
}

static int fill_by_proportion(struct cgm_layout *layout)
{
	int err = 0;

	for (size_t i = 0; i < layout->vma_count; i++) {
		start_vma(layout, i);
		for (int n = 0; n < layout->nodes && !err; n++)
			err = fill(layout, n, cgm_placement_bytes(layout->vmas[i].placement,
								  CGM_KIND_MOVABLE, n));
	}
	return err;
}

/* Pages as they come; mappings that begin before them begin here. */
static int fill_pages(struct cgm_layout *layout, const struct move_page *pages, int count,
		      size_t *vma)
{
	int err = 0;

	for (int i = 0; i < count && !err; i++) {
		while (*vma < layout->vma_count &&
		       layout->vmas[*vma].start <= pages[i].page.addr)
			start_vma(layout, (*vma)++);
		err = fill(layout, pages[i].from, pages[i].page.size);
	}
	return err;
}

static void ask(struct cgm_layout *layout, const char *file)
{
	snprintf(layout->asked, sizeof(layout->asked), "/proc/%d/%s", layout->pid, file);
}

static int fill_exactly(struct cgm_layout *layout, pid_t pid)
{
	struct move_page *pages = calloc(WALK_PAGES, sizeof(*pages));
	struct walk_page *found = calloc(WALK_PAGES, sizeof(*found));
	size_t vma = 0;
	struct walker walker;
	int err = -ENOMEM, count;

	ask(layout, "pagemap");
	if (pages && found)
		err = walker_open(&walker, layout->ctx, pid, false);
	if (err) {
		free(pages);
		free(found);
		return err;
	}
	while (!err && (count = walker_next(&walker, found, WALK_PAGES)) > 0) {
		for (int i = 0; i < count; i++)
			pages[i].page = found[i];
		err = mover_query(pid, pages, count);
		if (err)
			snprintf(layout->asked, sizeof(layout->asked), "move_pages");
		else
			err = fill_pages(layout, pages, count, &vma);
	}
	if (!err && count < 0)
		err = count;
	while (vma < layout->vma_count)
		start_vma(layout, vma++);
	walker_close(&walker);
	free(pages);
	free(found);
	return err;
}

static int make_cells(struct cgm_layout *layout, pid_t pid, size_t wanted)
{
	uint64_t page = layout->ctx->page_size;

	layout->cell_size = layout->resident / wanted + !!(layout->resident % wanted);
	layout->cell_size = (layout->cell_size + page - 1) / page * page;
	if (!layout->cell_size)
		layout->cell_size = page;
	layout->exact = !layout->ctx->recorded &&
			(layout->ctx->features.flags & CGM_FEATURE_MOVE_PAGES);
	return layout->exact ? fill_exactly(layout, pid) : fill_by_proportion(layout);
}

/* Say of what it is that we know nothing, and what would help. */
static int fail_unread(const struct cgm_layout *layout, int err)
{
	struct cgm_context *ctx = layout->ctx;
	bool closed = err == -EACCES || err == -EPERM;

	if (err == -ENOENT || err == -ESRCH)
		return cgm_fail(ctx, ESRCH, "%d: no such process", layout->pid);
	return cgm_fail(ctx, err, "%d: cannot look at its address space: %s: %s%s",
			layout->pid, layout->asked, strerror(-err),
			closed && !(ctx->features.flags & CGM_FEATURE_SYS_PTRACE) ?
			"; CAP_SYS_PTRACE is missing" : "");
}

CGM_PUBLIC int cgm_layout_read_pid(struct cgm_context *ctx, pid_t pid, size_t cells,
				   struct cgm_layout **out)
{
	struct cgm_layout *layout = calloc(1, sizeof(*layout));
	int err = -ENOMEM, last = 0;

	*out = NULL;
	if (!layout)
		return cgm_fail(ctx, ENOMEM, "out of memory");
	layout->ctx = ctx;
	layout->pid = pid;
	for (int n = 0; n >= 0; n = cgm_nodeset_next(&ctx->features.online, n))
		last = n;
	layout->nodes = last + 1;
	process_allowed(ctx, pid, &layout->allowed);
	ask(layout, "numa_maps");
	err = placement_each_vma(ctx, pid, add_vma, layout);
	for (size_t i = 0; i < layout->vma_count; i++)
		add_resident(layout, layout->vmas[i].placement);
	if (!err && cells)
		err = make_cells(layout, pid, cells);
	if (err) {
		err = fail_unread(layout, err);
		cgm_layout_free(layout);
		return err;
	}
	*out = layout;
	return 0;
}

/* ---- marks ---- */

CGM_PUBLIC int cgm_layout_read_marks(struct cgm_layout *layout)
{
	char *text = fs_read(layout->ctx, NULL, "proc/%d/smaps", layout->pid);
	struct smaps_vma seen;
	size_t i = 0;

	if (!text)
		return cgm_fail(layout->ctx, errno == ENOENT ? ESRCH : errno,
				"/proc/%d/smaps: cannot read: %s", layout->pid,
				strerror(errno));
	for (const char *at = text; (at = smaps_next(at, &seen));) {
		struct layout_vma *vma;

		while (i < layout->vma_count && layout->vmas[i].start < seen.start)
			i++;
		if (i == layout->vma_count)
			break;
		vma = &layout->vmas[i];
		if (vma->start != seen.start)
			continue;
		vma->huge = seen.huge;
		vma->locked = !seen.locked ? 0 :
			      cgm_placement_bytes(vma->placement, CGM_KIND_MOVABLE,
						  CGM_NODE_ALL);
	}
	free(text);
	return 0;
}

/* ---- looking at one ---- */

CGM_PUBLIC int cgm_layout_vma(const struct cgm_layout *layout, size_t index,
			      struct cgm_vma *out)
{
	const struct layout_vma *vma;
	struct cgm_vma all;

	if (index >= layout->vma_count)
		return -ENOENT;
	vma = &layout->vmas[index];
	all = (struct cgm_vma){
		.start = vma->start,
		.end = vma->end,
		.name = vma->name,
		.policy = vma->policy,
		.page_size = vma->page_size,
		.kind = vma->kind,
		.cell = vma->cell,
		.placement = vma->placement,
		.locked = vma->locked,
		.huge = vma->huge,
	};
	return FILL(out, &all);
}

CGM_PUBLIC size_t cgm_layout_cells(const struct cgm_layout *layout, uint64_t *cell_size)
{
	if (cell_size)
		*cell_size = layout->cell_size;
	return layout->cell_count;
}

CGM_PUBLIC uint64_t cgm_layout_cell(const struct cgm_layout *layout, size_t cell, int node)
{
	if (cell >= layout->cell_count || node < 0 || node >= layout->nodes)
		return 0;
	return layout->cells[cell * layout->nodes + node];
}

CGM_PUBLIC void cgm_layout_allowed(const struct cgm_layout *layout, cgm_nodeset *nodes)
{
	*nodes = layout->allowed;
}

CGM_PUBLIC int cgm_layout_exact(const struct cgm_layout *layout)
{
	return layout->exact;
}
