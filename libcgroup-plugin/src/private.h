/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libcgmigrate share: the context, reading and writing
 * below the system root, and helpers too small for a header of their own.
 */
#ifndef CGM_PRIVATE_H
#define CGM_PRIVATE_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "libcgmigrate.h"

#define CGM_PUBLIC __attribute__((visibility("default")))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A struct with a size field is ours when it has all fields up to MEMBER. */
#define HAS_MEMBER(ptr, member) \
	((ptr)->size >= offsetof(__typeof__(*(ptr)), member) + sizeof((ptr)->member))

/*
 * Fill a caller's struct, which begins with its size, from ours: what both have. An
 * older program's is shorter than ours. A newer one's is longer, and there keeps what
 * the program has put into it. 0, or -EINVAL where it has room for nothing.
 */
#define FILL(out, from) fill_struct(&(out)->size, &(from)->size, sizeof(*(from)))
/* The other way: ours, with its size set, from a caller's. */
#define TAKE(own, from) fill_struct(&(own)->size, &(from)->size, (from)->size)

static inline int fill_struct(size_t *out, const size_t *from, size_t known)
{
	size_t size = *out < known ? *out : known;

	if (size <= sizeof(*out))
		return -EINVAL;
	memcpy(out + 1, from + 1, size - sizeof(*out));
	return 0;
}

/* One cgroup hierarchy as mounted. */
struct hierarchy {
	int version;		/* 1, 2; 0: not mounted */
	char *mount;		/* mount point, from the root of the (recorded) system */
	char *root;		/* the cgroup that is mounted there */
	int dirfd;		/* the mount point, held; of the mounted ones */
};

struct systemd;
struct look;

struct cgm_context {
	int rootfd;		/* "/", or the sysroot */
	bool recorded;		/* rootfd is not the running system */
	bool writable;		/* jobs may write */
	struct hierarchy cpuset;
	struct hierarchy unified; /* the v2 tree, with or without cpuset */
	struct hierarchy freezer; /* v1 */
	struct cgm_features features;
	char *release;
	unsigned int page_size;
	uint32_t *tmpfs_devs;	/* devices whose files are shared memory */
	size_t tmpfs_count;
	struct systemd *systemd; /* what systemd was asked with, or NULL */
	struct look *look;	/* as long as somebody walks through cgroups, or NULL */
	char error[1024];
};

/* Did something fail for want of what the next try may have? */
static inline bool is_shortage(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

/* context.c */
int cgm_fail(struct cgm_context *ctx, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool ctx_is_tmpfs(const struct cgm_context *ctx, unsigned int major,
		  unsigned int minor);

/* nodeset.c */
int node_parse(const char **p, int *node);

/* names.c */
char *nodes_to_write(const cgm_nodeset *set);
const char *nodes_name(const cgm_nodeset *set, char *buf, size_t size);
const char *size_name(uint64_t bytes, char *buf, size_t size);

/* fs.c: files of /proc, /sys and cgroupfs */
int fs_open(struct cgm_context *ctx, int flags, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int fs_open_below(int dirfd, const char *path, int flags);
char *fs_read_fd(int fd, size_t *len);
char *fs_read_at(int dirfd, const char *name, size_t *len);
char *fs_read(struct cgm_context *ctx, size_t *len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int fs_write_once(int dirfd, const char *name, int flags, const char *text);
int fs_write_at(int dirfd, const char *name, int flags, const char *text);
bool fs_exists_at(int dirfd, const char *name);
bool fs_keyed_u64(const char *text, const char *key, uint64_t *value);

static inline uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* A list of remarks, kept by plans and results. */
struct notes {
	struct note {
		char *text;
		enum cgm_severity severity;
	} *list;
	size_t count;
	bool lost;	/* there was no memory for one, which may be a refusal */
};

int notes_add(struct notes *notes, enum cgm_severity severity,
	      const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void notes_free(struct notes *notes);

#endif /* CGM_PRIVATE_H */
