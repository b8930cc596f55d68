// SPDX-License-Identifier: GPL-2.0
/* Small files: what the command has to remember, as JSON, and what the system says. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../libcgroup-plugin/plugin/files.h"
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
 * Open the directory, and make it where @make. Returns a descriptor, or -errno and the
 * reason in @why: -EROFS on a recorded tree that is not written to, -EPERM where others
 * than root and we may have put something into it.
 */
int state_open(const struct app *app, enum state_dir which, bool make, char *why)
{
	char path[4096];
	int err = dir_name(app, which, path, sizeof(path));

	snprintf(why, FILE_WHY, "no such folder");
	if (err)
		return err;
	if (make && app->sysroot && !app->write_sysroot)
		return -EROFS;
	if (make) {
		make_parents(path);
		mkdir(path, 0755);
	}
	return file_open_trusted(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, why);
}

/* What jobs left behind must not come from others. 0, or an exit code. */
int state_check(struct app *app)
{
	char path[4096], why[FILE_WHY];
	int dirfd = state_open(app, STATE_RUN, false, why);

	if (dirfd >= 0)
		close(dirfd);
	if (dirfd != -EPERM)
		return 0;
	dir_name(app, STATE_RUN, path, sizeof(path));
	return fail(app, EXIT_REFUSED, "%s: %s", path, why);
}

/*
 * Only one command at a time changes the directory. Returns the lock's descriptor;
 * -EWOULDBLOCK where somebody has it and we do not @wait.
 */
int state_lock(int dirfd, bool wait)
{
	int fd = openat(dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return -errno;
	/* Who may open it, also only to read, may hold it. */
	fchmod(fd, 0600);
	while (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB)) {
		err = errno;
		if (err == EINTR)
			continue;
		close(fd);
		return -err;
	}
	return fd;
}

int state_save(int dirfd, const char *name, const json_t *object, bool sync)
{
	char *text = json_dumps(object, JSON_INDENT(1));
	int err = text ? file_replace(dirfd, name, text, strlen(text), sync) : -ENOMEM;

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
 * 0, or -errno, the reason in @why, and NULL for the object: -ENOENT where there is none,
 * -EPERM where it may be from somebody else than root and us, or is a link, -EBADMSG where
 * it cannot be understood. With any other error, see state_unread(), it may be as good as ever.
 */
int state_load(int dirfd, const char *name, json_t **object, char *why)
{
	struct source source = { 0 };

	*object = NULL;
	source.fd = file_open_trusted(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, why);
	if (source.fd == -ELOOP) {
		snprintf(why, FILE_WHY, "a symbolic link is not followed");
		return -EPERM;
	}
	if (source.fd < 0)
		return source.fd;
	*object = json_load_callback(read_some, &source, 0, NULL);
	close(source.fd);
	if (!source.err && !json_is_object(*object))
		source.err = shortage() ? -ENOMEM : -EBADMSG;
	if (source.err) {
		snprintf(why, FILE_WHY, "%s", strerror(-source.err));
		json_decref(*object);
		*object = NULL;
	}
	return source.err;
}

/* May something be kept there that state_load() could not get at? */
bool state_unread(int err)
{
	return err && err != -ENOENT && err != -EBADMSG && err != -EPERM;
}
