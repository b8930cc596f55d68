// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading and writing the small text files of /proc, /sys and cgroupfs,
 * always below the context's system root.
 *
 * Cgroups may belong to anybody. What is in them is opened below a descriptor that is
 * held, and no link and no other file system on the way is gone through: a name means a
 * cgroup, or a file of it, or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "number.h"
#include "private.h"

static int open_how(int dirfd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = resolve,
	};

	int fd;

	do {	/* something was renamed while ".." was looked up */
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN);
	return fd;
}

/* One piece of a path. Kernels before 5.6 do what they can. */
static int open_piece(int dirfd, const char *path, int flags)
{
	int fd = open_how(dirfd, path, flags,
			  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);

	if (fd < 0 && errno == ENOSYS)
		fd = openat(dirfd, path, flags | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

/*
 * Open what is below a directory. Paths may be longer than the kernel takes: cgroups
 * can be as deep as their owner likes. Returns a descriptor, or -1 and errno.
 */
int fs_open_below(int dirfd, const char *path, int flags)
{
	char piece[PATH_MAX], *slash;
	int at = dirfd, next, err;

	while (strlen(path) >= sizeof(piece)) {
		memcpy(piece, path, sizeof(piece) - 1);
		piece[sizeof(piece) - 1] = '\0';
		slash = strrchr(piece, '/');
		next = -1;
		errno = ENAMETOOLONG;
		if (slash && slash != piece) {
			*slash = '\0';
			path += slash - piece + 1;
			next = open_piece(at, piece, O_PATH | O_DIRECTORY);
		}
		err = errno;
		if (at != dirfd)
			close(at);
		errno = err;
		if (next < 0)
			return -1;
		at = next;
	}
	next = open_piece(at, path, flags);
	err = errno;
	if (at != dirfd)
		close(at);
	errno = err;
	return next;
}

/*
 * Paths are relative to the system root: "proc/self/status". The links of a recorded
 * tree stay in it.
 */
static int fs_vopen(struct cgm_context *ctx, int flags, const char *fmt, va_list ap)
{
	char *path;
	int fd;

	if (vasprintf(&path, fmt, ap) < 0) {
		errno = ENOMEM;
		return -1;
	}
	fd = -1;
	errno = ENOSYS;
	if (ctx->recorded)
		fd = open_how(ctx->rootfd, path, flags,
			      RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (fd < 0 && errno == ENOSYS)
		fd = openat(ctx->rootfd, path, flags | O_CLOEXEC);
	free(path);
	return fd;
}

int fs_open(struct cgm_context *ctx, int flags, const char *fmt, ...)
{
	va_list ap;
	int fd;

	va_start(ap, fmt);
	fd = fs_vopen(ctx, flags, fmt, ap);
	va_end(ap);
	return fd;
}

/* Read to the end. The text is ended by a NUL; NULL and errno on failure. */
char *fs_read_fd(int fd, size_t *len)
{
	size_t used = 0, room = 4096;
	char *buf = malloc(room), *more;
	ssize_t n;

	if (!buf)
		return NULL;
	for (;;) {
		n = read(fd, buf + used, room - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += n;
		if (room - used < 2048) {
			more = realloc(buf, room * 2);
			if (!more) {
				free(buf);
				return NULL;
			}
			buf = more;
			room *= 2;
		}
	}
	if (n < 0) {
		int err = errno;

		free(buf);
		errno = err;
		return NULL;
	}
	buf[used] = '\0';
	if (len)
		*len = used;
	return buf;
}

char *fs_read_at(int dirfd, const char *name, size_t *len)
{
	int fd = fs_open_below(dirfd, name, O_RDONLY);
	char *text;
	int err;

	if (fd < 0)
		return NULL;
	text = fs_read_fd(fd, len);
	err = errno;
	close(fd);
	errno = err;
	return text;
}

char *fs_read(struct cgm_context *ctx, size_t *len, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int fd, err;

	va_start(ap, fmt);
	fd = fs_vopen(ctx, O_RDONLY, fmt, ap);
	va_end(ap);
	if (fd < 0)
		return NULL;
	text = fs_read_fd(fd, len);
	err = errno;
	close(fd);
	errno = err;
	return text;
}

/*
 * One write(2) of the whole text, which is what the kernel's files expect. A signal may
 * end it half-way (-EINTR). Flags: O_NONBLOCK where the file knows it; O_TRUNC is for
 * recorded trees (cgroupfs ignores it).
 */
int fs_write_once(int dirfd, const char *name, int flags, const char *text)
{
	int fd = fs_open_below(dirfd, name, O_WRONLY | O_TRUNC | flags);
	size_t len = strlen(text);
	ssize_t n;
	int err = 0;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		err = -errno;
	else if ((size_t)n != len)
		err = -EIO;
	close(fd);
	return err;
}

/* The same, again where a signal came. */
int fs_write_at(int dirfd, const char *name, int flags, const char *text)
{
	int err;

	do {
		err = fs_write_once(dirfd, name, flags, text);
	} while (err == -EINTR);
	return err;
}

bool fs_exists_at(int dirfd, const char *name)
{
	return !faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* Find "KEY VALUE" in a flat-keyed file. */
bool fs_keyed_u64(const char *text, const char *key, uint64_t *value)
{
	size_t len = strlen(key);
	const char *p = text;

	while (p && *p) {
		if (!strncmp(p, key, len) && (p[len] == ' ' || p[len] == '\t')) {
			char *end;

			errno = 0;
			*value = number_parse(p + len + 1, &end);
			return end != p + len + 1 && !errno;
		}
		p = strchr(p, '\n');
		if (p)
			p++;
	}
	return false;
}
