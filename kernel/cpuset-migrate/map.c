// SPDX-License-Identifier: GPL-2.0
/*
 * Which node a page goes to when a set of nodes becomes another.
 *
 * The page on the n-th node of the old set goes to the n-th node of the new
 * one, so that what was near stays near.  Sets of different size cannot keep
 * that for all: a node that is in both keeps its pages then, and the others
 * fold.  A page on a node of neither set is a stray.
 *
 * No state, no locks, no clock: everything here depends on the arguments only.
 */

#include <linux/bug.h>
#include <linux/slab.h>

#include "internal.h"

/*
 * Does a page that has arrived look like one that has to leave?  Then its node
 * does not tell whether it was moved.
 */
static bool map_is_chained(const struct cm_map *map)
{
	int nid, dst;

	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		dst = map->dst[nid];
		if (dst != NUMA_NO_NODE && dst != nid && map->dst[dst] != dst)
			return true;
	}
	return false;
}

/**
 * cm_map_init - make the map from one set of nodes to another
 * @map: the map to fill; its reference count is not touched
 * @from: the old set; may be empty, then everything outside @to is a stray
 * @to: the new set; not empty
 *
 * The rules are those of do_migrate_pages() in mm/mempolicy.c: node_remap(),
 * but a node in both sets keeps its pages if the sets differ in size.
 */
void cm_map_init(struct cm_map *map, const nodemask_t *from,
		 const nodemask_t *to)
{
	bool same_size = nodes_weight(*from) == nodes_weight(*to);
	int nid;

	map->to = *to;
	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		if (!node_isset(nid, *from))
			map->dst[nid] = node_isset(nid, *to) ? nid :
							       NUMA_NO_NODE;
		else if (!same_size && node_isset(nid, *to))
			map->dst[nid] = nid;
		else
			map->dst[nid] = node_remap(nid, *from, *to);
	}
	map->chained = map_is_chained(map);
}

/**
 * cm_map_compose - the map of two changes in a row
 * @map: the map to fill; not @first nor @second
 * @first: the earlier change
 * @second: the later change
 *
 * A page ends where it would have had both changes been carried out.
 */
void cm_map_compose(struct cm_map *map, const struct cm_map *first,
		    const struct cm_map *second)
{
	int nid, mid;

	map->to = second->to;
	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		mid = first->dst[nid];
		map->dst[nid] = mid == NUMA_NO_NODE ? second->dst[nid] :
						      second->dst[mid];
	}
	map->chained = map_is_chained(map);
}

/**
 * cm_map_alloc - allocate a map and make it with cm_map_init()
 * @from: the old set
 * @to: the new set
 *
 * Return: the map, with one reference.  May sleep; does not fail, see
 * cpuset_change_add_task().
 */
struct cm_map *cm_map_alloc(const nodemask_t *from, const nodemask_t *to)
{
	struct cm_map *map = kmalloc(sizeof(*map), GFP_KERNEL | __GFP_NOFAIL);

	refcount_set(&map->ref, 1);
	cm_map_init(map, from, to);
	return map;
}

/**
 * cm_map_alloc_composed - allocate the map of two changes in a row
 * @first: the earlier change
 * @second: the later change
 *
 * Return: the map, with one reference, or NULL if there is no memory.  Does
 * not sleep.
 */
struct cm_map *cm_map_alloc_composed(struct cm_map *first,
				     struct cm_map *second)
{
	struct cm_map *map = kmalloc(sizeof(*map), GFP_NOWAIT | __GFP_NOWARN);

	if (!map)
		return NULL;
	refcount_set(&map->ref, 1);
	cm_map_compose(map, first, second);
	return map;
}

struct cm_map *cm_map_get(struct cm_map *map)
{
	refcount_inc(&map->ref);
	return map;
}

void cm_map_put(struct cm_map *map)
{
	if (map && refcount_dec_and_test(&map->ref))
		kfree(map);
}

#ifdef CONFIG_CPUSET_MIGRATE_KUNIT_TEST
#include "tests/map_kunit.h"
#endif
