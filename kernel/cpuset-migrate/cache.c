// SPDX-License-Identifier: GPL-2.0
/*
 * Page cache and shared memory that nobody maps.
 *
 * No page table leads to it, so it is looked for by page frame: on each node
 * that the memory of a cpuset has to leave, every frame whose folio is charged
 * to a memory cgroup that is in this cpuset.  That goes by the memory cgroup a
 * folio is charged to, not by who used it last, so what children without a
 * cpuset of their own left behind comes along, and so does what those left that
 * have been removed.
 *
 * It is a job like that of an address space, after those of its part, which
 * nobody waits for.  A scan costs some nanoseconds for each frame of the node,
 * and there is none where the counters of the memory cgroup say that there is
 * next to nothing to be found.
 *
 * A change moves what the ones before it had no time for too: each cpuset has
 * the map from where its cache may be to where it should be.
 *
 * A job of evacuate.c has a whole node, mapped or not and whosever it is.
 */

#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/memory_hotplug.h>
#include <linux/mempolicy.h>
#include <linux/pagemap.h>
#include <linux/secretmem.h>

#include "../../mm/internal.h"

#include "internal.h"
#include "trace.h"

/* What a node is not scanned for, in pages. */
#define CM_CACHE_MIN		(SZ_1M >> PAGE_SHIFT)

/* Frames without a look at the time. */
#define CM_CACHE_FRAMES		1024

/* Does cache that nobody maps move at all? */
bool cm_pagecache = true;

/* The memory cgroup of a cpuset's own cgroup, with a reference, or NULL. */
static struct mem_cgroup *cache_memcg(struct cpuset *cs)
{
	struct cgroup_subsys_state *css;

	css = cgroup_get_e_css(cs->css.cgroup, &memory_cgrp_subsys);
	if (css->cgroup == cs->css.cgroup)
		return mem_cgroup_from_css(css);
	css_put(css);
	return NULL;
}

/* Pages of files that are charged there and below, and swap cache. */
static unsigned long cache_pages(struct mem_cgroup *memcg, int nid)
{
	struct lruvec *lruvec = mem_cgroup_lruvec(memcg, NODE_DATA(nid));
	unsigned long nr = lruvec_page_state(lruvec, NR_FILE_PAGES);

#ifdef CONFIG_SWAP
	nr += lruvec_page_state(lruvec, NR_SWAPCACHE);
#endif
	return nr;
}

/* Those that are not mapped, as far as counters can tell. */
static unsigned long cache_unmapped(struct mem_cgroup *memcg, int nid)
{
	struct lruvec *lruvec = mem_cgroup_lruvec(memcg, NODE_DATA(nid));
	unsigned long mapped = lruvec_page_state(lruvec, NR_FILE_MAPPED);
	unsigned long nr = cache_pages(memcg, nid);

	return nr - min(nr, mapped);
}

/**
 * cm_cache_is_left - does cache stay in changes that are written to a cpuset?
 * @cs: the cpuset
 *
 * As its cache file says, or that of one above.  Settings below do not count, as
 * for cm_is_held().
 *
 * Call with a reference to @cs, which keeps those above.
 */
bool cm_cache_is_left(struct cpuset *cs)
{
	for (; cs; cs = parent_cs(cs))
		if (READ_ONCE(cs->migrate.leave_cache))
			return true;
	return false;
}

/**
 * cm_cache_nodes - where has a cpuset cache that is worth a look?
 * @cs: the cpuset
 * @mems: its nodes; on others what is mapped counts, too
 * @nodes: filled
 *
 * May sleep.
 */
void cm_cache_nodes(struct cpuset *cs, const nodemask_t *mems,
		    nodemask_t *nodes)
{
	struct mem_cgroup *memcg;
	unsigned long nr;
	int nid;

	nodes_clear(*nodes);
	/* What the root has, the whole machine has. */
	if (!READ_ONCE(cm_pagecache) || !parent_cs(cs))
		return;
	memcg = cache_memcg(cs);
	if (!memcg)
		return;
	mem_cgroup_flush_stats(memcg);
	for_each_node_state(nid, N_MEMORY) {
		nr = node_isset(nid, *mems) ? cache_unmapped(memcg, nid) :
					      cache_pages(memcg, nid);
		if (nr >= CM_CACHE_MIN)
			node_set(nid, *nodes);
	}
	mem_cgroup_put(memcg);
}

/* Let a job that waits find out that it has been overtaken. */
static void cache_wake(struct cpuset *cs)
{
	struct cpuset_migrate_job *job;

	spin_lock(&cm_lock);
	job = cs->migrate.cache_job;
	if (job)
		cm_job_wake(job);
	spin_unlock(&cm_lock);
}

/* Forget all but the last changes. */
static void cache_keep_before(struct cpuset_migrate *migrate, unsigned int nr)
{
	struct cm_before *before;

	while (migrate->nr_cache_before > nr) {
		before = &migrate->cache_before[--migrate->nr_cache_before];
		cm_map_put(before->map);
		cm_change_put(before->change);
	}
}

/* There is nothing to go on with. */
static void cache_forget(struct cpuset *cs)
{
	struct cpuset_migrate *migrate = &cs->migrate;

	cache_keep_before(migrate, 0);
	if (migrate->cache_change)
		cm_change_put(migrate->cache_change);
	migrate->cache_change = NULL;
	migrate->cache_begun = false;
}

/*
 * Nodes change before all has moved.  What has is where the changes before wanted
 * it, and goes on from there by @map.
 */
static void cache_remember(struct cpuset *cs, struct cm_map *map)
{
	struct cpuset_migrate *migrate = &cs->migrate;
	struct cm_before *before = migrate->cache_before;
	unsigned int i, keep = migrate->nr_cache_before;
	struct cm_map *both;

	if (migrate->cache_change)
		keep = min(keep, CM_MAX_BEFORE - 1U);
	for (i = 0; i < keep; i++) {
		both = cm_map_alloc_composed(before[i].map, map);
		if (!both)
			break;
		cm_map_put(before[i].map);
		before[i].map = both;
	}
	cache_keep_before(migrate, i);
	if (!migrate->cache_change)
		return;

	memmove(before + 1, before, i * sizeof(*before));
	before->change = migrate->cache_change;
	before->map = cm_map_get(map);
	migrate->nr_cache_before++;
	migrate->cache_change = NULL;
	migrate->cache_begun = false;
}

/**
 * cm_cache_change - the nodes of a cpuset change: so does where its cache goes
 * @cs: the cpuset
 * @change: that changes them
 * @mems: its nodes from now on
 * @move: pages are to follow
 *
 * Call with cpuset_mutex held, and another placement than before.
 */
void cm_cache_change(struct cpuset *cs, struct cpuset_change *change,
		     const nodemask_t *mems, bool move)
{
	struct cm_map *first = cs->migrate.cache_map, *map = NULL, *both = NULL;

	if (move && is_cpuset_online(cs)) {
		map = cm_map_alloc(&cs->migrate.mems, mems);
		both = first ? cm_map_alloc_composed(first, map) : NULL;
		if (both) {
			cache_remember(cs, map);
			cm_map_put(map);
			map = both;
		}
	}
	if (!both)
		cache_forget(cs);
	cm_map_put(first);
	if (map)
		cs->migrate.cache_change = cm_change_get(change);
	cs->migrate.cache_map = map;
	cs->migrate.mems = *mems;
	cache_wake(cs);
}

/**
 * cm_cache_placed - the cache of a cpuset is where it should be, or stays
 * @cs: the cpuset
 *
 * Call with cpuset_mutex held.
 */
void cm_cache_placed(struct cpuset *cs)
{
	cm_map_put(cs->migrate.cache_map);
	cs->migrate.cache_map = NULL;
	cache_forget(cs);
}

/* The job for the present nodes of a cpuset, if there is one. */
static struct cpuset_migrate_job *cache_job(struct cpuset *cs)
{
	struct cpuset_migrate_job *job = cs->migrate.cache_job;

	lockdep_assert_held(&cm_lock);

	while (job && cm_cache_is_stale(job))
		job = job->next;
	return job;
}

/**
 * cm_cache_is_moving - is there a job for the present nodes of a cpuset?
 * @cs: the cpuset
 *
 * Call with cpuset_mutex held.
 */
bool cm_cache_is_moving(struct cpuset *cs)
{
	bool moving;

	spin_lock(&cm_lock);
	moving = cache_job(cs);
	spin_unlock(&cm_lock);
	return moving;
}

/*
 * Does it do what a part wants?  One that is held or stopped from further down
 * does not, nor one that has given up what it has come across.
 */
static bool cache_will_move(struct cm_part *part)
{
	struct cpuset_migrate_job *job;
	bool will;

	spin_lock(&cm_lock);
	job = cache_job(part->cs);
	will = job && !job->stop && !READ_ONCE(job->pass) &&
	       cm_is_below(part->origin, job->origin);
	spin_unlock(&cm_lock);
	return will;
}

/* A part begins to move cache for the present nodes. */
static void cache_begin(struct cm_part *part)
{
	struct cpuset_migrate *migrate = &part->cs->migrate;
	struct cm_map *stay;

	/* Another change that did goes no further. */
	if (migrate->cache_change && migrate->cache_change != part->change) {
		stay = cm_map_alloc(&part->mems, &part->mems);
		cache_remember(part->cs, stay);
		cm_map_put(stay);
	}
	if (!migrate->cache_change)
		migrate->cache_change = cm_change_get(part->change);
	migrate->cache_begun = true;
}

/**
 * cm_cache_offline - a cpuset is being removed; its parent has its cache
 * @cs: the cpuset
 *
 * Call with cpuset_mutex held.
 */
void cm_cache_offline(struct cpuset *cs)
{
	cm_cache_placed(cs);
	cache_wake(cs);
}

/* Add the nodes whose pages go elsewhere by a map. */
static void map_leaves(const struct cm_map *map, nodemask_t *leave)
{
	int nid;

	for_each_node(nid)
		if (map->dst[nid] != nid)
			node_set(nid, *leave);
}

/**
 * cm_cache_job - make the job that moves a part's cache
 * @part: the part, whose cpuset has the nodes it is about
 * @nodes: where there is any, from cm_cache_nodes()
 *
 * Call with cpuset_mutex held.
 *
 * Return: the job, or NULL if there is nothing to do, or a job that does it.
 */
struct cpuset_migrate_job *cm_cache_job(struct cm_part *part,
					const nodemask_t *nodes)
{
	struct cpuset_migrate *migrate = &part->cs->migrate;
	const struct cm_before *before = migrate->cache_before;
	struct cpuset_migrate_job *job = NULL;
	struct cm_map *map;
	nodemask_t leave = NODE_MASK_NONE;
	unsigned int i;

	if (nodes_empty(*nodes) || cache_will_move(part))
		return NULL;
	/* The job that there was for these nodes has ended. */
	if (migrate->cache_begun && !cm_cache_is_moving(part->cs))
		cm_cache_placed(part->cs);
	cache_begin(part);
	map = migrate->cache_map ? cm_map_get(migrate->cache_map) :
				   cm_map_alloc(&part->mems, &part->mems);
	map_leaves(map, &leave);
	for (i = 0; i < migrate->nr_cache_before; i++)
		map_leaves(before[i].map, &leave);
	nodes_and(leave, leave, *nodes);
	if (!nodes_empty(leave)) {
		job = cm_job_alloc(NULL, part, map);
		job->nodes = leave;
		for (i = 0; i < migrate->nr_cache_before; i++)
			cm_job_add_before(job, before[i].change,
					  cm_map_get(before[i].map));
	}
	cm_map_put(map);
	return job;
}

/**
 * cm_evacuate_job - add the job that moves whatever is on a node
 * @part: a part of the root cpuset, with the other nodes
 * @map: a map on which all pages of the node are strays
 * @nid: the node
 *
 * Call with cpuset_mutex held.  It has nothing to do with the cache of the
 * cpuset, and is not overtaken.
 */
void cm_evacuate_job(struct cm_part *part, struct cm_map *map, int nid)
{
	struct cpuset_migrate_job *job = cm_job_alloc(NULL, part, map);

	job->slot = &part->change->evacuation;
	job->whole_node = true;
	node_set(nid, job->nodes);
	list_add_tail(&job->node, &part->jobs);
	part->cached = true;
}

/**
 * cm_cache_is_stale - has a job been overtaken by what it does not know of?
 * @job: the job
 *
 * Whoever has changed the nodes since has a map that leads from where this
 * job's map started.
 */
bool cm_cache_is_stale(struct cpuset_migrate_job *job)
{
	struct cpuset *cs = job->part->cs;

	if (job->whole_node)
		return false;
	return READ_ONCE(cs->migrate.placement) != job->part->placement ||
	       !is_cpuset_online(cs);
}

/**
 * cm_cache_rewind - look at the nodes once more
 * @job: the job
 */
void cm_cache_rewind(struct cpuset_migrate_job *job)
{
	job->nid = NUMA_NO_NODE;
	if (job->pass)
		nodes_andnot(job->nodes, job->nodes, job->part->mems);
}

/* Go on to the next node that is worth it; false if there is none. */
static bool cache_next_node(struct cpuset_migrate_job *job)
{
	struct mem_cgroup *memcg = NULL;
	int nid = job->nid;

	if (!job->whole_node) {
		memcg = cache_memcg(job->part->cs);
		if (!memcg)
			return false;
	}
	for (nid = next_node(nid, job->nodes); nid < MAX_NUMNODES;
	     nid = next_node(nid, job->nodes)) {
		if (!node_state(nid, N_MEMORY))
			continue;
		job->nid = nid;
		job->cursor = NODE_DATA(nid)->node_start_pfn;
		job->nr_seen = 0;
		job->nr_cache = memcg ? cache_pages(memcg, nid) : 0;
		break;
	}
	if (memcg)
		mem_cgroup_put(memcg);
	return nid < MAX_NUMNODES;
}

/*
 * Is a folio charged to a memory cgroup of the job's cpuset?  Also asked without
 * a reference, of what may have become something else.
 */
static bool cache_is_ours(struct cpuset_migrate_job *job, struct folio *folio)
{
	struct cgroup_subsys_state *css = NULL;
	struct mem_cgroup *memcg;

	if (job->whole_node)
		return folio_test_lru(folio) || folio_test_hugetlb(folio);

	rcu_read_lock();
	memcg = folio_memcg_check(folio);
	if (memcg)
		css = cgroup_e_css(memcg->css.cgroup, &cpuset_cgrp_subsys);
	/* What is being removed has nothing any more. */
	while (css && css_is_dying(css))
		css = css->parent;
	rcu_read_unlock();
	return css == &job->part->cs->css;
}

/* Is a folio, of which we have a reference, cache? */
static bool cache_is_cache(struct cpuset_migrate_job *job, struct folio *folio)
{
	if (job->whole_node)
		return true;
	if (page_has_type(&folio->page))
		return false;
	return cm_folio_file(folio) || folio_test_swapcache(folio);
}

/*
 * The same without a reference.  The kernel's own pages may be charged, too, and
 * freed as a block by who does not expect that anybody has one.
 */
static bool cache_may_be(struct cpuset_migrate_job *job, struct folio *folio)
{
	return job->whole_node || READ_ONCE(folio->mapping) ||
	       test_bit(PG_swapcache, &folio->flags);
}

/* The folio of a frame with a reference, if it is cache of ours; else NULL. */
static struct folio *cache_get_folio(struct cpuset_migrate_job *job,
				     struct page *page)
{
	struct folio *folio = page_folio(page);

	/* Nobody else's is touched: a reference keeps it from being moved. */
	if (!cache_may_be(job, folio) || !cache_is_ours(job, folio) ||
	    !folio_try_get(folio))
		return NULL;
	if (page_folio(page) == folio && cache_is_ours(job, folio) &&
	    cache_is_cache(job, folio))
		return folio;
	folio_put(folio);
	return NULL;
}

/*
 * The nodes that a folio may go to.  Those of a job are its cpuset's; of a whole
 * node each folio has its own.
 */
static void cache_allowed(struct cpuset_migrate_job *job, struct folio *folio,
			  nodemask_t *allowed)
{
	struct mem_cgroup *memcg;

	*allowed = job->part->mems;
	if (!job->whole_node)
		return;
	rcu_read_lock();
	memcg = folio_memcg_check(folio);
	if (memcg)
		cpuset_limit_nodes(memcg->css.cgroup, allowed);
	rcu_read_unlock();
}

/*
 * What the owner of a mapping keeps where it is, or wants in a lower zone than
 * the one pages would go to: vma_migratable() says so for what is mapped.
 */
static bool cache_is_immovable(struct folio *folio)
{
	struct address_space *mapping;
	bool immovable;

	rcu_read_lock();
	mapping = cm_folio_file(folio);
	immovable = mapping && (secretmem_mapping(mapping) ||
				mapping_inaccessible(mapping) ||
				gfp_zone(mapping_gfp_mask(mapping)) <
				policy_zone);
	rcu_read_unlock();
	return immovable;
}

/* By which map does a folio go on? */
static const struct cm_map *cache_folio_map(struct cpuset_migrate_job *job,
					    struct folio *folio)
{
	return cm_job_before(job, folio) ?: job->range[0].map;
}

/*
 * A folio of ours that we have a reference to: isolate it, or say why it stays,
 * unless that was @counted before.
 * Returns false if the batch is full.
 */
static bool cache_folio(struct cpuset_migrate_job *job, struct cm_batch *batch,
			struct folio *folio, bool counted)
{
	const struct cm_map *map = cache_folio_map(job, folio);
	unsigned long nr = folio_nr_pages(folio);
	enum cpuset_migrate_stat why = CM_FAIL_BUSY;
	nodemask_t allowed;
	bool fixed = true;

	/* Has arrived here, and is not what was counted before. */
	if (batch->chained &&
	    xa_load(&job->part->change->moved, folio_pfn(folio)))
		return true;
	if (map->dst[job->nid] == job->nid) {
		job->nr_seen += nr;
		return true;
	}

	cache_allowed(job, folio, &allowed);
	if (cache_is_immovable(folio))
		why = CM_SKIP_VMA;
	else if (nodes_empty(allowed))
		why = CM_SKIP_SHARED;
	else if (cm_folio_is_pinned(folio, 1))
		why = CM_FAIL_PINNED;
	else
		fixed = false;
	/* The folios of a batch may go to the same nodes. */
	if (!fixed && (cm_batch_is_full(batch, folio) ||
		       (batch->nr && !nodes_equal(allowed, batch->allowed))))
		return false;

	job->nr_seen += nr;
	if (!fixed && cm_batch_isolate(batch, folio)) {
		batch->allowed = allowed;
		cm_batch_add(batch, folio, 0, map->dst[job->nid]);
		batch->slot[batch->nr - 1].counted = counted;
		return true;
	}
	if (counted) {
		job->again |= cm_stat_is_failure(why);
		return true;
	}
	trace_cpuset_migrate_leave(job, folio, why);
	cm_count(job, job->nid, why, nr);
	return true;
}

/* Look at one frame.  Returns how many to go on by; 0 if the batch is full. */
static unsigned long cache_frame(struct cpuset_migrate_job *job,
				 struct cm_batch *batch, unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	struct folio *folio;
	unsigned int order;
	unsigned long nr;
	bool go_on = true, mapped;

	if (!page)
		return ALIGN(pfn + 1, PAGES_PER_SECTION) - pfn;
	if (page_to_nid(page) != job->nid)
		return pageblock_end_pfn(pfn) - pfn;
	if (PageBuddy(page)) {
		order = buddy_order_unsafe(page);
		return order <= MAX_PAGE_ORDER ? 1UL << order : 1;
	}
	if (PageTail(page))
		return 1;
	folio = cache_get_folio(job, page);
	if (!folio)
		return 1;
	mapped = folio_mapped(folio) && !job->whole_node;
	/* Where it is mapped it was seen to, unless that came about since. */
	if (mapped && node_isset(job->nid, job->part->mems))
		job->nr_seen += folio_nr_pages(folio);
	else
		go_on = cache_folio(job, batch, folio, mapped);
	/* It may have become larger since we looked at the frame. */
	nr = folio_pfn(folio) + folio_nr_pages(folio) - pfn;
	folio_put(folio);
	return go_on ? nr : 0;
}

/* Was everything seen that the counters know of, as far as they may lag? */
static bool cache_seen_all(const struct cpuset_migrate_job *job)
{
	return !job->whole_node &&
	       job->nr_seen >= job->nr_cache + CM_CACHE_MIN +
			       MEMCG_CHARGE_BATCH * num_online_cpus();
}

/* Scan a node from the cursor on; false if it is not done with. */
static bool cache_scan(struct cpuset_migrate_job *job, struct cm_batch *batch,
		       u64 deadline)
{
	unsigned long end = pgdat_end_pfn(NODE_DATA(job->nid));
	unsigned int frames = 0;
	unsigned long step;

	for (; job->cursor < end && !cache_seen_all(job); job->cursor += step) {
		if (++frames % CM_CACHE_FRAMES == 0 &&
		    local_clock() > deadline)
			return false;
		step = cache_frame(job, batch, job->cursor);
		if (!step)
			return false;
	}
	return true;
}

/**
 * cm_cache_chunk - look at the next page frames
 * @job: the job, made by cm_cache_job(); its cursor moves on
 * @batch: filled with what has to move; empty
 *
 * May sleep; call without locks.
 *
 * Return: whether there is more.
 */
enum cm_walk_result cm_cache_chunk(struct cpuset_migrate_job *job,
				   struct cm_batch *batch)
{
	u64 stall = READ_ONCE(cm_max_stall_usec) * (u64)NSEC_PER_USEC;
	u64 deadline = local_clock() + stall / 2;

	batch->room = 0;
	batch->chained = job->range[0].map->chained || job->nr_before;
	if (job->nid == NUMA_NO_NODE && !cache_next_node(job))
		return CM_WALK_END;
	while (cache_scan(job, batch, deadline))
		if (!cache_next_node(job))
			return CM_WALK_END;
	return CM_WALK_MORE;
}

/**
 * cm_cache_left - count what was not looked at
 * @job: the job, which was stopped
 *
 * As the counters have it.
 */
void cm_cache_left(struct cpuset_migrate_job *job)
{
	struct mem_cgroup *memcg = cache_memcg(job->part->cs);
	int nid;

	if (!memcg)
		return;
	mem_cgroup_flush_stats(memcg);
	for (nid = max(job->nid, 0); nid < MAX_NUMNODES; nid++)
		if (node_isset(nid, job->nodes) && node_state(nid, N_MEMORY))
			job->tally.n[CM_LEFT] += cache_unmapped(memcg, nid);
	mem_cgroup_put(memcg);
}
