// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The context: which cgroup hierarchies there are, and what this kernel lets
 * this process do. Everything is found out once.
 */
#include <errno.h>
#include <fcntl.h>
#include <libmount.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "pagemap.h"
#include "private.h"
#include "systemd.h"

#ifndef CGM_VERSION
#error "CGM_VERSION is set by the Makefile"
#endif

/* include/uapi/linux/capability.h */
#define CAP_BIT_SYS_PTRACE 19
#define CAP_BIT_SYS_ADMIN 21
#define CAP_BIT_SYS_NICE 23

/* Keep the words of a failure and pass the code on, negative. */
int cgm_fail(struct cgm_context *ctx, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ctx->error, sizeof(ctx->error), fmt, ap);
	va_end(ap);
	return err > 0 ? -err : err;
}

CGM_PUBLIC const char *cgm_context_error(const struct cgm_context *ctx)
{
	return ctx->error;
}

CGM_PUBLIC const char *cgm_version(void)
{
	return CGM_VERSION;
}

bool ctx_is_tmpfs(const struct cgm_context *ctx, unsigned int major,
		  unsigned int minor)
{
	for (size_t i = 0; i < ctx->tmpfs_count; i++)
		if (ctx->tmpfs_devs[i] == (major << 20 | minor))
			return true;
	return false;
}

static int add_tmpfs(struct cgm_context *ctx, dev_t dev)
{
	uint32_t *devs = realloc(ctx->tmpfs_devs,
				 (ctx->tmpfs_count + 1) * sizeof(*devs));

	if (!devs)
		return -ENOMEM;
	ctx->tmpfs_devs = devs;
	devs[ctx->tmpfs_count++] = (uint32_t)(major(dev) << 20 | minor(dev));
	return 0;
}

/* Is it this mount of the table, or another one on top of it? Kernels from 5.8 on tell. */
static bool is_mount(int fd, struct libmnt_fs *mount)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) ||
	       !(st.stx_mask & STATX_MNT_ID) ||
	       st.stx_mnt_id == (uint64_t)mnt_fs_get_id(mount);
}

/*
 * Hold the mount point. Something else may be mounted on top of it by now: no hierarchy,
 * or the same one from another cgroup on, as in a container.
 */
static int hold_mount(struct cgm_context *ctx, struct libmnt_fs *mount)
{
	int fd = fs_open(ctx, O_PATH | O_DIRECTORY, ".%s", mnt_fs_get_target(mount));
	struct statfs fs;

	if (fd < 0 || ctx->recorded)
		return fd;
	if (!fstatfs(fd, &fs) && is_mount(fd, mount) &&
	    (fs.f_type == CGROUP2_SUPER_MAGIC || fs.f_type == CGROUP_SUPER_MAGIC))
		return fd;
	close(fd);
	return -1;
}

static int set_hierarchy(struct cgm_context *ctx, struct hierarchy *h, int version,
			 struct libmnt_fs *fs)
{
	const char *root = mnt_fs_get_root(fs);

	if (h->version)
		return 0;
	h->dirfd = hold_mount(ctx, fs);
	if (h->dirfd < 0)
		return 0;
	h->version = version;
	h->mount = strdup(mnt_fs_get_target(fs));
	h->root = strdup(root ? root : "/");
	return h->mount && h->root ? 0 : -ENOMEM;
}

static bool has_option(struct libmnt_fs *fs, const char *name)
{
	const char *options = mnt_fs_get_fs_options(fs);

	return options && !mnt_optstr_get_option(options, name, NULL, NULL);
}

/* One line of the mount table. */
static int look_at_mount(struct cgm_context *ctx, struct libmnt_fs *fs, bool *v1)
{
	const char *type = mnt_fs_get_fstype(fs);

	if (!type || !mnt_fs_get_target(fs))
		return 0;
	if (!strcmp(type, "tmpfs") || !strcmp(type, "devtmpfs"))
		return add_tmpfs(ctx, mnt_fs_get_devno(fs));
	if (!strcmp(type, "cgroup2"))
		return set_hierarchy(ctx, &ctx->unified, 2, fs);
	if (strcmp(type, "cgroup"))
		return 0;
	if (!has_option(fs, "none") && !has_option(fs, "name"))
		*v1 = true;
	if (has_option(fs, "freezer") && set_hierarchy(ctx, &ctx->freezer, 1, fs))
		return -ENOMEM;
	if (has_option(fs, "cpuset"))
		return set_hierarchy(ctx, &ctx->cpuset, 1, fs);
	return 0;
}

/* Does a list of words such as cgroup.controllers have this one? */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len)
		if ((p == list || p[-1] == ' ') &&
		    (p[len] == ' ' || p[len] == '\n' || !p[len]))
			return true;
	return false;
}

/* The v2 tree carries cpusets when its controllers say so. */
static int look_at_unified(struct cgm_context *ctx)
{
	struct hierarchy *h = &ctx->unified;
	char *text;
	int err = 0;

	if (!h->version || ctx->cpuset.version)
		return 0;
	text = fs_read_at(h->dirfd, "cgroup.controllers", NULL);
	if (!text)
		return is_shortage(-errno) ? -errno : 0;
	if (has_word(text, "cpuset")) {
		ctx->cpuset.mount = strdup(h->mount);
		ctx->cpuset.root = strdup(h->root);
		ctx->cpuset.dirfd = fcntl(h->dirfd, F_DUPFD_CLOEXEC, 0);
		ctx->cpuset.version = 2;
		if (!ctx->cpuset.mount || !ctx->cpuset.root || ctx->cpuset.dirfd < 0)
			err = -ENOMEM;
		if (has_word(text, "memory"))
			ctx->features.flags |= CGM_FEATURE_MEMCG;
	}
	free(text);
	return err;
}

static int read_mounts(struct cgm_context *ctx)
{
	struct libmnt_table *table = NULL;
	struct libmnt_iter *iter = NULL;
	struct libmnt_fs *fs;
	FILE *stream = NULL;
	bool v1 = false;
	int err, fd;

	fd = fs_open(ctx, O_RDONLY, "proc/self/mountinfo");
	if (fd < 0)
		return cgm_fail(ctx, errno, "cannot open /proc/self/mountinfo: %m");
	stream = fdopen(fd, "r");
	if (!stream) {
		close(fd);
		return cgm_fail(ctx, ENOMEM, "out of memory");
	}
	table = mnt_new_table();
	iter = mnt_new_iter(MNT_ITER_FORWARD);
	err = -ENOMEM;
	if (!table || !iter)
		goto out;
	err = mnt_table_parse_stream(table, stream, "mountinfo");
	while (!err && !mnt_table_next_fs(table, iter, &fs))
		err = look_at_mount(ctx, fs, &v1);
	if (!err)
		err = look_at_unified(ctx);
	if (!err)
		ctx->features.mode = v1 ? (ctx->unified.version ? CGM_CGROUP_HYBRID :
					   CGM_CGROUP_V1) :
				     (ctx->unified.version ? CGM_CGROUP_V2 :
				      CGM_CGROUP_NONE);
out:
	mnt_free_iter(iter);
	mnt_unref_table(table);
	fclose(stream);
	if (err)
		return cgm_fail(ctx, err, "cannot understand /proc/self/mountinfo: %s",
				strerror(-err));
	return 0;
}

/* A file that is not there is no error. */
static int read_nodeset(struct cgm_context *ctx, const char *file, cgm_nodeset *set)
{
	char *text = fs_read(ctx, NULL, "sys/devices/system/node/%s", file);

	if (!text)
		return is_shortage(-errno) ? -errno : 0;
	cgm_nodeset_parse(text, set);
	free(text);
	return 0;
}

static int read_nodes(struct cgm_context *ctx)
{
	struct cgm_features *f = &ctx->features;
	int err = read_nodeset(ctx, "online", &f->online);

	if (!err)
		err = read_nodeset(ctx, "has_memory", &f->memory);
	if (err)
		return err;
	if (!cgm_nodeset_weight(&f->online))	/* built without NUMA */
		cgm_nodeset_add(&f->online, 0);
	if (!cgm_nodeset_weight(&f->memory))
		f->memory = f->online;
	if (cgm_nodeset_weight(&f->memory) > 1)
		f->flags |= CGM_FEATURE_NUMA;
	return 0;
}

/* Capabilities and the nodes we may use ourselves. */
static int read_self(struct cgm_context *ctx)
{
	struct cgm_features *f = &ctx->features;
	char *text = fs_read(ctx, NULL, "proc/self/status");
	unsigned long long caps = 0;
	char *p;

	if (!text)
		return cgm_fail(ctx, errno, "cannot read /proc/self/status: %m");
	p = strstr(text, "\nCapEff:");
	if (p)
		caps = strtoull(p + 8, NULL, 16);
	if (caps >> CAP_BIT_SYS_NICE & 1)
		f->flags |= CGM_FEATURE_SYS_NICE;
	if (caps >> CAP_BIT_SYS_ADMIN & 1)
		f->flags |= CGM_FEATURE_SYS_ADMIN;
	if (caps >> CAP_BIT_SYS_PTRACE & 1)
		f->flags |= CGM_FEATURE_SYS_PTRACE;
	p = strstr(text, "\nMems_allowed_list:");
	if (p) {
		p += strlen("\nMems_allowed_list:");
		p[strcspn(p, "\n")] = '\0';
		cgm_nodeset_parse(p, &f->own);
	}
	free(text);
	return 0;
}

/* Which system calls there are; on a recorded tree, what its kernel had. */
static void probe_syscalls(struct cgm_context *ctx)
{
	struct cgm_features *f = &ctx->features;
	int fd;

	if (ctx->recorded) {
		unsigned int major = 0, minor = 0;

		sscanf(ctx->release, "%u.%u", &major, &minor);
		if (!faccessat(ctx->rootfd, "sys/devices/system/node", F_OK, 0))
			f->flags |= CGM_FEATURE_MOVE_PAGES | CGM_FEATURE_MIGRATE_PAGES;
		if (major > 6 || (major == 6 && minor >= 7))
			f->flags |= CGM_FEATURE_PAGEMAP_SCAN;
		if (f->flags & CGM_FEATURE_SYS_ADMIN)
			f->flags |= CGM_FEATURE_PAGEMAP_PFN | CGM_FEATURE_KPAGEFLAGS;
		return;
	}
	if (!syscall(SYS_move_pages, 0, 0UL, NULL, NULL, NULL, 0))
		f->flags |= CGM_FEATURE_MOVE_PAGES;
	/* A user namespace gives its own capabilities, and pages ask for the machine's. */
	if (syscall(SYS_move_pages, 0, 0UL, NULL, NULL, NULL, MPOL_MF_MOVE_ALL) &&
	    errno == EPERM)
		f->flags &= ~CGM_FEATURE_SYS_NICE;
	/* To no node at all: whatever else it says, it was not let through. */
	if (syscall(SYS_migrate_pages, 0, 0UL, NULL, NULL) && errno == EINVAL)
		f->flags |= CGM_FEATURE_MIGRATE_PAGES;
	fd = fs_open(ctx, O_RDONLY, "proc/self/pagemap");
	if (fd >= 0) {
		if (pagemap_can_scan(fd))
			f->flags |= CGM_FEATURE_PAGEMAP_SCAN;
		if (pagemap_shows_pfn(fd, ctx->page_size))
			f->flags |= CGM_FEATURE_PAGEMAP_PFN;
		close(fd);
	}
	fd = fs_open(ctx, O_RDONLY, "proc/kpageflags");
	if (fd >= 0) {
		f->flags |= CGM_FEATURE_KPAGEFLAGS;
		close(fd);
	}
}

static int read_release(struct cgm_context *ctx)
{
	struct utsname uts;
	char *text;

	if (ctx->recorded) {
		text = fs_read(ctx, NULL, "proc/sys/kernel/osrelease");
		if (text)
			text[strcspn(text, "\n")] = '\0';
		ctx->release = text ? text : strdup("unknown");
	} else {
		uname(&uts);
		ctx->release = strdup(uts.release);
	}
	return ctx->release ? 0 : -ENOMEM;
}

static enum cgm_backend choose_backend(const struct cgm_context *ctx)
{
	unsigned int flags = ctx->features.flags;

	if (ctx->cpuset.version && (flags & CGM_FEATURE_ENGINE))
		return ctx->cpuset.version == 2 ? CGM_BACKEND_ENGINE_V2 :
						  CGM_BACKEND_ENGINE_V1;
	if (!(flags & CGM_FEATURE_MOVE_PAGES))
		return CGM_BACKEND_NONE;
	if (ctx->cpuset.version)
		return ctx->cpuset.version == 2 ? CGM_BACKEND_STOCK_V2 :
						  CGM_BACKEND_STOCK_V1;
	return CGM_BACKEND_MOVE_PAGES;
}

static int find_features(struct cgm_context *ctx)
{
	struct cgm_features *f = &ctx->features;
	int err;

	err = read_mounts(ctx);
	if (!err)
		err = read_self(ctx);
	if (!err)
		err = read_release(ctx);
	if (!err)
		err = read_nodes(ctx);
	if (err)
		return err;
	probe_syscalls(ctx);
	if (fs_exists_at(ctx->rootfd, "run/systemd/system"))
		f->flags |= CGM_FEATURE_SYSTEMD;
	if (fs_exists_at(ctx->rootfd, "sys/kernel/mm/numa/migrate/max_stall_usec"))
		f->flags |= CGM_FEATURE_ENGINE;
	f->cpuset_version = ctx->cpuset.version;
	f->cpuset_mount = ctx->cpuset.mount ? ctx->cpuset.mount : "";
	f->release = ctx->release;
	f->backend = choose_backend(ctx);
	return 0;
}

CGM_PUBLIC int cgm_context_new(struct cgm_context **out,
			       const struct cgm_context_options *options)
{
	const char *sysroot = options && HAS_MEMBER(options, sysroot) ?
			      options->sysroot : NULL;
	unsigned int flags = options && HAS_MEMBER(options, flags) ? options->flags : 0;
	struct cgm_context *ctx;
	int err;

	*out = NULL;
	if (flags & ~CGM_CONTEXT_WRITE_SYSROOT)
		return -EINVAL;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->recorded = sysroot && strcmp(sysroot, "/");
	ctx->writable = !ctx->recorded || (flags & CGM_CONTEXT_WRITE_SYSROOT);
	ctx->page_size = sysconf(_SC_PAGESIZE);
	ctx->rootfd = open(ctx->recorded ? sysroot : "/",
			   O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ctx->rootfd < 0) {
		err = -errno;
		free(ctx);
		return err;
	}
	err = find_features(ctx);
	if (err) {
		cgm_context_free(ctx);
		return err;
	}
	*out = ctx;
	return 0;
}

static void clear_hierarchy(struct hierarchy *h)
{
	if (h->version && h->dirfd >= 0)
		close(h->dirfd);
	free(h->mount);
	free(h->root);
}

CGM_PUBLIC void cgm_context_free(struct cgm_context *ctx)
{
	if (!ctx)
		return;
	close(ctx->rootfd);
	systemd_close(ctx);
	clear_hierarchy(&ctx->cpuset);
	clear_hierarchy(&ctx->unified);
	clear_hierarchy(&ctx->freezer);
	free(ctx->release);
	free(ctx->tmpfs_devs);
	free(ctx);
}

CGM_PUBLIC int cgm_context_features(struct cgm_context *ctx,
				    struct cgm_features *features)
{
	size_t size = features->size;

	if (size < sizeof(features->size) || size > sizeof(ctx->features))
		return cgm_fail(ctx, EINVAL,
				"struct cgm_features of %zu bytes: this library knows %zu",
				size, sizeof(ctx->features));
	ctx->features.size = size;
	memcpy(features, &ctx->features, size);
	return 0;
}
