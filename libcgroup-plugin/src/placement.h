/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes by node and kind. */
#ifndef CGM_PLACEMENT_H
#define CGM_PLACEMENT_H

#include "numamaps.h"
#include "policies.h"
#include "private.h"

/* Huge pages by size, as mapped. */
struct huge_use {
	uint64_t page_size;
	uint64_t *pages;	/* by node */
};

struct process_entry {
	pid_t pid;
	char comm[64];
	struct cgm_placement *placement;
};

struct cgm_placement {
	int nodes;		/* columns of bytes: highest node + 1 */
	uint64_t *bytes;	/* [kind][node] */
	cgm_nodeset allowed;
	enum cgm_source source;
	struct huge_use *huge;
	size_t huge_count;
	struct process_entry *processes;
	size_t process_count;
	size_t seen;
	size_t unreadable;
	bool has_marks;		/* CGM_SOURCE_CHARGED, or a process with CGM_PLACEMENT_MARKS */
	uint64_t locked_bytes;
	uint64_t pinned_bytes;	/* of a process */
	uint64_t huge_bytes;
	struct policies policies; /* CGM_SOURCE_MAPPED */
};

/* A mapping as numa_maps and maps tell of it. */
struct vma_seen {
	const struct numa_line *line;
	const char *map;	/* of /proc/PID/maps, NULL: not known */
	uint64_t end;		/* 0: not known */
	const char *name;	/* of the file, or what the kernel calls it */
	enum cgm_kind kind;	/* of what is not anonymous in it */
};

int placement_add_vma(struct cgm_placement *p, const struct vma_seen *vma);
int placement_each_vma(struct cgm_context *ctx, pid_t pid,
		       int (*fn)(const struct vma_seen *vma, void *data), void *data);
void process_allowed(struct cgm_context *ctx, pid_t pid, cgm_nodeset *nodes);
struct cgm_placement *placement_new(const struct cgm_context *ctx);
void placement_add(struct cgm_placement *p, enum cgm_kind kind, int node, uint64_t bytes);
int placement_merge(struct cgm_placement *into, const struct cgm_placement *from);
int placement_of_pids(struct cgm_context *ctx, const pid_t *pids, size_t count,
		      unsigned int flags, struct cgm_placement **out);

#endif /* CGM_PLACEMENT_H */
