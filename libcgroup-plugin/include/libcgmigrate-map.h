/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-map.h
 * @brief What is said of where the memory of each node is to go.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_MAP_H
#define LIBCGMIGRATE_MAP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup map Which node's memory goes where
 *  @{ */

/** Where memory goes of which nothing else is said. (0.3) */
enum cgm_map_rule {
	CGM_MAP_RELATIVE,	/**< the n-th old node to the n-th new one: cgm_nodemap() */
	CGM_MAP_DISTANCE,	/**< every old node to the new one that is nearest to it;
				 *   among equals to the one that fewer old nodes go to,
				 *   then to the first */
};

/** A rule's name: "relative", "distance". @since 0.3 */
const char *cgm_map_rule_name(enum cgm_map_rule rule);

/** What is on one node goes to another, or stays where both are the same. (0.3) */
struct cgm_node_pair {
	int from;		/**< the node it is on */
	int to;			/**< and the one it is to be on */
};

/**
 * Read "relative", "distance", or pairs such as "0:2,1:3"; nodes that pairs leave
 * out go by CGM_MAP_RELATIVE.
 *
 * @param rule  result
 * @param pairs result, to be given to free(3); NULL: none
 * @param count how many
 * @return 0; -EINVAL: none of these; -ERANGE: a node too large; -EEXIST: a node
 *	   is named twice as the one to leave; -ENOMEM
 * @since 0.3
 */
int cgm_map_parse(const char *text, enum cgm_map_rule *rule, struct cgm_node_pair **pairs,
		  size_t *count);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_MAP_H */
