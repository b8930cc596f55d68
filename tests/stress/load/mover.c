// SPDX-License-Identifier: GPL-2.0
/*
 * Actors that move the memory of others.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numastress.h"

#define MOVE_PAGES	128
#define MAX_THREADS	8

static int write_mems(struct outsider *o, struct random *r, char *text, size_t len, bool nonblock)
{
	const char *group = pick_group(o->groups, o->nr_groups, r);
	char nodes[64];

	nodes_text(random_nodes(r, o->nodes), nodes, sizeof(nodes));
	snprintf(text, len, "%s of %s", nodes, strrchr(group, '/') + 1);
	return group_write(group, "cpuset.mems", nodes, nonblock);
}

static int mems_waiting(struct outsider *o, struct random *r, char *text, size_t len)
{
	return write_mems(o, r, text, len, false);
}

static int mems_nonblock(struct outsider *o, struct random *r, char *text, size_t len)
{
	return write_mems(o, r, text, len, true);
}

/* Slow enough to be noticed, fast enough for a waiting writer to end. */
static const char *const limits[] = { "max", "max", "0", "8M", "64M" };

static int control(struct outsider *o, struct random *r, char *text, size_t len)
{
	const char *group = pick_group(o->groups, o->nr_groups, r);
	const char *file = "cpuset.mems.migrate.max";
	const char *value = limits[random_below(r, sizeof(limits) / sizeof(limits[0]))];

	switch (random_below(r, 4)) {
	case 0:
		file = "cpuset.mems.migrate.hold";
		value = random_below(r, 2) ? "1" : "0";
		break;
	case 1:
		file = "cpuset.mems.migrate.stop";
		value = "1";
		break;
	case 2:
		file = "cpuset.mems.migrate.settle";
		value = "1";
		break;
	}
	snprintf(text, len, "%s %s of %s", file + strlen("cpuset.mems.migrate."), value,
		 strrchr(group, '/') + 1);
	return group_write(group, file, value, random_below(r, 2));
}

static void take_back(const char *group, const char *file, const char *value)
{
	int ret = group_write(group, file, value, true);

	/* It has no cpuset right now, and gets a new one. */
	if (ret && ret != -ENOENT)
		board_fail("%s of %s cannot be taken back: error %d", file,
			   strrchr(group, '/') + 1, -ret);
}

static void control_end(struct outsider *o)
{
	int i;

	for (i = 0; i < o->nr_groups; i++) {
		take_back(o->groups[i], "cpuset.mems.migrate.hold", "0");
		take_back(o->groups[i], "cpuset.mems.migrate.max", "max");
	}
}

/* A worker's process into another cgroup. */
static int attach(struct outsider *o, struct random *r, char *text, size_t len)
{
	const char *group = pick_group(o->groups, o->nr_groups, r);
	bool nonblock = random_below(r, 2);
	int slot = board_pick_worker(r);
	char pid[16];

	if (slot < 0)
		return -ESRCH;
	snprintf(pid, sizeof(pid), "%d", atomic_load(&board->slots[slot].pid));
	snprintf(text, len, "slot %d to %s", slot, strrchr(group, '/') + 1);
	return group_write(group, "cgroup.procs", pid, nonblock);
}

/* One of a worker's threads, among threaded cgroups; the process into the first of them. */
static int attach_thread(struct outsider *o, struct random *r, char *text, size_t len)
{
	const char *group = pick_group(o->groups, o->nr_groups, r);
	int slot = board_pick_worker(r), count = 0, pid;
	char path[32], tids[MAX_THREADS][16];
	struct dirent *entry;
	DIR *dir;

	if (slot < 0)
		return -ESRCH;
	pid = atomic_load(&board->slots[slot].pid);
	snprintf(path, sizeof(path), "%d", pid);
	if (!random_below(r, 4)) {
		snprintf(text, len, "slot %d", slot);
		return group_write(o->groups[0], "cgroup.procs", path, random_below(r, 2));
	}
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return -ESRCH;
	while (count < MAX_THREADS && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(tids[count++], sizeof(tids[0]), "%.15s", entry->d_name);
	closedir(dir);
	if (!count)
		return -ESRCH;
	snprintf(text, len, "a thread of slot %d to %s", slot, strrchr(group, '/') + 1);
	return group_write(group, "cgroup.threads", tids[random_below(r, count)],
			   random_below(r, 2));
}

static int migrate(struct outsider *o, struct random *r, char *text, size_t len)
{
	unsigned long from = random_nodes(r, o->nodes), to = random_nodes(r, o->nodes);
	int slot = board_pick_worker(r);

	if (slot < 0)
		return -ESRCH;
	snprintf(text, len, "slot %d from %lx to %lx", slot, from, to);
	return syscall(SYS_migrate_pages, atomic_load(&board->slots[slot].pid),
		       (unsigned long)MAX_NODES + 1, &from, &to) < 0 ? -errno : 0;
}

static int move(struct outsider *o, struct random *r, char *text, size_t len)
{
	int slot = board_pick_worker(r), nodes[MOVE_PAGES], status[MOVE_PAGES];
	int flags = random_below(r, 2) ? MPOL_MF_MOVE : MPOL_MF_MOVE_ALL;
	void *pages[MOVE_PAGES];
	unsigned long to;
	size_t i, page;

	if (slot < 0)
		return -ESRCH;
	to = nodes_allowed(atomic_load(&board->slots[slot].pid));
	if (!to)
		to = o->nodes;
	for (i = 0; i < MOVE_PAGES; i++) {
		page = random_below(r, board->slots[slot].pages);
		pages[i] = (void *)(atomic_load(&board->slots[slot].addr) + page * PAGE);
		nodes[i] = __builtin_ctzl(random_nodes(r, to));
	}
	snprintf(text, len, "%d pages of slot %d", MOVE_PAGES, slot);
	return syscall(SYS_move_pages, atomic_load(&board->slots[slot].pid),
		       (unsigned long)MOVE_PAGES, pages, nodes, status, flags) < 0 ? -errno : 0;
}

const struct role mover_roles[] = {
	{ "mems", 20000, mems_waiting, NULL },
	{ "mems-nonblock", 20000, mems_nonblock, NULL },
	{ "control", 50000, control, control_end },
	{ "attach", 20000, attach, NULL },
	{ "attach-thread", 10000, attach_thread, NULL },
	{ "migrate-pages", 20000, migrate, NULL },
	{ "move-pages", 5000, move, NULL },
	{ 0 }
};
