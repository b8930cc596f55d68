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

#include "cpumove.h"
#include "procs.h"
#include "unit.h"

/* Threads that come while others are pinned anew: as long as any come. */
#define PIN_PASSES 16

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

/* Of changes that are made together, that of a cgroup; NULL: it stays. */
static const struct cgm_cpumove *find_change(struct cgm_cpumove *const *moves, size_t count,
					     const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(moves[i]->group->path, path))
			return moves[i];
	return NULL;
}

static bool is_below_change(struct cgm_cpumove *const *moves, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(moves[i]->group->path);

		if (!strncmp(path, moves[i]->group->path, len) && path[len] == '/')
			return true;
	}
	return false;
}

/* What a cgroup has when all changes are made. */
static int later_cpus(struct cgm_group *group, struct cgm_cpumove *const *moves, size_t count,
		      cgm_cpuset *cpus)
{
	const struct cgm_cpumove *change = find_change(moves, count, group->path);
	struct cgm_group *parent;
	cgm_cpuset own;
	int err;

	if (change) {
		*cpus = change->to;
		return 0;
	}
	if (!is_below_change(moves, count, group->path))
		return cgm_group_effective_cpus(group, cpus);
	err = group_parent(group, &parent);
	if (err)
		return err;
	err = later_cpus(parent, moves, count, cpus);
	cgm_group_unref(parent);
	if (err || !fs_exists_at(group->dirfd, "cpuset.cpus"))
		return err;
	err = group_read_nodes(group, "cpuset.cpus", &own);
	cgm_nodeset_and(&own, &own, cpus);
	if (!err && cgm_nodeset_weight(&own))
		*cpus = own;
	return err;
}

static int check_parent(struct cgm_cpumove *move, struct cgm_cpumove *const *moves,
			size_t count)
{
	char to[512], allowed[512];
	struct cgm_group *parent;
	cgm_cpuset cpus;
	int err = group_parent(move->group, &parent);

	if (err)
		return cgm_fail(move->group->ctx, EINVAL, "/: the root cgroup has all CPUs");
	err = later_cpus(parent, moves, count, &cpus);
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
	    cpumove_is_others(move, group->path) ||
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

static int check(struct cgm_cpumove *move, struct cgm_cpumove *const *moves, size_t count)
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
		err = check_parent(move, moves, count);
	return err ? err : cgm_group_walk(group, check_child, move);
}

/* ---- making changes ---- */

static void free_all(struct cgm_cpumove **moves, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cgm_cpumove_free(moves[i]);
		moves[i] = NULL;
	}
}

static struct cgm_cpumove *new_move(struct cgm_group *group,
				    const struct cgm_cpumove_info *info)
{
	struct cgm_cpumove *move = calloc(1, sizeof(*move));

	if (!move)
		return NULL;
	move->group = cgm_group_ref(group);
	move->first = info->configured;
	move->last = info->to;
	move->from = info->from;
	move->to = info->to;
	cgm_nodeset_or(&move->wide, &move->from, &move->to);
	return move;
}

/* Which of the others are below it. */
static int find_others(struct cgm_cpumove *move, struct cgm_cpumove *const *moves,
		       size_t count)
{
	size_t len = strlen(move->group->path);

	move->others = calloc(count, sizeof(struct cgm_group *));
	if (!move->others)
		return cgm_fail(move->group->ctx, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct cgm_group *other = moves[i]->group;

		if (!strncmp(other->path, move->group->path, len) &&
		    other->path[len] == '/')
			move->others[move->other_count++] = cgm_group_ref(other);
	}
	return 0;
}

CGM_PUBLIC int cgm_cpumove_resume_many(struct cgm_group *const *groups,
				       const struct cgm_cpumove_info *const *infos,
				       size_t count, struct cgm_cpumove **out)
{
	int err = 0;

	memset(out, 0, count * sizeof(*out));
	for (size_t i = 0; i < count && !err; i++) {
		if (!HAS_MEMBER(infos[i], to)) {
			err = cgm_fail(groups[i]->ctx, EINVAL, "impossible size");
			break;
		}
		out[i] = new_move(groups[i], infos[i]);
		if (!out[i])
			err = cgm_fail(groups[i]->ctx, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < count && !err; i++)
		err = find_others(out[i], out, count);
	for (size_t i = 0; i < count && !err; i++)
		err = cgm_cpumove_look(out[i]);
	if (err)
		free_all(out, count);
	return err;
}

CGM_PUBLIC int cgm_cpumove_resume(struct cgm_group *group,
				  const struct cgm_cpumove_info *info,
				  struct cgm_cpumove **out)
{
	return cgm_cpumove_resume_many(&group, &info, 1, out);
}

/* What is so now, and what is to be. */
static int read_info(struct cgm_group *group, const cgm_cpuset *to,
		     struct cgm_cpumove_info *info)
{
	int err = 0;

	*info = (struct cgm_cpumove_info){ .size = sizeof(*info), .to = *to };
	if (!cgm_nodeset_weight(to))
		return cgm_fail(group->ctx, EINVAL, "%s: no CPU named", group->path);
	if (fs_exists_at(group->dirfd, "cpuset.cpus"))
		err = group_read_nodes(group, "cpuset.cpus", &info->configured);
	return err ? err : cgm_group_effective_cpus(group, &info->from);
}

static int new_many(struct cgm_group *const *groups, const cgm_cpuset *to, size_t count,
		    struct cgm_cpumove_info *infos, const struct cgm_cpumove_info **pointers,
		    struct cgm_cpumove **out)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		err = read_info(groups[i], &to[i], &infos[i]);
		pointers[i] = &infos[i];
	}
	if (!err)
		err = cgm_cpumove_resume_many(groups, pointers, count, out);
	if (err)
		return err;
	for (size_t i = 0; i < count && !err; i++)
		if (!cgm_nodeset_equal(&out[i]->from, &out[i]->to))
			err = check(out[i], out, count);
	if (err)
		free_all(out, count);
	return err;
}

CGM_PUBLIC int cgm_cpumove_new_many(struct cgm_group *const *groups, const cgm_cpuset *to,
				    size_t count, struct cgm_cpumove **out)
{
	const struct cgm_cpumove_info **pointers = calloc(count, sizeof(*pointers));
	struct cgm_cpumove_info *infos = calloc(count, sizeof(*infos));
	int err;

	memset(out, 0, count * sizeof(*out));
	if (!count)
		err = 0;
	else if (!infos || !pointers)
		err = cgm_fail(groups[0]->ctx, ENOMEM, "out of memory");
	else
		err = new_many(groups, to, count, infos, pointers, out);
	free(infos);
	free(pointers);
	return err;
}

CGM_PUBLIC int cgm_cpumove_new(struct cgm_group *group, const cgm_cpuset *to,
			       struct cgm_cpumove **out)
{
	return cgm_cpumove_new_many(&group, to, 1, out);
}

CGM_PUBLIC void cgm_cpumove_free(struct cgm_cpumove *move)
{
	if (!move)
		return;
	for (size_t i = 0; i < move->other_count; i++)
		cgm_group_unref(move->others[i]);
	free(move->others);
	cgm_group_unref(move->group);
	threads_free(&move->threads);
	threads_free(&move->told);
	free(move);
}

CGM_PUBLIC int cgm_cpumove_look(struct cgm_cpumove *move)
{
	int err = 0;

	move->threads.count = 0;
	move->threads.sorted = 0;
	move->failed = 0;
	threads_sort(&move->told);
	if (!cgm_nodeset_equal(&move->from, &move->to))
		err = cpumove_list_threads(move);
	threads_sort(&move->threads);
	return err;
}

/* ---- with a journal ---- */

CGM_PUBLIC int cgm_cpumove_recall(struct cgm_cpumove *move, const struct cgm_pinned *told)
{
	struct cgm_pinned all = { .size = sizeof(all) };
	struct thread *thread;

	if (TAKE(&all, told))
		return cgm_fail(move->group->ctx, EINVAL, "impossible size");
	thread = threads_add(move->group->ctx, &move->told);
	if (!thread)
		return -ENOMEM;
	*thread = (struct thread){
		.tid = all.tid, .pid = all.pid, .start = all.start,
		.before = all.before, .after = all.after,
		.pinned = !cgm_nodeset_subset(&move->from, &all.before) ||
			  !cgm_nodeset_subset(&move->to, &all.after),
	};
	return 0;
}

static void swap(cgm_cpuset *a, cgm_cpuset *b)
{
	cgm_cpuset other = *a;

	*a = *b;
	*b = other;
}

CGM_PUBLIC int cgm_cpumove_turn(struct cgm_cpumove *move)
{
	swap(&move->first, &move->last);
	swap(&move->from, &move->to);
	for (size_t i = 0; i < move->told.count; i++)
		swap(&move->told.list[i].before, &move->told.list[i].after);
	return cgm_cpumove_look(move);
}

/* Has it come to its end? Those that nobody told of are free to be anywhere. */
static bool is_done(const struct cgm_cpumove *move)
{
	cgm_cpuset now;

	if (cgm_nodeset_equal(&move->from, &move->to))
		return true;
	if (group_read_nodes(move->group, "cpuset.cpus", &now) ||
	    !cgm_nodeset_equal(&now, &move->last))
		return false;
	for (size_t i = 0; i < move->threads.count; i++) {
		const struct thread *thread = &move->threads.list[i];
		const struct thread *told = threads_find(&move->told, thread->tid);

		if (told && told->start == thread->start &&
		    !cgm_nodeset_equal(&thread->now, &told->after))
			return false;
	}
	return true;
}

/* ---- looking at one ---- */

CGM_PUBLIC int cgm_cpumove_info(const struct cgm_cpumove *move,
				struct cgm_cpumove_info *info)
{
	struct cgm_cpumove_info all = {
		.configured = move->first,
		.from = move->from,
		.to = move->to,
		.change = !cgm_nodeset_equal(&move->from, &move->to),
		.threads = move->threads.count,
		.failed = move->failed,
		.done = is_done(move),
	};

	if (fs_exists_at(move->group->dirfd, "cpuset.cpus"))
		group_read_nodes(move->group, "cpuset.cpus", &all.now);

	for (size_t i = 0; i < move->threads.count; i++)
		all.pinned += move->threads.list[i].pinned;
	return FILL(info, &all);
}

static int fill_thread(const struct thread *thread, struct cgm_pinned *out)
{
	struct cgm_pinned one = {
		.tid = thread->tid, .pid = thread->pid,
		.before = thread->before, .after = thread->after,
		.start = thread->start,
	};

	return FILL(out, &one);
}

CGM_PUBLIC int cgm_cpumove_thread(const struct cgm_cpumove *move, size_t index,
				  struct cgm_pinned *pinned)
{
	for (size_t i = 0; i < move->threads.count; i++)
		if (move->threads.list[i].pinned && !index--)
			return fill_thread(&move->threads.list[i], pinned);
	return -ENOENT;
}

/*
 * One that is not pinned looks pinned when it has asked for all of the old CPUs once,
 * and only those that are among the new ones, too, are left to it.
 */
static bool may_look_pinned(const struct cgm_cpumove *move, const struct thread *thread)
{
	cgm_cpuset both;

	cgm_nodeset_and(&both, &move->from, &move->to);
	return cgm_nodeset_weight(&both) && cgm_nodeset_subset(&move->from, &thread->before);
}

CGM_PUBLIC int cgm_cpumove_keep(const struct cgm_cpumove *move, size_t index,
				struct cgm_pinned *out)
{
	for (size_t i = 0; i < move->threads.count; i++) {
		struct thread thread = move->threads.list[i];

		if (!thread.pinned && !may_look_pinned(move, &thread))
			continue;
		if (!thread.pinned)	/* it may have both for the moment */
			thread.before = move->from;
		if (!index--)
			return fill_thread(&thread, out);
	}
	return -ENOENT;
}

/* ---- the change ---- */

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

/* Unless another has its number by now. */
static void pin(struct cgm_cpumove *move, const struct thread *thread,
		const cgm_cpuset *cpus)
{
	struct cgm_context *ctx = move->group->ctx;
	uint64_t start;
	int err = thread->start ? thread_start(ctx, thread->tid, &start) : 0;

	if (!err && thread->start && start != thread->start)
		err = -ESRCH;
	if (!err)
		err = thread_pin(ctx, thread->tid, cpus);
	if (err && err != -ESRCH) {
		cgm_fail(ctx, err, "thread %d: cannot be pinned: %s",
			 thread->tid, strerror(-err));
		move->failed++;
	}
}

/* Pin threads anew, and those that they have made meanwhile. */
static int pin_all(struct cgm_cpumove *move)
{
	struct threads *threads = &move->threads;
	size_t done = 0;
	int err = 0;

	for (int pass = 0; pass < PIN_PASSES && !err; pass++) {
		for (; done < threads->count; done++)
			if (threads->list[done].pinned)
				pin(move, &threads->list[done],
				    &threads->list[done].after);
		threads_sort(threads);
		err = cpumove_list_threads(move);
		if (done == threads->count)
			break;
	}
	threads_sort(threads);
	return err;
}

/* The kernel remembers what a thread once asked for, and takes what is left of it. */
static void complete(struct cgm_cpumove *move)
{
	struct thread_status status;

	for (size_t i = 0; i < move->threads.count; i++) {
		const struct thread *thread = &move->threads.list[i];

		if (!thread->pinned && cgm_nodeset_subset(&move->from, &thread->before) &&
		    !thread_read(move->group->ctx, thread->tid, &status) &&
		    cgm_nodeset_subset(&status.cpus, &move->to) &&
		    !cgm_nodeset_equal(&status.cpus, &move->to))
			pin(move, thread, &move->to);
	}
}

CGM_PUBLIC int cgm_cpumove_finish(struct cgm_cpumove *move)
{
	int err;

	if (cgm_nodeset_equal(&move->from, &move->to))
		return 0;
	err = check_wide(move, &move->last);
	if (err)
		return err < 0 ? err : 0;
	/* They may have pinned themselves otherwise while the memory moved. */
	err = cgm_cpumove_look(move);
	if (!err)
		err = pin_all(move);
	if (!err)
		err = write_cpus(move, &move->last);
	if (err) {
		for (size_t i = 0; i < move->threads.count; i++)
			if (move->threads.list[i].pinned)
				pin(move, &move->threads.list[i],
				    &move->threads.list[i].before);
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
	err = check_wide(move, &move->first);
	if (err)
		return err < 0 ? err : 0;
	return write_cpus(move, &move->first);
}
