// SPDX-License-Identifier: GPL-2.0
/*
 * Actors that disturb everybody: the machine's memory, CPUs, cgroups.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "numastress.h"

#define CPUS	"/sys/devices/system/cpu"
#define BLOCKS	"/sys/devices/system/memory"
#define MAX_CPUS	4
#define MAX_BLOCKS	64

static int compact(struct outsider *o, struct random *r, char *text, size_t len)
{
	(void)o;
	(void)r;
	snprintf(text, len, "all nodes");
	return file_write("/proc/sys/vm/compact_memory", "1", false);
}

static int drop(struct outsider *o, struct random *r, char *text, size_t len)
{
	static const char *const what[] = { "1", "2", "3" };
	const char *value = what[random_below(r, 3)];

	(void)o;
	snprintf(text, len, "%s", value);
	return file_write("/proc/sys/vm/drop_caches", value, false);
}

static int reclaim(struct outsider *o, struct random *r, char *text, size_t len)
{
	const char *group = pick_group(o->groups, o->nr_groups, r);

	snprintf(text, len, "4M of %s", strrchr(group, '/') + 1);
	return group_write(group, "memory.reclaim", "4M", false);
}

static int set_cpu(int cpu, bool online)
{
	char path[64];

	snprintf(path, sizeof(path), CPUS "/cpu%d/online", cpu);
	return file_write(path, online ? "1" : "0", false);
}

static int cpus(struct outsider *o, struct random *r, char *text, size_t len)
{
	int cpu = 1 + random_below(r, MAX_CPUS - 1), ret;
	bool online = random_below(r, 2);

	(void)o;
	snprintf(text, len, "CPU %d %s", cpu, online ? "on" : "off");
	ret = set_cpu(cpu, online);
	/* It is already; there may be fewer CPUs. */
	return ret == -EINVAL || ret == -ENOENT ? 0 : ret;
}

static void cpus_end(struct outsider *o)
{
	int cpu;

	(void)o;
	for (cpu = 1; cpu < MAX_CPUS; cpu++)
		set_cpu(cpu, true);
}

static int set_block(int block, bool online)
{
	char path[64], state[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), BLOCKS "/memory%d/valid_zones", block);
	file = fopen(path, "re");
	if (!file)
		return -ENOENT;
	if (!fgets(state, sizeof(state), file))
		state[0] = '\0';
	fclose(file);
	if (!online && strncmp(state, "Movable", 7))
		return -ENOENT;
	snprintf(path, sizeof(path), BLOCKS "/memory%d/state", block);
	return file_write(path, online ? "online_movable" : "offline", false);
}

/* Only blocks of movable memory, which a machine with --hotplug has on its last node. */
static int blocks(struct outsider *o, struct random *r, char *text, size_t len)
{
	int first = random_below(r, MAX_BLOCKS), i, ret = -ENOENT, block = 0;
	bool online = random_below(r, 2);

	(void)o;
	for (i = 0; i < MAX_BLOCKS && ret == -ENOENT; i++) {
		block = (first + i) % MAX_BLOCKS;
		ret = set_block(block, online);
		/* It is already. */
		if (ret == -EINVAL)
			ret = -ENOENT;
	}
	snprintf(text, len, "block %d %s", block, online ? "on" : "off");
	return ret;
}

static void blocks_end(struct outsider *o)
{
	int block;

	(void)o;
	for (block = 0; block < MAX_BLOCKS; block++)
		set_block(block, true);
}

/* A cgroup that is made, entered, moved and removed while a child lives in it. */
static int groups(struct outsider *o, struct random *r, char *text, size_t len)
{
	const char *parent = pick_group(o->groups, o->nr_groups, r);
	char path[256], nodes[64];
	uint64_t number;
	int status, ret = 0;
	pid_t pid;

	snprintf(text, len, "below %s", strrchr(parent, '/') + 1);
	number = random_below(r, ~0ULL);
	snprintf(path, sizeof(path), "%s/short-%d", parent, own_number);
	if (mkdir(path, 0755))
		return -errno;
	nodes_text(random_nodes(r, o->nodes), nodes, sizeof(nodes));
	pid = fork_into(path);
	if (!pid) {
		offer_to_oom();
		exec_short(number);
	}
	if (pid < 0)
		ret = -errno;
	rest(r, 10000);
	group_write(path, "cpuset.mems", nodes, random_below(r, 2));
	if (pid > 0 && random_below(r, 3) == 0)
		kill(pid, SIGKILL);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status &&
	    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		board_fail("a child in a short-lived cgroup ended with status %x", status);
	if (rmdir(path))
		board_fail("a cgroup that is empty cannot be removed: error %d", errno);
	return ret;
}

/* The controller leaves the children of a cgroup, and comes back. */
static int controller(struct outsider *o, struct random *r, char *text, size_t len)
{
	const char *group = pick_group(o->groups, o->nr_groups, r);
	int ret;

	snprintf(text, len, "of %s", strrchr(group, '/') + 1);
	ret = group_write(group, "cgroup.subtree_control", "-cpuset", false);
	if (ret)
		return ret;
	rest(r, 20000);
	return group_write(group, "cgroup.subtree_control", "+cpuset", false);
}

static void controller_end(struct outsider *o)
{
	int i;

	for (i = 0; i < o->nr_groups; i++)
		if (group_write(o->groups[i], "cgroup.subtree_control", "+cpuset", false))
			board_fail("the children of %s cannot have cpusets again", o->groups[i]);
}

/* Low enough for reclaim; of what is left without swap, not low enough to be killed for. */
static const struct {
	const char *file;
	const char *values[4];
} limits[] = {
	{ "memory.high", { "max", "16M", "32M", "64M" } },
	{ "memory.max", { "max", "max", "96M", "128M" } },
	{ "memory.swap.max", { "max", "0", "4M", "16M" } },
	{ "cpu.max", { "max 20000", "10000 20000", "max 20000", "40000 20000" } },
	{ "cpu.weight", { "100", "1", "50", "1000" } },
};

static int limit(struct outsider *o, struct random *r, char *text, size_t len)
{
	const char *group = pick_group(o->groups, o->nr_groups, r);
	int which = random_below(r, sizeof(limits) / sizeof(limits[0]));
	const char *value = limits[which].values[random_below(r, 4)];

	snprintf(text, len, "%s %s of %s", limits[which].file, value, strrchr(group, '/') + 1);
	return group_write(group, limits[which].file, value, false);
}

static void limit_end(struct outsider *o)
{
	size_t which;
	int i;

	for (i = 0; i < o->nr_groups; i++)
		for (which = 0; which < sizeof(limits) / sizeof(limits[0]); which++)
			group_write(o->groups[i], limits[which].file, limits[which].values[0],
				    false);
}

static int kill_worker(struct outsider *o, struct random *r, char *text, size_t len)
{
	const char *group = pick_group(o->groups, o->nr_groups, r);
	int slot = board_pick_worker(r), pid;

	if (group && !random_below(r, 8)) {
		snprintf(text, len, "all of %s", strrchr(group, '/') + 1);
		return group_write(group, "cgroup.kill", "1", false);
	}
	pid = slot < 0 ? 0 : atomic_load(&board->slots[slot].pid);
	snprintf(text, len, "slot %d", slot);
	if (pid <= 0)
		return -ESRCH;
	return kill(pid, SIGKILL) ? -errno : 0;
}

/* A worker's memory, behind its back. */
static int open_memory(struct random *r, int *slot, char *text, size_t len)
{
	char path[32];
	int fd;

	*slot = board_pick_worker(r);
	if (*slot < 0)
		return -ESRCH;
	snprintf(text, len, "slot %d", *slot);
	snprintf(path, sizeof(path), "/proc/%d/mem", atomic_load(&board->slots[*slot].pid));
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static off_t random_page(struct random *r, int slot)
{
	return atomic_load(&board->slots[slot].addr) +
	       random_below(r, board->slots[slot].pages) * PAGE;
}

static int copy(int fd, void *buffer, size_t bytes, off_t at, bool out)
{
	ssize_t done = out ? pwrite(fd, buffer, bytes, at) : pread(fd, buffer, bytes, at);

	/* It may be unmapped or protected right now. */
	return done == (ssize_t)bytes ? 0 : -EAGAIN;
}

/*
 * The next three do to memory what a kernel that moves it wrong would do. Somebody
 * has to find it: that is how the test is tested.
 */

/* One word is another. */
static int corrupt(struct outsider *o, struct random *r, char *text, size_t len)
{
	int slot, fd = open_memory(r, &slot, text, len), ret;
	uint64_t word = random_below(r, ~0ULL);

	(void)o;
	if (fd < 0)
		return fd;
	ret = copy(fd, &word, sizeof(word),
		   random_page(r, slot) + random_below(r, PAGE_WORDS) * sizeof(word), true);
	close(fd);
	return ret;
}

/* One page has the contents of another. */
static int misplace(struct outsider *o, struct random *r, char *text, size_t len)
{
	int slot, fd = open_memory(r, &slot, text, len), ret;
	uint64_t words[PAGE_WORDS];

	(void)o;
	if (fd < 0)
		return fd;
	ret = copy(fd, words, PAGE, random_page(r, slot), false);
	if (!ret && words[0])
		ret = copy(fd, words, PAGE, random_page(r, slot), true);
	close(fd);
	return ret;
}

/* One page goes back to what it was a while ago. */
static int stale(struct outsider *o, struct random *r, char *text, size_t len)
{
	int slot, fd = open_memory(r, &slot, text, len), ret;
	uint64_t words[PAGE_WORDS], newer;
	off_t at;

	(void)o;
	if (fd < 0)
		return fd;
	at = random_page(r, slot);
	ret = copy(fd, words, PAGE, at, false);
	newer = words[0];
	while (!ret && words[0] && newer == words[0] && !board_stops(PHASE_CALM)) {
		usleep(10000);
		ret = copy(fd, &newer, sizeof(newer), at, false);
	}
	if (!ret && words[0] && newer)
		ret = copy(fd, words, PAGE, at, true);
	close(fd);
	return ret;
}

const struct role disturber_roles[] = {
	{ "compact", 100000, compact, NULL },
	{ "drop-caches", 100000, drop, NULL },
	{ "reclaim", 100000, reclaim, NULL },
	{ "cpus", 200000, cpus, cpus_end },
	{ "blocks", 300000, blocks, blocks_end },
	{ "groups", 20000, groups, NULL },
	{ "controller", 50000, controller, controller_end },
	{ "limits", 100000, limit, limit_end },
	{ "kill", 4000000, kill_worker, NULL },
	{ "corrupt", 100000, corrupt, NULL },
	{ "misplace", 100000, misplace, NULL },
	{ "stale", 100000, stale, NULL },
	{ 0 }
};
