/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A change of a cgroup's CPUs, and the threads that it pins anew. */
#ifndef CGM_CPUMOVE_H
#define CGM_CPUMOVE_H

#include "cpus.h"

struct thread {
	pid_t tid;
	pid_t pid;
	uint64_t start;		/* 0: not known */
	bool pinned;
	cgm_cpuset before;
	cgm_cpuset after;
	cgm_cpuset now;
};

/* Sorted by tid up to "sorted"; what was added since comes after them. */
struct threads {
	struct thread *list;
	size_t count;
	size_t room;
	size_t sorted;
};

struct cgm_cpumove {
	struct cgm_group *group;
	cgm_cpuset first;	/* cpuset.cpus as it was; empty: those of its parent */
	cgm_cpuset last;	/* and as it is to be */
	cgm_cpuset from;	/* those in force */
	cgm_cpuset to;
	cgm_cpuset wide;	/* from and to */
	struct cgm_group **others; /* below it, with changes of their own */
	size_t other_count;
	struct threads threads;
	struct threads told;	/* by a journal */
	size_t failed;		/* threads that could not be pinned anew */
};

void threads_free(struct threads *threads);
void threads_sort(struct threads *threads);
const struct thread *threads_find(const struct threads *threads, pid_t tid);
struct thread *threads_add(struct cgm_context *ctx, struct threads *threads);
bool cpumove_is_others(const struct cgm_cpumove *move, const char *path);
int cpumove_list_threads(struct cgm_cpumove *move);

#endif /* CGM_CPUMOVE_H */
