// SPDX-License-Identifier: GPL-2.0
/* What a TARGET on the command line stands for. */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

static bool is_unit(const char *text)
{
	static const char * const suffixes[] = { ".service", ".scope", ".slice" };
	size_t len = strlen(text);

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && !strcmp(text + len - n, suffixes[i]))
			return true;
	}
	return false;
}

/*
 * What is no target may be a cgroup without its slash, also as libcgroup's tools name it,
 * after its controllers. An exit code once that was told, 0: it is none.
 */
static int suggest_cgroup(struct app *app, const char *text)
{
	const char *colon = strchr(text, ':'), *name = colon ? colon + 1 : text;
	struct cgm_group *group;
	char path[4096];
	int code;

	if (!*name || snprintf(path, sizeof(path), "/%s", name) >= (int)sizeof(path) ||
	    cgm_group_open(app->ctx, path, &group))
		return 0;
	code = usage_error(app, "%s: not a target; did you mean %s?", text,
			   cgm_group_path(group));
	cgm_group_unref(group);
	return code;
}

static int not_a_target(struct app *app, const char *text)
{
	return suggest_cgroup(app, text) ?:
	       usage_error(app,
			   "%s: not a target; a cgroup starts with \"/\", a unit ends in .service, .scope or .slice, a process is a number, a user is @name",
			   text);
}

static int open_pid(struct app *app, struct target *target)
{
	char *end;
	long pid;
	int err;

	errno = 0;
	pid = strtol(target->text, &end, 10);
	if (*end || errno || pid <= 0 || pid > 1 << 22)
		return suggest_cgroup(app, target->text) ?:
		       usage_error(app, "%s: not a process number", target->text);
	target->pid = pid;
	err = cgm_group_open_pid(app->ctx, pid, &target->group);
	if (err == -EOPNOTSUPP)		/* no cpusets: the process alone will do */
		err = 0;
	return err ? fail_errno(app, err) : 0;
}

/* A user's number. On a recorded tree its own list of users counts. */
static bool find_user(const struct app *app, const char *name, uid_t *uid)
{
	struct passwd *user = NULL;
	char path[4096], *end;
	FILE *file;

	*uid = strtoul(name, &end, 10);
	if (*name && !*end)
		return true;
	if (!app->sysroot) {
		user = getpwnam(name);
	} else {
		snprintf(path, sizeof(path), "%s/etc/passwd", app->sysroot);
		file = fopen(path, "r");
		while (file && (user = fgetpwent(file)))
			if (!strcmp(user->pw_name, name))
				break;
		if (file)
			fclose(file);
	}
	if (user)
		*uid = user->pw_uid;
	return user;
}

static int open_user(struct app *app, struct target *target)
{
	uid_t uid;
	int err;

	if (!find_user(app, target->text + 1, &uid))
		return fail(app, EXIT_FAILED, "%s: no such user", target->text);
	err = cgm_user_pids(app->ctx, uid, &target->pids, &target->pid_count);
	if (!err && !target->pid_count)
		return fail(app, EXIT_FAILED, "%s: has no processes", target->text);
	return err ? fail_errno(app, err) : 0;
}

/* 0, or an exit code after the error was told. */
int target_open(struct app *app, const char *text, struct target *target)
{
	int err;

	memset(target, 0, sizeof(*target));
	target->text = text;
	if (text[0] == '@')
		return open_user(app, target);
	if (isdigit((unsigned char)text[0]) && !is_unit(text))
		return open_pid(app, target);
	if (text[0] == '/')
		err = cgm_group_open(app->ctx, text, &target->group);
	else if (is_unit(text))
		err = cgm_group_open_unit(app->ctx, text, &target->group);
	else
		return not_a_target(app, text);
	return err ? fail_errno(app, err) : 0;
}

void target_close(struct target *target)
{
	cgm_group_unref(target->group);
	target->group = NULL;
	free(target->pids);
	target->pids = NULL;
}

/* @takes: what makes sense, in words. */
static int open_cgroup(struct app *app, const char *text, const char *takes,
		       struct target *target)
{
	int code = target_open(app, text, target);

	if (code || (!target->pid && !target->pids))
		return code;
	if (target->group)
		code = usage_error(app, "%s: %s takes %s; this process is in %s", text,
				   app->verb, takes, cgm_group_path(target->group));
	else
		code = usage_error(app, "%s: %s takes %s", text, app->verb, takes);
	target_close(target);
	return code;
}

/* The same where only a cgroup makes sense. */
int target_open_cgroup(struct app *app, const char *text, struct target *target)
{
	return open_cgroup(app, text, "cgroups and units", target);
}

static int check_cgroup(struct app *app, const char *text)
{
	struct target target;
	int code = open_cgroup(app, text, "cgroups, units and jobs (j17)", &target);

	if (!code)
		target_close(&target);
	return code;
}

static int check_job(struct app *app, const char *id)
{
	json_t *record = record_read(app, id);
	int code = 0;

	if (!record)
		code = fail(app, EXIT_FAILED,
			    "%s: no such job; \"cgmigrate report\" lists them", id);
	json_decref(record);
	return code;
}

/* Are they there? Nothing is told to anybody when one of them is not. */
int check_cgroups_and_jobs(struct app *app, char **targets)
{
	int code = 0;

	for (; *targets && !code; targets++)
		code = job_number(*targets) ? check_job(app, *targets) :
					      check_cgroup(app, *targets);
	return code;
}
