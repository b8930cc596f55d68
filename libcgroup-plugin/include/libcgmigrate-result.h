/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-result.h
 * @brief What became of every page a job looked at.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_RESULT_H
#define LIBCGMIGRATE_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include "libcgmigrate-job.h"
#include "libcgmigrate-placement.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup result Results
 *  @{ */

/** What became of every page a job looked at. Opaque; belongs to its job. */
struct cgm_result;

/** What became of a page. Names as in the kernel's cpuset.mems.stat. */
enum cgm_reason {
	CGM_MOVED,		/**< is on its new node */
	CGM_INPLACE,		/**< was where it belongs, or the nearest to it */
	CGM_GONE,		/**< freed meanwhile */
	CGM_SWAPPED,		/**< swapped out to make room */
	CGM_LEFT,		/**< not looked at: cancelled */
	CGM_SKIP_VMA,		/**< in a mapping that cannot be moved (devices) */
	CGM_SKIP_EXEMPT,	/**< the owner asked for it to stay */
	CGM_SKIP_SHARED,	/**< others use it where it is, such as program text they run */
	CGM_SKIP_UNMAPPED,	/**< page cache that no process maps */
	CGM_FAIL_NOMEM,		/**< no room on the new nodes */
	CGM_FAIL_PINNED,	/**< something in the kernel holds on to it */
	CGM_FAIL_BUSY,		/**< locked, under writeback, or off the LRU lists */
	CGM_FAIL_FS,		/**< its file system cannot move pages */
	CGM_FAIL_NONLRU,	/**< a driver's page that cannot move */
	CGM_FAIL_HUGETLB,	/**< no huge page free on the new nodes */
	CGM_FAIL_PERM,		/**< shared with others, needs CAP_SYS_NICE, and CAP_SYS_ADMIN
				 *   where old and new nodes overlap (stock kernels) */
	CGM_DROPPED,		/**< page cache that was given back: CGM_CACHE_DROP (0.4) */
	CGM_FAIL_PROCESS,	/**< the kernel refused to move its process's pages, as a
				 *   note says (stock kernels, 0.4) */
	CGM_REASON_COUNT,
};

/** A reason's name: "moved", "fail_nomem" ... */
const char *cgm_reason_name(enum cgm_reason reason);
/** One line that explains a reason to a person. */
const char *cgm_reason_text(enum cgm_reason reason);

#define CGM_ROW_ESTIMATED 0x1u	/**< total is exact, its split by node and kind is not */

/** One line of a result: so many bytes of this kind had this fate. */
struct cgm_row {
	size_t size;		/**< sizeof(struct cgm_row) */
	size_t item;		/**< which move of the plan */
	int from;		/**< node it was on; -1: not known */
	int to;			/**< node it was to go to, or went to; -1: not known */
	enum cgm_kind kind;	/**< CGM_KIND_MOVABLE: not known */
	enum cgm_reason reason;	/**< what became of them */
	uint64_t bytes;		/**< how many */
	unsigned int flags;	/**< CGM_ROW_* */
};

/** The account of a job that has ended; NULL while it runs. */
const struct cgm_result *cgm_job_result(const struct cgm_job *job);

/** The index-th row; -ENOENT past the end. Rows add up to the totals. */
int cgm_result_row(const struct cgm_result *result, size_t index,
		   struct cgm_row *row);

/** Bytes with a reason, over all moves of the job. */
uint64_t cgm_result_total(const struct cgm_result *result, enum cgm_reason reason);

/** Bytes that were looked at: all reasons but CGM_LEFT together. */
uint64_t cgm_result_scanned(const struct cgm_result *result);

/** Where the memory of the index-th move was when the job ended. May be NULL. */
const struct cgm_placement *cgm_result_after(const struct cgm_result *result,
					     size_t index);

/** The index-th remark on how it went, or NULL past the end. */
const char *cgm_result_note(const struct cgm_result *result, size_t index);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_RESULT_H */
