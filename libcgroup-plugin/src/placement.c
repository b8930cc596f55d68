// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Bytes by node and kind: from the memory controller, which counts everything
 * charged in one read, or from the page tables of processes, which is exact
 * for what they map and costs each a look at its address space.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "group.h"
#include "hugeshare.h"
#include "look.h"
#include "memcg.h"
#include "number.h"
#include "placement.h"
#include "procs.h"

struct cgm_placement *placement_new(const struct cgm_context *ctx)
{
	struct cgm_placement *p = calloc(1, sizeof(*p));
	int last = 0;

	if (!p)
		return NULL;
	for (int n = 0; n >= 0; n = cgm_nodeset_next(&ctx->features.online, n))
		last = n;
	p->nodes = last + 1;
	p->bytes = calloc((size_t)CGM_KIND_COUNT * p->nodes, sizeof(*p->bytes));
	if (!p->bytes) {
		free(p);
		return NULL;
	}
	return p;
}

CGM_PUBLIC void cgm_placement_free(struct cgm_placement *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->process_count; i++)
		cgm_placement_free(p->processes[i].placement);
	for (size_t i = 0; i < p->huge_count; i++)
		free(p->huge[i].pages);
	policies_free(&p->policies);
	free(p->processes);
	free(p->huge);
	free(p->bytes);
	free(p);
}

void placement_add(struct cgm_placement *p, enum cgm_kind kind, int node, uint64_t bytes)
{
	if (node >= 0 && node < p->nodes)
		p->bytes[kind * p->nodes + node] += bytes;
}

static int huge_add(struct cgm_placement *p, uint64_t page_size, int node, uint64_t pages)
{
	struct huge_use *use;
	size_t i;

	if (node < 0 || node >= p->nodes)
		return 0;
	for (i = 0; i < p->huge_count; i++)
		if (p->huge[i].page_size == page_size)
			break;
	if (i == p->huge_count) {
		use = realloc(p->huge, (i + 1) * sizeof(*use));
		if (!use)
			return -ENOMEM;
		p->huge = use;
		use[i].page_size = page_size;
		use[i].pages = calloc(p->nodes, sizeof(*use[i].pages));
		if (!use[i].pages)
			return -ENOMEM;
		p->huge_count++;
	}
	p->huge[i].pages[node] += pages;
	return 0;
}

int placement_merge(struct cgm_placement *into, const struct cgm_placement *from)
{
	int err = 0;

	for (int k = 0; k < CGM_KIND_COUNT; k++)
		for (int n = 0; n < from->nodes; n++)
			placement_add(into, k, n, from->bytes[k * from->nodes + n]);
	for (size_t i = 0; i < from->huge_count && !err; i++)
		for (int n = 0; n < from->nodes && !err; n++)
			err = huge_add(into, from->huge[i].page_size, n,
				       from->huge[i].pages[n]);
	return err ?: policies_merge(&into->policies, &from->policies);
}

/* ---- from the memory controller ---- */

static void add_signed(void *data, enum cgm_kind kind, int node, int64_t bytes)
{
	struct cgm_placement *p = data;

	if (node < p->nodes)
		p->bytes[kind * p->nodes + node] += (uint64_t)bytes;
}

/* The counters are read one after the other and may disagree for a moment. */
static void drop_negative(struct cgm_placement *p)
{
	for (int i = 0; i < CGM_KIND_COUNT * p->nodes; i++)
		if ((int64_t)p->bytes[i] < 0)
			p->bytes[i] = 0;
}

/* The page size in "hugetlb.2MB.numa_stat", 0 where a file is another one. */
static uint64_t hugetlb_file_size(const char *name)
{
	static const char units[] = "KMG";
	const char *unit;
	uint64_t size;
	char *end;

	if (strncmp(name, "hugetlb.", 8))
		return 0;
	size = number_parse(name + 8, &end);
	unit = *end ? strchr(units, *end) : NULL;
	if (!unit || strcmp(end + 1, "B.numa_stat") || size >= 1 << 20)
		return 0;
	return size << 10 * (unit - units + 1);
}

static int add_hugetlb_charge(struct cgm_placement *p, const char *text, uint64_t size)
{
	int err = 0, node;

	for (const char *at = text; at && !err && (at = strstr(at, " N")); at++) {
		unsigned long long bytes;

		if (sscanf(at, " N%d=%llu", &node, &bytes) != 2)
			continue;
		placement_add(p, CGM_KIND_HUGETLB, node, bytes);
		err = huge_add(p, size, node, bytes / size);
	}
	return err;
}

/* There is a file for each size of huge pages, where the controller is enabled. */
static int read_hugetlb_charge(struct cgm_group *group, struct cgm_placement *p)
{
	int fd = fs_open_below(group->dirfd, ".", O_RDONLY | O_DIRECTORY), err = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return is_shortage(err) ? err : 0;
	}
	while (!err && (entry = readdir(dir))) {
		uint64_t size = hugetlb_file_size(entry->d_name);
		char *text = size ? fs_read_at(group->dirfd, entry->d_name, NULL) : NULL;

		err = add_hugetlb_charge(p, text, size);
		free(text);
	}
	closedir(dir);
	return err;
}

static int read_charged(struct cgm_group *group, struct cgm_placement **out)
{
	struct cgm_context *ctx = group->ctx;
	struct cgm_placement *p;
	char *text;
	int err;

	*out = NULL;
	if (ctx->cpuset.version != 2)
		return cgm_fail(ctx, EOPNOTSUPP,
				"%s: cgroup v1 counts memory in another hierarchy",
				group->path);
	text = fs_read_at(group->dirfd, "memory.numa_stat", NULL);
	if (!text)
		return cgm_fail(ctx, errno, "%s/memory.numa_stat: cannot read: %s",
				group->path, strerror(errno));
	p = placement_new(ctx);
	if (!p) {
		free(text);
		return cgm_fail(ctx, ENOMEM, "out of memory");
	}
	if (memcg_parse(text, add_signed, p)) {
		free(text);
		cgm_placement_free(p);
		return cgm_fail(ctx, EINVAL, "%s/memory.numa_stat: not in the known format",
				group->path);
	}
	memcg_marks(text, &p->locked_bytes, &p->huge_bytes);
	p->has_marks = true;
	free(text);
	drop_negative(p);
	err = read_hugetlb_charge(group, p);
	if (err) {
		cgm_placement_free(p);
		return cgm_fail(ctx, err, "%s: cannot read its huge pages: %s", group->path,
				strerror(-err));
	}
	p->source = CGM_SOURCE_CHARGED;
	*out = p;
	return 0;
}

/* ---- from the processes ---- */

/*
 * The line of /proc/PID/maps for a mapping. Both files are in order of address,
 * so the search goes on where the last one ended.
 */
static const char *find_map(const char *maps, uint64_t start)
{
	for (const char *p = maps; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		uint64_t here = strtoull(p, NULL, 16);

		if (here == start)
			return p;
		if (here > start)
			break;
	}
	return NULL;
}

/* Is a mapping's file shared memory? /proc/PID/maps tells the device. */
static bool line_is_shmem(struct cgm_context *ctx, const char *map, const char *file)
{
	unsigned int major, minor;

	if (numamaps_shared_name(file))
		return true;
	if (!map || sscanf(map, "%*s %*s %*s %x:%x", &major, &minor) != 2)
		return false;
	return ctx_is_tmpfs(ctx, major, minor);
}

static enum cgm_kind line_kind(struct cgm_context *ctx, const char *map,
			       const struct numa_line *line)
{
	if (line->huge)
		return CGM_KIND_HUGETLB;
	if (!line->file[0] || line->anon >= line->total)
		return CGM_KIND_ANON;
	return line_is_shmem(ctx, map, line->file) ? CGM_KIND_SHMEM : CGM_KIND_FILE;
}

int placement_add_vma(struct cgm_placement *p, const struct vma_seen *vma)
{
	const struct numa_line *line = vma->line;
	uint64_t anon_left = line->anon;
	int err = 0;

	for (size_t i = 0; i < line->count && !err; i++) {
		uint64_t pages = line->nodes[i].pages, anon = 0;
		int node = line->nodes[i].node;

		/* a private mapping of a file: copied pages are anonymous */
		if (vma->kind != CGM_KIND_HUGETLB && line->total) {
			anon = i + 1 == line->count ? anon_left :
			       (uint64_t)((__uint128_t)line->anon * pages / line->total);
			if (anon > pages)
				anon = pages;
			anon_left -= anon;
		}
		placement_add(p, CGM_KIND_ANON, node, anon * line->page_size);
		placement_add(p, vma->kind, node, (pages - anon) * line->page_size);
		if (vma->kind == CGM_KIND_HUGETLB)
			err = huge_add(p, line->page_size, node, pages);
	}
	return err;
}

/* What numa_maps does not name: [heap], [stack], [anon:...]. */
static void map_name(const char *map, char *buf, size_t size)
{
	const char *p = map ? map : "";

	for (int field = 0; field < 5; field++) {
		p += strcspn(p, " \n");
		p += strspn(p, " ");
	}
	snprintf(buf, size, "%.*s", (int)strcspn(p, "\n"), p);
}

static int see_line(struct cgm_context *ctx, const struct numa_line *line, const char *map,
		    int (*fn)(const struct vma_seen *vma, void *data), void *data)
{
	struct vma_seen vma = {
		.line = line, .map = map, .name = line->file,
		.kind = line_kind(ctx, map, line),
	};
	char name[256], *dash;

	if (map) {
		dash = strchr(map, '-');
		vma.end = dash ? strtoull(dash + 1, NULL, 16) : 0;
	}
	if (!line->file[0]) {
		map_name(map, name, sizeof(name));
		vma.name = name;
	}
	return fn(&vma, data);
}

/*
 * Call @fn for all mappings of a process in order of address. 0, what @fn
 * returned if not 0, or -errno of opening numa_maps.
 */
int placement_each_vma(struct cgm_context *ctx, pid_t pid,
		       int (*fn)(const struct vma_seen *vma, void *data), void *data)
{
	struct numa_line line;
	char *maps, *text;
	const char *rest;
	int err = 0;

	text = fs_read(ctx, NULL, "proc/%d/numa_maps", pid);
	if (!text)
		return -errno;
	maps = fs_read(ctx, NULL, "proc/%d/maps", pid);
	rest = maps;
	for (const char *at = text; !err && at && *at;
	     at = strchr(at, '\n'), at = at ? at + 1 : NULL) {
		const char *map;

		if (numamaps_parse(at, ctx->page_size, &line))
			continue;
		map = find_map(rest, line.start);
		if (map)
			rest = map;
		err = see_line(ctx, &line, map, fn, data);
	}
	free(text);
	free(maps);
	return err;
}

struct process_read {
	struct cgm_placement *placement;
	struct huge_shares *shares;	/* NULL: what is shared counts in full */
	pid_t pid;
};

static int add_to_placement(const struct vma_seen *vma, void *data)
{
	struct process_read *read = data;
	struct vma_seen rest = *vma;
	struct numa_line line;
	int err = 0;

	if (read->shares && vma->map && vma->kind == CGM_KIND_HUGETLB) {
		line = *vma->line;
		rest.line = &line;
		err = huge_shares_take(read->shares, vma->map, &line);
	}
	return err ?: placement_add_vma(read->placement, &rest) ?:
	       policies_add(&read->placement->policies, read->pid, vma->line->policy, 1);
}

/* Scale one kind so that pages shared with others count for their part only. */
static void scale_kind(struct cgm_placement *p, enum cgm_kind kind, uint64_t pss)
{
	uint64_t rss = cgm_placement_bytes(p, kind, CGM_NODE_ALL);

	if (!rss || pss >= rss)
		return;
	for (int n = 0; n < p->nodes; n++) {
		uint64_t *bytes = &p->bytes[kind * p->nodes + n];

		*bytes = (uint64_t)((__uint128_t)*bytes * pss / rss);
	}
}

static void scale_shared(struct cgm_context *ctx, pid_t pid, struct cgm_placement *p)
{
	struct process_rollup rollup;

	look_rollup(ctx, pid, &rollup);
	if (!rollup.has_pss)
		return;
	scale_kind(p, CGM_KIND_ANON, rollup.anon);
	scale_kind(p, CGM_KIND_FILE, rollup.file);
	scale_kind(p, CGM_KIND_SHMEM, rollup.shmem);
}

/* Not where it maps pages of the pools: what of those counts depends on who is asked with. */
static void keep_mapped(struct cgm_context *ctx, struct look_process *seen,
			const struct cgm_placement *p)
{
	struct cgm_placement *copy;

	if (!seen || p->huge_count)
		return;
	copy = placement_new(ctx);
	if (copy && placement_merge(copy, p)) {
		cgm_placement_free(copy);
		copy = NULL;
	}
	seen->mapped = copy;
}

/* Shared pages in full, but for what @read has shares of. */
static int read_mappings(struct cgm_context *ctx, struct process_read *read)
{
	struct look_process *seen = look_process(ctx, read->pid);
	int err;

	if (seen && seen->mapped)
		return placement_merge(read->placement, seen->mapped);
	err = placement_each_vma(ctx, read->pid, add_to_placement, read);
	if (!err)
		keep_mapped(ctx, seen, read->placement);
	return err;
}

/*
 * One process as mapped. Shared pages count in full, or with @shares for the
 * part that is this process's; huge ones of the pools where they are met first.
 */
static int read_process(struct cgm_context *ctx, pid_t pid, struct huge_shares *shares,
			struct cgm_placement **out)
{
	struct cgm_placement *p = placement_new(ctx);
	struct process_read read = { p, shares, pid };
	int err = p ? read_mappings(ctx, &read) : -ENOMEM;

	*out = NULL;
	if (err) {
		cgm_placement_free(p);
		return err;
	}
	if (shares)
		scale_shared(ctx, pid, p);
	p->source = CGM_SOURCE_MAPPED;
	p->seen = 1;
	*out = p;
	return 0;
}

static int compare_processes(const void *a, const void *b)
{
	const struct process_entry *x = a, *y = b;
	uint64_t bx = cgm_placement_bytes(x->placement, CGM_KIND_MOVABLE, CGM_NODE_ALL);
	uint64_t by = cgm_placement_bytes(y->placement, CGM_KIND_MOVABLE, CGM_NODE_ALL);

	if (bx != by)
		return bx < by ? 1 : -1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Takes the process's placement over. */
static int keep_process(struct cgm_context *ctx, struct cgm_placement *p, pid_t pid,
			struct cgm_placement *one)
{
	struct process_entry *more;

	more = realloc(p->processes, (p->process_count + 1) * sizeof(*more));
	if (!more) {
		cgm_placement_free(one);
		return -ENOMEM;
	}
	p->processes = more;
	more += p->process_count++;
	more->pid = pid;
	more->placement = one;
	return look_comm(ctx, pid, more->comm, sizeof(more->comm));
}

static void read_marks(struct cgm_context *ctx, struct cgm_placement *p, pid_t pid)
{
	struct process_status status;
	struct process_rollup rollup;

	look_status(ctx, pid, &status);
	look_rollup(ctx, pid, &rollup);
	p->locked_bytes = status.locked;
	p->pinned_bytes = status.pinned;
	p->huge_bytes = rollup.huge;
	p->has_marks = true;
}

int placement_of_pids(struct cgm_context *ctx, const pid_t *pids, size_t count,
		      unsigned int flags, struct cgm_placement **out)
{
	struct cgm_placement *p = placement_new(ctx), *one;
	struct huge_shares shares = { 0 };
	int err = p ? 0 : -ENOMEM;

	*out = NULL;
	if (flags & CGM_PLACEMENT_MARKS)	/* more than one thing is read of each */
		look_begin(ctx);
	for (size_t i = 0; i < count && !err; i++) {
		err = read_process(ctx, pids[i], count > 1 ? &shares : NULL, &one);
		if (err == -ENOENT || err == -ESRCH) {	/* has exited */
			err = 0;
			continue;
		}
		if (err == -EACCES || err == -EPERM) {
			p->unreadable++;
			err = 0;
			continue;
		}
		if (err)
			break;
		p->seen++;
		if (flags & CGM_PLACEMENT_MARKS)
			read_marks(ctx, one, pids[i]);
		err = placement_merge(p, one);
		if (!err && (flags & CGM_PLACEMENT_PROCESSES))
			err = keep_process(ctx, p, pids[i], one);
		else
			cgm_placement_free(one);
	}
	huge_shares_free(&shares);
	if (flags & CGM_PLACEMENT_MARKS)
		look_end(ctx);
	if (err) {
		cgm_placement_free(p);
		return cgm_fail(ctx, err, "cannot read where processes are: %s",
				strerror(-err));
	}
	p->source = p->seen ? CGM_SOURCE_MAPPED : CGM_SOURCE_NONE;
	if (p->process_count)
		qsort(p->processes, p->process_count, sizeof(*p->processes),
		      compare_processes);
	*out = p;
	return 0;
}

static int read_mapped(struct cgm_group *group, unsigned int flags,
		       struct cgm_placement **out)
{
	pid_t *pids;
	size_t count;
	int err;

	*out = NULL;
	err = look_pids(group, &pids, &count);
	if (err)
		return err;
	err = placement_of_pids(group->ctx, pids, count, flags, out);
	free(pids);
	return err;
}

/*
 * Pages stay charged to the cgroup they were first touched in. Processes that
 * came from elsewhere have more private memory than the controller knows of;
 * an eighth and a MiB are for counters that lag behind. Huge pages of the pools
 * are charged to nobody where the hugetlb controller is not enabled, as systemd
 * leaves it. As they often are shared, it is who has most of them that counts.
 */
static bool charge_covers(struct cgm_group *group, const struct cgm_placement *charged)
{
	uint64_t anon = cgm_placement_bytes(charged, CGM_KIND_ANON, CGM_NODE_ALL);
	uint64_t huge = cgm_placement_bytes(charged, CGM_KIND_HUGETLB, CGM_NODE_ALL);
	uint64_t rss = 0, most = 0;
	pid_t *pids;
	size_t count;

	if (look_pids(group, &pids, &count))
		return true;
	for (size_t i = 0; i < count; i++) {
		struct process_status status;

		look_status(group->ctx, pids[i], &status);
		rss += status.anon;
		if (status.huge > most)
			most = status.huge;
	}
	free(pids);
	return rss <= anon + anon / 8 + (1 << 20) && most <= huge;
}

CGM_PUBLIC int cgm_placement_read(struct cgm_group *group, unsigned int flags,
				  struct cgm_placement **out)
{
	const unsigned int known = CGM_PLACEMENT_CHARGED | CGM_PLACEMENT_MAPPED |
				   CGM_PLACEMENT_PROCESSES | CGM_PLACEMENT_MARKS;
	bool mapped = flags & ~CGM_PLACEMENT_CHARGED;
	struct cgm_placement *p = NULL;
	int err = -EOPNOTSUPP;

	*out = NULL;
	if ((flags & ~known) || (mapped && (flags & CGM_PLACEMENT_CHARGED)))
		return cgm_fail(group->ctx, EINVAL, "impossible flags 0x%x", flags);
	if (!mapped)
		err = read_charged(group, &p);
	if (err && !(flags & CGM_PLACEMENT_CHARGED) && !is_shortage(err))
		err = read_mapped(group, flags, &p);
	if (err)
		return err;
	if (!flags && p->source == CGM_SOURCE_CHARGED && !charge_covers(group, p)) {
		cgm_placement_free(p);
		err = read_mapped(group, flags, &p);
		if (err)
			return err;
	}
	err = cgm_group_effective_mems(group, &p->allowed);
	if (err) {
		cgm_placement_free(p);
		return err;
	}
	*out = p;
	return 0;
}

/* The nodes a process may use, as /proc says. */
void process_allowed(struct cgm_context *ctx, pid_t pid, cgm_nodeset *nodes)
{
	char *text = fs_read(ctx, NULL, "proc/%d/status", pid);
	char *p = text ? strstr(text, "\nMems_allowed_list:") : NULL;

	*nodes = ctx->features.memory;
	if (p) {
		p += strlen("\nMems_allowed_list:");
		p[strcspn(p, "\n")] = '\0';
		cgm_nodeset_parse(p, nodes);
	}
	free(text);
}

CGM_PUBLIC int cgm_placement_read_pid(struct cgm_context *ctx, pid_t pid,
				      struct cgm_placement **out)
{
	int err = read_process(ctx, pid, NULL, out);

	if (err)
		return cgm_fail(ctx, err == -ENOENT ? ESRCH : err,
				err == -ENOENT || err == -ESRCH ?
				"%d: no such process" :
				"%d: cannot read /proc/%d/numa_maps: %s", pid, pid,
				strerror(-err));
	process_allowed(ctx, pid, &(*out)->allowed);
	return 0;
}

CGM_PUBLIC int cgm_placement_read_pids(struct cgm_context *ctx, const pid_t *pids,
				       size_t count, unsigned int flags,
				       struct cgm_placement **out)
{
	int err;

	*out = NULL;
	if (flags & ~(CGM_PLACEMENT_PROCESSES | CGM_PLACEMENT_MARKS))
		return cgm_fail(ctx, EINVAL, "impossible flags 0x%x", flags);
	err = placement_of_pids(ctx, pids, count, flags, out);
	if (!err)
		(*out)->allowed = ctx->features.memory;
	return err;
}

/* ---- looking at one ---- */

CGM_PUBLIC uint64_t cgm_placement_bytes(const struct cgm_placement *p,
					enum cgm_kind kind, int node)
{
	int first = kind == CGM_KIND_MOVABLE ? 0 : kind;
	int last = kind == CGM_KIND_MOVABLE ? CGM_KIND_KERNEL - 1 : kind;
	uint64_t sum = 0;

	if (first < 0 || last >= CGM_KIND_COUNT)
		return 0;
	for (int k = first; k <= last; k++)
		for (int n = 0; n < p->nodes; n++)
			if (node == CGM_NODE_ALL || node == n)
				sum += p->bytes[k * p->nodes + n];
	return sum;
}

CGM_PUBLIC void cgm_placement_allowed(const struct cgm_placement *p, cgm_nodeset *nodes)
{
	*nodes = p->allowed;
}

CGM_PUBLIC uint64_t cgm_placement_stray(const struct cgm_placement *p)
{
	uint64_t sum = 0;

	for (int n = 0; n < p->nodes; n++)
		if (!cgm_nodeset_has(&p->allowed, n))
			sum += cgm_placement_bytes(p, CGM_KIND_MOVABLE, n);
	return sum;
}

CGM_PUBLIC enum cgm_source cgm_placement_source(const struct cgm_placement *p)
{
	return p->source;
}

CGM_PUBLIC int cgm_placement_marks(const struct cgm_placement *p, struct cgm_marks *marks)
{
	if (marks->size < sizeof(*marks))
		return -EINVAL;
	if (!p->has_marks)
		return -ENODATA;
	marks->locked = p->locked_bytes;
	marks->pinned = p->pinned_bytes;
	marks->huge = p->huge_bytes;
	return 0;
}

CGM_PUBLIC void cgm_placement_counts(const struct cgm_placement *p, size_t *processes,
				     size_t *unreadable)
{
	if (processes)
		*processes = p->seen;
	if (unreadable)
		*unreadable = p->unreadable;
}

CGM_PUBLIC uint64_t cgm_placement_hugetlb(const struct cgm_placement *p,
					  uint64_t page_size, int node)
{
	for (size_t i = 0; i < p->huge_count; i++)
		if (p->huge[i].page_size == page_size && node >= 0 && node < p->nodes)
			return p->huge[i].pages[node];
	return 0;
}

CGM_PUBLIC int cgm_placement_process(const struct cgm_placement *p, size_t index,
				     struct cgm_process *process)
{
	struct cgm_process all = { 0 };

	if (index >= p->process_count)
		return -ENOENT;
	all.pid = p->processes[index].pid;
	all.comm = p->processes[index].comm;
	all.placement = p->processes[index].placement;
	return FILL(process, &all);
}
