/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-nodeset.h
 * @brief Sets of NUMA nodes, and where each node's pages go when a set changes.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_NODESET_H
#define LIBCGMIGRATE_NODESET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup nodeset Sets of NUMA nodes
 *  @{ */

/** The largest number of nodes a kernel can be built for. */
#define CGM_NODES_MAX 1024

/** A set of nodes; node n is bit n % 64 of word n / 64. */
typedef struct {
	uint64_t bits[CGM_NODES_MAX / 64]; /**< a bit for each node */
} cgm_nodeset;

/** Make a set empty. */
void cgm_nodeset_clear(cgm_nodeset *set);
/** Add one node. A node outside 0..CGM_NODES_MAX-1 is ignored. */
void cgm_nodeset_add(cgm_nodeset *set, int node);
/** Tell whether a node is in a set (0 or 1). */
int cgm_nodeset_has(const cgm_nodeset *set, int node);
/** Count the nodes of a set. */
int cgm_nodeset_weight(const cgm_nodeset *set);
/** The first node after @p prev (-1 to start), or -1 when there is none. */
int cgm_nodeset_next(const cgm_nodeset *set, int prev);
/** Tell whether two sets are the same (0 or 1). */
int cgm_nodeset_equal(const cgm_nodeset *a, const cgm_nodeset *b);
/** Tell whether every node of @p a is in @p b (0 or 1). */
int cgm_nodeset_subset(const cgm_nodeset *a, const cgm_nodeset *b);
/** @p out = @p a and @p b. The sets may be the same object. */
void cgm_nodeset_and(cgm_nodeset *out, const cgm_nodeset *a, const cgm_nodeset *b);
/** @p out = @p a or @p b. The sets may be the same object. */
void cgm_nodeset_or(cgm_nodeset *out, const cgm_nodeset *a, const cgm_nodeset *b);

/**
 * Read a list such as "0-3,7" as the kernel writes it. White space around it
 * is allowed; an empty list is an empty set.
 *
 * @param text the list
 * @param set  result, untouched on error
 * @return 0, -EINVAL when it is not a list, -ERANGE for a node too large
 */
int cgm_nodeset_parse(const char *text, cgm_nodeset *set);

/**
 * Write a set as a list such as "0-3,7".
 *
 * @param buf  where to write; always ended by a NUL when @p size > 0
 * @param size room in @p buf; 64 is enough for eight separate ranges
 * @return the length of the whole list, as snprintf() does
 */
int cgm_nodeset_format(const cgm_nodeset *set, char *buf, size_t size);

/** Marks a page that was on no node of the old set: see cgm_nodemap(). */
#define CGM_NODE_NEAREST (-2)

/**
 * Where the page on node @p node belongs when the allowed nodes change from
 * @p from to @p to: the n-th node of the old set goes to the n-th node of the
 * new set (counting modulo the size of the new set). Where the sets differ in
 * size, a node that is in both keeps its pages.
 *
 * @return a node, or CGM_NODE_NEAREST for a stray (a page on a node of neither
 *	   set), which goes to the nearest node of the new set, or -1 when
 *	   @p to is empty
 */
int cgm_nodemap(const cgm_nodeset *from, const cgm_nodeset *to, int node);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_NODESET_H */
