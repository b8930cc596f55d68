// SPDX-License-Identifier: GPL-2.0
/* Jobs on kernels without the engine, as far as their stages go: nobody has pages. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMS "sys/fs/cgroup/web/cpuset.mems"

struct fixture {
	struct tree tree;
	struct cgm_context *ctx;
	struct cgm_group *group;
	struct cgm_plan *plan;
	struct cgm_job *job;
};

static int setup(void **state)
{
	static const uint64_t anon[4] = { 4 * MIB };
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_MEMS };
	struct fixture *f = calloc(1, sizeof(*f));

	tree_make(&f->tree);
	tree_machine(&f->tree, 0);
	tree_cgroup(&f->tree, "/web", "0", anon);
	f->ctx = tree_context(&f->tree);
	assert_int_equal(cgm_group_open(f->ctx, "/web", &f->group), 0);
	assert_int_equal(cgm_plan_new(f->ctx, &f->plan), 0);
	move.group = f->group;
	cgm_nodeset_add(&move.to, 2);
	assert_int_equal(cgm_plan_add(f->plan, &move), 0);
	assert_int_equal(cgm_job_start(f->plan, NULL, &f->job), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cgm_job_free(f->job);
	cgm_plan_free(f->plan);
	cgm_group_unref(f->group);
	cgm_context_free(f->ctx);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static void assert_mems(struct fixture *f, const char *wanted)
{
	char *text = tree_read(&f->tree, MEMS);

	assert_string_equal(text, wanted);
	free(text);
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
	assert_mems(f, "0,2");
	assert_int_equal(cgm_job_hold(f->job, 0), 0);
	assert_false(held(f));
	assert_int_equal(cgm_job_wait(f->job, 5000), 0);
	assert_mems(f, "2");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(waits_and_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled_on_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(after_its_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
