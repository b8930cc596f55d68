// SPDX-License-Identifier: GPL-2.0
/*
 * No object leaves a descriptor open, also where none is left at any one of the places
 * where it opens something.
 */
#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const uint64_t anon[4] = { 100 * MIB, 60 * MIB, 0, 0 };

static int count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* The one that is opened next. */
static int next_free(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

/* ---- what is made, and freed ---- */

static void open_context(const struct fixture *f, struct cgm_context **ctx)
{
	struct cgm_context_options options = {
		.size = sizeof(options),
		.sysroot = f->tree.dir,
		.flags = CGM_CONTEXT_WRITE_SYSROOT,
	};

	cgm_context_new(ctx, &options);
}

static void context(struct fixture *f)
{
	struct cgm_context *ctx;

	open_context(f, &ctx);
	cgm_context_free(ctx);
}

/* The machine this runs on. */
static void own_context(struct fixture *f)
{
	struct cgm_context *ctx;
	struct cgm_layout *layout;
	struct cgm_placement *placement;

	(void)f;
	if (cgm_context_new(&ctx, NULL))
		return;
	if (!cgm_placement_read_pid(ctx, getpid(), &placement))
		cgm_placement_free(placement);
	if (!cgm_layout_read_pid(ctx, getpid(), 0, &layout)) {
		cgm_layout_read_marks(layout);
		cgm_layout_free(layout);
	}
	cgm_context_free(ctx);
}

static int walk_one(struct cgm_group *group, void *data)
{
	pid_t *pids;
	size_t count;

	(void)data;
	if (!cgm_group_pids(group, CGM_PIDS_SUBTREE, &pids, &count))
		free(pids);
	return 0;
}

static void groups(struct fixture *f)
{
	static const char * const paths[] = { "/", "/web", "/web/inner", "/none", "/../web" };
	struct cgm_activity activity = { .size = sizeof(activity) };
	struct cgm_freezer freezer = { .size = sizeof(freezer) };
	struct cgm_group *group;
	char unit[256];
	cgm_nodeset set;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		if (cgm_group_open(f->ctx, paths[i], &group))
			continue;
		cgm_group_walk(group, walk_one, NULL);
		cgm_group_mems(group, &set);
		cgm_group_effective_mems(group, &set);
		cgm_group_owner(group, unit, sizeof(unit));
		cgm_group_activity(group, &activity);
		cgm_group_freezer(group, &freezer);
		cgm_group_hold(group, 0);
		cgm_group_unref(group);
	}
	if (!cgm_group_open_pid(f->ctx, getpid(), &group))
		cgm_group_unref(group);
	if (!cgm_group_open_pid(f->ctx, 1, &group))
		cgm_group_unref(group);
	if (!cgm_group_open_unit(f->ctx, "none.service", &group))
		cgm_group_unref(group);
}

static void placements(struct fixture *f)
{
	static const unsigned int flags[] = {
		0, CGM_PLACEMENT_CHARGED, CGM_PLACEMENT_MAPPED,
	};
	struct cgm_placement *placement;
	struct cgm_layout *layout;

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (!cgm_placement_read(f->group, flags[i], &placement))
			cgm_placement_free(placement);
	if (!cgm_placement_read_pid(f->ctx, getpid(), &placement))
		cgm_placement_free(placement);
	if (!cgm_layout_read_pid(f->ctx, getpid(), 16, &layout)) {
		cgm_layout_read_marks(layout);
		cgm_layout_free(layout);
	}
}

static void nodes(struct fixture *f)
{
	struct cgm_node node = { .size = sizeof(node) };

	cgm_node_read(f->ctx, 1, &node);
	cgm_node_read(f->ctx, 9, &node);
	cgm_node_huge_free(f->ctx, 1, 2 * MIB);
}

static void run(struct fixture *f, const struct cgm_move *move, int finish)
{
	struct cgm_plan *plan;
	struct cgm_job *job = NULL;

	if (cgm_plan_new(f->ctx, &plan))
		return;
	if (!cgm_plan_add(plan, move) && !cgm_plan_check(plan))
		cgm_job_start(plan, NULL, &job);
	if (job && finish) {
		cgm_job_cancel(job);
		cgm_job_wait(job, 1000);
	}
	cgm_job_free(job);
	cgm_plan_free(plan);
}

/* Jobs that end, and such as are freed while they run; one cgroup changes to and fro. */
static void jobs(struct fixture *f)
{
	static const char * const mems[] = { "2-3", "0-1", "1-2", "0-1" };
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_MEMS,
				 .group = f->group };

	for (int i = 0; i < 4; i++) {
		move.cache = i < 2 ? CGM_CACHE_MOVE : CGM_CACHE_DROP;
		cgm_nodeset_parse(mems[i], &move.to);
		run(f, &move, i & 1);
	}
	move.action = CGM_ACTION_SETTLE;
	cgm_nodeset_clear(&move.to);
	run(f, &move, 1);
}

static void attach(struct fixture *f)
{
	pid_t pid = getpid();
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_ATTACH,
				 .pids = &pid, .pid_count = 1 };

	if (cgm_group_open(f->ctx, "/db", &move.group))
		return;
	run(f, &move, 1);
	cgm_group_unref(move.group);
}

static void schedules(struct fixture *f)
{
	struct cgm_schedule *schedule;
	cgm_nodeset to;

	cgm_nodeset_parse("2-3", &to);
	if (cgm_schedule_new(f->ctx, &schedule))
		return;
	if (!cgm_schedule_add(schedule, f->group, &to))
		cgm_schedule_make(schedule);
	cgm_schedule_free(schedule);
}

static void cpus(struct fixture *f)
{
	struct cgm_cpumove *move;
	cgm_cpuset to;

	cgm_nodeset_parse("2-3", &to);
	if (!cgm_cpumove_new(f->group, &to, &move)) {
		cgm_cpumove_look(move);
		cgm_cpumove_free(move);
	}
	cgm_nodeset_parse("77", &to);
	if (!cgm_cpumove_new(f->group, &to, &move))
		cgm_cpumove_free(move);
}

/* ---- */

static void make_cgroup(struct fixture *f, const char *path, const char *mems, const char *pids)
{
	tree_cgroup(&f->tree, path, mems, anon);
	tree_write(&f->tree, pids, "sys/fs/cgroup%s/cgroup.procs", path);
	tree_write(&f->tree, "0-1\n", "sys/fs/cgroup%s/cpuset.cpus", path);
	tree_write(&f->tree, "0-1\n", "sys/fs/cgroup%s/cpuset.cpus.effective", path);
	tree_write(&f->tree, "0\n", "sys/fs/cgroup%s/cgroup.freeze", path);
	tree_write(&f->tree, "", "sys/fs/cgroup%s/memory.reclaim", path);
	tree_write(&f->tree, "max\n", "sys/fs/cgroup%s/cpuset.mems.migrate.max", path);
	tree_write(&f->tree, "0\n", "sys/fs/cgroup%s/cpuset.mems.migrate.hold", path);
	tree_write(&f->tree, "", "sys/fs/cgroup%s/cpuset.mems.migrate.stop", path);
	tree_write(&f->tree, "", "sys/fs/cgroup%s/cpuset.mems.migrate.settle", path);
	tree_write(&f->tree, "move\n", "sys/fs/cgroup%s/cpuset.mems.migrate.cache", path);
	tree_write(&f->tree, "migrate_pending 0\nmigrate_held 0\n",
		   "sys/fs/cgroup%s/cpuset.mems.stat", path);
	tree_write(&f->tree, "migrate_stopped 0\n",
		   "sys/fs/cgroup%s/cpuset.mems.events", path);
}

/* It has this process's number, so that it lives. */
static void make_process(struct fixture *f)
{
	char status[512];
	int pid = getpid();

	snprintf(status, sizeof(status),
		 "Name:\tone\nTgid:\t%d\nUid:\t0\t0\t0\t0\nRssAnon:\t    1024 kB\n"
		 "Cpus_allowed_list:\t0\nMems_allowed_list:\t0-3\n", pid);
	tree_write(&f->tree, status, "proc/%d/status", pid);
	tree_write(&f->tree, "0::/web\n", "proc/%d/cgroup", pid);
	tree_write(&f->tree, "0::/web\n", "proc/%d/task/%d/cgroup", pid, pid);
	tree_write(&f->tree, "one\n", "proc/%d/comm", pid);
	tree_write(&f->tree, "7f0000000000 default anon=256 N0=256 kernelpagesize_kB=4\n",
		   "proc/%d/numa_maps", pid);
	tree_write(&f->tree, "7f0000000000-7f0040000000 rw-p 00000000 00:00 0\n",
		   "proc/%d/maps", pid);
	tree_write(&f->tree, "", "proc/%d/pagemap", pid);
}

static struct fixture *make(int engine)
{
	struct fixture *f = fixture_new(engine);
	char pid[16];

	snprintf(pid, sizeof(pid), "%d\n", getpid());
	make_cgroup(f, "/web", "0-1", pid);
	make_cgroup(f, "/web/inner", "0", "");
	make_cgroup(f, "/db", "2-3", "");
	tree_write(&f->tree, "0-3\n", "sys/fs/cgroup/cpuset.cpus.effective");
	make_process(f);
	fixture_open(f);
	return f;
}

static int setup_stock(void **state)
{
	*state = make(0);
	return 0;
}

static int setup_engine(void **state)
{
	*state = make(1);
	return 0;
}

/* With all descriptors, and with so few that each place at which one is opened fails. */
static void nothing_is_left(void **state)
{
	static void (*const all[])(struct fixture *f) = {
		context, own_context, groups, placements, nodes, jobs, attach, schedules, cpus,
	};
	struct fixture *f = *state;
	struct rlimit whole, few;
	int free_fd = next_free(), before = count_open();

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &whole), 0);
	few = whole;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		all[i](f);
		assert_int_equal(count_open(), before);
		for (int some = 0; some < 16; some++) {
			few.rlim_cur = free_fd + some;
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
			all[i](f);
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &whole), 0);
			assert_int_equal(count_open(), before);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_left, setup_stock, fixture_end),
		cmocka_unit_test_setup_teardown(nothing_is_left, setup_engine, fixture_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
