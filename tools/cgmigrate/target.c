// SPDX-License-Identifier: GPL-2.0
/* What a TARGET on the command line stands for. */
#include <ctype.h>
#include <errno.h>
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

static int open_pid(struct app *app, struct target *target)
{
	char *end;
	long pid;
	int err;

	errno = 0;
	pid = strtol(target->text, &end, 10);
	if (*end || errno || pid <= 0 || pid > 1 << 22)
		return usage_error(app, "%s: not a process number", target->text);
	target->pid = pid;
	err = cgm_group_open_pid(app->ctx, pid, &target->group);
	if (err == -EOPNOTSUPP)		/* no cpusets: the process alone will do */
		err = 0;
	return err ? fail_errno(app, err) : 0;
}

/* 0, or an exit code after the error was told. */
int target_open(struct app *app, const char *text, struct target *target)
{
	int err;

	memset(target, 0, sizeof(*target));
	target->text = text;
	if (isdigit((unsigned char)text[0]) && !is_unit(text))
		return open_pid(app, target);
	if (text[0] == '/')
		err = cgm_group_open(app->ctx, text, &target->group);
	else if (is_unit(text))
		err = cgm_group_open_unit(app->ctx, text, &target->group);
	else
		return usage_error(app,
				   "%s: not a target; a cgroup starts with \"/\", a unit ends in .service, .scope or .slice, a process is a number",
				   text);
	return err ? fail_errno(app, err) : 0;
}

void target_close(struct target *target)
{
	cgm_group_unref(target->group);
	target->group = NULL;
}
