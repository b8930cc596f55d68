// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Processes that enter a group.
 *
 * libcgroup writes the main thread of a process into the group's tasks file and
 * then one thread after the other. On cgroup v1 memory is moved for the main
 * thread, and the other threads go on putting pages where they may, until it is
 * their turn: about half of a busy process can be left behind. So the process is
 * put into the group at once, in one write to cgroup.procs, before libcgroup does
 * the same in its way, and what is outside after that is brought in.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.h"

/* Whole processes, by one write. libcgroup tells what is wrong with it. */
static void write_procs(struct event *event, struct cgm_group *group, pid_t pid)
{
	int fd = cgm_group_open_file(group, "cgroup.procs", O_WRONLY), len;
	char text[16];

	if (fd < 0)
		return;
	len = snprintf(text, sizeof(text), "%d", pid);
	if (write(fd, text, len) != len)
		event_note(event, "cannot write %s to cgroup.procs of %s: %s", text,
			   cgm_group_path(group), strerror(errno));
	close(fd);
}

/* A process, and not one of its other threads? */
static bool is_leader(pid_t pid)
{
	char path[64], line[128];
	FILE *status;
	int tgid = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "re");
	while (status && tgid < 0 && fgets(line, sizeof(line), status))
		if (!strncmp(line, "Tgid:", 5))
			tgid = atoi(line + 5);
	if (status)
		fclose(status);
	return tgid == pid;
}

/* Where a call goes to, if it is another cpuset than the process is in. */
static struct cgm_group *destination(struct event *event, const struct call *call,
				     const char *from)
{
	struct cgm_group *group;

	if (!call->cpuset || !from || call->pid == getpid() || !is_leader(call->pid))
		return NULL;
	group = event_group(event, call->group);
	if (group && !strcmp(cgm_group_path(group), from)) {
		cgm_group_unref(group);
		group = NULL;
	}
	return group;
}

/*
 * Put a process into its group before the real function does. A big one with the
 * library, which bounds stalls and keeps to a rate; the kernel has moved a small
 * one before that had begun.
 */
static void enter(struct event *event, const struct call *call,
		  const struct whereabouts *from, bool may_hand_over)
{
	struct cgm_group *group = destination(event, call, from->path);
	struct cgm_move move = {
		.action = CGM_ACTION_ATTACH, .group = group, .pids = &call->pid,
		.pid_count = 1,
	};

	if (!group)
		return;
	if (whereabouts_bytes(from) < SMALL_BYTES || !event_follows(event, group)) {
		if (event_is_v1(event))
			write_procs(event, group, call->pid);
	} else if (!config_get()->no_wait) {
		event->moved = !event_move(event, "attach", &move);
		if (!event->moved && event_is_v1(event))
			write_procs(event, group, call->pid);
	} else if (may_hand_over && helper_start(event)) {
		event->moved = !event_move(event, "attach", &move);
		helper_finish(event);
	}
	cgm_group_unref(group);
}

/* A process is in its group: nothing of it stays elsewhere. */
static void arrive(struct event *event, pid_t pid, const char *from)
{
	struct whereabouts now;
	struct cgm_group *group = NULL;
	struct cgm_move move = {
		.action = CGM_ACTION_PAGES, .pids = &pid, .pid_count = 1,
	};

	whereabouts_of_pid(event, pid, &now);
	if (!now.path || (from && !strcmp(now.path, from)) ||
	    cgm_group_open(event->ctx, now.path, &group))
		goto out;
	if (event_is_v1(event))
		write_procs(event, group, pid);	/* threads born meanwhile */
	if (!now.memory || !cgm_placement_stray(now.memory) || !event_settles(event, group))
		goto out;
	move.to = now.nodes;
	event_move(event, "settle", &move);
out:
	cgm_group_unref(group);
	whereabouts_clear(&now);
}

/* ---- one process ---- */

void attach_begin(struct event *event)
{
	whereabouts_of_pid(event, event->call.pid, &event->before);
	if (event->call.kind == CALL_PROCESS)
		enter(event, &event->call, &event->before, true);
}

json_t *attach_end(struct event *event, int returned)
{
	const struct call *call = &event->call;
	struct whereabouts after;
	json_t *json;

	/* cgexec is about to become its payload; what it has goes. */
	if (!returned && call->kind == CALL_PROCESS && call->pid != getpid())
		arrive(event, call->pid, event->before.path);
	whereabouts_of_pid(event, call->pid, &after);
	json = report_whereabouts(event, &after);
	whereabouts_clear(&after);
	return json;
}

/* Rules were looked up, and tell where the process goes. */
void attach_inner(struct event *event, const struct call *call)
{
	struct whereabouts from;

	if (event->call.kind == CALL_PROCESS && event->call.pid == call->pid) {
		if (!event->handed_over)
			enter(event, call, &event->before, true);
		return;
	}
	if (event->call.kind != CALL_EVERYBODY)
		return;
	whereabouts_of_pid(event, call->pid, &from);
	enter(event, call, &from, false);
	whereabouts_clear(&from);
}

/* ---- many processes ---- */

static void remember(struct event *event, pid_t pid, const char *path)
{
	struct seen_process *more = realloc(event->processes,
					    (event->process_count + 1) * sizeof(*more));

	if (!more)
		return;
	event->processes = more;
	more[event->process_count].pid = pid;
	more[event->process_count++].path = strdup(path);
}

/* Those whose group has changed arrive. */
static void arrive_all(struct event *event)
{
	event->moved = false;	/* one of them, at most */
	for (size_t i = 0; i < event->process_count; i++)
		if (event->processes[i].path)
			arrive(event, event->processes[i].pid, event->processes[i].path);
}

void everybody_begin(struct event *event)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct cgm_group *group;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || cgm_group_open_pid(event->ctx, pid, &group))
			continue;
		remember(event, pid, cgm_group_path(group));
		cgm_group_unref(group);
	}
	if (proc)
		closedir(proc);
}

void everybody_end(struct event *event)
{
	arrive_all(event);
}

/* A group is removed: what is in it falls to its parent. */
void delete_begin(struct event *event)
{
	struct cgm_group *group = event->call.cpuset ?
				  event_group(event, event->call.group) : NULL;
	unsigned int flags = event->call.recursive ? CGM_PIDS_SUBTREE : 0;
	pid_t *pids;
	size_t count;

	if (!group)
		return;
	whereabouts_of_group(group, &event->before);
	if (!cgm_group_pids(group, flags, &pids, &count)) {
		for (size_t i = 0; i < count; i++)
			remember(event, pids[i], cgm_group_path(group));
		free(pids);
	}
	cgm_group_unref(group);
}

void delete_end(struct event *event)
{
	arrive_all(event);
}
