// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Opening, replacing and adding to files in folders that others may write to.
 *
 * Whoever can write to a folder decides what a name in it stands for, and may change
 * that at any time. So what is believed is asked of the open file and not of its name;
 * no symbolic link is followed where something is written; and a new file is one that
 * was not there before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define ATTEMPTS 16	/* at a name that nobody has */

static int refuse(char *why, int err)
{
	snprintf(why, FILE_WHY, "%s", strerror(err));
	return -err;
}

/*
 * May what is open here have been written by somebody else than root and us?
 * 0, or -EPERM with the reason in @why, which has room for FILE_WHY.
 */
int file_check_owner(int fd, char *why)
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse(why, errno);
	if (st.st_uid && st.st_uid != geteuid()) {
		snprintf(why, FILE_WHY, "not trusted: it belongs to user %u", st.st_uid);
		return -EPERM;
	}
	if (st.st_mode & (0022)) {
		snprintf(why, FILE_WHY,
			 "not trusted: others may write to it (mode %04o), see \"chmod go-w\"",
			 st.st_mode & 07777);
		return -EPERM;
	}
	return 0;
}

/* Open what nobody but root and us can have written. A descriptor, or -errno and @why. */
int file_open_trusted(int dirfd, const char *name, int flags, char *why)
{
	int fd = openat(dirfd, name, flags | O_NOCTTY | O_CLOEXEC), err;

	if (fd < 0)
		return refuse(why, errno);
	err = file_check_owner(fd, why);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* A regular file of ours or root's that has no other name, or no regular file at all. */
static int check_append(int fd, char *why)
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse(why, errno);
	if (!S_ISREG(st.st_mode))
		return fcntl(fd, F_SETFL, O_APPEND) ? refuse(why, errno) : 0;
	if (st.st_uid && st.st_uid != geteuid())
		snprintf(why, FILE_WHY, "not trusted: it belongs to user %u", st.st_uid);
	else if (st.st_nlink > 1)
		snprintf(why, FILE_WHY, "not trusted: it has other names too");
	else
		return 0;
	return -EPERM;
}

/*
 * Open a file to add to its end; it is made where there is none. A FIFO that nobody
 * reads is an error: nobody waits for a reader. A descriptor, or -errno and @why.
 */
int file_open_append(const char *name, char *why)
{
	int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = -1, err;

	for (int i = 0; fd < 0 && i < ATTEMPTS; i++) {
		fd = open(name, flags);
		if (fd < 0 && errno == ENOENT)
			fd = open(name, flags | O_CREAT | O_EXCL, 0644);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0 && errno == ELOOP) {
		snprintf(why, FILE_WHY, "a symbolic link is not followed");
		return -ELOOP;
	}
	if (fd < 0)
		return refuse(why, errno);
	err = check_append(fd, why);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *text = data;

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	return 0;
}

/* A device or a FIFO is written to, and stays what it is. */
static int write_into(int dirfd, const char *name, const void *data, size_t len)
{
	int fd = openat(dirfd, name, O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, data, len);
	if (close(fd) && !err)
		err = -errno;
	return err;
}

/* A file that was not there before. @name gets its name. */
static int make_temporary(int dirfd, char *name, size_t size)
{
	uint64_t number;
	int fd = -1;

	for (int i = 0; fd < 0 && i < ATTEMPTS; i++) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -EIO;
		snprintf(name, size, ".cgmigrate.%016llx", (unsigned long long)number);
		fd = openat(dirfd, name,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd < 0 ? -errno : fd;
}

static int replace_in(int dirfd, const char *name, const void *data, size_t len, bool sync)
{
	char temporary[64];
	struct stat st;
	int fd, err;

	if (!fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISREG(st.st_mode))
		return write_into(dirfd, name, data, len);
	fd = make_temporary(dirfd, temporary, sizeof(temporary));
	if (fd < 0)
		return fd;
	err = write_all(fd, data, len);
	if (!err && sync && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err && renameat(dirfd, temporary, dirfd, name))
		err = -errno;
	if (err)
		unlinkat(dirfd, temporary, 0);
	else if (sync && fsync(dirfd))
		err = -errno;
	return err;
}

/*
 * Replace a file as a whole: whoever reads sees the old or the new one. A symbolic link
 * is an error, -ELOOP. @sync, for a name without folders: and to the disk.
 */
int file_replace(int dirfd, const char *name, const void *data, size_t len, bool sync)
{
	const char *slash = strrchr(name, '/');
	char folder[4096];
	int fd, err;

	if (!slash && dirfd != AT_FDCWD)
		return replace_in(dirfd, name, data, len, sync);
	if (slash && slash - name >= (int)sizeof(folder) - 1)
		return -ENAMETOOLONG;
	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - name) + 1, name);
	fd = openat(dirfd, slash ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = replace_in(fd, slash ? slash + 1 : name, data, len, false);
	close(fd);
	return err;
}
