// SPDX-License-Identifier: GPL-2.0
/* The pages of a process, asked for a few at a time. */
#include "fixture.h"

#include "walk.h"

#define PAGE TREE_PAGE
#define HUGE (2 * MIB)
#define COUNT 1024

static int setup(void **state)
{
	*state = fixture_new(0);
	return 0;
}

/* Walk over it. No huge page that lies where it should is split between two answers. */
static void check_walk(struct fixture *f, uint64_t start, uint64_t end, uint64_t block)
{
	static struct walk_page pages[COUNT];
	uint64_t at = start;
	struct walker w;
	int n;

	tree_pages(&f->tree, 7, start, end);
	f->ctx = tree_context(&f->tree);
	f->ctx->features.flags &= ~CGM_FEATURE_PAGEMAP_SCAN;	/* no ioctl on a file */
	assert_int_equal(walker_open(&w, f->ctx, 7, false), 0);
	while ((n = walker_next(&w, pages, COUNT)) > 0) {
		for (int i = 0; i < n; i++, at += PAGE) {
			assert_true(pages[i].addr == at);
			assert_int_equal(pages[i].size, PAGE);
		}
		assert_true(at == end || at % block == 0);
		assert_true(at == end || n > COUNT / 2);
	}
	assert_int_equal(n, 0);
	assert_true(at == end);
	walker_close(&w);
}

static void ends_between_huge_pages(void **state)
{
	check_walk(*state, HUGE, 6 * HUGE, HUGE);
}

static void begins_amid_one(void **state)
{
	check_walk(*state, HUGE + 3 * PAGE, 6 * HUGE + PAGE, HUGE);
}

/* Half of what is asked for is less than such a huge page. */
static void huge_pages_too_large(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "33554432\n",
		   "sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
	check_walk(f, 5 * PAGE, 16 * HUGE, COUNT / 2 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ends_between_huge_pages, setup, fixture_end),
		cmocka_unit_test_setup_teardown(begins_amid_one, setup, fixture_end),
		cmocka_unit_test_setup_teardown(huge_pages_too_large, setup, fixture_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
