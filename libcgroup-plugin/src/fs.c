// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading and writing the small text files of /proc, /sys and cgroupfs,
 * always below the context's system root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "number.h"
#include "private.h"

/* Paths are relative to the system root: "proc/self/status". */
static int fs_vopen(struct cgm_context *ctx, int flags, const char *fmt, va_list ap)
{
	char *path;
	int fd;

	if (vasprintf(&path, fmt, ap) < 0) {
		errno = ENOMEM;
		return -1;
	}
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
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
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
 * One write(2) of the whole text, which is what the kernel's files expect.
 * Flags: O_NONBLOCK where the file knows it; O_TRUNC is for recorded trees
 * (cgroupfs ignores it).
 */
int fs_write_at(int dirfd, const char *name, int flags, const char *text)
{
	int fd = openat(dirfd, name, O_WRONLY | O_TRUNC | O_CLOEXEC | flags);
	size_t len = strlen(text);
	ssize_t n;
	int err = 0;

	if (fd < 0)
		return -errno;
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		err = -errno;
	else if ((size_t)n != len)
		err = -EIO;
	close(fd);
	return err;
}

bool fs_exists_at(int dirfd, const char *name)
{
	return !faccessat(dirfd, name, F_OK, 0);
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
