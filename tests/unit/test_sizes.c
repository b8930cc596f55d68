// SPDX-License-Identifier: GPL-2.0
/* Structs that begin with their size: programs that are older, or newer, than we. */
#include "fixture.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "private.h"

static const uint64_t anon[4] = { 4 * MIB };

/* A plan of one move; the test is the kernel, which does nothing. */
static int setup(void **state)
{
	struct fixture *f = fixture_new(1);

	tree_cgroup(&f->tree, "/web", "0", anon);
	tree_write(&f->tree, "migrate_pending 1\nmigrate_held 0\n",
		   "sys/fs/cgroup/web/cpuset.mems.stat");
	tree_write(&f->tree, "migrate_stopped 0\n", "sys/fs/cgroup/web/cpuset.mems.events");
	tree_write(&f->tree, "max\n", "sys/fs/cgroup/web/cpuset.mems.migrate.max");
	tree_write(&f->tree, "0\n", "sys/fs/cgroup/web/cpuset.mems.migrate.hold");
	fixture_open(f);
	fixture_plan(f, "2");
	assert_int_equal(cgm_plan_check(f->plan), 0);
	*state = f;
	return 0;
}

typedef int (*fill_fn)(struct fixture *f, void *out);

static int fill_item(struct fixture *f, void *out)
{
	return cgm_plan_item(f->plan, 0, out);
}

static int fill_map(struct fixture *f, void *out)
{
	return cgm_plan_map(f->plan, 0, out);
}

static int fill_node(struct fixture *f, void *out)
{
	return cgm_plan_node(f->plan, 2, out);
}

static int fill_activity(struct fixture *f, void *out)
{
	return cgm_group_activity(f->group, out);
}

static const struct known {
	fill_fn fill;
	size_t size;	/* of the struct */
	size_t part;	/* what an older one may have had */
} known[] = {
	{ fill_item, sizeof(struct cgm_plan_item), offsetof(struct cgm_plan_item, bytes) },
	{ fill_map, sizeof(struct cgm_plan_map), offsetof(struct cgm_plan_map, only) },
	{ fill_node, sizeof(struct cgm_plan_node), offsetof(struct cgm_plan_node, low) },
	{ fill_activity, sizeof(struct cgm_activity), offsetof(struct cgm_activity, rate) },
};

#define UNTOUCHED 0xa5

/* Fill a struct of a program whose struct has this size. */
static void fill(struct fixture *f, const struct known *k, size_t size, unsigned char *out,
		 size_t room)
{
	memset(out, UNTOUCHED, room);
	memcpy(out, &size, sizeof(size));
	assert_int_equal(k->fill(f, out), 0);
	assert_memory_equal(out, &size, sizeof(size));
}

static void assert_untouched(const unsigned char *from, const unsigned char *end)
{
	for (; from < end; from++)
		assert_int_equal(*from, UNTOUCHED);
}

static void older_programs(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const struct known *k = &known[i];
		unsigned char full[1024], part[1024];

		assert_true(k->size < sizeof(full) && k->part > sizeof(size_t));
		fill(f, k, k->size, full, sizeof(full));
		assert_untouched(full + k->size, full + sizeof(full));
		fill(f, k, k->part, part, sizeof(part));
		assert_memory_equal(part + sizeof(size_t), full + sizeof(size_t),
				    k->part - sizeof(size_t));
		assert_untouched(part + k->part, part + sizeof(part));
	}
}

static void newer_programs(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		unsigned char out[1024];

		fill(f, &known[i], known[i].size + 64, out, sizeof(out));
		assert_untouched(out + known[i].size, out + sizeof(out));
	}
}

static void no_struct_at_all(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		for (size_t size = 0; size <= sizeof(size); size++) {
			unsigned char out[1024];

			memset(out, UNTOUCHED, sizeof(out));
			memcpy(out, &size, sizeof(size));
			assert_int_equal(known[i].fill(f, out), -EINVAL);
			assert_untouched(out + sizeof(size), out + sizeof(out));
		}
}

static void options_and_progress(void **state)
{
	struct fixture *f = *state;
	struct cgm_job_options options = {
		.size = offsetof(struct cgm_job_options, rate), .rate = 1,
	};
	struct cgm_progress p = {
		.size = offsetof(struct cgm_progress, stayed), .stayed = 7, .held = 7,
	};

	assert_int_equal(cgm_job_start(f->plan, &options, &f->job), 0);
	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	assert_int_equal(p.state, CGM_STATE_RUNNING);
	assert_int_equal(p.total, 4 * MIB);
	assert_true(p.stayed == 7 && p.held == 7);
	p.size = sizeof(p.size);
	assert_int_equal(cgm_job_progress(f->job, &p), -EINVAL);
}

static void short_options(void **state)
{
	struct fixture *f = *state;
	struct cgm_job_options options = { .size = sizeof(options.size) };

	assert_int_equal(cgm_job_start(f->plan, &options, &f->job), -EINVAL);
	assert_null(f->job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(older_programs, setup, fixture_end),
		cmocka_unit_test_setup_teardown(newer_programs, setup, fixture_end),
		cmocka_unit_test_setup_teardown(no_struct_at_all, setup, fixture_end),
		cmocka_unit_test_setup_teardown(options_and_progress, setup, fixture_end),
		cmocka_unit_test_setup_teardown(short_options, setup, fixture_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
