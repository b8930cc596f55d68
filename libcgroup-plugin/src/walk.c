// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The present pages of a process, in order of address.
 *
 * /proc/PID/maps gives the mappings, PAGEMAP_SCAN (or pagemap) what is present
 * in them. numa_maps and smaps are not used: they walk a whole mapping under
 * mmap_lock, which a process with a large one feels.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "numamaps.h"
#include "walk.h"

#ifndef HUGETLBFS_MAGIC
#define HUGETLBFS_MAGIC 0x958458f6
#endif

/* 0, or -ESRCH when the process is gone or has no address space, -EACCES. */
int walker_open(struct walker *w, struct cgm_context *ctx, pid_t pid, bool details)
{
	char *text;

	memset(w, 0, sizeof(*w));
	w->ctx = ctx;
	w->pid = pid;
	w->details = details;
	w->pagemap = fs_open(ctx, O_RDONLY, "proc/%d/pagemap", pid);
	if (w->pagemap < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	w->maps = fs_read(ctx, NULL, "proc/%d/maps", pid);
	if (!w->maps) {
		int err = errno == ENOENT ? -ESRCH : -errno;

		close(w->pagemap);
		w->pagemap = -1;
		return err;
	}
	w->line = w->maps;
	w->pmd_size = 2 << 20;
	text = fs_read(ctx, NULL, "sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
	if (text && strtoull(text, NULL, 10))
		w->pmd_size = strtoull(text, NULL, 10);
	free(text);
	return 0;
}

void walker_close(struct walker *w)
{
	if (w->maps)
		close(w->pagemap);
	free(w->maps);
	w->maps = NULL;
}

/*
 * What a file mapping holds, asked from its file system. Following map_files
 * opens nothing; it needs CAP_SYS_ADMIN, else names have to do.
 */
static void find_file_kind(struct walker *w, uint64_t start, const char *name,
			   struct walk_dev *dev)
{
	struct statfs fs;
	char path[96];

	dev->kind = CGM_KIND_FILE;
	dev->huge_size = w->pmd_size;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", w->pid,
		 (unsigned long long)start, (unsigned long long)w->end);
	if (!statfs(path, &fs)) {
		if (fs.f_type == HUGETLBFS_MAGIC) {
			dev->kind = CGM_KIND_HUGETLB;
			dev->huge_size = fs.f_bsize;
		} else if (fs.f_type == TMPFS_MAGIC) {
			dev->kind = CGM_KIND_SHMEM;
		}
	} else if (!strncmp(name, "/anon_hugepage", 14)) {
		dev->kind = CGM_KIND_HUGETLB;
	} else if (numamaps_shared_name(name) ||
		   ctx_is_tmpfs(w->ctx, dev->major, dev->minor)) {
		dev->kind = CGM_KIND_SHMEM;
	}
}

static void set_file_kind(struct walker *w, uint64_t start, unsigned int major,
			  unsigned int minor, const char *name)
{
	struct walk_dev fresh = { .major = major, .minor = minor };
	int i;

	for (i = 0; i < w->dev_count; i++)
		if (w->devs[i].major == major && w->devs[i].minor == minor)
			break;
	if (i == w->dev_count) {
		find_file_kind(w, start, name, &fresh);
		if (i == WALK_DEVS)
			i = 0;
		else
			w->dev_count++;
		w->devs[i] = fresh;
	}
	w->file_kind = w->devs[i].kind;
	w->huge_size = w->devs[i].huge_size;
}

/* Go to the next mapping that can have pages of its own. False at the end. */
static bool next_mapping(struct walker *w)
{
	while (*w->line) {
		unsigned long long start, end, inode;
		unsigned int major, minor;
		const char *line = w->line, *next = strchr(line, '\n');
		int name = 0;

		w->line = next ? next + 1 : line + strlen(line);
		if (sscanf(line, "%llx-%llx %*s %*x %x:%x %llu %n", &start, &end, &major,
			   &minor, &inode, &name) < 5)
			continue;
		/* code and data of the kernel, mapped into every process */
		if (!strncmp(line + name, "[vdso]", 6) ||
		    !strncmp(line + name, "[vvar", 5) ||
		    !strncmp(line + name, "[vsyscall]", 10))
			continue;
		w->pos = start;
		w->end = end;
		w->file_kind = CGM_KIND_SHMEM;	/* [anon_shmem:...] */
		w->huge_size = w->pmd_size;
		if (inode)
			set_file_kind(w, start, major, minor, line + name);
		return true;
	}
	return false;
}

/* Make sure there is a run. 1, 0 at the end, or -errno. */
static int next_run(struct walker *w)
{
	bool scan = w->ctx->features.flags & CGM_FEATURE_PAGEMAP_SCAN;

	while (w->run == w->run_count) {
		if (w->pos >= w->end && !next_mapping(w))
			return 0;
		w->run = 0;
		w->run_count = pagemap_runs(w->pagemap, scan, w->ctx->page_size,
					    &w->pos, w->end, w->runs, WALK_RUNS);
		if (w->run_count < 0) {
			int err = w->run_count;

			w->run_count = 0;
			return err;
		}
	}
	return 1;
}

/* Fill in what pagemap says about one page; entries are read ahead. */
static void add_details(struct walker *w, struct walk_page *page)
{
	uint64_t page_size = w->ctx->page_size, entry;
	uint64_t index = (page->addr - w->entries_start) / page_size;

	if (page->addr < w->entries_start || index >= (uint64_t)w->entries_count) {
		w->entries_start = page->addr;
		w->entries_count = pagemap_entries(w->pagemap, page_size, page->addr,
						   w->entries, WALK_ENTRIES);
		if (w->entries_count <= 0) {
			w->entries_count = 0;
			return;
		}
		index = 0;
	}
	entry = w->entries[index];
	page->pfn = entry & PAGEMAP_PRESENT ? entry & PAGEMAP_PFN_MASK : 0;
	page->shared = !(entry & PAGEMAP_EXCLUSIVE);
}

/* The page of a run at its start; takes it off the run. */
static void take_page(struct walker *w, struct page_run *run, struct walk_page *page)
{
	uint64_t size = w->ctx->page_size;

	*page = (struct walk_page){ .addr = run->start };
	if (w->file_kind == CGM_KIND_HUGETLB)
		page->kind = CGM_KIND_HUGETLB;
	else
		page->kind = run->file ? w->file_kind : CGM_KIND_ANON;
	/* a huge page is named once, by the first address we meet in it */
	if (run->huge || page->kind == CGM_KIND_HUGETLB)
		size = w->huge_size - run->start % w->huge_size;
	if (size > run->end - run->start)
		size = run->end - run->start;
	page->size = size;
	run->start += size;
	if (run->start >= run->end)
		w->run++;
	if (w->details)
		add_details(w, page);
}

/*
 * Does the next run begin in other memory than the last page, which perhaps does not fit
 * as a whole any more? Large folios lie in such blocks, of which half of the pages that
 * are asked for can be in one. Blocks are powers of two: addresses in the same one differ
 * only in bits below.
 */
static bool block_is_over(const struct walker *w, const struct walk_page *last, size_t used,
			  size_t count)
{
	uint64_t block = count / 2 * w->ctx->page_size;

	if (w->file_kind == CGM_KIND_HUGETLB)
		block = w->huge_size;
	else if (block > w->pmd_size)
		block = w->pmd_size;
	return used > count / 2 && (last->addr ^ w->runs[w->run].start) >= block;
}

/*
 * The next pages, @count or less, a power of two: so that no large folio that lies as the
 * kernel maps it is split between two calls, as far as half of them hold it. Moving its
 * first pages moves all of it. Returns how many, 0 at the end, or -errno (-ESRCH: exited).
 */
int walker_next(struct walker *w, struct walk_page *pages, size_t count)
{
	size_t used = 0;

	while (used < count) {
		int more = next_run(w);

		if (more < 0 && !used)
			return more;
		if (more <= 0 || (used && block_is_over(w, &pages[used - 1], used, count)))
			break;
		take_page(w, &w->runs[w->run], &pages[used++]);
	}
	return used;
}
