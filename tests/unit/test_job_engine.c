// SPDX-License-Identifier: GPL-2.0
/* The engine's backend, with the test in the place of the kernel. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../libcgroup-plugin/plugin/limited.c" // NOLINT(bugprone-suspicious-include)

static const uint64_t before[4] = { 100 * MIB, 60 * MIB, 0, 0 };
static const uint64_t after[4] = { 0, 0, 100 * MIB, 60 * MIB };

#define PAGES(bytes) ((unsigned long)((bytes) / 4096))

/* What the kernel would write into its files. */
static void kernel_says(struct fixture *f, int pending, unsigned long moved,
			unsigned long nomem, unsigned long left, int stopped)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "migrate_pending %d\nmigrate_held 0\nmigrate_total 1\n"
		 "migrate_scanned %lu\nmigrate_moved %lu\nmigrate_moved_thp 0\n"
		 "migrate_inplace 0\nmigrate_fail_nomem %lu\nmigrate_left %lu\n"
		 "migrate_chunk_max_usec %d\n",
		 pending, 1000 + moved + nomem, 1000 + moved, nomem, left,
		 moved ? 1800 : 0);
	tree_write(&f->tree, text, "sys/fs/cgroup/web/cpuset.mems.stat");
	snprintf(text, sizeof(text), "migrate_start 1\nmigrate_done %d\nmigrate_stopped %d\n",
		 !pending && !stopped, stopped);
	tree_write(&f->tree, text, "sys/fs/cgroup/web/cpuset.mems.events");
}

static int setup(void **state)
{
	struct fixture *f = fixture_new(1);

	tree_cgroup(&f->tree, "/web", "0-1", before);
	tree_write(&f->tree, "max\n", "sys/fs/cgroup/web/cpuset.mems.migrate.max");
	tree_write(&f->tree, "", "sys/fs/cgroup/web/cpuset.mems.migrate.stop");
	tree_write(&f->tree, "", "sys/fs/cgroup/web/cpuset.mems.migrate.settle");
	kernel_says(f, 0, 0, 0, 0, 0);
	fixture_open(f);
	*state = f;
	return 0;
}

static void start(struct fixture *f, const char *to, uint64_t rate)
{
	struct cgm_job_options options = { .size = sizeof(options), .rate = rate };

	fixture_plan(f, to);
	assert_int_equal(cgm_job_start(f->plan, &options, &f->job), 0);
}

static enum cgm_state end(struct fixture *f)
{
	struct cgm_progress p = { .size = sizeof(p) };

	assert_int_equal(cgm_job_wait(f->job, 5000), 0);
	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	return p.state;
}

static void plan_is_right(void **state)
{
	struct fixture *f = *state;
	struct cgm_plan_item item = { .size = sizeof(item) };
	struct cgm_plan_node node = { .size = sizeof(node) };

	start(f, "2-3", 0);
	assert_int_equal(cgm_plan_item(f->plan, 0, &item), 0);
	assert_int_equal(item.backend, CGM_BACKEND_ENGINE_V2);
	assert_int_equal(item.bytes, 160 * MIB);
	assert_int_equal(cgm_plan_bytes(f->plan, 0, 0, 2), 100 * MIB);
	assert_int_equal(cgm_plan_bytes(f->plan, 0, 1, 3), 60 * MIB);
	assert_int_equal(cgm_plan_bytes(f->plan, 0, 0, 3), 0);
	assert_int_equal(cgm_plan_node(f->plan, 2, &node), 0);
	assert_int_equal(node.free, 512 * MIB);
	assert_int_equal(node.low, 2048 * 4096);
	assert_int_equal(node.reclaimable, 31 * MIB);
}

static void moves_all(void **state)
{
	struct fixture *f = *state;
	struct cgm_progress p = { .size = sizeof(p) };
	struct cgm_row row = { .size = sizeof(row) };
	const struct cgm_result *result;

	start(f, "2-3", 0);
	assert_file(f, "sys/fs/cgroup/web/cpuset.mems", "2-3");
	kernel_says(f, 1, PAGES(40 * MIB), 0, 0, 0);
	assert_int_equal(cgm_job_dispatch(f->job), 1);
	assert_null(cgm_job_result(f->job));
	cgm_job_progress(f->job, &p);
	assert_int_equal(p.state, CGM_STATE_RUNNING);
	assert_int_equal(p.moved, 40 * MIB);
	assert_int_equal(p.total, 160 * MIB);

	tree_anon(&f->tree, "/web", after);
	kernel_says(f, 0, PAGES(160 * MIB), 0, 0, 0);
	assert_int_equal(end(f), CGM_STATE_DONE);
	result = cgm_job_result(f->job);
	assert_int_equal(cgm_result_total(result, CGM_MOVED), 160 * MIB);
	assert_int_equal(cgm_result_row(result, 0, &row), 0);
	assert_int_equal(row.from, 0);
	assert_int_equal(row.to, 2);
	assert_int_equal(row.bytes, 100 * MIB);
	assert_int_equal(cgm_result_row(result, 1, &row), 0);
	assert_int_equal(row.bytes, 60 * MIB);
	cgm_job_progress(f->job, &p);
	assert_int_equal(p.max_batch_usec, 1800);
}

static void partial_tells_where(void **state)
{
	struct fixture *f = *state;
	static const uint64_t stuck[4] = { 0, 10 * MIB, 100 * MIB, 50 * MIB };
	struct cgm_row row = { .size = sizeof(row) };

	start(f, "2-3", 0);
	tree_write(&f->tree, "2-3\n", "sys/fs/cgroup/web/cpuset.mems.effective");
	tree_anon(&f->tree, "/web", stuck);
	kernel_says(f, 0, PAGES(150 * MIB), PAGES(10 * MIB), 0, 0);
	assert_int_equal(end(f), CGM_STATE_PARTIAL);
	assert_int_equal(cgm_result_row(cgm_job_result(f->job), 2, &row), 0);
	assert_int_equal(row.reason, CGM_FAIL_NOMEM);
	assert_int_equal(row.from, 1);
	assert_int_equal(row.kind, CGM_KIND_ANON);
	assert_int_equal(row.bytes, 10 * MIB);
	assert_int_equal(row.flags, 0);
	assert_int_equal(cgm_placement_stray(cgm_result_after(cgm_job_result(f->job), 0)),
			 10 * MIB);
}

static void cancel_stops(void **state)
{
	struct fixture *f = *state;

	start(f, "2-3", 0);
	kernel_says(f, 1, PAGES(MIB), 0, 0, 0);
	assert_int_equal(cgm_job_dispatch(f->job), 1);
	assert_int_equal(cgm_job_cancel(f->job), 0);
	assert_file(f, "sys/fs/cgroup/web/cpuset.mems.migrate.stop", "1");
	kernel_says(f, 0, PAGES(MIB), 0, PAGES(159 * MIB), 1);
	assert_int_equal(end(f), CGM_STATE_CANCELLED);
	assert_int_equal(cgm_result_total(cgm_job_result(f->job), CGM_LEFT), 159 * MIB);
}

static void cancel_too_late_is_done(void **state)
{
	struct fixture *f = *state;

	start(f, "2-3", 0);
	cgm_job_cancel(f->job);
	kernel_says(f, 0, PAGES(160 * MIB), 0, 0, 0);
	assert_int_equal(end(f), CGM_STATE_DONE);
}

static void somebody_else_stops(void **state)
{
	struct fixture *f = *state;

	start(f, "2-3", 0);
	kernel_says(f, 0, PAGES(MIB), 0, PAGES(MIB), 1);
	assert_int_equal(end(f), CGM_STATE_CANCELLED);
}

/* What is pending is counted before what has ended. */
static void its_end_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct cgm_progress p = { .size = sizeof(p) };

	start(f, "2-3", 0);
	kernel_says(f, 0, PAGES(MIB), 0, PAGES(MIB), 0);
	tree_write(&f->tree, "migrate_start 1\nmigrate_done 0\nmigrate_stopped 0\n",
		   "sys/fs/cgroup/web/cpuset.mems.events");
	assert_int_equal(cgm_job_dispatch(f->job), 1);
	cgm_job_progress(f->job, &p);
	assert_int_equal(p.state, CGM_STATE_RUNNING);
	kernel_says(f, 0, PAGES(MIB), 0, PAGES(MIB), 1);
	assert_int_equal(end(f), CGM_STATE_CANCELLED);
}

static void superseded_is_told(void **state)
{
	struct fixture *f = *state;

	start(f, "2-3", 0);
	tree_write(&f->tree, "3", "sys/fs/cgroup/web/cpuset.mems");
	kernel_says(f, 0, PAGES(160 * MIB), 0, 0, 0);
	assert_int_equal(end(f), CGM_STATE_SUPERSEDED);
}

static void rate_is_put_back(void **state)
{
	struct fixture *f = *state;

	start(f, "2-3", 50 * MIB);
	assert_file(f, "sys/fs/cgroup/web/cpuset.mems.migrate.max", "52428800");
	kernel_says(f, 0, PAGES(160 * MIB), 0, 0, 0);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_file(f, "sys/fs/cgroup/web/cpuset.mems.migrate.max", "max");
}

static const char max_file[] = "sys/fs/cgroup/web/cpuset.mems.migrate.max";

static void rate_is_put_back_if_nobody_waits(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "104857600\n", max_file);
	start(f, "2-3", 50 * MIB);
	assert_file(f, max_file, "52428800");
	kernel_says(f, 1, 0, 0, 0, 0);
	assert_int_equal(cgm_job_dispatch(f->job), 1);
	cgm_job_free(f->job);
	f->job = NULL;
	assert_file(f, max_file, "104857600");
}

static void rate_is_put_back_if_it_does_not_start(void **state)
{
	struct fixture *f = *state;
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_MEMS,
				 .group = f->group };
	struct cgm_job_options options = { .size = sizeof(options), .rate = MIB };
	char path[256];

	assert_int_equal(cgm_nodeset_parse("2-3", &move.to), 0);
	assert_int_equal(cgm_plan_new(f->ctx, &f->plan), 0);
	assert_int_equal(cgm_plan_add(f->plan, &move), 0);
	snprintf(path, sizeof(path), "%s/sys/fs/cgroup/web/cpuset.mems", f->tree.dir);
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(cgm_job_start(f->plan, &options, &f->job), -EISDIR);
	assert_non_null(strstr(cgm_context_error(f->ctx), "/web/cpuset.mems"));
	assert_file(f, max_file, "max");
}

static void lower_limit_is_kept(void **state)
{
	static const char * const limits[] = { "0", "1048576", "52428800" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		tree_write(&f->tree, limits[i], max_file);
		tree_write(&f->tree, "0-1", "sys/fs/cgroup/web/cpuset.mems");
		kernel_says(f, 0, 0, 0, 0, 0);
		start(f, "2-3", 50 * MIB);
		assert_file(f, max_file, limits[i]);
		kernel_says(f, 0, PAGES(160 * MIB), 0, 0, 0);
		assert_int_equal(end(f), CGM_STATE_DONE);
		assert_file(f, max_file, limits[i]);
		assert_non_null(strstr(cgm_result_note(cgm_job_result(f->job), 0),
				       "keeps it"));
		cgm_job_free(f->job);
		cgm_plan_free(f->plan);
	}
	f->job = NULL;
	f->plan = NULL;
}

static void limit_of_others_stays(void **state)
{
	struct fixture *f = *state;

	start(f, "2-3", 50 * MIB);
	tree_write(&f->tree, "7340032\n", max_file);
	kernel_says(f, 0, PAGES(160 * MIB), 0, 0, 0);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_file(f, max_file, "7340032\n");
	assert_non_null(strstr(cgm_result_note(cgm_job_result(f->job), 0), "which stays"));
}

static void another_move_is_noted(void **state)
{
	struct fixture *f = *state;

	kernel_says(f, 1, 0, 0, 0, 0);
	start(f, "2-3", 0);
	kernel_says(f, 0, PAGES(160 * MIB), 0, 0, 0);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_non_null(strstr(cgm_result_note(cgm_job_result(f->job), 0), "another move"));
}

static void split_pages_are_noted(void **state)
{
	struct fixture *f = *state;
	static const char stat[] = "sys/fs/cgroup/web/cpuset.mems.stat";

	tree_write(&f->tree, "migrate_pending 0\nmigrate_split 5\n", stat);
	start(f, "2-3", 0);
	tree_write(&f->tree, "migrate_pending 0\nmigrate_split 8\n", stat);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_string_equal(cgm_result_note(cgm_job_result(f->job), 0),
			    "/web: 3 huge pages were split for want of huge pages on the new nodes");
	assert_null(cgm_result_note(cgm_job_result(f->job), 1));
}

static void waiting_ends(void **state)
{
	struct fixture *f = *state;

	start(f, "2-3", 0);
	kernel_says(f, 1, 0, 0, 0, 0);
	assert_int_equal(cgm_job_wait(f->job, 20), -ETIMEDOUT);
	assert_null(cgm_job_result(f->job));
}

static void settle_brings_strays_in(void **state)
{
	struct fixture *f = *state;
	static const uint64_t strays[4] = { 0, 60 * MIB, 0, 8 * MIB };
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_SETTLE,
				 .group = f->group };
	struct cgm_plan_item item = { .size = sizeof(item) };

	tree_anon(&f->tree, "/web", strays);
	assert_int_equal(cgm_plan_new(f->ctx, &f->plan), 0);
	assert_int_equal(cgm_plan_add(f->plan, &move), 0);
	assert_int_equal(cgm_plan_item(f->plan, 0, &item), 0);
	assert_int_equal(item.bytes, 8 * MIB);
	assert_int_equal(item.stray, 8 * MIB);
	assert_int_equal(cgm_job_start(f->plan, NULL, &f->job), 0);
	assert_file(f, "sys/fs/cgroup/web/cpuset.mems.migrate.settle", "1");
	assert_file(f, "sys/fs/cgroup/web/cpuset.mems", "0-1");
	kernel_says(f, 0, PAGES(8 * MIB), 0, 0, 0);
	assert_int_equal(end(f), CGM_STATE_DONE);
}

static void group_gone_fails(void **state)
{
	struct fixture *f = *state;
	char path[256];

	start(f, "2-3", 0);
	snprintf(path, sizeof(path), "%s/sys/fs/cgroup/web/cpuset.mems.stat", f->tree.dir);
	assert_int_equal(remove(path), 0);
	assert_int_equal(end(f), CGM_STATE_FAILED);
}

#define HOLD "sys/fs/cgroup/web/cpuset.mems.migrate.hold"
#define MAX "sys/fs/cgroup/web/cpuset.mems.migrate.max"

static void waits_and_goes_on(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "0\n", HOLD);
	start(f, "2-3", 0);
	kernel_says(f, 1, 0, 0, 0, 0);
	assert_int_equal(cgm_job_hold(f->job, 1), 0);
	assert_file(f, HOLD, "1");
	assert_int_equal(cgm_job_hold(f->job, 0), 0);
	assert_file(f, HOLD, "0");
	assert_int_equal(cgm_job_hold(f->job, 1), 0);
	cgm_job_free(f->job);
	f->job = NULL;
	assert_file(f, HOLD, "0");
}

static void hold_of_others_stays(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "1\n", HOLD);
	start(f, "2-3", 0);
	kernel_says(f, 1, 0, 0, 0, 0);
	assert_int_equal(cgm_job_hold(f->job, 1), 0);
	assert_int_equal(cgm_job_hold(f->job, 0), 0);
	assert_file(f, HOLD, "1\n");
}

static void rate_can_be_changed(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "max\n", MAX);
	tree_write(&f->tree, "0\n", HOLD);
	start(f, "2-3", 8 * MIB);
	kernel_says(f, 1, 0, 0, 0, 0);
	assert_file(f, MAX, "8388608");
	assert_int_equal(cgm_job_set_rate(f->job, 2 * MIB), 0);
	assert_file(f, MAX, "2097152");
	assert_int_equal(cgm_job_set_rate(f->job, 16 * MIB), 0);
	assert_file(f, MAX, "16777216");
	assert_int_equal(cgm_job_set_rate(f->job, 0), 0);
	assert_file(f, MAX, "max");
	assert_int_equal(cgm_job_set_rate(f->job, 2 * MIB), 0);
	kernel_says(f, 0, PAGES(160 * MIB), 0, 0, 0);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_file(f, MAX, "max");
}

/* ---- a tool that is ended ---- */

#define RATE_FILE "sys/fs/cgroup/web/cpuset.mems.migrate.max"

static struct fixture *of_handler;

/* What a tool of libcgroup does: the limit is there no more. */
static void handler(int number)
{
	(void)number;
	assert_file(of_handler, RATE_FILE, "max");
	kernel_says(of_handler, 0, PAGES(160 * MIB), 0, 0, 0);
}

static void starts_limited(struct fixture *f, sigset_t *held)
{
	limited_begin(held);
	start(f, "2-3", 1000);
	kernel_says(f, 1, 0, 0, 0, 0);
	assert_file(f, RATE_FILE, "1000");
}

static void ended_by_a_signal(void **state)
{
	struct fixture *f = *state;
	pid_t child = fork();
	sigset_t held;
	int status;

	if (!child) {
		alarm(20);
		starts_limited(f, &held);
		raise(SIGTERM);
		limited_wait(f->job, 1000, &held);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_file(f, RATE_FILE, "max");
}

static void ignores_a_signal(void **state)
{
	const struct sigaction action = { .sa_handler = handler };
	struct fixture *f = *state;
	sigset_t held;

	signal(SIGHUP, SIG_IGN);
	sigaction(SIGINT, &action, NULL);
	of_handler = f;
	starts_limited(f, &held);
	assert_false(sigismember(&held, SIGHUP));
	raise(SIGHUP);
	raise(SIGINT);
	limited_wait(f->job, 1000, &held);
	limited_end(&held);
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_file(f, RATE_FILE, "max");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_end)
	const struct CMUnitTest tests[] = {
		TEST(plan_is_right),
		TEST(moves_all),
		TEST(partial_tells_where),
		TEST(cancel_stops),
		TEST(cancel_too_late_is_done),
		TEST(somebody_else_stops),
		TEST(its_end_is_waited_for),
		TEST(superseded_is_told),
		TEST(rate_is_put_back),
		TEST(rate_is_put_back_if_nobody_waits),
		TEST(rate_is_put_back_if_it_does_not_start),
		TEST(lower_limit_is_kept),
		TEST(limit_of_others_stays),
		TEST(another_move_is_noted),
		TEST(split_pages_are_noted),
		TEST(waiting_ends),
		TEST(settle_brings_strays_in),
		TEST(group_gone_fails),
		TEST(waits_and_goes_on),
		TEST(hold_of_others_stays),
		TEST(rate_can_be_changed),
		cmocka_unit_test_setup_teardown(ended_by_a_signal, setup, fixture_end),
		cmocka_unit_test_setup_teardown(ignores_a_signal, setup, fixture_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
