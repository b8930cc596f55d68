// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Processes go into a cgroup, for any backend.
 *
 * Between being listed and its turn a process can exit, and have children. Those are
 * where it was. Once all who were listed have gone nobody but such a child has children
 * there, so to list again, and again, comes to an end unless they are faster than we.
 *
 * The number of one that has exited may be another's by then, so it is looked at right
 * before it is written. Nothing holds a number: what remains is the time of two calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "group.h"

/* So often those who are left are listed. */
#define LOOKS 64

static bool is_known(const struct job_run *run, pid_t pid)
{
	for (size_t i = 0; i < run->pids.count; i++)
		if (run->pids.pids[i] == pid)
			return true;
	return false;
}

/* Take in who was born where the others come from. How many, or -errno. */
static int find_born(struct job_run *run, attach_joins joins)
{
	size_t count, born = 0;
	pid_t *pids;
	int err = cgm_group_pids(run->item->source, CGM_PIDS_SUBTREE, &pids, &count);

	if (err)	/* it is gone, and so nobody is left in it */
		return is_shortage(err) ? err : 0;
	for (size_t i = 0; i < count && !err; i++) {
		if (is_known(run, pids[i]))
			continue;
		err = joins(run, pids[i]);
		if (err == -ESRCH || err == -ENOENT) {	/* has exited */
			err = 0;
			continue;
		}
		if (!err)
			err = pid_list_add(&run->pids, pids[i]);
		born++;
	}
	free(pids);
	return err ? err : (int)born;
}

/* Has a process that was named begun when the one did that had the number then? */
static int check_start(const struct job_run *run, pid_t pid)
{
	const struct plan_item *item = run->item;
	uint64_t start;
	size_t i = 0;
	int err;

	while (i < item->pid_count && item->pids[i] != pid)
		i++;
	if (i == item->pid_count || !item->starts[i])
		return 0;
	err = thread_start(run->job->ctx, pid, &start);
	return err ? err : start == item->starts[i] ? 0 : -ESRCH;
}

/* Is this still one that was meant? 0, -ESRCH: another, or none; or -errno. */
static int check_meant(const struct job_run *run, pid_t pid)
{
	int err = run->item->source ? group_check_pid(run->item->source, pid) :
				      check_start(run, pid);

	if (err && err != -ESRCH)
		cgm_fail(run->job->ctx, err, "%d: cannot look whether it is still there: %s",
			 pid, strerror(-err));
	return err;
}

/* Have those go who have not been told to. How many did; *err is what kept others. */
static size_t attach_from(struct job_run *run, size_t first, int flags, int *err)
{
	size_t done = 0;

	for (size_t i = first; i < run->pids.count; i++) {
		pid_t pid = run->pids.pids[i];
		char text[16];
		int one = check_meant(run, pid);

		snprintf(text, sizeof(text), "%d", pid);
		if (!one)
			one = group_write(run->item->group, "cgroup.procs", flags, text);
		if (!one) {
			done++;
			continue;
		}
		if (one == -ESRCH) {	/* has exited */
			*err = *err ? *err : one;
			continue;
		}
		*err = one;
		run_note(run, "%s", run->job->ctx->error);
		run->refused = true;
	}
	return done;
}

/* Have all go who are born meanwhile. */
static void attach_born(struct job_run *run, int flags, attach_joins joins)
{
	int born = 1, err = 0;

	for (int look = 0; look < LOOKS && born > 0; look++) {
		size_t first = run->pids.count;

		born = find_born(run, joins);
		attach_from(run, first, flags, &err);
	}
	if (born < 0)
		run_note(run, "%s: cannot list who was born there meanwhile: %s",
			 run->item->source->path, strerror(-born));
	else if (born)
		run_note(run, "%s: processes are born there faster than they can be moved, and some may have stayed",
			 run->item->source->path);
	run->refused |= born != 0;
}

/*
 * Write the processes of a run to cgroup.procs of where they are to go. 0 when one went,
 * else what kept the last.
 */
int attach_all(struct job_run *run, int flags, attach_joins joins)
{
	int err = 0;

	if (!attach_from(run, 0, flags, &err))
		return err;
	if (run->item->source)
		attach_born(run, flags, joins);
	return 0;
}
