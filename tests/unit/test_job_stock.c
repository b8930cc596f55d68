// SPDX-License-Identifier: GPL-2.0
/* Jobs on kernels without the engine, as far as their stages go: nobody has pages. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "group.h"

#define MEMS "sys/fs/cgroup/web/cpuset.mems"

static int setup(void **state)
{
	static const uint64_t anon[4] = { 4 * MIB };
	struct fixture *f = fixture_new(0);

	tree_cgroup(&f->tree, "/web", "0", anon);
	fixture_open(f);
	fixture_plan(f, "2");
	assert_int_equal(cgm_job_start(f->plan, NULL, &f->job), 0);
	*state = f;
	return 0;
}

static int held(struct fixture *f)
{
	struct cgm_progress p = { .size = sizeof(p) };

	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	return p.held;
}

static void waits_and_goes_on(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cgm_job_hold(f->job, 1), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(cgm_job_dispatch(f->job), 1);
	assert_int_equal(cgm_job_wait(f->job, 10), -ETIMEDOUT);
	assert_true(held(f));
	assert_file(f, MEMS, "0,2");
	assert_int_equal(cgm_job_hold(f->job, 0), 0);
	assert_false(held(f));
	assert_int_equal(cgm_job_wait(f->job, 5000), 0);
	assert_file(f, MEMS, "2");
}

static void cancelled_on_hold(void **state)
{
	struct fixture *f = *state;
	struct cgm_progress p = { .size = sizeof(p) };

	assert_int_equal(cgm_job_hold(f->job, 1), 0);
	assert_int_equal(cgm_job_cancel(f->job), 0);
	assert_int_equal(cgm_job_wait(f->job, 5000), 0);
	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	assert_int_equal(p.state, CGM_STATE_CANCELLED);
}

static void after_its_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cgm_job_wait(f->job, 5000), 0);
	assert_int_equal(cgm_job_hold(f->job, 1), 0);
	assert_int_equal(cgm_job_set_rate(f->job, MIB), 0);
	assert_false(held(f));
	assert_int_equal(cgm_job_dispatch(f->job), 0);
}

/* ---- processes into a cgroup ---- */

#define PROCS "sys/fs/cgroup/db/cgroup.procs"

static void write_process(const struct tree *tree, int pid)
{
	tree_write(tree, "0::/web\n", "proc/%d/cgroup", pid);
	tree_write(tree, "7f0000000000 default\n", "proc/%d/numa_maps", pid);
	tree_write(tree, "7f0000000000-7f0000001000 rw-p 00000000 00:00 0\n",
		   "proc/%d/maps", pid);
}

static void exits(const struct tree *tree, int pid)
{
	static const char *const files[] = { "cgroup", "numa_maps", "maps" };
	char path[128];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/proc/%d/%s", tree->dir, pid, files[i]);
		unlink(path);
	}
}

/* /web has processes 7, 8 and 9, /db has none; nobody really goes. */
/* What is told of it is what its context tells right afterwards. */
static void fails_at_its_end(void **state)
{
	struct fixture *f = *state;
	struct cgm_progress p = { .size = sizeof(p) };
	char path[256];
	const char *error;

	snprintf(path, sizeof(path), "%s/sys/fs/cgroup/web/cpuset.mems", f->tree.dir);
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(cgm_job_wait(f->job, 5000), 0);
	error = cgm_context_error(f->ctx);
	assert_non_null(strstr(error, "the move failed: cannot write \"2\""));
	assert_string_equal(cgm_result_note(cgm_job_result(f->job), 0), error);
	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	assert_int_equal(p.state, CGM_STATE_FAILED);
}

static int setup_processes(void **state)
{
	static const uint64_t anon[4] = { 4 * MIB };
	struct fixture *f = fixture_new(0);

	tree_cgroup(&f->tree, "/web", "0", anon);
	tree_cgroup(&f->tree, "/db", "0", anon);
	tree_write(&f->tree, "7\n8\n9\n", "sys/fs/cgroup/web/cgroup.procs");
	for (int pid = 7; pid < 10; pid++)
		write_process(&f->tree, pid);
	fixture_open(f);
	assert_int_equal(cgm_plan_new(f->ctx, &f->plan), 0);
	*state = f;
	return 0;
}

/* Plan to have so many of them go, the first first. How many the plan has. */
static size_t plan_processes(struct fixture *f, size_t count, struct cgm_group *source)
{
	static const pid_t pids[] = { 7, 8, 9 };
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_ATTACH,
				 .pids = pids, .pid_count = count, .source = source };
	struct cgm_plan_item item = { .size = sizeof(item) };

	assert_int_equal(cgm_group_open(f->ctx, "/db", &move.group), 0);
	assert_int_equal(cgm_plan_add(f->plan, &move), 0);
	cgm_group_unref(move.group);
	assert_int_equal(cgm_plan_item(f->plan, 0, &item), 0);
	assert_int_equal(item.processes, item.pid_count);
	return item.pid_count;
}

static enum cgm_state go(struct fixture *f)
{
	struct cgm_progress p = { .size = sizeof(p) };

	assert_int_equal(cgm_job_start(f->plan, NULL, &f->job), 0);
	assert_int_equal(cgm_job_wait(f->job, 5000), 0);
	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	return p.state;
}

/* A file tree keeps the last that was written. */
static void born_meanwhile(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(plan_processes(f, 2, f->group), 2);
	assert_int_equal(go(f), CGM_STATE_DONE);
	assert_file(f, PROCS, "9");
}

static void only_who_was_named(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(plan_processes(f, 2, NULL), 2);
	assert_int_equal(go(f), CGM_STATE_DONE);
	assert_file(f, PROCS, "8");
}

static void exited_before_the_plan(void **state)
{
	struct fixture *f = *state;

	exits(&f->tree, 7);
	exits(&f->tree, 9);
	assert_int_equal(plan_processes(f, 3, NULL), 1);
	assert_int_equal(go(f), CGM_STATE_DONE);
	assert_file(f, PROCS, "8");
}

static void exited_before_the_start(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(plan_processes(f, 3, NULL), 3);
	exits(&f->tree, 9);
	assert_int_equal(go(f), CGM_STATE_DONE);
	assert_file(f, PROCS, "8");
}

/* Another has its number. */
static void became_another(void **state)
{
	static const uint64_t nothing[4];
	struct fixture *f = *state;

	assert_int_equal(plan_processes(f, 3, f->group), 3);
	tree_write(&f->tree, "7\n8\n", "sys/fs/cgroup/web/cgroup.procs");
	tree_cgroup(&f->tree, "/other", "0", nothing);
	tree_write(&f->tree, "0::/other\n", "proc/9/cgroup");
	assert_int_equal(go(f), CGM_STATE_DONE);
	assert_file(f, PROCS, "8");
}

/* The same among those that were named: there when it began tells. */
static void named_became_another(void **state)
{
	struct fixture *f = *state;

	tree_start(&f->tree, 8, 1000);
	tree_start(&f->tree, 9, 1000);
	assert_int_equal(plan_processes(f, 3, NULL), 3);
	tree_start(&f->tree, 9, 1001);
	assert_int_equal(go(f), CGM_STATE_DONE);
	assert_file(f, PROCS, "8");
}

static void all_have_exited(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(plan_processes(f, 3, NULL), 3);
	for (int pid = 7; pid < 10; pid++)
		exits(&f->tree, pid);
	assert_int_equal(cgm_job_start(f->plan, NULL, &f->job), -ESRCH);
	assert_file(f, PROCS, "");
}

/* Nobody can read to which cgroup its only thread belongs, but the cgroup lists it. */
static void too_deep_for_its_path(void **state)
{
	struct fixture *f = *state;
	char name[300], path[256];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	tree_write(&f->tree, "", "proc/9/task/9/comm");
	snprintf(path, sizeof(path), "%s/proc/9/task/9/cgroup", f->tree.dir);
	assert_int_equal(symlink(name, path), 0);	/* ENAMETOOLONG, too */
	assert_true(group_has_pid(f->group, 9));
	tree_write(&f->tree, "7\n8\n", "sys/fs/cgroup/web/cgroup.procs");
	assert_false(group_has_pid(f->group, 9));
}

/* ---- a node that is not there ---- */

#define FAR_PAGE ((void *)0x10000000)

static int end_far(void **state)
{
	munmap(FAR_PAGE, TREE_PAGE);
	return fixture_end(state);
}

/* This process has one page, and is in /web; /db may use node 900 only. */
static int setup_far(void **state)
{
	static const uint64_t anon[4] = { 4 * MIB };
	struct fixture *f = fixture_new(0);
	int pid = getpid();

	tree_cgroup(&f->tree, "/web", "0", anon);
	tree_cgroup(&f->tree, "/db", "900", anon);
	assert_ptr_equal(mmap(FAR_PAGE, TREE_PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED_NOREPLACE,
			      -1, 0), FAR_PAGE);
	tree_pages(&f->tree, pid, (uintptr_t)FAR_PAGE, (uintptr_t)FAR_PAGE + TREE_PAGE);
	tree_write(&f->tree, "0::/web\n", "proc/%d/cgroup", pid);
	/* as it will be then */
	tree_write(&f->tree, "0::/db\n", "proc/%d/task/%d/cgroup", pid, pid);
	tree_write(&f->tree, "10000000 default\n", "proc/%d/numa_maps", pid);
	tree_write(&f->tree, "Name:\ttest\nMems_allowed_list:\t0-3\n", "proc/%d/status", pid);
	fixture_open(f);
	f->ctx->features.flags &= ~CGM_FEATURE_PAGEMAP_SCAN;	/* no ioctl on a file */
	assert_int_equal(cgm_plan_new(f->ctx, &f->plan), 0);
	*state = f;
	return 0;
}

/* As when it came after the nodes were counted. */
static void no_room_beyond_the_last(void **state)
{
	struct fixture *f = *state;
	struct cgm_progress p = { .size = sizeof(p) };
	pid_t pid = getpid();
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_ATTACH,
				 .pids = &pid, .pid_count = 1 };

	assert_int_equal(cgm_group_open(f->ctx, "/db", &move.group), 0);
	assert_int_equal(cgm_plan_add(f->plan, &move), 0);
	cgm_group_unref(move.group);
	assert_int_equal(go(f), CGM_STATE_PARTIAL);
	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	assert_int_equal(p.moved, 0);
	assert_int_equal(p.stayed, TREE_PAGE);
}

static void pages_to_no_memory(void **state)
{
	struct fixture *f = *state;
	char wanted[128];
	pid_t pid = getpid();
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_PAGES,
				 .pids = &pid, .pid_count = 1 };

	cgm_nodeset_add(&move.to, 900);
	assert_int_equal(cgm_plan_add(f->plan, &move), 0);
	snprintf(wanted, sizeof(wanted),
		 "%d: node 900 has no memory here; nodes with memory are 0-3", pid);
	assert_non_null(cgm_plan_refusal(f->plan, 0));
	assert_string_equal(cgm_plan_refusal(f->plan, 0), wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(waits_and_goes_on, setup, fixture_end),
		cmocka_unit_test_setup_teardown(cancelled_on_hold, setup, fixture_end),
		cmocka_unit_test_setup_teardown(after_its_end, setup, fixture_end),
		cmocka_unit_test_setup_teardown(fails_at_its_end, setup, fixture_end),
		cmocka_unit_test_setup_teardown(born_meanwhile, setup_processes,
						fixture_end),
		cmocka_unit_test_setup_teardown(only_who_was_named, setup_processes,
						fixture_end),
		cmocka_unit_test_setup_teardown(exited_before_the_plan, setup_processes,
						fixture_end),
		cmocka_unit_test_setup_teardown(exited_before_the_start, setup_processes,
						fixture_end),
		cmocka_unit_test_setup_teardown(became_another, setup_processes,
						fixture_end),
		cmocka_unit_test_setup_teardown(named_became_another, setup_processes,
						fixture_end),
		cmocka_unit_test_setup_teardown(all_have_exited, setup_processes,
						fixture_end),
		cmocka_unit_test_setup_teardown(too_deep_for_its_path, setup_processes,
						fixture_end),
		cmocka_unit_test_setup_teardown(no_room_beyond_the_last, setup_far,
						end_far),
		cmocka_unit_test_setup_teardown(pages_to_no_memory, setup_far, end_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
