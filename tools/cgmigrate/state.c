// SPDX-License-Identifier: GPL-2.0
/* Small files: what the command has to remember, as JSON, and what the system says. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../libcgroup-plugin/plugin/files.h"
#include "cgmigrate.h"

/* Is it a folder of this user's? */
static bool is_ours(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/* What a user's commands keep over boots; HOME is not needed for that. */
static int user_state(char *buf, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct passwd *user = home ? NULL : getpwuid(geteuid());

	if (state)
		snprintf(buf, size, "%s/cgmigrate", state);
	else if (home || user)
		snprintf(buf, size, "%s/.local/state/cgmigrate", home ? home : user->pw_dir);
	else
		return -ENOENT;
	return 0;
}

/*
 * What is forgotten when the machine boots. All commands of a user should find the same
 * folder, also those that cron starts, which are told of none. Where nobody has made one
 * for the user, what other boots left is not looked at, nor what other machines have
 * written that share the home.
 */
static int user_run(const struct app *app, char *buf, size_t size)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	char usual[32], state[4000], boot[64];

	snprintf(usual, sizeof(usual), "/run/user/%u", geteuid());
	if (!run || !is_ours(run))
		run = is_ours(usual) ? usual : NULL;
	if (run) {
		snprintf(buf, size, "%s/cgmigrate", run);
		return 0;
	}
	if (user_state(state, sizeof(state)) ||
	    !read_text(app, "proc/sys/kernel/random/boot_id", boot, sizeof(boot)))
		return -ENOENT;
	snprintf(buf, size, "%s/run-%.*s", state, (int)strcspn(boot, "\n"), boot);
	return 0;
}

/* The user's own place is for those who may not write the system's. */
static bool is_users(const struct app *app)
{
	return !app->sysroot && geteuid();
}

/* The directory's name. -ENOENT: nothing says where a user's own is. */
int state_path(const struct app *app, enum state_dir which, char *buf, size_t size)
{
	if (is_users(app))
		return which == STATE_RUN ? user_run(app, buf, size) : user_state(buf, size);
	snprintf(buf, size, "%s/%s/cgmigrate", app->sysroot ? app->sysroot : "",
		 which == STATE_RUN ? "run" : "var/lib");
	return 0;
}

static void make_folders(char *path, mode_t mode)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, mode);
		*p = '/';
	}
	mkdir(path, mode);
}

/*
 * Open the directory, and make it where @make. Returns a descriptor, or -errno and the
 * reason in @why: -EROFS on a recorded tree that is not written to, -EPERM where others
 * than root and we may have put something into it.
 */
int state_open(const struct app *app, enum state_dir which, bool make, char *why)
{
	char path[4096];
	int err = state_path(app, which, path, sizeof(path));

	snprintf(why, FILE_WHY, "no such folder");
	if (err)
		return err;
	if (make && app->sysroot && !app->write_sysroot)
		return -EROFS;
	if (make)
		make_folders(path, is_users(app) ? 0700 : 0755);
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
	state_path(app, STATE_RUN, path, sizeof(path));
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
	json_error_t error = { .line = 0 };

	*object = NULL;
	source.fd = file_open_trusted(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, why);
	if (source.fd == -ELOOP) {
		snprintf(why, FILE_WHY, "a symbolic link is not followed");
		return -EPERM;
	}
	if (source.fd < 0)
		return source.fd;
	*object = json_load_callback(read_some, &source, 0, &error);
	close(source.fd);
	if (!source.err && !json_is_object(*object))
		source.err = shortage() ? -ENOMEM : -EBADMSG;
	if (source.err == -EBADMSG)
		snprintf(why, FILE_WHY, "is damaged: %.100s in line %d",
			 *object ? "no JSON object" : error.text, *object ? 1 : error.line);
	else if (source.err)
		snprintf(why, FILE_WHY, "%s", strerror(-source.err));
	if (source.err) {
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
