// SPDX-License-Identifier: GPL-2.0
/*
 * Anonymous folios on the fast path.
 */

#include <linux/memory-tiers.h>
#include <linux/migrate.h>
#include <linux/page_idle.h>
#include <linux/page_owner.h>
#include <linux/rmap.h>
#include <linux/sched/sysctl.h>
#include <linux/swapops.h>

#include "../../mm/internal.h"

#include "internal.h"

/**
 * cm_anon_large_is_simple - is all of a folio mapped here, and alike?
 * @fast: the fast path of a batch, its page table locked
 * @addr: where an entry maps it
 * @folio: the folio, which is large
 * @ptep: the entry
 * @pte: what it says
 *
 * Return: true if @addr maps its first page and the entries that follow the
 * rest, and none of it is poisoned or to be split.  Rights may differ: each
 * entry keeps its own.
 */
bool cm_anon_large_is_simple(struct cm_fast *fast, unsigned long addr,
			     struct folio *folio, pte_t *ptep, pte_t pte)
{
	const fpb_t ignore = FPB_IGNORE_DIRTY | FPB_IGNORE_SOFT_DIRTY;
	unsigned int nr = folio_nr_pages(folio);
	bool exclusive = PageAnonExclusive(&folio->page);
	unsigned int i;

	if (nr >= PTRS_PER_PTE || pte_pfn(pte) != folio_pfn(folio) ||
	    nr > (fast->end - addr) >> PAGE_SHIFT ||
	    folio_test_has_hwpoisoned(folio) ||
	    /* who maps all of it does not queue it meanwhile */
	    !data_race(list_empty(&folio->_deferred_list)) ||
	    folio_test_partially_mapped(folio) ||
	    folio_pte_batch(folio, addr, ptep, pte, nr, ignore, NULL, NULL,
			    NULL) != nr)
		return false;
	for (i = 1; i < nr; i++)
		if (PageAnonExclusive(folio_page(folio, i)) != exclusive)
			return false;
	return true;
}

/*
 * What folio_migrate_flags() does, for a single page that is as
 * cm_anon_is_simple() says.
 */
static void anon_copy_flags(struct folio *dst, struct folio *src)
{
	const unsigned long copied = BIT(PG_referenced) | BIT(PG_uptodate) |
				     BIT(PG_active) | BIT(PG_workingset) |
				     BIT(PG_checked) | BIT(PG_dirty) |
				     BIT(PG_swapbacked);
	int cpupid = folio_last_cpupid(src);

	set_mask_bits(&dst->flags, 0, READ_ONCE(src->flags) & copied);
	if (folio_test_active(src))
		folio_clear_active(src);
	if (folio_test_young(src))
		folio_set_young(dst);
	if (folio_test_idle(src))
		folio_set_idle(dst);
	/* With memory tiers it is a time, and of no use on another tier. */
	if ((sysctl_numa_balancing_mode & NUMA_BALANCING_MEMORY_TIERING) &&
	    node_is_toptier(folio_nid(src)) != node_is_toptier(folio_nid(dst)))
		cpupid = -1;
	if (cpupid != folio_last_cpupid(dst))
		folio_xchg_last_cpupid(dst, cpupid);
	folio_copy_owner(dst, src);
	pgalloc_tag_copy(dst, src);
	mem_cgroup_migrate(src, dst);
}

/**
 * cm_anon_copy - make the copy of an anonymous folio what the folio is
 * @e: the folio, unmapped
 *
 * Return: false if it cannot be read.
 */
bool cm_anon_copy(struct cm_fast_entry *e)
{
	struct folio *src = e->src, *dst = e->dst;

	if (e->nr == 1 ? copy_mc_highpage(&dst->page, &src->page) :
			 folio_mc_copy(dst, src))
		return false;
	/* Nobody else has seen it yet. */
	__folio_set_locked(dst);
	dst->index = src->index;
	dst->mapping = src->mapping;
	if (e->nr == 1) {
		anon_copy_flags(dst, src);
	} else {
		__folio_set_swapbacked(dst);
		mod_mthp_stat(folio_order(dst), MTHP_STAT_NR_ANON, 1);
		folio_migrate_flags(dst, src);
	}
	__folio_clear_locked(dst);
	return true;
}

/* Was any entry of @e left alone?  How was it mapped? */
static bool anon_survives(struct cm_fast *fast, struct cm_fast_entry *e,
			  rmap_t *flags)
{
	pte_t *ptep = cm_fast_ptep(fast, e->addr);
	unsigned int i;
	pte_t pte;

	for (i = 0; i < e->nr; i++) {
		pte = ptep_get(ptep + i);
		if (!cm_fast_is_migration(pte, folio_page(e->src, i)))
			continue;
		*flags = is_readable_migration_entry(pte_to_swp_entry(pte)) ?
			 RMAP_NONE : RMAP_EXCLUSIVE;
		return true;
	}
	return false;
}

/**
 * cm_anon_map - map a large copy, or what could not be copied
 * @fast: the fast path of a batch, its page table locked
 * @e: the anonymous folio
 * @folio: it or its copy
 *
 * The reference that came with the copy is that of its first entry.
 */
void cm_anon_map(struct cm_fast *fast, struct cm_fast_entry *e,
		 struct folio *folio)
{
	pte_t *ptep = cm_fast_ptep(fast, e->addr);
	unsigned long addr = e->addr;
	struct page *page;
	rmap_t flags;
	unsigned int i;
	pte_t pte;

	if (!anon_survives(fast, e, &flags)) {
		e->state = CM_FAST_GONE;
		return;
	}
	folio_add_anon_rmap_ptes(folio, &folio->page, e->nr, fast->vma, addr,
				 flags);
	/* The copy came with one; what goes back to the LRU needs one more. */
	folio_ref_add(folio, folio == e->dst ? e->nr - 1 : 1);
	for (i = 0; i < e->nr; i++, ptep++, addr += PAGE_SIZE) {
		pte = ptep_get(ptep);
		page = folio_page(folio, i);
		if (cm_fast_is_migration(pte, folio_page(e->src, i))) {
			cm_fast_map_pte(fast, addr, ptep, pte, page);
			continue;
		}
		folio_remove_rmap_pte(folio, page, fast->vma);
		folio_put(folio);
	}
}
