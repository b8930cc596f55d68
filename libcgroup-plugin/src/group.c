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
#include <unistd.h>

#include "descend.h"
#include "group.h"
#include "look.h"
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

/* A clean path, for where no slash comes first. */
const char *group_below(const char *path)
{
	return is_root(path) ? "." : path + 1;
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
	group->dirfd = fs_open_below(ctx->cpuset.dirfd, group_below(group->path),
				     O_PATH | O_DIRECTORY);
	if (group->dirfd < 0) {
		err = cgm_fail(ctx, errno, "%s: no such cgroup below %s%s%s", group->path,
			       ctx->cpuset.mount, errno == ENOENT ? "" : ": ",
			       errno == ENOENT ? "" : strerror(errno));
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

/* Of the kernel: does it lead out of our cgroup namespace? */
static bool leads_outside(const char *path)
{
	return !strncmp(path, "/..", 3) && (!path[3] || path[3] == '/');
}

/*
 * Was the hierarchy mounted outside of our cgroup namespace? Then paths of processes begin
 * at a cgroup whose own path from the mount on nobody tells.
 */
static bool mounted_outside(const struct cgm_context *ctx)
{
	return leads_outside(ctx->cpuset.root);
}

static bool lists_pid(struct cgm_group *group, pid_t pid, bool subtree)
{
	struct pid_list list = { 0 };
	bool has = false;

	procs_of_dir(group->ctx, group->dirfd, subtree, &list);
	for (size_t i = 0; i < list.count && !has; i++)
		has = list.pids[i] == pid;
	free(list.pids);
	return has;
}

struct pid_search {
	pid_t pid;
	struct cgm_group *found;
};

static int match_pid(struct cgm_group *group, void *data)
{
	struct pid_search *search = data;

	if (!lists_pid(group, search->pid, false))
		return 0;
	search->found = cgm_group_ref(group);
	return 1;
}

/* By looking into every cgroup, where its path does not tell. */
static int find_pid(struct cgm_context *ctx, pid_t pid, struct cgm_group **group)
{
	struct pid_search search = { .pid = pid };
	struct cgm_group *root;
	int err = group_new(ctx, "/", &root);

	if (err)
		return err;
	err = cgm_group_walk(root, match_pid, &search);
	cgm_group_unref(root);
	if (err < 0)
		return err;
	*group = search.found;
	return search.found ? 0 :
			      cgm_fail(ctx, ENOENT, "%d: is in no cgroup below %s", pid,
				       ctx->cpuset.mount);
}

/* By what the kernel tells of the process. */
static int open_pid(struct cgm_context *ctx, pid_t pid, struct cgm_group **group)
{
	const char *root = ctx->cpuset.root;
	size_t len;
	char *text, *path;
	int err = 0;

	text = fs_read(ctx, NULL, "proc/%d/cgroup", pid);
	if (!text && errno == ENAMETOOLONG)	/* a path is told up to a length only */
		return find_pid(ctx, pid, group);
	if (!text)
		return cgm_fail(ctx, errno == ENOENT ? ESRCH : errno,
				"%d: no such process", pid);
	path = path_of_process(ctx, text);
	len = is_root(root) ? 0 : strlen(root);
	if (path && mounted_outside(ctx))
		err = find_pid(ctx, pid, group);
	else if (path && leads_outside(path))
		err = cgm_fail(ctx, ENOENT,
			       "%d: its cgroup is outside of this cgroup namespace", pid);
	else if (!path || strncmp(path, root, len) || (path[len] && path[len] != '/'))
		err = cgm_fail(ctx, ENOENT, "%d: its cgroup is not below %s", pid,
			       ctx->cpuset.mount);
	else
		err = group_new(ctx, path[len] ? path + len : "/", group);
	free(text);
	return err;
}

/*
 * One that has exited is still told to be in a cgroup until somebody has waited for it:
 * on v1 in the root, on v2 in its last one, which may have been removed.
 */
CGM_PUBLIC int cgm_group_open_pid(struct cgm_context *ctx, pid_t pid,
				  struct cgm_group **group)
{
	int err = need_cpusets(ctx);

	*group = NULL;
	if (!err)
		err = open_pid(ctx, pid, group);
	if (err == -ESRCH || !ctx->cpuset.version || !process_exited(ctx, pid))
		return err;
	cgm_group_unref(*group);
	*group = NULL;
	return cgm_fail(ctx, ESRCH, "%d: has exited", pid);
}

static bool has_path(const struct cgm_group *group, const char *path)
{
	const char *root = group->ctx->cpuset.root;
	size_t root_len = is_root(root) ? 0 : strlen(root);
	size_t len = is_root(group->path) ? 0 : strlen(group->path);

	if (!path || strncmp(path, root, root_len))
		return false;
	path += root_len;
	return !strncmp(path, group->path, len) && (!len || path[len] == '/' || !path[len]);
}

/* *untold: its path cannot be read, as when it is too long. */
static bool has_thread(struct cgm_group *group, pid_t pid, const char *thread, bool *untold)
{
	char *text = fs_read(group->ctx, NULL, "proc/%d/task/%s/cgroup", pid, thread);
	bool has = text && has_path(group, path_of_process(group->ctx, text));

	*untold |= !text && errno != ENOENT && errno != ESRCH;
	free(text);
	return has;
}

/* Is a process, or one of its threads, in this cgroup or below it? */
bool group_has_pid(struct cgm_group *group, pid_t pid)
{
	int fd = fs_open(group->ctx, O_RDONLY | O_DIRECTORY, "proc/%d/task", pid);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool untold = mounted_outside(group->ctx), has = false;

	/* The first that is listed is the main thread, and hardly ever elsewhere. */
	while (dir && !has && (entry = readdir(dir)))
		has = entry->d_name[0] != '.' &&
		      has_thread(group, pid, entry->d_name, &untold);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return has || (untold && lists_pid(group, pid, true));
}

/* The same where it matters why not: 0, -ESRCH: it is not there, or -errno. */
int group_check_pid(struct cgm_group *group, pid_t pid)
{
	char *text = fs_read(group->ctx, NULL, "proc/%d/cgroup", pid);
	bool has;

	if (!text)
		return errno == ENOENT ? -ESRCH : -errno;
	has = has_path(group, path_of_process(group->ctx, text));
	free(text);
	return has || group_has_pid(group, pid) ? 0 : -ESRCH;
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

/* Above a cgroup is what holds it, whatever else has a name like that by now. */
static int open_above(int dirfd)
{
	return openat(dirfd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int group_parent(struct cgm_group *group, struct cgm_group **out)
{
	struct cgm_group *parent;
	char *slash;
	int err;

	*out = NULL;
	if (is_root(group->path))
		return -ENOENT;
	parent = calloc(1, sizeof(*parent));
	if (!parent)
		return cgm_fail(group->ctx, ENOMEM, "out of memory");
	parent->ctx = group->ctx;
	parent->refs = 1;
	parent->path = strdup(group->path);
	parent->dirfd = open_above(group->dirfd);
	if (!parent->path || parent->dirfd < 0) {
		err = parent->path ? errno : ENOMEM;
		cgm_group_unref(parent);
		return cgm_fail(group->ctx, err, "%s: cannot look above it: %s", group->path,
				strerror(err));
	}
	slash = strrchr(parent->path, '/');
	slash[slash == parent->path] = '\0';
	*out = parent;
	return 0;
}

/*
 * The nearest cgroup, this one or one above, that has a file: a descriptor to be closed,
 * or -errno. Not by going from parent to parent as groups: they may be many.
 */
static int group_nearest(const struct cgm_group *group, const char *file)
{
	int fd = fcntl(group->dirfd, F_DUPFD_CLOEXEC, 0), above, err;
	const char *path = is_root(group->path) ? "" : group->path;
	size_t depth = 0;

	for (; *path; path++)
		depth += *path == '/';
	while (fd >= 0 && !fs_exists_at(fd, file)) {
		above = -1;
		errno = ENOENT;
		if (depth--)
			above = open_above(fd);
		err = errno;
		close(fd);
		errno = err;
		fd = above;
	}
	return fd < 0 ? -errno : fd;
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

/* From a file of the group, or of one above it. */
static int read_nodes_at(struct cgm_group *group, int dirfd, const char *file,
			 cgm_nodeset *set)
{
	char *text = fs_read_at(dirfd, file, NULL);
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

int group_read_nodes(struct cgm_group *group, const char *file, cgm_nodeset *set)
{
	return read_nodes_at(group, group->dirfd, file, set);
}

/* From the nearest cgroup that has the file. -ENOENT: none has. */
int group_read_nearest(struct cgm_group *group, const char *file, cgm_nodeset *set)
{
	int dirfd = group_nearest(group, file), err;

	if (dirfd < 0)
		return dirfd;
	err = read_nodes_at(group, dirfd, file, set);
	close(dirfd);
	return err;
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

CGM_PUBLIC int cgm_group_open_file(struct cgm_group *group, const char *file, int flags)
{
	struct cgm_context *ctx = group->ctx;
	int fd;

	if (!ctx->writable && (flags & O_ACCMODE) != O_RDONLY)
		return cgm_fail(ctx, EROFS, "%s: a recorded tree is not written to",
				group->path);
	fd = fs_open_below(group->dirfd, file, flags);
	if (fd < 0)
		return cgm_fail(ctx, errno, "cannot open %s%s/%s: %s", ctx->cpuset.mount,
				is_root(group->path) ? "" : group->path, file,
				strerror(errno));
	return fd;
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

CGM_PUBLIC int cgm_group_memory_migrate(struct cgm_group *group)
{
	return group_kernel_moves(group);
}

CGM_PUBLIC int cgm_group_set_memory_migrate(struct cgm_group *group, int on)
{
	return group_write(group, "cpuset.memory_migrate", 0, on ? "1" : "0");
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
	int err = group_read_nearest(group, group_effective_file(group->ctx), mems);

	if (err == -ENOENT) {	/* v1 of old kernels */
		*mems = group->ctx->features.memory;
		return 0;
	}
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

struct walk {
	struct cgm_group *top;
	int (*fn)(struct cgm_group *group, void *data);
	void *data;
	int ended;		/* what the function returned */
};

/* The cgroup that a descriptor of a directory below another one is of. */
static int group_of_fd(struct cgm_group *top, int dirfd, const char *below,
		       struct cgm_group **out)
{
	struct cgm_group *group = calloc(1, sizeof(*group));
	int err;

	*out = NULL;
	if (!group)
		return -ENOMEM;
	group->ctx = top->ctx;
	group->refs = 1;
	group->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (group->dirfd >= 0 &&
	    asprintf(&group->path, "%s%s", is_root(top->path) ? "" : top->path, below) < 0)
		group->path = NULL;
	if (group->path) {
		*out = group;
		return 0;
	}
	err = group->dirfd < 0 ? -errno : -ENOMEM;
	cgm_group_unref(group);
	return err;
}

static int walk_one(int dirfd, const char *below, void *data)
{
	struct walk *walk = data;
	struct cgm_group *group;
	int err;

	if (!*below) {
		walk->ended = walk->fn(walk->top, walk->data);
		return walk->ended;
	}
	err = group_of_fd(walk->top, dirfd, below, &group);
	if (err)
		return err;
	walk->ended = walk->fn(group, walk->data);
	cgm_group_unref(group);
	return walk->ended;
}

CGM_PUBLIC int cgm_group_walk(struct cgm_group *group,
			      int (*fn)(struct cgm_group *group, void *data), void *data)
{
	struct walk walk = { .top = group, .fn = fn, .data = data };
	int err;

	look_begin(group->ctx);
	err = descend(group->dirfd, walk_one, &walk);
	look_end(group->ctx);
	if (walk.ended)
		return walk.ended;
	if (err)
		return cgm_fail(group->ctx, err, "%s: cannot look below it: %s", group->path,
				strerror(-err));
	return 0;
}
