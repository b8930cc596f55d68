/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cgroup of cpuset's hierarchy, held by a descriptor. */
#ifndef CGM_GROUP_H
#define CGM_GROUP_H

#include "private.h"

struct cgm_group {
	struct cgm_context *ctx;
	char *path;	/* from the mount point, "/" for the root */
	int dirfd;
	int refs;
};

const char *group_below(const char *path);
int group_new(struct cgm_context *ctx, const char *path, struct cgm_group **out);
int group_parent(struct cgm_group *group, struct cgm_group **out);
int group_check_pid(struct cgm_group *group, pid_t pid);
bool group_has_pid(struct cgm_group *group, pid_t pid);
int group_write(struct cgm_group *group, const char *file, int flags, const char *text);
const char *group_root_text(struct cgm_group *group);
bool group_kernel_moves(struct cgm_group *group);
const char *group_effective_file(const struct cgm_context *ctx);
int group_read_nodes(struct cgm_group *group, const char *file, cgm_nodeset *set);
int group_read_nearest(struct cgm_group *group, const char *file, cgm_nodeset *set);

#endif /* CGM_GROUP_H */
