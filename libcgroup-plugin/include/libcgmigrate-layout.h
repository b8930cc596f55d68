/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-layout.h
 * @brief The mappings of a process, and on which nodes each of them is.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_LAYOUT_H
#define LIBCGMIGRATE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcgmigrate-context.h"
#include "libcgmigrate-nodeset.h"
#include "libcgmigrate-placement.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup layout Address spaces
 *  @{ */

/** The address space of a process: its mappings, and a picture of it. Opaque. */
struct cgm_layout;

/** One mapping of an address space. */
struct cgm_vma {
	size_t size;		/**< sizeof(struct cgm_vma) */
	uint64_t start;		/**< first address */
	uint64_t end;		/**< address after the last; 0: not known */
	const char *name;	/**< file, "[heap]" ..., or ""; lives as long as the layout */
	const char *policy;	/**< memory policy as numa_maps writes it; likewise */
	uint64_t page_size;	/**< bytes of one of its pages; huge pages of the pools */
	enum cgm_kind kind;	/**< of what is not anonymous in it */
	size_t cell;		/**< the cell it begins in */
	const struct cgm_placement *placement; /**< lives as long as the layout */
	uint64_t locked;	/**< bytes of mlock(2): cgm_layout_read_marks() (0.4) */
	uint64_t huge;		/**< bytes mapped by transparent huge pages, likewise */
};

/**
 * Look at the address space of a process.
 *
 * @param cells about how many cells a picture is to have, each of the same
 *	  number of bytes that are present, in order of address; 0: no picture.
 *	  For a picture every page is looked up; on a recorded tree that cannot be
 *	  done, and nodes follow each other in every mapping.
 * @return 0; -ESRCH: no such process; -EACCES: it is somebody else's
 * @since 0.2
 */
int cgm_layout_read_pid(struct cgm_context *ctx, pid_t pid, size_t cells,
			struct cgm_layout **layout);

/**
 * Find out which mappings are locked, and which have transparent huge pages. That is
 * /proc/PID/smaps: it takes as long as the process is large.
 * @return 0; -ESRCH: no such process any more; -EACCES: it is somebody else's
 * @since 0.4
 */
int cgm_layout_read_marks(struct cgm_layout *layout);

/** Free a layout. NULL is fine. @since 0.2 */
void cgm_layout_free(struct cgm_layout *layout);

/** The index-th mapping in order of address. -ENOENT past the end. @since 0.2 */
int cgm_layout_vma(const struct cgm_layout *layout, size_t index, struct cgm_vma *vma);

/** How many cells there are, and (unless NULL) how many bytes each. @since 0.2 */
size_t cgm_layout_cells(const struct cgm_layout *layout, uint64_t *cell_size);

/** Bytes of a cell that are on a node. @since 0.2 */
uint64_t cgm_layout_cell(const struct cgm_layout *layout, size_t cell, int node);

/** The nodes the process may use. @since 0.2 */
void cgm_layout_allowed(const struct cgm_layout *layout, cgm_nodeset *nodes);

/** 1 when every page was looked up, 0 for proportions. @since 0.2 */
int cgm_layout_exact(const struct cgm_layout *layout);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_LAYOUT_H */
