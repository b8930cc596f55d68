// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Cgroups that belong to units of systemd.
 *
 * systemd keeps the nodes of a unit and writes them to cpuset.mems whenever
 * something else of the unit changes, so it has to be told of new ones. It
 * writes as anybody does who waits until the memory has moved, and it is
 * process 1: while it waits nobody can start, stop or ask after anything. So
 * it is only ever told what moves nothing: with the engine, what was written a
 * moment before without waiting; without the engine, the old and the new nodes
 * together, and at the end the new ones, when they were written here; and where
 * the caller has to leave the move to the kernel, what was written and waited for.
 * A write of what is there already is no change to the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "systemd.h"
#include "unit.h"

#define APPLY_USEC 10000000	/* a busy process 1 gets to it within that */

/* Is it the cgroup of a unit, on a system that runs now? */
bool unit_of(struct cgm_group *group, char *unit, size_t size)
{
	return !group->ctx->recorded && group->ctx->cpuset.version == 2 &&
	       cgm_group_owner(group, unit, size) == CGM_OWNER_SYSTEMD;
}

CGM_PUBLIC int cgm_group_unit_mems(struct cgm_group *group, cgm_nodeset *mems)
{
	char unit[256];

	cgm_nodeset_clear(mems);
	if (!unit_of(group, unit, sizeof(unit)))
		return cgm_fail(group->ctx, ENOENT,
				"%s: not the cgroup of a systemd unit", group->path);
	return systemd_get_mems(group, unit, mems);
}

/* ---- planning ---- */

/* Has somebody written other nodes than systemd has? */
static void check_drift(struct cgm_plan *plan, struct plan_item *item, const char *unit)
{
	char theirs[256], here[256];
	cgm_nodeset set;

	if (systemd_get_mems(item->group, unit, &set)) {
		notes_add(&plan->notes, CGM_WARNING, "%s", plan->ctx->error);
		return;
	}
	if (!cgm_nodeset_weight(&set) || item->enable)
		return;
	/* In force, but systemd would undo it: telling it is a change. */
	item->change |= !cgm_nodeset_equal(&set, &item->written);
	if (cgm_nodeset_equal(&set, &item->configured))
		return;
	notes_add(&plan->notes, CGM_WARNING,
		  "%s: systemd has AllowedMemoryNodes=%s for %s, and somebody has written %s to cpuset.mems behind its back",
		  item->group->path, nodes_name(&set, theirs, sizeof(theirs)), unit,
		  nodes_name(&item->configured, here, sizeof(here)));
}

/* Remark on a change of the nodes of a unit's cgroup. */
void unit_check(struct cgm_plan *plan, struct plan_item *item)
{
	char unit[256];

	if (cgm_group_owner(item->group, unit, sizeof(unit)) != CGM_OWNER_SYSTEMD)
		return;
	if (unit_of(item->group, unit, sizeof(unit)))
		check_drift(plan, item, unit);
	if (item->change)
		notes_add(&plan->notes, CGM_NOTE,
			  "%s: belongs to systemd (%s), and is changed through it%s",
			  item->group->path, unit,
			  item->enable ? ", which is to enable the cpuset controller for it" :
					 "");
}

/* ---- changing ---- */

static bool persists(const struct job_run *run)
{
	return run->job->options.flags & CGM_JOB_PERSIST;
}

/*
 * systemd could not be told, so what was written lasts until it writes its own.
 * Once is enough.
 */
static void note_untold(struct job_run *run, const char *unit, int err)
{
	cgm_nodeset *mems = &run->item->written;
	char list[1024];

	run->untold = true;
	if (err == -ESTALE) {
		run_note(run, "%s; cpuset.mems was written directly", run->job->ctx->error);
		return;
	}
	cgm_nodeset_format(mems, list, sizeof(list));
	run_note(run, "%s; cpuset.mems was written directly, and systemd writes its own back when it reloads, unless root says \"systemctl set-property%s %s AllowedMemoryNodes=%s\"",
		 run->job->ctx->error, persists(run) ? "" : " --runtime", unit, list);
}

/* Wait until systemd has written these nodes. */
static int wait_for_mems(struct cgm_group *group, const char *unit, const cgm_nodeset *mems)
{
	struct timespec tick = { .tv_nsec = 1000000 };
	uint64_t deadline = now_usec() + APPLY_USEC;
	cgm_nodeset now;

	/* With the controller the file comes, so it may be missing at first. */
	while (cgm_group_mems(group, &now) || !cgm_nodeset_equal(&now, mems)) {
		if (now_usec() > deadline)
			return cgm_fail(group->ctx, ETIMEDOUT,
					"systemd took the nodes of %s, but has not written them: see its log, \"journalctl _PID=1\"",
					unit);
		nanosleep(&tick, NULL);
	}
	return 0;
}

/* Have systemd give the cgroup a cpuset, with the nodes it has anyway. */
int unit_enable(struct job_run *run)
{
	struct plan_item *item = run->item;
	char unit[256];
	int err;

	if (!unit_of(item->group, unit, sizeof(unit)))
		return cgm_fail(run->job->ctx, ENOENT,
				"%s: has no cpuset, and is no unit's any more",
				item->group->path);
	err = systemd_set_mems(item->group, unit, &item->from, false);
	if (!err)
		err = wait_for_mems(item->group, unit, &item->from);
	if (!err)
		item->configured = item->from;
	return err;
}

/*
 * Write the old and the new nodes together: through systemd, which would
 * otherwise go back to the old ones in the middle of the move.
 */
int unit_widen(struct job_run *run, const char *list)
{
	struct cgm_group *group = run->item->group;
	cgm_nodeset mems;
	char unit[256];
	int err;

	if (!unit_of(group, unit, sizeof(unit)) || cgm_nodeset_parse(list, &mems) ||
	    !cgm_nodeset_weight(&mems))
		return group_write(group, "cpuset.mems", 0, list);
	err = systemd_set_mems(group, unit, &mems, false);
	if (!err)
		err = wait_for_mems(group, unit, &mems);
	if (!err)
		return 0;
	note_untold(run, unit, err);
	return group_write(group, "cpuset.mems", 0, list);
}

/* What is set for good comes before what is set until the next boot. */
static void note_persistent(struct job_run *run, const char *unit)
{
	int fd = fs_open(run->job->ctx, O_PATH,
			 "etc/systemd/system.control/%s.d/50-AllowedMemoryNodes.conf", unit);

	if (fd < 0)
		return;
	close(fd);
	run_note(run, "%s: has nodes that were set for good, and systemd goes back to them when it reloads: move it with --persist to set these for good",
		 unit);
}

/*
 * Tell systemd what was written. That a unit is to have no nodes of its own is
 * told at the end, because systemd may take the controller away then.
 */
void unit_tell(struct job_run *run, enum unit_moment moment)
{
	struct plan_item *item = run->item;
	bool none = !cgm_nodeset_weight(&item->written);
	char unit[256];
	int err;

	if (item->action != CGM_ACTION_MEMS || run->untold || none != (moment == UNIT_ENDED) ||
	    !unit_of(item->group, unit, sizeof(unit)))
		return;
	err = systemd_set_mems(item->group, unit, &item->written, persists(run));
	if (err)
		note_untold(run, unit, err);
	else if (!persists(run))
		note_persistent(run, unit);
}
