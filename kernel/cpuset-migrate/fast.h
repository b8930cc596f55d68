/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fast path, as the walk sees it.
 */
#ifndef _CPUSET_MIGRATE_FAST_H
#define _CPUSET_MIGRATE_FAST_H

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/nodemask.h>
#include <linux/page-flags.h>

struct cm_batch;

/*
 * Folios, and pages, that go at a time.  Locks are taken and TLBs flushed once
 * for all; beyond some dozens that saves nothing more.
 */
#define CM_FAST_FOLIOS		64
#define CM_FAST_PAGES		128U
#define CM_FAST_PAGES_MIN	8U

enum cm_fast_state {
	CM_FAST_TAKEN,		/* unmapped; later, moved */
	CM_FAST_BACK,		/* isolated and mapped as it was */
	CM_FAST_FAILED,		/* unmapped, could not be copied */
	CM_FAST_UNMAPPED,	/* moved within its file, the entry zapped meanwhile */
	CM_FAST_GONE,		/* zapped meanwhile */
};

/**
 * struct cm_fast_entry - a folio on the fast path
 * @addr: where it is mapped
 * @src: the folio
 * @dst: its copy
 * @pte: the entry that mapped it, if it is a single page
 * @swp_pte: the migration entry that took its place
 * @nr: its pages
 * @refs: references to it, all of which are accounted for
 * @file: it is of a file, or of shared memory
 * @exclusive: PageAnonExclusive() of its pages
 * @state: how far it got
 */
struct cm_fast_entry {
	unsigned long	addr;
	struct folio	*src;
	struct folio	*dst;
	pte_t		pte;
	pte_t		swp_pte;
	u16		nr;
	u16		refs;
	bool		file;
	bool		exclusive;
	enum cm_fast_state state;
};

/**
 * struct cm_fast - folios of one page table, on the fast path
 * @nr: used entries of @entry
 * @nr_pages: pages in them
 * @limit: pages to move at a time, steered by the time they take
 * @slow: the last ones took too long
 * @max: pages to take from this page table before it is full
 * @no_room: nodes that had no room for all; the batch sees about single pages
 * @vma: where the folios are
 * @pmd: the page table
 * @start: what the page table maps, as far as it is looked at
 * @end: its end
 * @base: the entry of @start
 * @begin: when the first of them was taken, local_clock()
 * @range: the MMU notifiers know that entries in it are to go
 * @notified: they do
 * @stock: single pages of each node, to be used
 * @entry: the folios, in the order of their addresses
 */
struct cm_fast {
	unsigned int	nr;
	unsigned int	nr_pages;
	unsigned int	limit;
	bool		slow;
	unsigned long	max;
	nodemask_t	no_room;
	struct vm_area_struct *vma;
	pmd_t		*pmd;
	unsigned long	start;
	unsigned long	end;
	pte_t		*base;
	u64		begin;
	struct mmu_notifier_range range;
	bool		notified;
	struct list_head stock[MAX_NUMNODES];
	struct cm_fast_entry entry[CM_FAST_FOLIOS];
};

#define for_each_fast_entry(e, fast) \
	for ((e) = (fast)->entry; (e) < (fast)->entry + (fast)->nr; (e)++)

/* What folios may not have, but for PG_lru, and PG_locked while they are ours. */
#define CM_FAST_FLAGS_MASK	(BIT(PG_lru) | BIT(PG_locked) | \
				 BIT(PG_writeback) | BIT(PG_swapcache) | \
				 BIT(PG_unevictable) | BIT(PG_reserved) | \
				 __PG_MLOCKED | __PG_HWPOISON)

/**
 * cm_fast_looks_simple - is a folio likely to be taken?
 * @folio: a folio that a page table maps; its lock is held
 *
 * The cheapest of the questions that cm_fast_take() asks.
 */
static inline bool cm_fast_looks_simple(struct folio *folio)
{
	return (folio->flags & CM_FAST_FLAGS_MASK) == BIT(PG_lru);
}

static inline bool cm_fast_full(const struct cm_fast *fast)
{
	return fast->nr == CM_FAST_FOLIOS || fast->nr_pages >= fast->max;
}

static inline pte_t *cm_fast_ptep(struct cm_fast *fast, unsigned long addr)
{
	return fast->base + ((addr - fast->start) >> PAGE_SHIFT);
}

/* fast.c */

void cm_fast_init(struct cm_fast *fast);
void cm_fast_give_back(struct cm_fast *fast);
bool cm_fast_vma(struct vm_area_struct *vma);
void cm_fast_notify(struct cm_fast *fast, struct vm_area_struct *vma,
		    unsigned long start, unsigned long end);
void cm_fast_begin(struct cm_fast *fast, unsigned long max,
		   struct vm_area_struct *vma, pmd_t *pmd, unsigned long start,
		   unsigned long end, pte_t *base);
unsigned int cm_fast_take(struct cm_batch *batch, struct folio *folio,
			  unsigned long addr, pte_t *ptep, pte_t pte, int nid);
void cm_fast_unmap(struct cm_fast *fast);
void cm_fast_finish(struct cm_batch *batch);

bool cm_fast_is_migration(pte_t pte, struct page *page);
void cm_fast_map_pte(struct cm_fast *fast, unsigned long addr, pte_t *ptep,
		     pte_t swp_pte, struct page *page);

/* anon.c */

/**
 * cm_anon_is_simple - is an anonymous folio in nobody else's hands?
 * @folio: the folio, locked and without PG_lru
 * @nr: its pages
 *
 * Its mappings have to be as many as it has pages.  Inline, since it is asked
 * for most pages that there are.
 */
static inline bool cm_anon_is_simple(struct folio *folio, unsigned int nr)
{
	return (folio->flags & (CM_FAST_FLAGS_MASK | BIT(PG_private) |
				BIT(PG_swapbacked))) ==
	       (BIT(PG_locked) | BIT(PG_swapbacked)) &&
	       !folio_test_ksm(folio) && folio_mapcount(folio) == nr;
}

bool cm_anon_large_is_simple(struct cm_fast *fast, unsigned long addr,
			     struct folio *folio, pte_t *ptep, pte_t pte);
bool cm_anon_copy(struct cm_fast_entry *e);
void cm_anon_map(struct cm_fast *fast, struct cm_fast_entry *e,
		 struct folio *folio);

/* file.c */

unsigned int cm_file_refs(struct folio *folio);
bool cm_file_copy(struct cm_fast_entry *e);
void cm_file_map_src(struct cm_fast *fast, struct cm_fast_entry *e);

#endif /* _CPUSET_MIGRATE_FAST_H */
