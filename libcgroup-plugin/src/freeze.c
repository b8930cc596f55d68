// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Freezing the processes of a cgroup: every cgroup of v2 can, on v1 there is a
 * hierarchy for it, whose cgroup of the same name has to have the same processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "group.h"
#include "procs.h"

#define FREEZE_USEC 10000000	/* who waits for a disk may take long */

/* Where a cgroup is frozen. */
struct freezer {
	int dirfd;
	bool v2;
	const char *mount;
};

static int open_freezer(struct cgm_group *group, struct freezer *freezer)
{
	struct cgm_context *ctx = group->ctx;
	bool own = ctx->cpuset.version == 2;

	freezer->v2 = own;
	freezer->mount = own ? ctx->cpuset.mount : ctx->freezer.mount;
	if (!freezer->mount)
		return cgm_fail(ctx, EOPNOTSUPP,
				"%s: cannot be frozen: no freezer hierarchy is mounted",
				group->path);
	freezer->dirfd = own ? fs_open_below(group->dirfd, ".", O_PATH | O_DIRECTORY) :
			       fs_open_below(ctx->freezer.dirfd, group_below(group->path),
					     O_PATH | O_DIRECTORY);
	if (freezer->dirfd < 0)
		return cgm_fail(ctx, errno, "%s: cannot be frozen: no such cgroup below %s",
				group->path, freezer->mount);
	if (fs_exists_at(freezer->dirfd, own ? "cgroup.freeze" : "freezer.state"))
		return 0;
	close(freezer->dirfd);
	return cgm_fail(ctx, EINVAL, "%s: cannot be frozen: a root cgroup", group->path);
}

static const char *file_of(const struct freezer *freezer)
{
	return freezer->v2 ? "cgroup.freeze" : "freezer.state";
}

/* Told to be frozen itself, whatever those above it are told. */
static int read_told(const struct freezer *freezer, int *frozen)
{
	const char *file = freezer->v2 ? "cgroup.freeze" : "freezer.self_freezing";
	char *text = fs_read_at(freezer->dirfd, file, NULL);

	if (!text)
		return -errno;
	*frozen = text[0] == '1';
	free(text);
	return 0;
}

CGM_PUBLIC int cgm_group_freezer(struct cgm_group *group, struct cgm_freezer *out)
{
	struct freezer freezer = { .dirfd = -1 };
	struct cgm_freezer all = { 0 };
	int err;

	err = open_freezer(group, &freezer);
	if (err)
		return err;
	err = read_told(&freezer, &all.frozen);
	close(freezer.dirfd);
	if (err)
		return cgm_fail(group->ctx, err, "%s: cannot read whether it is frozen: %s",
				group->path, strerror(-err));
	snprintf(all.file, sizeof(all.file), "%s%s/%s", freezer.mount, group->path,
		 file_of(&freezer));
	all.thawed = freezer.v2 ? "0" : "THAWED";
	err = FILL(out, &all);
	return err ? cgm_fail(group->ctx, EINVAL, "impossible size") : 0;
}

static int compare_lists(struct cgm_group *group, const struct freezer *freezer,
			 const struct pid_list *ours, struct pid_list *theirs)
{
	int err = procs_of_dir(group->ctx, freezer->dirfd, true, theirs);

	if (err)
		return cgm_fail(group->ctx, err, "%s: cannot list the processes below %s: %s",
				group->path, freezer->mount, strerror(-err));
	pid_list_sort(theirs);
	if (ours->count == theirs->count &&
	    (!ours->count || !memcmp(ours->pids, theirs->pids,
				     ours->count * sizeof(*ours->pids))))
		return 0;
	return cgm_fail(group->ctx, EINVAL,
			"%s: cannot be frozen: the cgroup of that name below %s has other processes",
			group->path, freezer->mount);
}

/* The right processes would stop, and not this one, which is to let them go on. */
static int check_processes(struct cgm_group *group, const struct freezer *freezer)
{
	struct pid_list ours = { 0 }, theirs = { 0 };
	int err = procs_of_dir(group->ctx, group->dirfd, true, &ours);

	if (err)
		err = cgm_fail(group->ctx, err, "%s: cannot list its processes: %s",
			       group->path, strerror(-err));
	pid_list_sort(&ours);
	for (size_t i = 0; !err && i < ours.count; i++)
		if (ours.pids[i] == getpid())
			err = cgm_fail(group->ctx, EINVAL,
				       "%s: cannot be frozen by a process in it (%d)",
				       group->path, getpid());
	if (!err && !freezer->v2)
		err = compare_lists(group, freezer, &ours, &theirs);
	free(ours.pids);
	free(theirs.pids);
	return err;
}

CGM_PUBLIC int cgm_group_freeze_check(struct cgm_group *group)
{
	struct freezer freezer = { .dirfd = -1 };
	int err = open_freezer(group, &freezer);

	if (err)
		return err;
	err = check_processes(group, &freezer);
	if (!err && !group->ctx->recorded &&
	    faccessat(freezer.dirfd, file_of(&freezer), W_OK, AT_EACCESS))
		err = cgm_fail(group->ctx, errno, "%s: may not write %s below %s: %m",
			       group->path, file_of(&freezer), freezer.mount);
	close(freezer.dirfd);
	return err;
}

static int tell(struct cgm_group *group, const struct freezer *freezer, bool freeze)
{
	struct cgm_context *ctx = group->ctx;
	const char *text = freezer->v2 ? (freeze ? "1" : "0") :
					 (freeze ? "FROZEN" : "THAWED");
	int err = ctx->writable ? fs_write_at(freezer->dirfd, file_of(freezer), 0, text) :
				  -EROFS;

	if (err)
		return cgm_fail(ctx, err, "cannot write \"%s\" to %s%s/%s: %s", text,
				freezer->mount, group->path, file_of(freezer),
				strerror(-err));
	return 0;
}

/* Have all stopped? Nobody stops on a recorded tree. */
static bool is_frozen(struct cgm_group *group, const struct freezer *freezer)
{
	char *text = fs_read_at(freezer->dirfd, freezer->v2 ? "cgroup.events" :
							      "freezer.state", NULL);
	uint64_t frozen = 0;

	if (text && freezer->v2)
		fs_keyed_u64(text, "frozen", &frozen);
	else if (text)
		frozen = !strncmp(text, "FROZEN", 6);
	free(text);
	return frozen || group->ctx->recorded;
}

static int freeze(struct cgm_group *group, const struct freezer *freezer)
{
	struct timespec tick = { .tv_nsec = 1000000 };
	uint64_t deadline = now_usec() + FREEZE_USEC;
	int err = check_processes(group, freezer);

	if (!err)
		err = tell(group, freezer, true);
	if (err)
		return err;
	while (!is_frozen(group, freezer)) {
		if (now_usec() > deadline) {
			tell(group, freezer, false);
			return cgm_fail(group->ctx, EBUSY,
					"%s: did not freeze within %d seconds, and goes on",
					group->path, FREEZE_USEC / 1000000);
		}
		nanosleep(&tick, NULL);
	}
	return 0;
}

CGM_PUBLIC int cgm_group_freeze(struct cgm_group *group, int on)
{
	struct freezer freezer = { .dirfd = -1 };
	int err = open_freezer(group, &freezer);

	if (err)
		return err;
	err = on ? freeze(group, &freezer) : tell(group, &freezer, false);
	close(freezer.dirfd);
	return err;
}
