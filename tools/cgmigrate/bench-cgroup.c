// SPDX-License-Identifier: GPL-2.0
/*
 * A cgroup of its own for the benchmark. What was made and changed for it is undone at
 * the end. A benchmark that is killed leaves an empty cgroup; the next one removes it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define NAME "cgmigrate-bench."
#define REMOVE_USEC 5000000

struct bench_cgroup {
	char parent[2048];	/* directories */
	char dir[2200];
	char mems[2300];
	struct cgm_group *group;
	bool handed_down;	/* we let children of the parent have cpusets */
};

static int version(const struct bench *bench)
{
	return bench->app->features.cpuset_version;
}

static void parent_dir(const struct bench *bench, char *buf, size_t size)
{
	const char *below = strcmp(bench->below, "/") ? bench->below : "";
	const struct app *app = bench->app;

	snprintf(buf, size, "%s%s%s", app->sysroot ? app->sysroot : "",
		 app->features.cpuset_mount, below);
}

static bool read_at(const char *dir, const char *name, char *buf, size_t size)
{
	char path[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, size - 1);
	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return n >= 0;
}

static int write_at(struct bench *bench, const char *dir, const char *name,
		    const char *text)
{
	char path[4096];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = bench_error(bench, -errno, "%s: cannot write \"%s\": %s", path, text,
				  strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; *p; p += strcspn(p, " "), p += strspn(p, " "))
		if (!strncmp(p, word, len) && (!p[len] || p[len] == ' '))
			return true;
	return false;
}

/* Do children of this cgroup have cpusets? */
static bool hands_down(const struct bench *bench, const char *parent)
{
	char list[1024];

	return version(bench) == 1 ||
	       (read_at(parent, "cgroup.subtree_control", list, sizeof(list)) &&
		has_word(list, "cpuset"));
}

/* What stands in the way on v2. */
static bool controller_missing(struct bench *bench, const char *parent, char *why,
			       size_t size)
{
	char list[1024], path[2200];

	if (hands_down(bench, parent))
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", parent);
	if (!read_at(parent, "cgroup.controllers", list, sizeof(list)) ||
	    !has_word(list, "cpuset"))
		snprintf(why, size, "%s has no cpuset controller (see its cgroup.controllers)",
			 bench->below);
	else if (bench->app->features.flags & CGM_FEATURE_SYSTEMD)
		snprintf(why, size,
			 "%s does not hand the cpuset controller down, and that is systemd's to change: \"systemd-run -p AllowedMemoryNodes=%d sleep 1h\" makes it do so",
			 bench->below, cgm_nodeset_next(&bench->from, -1));
	else if (access(path, W_OK))
		snprintf(why, size,
			 "%s does not hand the cpuset controller down, and %s cannot be written: %s",
			 bench->below, path, strerror(errno));
	else
		return false;
	return true;
}

/* Can no cgroup be made here that has the nodes? Tells why not. */
bool bench_cgroup_missing(struct bench *bench, char *why, size_t size)
{
	char parent[2048], nodes[256];
	struct cgm_group *group;
	cgm_nodeset mems;
	bool subset;

	if (!version(bench)) {
		snprintf(why, size, "no cpuset controller in any mounted cgroup hierarchy");
		return true;
	}
	parent_dir(bench, parent, sizeof(parent));
	if (cgm_group_open(bench->app->ctx, bench->below, &group) ||
	    cgm_group_effective_mems(group, &mems)) {
		snprintf(why, size, "%s", cgm_context_error(bench->app->ctx));
		return true;
	}
	cgm_group_unref(group);
	subset = cgm_nodeset_subset(&bench->from, &mems) &&
		 cgm_nodeset_subset(&bench->to, &mems);
	if (!subset)
		snprintf(why, size, "the cgroup %s may use nodes %s only", bench->below,
			 nodes_text(&mems, nodes, sizeof(nodes)));
	else if (access(parent, W_OK))
		snprintf(why, size,
			 "no cgroup can be made in %s: %s; run as root, or name a cgroup of yours with --below",
			 parent, strerror(errno));
	else
		return controller_missing(bench, parent, why, size);
	return true;
}

/* What benchmarks that were killed have left behind. Rmdir takes empty ones only. */
static void remove_leftovers(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;
	char path[4096];

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, NAME, strlen(NAME)) ||
		    !kill(atoi(entry->d_name + strlen(NAME)), 0) || errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), "%s/%s", parent, entry->d_name);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
}

/* On v1 a new cgroup has nothing; it has to have CPUs before a process. */
static int set_up_v1(struct bench *bench, const struct bench_cgroup *cgroup)
{
	char cpus[4096];
	int err;

	read_at(cgroup->parent, "cpuset.cpus", cpus, sizeof(cpus));
	err = write_at(bench, cgroup->dir, "cpuset.cpus", cpus);
	return err ? err : write_at(bench, cgroup->dir, "cpuset.memory_migrate", "1");
}

static int set_up(struct bench *bench, struct bench_cgroup *cgroup)
{
	char nodes[2048];
	int err = version(bench) == 1 ? set_up_v1(bench, cgroup) : 0;

	nodes_text(&bench->from, nodes, sizeof(nodes));
	if (!err)
		err = write_at(bench, cgroup->dir, "cpuset.mems", nodes);
	if (!err && cgm_group_open(bench->app->ctx, cgroup->dir + strlen(
			bench->app->features.cpuset_mount), &cgroup->group))
		err = bench_error(bench, -ENOENT, "%s", cgm_context_error(bench->app->ctx));
	return err;
}

/* Make it, with the old nodes. To be removed also after an error, if not NULL. */
int bench_cgroup_make(struct bench *bench, struct bench_cgroup **out)
{
	struct bench_cgroup *cgroup = calloc(1, sizeof(*cgroup));
	int err;

	*out = cgroup;
	if (!cgroup)
		return bench_error(bench, -ENOMEM, "out of memory");
	parent_dir(bench, cgroup->parent, sizeof(cgroup->parent));
	remove_leftovers(cgroup->parent);
	if (!hands_down(bench, cgroup->parent)) {
		err = write_at(bench, cgroup->parent, "cgroup.subtree_control", "+cpuset");
		if (err)
			return err;
		cgroup->handed_down = true;
	}
	snprintf(cgroup->dir, sizeof(cgroup->dir), "%s/" NAME "%d", cgroup->parent,
		 getpid());
	snprintf(cgroup->mems, sizeof(cgroup->mems), "%s/cpuset.mems", cgroup->dir);
	if (!mkdir(cgroup->dir, 0755))
		return set_up(bench, cgroup);
	err = bench_error(bench, -errno, "%s: cannot make this cgroup: %s", cgroup->dir,
			  strerror(errno));
	cgroup->dir[0] = '\0';
	return err;
}

int bench_cgroup_attach(struct bench *bench, const struct bench_cgroup *cgroup, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", pid);
	return write_at(bench, cgroup->dir, "cgroup.procs", text);
}

/* 0: no limit. */
int bench_cgroup_limit(struct bench *bench, const struct bench_cgroup *cgroup,
		       uint64_t rate)
{
	int err = cgm_group_set_rate(cgroup->group, rate ? rate : CGM_RATE_MAX);

	return err ? bench_error(bench, err, "%s", cgm_context_error(bench->app->ctx)) : 0;
}

/* The file that a move is written to. */
const char *bench_cgroup_mems(const struct bench_cgroup *cgroup)
{
	return cgroup->mems;
}

/* Processes that were in it have ended, but the kernel may not be done with them. */
static bool removed(const char *dir)
{
	uint64_t deadline = now_usec() + REMOVE_USEC;

	while (rmdir(dir)) {
		if (errno == ENOENT)
			break;
		if (errno != EBUSY || now_usec() > deadline)
			return false;
		usleep(5000);
	}
	return true;
}

void bench_cgroup_remove(struct bench *bench, struct bench_cgroup *cgroup)
{
	int err = 0;

	if (!cgroup)
		return;
	cgm_group_unref(cgroup->group);
	if (*cgroup->dir && !removed(cgroup->dir))
		warn(bench->app, "%s: cannot remove this cgroup: %s", cgroup->dir,
		     strerror(errno));
	if (cgroup->handed_down)
		err = write_at(bench, cgroup->parent, "cgroup.subtree_control", "-cpuset");
	if (err && err != -EBUSY)	/* busy: others have come to need it */
		warn(bench->app, "%s", bench->error);
	free(cgroup);
}
