// SPDX-License-Identifier: GPL-2.0
/*
 * The last resort: to swap with what has no place on the new nodes.
 *
 * Only where the administrator wants that, and only when the other nodes and
 * reclaim on them have had their chance, in the passes before.  Whoever touches
 * such a page gets it back where the policy and the cpuset say.
 *
 * Reclaim does it, and looks after the limits that the cgroup has.  How it keeps
 * itself from being entered again, PF_MEMALLOC, nests.  What it cannot free yet,
 * since it is being written, the job remembers, to have it freed before the next
 * pass: no page table leads there any more.
 */

#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/swap.h>

#include "../../mm/internal.h"

#include "internal.h"

/* The first pass that may do it. */
#define CM_SWAP_PASS	2

/* May memory without a place be swapped out? */
bool cm_swap_fallback;

static bool swap_allowed(struct cpuset_migrate_job *job)
{
	return READ_ONCE(cm_swap_fallback) && job->pass >= CM_SWAP_PASS;
}

/**
 * cm_swap_wants - is a folio that has no place to be swapped out?
 * @job: whose it is
 * @folio: the folio, isolated
 *
 * Anonymous and shared memory can be; not what is locked, nor what its owner
 * does not need any more, which reclaim would just drop.
 */
bool cm_swap_wants(struct cpuset_migrate_job *job, struct folio *folio)
{
	return swap_allowed(job) && folio_test_swapbacked(folio) &&
	       !folio_test_hugetlb(folio) && !folio_test_mlocked(folio) &&
	       !node_isset(folio_nid(folio), job->part->mems) &&
	       get_nr_swap_pages() > 0;
}

/* Let reclaim have isolated folios; returns the number of pages it has freed. */
static unsigned long swap_reclaim(struct list_head *folios)
{
	struct folio *folio;

	list_for_each_entry(folio, folios, lru)
		node_stat_mod_folio(folio, NR_ISOLATED_ANON +
				    folio_is_file_lru(folio),
				    -folio_nr_pages(folio));
	return reclaim_pages(folios);
}

/* Is a folio swapped out, and takes nothing but memory? */
static bool swap_is_over(struct folio *folio)
{
	return folio_test_swapcache(folio) && !folio_mapped(folio);
}

/* Remember what of a folio is there yet; reclaim may have split it. */
static void swap_remember(struct cpuset_migrate_job *job, unsigned long pfn,
			  unsigned long nr)
{
	unsigned long end = pfn + nr;
	struct folio *folio;

	for (; pfn < end; pfn++) {
		folio = page_folio(pfn_to_page(pfn));
		if (!folio_try_get(folio))
			continue;
		/* What is there from an earlier pass has its reference. */
		if (folio_pfn(folio) != pfn || !swap_is_over(folio) ||
		    xa_insert(&job->swapping, pfn, folio,
			      GFP_KERNEL | __GFP_NOWARN))
			folio_put(folio);
	}
}

/**
 * cm_swap_out - swap folios out
 * @batch: the batch they are of, marked there
 * @folios: they, isolated; empty when this returns
 *
 * What is being written is counted as without a place until it is freed.  May
 * sleep, but not for the swap device; call without locks.
 */
void cm_swap_out(struct cm_batch *batch, struct list_head *folios)
{
	struct cpuset_migrate_job *job = batch->job;
	unsigned long nr = 0, freed;
	int nid = NUMA_NO_NODE;
	unsigned int i;

	if (list_empty(folios))
		return;

	for (i = 0; i < batch->nr; i++) {
		if (!batch->slot[i].swap)
			continue;
		nr += batch->slot[i].nr;
		nid = batch->slot[i].src_nid;
	}
	freed = min(swap_reclaim(folios), nr);
	/* To look again is worth it, also for what is being written. */
	job->moved += nr;
	job->tally.n[CM_SWAPPED] += freed;
	cm_count(job, nid, CM_FAIL_NOMEM, nr - freed);
	for (i = 0; i < batch->nr; i++)
		if (batch->slot[i].swap)
			swap_remember(job, folio_pfn(batch->slot[i].src),
				      batch->slot[i].nr);
}

/* Take a folio for reclaim, which wants all references but the list's. */
static bool swap_take(struct folio *folio, struct list_head *folios)
{
	if (!folio_isolate_lru(folio))
		return false;
	node_stat_mod_folio(folio, NR_ISOLATED_ANON + folio_is_file_lru(folio),
			    folio_nr_pages(folio));
	list_add_tail(&folio->lru, folios);
	return true;
}

/**
 * cm_swap_free - free what has been swapped out, before another pass
 * @job: the job, by its worker
 *
 * May sleep; call without locks.
 */
void cm_swap_free(struct cpuset_migrate_job *job)
{
	unsigned long pfn, nr, taken = 0, freed;
	int nid = NUMA_NO_NODE;
	struct folio *folio;
	LIST_HEAD(folios);

	xa_for_each(&job->swapping, pfn, folio) {
		nr = folio_nr_pages(folio);
		if (!swap_is_over(folio)) {
			/* Somebody has it back, and the pass comes to it. */
			xa_erase(&job->swapping, pfn);
			folio_put(folio);
			continue;
		}
		nid = folio_nid(folio);
		if (folio_test_writeback(folio) || !swap_take(folio, &folios)) {
			cm_count(job, nid, CM_FAIL_NOMEM, nr);
			continue;
		}
		taken += nr;
		xa_erase(&job->swapping, pfn);
		folio_put(folio);
	}
	if (!taken)
		return;
	freed = min(swap_reclaim(&folios), taken);
	job->moved += freed;
	job->tally.n[CM_SWAPPED] += freed;
	cm_count(job, nid, CM_FAIL_NOMEM, taken - freed);
}

/**
 * cm_swap_forget - leave it to others to free what has been swapped out
 * @job: the job
 */
void cm_swap_forget(struct cpuset_migrate_job *job)
{
	struct folio *folio;
	unsigned long pfn;

	xa_for_each(&job->swapping, pfn, folio) {
		xa_erase(&job->swapping, pfn);
		folio_put(folio);
	}
}
