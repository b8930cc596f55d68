// SPDX-License-Identifier: GPL-2.0
/* Files: opening, reading and writing them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "inject.h"

/* Where a file is looked for. */
static const char *place(const char *path)
{
	static __thread char buf[4096];
	const char *root = getenv("INJECT_ROOT");

	if (!root || (strcmp(path, "/") && strncmp(path, "/proc/", 6) &&
		      strncmp(path, "/sys/", 5)))
		return path;
	snprintf(buf, sizeof(buf), "%s%s", root, path);
	return buf;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return inject_fails(OPEN) ? -1 : NEXT(open)(place(path), flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return inject_fails(OPEN) ? -1 : NEXT(openat)(dir, place(path), flags, mode);
}

/* There is no function for openat2(2). */
long syscall(long number, ...)
{
	long args[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2) {
		if (inject_fails(OPEN))
			return -1;
		args[1] = (long)place((const char *)args[1]);
	}
	return NEXT(syscall)(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

FILE *fopen(const char *path, const char *mode)
{
	return inject_fails(OPEN) ? NULL : NEXT(fopen)(place(path), mode);
}

DIR *opendir(const char *path)
{
	return inject_fails(OPEN) ? NULL : NEXT(opendir)(place(path));
}

DIR *fdopendir(int fd)
{
	return inject_fails(OPEN) ? NULL : NEXT(fdopendir)(fd);
}

int access(const char *path, int mode)
{
	return NEXT(access)(place(path), mode);
}

int stat(const char *path, struct stat *st)
{
	return NEXT(stat)(place(path), st);
}

/* Whoever looks at a hierarchy of cgroups wants to see that it is one. */
int fstatfs(int fd, struct statfs *fs)
{
	char link[32], path[4096];
	ssize_t len;
	int ret = NEXT(fstatfs)(fd, fs);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (ret || len < 0 || !getenv("INJECT_ROOT"))
		return ret;
	path[len] = '\0';
	if (!strcmp(path, place("/sys/fs/cgroup")))
		fs->f_type = CGROUP2_SUPER_MAGIC;
	return ret;
}

/* A tree is on the mount of what is around it. */
int statx(int fd, const char *path, int flags, unsigned int mask, struct statx *st)
{
	int ret = NEXT(statx)(fd, path, flags, mask, st);

	if (!ret && getenv("INJECT_ROOT"))
		st->stx_mask &= ~STATX_MNT_ID;
	return ret;
}

ssize_t read(int fd, void *buf, size_t size)
{
	return inject_fails(READ) ? -1 : NEXT(read)(fd, buf, size);
}

ssize_t pread(int fd, void *buf, size_t size, off_t offset)
{
	return inject_fails(READ) ? -1 : NEXT(pread)(fd, buf, size, offset);
}

ssize_t write(int fd, const void *buf, size_t size)
{
	return inject_fails(WRITE) ? -1 : NEXT(write)(fd, buf, size);
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	return inject_fails(WRITE) ? -1 : NEXT(pwrite)(fd, buf, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return inject_fails(WRITE) ? -1 : NEXT(writev)(fd, parts, count);
}

int mkdir(const char *path, mode_t mode)
{
	return inject_fails(WRITE) ? -1 : NEXT(mkdir)(place(path), mode);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return inject_fails(WRITE) ? -1 : NEXT(renameat)(from_dir, from, to_dir, to);
}

int fsync(int fd)
{
	return inject_fails(WRITE) ? -1 : NEXT(fsync)(fd);
}

/* What libc reads for a stream does not come by here. */
static bool stream_fails(FILE *file)
{
	bool fails = inject_fails(READ);

	if (fails)
		file->_flags |= 0x20;	/* what ferror() looks at */
	return fails;
}

char *fgets(char *buf, int size, FILE *file)
{
	return stream_fails(file) ? NULL : NEXT(fgets)(buf, size, file);
}

size_t fread(void *buf, size_t size, size_t count, FILE *file)
{
	return stream_fails(file) ? 0 : NEXT(fread)(buf, size, count, file);
}
