// SPDX-License-Identifier: GPL-2.0
/* Which call fails, and who made it. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inject.h"

#define FRAMES 48

static const char * const names[KINDS] = { "memory", "open", "read", "write" };
static const int errors[KINDS] = { ENOMEM, EMFILE, EIO, ENOSPC };

static int wanted = -1;		/* the kind; -1: none, nothing is counted */
static unsigned long at;	/* 0: none */
static unsigned long count;
static const char *log_file;
static bool inside;		/* what we call ourselves does not count */

__attribute__((constructor))
static void read_environment(void)
{
	const char *kind = getenv("INJECT"), *number = getenv("INJECT_AT");
	void *frame;

	log_file = getenv("INJECT_LOG");
	at = number ? strtoul(number, NULL, 10) : 0;
	backtrace(&frame, 1);	/* loads what it needs */
	for (int k = 0; kind && k < KINDS; k++)
		if (!strcmp(kind, names[k]))
			wanted = k;
}

/* The name of the object that a frame is in, without its folder, and the place in it. */
static const char *object_of(void *frame, unsigned long *offset)
{
	struct dl_find_object found;
	const char *name, *slash;

	if (_dl_find_object(frame, &found))
		return "?";
	name = found.dlfo_link_map->l_name;
	*offset = (unsigned long)frame - found.dlfo_link_map->l_addr;
	if (!*name)
		return program_invocation_short_name;
	slash = strrchr(name, '/');
	return slash ? slash + 1 : name;
}

/* Ours: 1. Libcgroup, or the program where that is not ours: 0. No matter whose: -1. */
static int is_ours(const char *object)
{
	if (strstr(object, "cgmigrate"))
		return 1;
	if (!strncmp(object, "libcgroup.so", 12) ||
	    !strcmp(object, program_invocation_short_name))
		return 0;
	return -1;
}

static void put(const char *line, size_t len)
{
	int fd = syscall(SYS_openat, AT_FDCWD, log_file,
			 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	if (fd >= 0) {
		syscall(SYS_write, fd, line, len);
		syscall(SYS_close, fd);
	}
}

/* Write the number and the stack down, if the call was made for our code. */
static void tell(unsigned long number)
{
	void *frames[FRAMES];
	int depth = backtrace(frames, FRAMES), ours = -1;
	char line[4096];
	size_t len = snprintf(line, sizeof(line), "%lu", number);

	for (int i = 0; i < depth && len < sizeof(line) - 80; i++) {
		unsigned long offset = 0;
		const char *object = object_of(frames[i], &offset);

		if (!strcmp(object, "inject.so") || !strncmp(object, "libasan.", 8))
			continue;
		if (ours < 0)
			ours = is_ours(object);
		len += snprintf(line + len, sizeof(line) - len, " %.40s+%lx", object, offset);
	}
	if (ours != 1)
		return;
	line[len++] = '\n';
	put(line, len);
}

/* Is this the call that has to fail? Then errno says why. */
bool inject_fails(enum kind kind)
{
	int saved = errno;
	bool fails;

	if ((int)kind != wanted || inside)
		return false;
	count++;
	fails = count == at;
	if (log_file && (fails || !at)) {
		inside = true;
		tell(count);
		inside = false;
	}
	errno = fails ? errors[kind] : saved;
	return fails;
}
