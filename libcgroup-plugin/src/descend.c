// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Going through what is below a directory.
 *
 * Cgroups can belong to anybody, who can nest them as deep as he likes, and remove and
 * make them meanwhile. So this does not call itself, it has two descriptors open at a
 * time, however deep it is, and what is gone or closed to us is left out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descend.h"
#include "private.h"

/* A directory whose children are being gone through. */
struct level {
	char **names;
	size_t count;
	size_t next;
	size_t len;		/* of its path */
};

struct descent {
	int top;
	int dirfd;		/* of the deepest level */
	struct level *levels;
	size_t depth;
	size_t room;
	char *path;		/* of the deepest level, or of a child of it */
	size_t path_room;
};

/* Somebody else's cgroup may go, or be closed to us, at any time. */
static bool left_out(int err)
{
	return err == -ENOENT || err == -ENODEV || err == -EACCES;
}

static bool is_dir(int dirfd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return !fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISDIR(st.st_mode);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char * const *)a, *(char * const *)b);
}

static int add_name(struct level *level, const char *name)
{
	char **more = realloc(level->names, (level->count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	level->names = more;
	more[level->count] = strdup(name);
	return more[level->count++] ? 0 : -ENOMEM;
}

static void free_names(struct level *level)
{
	for (size_t i = 0; i < level->count; i++)
		free(level->names[i]);
	free(level->names);
}

/* The names of the children, sorted. To be freed also after an error. */
static int read_names(int dirfd, struct level *level)
{
	int fd = fs_open_below(dirfd, ".", O_RDONLY | O_DIRECTORY), err = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    is_dir(dirfd, entry))
			err = add_name(level, entry->d_name);
	closedir(dir);
	if (!err && level->count)
		qsort(level->names, level->count, sizeof(*level->names), compare_names);
	return err;
}

/* The path is that of the deepest level, and a child of it if there is a name. */
static int set_path(struct descent *d, size_t len, const char *name)
{
	size_t need = len + 1 + strlen(name) + 1;
	char *more = d->path;

	if (need > d->path_room) {
		more = realloc(d->path, 2 * need);
		if (!more)
			return -ENOMEM;
		d->path = more;
		d->path_room = 2 * need;
	}
	if (*name)
		sprintf(more + len, "/%s", name);
	else
		more[len] = '\0';
	return 0;
}

/* A level for the children of what the path is of. Takes over the names. */
static int push(struct descent *d, const struct level *level)
{
	struct level *more = d->levels;

	if (d->depth == d->room) {
		more = realloc(d->levels, (2 * d->room + 8) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		d->levels = more;
		d->room = 2 * d->room + 8;
	}
	more[d->depth++] = *level;
	return 0;
}

static void leave(struct descent *d)
{
	if (d->dirfd >= 0 && d->dirfd != d->top)
		close(d->dirfd);
	d->dirfd = -1;
}

/* All children of the deepest level were seen. Its parent may be gone by now. */
static int pop(struct descent *d)
{
	int err = 0;

	leave(d);
	free_names(&d->levels[--d->depth]);
	while (d->depth) {
		struct level *level = &d->levels[d->depth - 1];

		d->path[level->len] = '\0';
		if (d->depth == 1)
			d->dirfd = d->top;
		else
			d->dirfd = fs_open_below(d->top, d->path + 1, O_PATH | O_DIRECTORY);
		if (d->dirfd >= 0)
			return 0;
		err = -errno;
		if (!left_out(err))
			return err;
		free_names(level);
		d->depth--;
	}
	return 0;
}

/* A directory, and then its children if it has any. Takes over the descriptor. */
static int visit(struct descent *d, int dirfd, descend_fn fn, void *data)
{
	struct level level = { .len = strlen(d->path) };
	int err = fn(dirfd, d->path, data);

	if (!err) {
		err = read_names(dirfd, &level);
		if (left_out(err) && d->depth)
			err = 0;
	}
	if (!err && level.count) {
		err = push(d, &level);
		if (!err) {
			leave(d);
			d->dirfd = dirfd;
			return 0;
		}
	}
	free_names(&level);
	if (dirfd != d->top)
		close(dirfd);
	return err;
}

/* The next child of the deepest level. */
static int visit_next(struct descent *d, descend_fn fn, void *data)
{
	struct level *level = &d->levels[d->depth - 1];
	const char *name = level->names[level->next++];
	int child, err = set_path(d, level->len, name);

	if (err)
		return err;
	child = fs_open_below(d->dirfd, name, O_PATH | O_DIRECTORY);
	if (child >= 0)
		return visit(d, child, fn, data);
	return left_out(-errno) ? 0 : -errno;
}

/**
 * Call a function for a directory and all below it, parents first, and children in the
 * order of their names. 0, what the function returned, or -errno.
 */
int descend(int dirfd, descend_fn fn, void *data)
{
	struct descent d = { .top = dirfd, .dirfd = -1 };
	int err = set_path(&d, 0, "");

	if (!err)
		err = visit(&d, dirfd, fn, data);
	if (err == -ENOENT || err == -ENODEV)	/* removed meanwhile: nothing is below */
		err = 0;
	while (!err && d.depth) {
		const struct level *level = &d.levels[d.depth - 1];

		err = level->next < level->count ? visit_next(&d, fn, data) : pop(&d);
	}
	leave(&d);
	while (d.depth)
		free_names(&d.levels[--d.depth]);
	free(d.levels);
	free(d.path);
	return err;
}
