// SPDX-License-Identifier: LGPL-2.1-or-later
/* Moves under way in a cgroup: what they do, and telling them to do otherwise. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "group.h"
#include "number.h"

static bool has_engine(struct cgm_group *group)
{
	return fs_exists_at(group->dirfd, engine_files(group->ctx)->stat);
}

/* "max" or a number. */
static int parse_rate(const char *text, uint64_t *rate)
{
	uint64_t value;
	char *end;

	if (!strcmp(text, "max\n") || !strcmp(text, "max")) {
		*rate = CGM_RATE_MAX;
		return 0;
	}
	errno = 0;
	value = number_parse(text, &end);
	if (errno || end == text || (*end && *end != '\n'))
		return -EINVAL;
	*rate = value;
	return 0;
}

/* The limit of a cgroup that has the engine's files. */
int engine_read_rate(struct cgm_group *group, uint64_t *rate)
{
	const char *file = engine_files(group->ctx)->max;
	char *text = fs_read_at(group->dirfd, file, NULL);
	int err;

	if (!text)
		return cgm_fail(group->ctx, errno, "%s/%s: cannot read: %s", group->path,
				file, strerror(errno));
	err = parse_rate(text, rate);
	free(text);
	if (err)
		return cgm_fail(group->ctx, err, "%s/%s: neither \"max\" nor a number",
				group->path, file);
	return 0;
}

static int read_hold(struct cgm_group *group, int *hold)
{
	const char *file = engine_files(group->ctx)->hold;
	char *text = fs_read_at(group->dirfd, file, NULL);

	if (!text)
		return cgm_fail(group->ctx, errno, "%s/%s: cannot read: %s", group->path,
				file, strerror(errno));
	*hold = text[0] == '1';
	free(text);
	return 0;
}

static int read_leave_cache(struct cgm_group *group, int *leave)
{
	const char *file = engine_files(group->ctx)->cache;
	char *text = fs_read_at(group->dirfd, file, NULL);

	*leave = text && !strncmp(text, "leave", 5);
	if (!text && errno != ENOENT)	/* of an older kernel */
		return cgm_fail(group->ctx, errno, "%s/%s: cannot read: %s", group->path,
				file, strerror(errno));
	free(text);
	return 0;
}

static int read_activity(struct cgm_group *group, struct cgm_activity *activity)
{
	struct engine_stat stat;
	int err;

	if (!has_engine(group))
		return 0;
	activity->engine = 1;
	err = engine_read_stat(group, &stat);
	if (err)
		return err;
	activity->pending = stat.value[EC_PENDING];
	activity->held = stat.value[EC_HELD];
	err = read_leave_cache(group, &activity->leave_cache);
	if (err)
		return err;
	err = read_hold(group, &activity->hold);
	return err ? err : engine_read_rate(group, &activity->rate);
}

CGM_PUBLIC int cgm_group_activity(struct cgm_group *group, struct cgm_activity *out)
{
	struct cgm_activity activity = { .rate = CGM_RATE_MAX };
	int err = read_activity(group, &activity);

	if (err)
		return err;
	err = FILL(out, &activity);
	return err ? cgm_fail(group->ctx, EINVAL, "impossible size") : 0;
}

static int need_engine(struct cgm_group *group)
{
	if (has_engine(group))
		return 0;
	if (!strcmp(group->path, "/"))
		return cgm_fail(group->ctx, EINVAL,
				"/: the root cgroup has no settings of its own; name those below it");
	if (!cgm_group_has_cpuset(group))
		return cgm_fail(group->ctx, EINVAL,
				"%s: has no cpuset: its parent's cgroup.subtree_control lacks \"cpuset\"",
				group->path);
	return cgm_fail(group->ctx, EOPNOTSUPP,
			"%s: this kernel has no migration engine that could be told",
			group->path);
}

CGM_PUBLIC int cgm_group_hold(struct cgm_group *group, int hold)
{
	int err = need_engine(group);

	return err ? err : group_write(group, engine_files(group->ctx)->hold, 0,
				       hold ? "1" : "0");
}

CGM_PUBLIC int cgm_group_leave_cache(struct cgm_group *group, int leave)
{
	int err = need_engine(group);

	return err ? err : group_write(group, engine_files(group->ctx)->cache, 0,
				       leave ? "leave" : "move");
}

CGM_PUBLIC int cgm_group_stop(struct cgm_group *group)
{
	int err = need_engine(group);

	return err ? err : group_write(group, engine_files(group->ctx)->stop, 0, "1");
}

CGM_PUBLIC int cgm_group_set_rate(struct cgm_group *group, uint64_t rate)
{
	char text[32] = "max";
	int err = need_engine(group);

	if (err)
		return err;
	if (rate != CGM_RATE_MAX)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)rate);
	return group_write(group, engine_files(group->ctx)->max, 0, text);
}
