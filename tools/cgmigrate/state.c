// SPDX-License-Identifier: GPL-2.0
/* Small files: what the command has to remember, as JSON, and what the system says. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgmigrate.h"

/* The user's own place, for those who may not write the system's. */
static int user_dir(enum state_dir which, char *buf, size_t size)
{
	const char *run = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (which == STATE_RUN && run)
		snprintf(buf, size, "%s/cgmigrate", run);
	else if (which == STATE_LIB && state)
		snprintf(buf, size, "%s/cgmigrate", state);
	else if (which == STATE_LIB && home)
		snprintf(buf, size, "%s/.local/state/cgmigrate", home);
	else
		return -ENOENT;
	return 0;
}

static int dir_name(const struct app *app, enum state_dir which, char *buf, size_t size)
{
	if (!app->sysroot && geteuid())
		return user_dir(which, buf, size);
	snprintf(buf, size, "%s/%s/cgmigrate", app->sysroot ? app->sysroot : "",
		 which == STATE_RUN ? "run" : "var/lib");
	return 0;
}

static void make_parents(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

/*
 * Open the directory, and make it where @make. Returns a descriptor or -errno;
 * -EROFS on a recorded tree that is not written to.
 */
int state_open(const struct app *app, enum state_dir which, bool make)
{
	char path[4096];
	int fd, err = dir_name(app, which, path, sizeof(path));

	if (err)
		return err;
	if (make && app->sysroot && !app->write_sysroot)
		return -EROFS;
	if (make) {
		make_parents(path);
		mkdir(path, 0755);
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Only one command at a time changes the directory. Returns the lock's descriptor. */
int state_lock(int dirfd)
{
	int fd = openat(dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX))
		if (errno != EINTR) {
			int err = errno;

			close(fd);
			return -err;
		}
	return fd;
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

/* Replace a file as a whole: whoever reads sees the old or the new one. */
int replace_file(int dirfd, const char *name, const void *data, size_t len, bool sync)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	char temporary[4096];
	int fd, err;

	snprintf(temporary, sizeof(temporary), "%.*s.%s.%d", (int)(base - name), name, base,
		 getpid());
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
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

int state_save(int dirfd, const char *name, const json_t *object, bool sync)
{
	char *text = json_dumps(object, JSON_INDENT(1));
	int err = text ? replace_file(dirfd, name, text, strlen(text), sync) : -ENOMEM;

	free(text);
	return err;
}

/* A small file, from the start. False: it cannot be read, or is empty. */
bool read_text(const struct app *app, const char *name, char *buf, size_t size)
{
	char path[4096];
	size_t n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", app->sysroot ? app->sysroot : "", name);
	file = fopen(path, "re");
	if (file) {
		n = fread(buf, 1, size - 1, file);
		fclose(file);
	} else {
		shortage_note_error(-errno);
	}
	buf[n] = '\0';
	return n;
}

struct source {
	int fd;
	int err;
};

static size_t read_some(void *buf, size_t size, void *data)
{
	struct source *source = data;
	ssize_t n;

	do {
		n = read(source->fd, buf, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		source->err = -errno;
	return n;
}

/*
 * 0, or -errno and NULL for the object: -ENOENT where there is none, -EBADMSG where it
 * cannot be understood. Any other error does not mean that nothing was kept.
 */
int state_load(int dirfd, const char *name, json_t **out)
{
	struct source source = { .fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC) };

	*out = NULL;
	if (source.fd < 0)
		return -errno;
	*out = json_load_callback(read_some, &source, 0, NULL);
	close(source.fd);
	if (!source.err && !json_is_object(*out))
		source.err = shortage() ? -ENOMEM : -EBADMSG;
	if (source.err) {
		json_decref(*out);
		*out = NULL;
	}
	return source.err;
}
