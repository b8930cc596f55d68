/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In which order to give cgroups other nodes. Pure: masks and numbers only. */
#ifndef CGM_SCHEDULE_H
#define CGM_SCHEDULE_H

#include "private.h"

/*
 * A cgroup with nodes of its own, or that is to get some. All that are below one
 * follow it at once.
 */
struct sched_group {
	int parent;		/* the nearest such cgroup above it, or -1 */
	cgm_nodeset outer;	/* parent -1: what those above allow */
	cgm_nodeset now;	/* cpuset.mems; empty: those of its parent */
	cgm_nodeset wanted;	/* likewise; the same as now: stays as it is */
	uint64_t *bytes;	/* own memory, by resource */
	/* found out */
	cgm_nodeset before;	/* nodes in force now */
	cgm_nodeset after;	/* and at the end */
	bool out_of_place;	/* not all pages keep their relative place */
	bool bounced;
	size_t end;		/* the first that is not below it */
};

struct sched_step {
	enum cgm_step_kind kind;
	int round;
	size_t group;
	cgm_nodeset from;	/* cpuset.mems */
	cgm_nodeset to;
	uint64_t bytes;
};

/*
 * A resource is the room of one kind on one node: kind 0 is memory, the others
 * are pools of huge pages. Resource r is kind r / nodes on node r % nodes.
 */
struct schedule {
	int version;		/* of the cgroup hierarchy */
	int nodes;
	int kinds;
	cgm_nodeset memory;	/* nodes that have memory */
	struct sched_group *groups;
	size_t count;
	int64_t *room;		/* by resource */
	uint64_t *least;	/* by kind: less room than that moves nothing */
	/* where a page goes that is on no node of a set */
	int (*nearest)(void *data, const cgm_nodeset *set, int node);
	void *data;

	struct sched_step *steps;
	size_t step_count;
	/* why there is no schedule */
	size_t bad_group;
	int bad_resource;
	uint64_t missing;
};

enum sched_error {
	SCHED_OK,
	SCHED_NOMEM,		/* out of memory, here */
	SCHED_INVALID,		/* bad_group: wants nodes that its parent will not have */
	SCHED_EMPTY,		/* bad_group: would be left without a node of its own */
	SCHED_NO_ROOM,		/* bad_resource lacks so many bytes in the end */
	SCHED_STUCK,		/* bad_group cannot start: bad_resource lacks so many */
};

enum sched_error schedule_make(struct schedule *s);

#endif /* CGM_SCHEDULE_H */
