// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Giving clean page cache back before a cgroup moves, instead of moving it: through
 * memory.reclaim, a bounded piece at a time, and with no swapping. No more is asked for
 * than there is of it on the nodes that are left. The kernel takes the coldest pages of
 * files, on whatever node they are and mapped or not; so what is told afterwards is what
 * has gone where, by the counters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "group.h"
#include "job.h"

/* What is asked for at once: some milliseconds' worth. */
#define STEP_BYTES (32ULL << 20)

/* The controller's counters lag behind by up to so much. */
#define LEAST_BYTES (1ULL << 20)

#define FILE_NAME "memory.reclaim"

struct drop {
	struct cache_bytes *before;	/* by node */
	uint64_t budget;		/* that may still be asked for */
};

static int ask(struct job_run *run, uint64_t bytes)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu swappiness=0", (unsigned long long)bytes);
	return fs_write_once(run->item->group->dirfd, FILE_NAME, 0, text);
}

/* What is clean and nobody maps, on nodes that are left. */
static uint64_t droppable(const struct job_run *run, const struct cache_bytes *bytes)
{
	uint64_t sum = 0;

	for (int n = 0; n < run->job->plan->nodes; n++)
		if (cache_leaves(run->item, n))
			sum += cache_clean(&bytes[n]);
	return sum;
}

/* Changes nothing yet. To ask for nothing shows whether the kernel knows the words. */
int drop_start(struct job_run *run)
{
	struct cgm_group *group = run->item->group;
	struct drop *drop = calloc(1, sizeof(*drop));
	int err;

	run->drop = drop;
	if (!drop)
		return cgm_fail(run->job->ctx, ENOMEM, "out of memory");
	err = ask(run, 0);
	if (err == -EINVAL)
		return cgm_fail(run->job->ctx, EOPNOTSUPP,
				"%s: its page cache cannot be dropped: this kernel's %s knows no swappiness, and would swap",
				group->path, FILE_NAME);
	if (err)
		return cgm_fail(run->job->ctx, err, "%s/%s: cannot write: %s", group->path,
				FILE_NAME, strerror(-err));
	err = cache_read(group, &drop->before, run->job->plan->nodes);
	if (!err)
		drop->budget = droppable(run, drop->before);
	return err;
}

/* The next piece. 1: there may be more. Whatever goes wrong, the move can go on. */
int drop_step(struct job_run *run)
{
	struct drop *drop = run->drop;
	struct cache_bytes *now;
	uint64_t bytes;
	int err;

	if (cache_read(run->item->group, &now, run->job->plan->nodes))
		return 0;
	bytes = droppable(run, now);
	free(now);
	if (bytes > drop->budget)
		bytes = drop->budget;
	if (bytes > STEP_BYTES)
		bytes = STEP_BYTES;
	if (bytes < LEAST_BYTES)
		return 0;
	err = ask(run, bytes);
	if (!err)
		drop->budget -= bytes;
	else if (err != -EINTR && err != -EAGAIN)	/* that is all there was */
		run_note(run, "%s/%s: cannot write: %s", run->item->group->path, FILE_NAME,
			 strerror(-err));
	return !err || err == -EINTR;
}

/* What has gone is accounted for. */
void drop_end(struct job_run *run)
{
	struct drop *drop = run->drop;
	struct cache_bytes *now = NULL;

	run->drop = NULL;
	if (drop && drop->before)
		run->unaccounted |= is_shortage(cache_read(run->item->group, &now,
							   run->job->plan->nodes));
	for (int n = 0; now && n < run->job->plan->nodes; n++) {
		struct cell cell = { .from = n, .to = -1, .kind = CGM_KIND_FILE };
		uint64_t was = cache_files(&drop->before[n]), is = cache_files(&now[n]);

		if (was > is)
			run_account(run, &cell, CGM_DROPPED, was - is, CGM_ROW_ESTIMATED);
	}
	free(now);
	if (drop)
		free(drop->before);
	free(drop);
}
