// SPDX-License-Identifier: GPL-2.0
/*
 * A batch of isolated folios: find them a place, migrate them, account.
 *
 * Destinations are allocated before migrate_pages() is called, with nothing
 * locked.  So a batch may go to several nodes at once, one folio without a
 * place does not stop the others, and compaction can be tried for a huge page.
 * No node is filled below its low watermark: what a job puts there must not
 * push anybody into direct reclaim or worse.
 */

#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/migrate.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "../../mm/internal.h"

#include "internal.h"
#include "trace.h"

/* Attempts at folios that somebody else has locked or refers to. */
#define CM_ATTEMPTS		4

#define CM_GFP ((GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOMEMALLOC | \
		 __GFP_NOWARN) & ~__GFP_RECLAIM)

static void batch_reset(struct cm_batch *batch)
{
	batch->chained = false;
	batch->nr_pages = 0;
	batch->nr = 0;
	batch->hint = 0;
	batch->room = 0;
	batch->room_nid = NUMA_NO_NODE;
	nodes_clear(batch->full);
}

/**
 * cm_batch_alloc - make an empty batch
 * @job: the job it is for
 *
 * Return: the batch, for cm_batch_free().  May sleep; does not fail.
 */
struct cm_batch *cm_batch_alloc(struct cpuset_migrate_job *job)
{
	struct cm_batch *batch;

	batch = kvmalloc(sizeof(*batch), GFP_KERNEL | __GFP_NOFAIL);
	batch->job = job;
	batch->allowed = job->part->mems;
	cm_fast_init(&batch->fast);
	INIT_LIST_HEAD(&batch->folios);
	batch_reset(batch);
	return batch;
}

/**
 * cm_batch_free - free a batch
 * @batch: the batch, empty; may be NULL
 */
void cm_batch_free(struct cm_batch *batch)
{
	if (!batch)
		return;
	cm_fast_give_back(&batch->fast);
	kvfree(batch);
}

/**
 * cm_folio_file - the file that a folio is cache of
 * @folio: the folio
 *
 * Not folio_mapping(): what is being swapped out, or was read from swap ahead,
 * is nobody's yet, and the mapping that has the swap cache has no inode.
 *
 * Return: the file's mapping, valid under RCU only, since nothing else keeps the
 * inode; NULL if there is none.
 */
struct address_space *cm_folio_file(struct folio *folio)
{
	struct address_space *mapping = READ_ONCE(folio->mapping);

	return (unsigned long)mapping & PAGE_MAPPING_FLAGS ? NULL : mapping;
}

/**
 * cm_folio_is_pinned - is a folio pinned for long?
 * @folio: the folio
 * @extra: references of the caller's
 *
 * Then migrate_pages() would only try in vain.
 */
bool cm_folio_is_pinned(struct folio *folio, int extra)
{
	return folio_maybe_dma_pinned(folio) &&
	       folio_ref_count(folio) > folio_expected_ref_count(folio) + extra;
}

/**
 * cm_batch_is_full - would a folio be too much?
 * @batch: the batch
 * @folio: the folio
 */
bool cm_batch_is_full(const struct cm_batch *batch, struct folio *folio)
{
	return batch->nr == CM_BATCH_PAGES ||
	       (batch->nr && batch->nr_pages + folio_nr_pages(folio) >
			     batch->job->batch_pages);
}

/**
 * cm_batch_isolate - take a folio off its list
 * @batch: the batch
 * @folio: the folio, which somebody maps or refers to
 *
 * Return: true if it is last in @batch->folios, for cm_batch_add().
 */
bool cm_batch_isolate(struct cm_batch *batch, struct folio *folio)
{
	if (folio_test_hugetlb(folio))
		return isolate_hugetlb(folio, &batch->folios);

	if (!folio_isolate_lru(folio))
		return false;
	list_add_tail(&folio->lru, &batch->folios);
	node_stat_mod_folio(folio, NR_ISOLATED_ANON + folio_is_file_lru(folio),
			    folio_nr_pages(folio));
	return true;
}

/**
 * cm_batch_add - add an isolated folio
 * @batch: the batch, not full
 * @folio: the folio, already last in @batch->folios
 * @addr: where it is mapped; 0 if it is not, or that is not known
 * @nid: where it goes, or NUMA_NO_NODE for the best node allowed
 */
void cm_batch_add(struct cm_batch *batch, struct folio *folio,
		  unsigned long addr, int nid)
{
	struct cm_slot *slot = &batch->slot[batch->nr++];

	memset(slot, 0, sizeof(*slot));
	slot->src = folio;
	slot->addr = addr;
	slot->nid = nid;
	slot->src_nid = folio_nid(folio);
	slot->nr = folio_nr_pages(folio);
	slot->thp = folio_test_pmd_mappable(folio) &&
		    !folio_test_hugetlb(folio);
	slot->reason = CM_FAIL_BUSY;
	batch->nr_pages += slot->nr;
}

/* Pages that one allocation may take off the free lists, for the next ones. */
static unsigned long zone_refill(struct zone *zone)
{
	return min(zone->pageset_batch << CONFIG_PCP_BATCH_SCALE_MAX,
		   zone->pageset_high_max);
}

/*
 * Does the node, and a zone of it, stay above the low watermark with @nr more
 * pages gone, whatever the other workers do at the same time?
 */
static bool node_has_room(int nid, unsigned int order, unsigned int nr)
{
	unsigned int workers = max(cm_workers_nr(), 1U);
	enum zone_type highest = gfp_zone(CM_GFP);
	unsigned long take, free = 0, low = 0;
	bool zone_ok = false;
	struct zone *zone;
	int i;

	for (i = highest; i >= 0; i--) {
		zone = &NODE_DATA(nid)->node_zones[i];
		if (!populated_zone(zone))
			continue;
		take = workers * (nr + zone_refill(zone));
		free += zone_page_state(zone, NR_FREE_PAGES);
		low += low_wmark_pages(zone);
		if (!zone_ok && zone_watermark_ok_safe(zone, order,
						       low_wmark_pages(zone) +
						       take, highest)) {
			zone_ok = true;
			low += take;
		}
	}
	return zone_ok && free > low;
}

static bool batch_has_room(struct cm_batch *batch, int nid, unsigned int order)
{
	unsigned int nr = 1 << order;

	if (node_isset(nid, batch->full))
		return false;
	if (batch->room_nid == nid && batch->room >= nr) {
		batch->room -= nr;
		return true;
	}
	if (!order && node_has_room(nid, 0, CM_BATCH_PAGES)) {
		batch->room_nid = nid;
		batch->room = CM_BATCH_PAGES - nr;
		return true;
	}
	if (node_has_room(nid, order, nr))
		return true;
	if (!order)
		node_set(nid, batch->full);
	return false;
}

/*
 * Pages that are neighbours in their address space are likely to become
 * neighbours in memory if they come from one block, and cost less.
 */
static unsigned int alloc_block(int nid, unsigned int nr,
				struct list_head *pages)
{
	unsigned int i, order = ilog2(nr);
	struct page *block;

	block = alloc_pages_node(nid, CM_GFP, order);
	if (!block)
		return 0;
	split_page(block, order);
	for (i = 0; i < 1U << order; i++) {
		/* Was not done for all pages of the block. */
		set_page_private(block + i, 0);
		list_add_tail(&block[i].lru, pages);
	}
	return 1U << order;
}

/**
 * cm_alloc_pages - allocate some single pages, within the watermarks
 * @batch: the batch they are for
 * @nid: their node
 * @nr: how many, a power of two
 * @pages: where to put them
 *
 * Return: how many there are; 0 if the node has no room for all.  Never sleeps.
 */
unsigned int cm_alloc_pages(struct cm_batch *batch, int nid, unsigned int nr,
			    struct list_head *pages)
{
	if (batch->room_nid != nid || batch->room < nr) {
		batch->room_nid = nid;
		batch->room = CM_BATCH_PAGES;
		if (!node_has_room(nid, 0, CM_BATCH_PAGES))
			batch->room = node_has_room(nid, 0, nr) ? nr : 0;
		if (!batch->room)
			return 0;
	}
	batch->room -= nr;
	return alloc_block(nid, nr, pages) ?:
	       __alloc_pages_bulk(CM_GFP, nid, NULL, nr, pages, NULL);
}

/**
 * cm_alloc_folio - allocate a large folio, within the watermarks
 * @batch: the batch it is for
 * @nid: its node
 * @order: its order
 *
 * Return: the folio, or NULL.  Never sleeps.
 */
struct folio *cm_alloc_folio(struct cm_batch *batch, int nid,
			     unsigned int order)
{
	if (!batch_has_room(batch, nid, order))
		return NULL;
	return __folio_alloc(CM_GFP | __GFP_COMP, order, nid, NULL);
}

#ifdef CONFIG_HUGETLB_PAGE
/* A free page of the pool, or one made for the time the old one needs. */
static struct folio *alloc_huge(struct cm_batch *batch, struct folio *src,
				int nid)
{
	struct hstate *h = folio_hstate(src);
	bool in_pool = h->free_huge_pages_node[nid] &&
		       h->free_huge_pages > h->resv_huge_pages;
	gfp_t gfp = htlb_modify_alloc_mask(h, CM_GFP);

	if (!in_pool && !batch_has_room(batch, nid, folio_order(src)))
		return NULL;
	gfp = (gfp & ~__GFP_RECLAIM) | __GFP_NOMEMALLOC;
	return alloc_hugetlb_folio_nodemask(h, nid, NULL, gfp, false);
}
#else
static struct folio *alloc_huge(struct cm_batch *batch, struct folio *src,
				int nid)
{
	return NULL;
}
#endif

static struct folio *alloc_on(struct cm_batch *batch, struct folio *src,
			      int nid)
{
	unsigned int order = folio_order(src);

	if (folio_test_hugetlb(src))
		return alloc_huge(batch, src, nid);
	if (!batch_has_room(batch, nid, order))
		return NULL;
	return __folio_alloc(order ? CM_GFP | __GFP_COMP : CM_GFP, order, nid,
			     NULL);
}

/*
 * With compaction, where there is room but in pieces.  The page allocator only
 * compacts for what is costly: for less it would push out other people's pages.
 */
static struct folio *alloc_compacted(struct cm_batch *batch, struct folio *src,
				     int nid)
{
	unsigned int order = folio_order(src);
	unsigned int costly = max(order, PAGE_ALLOC_COSTLY_ORDER + 1U);
	gfp_t gfp = CM_GFP | __GFP_COMP;
	struct folio *folio;

	if (!IS_ENABLED(CONFIG_COMPACTION) || !batch_has_room(batch, nid, 0) ||
	    !node_has_room(nid, 0, 1 << costly))
		return NULL;
	folio = __folio_alloc(gfp | __GFP_DIRECT_RECLAIM | __GFP_NORETRY,
			      costly, nid, NULL);
	if (!folio || costly == order)
		return folio;
	/* What becomes free is large enough. */
	folio_put(folio);
	return __folio_alloc(gfp, order, nid, NULL);
}

static unsigned long node_free_pages(int nid)
{
	return sum_zone_node_page_state(nid, NR_FREE_PAGES);
}

/**
 * cm_nearest_node - the node of a set that is nearest to another node
 * @from: the other node
 * @mask: the set
 *
 * Return: the node; among equals, the one with most free memory.  NUMA_NO_NODE
 * if the set is empty.
 */
int cm_nearest_node(int from, const nodemask_t *mask)
{
	int nid, best = NUMA_NO_NODE;
	int distance, best_distance = INT_MAX;

	for_each_node_mask(nid, *mask) {
		distance = node_distance(from, nid);
		if (distance < best_distance ||
		    (distance == best_distance &&
		     node_free_pages(nid) > node_free_pages(best))) {
			best = nid;
			best_distance = distance;
		}
	}
	return best;
}

/* Let kswapd make room for another try, once a pass. */
static void wake_reclaim(struct cpuset_migrate_job *job, int nid)
{
	struct zone *zone;
	int i;

	if (nid == NUMA_NO_NODE || job->reclaiming)
		return;
	job->reclaiming = true;
	for (i = gfp_zone(CM_GFP); i >= 0; i--) {
		zone = &NODE_DATA(nid)->node_zones[i];
		if (populated_zone(zone)) {
			wakeup_kswapd(zone, GFP_HIGHUSER_MOVABLE, 0,
				      gfp_zone(CM_GFP));
			return;
		}
	}
}

/*
 * A folio that is partly unmapped is split by migrate_pages() in any case; done
 * here, the pieces have their places.
 */
static bool partly_mapped(struct folio *folio)
{
	return folio_test_large(folio) && !folio_test_hugetlb(folio) &&
	       folio_order(folio) > 1 &&
	       /* a hint; migrate_pages() looks in the same way */
	       !data_race(list_empty(&folio->_deferred_list)) &&
	       folio_test_partially_mapped(folio);
}

/*
 * Is a folio where it may be, and its policy wants it elsewhere?  Under a chained
 * map such a folio is one that has yet to leave.
 */
static bool slot_may_stay(const struct cm_batch *batch,
			  const struct cm_slot *slot)
{
	return !batch->chained && node_isset(slot->src_nid, batch->allowed);
}

/*
 * Find a folio its place: whole where it should go, with compaction if need be;
 * else in pieces there; else whole on another node it may be on.  @left are the
 * nodes there are.
 */
static void slot_alloc(struct cm_batch *batch, struct cm_slot *slot,
		       nodemask_t left)
{
	struct folio *src = slot->src;
	bool can_split = folio_test_large(src) && !folio_test_hugetlb(src);
	int nid;

	if (partly_mapped(src)) {
		slot->split = true;
		return;
	}
	if (slot_may_stay(batch, slot)) {
		slot->dst = alloc_on(batch, src, slot->nid);
		return;
	}
	/* What is mapped may have a policy that does not want it anywhere else. */
	if (slot->counted)
		nodes_clear(left);
	for (nid = slot->nid; nid != NUMA_NO_NODE;
	     nid = cm_nearest_node(slot->nid, &left)) {
		node_clear(nid, left);

		slot->dst = alloc_on(batch, src, nid);
		if (!slot->dst && can_split && nid == slot->nid)
			slot->dst = alloc_compacted(batch, src, nid);
		if (slot->dst)
			break;
		if (can_split && node_has_room(nid, 0, slot->nr)) {
			slot->nid = nid;
			slot->split = true;
			slot->reason = CM_FAIL_NOMEM;
			break;
		}
	}
}

/*
 * Other address spaces of the change may come across a shared page again after
 * it was moved, and take it for one that has to move.
 */
static bool slot_remember(struct cm_batch *batch, struct cm_slot *slot)
{
	struct folio *src = slot->src;

	if (!batch->chained)
		return true;
	/* A walk comes to an address once; a scan meets what has arrived. */
	if (batch->job->mm && folio_test_anon(src) && !folio_test_large(src) &&
	    folio_mapcount(src) <= 1)
		return true;
	return !xa_err(xa_store(&batch->job->part->change->moved,
				folio_pfn(slot->dst), xa_mk_value(1),
				GFP_KERNEL | __GFP_NOWARN));
}

static void slot_free_dst(struct cm_batch *batch, struct cm_slot *slot)
{
	if (batch->chained)
		xa_erase(&batch->job->part->change->moved,
			 folio_pfn(slot->dst));
	if (folio_test_hugetlb(slot->dst))
		folio_putback_active_hugetlb(slot->dst);
	else
		folio_put(slot->dst);
	slot->dst = NULL;
}

/* Sleep before another attempt; false if it is not worth it. */
static bool batch_nap(struct cm_batch *batch, unsigned int attempt)
{
	return cm_job_nap(batch->job, min(100U << attempt, 2000U));
}

/* Do others who map a folio let it go to a node?  CM_MOVED, or why not. */
static enum cpuset_migrate_stat slot_ask(struct cm_batch *batch,
					 struct cm_slot *slot, int nid)
{
	enum cpuset_migrate_stat why;
	unsigned int attempt;

	for (attempt = 1; ; attempt++) {
		why = cm_share_check(batch->job, slot->src, nid);
		if (why != CM_FAIL_BUSY || attempt == CM_ATTEMPTS ||
		    !batch_nap(batch, attempt))
			return why;
	}
}

/* Find a place for a folio, @slot->dst or @slot->split.  CM_MOVED, or why not. */
static enum cpuset_migrate_stat slot_place(struct cm_batch *batch,
					   struct cm_slot *slot)
{
	bool stray = slot->nid == NUMA_NO_NODE;
	nodemask_t left = batch->allowed;
	enum cpuset_migrate_stat why;
	int nid;

	/* Where it is, it is wrong. */
	node_clear(slot->src_nid, left);
	if (stray)
		slot->nid = cm_nearest_node(slot->src_nid, &left);
	if (slot->nid == NUMA_NO_NODE)
		return CM_FAIL_NOMEM;

	/* A stray may go to the nearest node that is right for others too. */
	nid = slot->nid;
	while ((why = slot_ask(batch, slot, nid)) == CM_SKIP_SHARED && stray) {
		node_clear(nid, left);
		nid = cm_nearest_node(slot->src_nid, &left);
		if (nid == NUMA_NO_NODE)
			break;
		slot->nid = nid;
	}
	if (why != CM_MOVED)
		return why;
	slot_alloc(batch, slot, left);
	if (!slot->dst && !slot->split) {
		if (slot_may_stay(batch, slot))
			return CM_INPLACE;
		wake_reclaim(batch->job, slot->nid);
		return folio_test_hugetlb(slot->src) ? CM_FAIL_HUGETLB :
						       CM_FAIL_NOMEM;
	}
	if (slot->dst)
		slot->nid = folio_nid(slot->dst);
	if (slot->nid != nid) {
		why = slot_ask(batch, slot, slot->nid);
		if (why != CM_MOVED)
			return why;
	}
	return slot->dst && !slot_remember(batch, slot) ? CM_FAIL_BUSY :
							  CM_MOVED;
}

/* Find a place for every folio; those without go to @back, @split or @swap. */
static void batch_alloc(struct cm_batch *batch, struct list_head *back,
			struct list_head *split, struct list_head *swap)
{
	enum cpuset_migrate_stat why;
	struct cm_slot *slot;
	unsigned int i;

	for (i = 0; i < batch->nr; i++) {
		slot = &batch->slot[i];
		why = slot_place(batch, slot);
		if (why != CM_MOVED) {
			slot->reason = why;
			slot->split = false;
			if (slot->dst)
				slot_free_dst(batch, slot);
			slot->swap = why == CM_FAIL_NOMEM && !slot->counted &&
				     cm_swap_wants(batch->job, slot->src);
			list_move_tail(&slot->src->lru,
				       slot->swap ? swap : back);
		} else if (slot->split) {
			list_move_tail(&slot->src->lru, split);
		}
	}
}

/* The slot of a folio, or of the folio it was split from. */
static struct cm_slot *batch_find(struct cm_batch *batch,
				  struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);
	struct cm_slot *slot;
	unsigned int i;

	for (i = 0; i < batch->nr; i++) {
		slot = &batch->slot[batch->hint];
		if (pfn - folio_pfn(slot->src) < slot->nr)
			return slot;
		if (++batch->hint == batch->nr)
			batch->hint = 0;
	}
	return NULL;
}

/* new_folio_t of migrate_pages(): the place was found before. */
static struct folio *batch_get_dst(struct folio *src, unsigned long private)
{
	struct cm_batch *batch = (struct cm_batch *)private;
	struct cm_slot *slot = batch_find(batch, src);

	if (WARN_ON_ONCE(!slot))
		return NULL;
	/* A piece: split by migrate_pages() after we looked */
	if (slot->src != src || folio_nr_pages(src) != slot->nr || !slot->dst)
		return NULL;
	slot->used = true;
	return slot->dst;
}

/* free_folio_t of migrate_pages(): it did not work, there may be another try */
static void batch_put_dst(struct folio *dst, unsigned long private)
{
	struct cm_batch *batch = (struct cm_batch *)private;
	unsigned int i;

	for (i = 0; i < batch->nr; i++) {
		if (batch->slot[i].dst == dst) {
			batch->slot[i].used = false;
			return;
		}
	}
	WARN_ON_ONCE(1);
}

/* Why does the file system keep a folio?  CM_FAIL_BUSY: it does not. */
static enum cpuset_migrate_stat why_fs_keeps(struct folio *folio)
{
	enum cpuset_migrate_stat why = CM_FAIL_BUSY;
	struct address_space *mapping;

	if (folio_test_hugetlb(folio))
		return why;
	rcu_read_lock();
	mapping = cm_folio_file(folio);
	if (mapping && !mapping->a_ops->migrate_folio)
		why = CM_FAIL_FS;
	/* Its metadata are everybody's, and it holds on to their buffers. */
	else if (mapping && S_ISBLK(mapping->host->i_mode))
		why = CM_SKIP_SHARED;
	rcu_read_unlock();
	return why;
}

/* Why did a folio come back? */
static enum cpuset_migrate_stat why_left(struct folio *folio)
{
	if (cm_folio_is_pinned(folio, 1))
		return CM_FAIL_PINNED;
	return why_fs_keeps(folio);
}

static bool worth_another_try(const struct list_head *folios)
{
	struct folio *folio;

	list_for_each_entry(folio, folios, lru)
		if (why_left(folio) == CM_FAIL_BUSY)
			return true;
	return false;
}

/*
 * migrate_pages() splits a folio that has become partly unmapped since we
 * looked; the pieces have no place, and would keep it from trying the others.
 */
static void batch_drop_pieces(struct cm_batch *batch, struct list_head *back)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, &batch->folios, lru)
		if (folio_nr_pages(folio) != batch_find(batch, folio)->nr)
			list_move_tail(&folio->lru, back);
}

/*
 * Migrate what has a place.  MIGRATE_ASYNC: nothing here waits for a lock or
 * for writeback, however slow the disk; the next pass looks again.
 */
static void batch_migrate(struct cm_batch *batch, struct list_head *back)
{
	unsigned int attempt;

	for (attempt = 0; !list_empty(&batch->folios); attempt++) {
		if (attempt == CM_ATTEMPTS)
			break;
		if (attempt && (!worth_another_try(&batch->folios) ||
				!batch_nap(batch, attempt)))
			break;
		migrate_pages(&batch->folios, batch_get_dst, batch_put_dst,
			      (unsigned long)batch, MIGRATE_ASYNC, MR_CPUSET,
			      NULL);
		batch_drop_pieces(batch, back);
	}
}

/* Note what came back, and give it back to its LRU list. */
static void batch_putback(struct cm_batch *batch, struct list_head *folios,
			  bool reason_known)
{
	struct cm_slot *slot;
	struct folio *folio;

	list_for_each_entry(folio, folios, lru) {
		slot = batch_find(batch, folio);
		slot->left += folio_nr_pages(folio);
		if (!reason_known)
			slot->reason = slot_may_stay(batch, slot) ?
				CM_INPLACE : why_left(folio);
		trace_cpuset_migrate_leave(batch->job, folio, slot->reason);
	}
	if (!list_empty(folios))
		putback_movable_pages(folios);
}

static void slot_account(struct cm_batch *batch, struct cm_slot *slot)
{
	struct cpuset_migrate_job *job = batch->job;

	if (slot->used) {
		slot->moved = slot->nr;
		job->moved += slot->nr;
		cm_count(job, slot->src_nid, CM_MOVED, slot->nr);
		if (slot->thp)
			job->tally.n[CM_MOVED_THP] += slot->nr;
	} else if (slot->dst) {
		slot_free_dst(batch, slot);
	}
	if (slot->counted) {
		job->again |= slot->left && cm_stat_is_failure(slot->reason);
		return;
	}
	if (slot->left)
		cm_count_left(job, slot->src, slot->addr, slot->src_nid,
			      slot->reason, slot->left);
	/* Split folios are accounted as pieces, others where they are swapped. */
	if (!slot->split && !slot->swap &&
	    slot->nr > slot->moved + slot->left)
		cm_count(job, slot->src_nid, CM_GONE,
			 slot->nr - slot->moved - slot->left);
}

/* Split a folio and migrate the pieces to where it should go. */
static void slot_split(struct cm_batch *batch, struct cm_slot *slot,
		       struct cm_batch *pieces)
{
	struct cpuset_migrate_job *job = batch->job;
	struct folio *src = slot->src, *piece, *next;
	LIST_HEAD(folios);
	int err = -EAGAIN;

	list_del(&src->lru);
	if (folio_trylock(src)) {
		err = split_folio_to_list(src, &folios);
		folio_unlock(src);
	}
	list_add(&src->lru, &folios);
	if (err) {
		slot->split = false;
		batch_putback(batch, &folios, true);
		if (slot->counted)
			job->again |= cm_stat_is_failure(slot->reason);
		else
			cm_count(job, slot->src_nid, slot->reason, slot->left);
		return;
	}

	job->tally.n[CM_SPLIT]++;
	list_for_each_entry_safe(piece, next, &folios, lru) {
		pieces->chained = batch->chained;
		list_move_tail(&piece->lru, &pieces->folios);
		cm_batch_add(pieces, piece, 0, slot->nid);
		pieces->slot[pieces->nr - 1].counted = slot->counted;
		if (pieces->nr == CM_BATCH_PAGES)
			cm_move_batch(pieces);
	}
	cm_move_batch(pieces);
}

static void batch_split(struct cm_batch *batch, struct list_head *split)
{
	struct cm_batch *pieces;
	unsigned int i;

	if (list_empty(split))
		return;

	pieces = cm_batch_alloc(batch->job);
	pieces->allowed = batch->allowed;
	for (i = 0; i < batch->nr; i++) {
		if (!batch->slot[i].split)
			continue;
		slot_split(batch, &batch->slot[i], pieces);
	}
	cm_batch_free(pieces);
}

/**
 * cm_move_batch - move a batch of isolated folios
 * @batch: the batch; empty when this returns
 *
 * Every page of it is counted in the job: moved, gone, swapped out, or left with
 * a reason and back on its LRU list.  May sleep; call without locks.
 */
void cm_move_batch(struct cm_batch *batch)
{
	LIST_HEAD(split);
	LIST_HEAD(back);
	LIST_HEAD(swap);
	unsigned int i;

	batch_alloc(batch, &back, &split, &swap);
	batch_migrate(batch, &back);
	batch_putback(batch, &batch->folios, false);
	batch_putback(batch, &back, true);
	for (i = 0; i < batch->nr; i++)
		slot_account(batch, &batch->slot[i]);
	batch_split(batch, &split);
	cm_swap_out(batch, &swap);
	/* Whoever wants them next may run on another CPU, and has to find them. */
	lru_add_drain();
	batch_reset(batch);
}
