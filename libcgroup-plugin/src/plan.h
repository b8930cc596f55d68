/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves that were looked at and not yet done. */
#ifndef CGM_PLAN_H
#define CGM_PLAN_H

#include "nodemap.h"
#include "placement.h"
#include "private.h"

struct plan_item {
	enum cgm_action action;
	enum cgm_backend backend;
	struct cgm_group *group;
	struct cgm_group *source; /* ATTACH: who is born there goes, too; may be NULL */
	pid_t *pids;
	uint64_t *starts;	/* when each of them began; 0: not known */
	size_t pid_count;
	cgm_nodeset configured;	/* MEMS: cpuset.mems as it was */
	cgm_nodeset written;	/* MEMS: and as it is to be; empty: inherits */
	cgm_nodeset from;
	cgm_nodeset to;
	cgm_nodeset wide;	/* in force while we move, and not the kernel */
	struct nodemap map;
	int *dest;		/* by node: where its memory goes; -1: nowhere */
	size_t processes;
	uint64_t bytes;
	uint64_t stray;
	uint64_t *flows;	/* [from][to] */
	struct cgm_placement *before;
	enum cgm_cache cache;
	uint64_t cache_bytes;	/* of cache that is not to move, on nodes that are left */
	bool change;
	bool placed;		/* by us: not as the kernel would */
	bool by_kernel;		/* the caller cannot move it, the kernel can: stock */
	bool enable;		/* systemd has to give it a cpuset first */
};

struct cgm_plan {
	struct cgm_context *ctx;
	struct plan_item **items;
	size_t count;
	int nodes;		/* rows and columns of flows */
	struct cgm_plan_node *rooms; /* by node, once checked */
	uint64_t *freed;	/* by node: what leaves, without huge pages */
	struct notes notes;
	bool checked;
	size_t room_notes;	/* notes from here on are about room */
};

/* plan-policy.c */
void plan_note_policies(struct cgm_plan *plan, struct plan_item *item);

/* plan-check.c */
int plan_check_mems(struct cgm_plan *plan, struct plan_item *item);
void plan_check_memory_nodes(struct cgm_plan *plan, struct plan_item *item);
int plan_check_attach(struct cgm_plan *plan, struct plan_item *item);
int plan_check_map(struct cgm_plan *plan, struct plan_item *item);
void plan_check_caller(struct cgm_plan *plan, struct plan_item *item);
bool plan_node_used(const struct cgm_plan_node *node);
void plan_check_access(struct cgm_plan *plan, struct plan_item *item, const char *file);

#endif /* CGM_PLAN_H */
