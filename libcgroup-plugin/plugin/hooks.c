// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions of libcgroup that its tools call. Each calls the real one and
 * returns what that returned; before and after, memory is taken care of.
 *
 * They call each other inside libcgroup, and in most builds come back here. What
 * the outermost call was for is one event; what is within it is a part of that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

static __thread struct event *current;
static __thread int depth;

static const struct plugin_core *outermost(void)
{
	return depth ? NULL : plugin_core();
}

/* errno is as before for the real function, and as it left it for its caller. */
static enum verdict begin(const struct plugin_core *core, const struct call *call)
{
	enum verdict verdict = CALL_REAL;
	int saved = errno;

	if (core)
		verdict = core->begin(call, &current);
	else if (current && plugin_core())
		plugin_core()->inner(current, call);
	depth++;
	errno = saved;
	return verdict;
}

static int end(const struct plugin_core *core, int returned)
{
	struct event *event = current;
	int saved = errno;

	depth--;
	if (core && event) {
		current = NULL;
		core->end(event, returned);
	}
	errno = saved;
	return returned;
}

/*
 * Call the function ours stands for. There is none only where nobody has
 * libcgroup, so nobody called.
 */
#define REAL(hook, ...) \
({ \
	__typeof__(hook) *real_one = real_function(#hook, __builtin_return_address(0)); \
	real_one ? real_one(__VA_ARGS__) : ECGFAIL; \
})

static bool names_cpuset(const char * const controllers[])
{
	if (!controllers)
		return true;	/* v2: there is one hierarchy */
	for (int i = 0; controllers[i]; i++)
		if (!strcmp(controllers[i], "cpuset") || !strcmp(controllers[i], "*"))
			return true;
	return plugin_core() && plugin_core()->unified();
}

/* ---- processes ---- */

HOOK int cgroup_change_cgroup_path(const char *dest, pid_t pid,
				   const char * const controllers[])
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_PROCESS, .function = __func__, .pid = pid, .group = dest,
		.cpuset = names_cpuset(controllers),
	};

	begin(core, &call);
	return end(core, REAL(cgroup_change_cgroup_path, dest, pid,
			      controllers));
}

HOOK int cgroup_change_cgroup_flags(uid_t uid, gid_t gid, const char *procname, pid_t pid,
				    int flags)
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_PROCESS, .function = __func__, .pid = pid,
	};

	begin(core, &call);
	return end(core, REAL(cgroup_change_cgroup_flags, uid, gid,
			      procname, pid, flags));
}

HOOK int cgroup_change_cgroup_uid_gid_flags(uid_t uid, gid_t gid, pid_t pid, int flags)
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_PROCESS, .function = __func__, .pid = pid,
	};

	begin(core, &call);
	return end(core, REAL(cgroup_change_cgroup_uid_gid_flags, uid, gid, pid, flags));
}

HOOK int cgroup_change_cgroup_uid_gid(uid_t uid, gid_t gid, pid_t pid)
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_PROCESS, .function = __func__, .pid = pid,
	};

	begin(core, &call);
	return end(core, REAL(cgroup_change_cgroup_uid_gid, uid, gid, pid));
}

HOOK int cgroup_change_all_cgroups(void)
{
	const struct plugin_core *core = outermost();
	const struct call call = { .kind = CALL_EVERYBODY, .function = __func__ };

	begin(core, &call);
	return end(core, REAL(cgroup_change_all_cgroups));
}

/* ---- threads ---- */

typedef struct cgroup_controller *(*get_controller_fn)(struct cgroup *group,
						       const char *name);

static bool struct_names_cpuset(struct cgroup *group, const void *caller)
{
	get_controller_fn get = real_function("cgroup_get_controller", caller);

	if (!group || !get)
		return false;
	return get(group, "cpuset") || (plugin_core() && plugin_core()->unified());
}

HOOK int cgroup_attach_task_pid(struct cgroup *cgroup, pid_t tid)
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_THREAD, .function = __func__, .pid = tid,
		.group = group_name(cgroup),
		.cpuset = struct_names_cpuset(cgroup, __builtin_return_address(0)),
	};

	begin(core, &call);
	return end(core, REAL(cgroup_attach_task_pid, cgroup, tid));
}

HOOK int cgroup_attach_thread_tid(struct cgroup *cgroup, pid_t tid)
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_THREAD, .function = __func__, .pid = tid,
		.group = group_name(cgroup),
		.cpuset = struct_names_cpuset(cgroup, __builtin_return_address(0)),
	};

	begin(core, &call);
	return end(core, REAL(cgroup_attach_thread_tid, cgroup, tid));
}

HOOK int cgroup_attach_task(struct cgroup *cgroup)
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_THREAD, .function = __func__, .pid = gettid(),
		.group = group_name(cgroup),
		.cpuset = struct_names_cpuset(cgroup, __builtin_return_address(0)),
	};

	begin(core, &call);
	return end(core, REAL(cgroup_attach_task, cgroup));
}

/* ---- groups ---- */

typedef int (*group_fn)(struct cgroup *group);
typedef int (*create_fn)(struct cgroup *group, int ignore_ownership);
typedef int (*copy_fn)(struct cgroup *to, struct cgroup *from);

/* cpuset.memory_migrate = 1 means what a v2 hierarchy does in any case. */
static bool says_nothing(const struct settings *settings, const struct cgroup *group)
{
	return settings->migrate && plugin_core() &&
	       plugin_core()->has_v2_cpuset(group_name(group));
}

/*
 * Write a part of the settings, or the whole where it cannot be taken apart: what
 * comes after that is written already.
 */
static int write_part(group_fn real, struct cgroup *group, const void *caller,
		      unsigned int part)
{
	struct cgroup *copy = settings_copy(group, caller, part);
	int ret = real(copy ? copy : group);

	settings_free_copy(copy, caller);
	return ret;
}

/*
 * Settings with cpuset.mems or cpuset.memory_migrate among them: the others
 * first, so that nodes change when all that could fail before has not, and when
 * memory_migrate says that memory follows. Where the others fail, or the nodes
 * will, the whole is written as if we were not there, and fails in the same way.
 */
static int write_in_order(const struct plugin_core *core, group_fn real,
			  struct cgroup *group, const void *caller,
			  const struct settings *settings)
{
	struct call call = {
		.kind = CALL_SETTINGS, .function = "cgroup_modify_cgroup",
		.group = group_name(group), .cpuset = true, .mems = settings->mems,
	};
	unsigned int first = KEEP_OTHERS;
	bool refused = settings->mems && !core->takes(&call);
	bool silent = says_nothing(settings, group);
	int ret = 0;

	if (settings->migrate && !silent)
		first |= KEEP_MIGRATE;
	depth++;	/* only what changes the nodes is the event */
	if (!refused && (settings->others || (first & KEEP_MIGRATE)))
		ret = write_part(real, group, caller, first);
	depth--;
	if (refused || ret) {
		call.mems = NULL;	/* may not come to be written */
		begin(core, &call);
		if (refused && silent)
			ret = write_part(real, group, caller, first | KEEP_MEMS);
		else
			ret = real(group);
		return end(core, ret);
	}
	if (begin(core, &call) == CALL_REAL && settings->mems)
		ret = write_part(real, group, caller, KEEP_MEMS);
	return end(core, ret);
}

HOOK int cgroup_modify_cgroup(struct cgroup *cgroup)
{
	const void *caller = __builtin_return_address(0);
	const struct plugin_core *core = outermost();
	group_fn real = (group_fn)real_function(__func__, caller);
	const struct call call = {
		.kind = CALL_SETTINGS, .function = __func__,
		.group = group_name(cgroup), .cpuset = true,
	};
	struct settings settings = { 0 };
	int ret;

	if (!real)
		return ECGFAIL;
	if (core)
		settings_read(cgroup, caller, &settings);
	if (settings.complete && !settings.stay) {
		ret = write_in_order(core, real, cgroup, caller, &settings);
	} else {
		begin(core, &call);
		ret = end(core, real(cgroup));
	}
	settings_clear(&settings);
	return ret;
}

/*
 * A configuration file's memory_migrate on v2. The struct belongs to libcgroup,
 * which alone knows its owner and permissions, so the setting is taken out of it
 * for the time of the call.
 */
static int create_without_migrate(create_fn real, struct cgroup *group,
				  int ignore_ownership, const void *caller)
{
	copy_fn copy = real_function("cgroup_copy_cgroup", caller);
	struct cgroup *all = settings_copy(group, caller, KEEP_ALL);
	struct cgroup *part = settings_copy(group, caller, KEEP_OTHERS | KEEP_MEMS);
	int ret;

	if (copy && all && part && !copy(group, part)) {
		ret = real(group, ignore_ownership);
		copy(group, all);
	} else {
		ret = real(group, ignore_ownership);
	}
	settings_free_copy(all, caller);
	settings_free_copy(part, caller);
	return ret;
}

HOOK int cgroup_create_cgroup(struct cgroup *cgroup, int ignore_ownership)
{
	const void *caller = __builtin_return_address(0);
	create_fn real = real_function(__func__, caller);
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_GROUPS, .function = __func__, .group = group_name(cgroup),
		.cpuset = true,
	};
	struct settings settings = { 0 };
	int ret;

	if (!real)
		return ECGFAIL;
	if (!core && current)
		settings_read(cgroup, caller, &settings);
	begin(core, &call);
	if (settings.complete && says_nothing(&settings, cgroup))
		ret = create_without_migrate(real, cgroup, ignore_ownership, caller);
	else
		ret = real(cgroup, ignore_ownership);
	settings_clear(&settings);
	return end(core, ret);
}

HOOK int cgroup_config_load_config(const char *pathname)
{
	const struct plugin_core *core = outermost();
	const struct call call = { .kind = CALL_GROUPS, .function = __func__ };

	begin(core, &call);
	return end(core, REAL(cgroup_config_load_config, pathname));
}

/* ---- removing ---- */

#define DELETE_RECURSIVE 2	/* CGFLAG_DELETE_RECURSIVE */

HOOK int cgroup_delete_cgroup_ext(struct cgroup *cgroup, int flags)
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_DELETE, .function = __func__, .group = group_name(cgroup),
		.cpuset = struct_names_cpuset(cgroup, __builtin_return_address(0)),
		.recursive = flags & DELETE_RECURSIVE,
	};

	begin(core, &call);
	return end(core, REAL(cgroup_delete_cgroup_ext, cgroup, flags));
}

HOOK int cgroup_delete_cgroup(struct cgroup *cgroup, int ignore_migration)
{
	const struct plugin_core *core = outermost();
	const struct call call = {
		.kind = CALL_DELETE, .function = __func__, .group = group_name(cgroup),
		.cpuset = struct_names_cpuset(cgroup, __builtin_return_address(0)),
	};

	begin(core, &call);
	return end(core, REAL(cgroup_delete_cgroup, cgroup, ignore_migration));
}
