// SPDX-License-Identifier: GPL-2.0
/* Jobs on kernels without the engine, as far as their stages go: nobody has pages. */
#include "fixture.h"

#include <errno.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(waits_and_goes_on, setup, fixture_end),
		cmocka_unit_test_setup_teardown(cancelled_on_hold, setup, fixture_end),
		cmocka_unit_test_setup_teardown(after_its_end, setup, fixture_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
