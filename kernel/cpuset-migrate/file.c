// SPDX-License-Identifier: GPL-2.0
/*
 * Page cache on the fast path: files, and shared memory.
 *
 * The file system moves a folio within its mapping, as it does for
 * migrate_pages(); only how the folio is unmapped and mapped differs.  Nobody
 * can map it elsewhere meanwhile, since faults take the lock of the folio.
 */

#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>

#include "internal.h"

/**
 * cm_file_refs - is a folio of a file mapped once, and in nobody else's hands?
 * @folio: the folio, not anonymous, locked and without PG_lru
 *
 * Return: the references it has to have then: of the page cache, of its mapping
 * and of what the file system keeps with it; 0, which it never has, if it is not
 * so simple.
 */
unsigned int cm_file_refs(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	if ((folio->flags & CM_FAST_FLAGS_MASK) != BIT(PG_locked) ||
	    folio_test_large(folio) || folio_test_private_2(folio) ||
	    folio_mapcount(folio) != 1 || !mapping ||
	    mapping_inaccessible(mapping) || !mapping->a_ops->migrate_folio ||
	    /* may interrupt every CPU, with mmap_lock held here */
	    (IS_ENABLED(CONFIG_BUFFER_HEAD) &&
	     mapping->a_ops->migrate_folio == buffer_migrate_folio_norefs))
		return 0;
	return 2 + folio_test_private(folio);
}

/**
 * cm_file_copy - let the file system move a folio within its mapping
 * @e: the folio, unmapped
 *
 * The copy, which everybody can find now, is locked until it is mapped.
 *
 * Return: false if it could not be done, and nothing was.
 */
bool cm_file_copy(struct cm_fast_entry *e)
{
	struct address_space *mapping = folio_mapping(e->src);

	__folio_set_locked(e->dst);
	if (mapping->a_ops->migrate_folio(mapping, e->dst, e->src,
					  MIGRATE_ASYNC)) {
		__folio_clear_locked(e->dst);
		return false;
	}
	/* Has to be cleared before it is freed. */
	e->src->mapping = NULL;
	flush_dcache_folio(e->dst);
	return true;
}

/**
 * cm_file_map_src - map again what could not be moved
 * @fast: the fast path of a batch, its page table locked
 * @e: the folio
 */
void cm_file_map_src(struct cm_fast *fast, struct cm_fast_entry *e)
{
	pte_t *ptep = cm_fast_ptep(fast, e->addr);
	pte_t pte = ptep_get(ptep);

	if (!cm_fast_is_migration(pte, &e->src->page))
		return;
	/* The reference that its mapping had is ours now. */
	folio_get(e->src);
	folio_add_file_rmap_pte(e->src, &e->src->page, fast->vma);
	cm_fast_map_pte(fast, e->addr, ptep, pte, &e->src->page);
}
