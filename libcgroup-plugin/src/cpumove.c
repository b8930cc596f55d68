// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Other CPUs for a cgroup, and for its threads those that stand for the ones they
 * were pinned to: the cpuset gets the old and the new CPUs, the threads are pinned
 * anew one by one, the cpuset gets the new CPUs alone.
 *
 * A narrower cpuset would do with the threads what it does with all: the kernel
 * drops the pins of those that have no CPU left, and they run anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "unit.h"

/* Threads that come while others are pinned anew: as long as any come. */
#define PIN_PASSES 16

struct thread {
	pid_t tid;
	pid_t pid;
	bool pinned;
	cgm_cpuset before;
	cgm_cpuset after;
};

struct cgm_cpumove {
	struct cgm_group *group;
	cgm_cpuset configured;	/* cpuset.cpus as it was; empty: those of its parent */
	cgm_cpuset from;	/* those in force */
	cgm_cpuset to;
	cgm_cpuset wide;	/* from and to */
	struct thread *threads;	/* sorted by tid up to "sorted" */
	size_t count;
	size_t room;
	size_t sorted;
	size_t failed;		/* threads that could not be pinned anew */
};

/* ---- threads ---- */

static int compare_threads(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

static void sort_threads(struct cgm_cpumove *move)
{
	if (move->count)
		qsort(move->threads, move->count, sizeof(*move->threads),
		      compare_threads);
	move->sorted = move->count;
}

static bool is_known(const struct cgm_cpumove *move, pid_t tid)
{
	struct thread key = { .tid = tid };

	return move->sorted && bsearch(&key, move->threads, move->sorted, sizeof(key),
				       compare_threads);
}

/*
 * A thread that came while others were pinned anew has the CPUs of the one that
 * made it, which are the old or the new ones.
 */
static bool is_like_new(const struct cgm_cpumove *move, const struct thread_status *status)
{
	for (size_t i = 0; i < move->sorted; i++)
		if (move->threads[i].pid == status->pid && move->threads[i].pinned &&
		    cgm_nodeset_equal(&move->threads[i].after, &status->cpus))
			return true;
	return false;
}

static int add_thread(struct cgm_cpumove *move, pid_t tid)
{
	struct cgm_context *ctx = move->group->ctx;
	struct thread_status status;
	struct thread *thread;
	int err = thread_read(ctx, tid, &status);

	if (err == -ESRCH)
		return 0;
	if (err)
		return cgm_fail(ctx, err, "thread %d: cannot read where it may run: %s", tid,
				strerror(-err));
	if (move->count == move->room) {
		size_t room = move->room ? move->room * 2 : 64;

		thread = realloc(move->threads, room * sizeof(*thread));
		if (!thread)
			return cgm_fail(ctx, ENOMEM, "out of memory");
		move->threads = thread;
		move->room = room;
	}
	thread = &move->threads[move->count++];
	thread->tid = tid;
	thread->pid = status.pid;
	thread->before = status.cpus;
	thread->pinned = cpus_map(&move->from, &move->to, &status.cpus, &thread->after);
	if (thread->pinned && is_like_new(move, &status))
		thread->after = status.cpus;
	if (thread->pinned && !ctx->recorded &&
	    !(ctx->features.flags & CGM_FEATURE_SYS_NICE) && status.user != geteuid())
		return cgm_fail(ctx, EPERM,
				"thread %d of process %d is pinned and not yours: pinning it anew needs CAP_SYS_NICE",
				tid, status.pid);
	return 0;
}

/* The threads of one cgroup, unless it has CPUs of its own: those bind them. */
static int add_threads_of(struct cgm_group *group, void *data)
{
	struct cgm_cpumove *move = data;
	const char *file = group->ctx->cpuset.version == 2 ? "cgroup.threads" : "tasks";
	cgm_cpuset here, top;
	char *text, *end;
	int err = 0;

	if (cgm_group_effective_cpus(move->group, &top) ||
	    cgm_group_effective_cpus(group, &here) || !cgm_nodeset_equal(&here, &top))
		return 0;
	text = fs_read_at(group->dirfd, file, NULL);
	if (!text)
		return errno == ENOENT || errno == ENODEV ? 0 :
		       cgm_fail(group->ctx, errno, "%s/%s: cannot read: %m", group->path,
				file);
	for (char *p = text; !err; p = end) {
		pid_t tid = strtol(p, &end, 10);

		if (end == p)
			break;
		if (tid > 0 && !is_known(move, tid))
			err = add_thread(move, tid);
	}
	free(text);
	return err;
}

/* Those that are not known yet. They come after the others, until sorted. */
static int list_threads(struct cgm_cpumove *move)
{
	return cgm_group_walk(move->group, add_threads_of, move);
}

/* ---- checks ---- */

static int need_member(struct cgm_group *group)
{
	char *text = fs_read_at(group->dirfd, "cpuset.cpus.partition", NULL);
	bool member = !text || !strncmp(text, "member", 6);

	free(text);
	if (member)
		return 0;
	return cgm_fail(group->ctx, EINVAL,
			"%s: is the root of a partition, whose CPUs nobody else may have: change cpuset.cpus by hand",
			group->path);
}

static int check_parent(struct cgm_cpumove *move)
{
	char to[512], allowed[512];
	struct cgm_group *parent;
	cgm_cpuset cpus;
	int err = group_parent(move->group, &parent);

	if (err)
		return cgm_fail(move->group->ctx, EINVAL, "/: the root cgroup has all CPUs");
	err = cgm_group_effective_cpus(parent, &cpus);
	if (!err && !cgm_nodeset_subset(&move->to, &cpus))
		err = cgm_fail(move->group->ctx, EINVAL,
			       "%s: cannot have CPUs %s: %s above it has %s",
			       move->group->path, nodes_name(&move->to, to, sizeof(to)),
			       parent->path, nodes_name(&cpus, allowed, sizeof(allowed)));
	cgm_group_unref(parent);
	return err;
}

/* v1 would refuse the new CPUs of its parent, v2 would let it have all of them. */
static int check_child(struct cgm_group *group, void *data)
{
	struct cgm_cpumove *move = data;
	char own[512], to[512];
	cgm_cpuset cpus;

	if (!strcmp(group->path, move->group->path) ||
	    !fs_exists_at(group->dirfd, "cpuset.cpus"))
		return 0;
	if (group_read_nodes(group, "cpuset.cpus", &cpus) ||
	    cgm_nodeset_subset(&cpus, &move->to))
		return 0;
	return cgm_fail(group->ctx, EINVAL,
			"%s: has CPUs of its own (%s) that are not among the new ones of %s (%s)",
			group->path, nodes_name(&cpus, own, sizeof(own)), move->group->path,
			nodes_name(&move->to, to, sizeof(to)));
}

static int check(struct cgm_cpumove *move)
{
	struct cgm_group *group = move->group;
	char unit[256], list[512];
	int err;

	if (unit_of(group, unit, sizeof(unit))) {
		nodes_name(&move->to, list, sizeof(list));
		return cgm_fail(group->ctx, EINVAL,
				"%s: belongs to systemd, which writes its own CPUs back: move the memory alone, and say \"systemctl set-property --runtime %s AllowedCPUs=%s\"",
				group->path, unit, list);
	}
	if (!fs_exists_at(group->dirfd, "cpuset.cpus"))
		return cgm_fail(group->ctx, EINVAL, "%s: has no cpuset.cpus", group->path);
	if (!group->ctx->recorded &&
	    faccessat(group->dirfd, "cpuset.cpus", W_OK, AT_EACCESS))
		return cgm_fail(group->ctx, errno, "%s: may not write cpuset.cpus: %m",
				group->path);
	err = need_member(group);
	if (!err)
		err = check_parent(move);
	return err ? err : cgm_group_walk(group, check_child, move);
}

/* ---- the change ---- */

CGM_PUBLIC int cgm_cpumove_new(struct cgm_group *group, const cgm_cpuset *to,
			       struct cgm_cpumove **out)
{
	struct cgm_cpumove_info info = { .size = sizeof(info), .to = *to };
	int err = 0;

	*out = NULL;
	if (!cgm_nodeset_weight(to))
		return cgm_fail(group->ctx, EINVAL, "%s: no CPU named", group->path);
	if (fs_exists_at(group->dirfd, "cpuset.cpus"))
		err = group_read_nodes(group, "cpuset.cpus", &info.configured);
	if (!err)
		err = cgm_group_effective_cpus(group, &info.from);
	if (!err)
		err = cgm_cpumove_resume(group, &info, out);
	if (err || cgm_nodeset_equal(to, &info.from))
		return err;
	err = check(*out);
	if (err) {
		cgm_cpumove_free(*out);
		*out = NULL;
	}
	return err;
}

CGM_PUBLIC int cgm_cpumove_resume(struct cgm_group *group,
				  const struct cgm_cpumove_info *info,
				  struct cgm_cpumove **out)
{
	struct cgm_cpumove *move;
	int err = 0;

	*out = NULL;
	if (!HAS_MEMBER(info, to))
		return cgm_fail(group->ctx, EINVAL, "impossible size");
	move = calloc(1, sizeof(*move));
	if (!move)
		return cgm_fail(group->ctx, ENOMEM, "out of memory");
	move->group = cgm_group_ref(group);
	move->configured = info->configured;
	move->from = info->from;
	move->to = info->to;
	cgm_nodeset_or(&move->wide, &move->from, &move->to);
	if (!cgm_nodeset_equal(&move->from, &move->to))
		err = list_threads(move);
	sort_threads(move);
	if (err) {
		cgm_cpumove_free(move);
		return err;
	}
	*out = move;
	return 0;
}

CGM_PUBLIC void cgm_cpumove_free(struct cgm_cpumove *move)
{
	if (!move)
		return;
	cgm_group_unref(move->group);
	free(move->threads);
	free(move);
}

CGM_PUBLIC int cgm_cpumove_info(const struct cgm_cpumove *move,
				struct cgm_cpumove_info *info)
{
	struct cgm_cpumove_info all = {
		.configured = move->configured,
		.from = move->from,
		.to = move->to,
		.change = !cgm_nodeset_equal(&move->from, &move->to),
		.threads = move->count,
		.failed = move->failed,
	};

	for (size_t i = 0; i < move->count; i++)
		all.pinned += move->threads[i].pinned;
	return FILL(info, &all);
}

CGM_PUBLIC int cgm_cpumove_thread(const struct cgm_cpumove *move, size_t index,
				  struct cgm_pinned *pinned)
{
	for (size_t i = 0; i < move->count; i++) {
		const struct thread *thread = &move->threads[i];
		struct cgm_pinned one = {
			.tid = thread->tid, .pid = thread->pid,
			.before = thread->before, .after = thread->after,
		};

		if (thread->pinned && !index--)
			return FILL(pinned, &one);
	}
	return -ENOENT;
}

static int write_cpus(struct cgm_cpumove *move, const cgm_cpuset *cpus)
{
	char list[8192];

	cgm_nodeset_format(cpus, list, sizeof(list) - 1);
	/* Nothing would be no write at all. */
	if (!*list)
		strcpy(list, "\n");
	return group_write(move->group, "cpuset.cpus", 0, list);
}

CGM_PUBLIC int cgm_cpumove_widen(struct cgm_cpumove *move)
{
	if (cgm_nodeset_equal(&move->from, &move->to))
		return 0;
	return write_cpus(move, &move->wide);
}

/* Are the CPUs as this left them? 1: they are as they are to be already. */
static int check_wide(struct cgm_cpumove *move, const cgm_cpuset *wanted)
{
	cgm_cpuset now;
	char list[512];
	int err = group_read_nodes(move->group, "cpuset.cpus", &now);

	if (err || cgm_nodeset_equal(&now, &move->wide))
		return err;
	if (cgm_nodeset_equal(&now, wanted))
		return 1;
	return cgm_fail(move->group->ctx, ESTALE,
			"%s: somebody else has changed cpuset.cpus to %s, and it stays",
			move->group->path, nodes_name(&now, list, sizeof(list)));
}

static void pin(struct cgm_cpumove *move, struct thread *thread, const cgm_cpuset *cpus)
{
	int err = thread_pin(move->group->ctx, thread->tid, cpus);

	if (err && err != -ESRCH) {
		cgm_fail(move->group->ctx, err, "thread %d: cannot be pinned: %s",
			 thread->tid, strerror(-err));
		move->failed++;
	}
}

/* Pin threads anew, and those that they have made meanwhile. */
static int pin_all(struct cgm_cpumove *move)
{
	size_t done = 0;
	int err = 0;

	for (int pass = 0; pass < PIN_PASSES && !err; pass++) {
		for (; done < move->count; done++)
			if (move->threads[done].pinned)
				pin(move, &move->threads[done],
				    &move->threads[done].after);
		sort_threads(move);
		err = list_threads(move);
		if (done == move->count)
			break;
	}
	sort_threads(move);
	return err;
}

/* The kernel remembers what a thread once asked for, and takes what is left of it. */
static void complete(struct cgm_cpumove *move)
{
	struct thread_status status;

	for (size_t i = 0; i < move->count; i++) {
		struct thread *thread = &move->threads[i];

		if (cgm_nodeset_subset(&move->from, &thread->before) &&
		    !thread_read(move->group->ctx, thread->tid, &status) &&
		    cgm_nodeset_subset(&status.cpus, &move->to) &&
		    !cgm_nodeset_equal(&status.cpus, &move->to))
			pin(move, thread, &move->to);
	}
}

static void forget_threads(struct cgm_cpumove *move)
{
	move->count = 0;
	move->sorted = 0;
	move->failed = 0;
}

CGM_PUBLIC int cgm_cpumove_finish(struct cgm_cpumove *move)
{
	int err;

	if (cgm_nodeset_equal(&move->from, &move->to))
		return 0;
	err = check_wide(move, &move->to);
	if (err)
		return err < 0 ? err : 0;
	/* They may have pinned themselves otherwise while the memory moved. */
	forget_threads(move);
	err = list_threads(move);
	if (!err)
		err = pin_all(move);
	if (!err)
		err = write_cpus(move, &move->to);
	if (err) {
		for (size_t i = 0; i < move->count; i++)
			if (move->threads[i].pinned)
				pin(move, &move->threads[i], &move->threads[i].before);
		return err;
	}
	complete(move);
	return 0;
}

CGM_PUBLIC int cgm_cpumove_undo(struct cgm_cpumove *move)
{
	int err;

	if (cgm_nodeset_equal(&move->from, &move->to))
		return 0;
	err = check_wide(move, &move->configured);
	if (err)
		return err < 0 ? err : 0;
	return write_cpus(move, &move->configured);
}
