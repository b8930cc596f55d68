// SPDX-License-Identifier: GPL-2.0
/*
 * The fast path: folios that one page table maps, and nothing else.
 *
 * migrate_pages() finds the mappings of every folio by walking its anon_vma or
 * its file's VMAs twice, with locks, flushes and notifier calls each time.  Here
 * the walk is at the only mapping there is.  So a number of folios of one page
 * table go together:
 *
 *   take	page table lock: who can go this way is locked, is taken off the
 *		LRU, and has its entries replaced by migration entries
 *   unmap	the same hold of it: flush once, put back what somebody got a
 *		reference to in between
 *   copy	nothing locked but the folios, and mmap_lock
 *   map	page table lock: replace the migration entries
 *
 * mmap_lock, for reading, keeps fork and mremap from copying or moving the
 * migration entries; no rmap walk would find those.  madvise(MADV_DONTNEED), the
 * OOM reaper and truncation may zap them, mprotect for NUMA balancing may change
 * them: every entry is read again before it is replaced.  The lock of the folio
 * keeps everybody out who finds it otherwise: reclaim, compaction, KSM, faults
 * on other mappings of the file.
 *
 * anon.c and file.c have what differs between the kinds of memory.  What is not
 * as simple is left to the walk, which gives it to migrate_pages(); what was put
 * back is isolated and given to the batch here.
 */

#include <linux/migrate.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/rmap.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>
#include <trace/events/migrate.h>

#include <asm/tlbflush.h>

#include "../../mm/internal.h"

#include "internal.h"

/**
 * cm_fast_vma - can folios of a VMA go this way?
 * @vma: the VMA
 *
 * Not locked memory, whose folios are on another list, and nobody who wants to
 * hear of every empty entry, though it be there for a moment only.
 */
bool cm_fast_vma(struct vm_area_struct *vma)
{
	return !(vma->vm_flags & VM_LOCKED) && !userfaultfd_armed(vma) &&
	       !is_vm_hugetlb_page(vma);
}

static void fast_reset(struct cm_fast *fast)
{
	fast->nr = 0;
	fast->nr_pages = 0;
}

/**
 * cm_fast_init - make it ready to take folios
 * @fast: the fast path of a batch
 */
void cm_fast_init(struct cm_fast *fast)
{
	int nid;

	fast_reset(fast);
	fast->limit = CM_FAST_PAGES_MIN;
	fast->slow = false;
	fast->notified = false;
	nodes_clear(fast->no_room);
	for (nid = 0; nid < nr_node_ids; nid++)
		INIT_LIST_HEAD(&fast->stock[nid]);
}

/**
 * cm_fast_give_back - free what was not used yet
 * @fast: the fast path of a batch; can be used again
 *
 * Nobody can move these pages: before a sleep that may be long, they have to go.
 */
void cm_fast_give_back(struct cm_fast *fast)
{
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++)
		put_pages_list(&fast->stock[nid]);
}

/*
 * A place on a node, or NULL.  Allocating never sleeps, and single pages are
 * allocated many at a time.
 */
static struct folio *fast_place(struct cm_batch *batch, int nid,
				unsigned int order)
{
	struct list_head *stock = &batch->fast.stock[nid];
	struct page *page;

	if (order)
		return cm_alloc_folio(batch, nid, order);
	if (list_empty(stock) &&
	    !cm_alloc_pages(batch, nid, CM_FAST_FOLIOS, stock)) {
		node_set(nid, batch->fast.no_room);
		return NULL;
	}
	page = list_first_entry(stock, struct page, lru);
	list_del(&page->lru);
	return page_folio(page);
}

static pte_t migration_pte(struct page *page, pte_t pte, bool exclusive)
{
	unsigned long pfn = page_to_pfn(page);
	swp_entry_t entry;
	pte_t swp_pte;

	if (pte_write(pte))
		entry = make_writable_migration_entry(pfn);
	else if (exclusive)
		entry = make_readable_exclusive_migration_entry(pfn);
	else
		entry = make_readable_migration_entry(pfn);
	if (pte_young(pte))
		entry = make_migration_entry_young(entry);
	if (pte_dirty(pte))
		entry = make_migration_entry_dirty(entry);
	swp_pte = swp_entry_to_pte(entry);
	if (pte_soft_dirty(pte))
		swp_pte = pte_swp_mksoft_dirty(swp_pte);
	return swp_pte;
}

static void fast_unmap_entry(struct cm_fast *fast, struct cm_fast_entry *e,
			     pte_t *ptep)
{
	struct mm_struct *mm = fast->vma->vm_mm;
	unsigned long addr = e->addr;
	unsigned int i;
	pte_t pte;

	e->exclusive = !e->file && PageAnonExclusive(&e->src->page);
	for (i = 0; i < e->nr; i++, ptep++, addr += PAGE_SIZE) {
		pte = ptep_get_and_clear(mm, addr, ptep);
		/* What is dirty of a file may not be all that its folio says. */
		if (pte_dirty(pte) && (e->file || !folio_test_dirty(e->src)))
			folio_mark_dirty(e->src);
		e->pte = pte;
		e->swp_pte = migration_pte(folio_page(e->src, i), pte,
					   e->exclusive);
		set_pte_at(mm, addr, ptep, e->swp_pte);
	}
}

/**
 * cm_fast_notify - tell the MMU notifiers, if it has to be
 * @fast: the fast path of a batch, with nothing taken
 * @vma: where folios are to be taken
 * @start: from here on
 * @end: to here
 *
 * May sleep; call with mmap_lock held and no other lock, and cm_fast_finish()
 * during the same hold.
 */
void cm_fast_notify(struct cm_fast *fast, struct vm_area_struct *vma,
		    unsigned long start, unsigned long end)
{
	mmu_notifier_range_init(&fast->range, MMU_NOTIFY_CLEAR, 0, vma->vm_mm,
				start, end);
	mmu_notifier_invalidate_range_start(&fast->range);
	fast->notified = true;
}

/**
 * cm_fast_begin - look at a page table
 * @fast: the fast path of a batch, with nothing taken
 * @max: pages to take at most
 * @vma: what it maps; cm_fast_vma() is true
 * @pmd: the page table; its lock and mmap_lock are held
 * @start: from here on
 * @end: to here
 * @base: the entry of @start
 */
void cm_fast_begin(struct cm_fast *fast, unsigned long max,
		   struct vm_area_struct *vma, pmd_t *pmd, unsigned long start,
		   unsigned long end, pte_t *base)
{
	fast->max = min_t(unsigned long, max, fast->limit);
	fast->vma = vma;
	fast->pmd = pmd;
	fast->start = start;
	fast->end = end;
	fast->base = base;
	flush_cache_range(vma, start, end);
	arch_enter_lazy_mmu_mode();
}

/**
 * cm_fast_take - put a folio on the fast path
 * @batch: the batch, whose fast path is not full
 * @folio: the folio
 * @addr: where it is mapped
 * @ptep: the entry that does so
 * @pte: what it says, which is present and of a normal page
 * @nid: where the folio goes
 *
 * Call between cm_fast_begin() and cm_fast_unmap(), and where there are MMU
 * notifiers, after cm_fast_notify().
 *
 * Return: how many entries map the folio, which all are migration entries now;
 * 0 if the folio cannot go this way.
 */
unsigned int cm_fast_take(struct cm_batch *batch, struct folio *folio,
			  unsigned long addr, pte_t *ptep, pte_t pte, int nid)
{
	unsigned int nr = folio_nr_pages(folio);
	struct cm_fast *fast = &batch->fast;
	struct cm_fast_entry *e = &fast->entry[fast->nr];

	if (pte_uffd_wp(pte) || node_isset(nid, fast->no_room) ||
	    !folio_trylock(folio))
		return 0;
	if (!folio_test_clear_lru(folio))
		goto unlock;
	/* The lock and PG_lru keep it so. */
	e->file = !folio_test_anon(folio);
	if (e->file)
		e->refs = cm_file_refs(folio);
	else if (cm_anon_is_simple(folio, nr) &&
		 (nr == 1 || cm_anon_large_is_simple(fast, addr, folio, ptep,
						     pte)))
		e->refs = nr;
	else
		goto set_lru;
	if (folio_ref_count(folio) != e->refs)
		goto set_lru;
	e->dst = fast_place(batch, nid, folio_order(folio));
	if (!e->dst)
		goto set_lru;

	if (!fast->nr++)
		fast->begin = local_clock();
	fast->nr_pages += nr;
	e->addr = addr;
	e->src = folio;
	e->nr = nr;
	e->state = CM_FAST_TAKEN;
	fast_unmap_entry(fast, e, ptep);
	return nr;

set_lru:
	folio_set_lru(folio);
unlock:
	folio_unlock(folio);
	return 0;
}

/**
 * cm_fast_is_migration - is an entry, read again, what it was replaced by?
 * @pte: the entry
 * @page: the page it mapped
 */
bool cm_fast_is_migration(pte_t pte, struct page *page)
{
	swp_entry_t entry;

	if (pte_none(pte) || pte_present(pte))
		return false;
	entry = pte_to_swp_entry(pte);
	return is_migration_entry(entry) &&
	       swp_offset_pfn(entry) == page_to_pfn(page);
}

/**
 * cm_fast_map_pte - replace a migration entry
 * @fast: the fast path of a batch
 * @addr: what it maps
 * @ptep: the entry
 * @swp_pte: what it says
 * @page: the page it is to map
 */
void cm_fast_map_pte(struct cm_fast *fast, unsigned long addr, pte_t *ptep,
		     pte_t swp_pte, struct page *page)
{
	swp_entry_t entry = pte_to_swp_entry(swp_pte);
	pte_t pte = mk_pte(page, READ_ONCE(fast->vma->vm_page_prot));

	if (!is_migration_entry_young(entry))
		pte = pte_mkold(pte);
	if (is_migration_entry_dirty(entry))
		pte = pte_mkdirty(pte);
	if (pte_swp_soft_dirty(swp_pte))
		pte = pte_mksoft_dirty(pte);
	else
		pte = pte_clear_soft_dirty(pte);
	if (is_writable_migration_entry(entry))
		pte = pte_mkwrite(pte, fast->vma);
	else if (pte_swp_uffd_wp(swp_pte))
		pte = pte_mkuffd_wp(pte);
	set_pte_at(fast->vma->vm_mm, addr, ptep, pte);
	/* No need to invalidate - it was non-present before */
	update_mmu_cache(fast->vma, addr, ptep);
}

/*
 * Somebody got a reference before the entries were gone: as it was.  Mapped
 * again, the folio can be zapped again; so from now on it is ours by reference.
 */
static void fast_undo(struct cm_fast *fast, struct cm_fast_entry *e)
{
	pte_t *ptep = cm_fast_ptep(fast, e->addr);
	unsigned long addr = e->addr;
	unsigned int i;

	for (i = 0; i < e->nr; i++, ptep++, addr += PAGE_SIZE)
		cm_fast_map_pte(fast, addr, ptep, ptep_get(ptep),
				folio_page(e->src, i));
	folio_get(e->src);
	e->state = CM_FAST_BACK;
}

/*
 * Changes of the counts of one lruvec, collected; made under its lock.  For
 * each folio by itself they would be most of what it costs to move it.
 */
struct lru_run {
	struct lruvec	*lruvec;
	struct zone	*zone;
	struct mem_cgroup *memcg;
	int		gen;		/* of LRU_GEN; -1 if it is not in use */
	enum lru_list	lru;
	long		nr;
	long		nr_anon_mapped;
	long		nr_file_mapped;
};

static void lru_run_update(struct lru_run *run)
{
	int type = is_file_lru(run->lru);

	if (!run->nr)
		return;
	if (run->gen < 0)
		update_lru_size(run->lruvec, run->lru, zone_idx(run->zone), run->nr);
	else if (run->nr > 0)
		__lru_gen_update_size(run->lruvec, type,
				      zone_idx(run->zone), run->nr, -1,
				      run->gen);
	else
		__lru_gen_update_size(run->lruvec, type,
				      zone_idx(run->zone), -run->nr, run->gen,
				      -1);
	run->nr = 0;
}

static void lru_run_count(struct lru_run *run, int gen, enum lru_list lru,
			  long nr)
{
	if (gen != run->gen || lru != run->lru) {
		lru_run_update(run);
		run->gen = gen;
		run->lru = lru;
	}
	run->nr += nr;
}

static void lru_run_add(struct lru_run *run, struct folio *folio, long nr)
{
	int gen = __lru_gen_add_folio(run->lruvec, folio, false);
	enum lru_list lru = folio_is_file_lru(folio) * LRU_INACTIVE_FILE;

	if (gen < 0) {
		lru = folio_lru_list(folio);
		if (lru != LRU_UNEVICTABLE)
			list_add(&folio->lru, &run->lruvec->lists[lru]);
	}
	lru_run_count(run, gen, lru, nr);
}

static void lru_run_del(struct lru_run *run, struct folio *folio, long nr)
{
	int gen = __lru_gen_del_folio(run->lruvec, folio, false);
	enum lru_list lru = folio_is_file_lru(folio) * LRU_INACTIVE_FILE;

	if (gen < 0) {
		lru = folio_lru_list(folio);
		if (lru != LRU_UNEVICTABLE)
			list_del(&folio->lru);
	}
	lru_run_count(run, gen, lru, -nr);
}

static void lru_run_end(struct lru_run *run)
{
	if (!run->lruvec)
		return;
	__acquire(&run->lruvec->lru_lock);	/* for sparse, as above */
	lru_run_update(run);
	if (run->nr_anon_mapped)
		__mod_lruvec_state(run->lruvec, NR_ANON_MAPPED,
				   run->nr_anon_mapped);
	if (run->nr_file_mapped)
		__mod_lruvec_state(run->lruvec, NR_FILE_MAPPED,
				   run->nr_file_mapped);
	unlock_page_lruvec_irq(run->lruvec);
}

static noinline void lru_run_begin(struct lru_run *run, struct folio *folio)
{
	lru_run_end(run);
	run->lruvec = folio_lruvec_lock_irq(folio);
	run->zone = folio_zone(folio);
	run->memcg = folio_memcg(folio);
	run->gen = -1;
	run->nr = 0;
	run->nr_anon_mapped = 0;
	run->nr_file_mapped = 0;
}

/* Get the lock for @folio, unless @run has it already. */
static __always_inline void lru_run_lock(struct lru_run *run,
					 struct folio *folio)
{
	if (folio_zone(folio) != run->zone || folio_memcg(folio) != run->memcg)
		lru_run_begin(run, folio);
}

static void lru_run_mapped(struct lru_run *run, struct cm_fast_entry *e, int nr)
{
	if (e->file)
		run->nr_file_mapped += nr;
	else
		run->nr_anon_mapped += nr;
}

/* The entries are gone: so are the mappings. */
static void fast_remove_rmap(struct cm_fast_entry *e, struct lru_run *run)
{
	unsigned int i;

	if (e->nr == 1) {
		if (e->exclusive)
			ClearPageAnonExclusive(&e->src->page);
		atomic_set(&e->src->_mapcount, -1);
		lru_run_mapped(run, e, -1);
	} else if (e->exclusive) {
		for (i = 0; i < e->nr; i++)
			ClearPageAnonExclusive(folio_page(e->src, i));
	}
}

/* Take the folios off the LRU, and those that move off the rmap. */
static void fast_isolate(struct cm_fast *fast)
{
	struct lru_run run = {};
	struct cm_fast_entry *e;
	bool large = false;

	for_each_fast_entry(e, fast) {
		lru_run_lock(&run, e->src);
		lru_run_del(&run, e->src, e->nr);
		if (e->state == CM_FAST_TAKEN)
			fast_remove_rmap(e, &run);
		large |= e->nr > 1;
	}
	lru_run_end(&run);
	if (!large)
		return;
	/* May take the lock of the memory cgroup's split queue. */
	for_each_fast_entry(e, fast)
		if (e->nr > 1 && e->state == CM_FAST_TAKEN)
			folio_remove_rmap_ptes(e->src, &e->src->page, e->nr,
					       fast->vma);
}

/**
 * cm_fast_unmap - see to it that nobody uses what was taken any more
 * @fast: the fast path of a batch
 *
 * Ends what cm_fast_begin() began; call cm_fast_finish() when the page table
 * lock has been released.
 */
void cm_fast_unmap(struct cm_fast *fast)
{
	struct cm_fast_entry *e;

	if (!fast->nr)
		goto out;

	arch_flush_lazy_mmu_mode();
	e = &fast->entry[fast->nr - 1];
	flush_tlb_range(fast->vma, fast->entry[0].addr,
			e->addr + e->nr * PAGE_SIZE);
	/*
	 * Pairs with the reference that gup_fast_pte_range() takes before it
	 * reads the entry again: either it sees that the entry has changed, or
	 * we see the reference.
	 */
	smp_mb();
	for_each_fast_entry(e, fast)
		if (folio_ref_count(e->src) != e->refs)
			fast_undo(fast, e);
	fast_isolate(fast);
out:
	arch_leave_lazy_mmu_mode();
}

/* Mapped as they are now, the copies need no reference of ours any more. */
static void fast_add_lru(struct cm_fast *fast)
{
	struct lru_run run = {};
	struct cm_fast_entry *e;

	for_each_fast_entry(e, fast) {
		if (e->state != CM_FAST_TAKEN && e->state != CM_FAST_UNMAPPED)
			continue;
		lru_run_lock(&run, e->dst);
		folio_set_lru(e->dst);
		lru_run_add(&run, e->dst, e->nr);
		if (e->nr == 1 && e->state == CM_FAST_TAKEN)
			lru_run_mapped(&run, e, 1);
	}
	lru_run_end(&run);
}

/* The usual case: one page, and nobody has touched its entry. */
static void fast_map_page(struct cm_fast *fast, struct cm_fast_entry *e)
{
	pte_t *ptep = cm_fast_ptep(fast, e->addr);
	pte_t pte = ptep_get(ptep);

	if (!pte_same(pte, e->swp_pte) &&
	    !cm_fast_is_migration(pte, &e->src->page)) {
		e->state = e->file ? CM_FAST_UNMAPPED : CM_FAST_GONE;
		return;
	}
	/*
	 * folio_add_anon_rmap_pte() or folio_add_file_rmap_pte(), but for what
	 * fast_add_lru() counts; GUP may find the page as soon as there is an
	 * entry.
	 */
	atomic_set(&e->dst->_mapcount, 0);
	if (e->file)
		folio_get(e->dst);
	if (e->exclusive)
		SetPageAnonExclusive(&e->dst->page);

	/* The difference of two frame numbers has to fit, shifted, in a long. */
	if (!IS_ENABLED(CONFIG_64BIT) || !pte_same(pte, e->swp_pte)) {
		cm_fast_map_pte(fast, e->addr, ptep, pte, &e->dst->page);
		return;
	}
	pte = pte_advance_pfn(e->pte,
			      folio_pfn(e->dst) - folio_pfn(e->src));
	set_pte_at(fast->vma->vm_mm, e->addr, ptep, pte);
	update_mmu_cache(fast->vma, e->addr, ptep);
}

/* A page table that is gone was emptied first. */
static void fast_all_gone(struct cm_fast *fast)
{
	struct cm_fast_entry *e;

	for_each_fast_entry(e, fast) {
		if (e->state == CM_FAST_TAKEN && e->file)
			e->state = CM_FAST_UNMAPPED;
		else if (!e->file && e->state != CM_FAST_BACK)
			e->state = CM_FAST_GONE;
	}
	fast_add_lru(fast);
}

/* What could not be copied: as it was. */
static void fast_map_src(struct cm_fast *fast, struct cm_fast_entry *e)
{
	if (e->file)
		cm_file_map_src(fast, e);
	else
		cm_anon_map(fast, e, e->src);
}

static void fast_map(struct cm_fast *fast)
{
	struct cm_fast_entry *e;
	spinlock_t *ptl;
	pte_t *base;

	base = pte_offset_map_lock(fast->vma->vm_mm, fast->pmd, fast->start,
				   &ptl);
	if (!base) {
		fast_all_gone(fast);
		return;
	}
	fast->base = base;
	__acquire(ptl);			/* for sparse, which cannot know */
	arch_enter_lazy_mmu_mode();
	/* All that was written to the copies, before anybody can see them. */
	smp_wmb();
	for_each_fast_entry(e, fast) {
		if (e->state == CM_FAST_FAILED)
			fast_map_src(fast, e);
		else if (e->state == CM_FAST_TAKEN && e->nr > 1)
			cm_anon_map(fast, e, e->dst);
		else if (e->state == CM_FAST_TAKEN)
			fast_map_page(fast, e);
	}
	fast_add_lru(fast);
	arch_leave_lazy_mmu_mode();
	pte_unmap_unlock(base, ptl);
}

/* It is isolated, mapped, and ours: let migrate_pages() see about it. */
static void fast_give_back(struct cm_batch *batch, struct cm_fast_entry *e)
{
	struct folio *folio = e->src;

	folio_unlock(folio);
	list_add_tail(&folio->lru, &batch->folios);
	node_stat_mod_folio(folio, NR_ISOLATED_ANON + folio_is_file_lru(folio),
			    e->nr);
	cm_batch_add(batch, folio, e->addr, folio_nid(e->dst));
}

/* Drop what was moved, or zapped; who waits for it has no reference. */
static void fast_free_src(struct cm_fast_entry *e, struct folio_batch *fbatch)
{
	folio_unlock(e->src);
	if (e->nr > 1 || folio_memcg_charged(e->src))
		folio_put_refs(e->src, e->nr);
	else if (folio_put_testzero(e->src) &&
		 !folio_batch_add(fbatch, e->src))
		free_unref_folios(fbatch);
}

/* Every folio to where it belongs now, and account for it. */
static void fast_settle(struct cm_batch *batch)
{
	struct cpuset_migrate_job *job = batch->job;
	struct cm_fast *fast = &batch->fast;
	unsigned int moved = 0, gone = 0, given_back = 0;
	struct folio_batch fbatch;
	struct cm_fast_entry *e;

	if (!fast->nr)
		return;

	folio_batch_init(&fbatch);
	for_each_fast_entry(e, fast) {
		if (e->state == CM_FAST_BACK || e->state == CM_FAST_FAILED) {
			given_back += e->nr;
			fast_give_back(batch, e);
			folio_put(e->dst);
			continue;
		}
		if (e->state == CM_FAST_GONE) {
			gone += e->nr;
			/* Must not be set on what is freed; LRU_GEN sets it. */
			folio_clear_active(e->src);
			folio_clear_active(e->dst);
		} else {
			moved += e->nr;
			if (e->file)
				folio_unlock(e->dst);
		}
		/* A file's copy that is mapped has one for its unlocking. */
		if (e->state != CM_FAST_TAKEN || e->file)
			folio_put(e->dst);
		fast_free_src(e, &fbatch);
	}
	if (folio_batch_count(&fbatch))
		free_unref_folios(&fbatch);

	job->moved += moved;
	job->tally.n[CM_MOVED] += moved;
	job->tally.n[CM_GONE] += gone;
	count_vm_events(PGMIGRATE_SUCCESS, moved);
	trace_mm_migrate_pages(moved, given_back, 0, 0, 0, 0, MIGRATE_ASYNC,
			       MR_CPUSET);
}

static void fast_copy(struct cm_fast_entry *e)
{
	if (cm_copy_fails() || !(e->file ? cm_file_copy(e) : cm_anon_copy(e)))
		e->state = CM_FAST_FAILED;
}

/*
 * As many pages at a time as half of max_stall_usec allows: the walk holds
 * mmap_lock for the other half before it begins with the last of them.  What takes
 * too long once may be the doing of others, and less pages would not help.
 */
static void fast_steer(struct cm_fast *fast, u64 nsec)
{
	u64 limit = READ_ONCE(cm_max_stall_usec) * (u64)NSEC_PER_USEC / 2;
	bool slow = nsec > limit;

	if (slow && fast->slow)
		fast->limit = max(fast->limit / 2, CM_FAST_PAGES_MIN);
	else if (nsec < limit / 2)
		fast->limit = min(fast->limit * 2, CM_FAST_PAGES);
	fast->slow = slow;
}

/**
 * cm_fast_finish - move what was taken
 * @batch: the batch; gets folios that turned out not to be so simple
 *
 * Call with mmap_lock held for reading, the same hold as for cm_fast_begin(),
 * and without other locks.
 */
void cm_fast_finish(struct cm_batch *batch)
{
	struct cm_fast *fast = &batch->fast;
	struct cm_fast_entry *e;

	if (fast->nr) {
		for_each_fast_entry(e, fast)
			if (e->state == CM_FAST_TAKEN)
				fast_copy(e);
		fast_map(fast);
		fast_steer(fast, cm_elapsed(fast->begin));
	}
	if (fast->notified) {
		mmu_notifier_invalidate_range_end(&fast->range);
		fast->notified = false;
	}
	fast_settle(batch);
	fast_reset(fast);
}
