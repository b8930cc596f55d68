/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-node.h
 * @brief How much memory a node has, and how far it is from the others.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_NODE_H
#define LIBCGMIGRATE_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "libcgmigrate-context.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup node Memory of a node
 *  @{ */

/** A node's memory, all of it in bytes. (0.3) */
struct cgm_node {
	size_t size;		/**< sizeof(struct cgm_node) */
	uint64_t total;		/**< what there is */
	uint64_t free;		/**< what is free now */
	uint64_t low;		/**< sum of the low watermarks of its zones */
	uint64_t reclaimable;	/**< clean page cache that could make room */
};

/**
 * Read how much memory a node has.
 * @return 0; -ENOENT: no such node; -EINVAL for a size this library does not know
 * @since 0.3
 */
int cgm_node_read(struct cgm_context *ctx, int node, struct cgm_node *out);

/** How far one node is from another, 10 for itself; -ENOENT: not known. @since 0.3 */
int cgm_node_distance(struct cgm_context *ctx, int from, int to);

/** Huge pages of a size (in bytes) that are free in a node's pool. @since 0.3 */
uint64_t cgm_node_huge_free(struct cgm_context *ctx, int node, uint64_t page_size);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_NODE_H */
