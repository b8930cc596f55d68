// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which processes are in a cgroup, and a little about each. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "descend.h"
#include "number.h"
#include "procs.h"

int pid_list_add(struct pid_list *list, pid_t pid)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		pid_t *more = realloc(list->pids, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->pids = more;
		list->room = room;
	}
	list->pids[list->count++] = pid;
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* Sort, and keep each once. */
void pid_list_sort(struct pid_list *list)
{
	size_t kept = 0;

	if (!list->count)
		return;
	qsort(list->pids, list->count, sizeof(*list->pids), compare_pids);
	for (size_t i = 0; i < list->count; i++)
		if (!kept || list->pids[kept - 1] != list->pids[i])
			list->pids[kept++] = list->pids[i];
	list->count = kept;
}

/*
 * What tells a process, or a thread, from a later one that has its number: when it began,
 * in ticks. 0: not known; -ESRCH then where it has exited, or -errno.
 */
int thread_start(struct cgm_context *ctx, pid_t tid, uint64_t *start)
{
	char *text = fs_read(ctx, NULL, "proc/%d/stat", tid);
	int err = text ? 0 : errno == ENOENT ? -ESRCH : -errno;
	char *p = text ? strrchr(text, ')') : NULL;

	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	*start = p ? number_parse(p + 1, NULL) : 0;
	free(text);
	return err;
}

static pid_t leader_of(struct cgm_context *ctx, pid_t tid)
{
	char *text = fs_read(ctx, NULL, "proc/%d/status", tid);
	char *p = text ? strstr(text, "\nTgid:") : NULL;
	pid_t pid = p ? strtol(p + 6, NULL, 10) : 0;

	free(text);
	return pid;
}

/* Numbers, one a line; 0 stands for a process of another pid namespace. */
static int add_pids(struct cgm_context *ctx, const char *text, bool threads,
		    struct pid_list *list)
{
	char *end;
	int err = 0;

	for (const char *p = text; *p && !err; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p || pid < 0 || pid > INT32_MAX)
			break;
		if (threads)
			pid = leader_of(ctx, pid);
		if (pid > 0)
			err = pid_list_add(list, pid);
		end += *end == '\n';
	}
	return err;
}

/* The processes of one cgroup; a threaded one only lists its threads. */
static int procs_of_one(struct cgm_context *ctx, int dirfd, struct pid_list *list)
{
	char *text = fs_read_at(dirfd, "cgroup.procs", NULL);
	bool threads = false;
	int err;

	if (!text && errno == EOPNOTSUPP) {
		text = fs_read_at(dirfd, "cgroup.threads", NULL);
		threads = true;
	}
	if (!text)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	err = add_pids(ctx, text, threads, list);
	free(text);
	return err;
}

struct listing {
	struct cgm_context *ctx;
	struct pid_list *list;
};

static int list_one(int dirfd, const char *below, void *data)
{
	const struct listing *listing = data;
	int err = procs_of_one(listing->ctx, dirfd, listing->list);

	/* Closed to us: its processes are, too. */
	return err == -EACCES && *below ? 0 : err;
}

/* Add the processes of a cgroup to a list, unsorted. 0 or -errno. */
int procs_of_dir(struct cgm_context *ctx, int dirfd, bool subtree,
		 struct pid_list *list)
{
	struct listing listing = { .ctx = ctx, .list = list };

	return subtree ? descend(dirfd, list_one, &listing) : procs_of_one(ctx, dirfd, list);
}

/* Its name, "?" where it has exited. An error is a shortage. */
int process_comm(struct cgm_context *ctx, pid_t pid, char *buf, size_t size)
{
	char *text = fs_read(ctx, NULL, "proc/%d/comm", pid);
	int err = text ? 0 : -errno;

	if (text)
		text[strcspn(text, "\n")] = '\0';
	snprintf(buf, size, "%s", text ? text : "?");
	free(text);
	return is_shortage(err) ? err : 0;
}

/*
 * Has all of a process exited, though nobody has waited for it yet? Of a first thread
 * that has gone before the others, they are counted.
 */
static bool status_exited(const char *status)
{
	const char *state = strstr(status, "\nState:\t");
	const char *threads = strstr(status, "\nThreads:");

	return state && (state[8] == 'Z' || state[8] == 'X') &&
	       (!threads || strtol(threads + 9, NULL, 10) <= 1);
}

/* The same; false where nothing tells. */
bool process_exited(struct cgm_context *ctx, pid_t pid)
{
	char *text = fs_read(ctx, NULL, "proc/%d/status", pid);
	bool exited = text && status_exited(text);

	free(text);
	return exited;
}

static uint64_t kib_of(const char *text, const char *key)
{
	const char *p = text ? strstr(text, key) : NULL;

	return p ? number_kib(p + strlen(key)) : 0;
}

/* 0, or -errno and nothing but zeros. */
int process_status(struct cgm_context *ctx, pid_t pid, struct process_status *out)
{
	char *text = fs_read(ctx, NULL, "proc/%d/status", pid);
	int err = text ? 0 : -errno;

	out->anon = kib_of(text, "\nRssAnon:");
	out->huge = kib_of(text, "\nHugetlbPages:");
	out->locked = kib_of(text, "\nVmLck:");
	out->pinned = kib_of(text, "\nVmPin:");
	free(text);
	return err;
}

/* What cannot be read is 0. */
void process_rollup(struct cgm_context *ctx, pid_t pid, struct process_rollup *out)
{
	char *text = fs_read(ctx, NULL, "proc/%d/smaps_rollup", pid);

	out->has_pss = text && strstr(text, "\nPss_Anon:");
	out->anon = kib_of(text, "\nPss_Anon:");
	out->file = kib_of(text, "\nPss_File:");
	out->shmem = kib_of(text, "\nPss_Shmem:");
	out->huge = kib_of(text, "\nAnonHugePages:") + kib_of(text, "\nShmemPmdMapped:") +
		    kib_of(text, "\nFilePmdMapped:");
	free(text);
}

CGM_PUBLIC int cgm_process_marks(struct cgm_context *ctx, pid_t pid,
				 struct cgm_marks *marks)
{
	struct cgm_marks all = { 0 };
	struct process_status status;
	struct process_rollup rollup;
	int err = process_status(ctx, pid, &status);

	if (err)
		return cgm_fail(ctx, err == -ENOENT ? ESRCH : err, "%d: no such process", pid);
	process_rollup(ctx, pid, &rollup);
	all.locked = status.locked;
	all.pinned = status.pinned;
	all.huge = rollup.huge;
	err = FILL(marks, &all);
	return err ? cgm_fail(ctx, EINVAL, "impossible size") : 0;
}

static bool belongs_to(struct cgm_context *ctx, pid_t pid, uid_t user)
{
	char *text = fs_read(ctx, NULL, "proc/%d/status", pid);
	const char *p = text ? strstr(text, "\nUid:") : NULL;
	bool ours = p && strtoul(p + 5, NULL, 10) == user && !status_exited(text);

	free(text);
	return ours;
}

CGM_PUBLIC int cgm_user_pids(struct cgm_context *ctx, uid_t user, pid_t **pids,
			     size_t *count)
{
	int fd = fs_open(ctx, O_RDONLY | O_DIRECTORY, "proc"), err = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct pid_list list = { 0 };
	struct dirent *entry;

	*pids = NULL;
	*count = 0;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return cgm_fail(ctx, errno, "cannot list /proc: %m");
	}
	while (!err && (entry = readdir(dir))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (pid > 0 && !*end && belongs_to(ctx, pid, user))
			err = pid_list_add(&list, pid);
	}
	closedir(dir);
	if (err) {
		free(list.pids);
		return cgm_fail(ctx, err, "out of memory");
	}
	pid_list_sort(&list);
	*pids = list.pids;
	*count = list.count;
	return 0;
}
