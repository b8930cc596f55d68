// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which threads a change of CPUs is about, and where each of them belongs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpumove.h"

/* ---- lists of threads ---- */

static int compare_threads(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

void threads_free(struct threads *threads)
{
	free(threads->list);
	memset(threads, 0, sizeof(*threads));
}

void threads_sort(struct threads *threads)
{
	if (threads->count)
		qsort(threads->list, threads->count, sizeof(*threads->list),
		      compare_threads);
	threads->sorted = threads->count;
}

/* Of those that are sorted. */
const struct thread *threads_find(const struct threads *threads, pid_t tid)
{
	struct thread key = { .tid = tid };

	return threads->sorted ? bsearch(&key, threads->list, threads->sorted, sizeof(key),
					 compare_threads) : NULL;
}

/* Room for one more at the end, which the caller fills; NULL where there is none. */
struct thread *threads_add(struct cgm_context *ctx, struct threads *threads)
{
	if (threads->count == threads->room) {
		size_t room = threads->room ? threads->room * 2 : 64;
		struct thread *more = realloc(threads->list, room * sizeof(*more));

		if (!more) {
			cgm_fail(ctx, ENOMEM, "out of memory");
			return NULL;
		}
		threads->list = more;
		threads->room = room;
	}
	return &threads->list[threads->count++];
}

/* ---- where they belong ---- */

/*
 * A thread that came while others were pinned anew has the CPUs of the one that
 * made it, which are the old or the new ones.
 */
static bool is_like_new(const struct cgm_cpumove *move, const struct thread_status *status)
{
	for (size_t i = 0; i < move->threads.sorted; i++) {
		const struct thread *thread = &move->threads.list[i];

		if (thread->pid == status->pid && thread->pinned &&
		    cgm_nodeset_equal(&thread->after, &status->cpus))
			return true;
	}
	return false;
}

/* What a journal tells of a thread holds unless it has pinned itself otherwise since. */
static const struct thread *find_told(const struct cgm_cpumove *move, pid_t tid,
				      const struct thread_status *status)
{
	const struct thread *told = threads_find(&move->told, tid);

	if (told && told->start == status->start &&
	    (cgm_nodeset_equal(&told->before, &status->cpus) ||
	     cgm_nodeset_equal(&told->after, &status->cpus)))
		return told;
	return NULL;
}

static void place_thread(const struct cgm_cpumove *move, const struct thread_status *status,
			 struct thread *thread)
{
	const struct thread *told = find_told(move, thread->tid, status);

	thread->pid = status->pid;
	thread->start = status->start;
	thread->now = status->cpus;
	if (told) {
		thread->pinned = told->pinned;
		thread->before = told->before;
		thread->after = told->after;
		return;
	}
	thread->before = status->cpus;
	thread->pinned = cpus_map(&move->from, &move->to, &status->cpus, &thread->after);
	if (thread->pinned && is_like_new(move, status))
		thread->after = status->cpus;
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
	thread = threads_add(ctx, &move->threads);
	if (!thread)
		return -ENOMEM;
	thread->tid = tid;
	place_thread(move, &status, thread);
	if (thread->pinned && !ctx->recorded &&
	    !(ctx->features.flags & CGM_FEATURE_SYS_NICE) && status.user != geteuid())
		return cgm_fail(ctx, EPERM,
				"thread %d of process %d is pinned and not yours: pinning it anew needs CAP_SYS_NICE",
				tid, status.pid);
	return 0;
}

/* ---- finding them ---- */

static bool is_below_or_same(const char *path, const char *above)
{
	size_t len = strlen(above);

	return !strncmp(path, above, len) && (!path[len] || path[len] == '/');
}

/* Is this cgroup one whose CPUs change by themselves, or below one? */
bool cpumove_is_others(const struct cgm_cpumove *move, const char *path)
{
	for (size_t i = 0; i < move->other_count; i++)
		if (is_below_or_same(path, move->others[i]->path))
			return true;
	return false;
}

/* The threads of one cgroup, unless it has CPUs of its own: those bind them. */
static int add_threads_of(struct cgm_group *group, void *data)
{
	struct cgm_cpumove *move = data;
	const char *file = group->ctx->cpuset.version == 2 ? "cgroup.threads" : "tasks";
	cgm_cpuset here, top;
	char *text, *end;
	int err = 0;

	if (cpumove_is_others(move, group->path) ||
	    cgm_group_effective_cpus(move->group, &top) ||
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
		if (tid > 0 && !threads_find(&move->threads, tid))
			err = add_thread(move, tid);
	}
	free(text);
	return err;
}

/* Those that are not known yet. They come after the others, until sorted. */
int cpumove_list_threads(struct cgm_cpumove *move)
{
	return cgm_group_walk(move->group, add_threads_of, move);
}
