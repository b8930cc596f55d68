// SPDX-License-Identifier: GPL-2.0
/* Telling moves that are under way, with the test in the place of the kernel. */
#include "fixture.h"

#include <errno.h>
#include <string.h>

static const uint64_t nothing[4];

#define FILES "sys/fs/cgroup/web/cpuset.mems."

static int setup(void **state)
{
	struct fixture *f = fixture_new(1);

	tree_cgroup(&f->tree, "/web", "0-1", nothing);
	tree_write(&f->tree, "migrate_pending 3\nmigrate_held 2\n", FILES "stat");
	tree_write(&f->tree, "1048576\n", FILES "migrate.max");
	tree_write(&f->tree, "0\n", FILES "migrate.hold");
	tree_write(&f->tree, "", FILES "migrate.stop");
	fixture_open(f);
	*state = f;
	return 0;
}

static void assert_error(struct fixture *f, const char *words)
{
	assert_non_null(strstr(cgm_context_error(f->ctx), words));
}

static void looks(void **state)
{
	struct fixture *f = *state;
	struct cgm_activity a = { .size = sizeof(a) };

	assert_int_equal(cgm_group_activity(f->group, &a), 0);
	assert_int_equal(a.engine, 1);
	assert_int_equal(a.pending, 3);
	assert_int_equal(a.held, 2);
	assert_int_equal(a.hold, 0);
	assert_int_equal(a.rate, 1048576);
	tree_write(&f->tree, "max\n", FILES "migrate.max");
	tree_write(&f->tree, "1\n", FILES "migrate.hold");
	assert_int_equal(cgm_group_activity(f->group, &a), 0);
	assert_int_equal(a.hold, 1);
	assert_true(a.rate == CGM_RATE_MAX);
	a.size = 8;
	assert_int_equal(cgm_group_activity(f->group, &a), -EINVAL);
}

static void does_not_understand(void **state)
{
	static const char * const rates[] = { "", "fast\n", "12x\n", "99999999999999999999\n" };
	struct fixture *f = *state;
	struct cgm_activity a = { .size = sizeof(a) };

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		tree_write(&f->tree, rates[i], FILES "migrate.max");
		assert_int_equal(cgm_group_activity(f->group, &a), -EINVAL);
		assert_error(f, "/web/cpuset.mems.migrate.max: neither \"max\" nor a number");
	}
	tree_write(&f->tree, "gibberish\n", FILES "stat");
	assert_int_equal(cgm_group_activity(f->group, &a), -EINVAL);
}

static void tells(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cgm_group_hold(f->group, 1), 0);
	assert_file(f, FILES "migrate.hold", "1");
	assert_int_equal(cgm_group_hold(f->group, 0), 0);
	assert_file(f, FILES "migrate.hold", "0");
	assert_int_equal(cgm_group_stop(f->group), 0);
	assert_file(f, FILES "migrate.stop", "1");
	assert_int_equal(cgm_group_set_rate(f->group, 5 * MIB), 0);
	assert_file(f, FILES "migrate.max", "5242880");
	assert_int_equal(cgm_group_set_rate(f->group, 0), 0);
	assert_file(f, FILES "migrate.max", "0");
	assert_int_equal(cgm_group_set_rate(f->group, CGM_RATE_MAX), 0);
	assert_file(f, FILES "migrate.max", "max");
}

static void has_nobody_to_tell(void **state)
{
	struct fixture *f = *state;
	struct cgm_activity a = { .size = sizeof(a) };
	struct cgm_group *group;

	assert_int_equal(cgm_group_open(f->ctx, "/", &group), 0);
	assert_int_equal(cgm_group_hold(group, 1), -EINVAL);
	assert_error(f, "/: the root cgroup has no settings");
	cgm_group_unref(group);

	tree_write(&f->tree, "", "sys/fs/cgroup/idle/cgroup.procs");
	assert_int_equal(cgm_group_open(f->ctx, "/idle", &group), 0);
	assert_int_equal(cgm_group_stop(group), -EINVAL);
	assert_error(f, "/idle: has no cpuset");
	cgm_group_unref(group);

	tree_cgroup(&f->tree, "/stock", "0", nothing);
	assert_int_equal(cgm_group_open(f->ctx, "/stock", &group), 0);
	assert_int_equal(cgm_group_set_rate(group, 1), -EOPNOTSUPP);
	assert_error(f, "/stock: this kernel has no migration engine");
	assert_int_equal(cgm_group_activity(group, &a), 0);
	assert_int_equal(a.engine, 0);
	assert_true(a.rate == CGM_RATE_MAX);
	cgm_group_unref(group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(looks, setup, fixture_end),
		cmocka_unit_test_setup_teardown(does_not_understand, setup, fixture_end),
		cmocka_unit_test_setup_teardown(tells, setup, fixture_end),
		cmocka_unit_test_setup_teardown(has_nobody_to_tell, setup, fixture_end),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
