// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * move_pages(2) in batches of bounded time, with the fate of every page.
 *
 * What the call tells is less than it seems. Pages that were isolated have no
 * status until their whole group was migrated; when one of a group fails, the
 * call ends there, and the rest was not tried. So statuses are preset, and
 * where one is still preset the node the page is on now decides.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mover.h"

#define MPOL_MF_MOVE	 (1 << 1)
#define MPOL_MF_MOVE_ALL (1 << 2)

#define UNTOUCHED INT_MIN

#define BATCH_FIRST	(64ULL << 12)
#define BATCH_LEAST	(16ULL << 12)
#define BATCH_MOST	((uint64_t)MOVER_PAGES << 12)

/* The overhead of a call is measured again every so many calls. */
#define OVERHEAD_CALLS	32

/* Bits of /proc/kpageflags. */
#define KPF_LOCKED	(1ULL << 0)
#define KPF_WRITEBACK	(1ULL << 8)

static long sys_move_pages(pid_t pid, unsigned long count, void **addrs,
			   const int *nodes, int *status, int flags)
{
	return syscall(SYS_move_pages, pid, count, addrs, nodes, status, flags);
}

/*
 * Every call switches the LRU caches of all CPUs off and on, which takes long
 * and does not hurt the process whose pages move: it is measured apart.
 */
static void measure_overhead(struct mover *m)
{
	uint64_t start = now_usec();
	void *addr = NULL;
	int node = 0, status;

	sys_move_pages(0, 0, &addr, &node, &status,
		       m->all ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE);
	samples_add(&m->steer.overhead, now_usec() - start);
}

void mover_init(struct mover *m, struct cgm_context *ctx, uint64_t bound_usec)
{
	memset(m, 0, sizeof(*m));
	m->ctx = ctx;
	m->all = ctx->features.flags & CGM_FEATURE_SYS_NICE;
	steer_init(&m->steer, bound_usec, BATCH_FIRST, BATCH_LEAST, BATCH_MOST);
	for (int i = 0; i < 3; i++)
		measure_overhead(m);
	m->kpageflags = fs_open(ctx, O_RDONLY, "proc/kpageflags");
	m->pagemap = -1;
	m->pin.fd = -1;
}

void mover_exit(struct mover *m)
{
	pin_release(&m->pin);
	if (m->kpageflags >= 0)
		close(m->kpageflags);
	if (m->pagemap >= 0)
		close(m->pagemap);
	m->kpageflags = -1;
	m->pagemap = -1;
}

/* From now on it is the pages of this process that move. 0, or -ESRCH. */
int mover_hold(struct mover *m, pid_t pid)
{
	if (m->pagemap >= 0)
		close(m->pagemap);
	m->pagemap = -1;
	return pin_process(&m->pin, pid);
}

/* Ask on which node pages are. 0 or -errno (-ESRCH: exited). */
int mover_query(pid_t pid, struct move_page *pages, size_t count)
{
	void *addrs[512];
	int status[512];

	while (count) {
		size_t n = count < ARRAY_SIZE(addrs) ? count : ARRAY_SIZE(addrs);

		for (size_t i = 0; i < n; i++)
			addrs[i] = (void *)(uintptr_t)pages[i].page.addr;
		if (sys_move_pages(pid, n, addrs, NULL, status, 0) < 0)
			return -errno;
		for (size_t i = 0; i < n; i++)
			pages[i].from = status[i];
		pages += n;
		count -= n;
	}
	return 0;
}

/* The page frame an address has now, or 0 when we are not told. */
uint64_t mover_pfn(struct mover *m, pid_t pid, uint64_t addr)
{
	uint64_t entry;

	if (m->pagemap < 0 || m->pagemap_pid != pid) {
		if (m->pagemap >= 0)
			close(m->pagemap);
		m->pagemap = fs_open(m->ctx, O_RDONLY, "proc/%d/pagemap", pid);
		m->pagemap_pid = pid;
	}
	if (m->pagemap < 0 ||
	    pagemap_entries(m->pagemap, m->ctx->page_size, addr, &entry, 1) != 1 ||
	    !(entry & PAGEMAP_PRESENT))
		return 0;
	return entry & PAGEMAP_PFN_MASK;
}

/* A page the kernel gave up on: is it busy now, or does something hold it? */
static enum cgm_reason why_stuck(struct mover *m, pid_t pid, const struct walk_page *page)
{
	uint64_t flags, pfn;

	if (page->kind == CGM_KIND_HUGETLB)
		return CGM_FAIL_HUGETLB;
	pfn = m->kpageflags < 0 ? 0 : mover_pfn(m, pid, page->addr);
	if (!pfn || pread(m->kpageflags, &flags, sizeof(flags), pfn * sizeof(flags)) !=
		    sizeof(flags))
		return CGM_FAIL_BUSY;
	return flags & (KPF_LOCKED | KPF_WRITEBACK) ? CGM_FAIL_BUSY : CGM_FAIL_PINNED;
}

static enum cgm_reason reason_of_status(int status, const struct move_page *page)
{
	switch (status) {
	case -ENOENT:
		return CGM_GONE;
	case -EFAULT:
		return CGM_SKIP_VMA;
	case -EACCES:
		return CGM_FAIL_PERM;
	case -ENOMEM:
		return page->page.kind == CGM_KIND_HUGETLB ? CGM_FAIL_HUGETLB :
							     CGM_FAIL_NOMEM;
	default:
		return CGM_FAIL_BUSY;
	}
}

struct batch {
	void *addrs[MOVER_PAGES];
	int nodes[MOVER_PAGES];
	int status[MOVER_PAGES];
};

/* Which pages the call has not come to: they follow the group that failed. */
static size_t tried_by_call(const int *status, size_t count)
{
	size_t last = count;	/* the last page with a status */
	bool gap = false;

	for (size_t i = count; i-- > 0;)
		if (status[i] != UNTOUCHED) {
			last = i;
			break;
		}
	if (last == count)
		return count;
	for (size_t i = 0; i < last; i++)
		gap |= status[i] == UNTOUCHED;
	return gap ? last + 1 : count;
}

/* What became of the pages of a call that ended early. */
static int sort_out(struct mover *m, pid_t pid, struct move_page **pages,
		    struct batch *b, size_t count, long ret)
{
	int now[MOVER_PAGES];

	if (sys_move_pages(pid, count, b->addrs, NULL, now, 0) < 0)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		struct move_page *p = pages[i];

		p->tried = true;
		if (now[i] == p->to)
			p->reason = p->from == p->to ? CGM_INPLACE : CGM_MOVED;
		else if (b->status[i] != UNTOUCHED && b->status[i] < 0)
			p->reason = reason_of_status(b->status[i], p);
		else if (now[i] < 0)
			p->reason = reason_of_status(now[i], p);
		else if (ret == -ENOMEM)
			p->reason = reason_of_status(-ENOMEM, p);
		else
			p->reason = why_stuck(m, pid, &p->page);
	}
	return 0;
}

/*
 * Move pages of the process that is held to one node, at most MOVER_PAGES. Every page gets
 * its fate. Returns 0, or -errno when the process cannot be dealt with at all
 * (-ESRCH: exited, -EPERM, -EACCES: its cpuset does not allow the node).
 */
int mover_move(struct mover *m, pid_t pid, struct move_page **pages, size_t count,
	       int node)
{
	struct batch b;
	size_t done = 0;

	while (done < count) {
		size_t n = count - done;
		uint64_t bytes = 0, start, took;
		long ret;
		int err;

		for (size_t i = 0; i < n; i++) {
			b.addrs[i] = (void *)(uintptr_t)pages[done + i]->page.addr;
			b.nodes[i] = node;
			b.status[i] = UNTOUCHED;
			bytes += pages[done + i]->page.size;
		}
		if (m->pin.pid != pid || !pin_alive(&m->pin))
			return -ESRCH;
		start = now_usec();
		ret = sys_move_pages(pid, n, b.addrs, b.nodes, b.status,
				     m->all ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE);
		if (ret < 0)
			ret = -errno;
		took = steer_call(&m->steer, bytes, now_usec() - start);
		if (took > m->max_usec)
			m->max_usec = took;
		if (ret < 0 && ret != -ENOMEM)
			return ret;
		if (ret)
			n = tried_by_call(b.status, n);
		err = sort_out(m, pid, pages + done, &b, n, ret);
		if (err)
			return err;
		if (!(++m->calls % OVERHEAD_CALLS))
			measure_overhead(m);
		done += n;
	}
	return 0;
}
