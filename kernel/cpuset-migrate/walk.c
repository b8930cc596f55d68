// SPDX-License-Identifier: GPL-2.0
/*
 * An address space in chunks, and what to do with every page.
 *
 * A chunk ends when the batch is full, when mmap_lock was held for half of
 * max_stall_usec, or when somebody waits for mmap_lock; the next one goes on at
 * the cursor.  Every page table is visited once in the first pass; VMAs that
 * come or go meanwhile do not matter, since new pages follow the new nodes.
 * Later passes look for pages outside of the new nodes only.
 */

#include <linux/hugetlb.h>
#include <linux/memory_hotplug.h>
#include <linux/mempolicy.h>
#include <linux/pagewalk.h>
#include <linux/secretmem.h>
#include <linux/swapops.h>

#include "../../mm/internal.h"

#include "internal.h"
#include "trace.h"

/* Pages to count in VMAs that cannot be migrated, per job. */
#define CM_SKIP_COUNT_MAX	1000000

/* VMAs without a look at the time: most have no page tables, and take none. */
#define CM_WALK_VMAS		32

/* Entries of a page table, off the fast path, likewise. */
#define CM_WALK_PTES		32

/**
 * struct cm_walk - one chunk
 * @job: whose
 * @batch: where to put folios that have to move; NULL to count pages only
 * @range: of the job's ranges, the one we are in
 * @large: the large folio that was dealt with last
 * @large_end: no page of it, as the kernel maps it, is there or after that
 * @next: where the walk goes on
 * @deadline: when it has to let go of mmap_lock, local_clock()
 * @fast_left: pages that may still take the fast path
 * @skip_vma: this VMA's pages are counted and left alone
 * @skip_why: as this
 * @interleave: this VMA if its policy may interleave; else NULL
 * @fast_vma: folios of this VMA may take the fast path
 * @last_nid: a node whose pages in this table go to one node, or NUMA_NO_NODE
 * @last_dst: that node
 * @notify: the MMU notifiers have to be told before it goes on
 * @off_lru: stopped because of a page off the LRU
 * @begin: where the walk began
 * @nr_vmas: VMAs looked at
 * @count: pages seen, if there is no batch
 */
struct cm_walk {
	struct cpuset_migrate_job *job;
	struct cm_batch		*batch;
	unsigned int		range;
	struct folio		*large;
	unsigned long		large_end;
	unsigned long		next;
	u64			deadline;
	unsigned long		fast_left;
	bool			skip_vma;
	enum cpuset_migrate_stat skip_why;
	struct vm_area_struct	*interleave;
	bool			fast_vma;
	int			last_nid;
	int			last_dst;
	bool			notify;
	bool			off_lru;
	unsigned long		begin;
	unsigned int		nr_vmas;
	unsigned long		count;
};

static const struct cm_map *walk_map(struct cm_walk *w, unsigned long addr)
{
	struct cpuset_migrate_job *job = w->job;

	while (addr >= job->range[w->range].end &&
	       w->range + 1 < job->nr_ranges)
		w->range++;
	return job->range[w->range].map;
}

/* By which map does a folio go on? */
static const struct cm_map *walk_folio_map(struct cm_walk *w,
					   struct folio *folio,
					   unsigned long addr)
{
	return cm_job_before(w->job, folio) ?: walk_map(w, addr);
}

/*
 * Can a page that has arrived look like one that has to leave, or may somebody
 * be on his way from further back who shares it?
 */
static bool walk_remembers(struct cm_walk *w, const struct cm_map *map)
{
	return map->chained || READ_ONCE(w->job->part->change->overlaps);
}

/*
 * Where the policy of the VMA wants a folio; NUMA_NO_NODE if it does not say.
 * Only of a process's own memory: others share that of a file.
 */
static int walk_interleaved(struct cm_walk *w, struct folio *folio,
			    unsigned long addr)
{
	struct vm_area_struct *vma = w->interleave;
	unsigned long skip;

	if (!vma || !folio_test_anon(folio) || folio_test_ksm(folio))
		return NUMA_NO_NODE;
	/* What was allocated at once, from its first page on. */
	skip = (linear_page_index(vma, addr) - folio->index) << PAGE_SHIFT;
	addr = addr - vma->vm_start > skip ? addr - skip : vma->vm_start;
	return mpol_interleaved_node(vma, addr, folio_order(folio));
}

/*
 * May pages be on a node because a change that waits for this one allows it?  If
 * this one does not know the node either, it does not bring them back.
 */
static bool walk_is_ahead(const struct cm_walk *w, const struct cm_map *map,
			  int nid)
{
	return node_isset(nid, w->job->in_force) &&
	       map->dst[nid] == NUMA_NO_NODE;
}

/* Is a page where it should be, for all that a later pass knows? */
static bool walk_is_inside(struct cm_walk *w, int nid, unsigned long addr)
{
	return node_isset(nid, w->job->part->mems) ||
	       walk_is_ahead(w, walk_map(w, addr), nid);
}

/*
 * Where does a folio on @nid go?  Its own node if it stays, NUMA_NO_NODE to the
 * best one allowed.
 */
static int walk_dest(struct cm_walk *w, struct folio *folio, int nid,
		     unsigned long addr)
{
	const struct cm_map *map = walk_folio_map(w, folio, addr);
	const nodemask_t *allowed = &w->batch->allowed;
	bool chained;
	int dst;

	if (walk_is_ahead(w, map, nid))
		return nid;
	dst = walk_interleaved(w, folio, addr);
	/* Asked again, a policy says the same: nothing to remember. */
	chained = walk_remembers(w, map) && dst == NUMA_NO_NODE;
	if (dst == NUMA_NO_NODE)
		dst = map->dst[nid];
	if (dst == nid)
		return nid;
	w->batch->chained |= chained;
	if (chained && xa_load(&w->job->part->change->moved,
				    folio_pfn(folio)))
		return nid;
	if (dst != NUMA_NO_NODE && node_isset(dst, *allowed))
		return dst;
	/* The policy of the VMA does not want it there. */
	return node_isset(nid, *allowed) ? nid : NUMA_NO_NODE;
}

/* Was the page at @addr looked at often enough? */
static bool walk_gives_up(struct cm_walk *w, unsigned long addr)
{
	return addr == w->begin && w->job->tries == UINT_MAX;
}

/* Why could a folio not be isolated?  CM_NR_STATS: look again later. */
static enum cpuset_migrate_stat walk_why_not(struct cm_walk *w,
					     struct folio *folio,
					     unsigned long addr)
{
	if (folio_test_hugetlb(folio))
		return CM_FAIL_BUSY;
	if (!folio_test_anon(folio) && !folio_mapping(folio))
		return CM_FAIL_NONLRU;
	return walk_gives_up(w, addr) ? CM_FAIL_BUSY : CM_NR_STATS;
}

static void walk_leave(struct cm_walk *w, struct folio *folio,
		       unsigned long addr, enum cpuset_migrate_stat outcome)
{
	trace_cpuset_migrate_leave(w->job, folio, outcome);
	cm_count_left(w->job, folio, addr, folio_nid(folio), outcome,
		      folio_nr_pages(folio));
}

/* Was it dealt with in an earlier pass?  If not, this pass does. */
static bool walk_is_done(struct cm_walk *w, struct folio *folio, int nid,
			 unsigned long addr)
{
	struct cpuset_migrate_job *job = w->job;
	unsigned long index = addr >> PAGE_SHIFT;
	void *busy;

	if (!job->pass || !walk_is_inside(w, nid, addr))
		return false;
	busy = xa_load(job->retry, index);
	if (!busy)
		return true;
	xa_erase(job->retry, index);
	/* Something else is there now. */
	return xa_to_value(busy) != folio_pfn(folio);
}

/*
 * One mapping of a folio.  Returns false to stop here and look again, either
 * because the batch is full or because the folio is off the LRU.
 */
static bool walk_folio(struct cm_walk *w, struct vm_area_struct *vma,
		       unsigned long addr, struct folio *folio,
		       unsigned long nr)
{
	struct cpuset_migrate_job *job = w->job;
	struct cm_batch *batch = w->batch;
	enum cpuset_migrate_stat why;
	int nid = folio_nid(folio);
	int dst;

	if (!batch) {
		w->count += nr;
		return true;
	}
	if (walk_is_done(w, folio, nid, addr))
		return true;
	if (folio == w->large)
		return true;

	dst = walk_dest(w, folio, nid, addr);
	if (dst == nid) {
		cm_count(job, nid, CM_INPLACE, nr);
		return true;
	}

	if (cm_folio_is_pinned(folio, 0)) {
		why = CM_FAIL_PINNED;
		goto leave;
	}
	if (cm_batch_is_full(batch, folio))
		return false;
	if (cm_batch_isolate(batch, folio)) {
		cm_batch_add(batch, folio, addr, dst);
		goto dealt_with;
	}
	why = walk_why_not(w, folio, addr);
	if (why == CM_NR_STATS) {
		w->off_lru = true;
		return false;
	}
leave:
	walk_leave(w, folio, addr, why);
dealt_with:
	if (folio_test_large(folio)) {
		w->large = folio;
		w->large_end = addr + folio_size(folio);
	}
	return true;
}

/*
 * Somebody else is moving a folio: it may stay where it should not.  Returns
 * false to stop here and look again.
 */
static bool walk_moving(struct cm_walk *w, unsigned long addr,
			swp_entry_t entry, unsigned long nr)
{
	struct cpuset_migrate_job *job = w->job;
	int nid = folio_nid(pfn_swap_entry_folio(entry));

	/* The first pass is followed by another. */
	if (!w->batch || !job->pass || walk_is_inside(w, nid, addr))
		return true;
	if (!walk_gives_up(w, addr)) {
		w->off_lru = true;
		return false;
	}
	cm_count(job, nid, CM_FAIL_BUSY, nr);
	return true;
}

/* A page of a VMA that is not migrated: count it if it is memory. */
static bool walk_skipped_pfn(struct cm_walk *w, unsigned long pfn,
			     unsigned long nr)
{
	struct cpuset_migrate_job *job = w->job;
	struct page *page = pfn_to_online_page(pfn);
	int nid;

	if (!page || PageReserved(page))
		return true;
	nid = page_to_nid(page);
	if (!w->batch) {
		w->count += nr;
	} else if (!job->pass || !node_isset(nid, job->part->mems)) {
		if (w->skip_why == CM_SKIP_VMA)
			job->nr_skip_vma += nr;
		cm_count(job, nid, w->skip_why, nr);
	}
	return true;
}

static bool walk_huge_pmd(struct cm_walk *w, struct vm_area_struct *vma,
			  unsigned long addr, pmd_t pmd)
{
	struct folio *folio;

	if (w->skip_vma)
		return !pmd_present(pmd) || is_huge_zero_pmd(pmd) ||
		       walk_skipped_pfn(w, pmd_pfn(pmd), HPAGE_PMD_NR);
	if (is_pmd_migration_entry(pmd))
		return walk_moving(w, addr, pmd_to_swp_entry(pmd),
				   HPAGE_PMD_NR);
	if (!pmd_present(pmd))
		return true;
	folio = vm_normal_folio_pmd(vma, addr, pmd);
	if (!folio || is_huge_zero_folio(folio) || folio_is_zone_device(folio))
		return true;
	return walk_folio(w, vma, addr, folio, HPAGE_PMD_NR);
}

static bool walk_pte(struct cm_walk *w, struct vm_area_struct *vma,
		     unsigned long addr, pte_t pte)
{
	struct folio *folio;
	swp_entry_t entry;

	if (pte_none(pte))
		return true;
	if (w->skip_vma)
		return !pte_present(pte) ||
		       walk_skipped_pfn(w, pte_pfn(pte), 1);
	if (!pte_present(pte)) {
		entry = pte_to_swp_entry(pte);
		return !is_migration_entry(entry) ||
		       walk_moving(w, addr, entry, 1);
	}
	folio = vm_normal_folio(vma, addr, pte);
	if (!folio || folio_is_zone_device(folio) || folio_test_reserved(folio))
		return true;
	return walk_folio(w, vma, addr, folio, 1);
}

/* Has mmap_lock been held for long enough, or enough been moved? */
static bool walk_time_up(struct cm_walk *w, struct mm_struct *mm)
{
	return !w->fast_left || local_clock() > w->deadline ||
	       mmap_lock_is_contended(mm);
}

/* As walk_dest(), which says the same for all pages of a node but seldom. */
static int walk_fast_dest(struct cm_walk *w, struct folio *folio, int nid,
			  unsigned long addr)
{
	int dst;

	if (nid == w->last_nid)
		return w->last_dst;

	dst = walk_dest(w, folio, nid, addr);
	if (dst == NUMA_NO_NODE)
		dst = cm_nearest_node(nid, &w->batch->allowed);
	if (w->job->nr_ranges == 1 && !w->job->nr_before &&
	    !walk_remembers(w, w->job->range[0].map) && !w->interleave) {
		w->last_nid = nid;
		w->last_dst = dst;
	}
	return dst;
}

static bool walk_is_plain(pte_t pte)
{
	return pte_present(pte) && !pte_special(pte) && !pte_devmap(pte) &&
	       !pte_unused(pte);
}

/*
 * A page that is where it should be, and those after it: most of what is seen
 * once more.  What is to be tried again is for migrate_pages().
 */
static unsigned int walk_arrived(struct cm_walk *w, unsigned long addr,
				 pte_t *ptep, unsigned int max)
{
	const nodemask_t *mems = &w->job->part->mems;
	unsigned int nr = 1;
	pte_t pte;

	if (!xa_empty(w->job->retry))
		return !xa_load(w->job->retry, addr >> PAGE_SHIFT);

	for (; nr < max; nr++) {
		pte = ptep_get(ptep + nr);
		if (!walk_is_plain(pte) ||
		    !node_isset(page_to_nid(pte_page(pte)), *mems))
			break;
	}
	return nr;
}

/*
 * What most of an address space is: a present page of nobody else's.  Returns
 * how many entries, of @max, it has been dealt with, 0 if it is not so simple.
 */
static unsigned int walk_fast(struct cm_walk *w, unsigned long addr,
			      pte_t *ptep, pte_t pte, unsigned int max)
{
	struct cm_batch *batch = w->batch;
	struct folio *folio;
	struct page *page;
	int nid, dst;

	if (!walk_is_plain(pte))
		return 0;
	page = pte_page(pte);
	nid = page_to_nid(page);
	if (w->job->pass && node_isset(nid, w->job->part->mems))
		return walk_arrived(w, addr, ptep, max);
	folio = page_folio(page);
	if (!cm_fast_looks_simple(folio))
		return 0;
	dst = walk_fast_dest(w, folio, nid, addr);
	if (dst == nid || dst == NUMA_NO_NODE)
		return 0;
	/* Where it went would have to be remembered. */
	if (batch->chained && !folio_test_anon(folio))
		return 0;
	if (mm_has_notifiers(w->job->mm) && !batch->fast.notified) {
		w->notify = true;
		return 0;
	}
	return cm_fast_take(batch, folio, addr, ptep, pte, dst);
}

/* One more folio, and all on the fast path, have to fit into the batch. */
static bool walk_has_room(const struct cm_batch *batch)
{
	return batch->nr + CM_FAST_FOLIOS < CM_BATCH_PAGES;
}

/*
 * A page table from @addr on, to its end or until enough was taken for the fast
 * path.  Returns where to go on, and false in @go_on if the chunk ends there.
 */
static unsigned long walk_table(struct cm_walk *w, struct vm_area_struct *vma,
				pmd_t *pmd, unsigned long addr,
				unsigned long end, bool *go_on)
{
	struct cm_batch *batch = w->batch;
	pte_t *pte, *start_pte, entry;
	unsigned int nr, nr_slow = 0;
	spinlock_t *ptl;
	bool fast;

	fast = batch && w->fast_vma && walk_has_room(batch);
	if (fast && w->notify)
		cm_fast_notify(&batch->fast, vma, addr, end);
	w->notify = false;
	start_pte = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
	if (!start_pte) {
		*go_on = false;
		goto out;
	}
	__acquire(ptl);			/* for sparse, which cannot know */
	w->last_nid = NUMA_NO_NODE;
	if (fast)
		cm_fast_begin(&batch->fast, w->fast_left, vma, pmd, addr, end,
			      start_pte);
	for (pte = start_pte; addr != end;
	     pte += nr, addr += nr * PAGE_SIZE) {
		if (fast && cm_fast_full(&batch->fast))
			break;
		entry = ptep_get(pte);
		nr = fast ? walk_fast(w, addr, pte, entry,
				      (end - addr) >> PAGE_SHIFT) : 0;
		if (nr)
			continue;
		nr = 1;
		if (fast && (w->notify || !walk_has_room(batch)))
			break;
		/* Not within a folio of which some are dealt with. */
		if (++nr_slow >= CM_WALK_PTES && addr >= w->large_end) {
			if (walk_time_up(w, vma->vm_mm))
				break;
			nr_slow = 0;
		}
		*go_on = walk_pte(w, vma, addr, entry);
		if (!*go_on)
			break;
	}
	if (fast)
		cm_fast_unmap(&batch->fast);
	pte_unmap_unlock(start_pte, ptl);
out:
	if (fast) {
		w->fast_left -= min(w->fast_left, batch->fast.nr_pages);
		cm_fast_finish(batch);
	}
	return addr;
}

static int walk_pmd_entry(pmd_t *pmd, unsigned long addr, unsigned long end,
			  struct mm_walk *walk)
{
	struct vm_area_struct *vma = walk->vma;
	struct cm_walk *w = walk->private;
	spinlock_t *ptl;
	bool go_on = true;

	ptl = pmd_trans_huge_lock(pmd, vma);
	if (ptl) {
		__acquire(ptl);		/* for sparse, which cannot know */
		go_on = walk_huge_pmd(w, vma, addr, *pmd);
		spin_unlock(ptl);
		w->next = go_on ? end : addr;
		return !go_on || walk_time_up(w, walk->mm);
	}

	do {
		addr = walk_table(w, vma, pmd, addr, end, &go_on);
		w->next = addr;
	} while (go_on && addr != end &&
		 (w->notify || !walk_time_up(w, walk->mm)));
	return !go_on || addr != end || walk_time_up(w, walk->mm);
}

/* A huge page of a device: no folio in it could move. */
static int walk_pud_entry(pud_t *pud, unsigned long addr, unsigned long end,
			  struct mm_walk *walk)
{
	if (pud_trans_huge(*pud) || pud_devmap(*pud))
		walk->action = ACTION_CONTINUE;
	return 0;
}

#ifdef CONFIG_HUGETLB_PAGE
static int walk_hugetlb_entry(pte_t *pte, unsigned long hmask,
			      unsigned long addr, unsigned long end,
			      struct mm_walk *walk)
{
	struct vm_area_struct *vma = walk->vma;
	struct hstate *h = hstate_vma(vma);
	struct cm_walk *w = walk->private;
	struct folio *folio;
	spinlock_t *ptl;
	bool go_on = true;
	pte_t entry;

	ptl = huge_pte_lock(h, walk->mm, pte);
	entry = huge_ptep_get(walk->mm, addr & hmask, pte);
	if (pte_present(entry)) {
		if (w->skip_vma) {
			walk_skipped_pfn(w, pte_pfn(entry),
					 pages_per_huge_page(h));
		} else {
			folio = pfn_folio(pte_pfn(entry));
			go_on = walk_folio(w, vma, addr, folio,
					   pages_per_huge_page(h));
		}
	} else if (!w->skip_vma && is_hugetlb_entry_migration(entry)) {
		go_on = walk_moving(w, addr, pte_to_swp_entry(entry),
				    pages_per_huge_page(h));
	}
	spin_unlock(ptl);

	w->next = go_on ? end : addr;
	return !go_on || walk_time_up(w, walk->mm);
}
#else
#define walk_hugetlb_entry	NULL
#endif

/* Are the pages of a VMA to be left alone, and why? */
static void walk_skip(struct cm_walk *w, struct vm_area_struct *vma)
{
	w->skip_vma = !vma_migratable(vma) || vma_is_secretmem(vma);
	w->skip_why = vma_migration_exempt(vma) ? CM_SKIP_EXEMPT : CM_SKIP_VMA;
}

/* The nodes that the policy of a VMA leaves of the cpuset's. */
static void walk_allowed(struct vm_area_struct *vma, const nodemask_t *mems,
			 nodemask_t *allowed)
{
	struct mempolicy *pol = vma->vm_policy;

	*allowed = *mems;
	if (!pol)
		return;
	switch (pol->mode) {
	case MPOL_BIND:
	case MPOL_INTERLEAVE:
	case MPOL_WEIGHTED_INTERLEAVE:
		nodes_and(*allowed, pol->nodes, *mems);
		if (nodes_empty(*allowed))
			*allowed = *mems;
	}
}

/* Let a driver do its part, and end the chunk: that may have taken time. */
static int walk_driver(struct cm_walk *w, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end)
{
	unsigned long bytes = (unsigned long)w->job->batch_pages << PAGE_SHIFT;
	const struct cm_map *map = walk_map(w, start);

	w->next = start;
	/* Whoever waits for what is isolated does not wait for a driver. */
	if (w->batch->nr)
		return -ECANCELED;

	w->next = start + min(end - start, bytes);
	w->next = min(w->next, w->job->range[w->range].end);
	cm_driver_migrate(w->job, map, vma, start, w->next);
	return -ECANCELED;
}

static int walk_test(unsigned long start, unsigned long end,
		     struct mm_walk *walk)
{
	struct vm_area_struct *vma = walk->vma;
	struct cm_walk *w = walk->private;
	struct cm_batch *batch = w->batch;
	nodemask_t allowed;

	/* VMAs without page tables take time too, if there are many. */
	if (++w->nr_vmas % CM_WALK_VMAS == 0 && walk_time_up(w, walk->mm)) {
		w->next = start;
		return -ECANCELED;
	}

	if (batch && cm_driver_moves(vma))
		return walk_driver(w, vma, start, end);

	walk_skip(w, vma);
	w->interleave = vma->vm_policy ? vma : NULL;
	w->fast_vma = !w->skip_vma && cm_fast_vma(vma);
	if (w->skip_vma)
		return w->skip_why == CM_SKIP_VMA &&
		       w->job->nr_skip_vma > CM_SKIP_COUNT_MAX;
	if (!batch)
		return 0;

	/* The folios of a batch may go to the same nodes. */
	walk_allowed(vma, &w->job->part->mems, &allowed);
	if (!batch->nr) {
		batch->allowed = allowed;
	} else if (!nodes_equal(batch->allowed, allowed)) {
		w->next = start;
		return -ECANCELED;
	}
	return 0;
}

static const struct mm_walk_ops walk_ops = {
	.pud_entry	= walk_pud_entry,
	.pmd_entry	= walk_pmd_entry,
	.hugetlb_entry	= walk_hugetlb_entry,
	.test_walk	= walk_test,
	.walk_lock	= PGWALK_RDLOCK,
};

/* Does an address map nothing but a folio, if anything, by a page table? */
static bool walk_maps_only(struct mm_struct *mm, struct vm_area_struct *vma,
			   unsigned long addr, struct folio *folio)
{
	pmd_t *pmd = mm_find_pmd(mm, addr);
	spinlock_t *ptl;
	pte_t *pte, entry;
	bool only;

	pte = pmd ? pte_offset_map_lock(mm, pmd, addr, &ptl) : NULL;
	if (!pte)
		return false;
	__acquire(ptl);			/* for sparse, which cannot know */
	entry = ptep_get(pte);
	only = pte_none(entry) ||
	       (pte_present(entry) &&
		vm_normal_folio(vma, addr, entry) == folio);
	pte_unmap_unlock(pte, ptl);
	return only;
}

/*
 * A chunk may end within a large folio that was dealt with as a whole, where a
 * VMA does.  The next one would not know it any more, least of all when it has
 * moved, or was split since some of it is not mapped.
 */
static void walk_rest_of_large(struct cm_walk *w, struct mm_struct *mm)
{
	struct vm_area_struct *vma;

	if (!w->large || folio_test_hugetlb(w->large))
		return;
	while (w->next < w->large_end && (vma = vma_lookup(mm, w->next)) &&
	       walk_maps_only(mm, vma, w->next, w->large))
		w->next += PAGE_SIZE;
}

/* Walk from @w->next; true if the end of the address space was reached. */
static bool walk_run(struct cm_walk *w)
{
	struct mm_struct *mm = w->job->mm;
	unsigned long end = w->job->limit;
	u64 stall = READ_ONCE(cm_max_stall_usec) * (u64)NSEC_PER_USEC;
	u64 begin;
	int ret = 0;

	cm_mmap_read_lock(w->job, w->batch);
	begin = local_clock();
	w->deadline = begin + stall / 2;
	w->fast_left = w->job->granted ? w->job->granted >> PAGE_SHIFT :
					 ULONG_MAX;
	w->begin = w->next;
	if (w->next < end)
		ret = walk_page_range(mm, w->next, end, &walk_ops, w);
	if (ret)
		walk_rest_of_large(w, mm);
	mmap_read_unlock(mm);

	w->job->chunk_max = max(w->job->chunk_max,
				div_u64(cm_elapsed(begin), NSEC_PER_USEC));
	return !ret;
}

/**
 * cm_walk_chunk - look at the next pages of an address space
 * @job: the job; its cursor moves on
 * @batch: filled with what has to move; empty
 *
 * Counts every page that does not have to move or cannot.  Takes mmap_lock for
 * reading; may sleep.  The caller holds mm_users.
 *
 * Return: whether there is more, and if not why.
 */
enum cm_walk_result cm_walk_chunk(struct cpuset_migrate_job *job,
				  struct cm_batch *batch)
{
	struct cm_walk w = {
		.job	= job,
		.batch	= batch,
		.next	= job->cursor,
	};
	bool end;

	/* What was seen to fit a while ago may not any more. */
	batch->room = 0;
	batch->chained = false;
	end = walk_run(&w);
	if (job->cursor != w.next)
		job->tries = 0;
	job->cursor = w.next;
	if (end)
		return CM_WALK_END;
	return w.off_lru ? CM_WALK_OFF_LRU : CM_WALK_MORE;
}

/**
 * cm_walk_left - count the next pages as never scanned
 * @job: the job; its cursor moves on
 *
 * Context as cm_walk_chunk().
 *
 * Return: false at the end of the address space.
 */
bool cm_walk_left(struct cpuset_migrate_job *job)
{
	struct cm_walk w = {
		.job	= job,
		.next	= job->cursor,
	};
	bool end = walk_run(&w);

	job->cursor = w.next;
	job->tally.n[CM_LEFT] += w.count;
	return !end;
}
