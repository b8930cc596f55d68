// SPDX-License-Identifier: GPL-2.0
/* What a node has, and how far it is from others. */
#include "fixture.h"

#include <errno.h>

static int setup(void **state)
{
	struct fixture *f = fixture_new(0);

	f->ctx = tree_context(&f->tree);
	*state = f;
	return 0;
}

static void memory(void **state)
{
	struct fixture *f = *state;
	struct cgm_node node = { .size = sizeof(node) };

	assert_int_equal(cgm_node_read(f->ctx, 3, &node), 0);
	assert_int_equal(node.total, 1024 * MIB);
	assert_int_equal(node.free, 512 * MIB);
	assert_int_equal(node.low, 8 * MIB);
	assert_int_equal(node.reclaimable, 31 * MIB);
	assert_int_equal(cgm_node_read(f->ctx, 4, &node), -ENOENT);
	assert_string_equal(cgm_context_error(f->ctx),
			    "cannot read /sys/devices/system/node/node4/meminfo: No such file or directory");
	node.size = 8;
	assert_int_equal(cgm_node_read(f->ctx, 0, &node), -EINVAL);
}

static void distance(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cgm_node_distance(f->ctx, 2, 2), 10);
	assert_int_equal(cgm_node_distance(f->ctx, 2, 0), 22);
	assert_int_equal(cgm_node_distance(f->ctx, 0, 4), -ENOENT);
	assert_int_equal(cgm_node_distance(f->ctx, 9, 0), -ENOENT);
	/* what is no distance is not told as one, nor as an error's number */
	tree_write(&f->tree, "-2 4294967306 10 20\n",
		   "sys/devices/system/node/node2/distance");
	assert_int_equal(cgm_node_distance(f->ctx, 2, 0), -ENOENT);
	assert_int_equal(cgm_node_distance(f->ctx, 2, 1), -ENOENT);
	assert_int_equal(cgm_node_distance(f->ctx, 2, 2), 10);
}

static void huge_pages(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "7\n",
		   "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages");
	assert_int_equal(cgm_node_huge_free(f->ctx, 1, 2 * MIB), 7);
	assert_int_equal(cgm_node_huge_free(f->ctx, 1, 1024 * MIB), 0);
	assert_int_equal(cgm_node_huge_free(f->ctx, 2, 2 * MIB), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory, setup, fixture_end),
		cmocka_unit_test_setup_teardown(distance, setup, fixture_end),
		cmocka_unit_test_setup_teardown(huge_pages, setup, fixture_end),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
