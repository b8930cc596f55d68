// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A cgroup of cpuset's hierarchy, held by a descriptor: a cgroup that is
 * removed and made again under the same name is another one, and reads fail
 * instead of telling about a stranger.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "group.h"
#include "procs.h"
#include "systemd.h"

static bool is_root(const char *path)
{
	return !strcmp(path, "/");
}

/* A clean path: one leading slash, no trailing or doubled ones, no "..". */
static char *clean_path(const char *path)
{
	char *out = malloc(strlen(path) + 2), *to = out;
	const char *p = path;

	if (!out)
		return NULL;
	while (*p) {
		size_t len;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (!len)
			break;
		if (len == 2 && !strncmp(p, "..", 2)) {
			free(out);
			errno = EINVAL;
			return NULL;
		}
		if (len != 1 || *p != '.') {
			*to++ = '/';
			memcpy(to, p, len);
			to += len;
		}
		p += len;
	}
	if (to == out)
		*to++ = '/';
	*to = '\0';
	return out;
}

/* Open by a path relative to the mount point. */
int group_new(struct cgm_context *ctx, const char *path, struct cgm_group **out)
{
	struct cgm_group *group = calloc(1, sizeof(*group));
	int err;

	*out = NULL;
	if (!group)
		return cgm_fail(ctx, ENOMEM, "out of memory");
	group->ctx = ctx;
	group->refs = 1;
	group->dirfd = -1;
	group->path = clean_path(path);
	if (!group->path) {
		err = cgm_fail(ctx, errno, "%s: not a cgroup path", path);
		cgm_group_unref(group);
		return err;
	}
	group->dirfd = fs_open(ctx, O_PATH | O_DIRECTORY, ".%s%s", ctx->cpuset.mount,
			       is_root(group->path) ? "" : group->path);
	if (group->dirfd < 0) {
		err = cgm_fail(ctx, errno, "%s: no such cgroup below %s: %s", group->path,
			       ctx->cpuset.mount, strerror(errno));
		cgm_group_unref(group);
		return err;
	}
	*out = group;
	return 0;
}

static int need_cpusets(struct cgm_context *ctx)
{
	if (ctx->cpuset.version)
		return 0;
	return cgm_fail(ctx, EOPNOTSUPP,
			"no cpuset controller in any mounted cgroup hierarchy");
}

CGM_PUBLIC int cgm_group_open(struct cgm_context *ctx, const char *path,
			      struct cgm_group **group)
{
	size_t len;
	int err = need_cpusets(ctx);

	*group = NULL;
	if (err)
		return err;
	if (path[0] != '/')
		return cgm_fail(ctx, EINVAL, "%s: a cgroup path starts with \"/\"", path);
	err = group_new(ctx, path, group);
	len = strlen(ctx->cpuset.mount);
	if (err == -ENOENT && !strncmp(path, ctx->cpuset.mount, len) &&
	    (path[len] == '/' || !path[len]))
		err = group_new(ctx, path[len] ? path + len : "/", group);
	return err;
}

/* The path of a process in our hierarchy, out of its /proc/PID/cgroup. */
static char *path_of_process(struct cgm_context *ctx, char *text)
{
	char *line, *next;

	for (line = text; line && *line; line = next) {
		char *controllers = strchr(line, ':');
		char *path = controllers ? strchr(controllers + 1, ':') : NULL;
		bool ours;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!path)
			continue;
		*path++ = '\0';
		controllers++;
		if (ctx->cpuset.version == 2)
			ours = !*controllers;
		else
			ours = !strcmp(controllers, "cpuset") ||
			       strstr(controllers, "cpuset,") ||
			       strstr(controllers, ",cpuset");
		if (ours)
			return path;
	}
	return NULL;
}

CGM_PUBLIC int cgm_group_open_pid(struct cgm_context *ctx, pid_t pid,
				  struct cgm_group **group)
{
	const char *root = ctx->cpuset.root;
	size_t len;
	char *text, *path;
	int err = need_cpusets(ctx);

	*group = NULL;
	if (err)
		return err;
	text = fs_read(ctx, NULL, "proc/%d/cgroup", pid);
	if (!text)
		return cgm_fail(ctx, errno == ENOENT ? ESRCH : errno,
				"%d: no such process", pid);
	path = path_of_process(ctx, text);
	len = is_root(root) ? 0 : strlen(root);
	if (!path || strncmp(path, root, len) || (path[len] && path[len] != '/'))
		err = cgm_fail(ctx, ENOENT, "%d: its cgroup is not below %s", pid,
			       ctx->cpuset.mount);
	else
		err = group_new(ctx, path[len] ? path + len : "/", group);
	free(text);
	return err;
}

struct unit_search {
	const char *unit;
	bool own;		/* process 1's; else of any other systemd */
	struct cgm_group *found;
};

static int match_unit(struct cgm_group *group, void *data)
{
	struct unit_search *search = data;
	const char *name = strrchr(group->path, '/') + 1;
	char unit[256];

	if (search->own) {
		if (cgm_group_owner(group, unit, sizeof(unit)) != CGM_OWNER_SYSTEMD)
			return 0;
		name = unit;
	}
	if (strcmp(name, search->unit))
		return 0;
	search->found = cgm_group_ref(group);
	return 1;
}

CGM_PUBLIC int cgm_group_open_unit(struct cgm_context *ctx, const char *unit,
				   struct cgm_group **group)
{
	struct unit_search search = { .unit = unit, .own = true };
	struct cgm_group *root;
	int err = need_cpusets(ctx);

	*group = NULL;
	if (!err)
		err = group_new(ctx, "/", &root);
	if (err)
		return err;
	err = cgm_group_walk(root, match_unit, &search);
	search.own = false;
	if (!err)
		err = cgm_group_walk(root, match_unit, &search);
	cgm_group_unref(root);
	if (err < 0)
		return err;
	if (!search.found)
		return cgm_fail(ctx, ENOENT, "%s: no cgroup of that name below %s", unit,
				ctx->cpuset.mount);
	*group = search.found;
	return 0;
}

int group_parent(struct cgm_group *group, struct cgm_group **out)
{
	char *path, *slash;
	int err;

	*out = NULL;
	if (is_root(group->path))
		return -ENOENT;
	path = strdup(group->path);
	if (!path)
		return cgm_fail(group->ctx, ENOMEM, "out of memory");
	slash = strrchr(path, '/');
	slash[slash == path] = '\0';
	err = group_new(group->ctx, path, out);
	free(path);
	return err;
}

CGM_PUBLIC struct cgm_group *cgm_group_ref(struct cgm_group *group)
{
	group->refs++;
	return group;
}

CGM_PUBLIC void cgm_group_unref(struct cgm_group *group)
{
	if (!group || --group->refs)
		return;
	if (group->dirfd >= 0)
		close(group->dirfd);
	free(group->path);
	free(group);
}

CGM_PUBLIC const char *cgm_group_path(const struct cgm_group *group)
{
	return group->path;
}

const char *group_effective_file(const struct cgm_context *ctx)
{
	return ctx->cpuset.version == 2 ? "cpuset.mems.effective" :
					  "cpuset.effective_mems";
}

int group_read_nodes(struct cgm_group *group, const char *file, cgm_nodeset *set)
{
	char *text = fs_read_at(group->dirfd, file, NULL);
	int err;

	if (!text)
		return cgm_fail(group->ctx, errno, "%s%s/%s: cannot read: %s",
				group->ctx->cpuset.mount, group->path, file,
				strerror(errno));
	err = cgm_nodeset_parse(text, set);
	free(text);
	if (err)
		return cgm_fail(group->ctx, err, "%s%s/%s: not a list of nodes",
				group->ctx->cpuset.mount, group->path, file);
	return 0;
}

/*
 * Why this root has the nodes it has. On v2 the real one has no such file; what a
 * cgroup namespace shows as its root is a cgroup of somebody else's.
 */
const char *group_root_text(struct cgm_group *group)
{
	if (group->ctx->cpuset.version == 2 && cgm_group_has_cpuset(group))
		return "/: the root of a cgroup namespace is changed from outside";
	return "/: the root cgroup always has all nodes";
}

/* Write one of the cgroup's files. Flags: see fs_write_at(). */
int group_write(struct cgm_group *group, const char *file, int flags, const char *text)
{
	struct cgm_context *ctx = group->ctx;
	int err;

	if (!ctx->writable)
		return cgm_fail(ctx, EROFS, "%s: a recorded tree is not written to",
				group->path);
	err = fs_write_at(group->dirfd, file, flags, text);
	if (err)
		return cgm_fail(ctx, err, "cannot write \"%s\" to %s%s/%s: %s", text,
				ctx->cpuset.mount, is_root(group->path) ? "" : group->path,
				file, strerror(-err));
	return 0;
}

/* Does memory follow new nodes, and into this group? v1 asks a flag. */
bool group_kernel_moves(struct cgm_group *group)
{
	char *flag;
	bool moves = true;

	if (group->ctx->cpuset.version == 2)
		return true;
	flag = fs_read_at(group->dirfd, "cpuset.memory_migrate", NULL);
	if (flag)
		moves = flag[0] == '1';
	free(flag);
	return moves;
}

CGM_PUBLIC int cgm_group_has_cpuset(struct cgm_group *group)
{
	return fs_exists_at(group->dirfd, "cpuset.mems");
}

CGM_PUBLIC int cgm_group_mems(struct cgm_group *group, cgm_nodeset *mems)
{
	return group_read_nodes(group, "cpuset.mems", mems);
}

CGM_PUBLIC int cgm_group_effective_mems(struct cgm_group *group, cgm_nodeset *mems)
{
	const char *file = group_effective_file(group->ctx);
	struct cgm_group *parent;
	int err;

	if (fs_exists_at(group->dirfd, file))
		return group_read_nodes(group, file, mems);
	if (is_root(group->path)) {	/* v1 root of old kernels */
		*mems = group->ctx->features.memory;
		return 0;
	}
	err = group_parent(group, &parent);
	if (err)
		return err;
	err = cgm_group_effective_mems(parent, mems);
	cgm_group_unref(parent);
	return err;
}

/*
 * systemd names the cgroups of its units after them, and puts an underscore
 * before a name that the kernel might use ("memory.slice"). Slices are in
 * slices, and any other unit is in a slice and has none in itself: whatever is
 * below it, or a slice, and is no unit of that kind was made by somebody else,
 * who may be the systemd of a user or of a container.
 */
CGM_PUBLIC enum cgm_owner cgm_group_owner(struct cgm_group *group, char *unit,
					  size_t size)
{
	enum cgm_owner owner = CGM_OWNER_NONE;
	const char *p = group->path;
	bool slice = true;

	if (size)
		unit[0] = '\0';
	if (!(group->ctx->features.flags & CGM_FEATURE_SYSTEMD))
		return CGM_OWNER_NONE;
	while (*p++ == '/' && *p) {
		size_t len = strcspn(p, "/");
		const char *name = p + (*p == '_');

		if (!slice || !unit_interface(name, p + len - name))
			return owner ? CGM_OWNER_DELEGATED : CGM_OWNER_NONE;
		owner = CGM_OWNER_SYSTEMD;
		snprintf(unit, size, "%.*s", (int)(p + len - name), name);
		slice = !strncmp(p + len - strlen(".slice"), ".slice", strlen(".slice"));
		p += len;
	}
	return owner;
}

CGM_PUBLIC int cgm_group_pids(struct cgm_group *group, unsigned int flags,
			      pid_t **pids, size_t *count)
{
	struct pid_list list = { 0 };
	int err;

	*pids = NULL;
	*count = 0;
	if (flags & ~CGM_PIDS_SUBTREE)
		return cgm_fail(group->ctx, EINVAL, "unknown flags 0x%x", flags);
	err = procs_of_dir(group->ctx, group->dirfd, flags & CGM_PIDS_SUBTREE, &list);
	if (err) {
		free(list.pids);
		return cgm_fail(group->ctx, err, "%s: cannot list its processes: %s",
				group->path, strerror(-err));
	}
	pid_list_sort(&list);
	*pids = list.pids;
	*count = list.count;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char * const *)a, *(char * const *)b);
}

/* The names of a cgroup's children, sorted. */
static int child_names(int dirfd, char ***names, size_t *count)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	*names = NULL;
	*count = 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (entry = readdir(dir))) {
		char **more;

		if (entry->d_name[0] == '.' || !dir_entry_is_dir(dirfd, entry))
			continue;
		more = realloc(*names, (*count + 1) * sizeof(*more));
		if (!more) {
			err = -ENOMEM;
			break;
		}
		*names = more;
		more[*count] = strdup(entry->d_name);
		if (!more[(*count)++])
			err = -ENOMEM;
	}
	closedir(dir);
	if (*count)
		qsort(*names, *count, sizeof(**names), compare_names);
	return err;
}

static int walk_child(struct cgm_group *parent, const char *name,
		      int (*fn)(struct cgm_group *, void *), void *data)
{
	struct cgm_group *child;
	char *path;
	int err;

	if (asprintf(&path, "%s/%s", is_root(parent->path) ? "" : parent->path, name) < 0)
		return cgm_fail(parent->ctx, ENOMEM, "out of memory");
	err = group_new(parent->ctx, path, &child);
	free(path);
	if (err)	/* removed meanwhile: nothing to walk */
		return err == -ENOENT || err == -ENODEV ? 0 : err;
	err = cgm_group_walk(child, fn, data);
	cgm_group_unref(child);
	return err;
}

CGM_PUBLIC int cgm_group_walk(struct cgm_group *group,
			      int (*fn)(struct cgm_group *group, void *data), void *data)
{
	char **names;
	size_t count;
	int err = fn(group, data);

	if (err)
		return err;
	err = child_names(group->dirfd, &names, &count);
	if (err == -ENOENT || err == -ENODEV)
		err = 0;
	for (size_t i = 0; i < count; i++) {
		if (!err)
			err = walk_child(group, names[i], fn, data);
		free(names[i]);
	}
	free(names);
	return err;
}
