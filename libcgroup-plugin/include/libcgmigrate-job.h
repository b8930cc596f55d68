/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file libcgmigrate-job.h
 * @brief A plan that runs: start it, follow it, hold it, stop it.
 *
 * A part of libcgmigrate.h, which includes it.
 */
#ifndef LIBCGMIGRATE_JOB_H
#define LIBCGMIGRATE_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "libcgmigrate-plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup job Jobs
 *  @{ */

/** A plan that runs. Opaque. */
struct cgm_job;

/** Options of cgm_job_start(). Zero everything you do not set. */
struct cgm_job_options {
	size_t size;		/**< sizeof(struct cgm_job_options) */
	unsigned int flags;	/**< CGM_JOB_* */
	uint64_t rate;		/**< bytes per second, 0: no limit. On the engine each
				 *   cgroup of the plan has it as its limit until the
				 *   job has ended or is freed, unless it has one as low */
	uint32_t max_stall_usec; /**< stock kernels: how long one batch may take, 0: 2000 */
};

/** How a job stands. */
enum cgm_state {
	CGM_STATE_RUNNING,
	CGM_STATE_DONE,		/**< everything is where it should be */
	CGM_STATE_PARTIAL,	/**< finished, some memory stayed */
	CGM_STATE_CANCELLED,	/**< stopped by cgm_job_cancel() or by somebody's stop file */
	CGM_STATE_SUPERSEDED,	/**< somebody else changed the cpuset meanwhile */
	CGM_STATE_FAILED,	/**< could not go on: see the notes of the result, and
				 *   cgm_context_error() right after it has ended */
};

/** A state's name: "running", "done", "partial" ... */
const char *cgm_state_name(enum cgm_state state);

/** How far a job is. */
struct cgm_progress {
	size_t size;		/**< sizeof(struct cgm_progress) */
	enum cgm_state state;	/**< how the job stands */
	uint64_t total;		/**< bytes that were to be moved, as planned */
	uint64_t moved;		/**< bytes that were */
	uint64_t stayed;	/**< bytes that cannot be, so far */
	uint64_t elapsed_usec;	/**< since it was started */
	uint64_t max_batch_usec; /**< longest batch or chunk seen, 0: not known */
	int held;		/**< 1 while the engine is told to hold */
};

/**
 * Start a plan. On the engine the new mask is in force when this returns and
 * the kernel does the rest, with or without us. On stock kernels nothing moves
 * unless cgm_job_dispatch() (or cgm_job_wait()) is called; nor on any kernel
 * where page cache is dropped first (CGM_CACHE_DROP). But where the caller may not
 * use the new nodes, and where processes go to a cgroup that cannot take in their
 * old nodes for a while, a stock kernel moves all before this returns.
 *
 * @param options NULL for the defaults
 * @return 0; -ECANCELED: the plan was refused (cgm_context_error()); -EROFS on
 *	   a recorded tree; other negative errno: a write failed, nothing changed
 */
int cgm_job_start(struct cgm_plan *plan, const struct cgm_job_options *options,
		  struct cgm_job **job);

/**
 * Free a job. It does not stop what the kernel does, but a limit that was set for
 * it ends. NULL is fine.
 */
void cgm_job_free(struct cgm_job *job);

/**
 * Free a job that a forked child goes on with: limits that were set for it are
 * left for the child to put back. NULL is fine.
 * @since 0.2
 */
void cgm_job_leave(struct cgm_job *job);

/** A descriptor that is readable whenever cgm_job_dispatch() has something to do. */
int cgm_job_fd(const struct cgm_job *job);

/**
 * Do what can be done now: on stock kernels one batch, on the engine read the
 * counters. Returns soon, but for two calls of a move on a stock kernel: that which
 * writes the new nodes alone waits until the kernel has moved what is still outside,
 * and one that tells systemd of them waits for its answer.
 *
 * @return 1 while the job runs, 0 once it has ended
 */
int cgm_job_dispatch(struct cgm_job *job);

/** How far it is; @p progress->size has to be set. */
int cgm_job_progress(const struct cgm_job *job, struct cgm_progress *progress);

/**
 * Dispatch until the job ends.
 * @param timeout_ms give up waiting after so long (-1: never); the job goes on
 * @return 0 ended, -ETIMEDOUT
 */
int cgm_job_wait(struct cgm_job *job, int timeout_ms);

/**
 * Ask the job to stop at the next chunk. Goes on being dispatched until it has
 * ended. On the engine the new mask stays in force and what was not moved are
 * strays. On a v2 stock kernel the cpuset is left with the old and the new
 * nodes, because narrowing it would make that kernel move the rest.
 */
int cgm_job_cancel(struct cgm_job *job);

/**
 * Have a job wait, or go on. On stock kernels nothing is moved from the next batch on,
 * and cgm_job_fd() is quiet. On the engine the cgroups of the job are put on hold, with
 * all below them, until the job goes on, has ended or is freed; one that was on hold
 * before stays so. A job on hold can be cancelled.
 *
 * @param hold 1: wait; 0: go on
 * @return 0; negative errno: a cgroup could not be told; the others were
 * @since 0.4
 */
int cgm_job_hold(struct cgm_job *job, int hold);

/**
 * Another limit for a job, from now on: as cgm_job_options::rate.
 *
 * @param rate bytes per second, 0: no limit
 * @return 0; negative errno: a cgroup could not be told; the others were
 * @since 0.4
 */
int cgm_job_set_rate(struct cgm_job *job, uint64_t rate);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* LIBCGMIGRATE_JOB_H */
