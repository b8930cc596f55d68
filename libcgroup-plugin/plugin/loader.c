// SPDX-License-Identifier: LGPL-2.1-or-later
/* The other half of the plugin, and what a program that is executed gets to see. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "preload.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct plugin_core *core;
static bool used;	/* this process called libcgroup */

/* Where this object lies. NULL: not known. */
static const char *own_path(void)
{
	Dl_info info;

	return dladdr((void *)plugin_core, &info) ? info.dli_fname : NULL;
}

/*
 * Its neighbour. Its own libraries stay out of the global order, so that a
 * program with a libjansson or a json-c of its own keeps that.
 */
static void load(void)
{
	const char *own = own_path(), *slash;
	char path[4096];
	void *handle;
	int saved = errno;

	used = true;
	/* With more rights than its user has, a process obeys no environment. */
	if (getauxval(AT_SECURE) || !own)
		return;
	slash = strrchr(own, '/');
	if (snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - own + 1) : 0, own,
		     PLUGIN_CORE_FILE) >= (int)sizeof(path))
		return;
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle)
		core = dlsym(handle, PLUGIN_CORE_SYMBOL);
	errno = saved;
}

/* NULL where it cannot be had: then everything is as without us. */
const struct plugin_core *plugin_core(void)
{
	pthread_once(&once, load);
	return core;
}

/* Take our entry out of LD_PRELOAD, leaving the others as they are. */
static void leave_preload(const char *own)
{
	const char *list = getenv("LD_PRELOAD"), *base = strrchr(own, '/');
	size_t len;
	char *rest, *to;

	if (!list)
		return;
	rest = to = malloc(strlen(list) + 1);
	if (!rest)
		return;
	base = base ? base + 1 : own;
	for (const char *p = list; *p; p += len) {
		size_t gap = strspn(p, ": ");
		const char *name;

		len = gap + strcspn(p + gap, ": ");
		name = memrchr(p + gap, '/', len - gap);
		name = name ? name + 1 : p + gap;
		if ((size_t)(p + len - name) == strlen(base) &&
		    !strncmp(name, base, strlen(base)))
			continue;
		if (to == rest) {	/* nothing to be told apart from */
			p += gap;
			len -= gap;
		}
		memcpy(to, p, len);
		to += len;
	}
	*to = '\0';
	if (*rest)
		setenv("LD_PRELOAD", rest, 1);
	else
		unsetenv("LD_PRELOAD");
	free(rest);
}

/* What was asked of us is not asked of a payload. */
static void leave_environment(void)
{
	static const char prefix[] = "CGMIGRATE_PLUGIN_";
	char **to = environ;

	for (char **from = environ; from && *from; from++)
		if (strncmp(*from, prefix, sizeof(prefix) - 1))
			*to++ = *from;
	if (to)
		*to = NULL;
}

/*
 * cgexec puts itself into a group and becomes the payload, which is nobody's
 * business. Programs that never called libcgroup, like env or a shell, pass the
 * plugin on: they are on the way to one that does.
 */
HOOK int execvp(const char *file, char *const argv[])
{
	__typeof__(execvp) *real = dlsym(RTLD_NEXT, "execvp");

	if (used) {
		const char *own = own_path();

		if (own)
			leave_preload(own);
		leave_environment();
	}
	return real(file, argv);
}
