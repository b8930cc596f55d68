// SPDX-License-Identifier: GPL-2.0
/* Sets of nodes and the relative map, against a slow model of the kernel's. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

static cgm_nodeset set_of(const char *text)
{
	cgm_nodeset set;

	assert_int_equal(cgm_nodeset_parse(text, &set), 0);
	return set;
}

static void assert_list(const char *text, const char *wanted)
{
	cgm_nodeset set = set_of(text);
	char buf[64];

	assert_int_equal(cgm_nodeset_format(&set, buf, sizeof(buf)), strlen(wanted));
	assert_string_equal(buf, wanted);
}

static void parse_good(void **state)
{
	(void)state;
	assert_list("0", "0");
	assert_list(" 0-3,7\n", "0-3,7");
	assert_list("7,0-3,4", "0-4,7");
	assert_list("", "");
	assert_list("\n", "");
	assert_list("63,64,65", "63-65");
	assert_list("1023", "1023");
	assert_list("2,0", "0,2");
}

static void parse_bad(void **state)
{
	static const char * const bad[] = {
		"a", "1-", "-1", "1,,2", "1,", ",1", "3-1", "1 2", "0x1", "1-2-3", "1;2",
	};
	cgm_nodeset set = set_of("5");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(cgm_nodeset_parse(bad[i], &set), -EINVAL);
		assert_int_equal(cgm_nodeset_weight(&set), 1);
	}
	assert_int_equal(cgm_nodeset_parse("1024", &set), -ERANGE);
	assert_int_equal(cgm_nodeset_parse("0-99999999999999999999", &set), -ERANGE);
	assert_true(cgm_nodeset_has(&set, 5));
}

static void format_cut(void **state)
{
	cgm_nodeset set = set_of("0-3,7,100-200");
	char buf[6];

	(void)state;
	assert_int_equal(cgm_nodeset_format(&set, buf, sizeof(buf)), 13);
	assert_string_equal(buf, "0-3,7");
	assert_int_equal(cgm_nodeset_format(&set, NULL, 0), 13);
}

static void outside_is_ignored(void **state)
{
	cgm_nodeset set = { 0 };

	(void)state;
	cgm_nodeset_add(&set, -1);
	cgm_nodeset_add(&set, CGM_NODES_MAX);
	assert_int_equal(cgm_nodeset_weight(&set), 0);
	assert_false(cgm_nodeset_has(&set, -1));
	assert_false(cgm_nodeset_has(&set, CGM_NODES_MAX));
	assert_int_equal(cgm_nodeset_next(&set, -1), -1);
}

static void set_arithmetic(void **state)
{
	cgm_nodeset a = set_of("0-3"), b = set_of("2-5"), out;

	(void)state;
	cgm_nodeset_and(&out, &a, &b);
	b = set_of("2-3");
	assert_true(cgm_nodeset_equal(&out, &b));
	assert_true(cgm_nodeset_subset(&b, &a));
	assert_false(cgm_nodeset_subset(&a, &b));
	cgm_nodeset_or(&a, &a, &out);
	assert_int_equal(cgm_nodeset_weight(&a), 4);
}

static int map(const char *from, const char *to, int node)
{
	cgm_nodeset a = set_of(from), b = set_of(to);

	return cgm_nodemap(&a, &b, node);
}

static void map_known(void **state)
{
	(void)state;
	/* n-th to n-th, disjoint, overlapping, a cycle of sizes */
	assert_int_equal(map("0-1", "2-3", 0), 2);
	assert_int_equal(map("0-1", "2-3", 1), 3);
	assert_int_equal(map("0-1", "1-2", 0), 1);
	assert_int_equal(map("0-1", "1-2", 1), 2);
	/* the comment of do_migrate_pages(): [2,3,4] -> [3,4,5] moves everything */
	assert_int_equal(map("2-4", "3-5", 2), 3);
	assert_int_equal(map("2-4", "3-5", 4), 5);
	/* and [0-7] -> [3,4,5] moves only 0,1,2,6,7 */
	assert_int_equal(map("0-7", "3-5", 0), 3);
	assert_int_equal(map("0-7", "3-5", 2), 5);
	assert_int_equal(map("0-7", "3-5", 3), 3);
	assert_int_equal(map("0-7", "3-5", 6), 3);
	assert_int_equal(map("0-7", "3-5", 7), 4);
	/* growing keeps everything */
	assert_int_equal(map("1", "0-3", 1), 1);
	/* strays */
	assert_int_equal(map("0-1", "2-3", 5), CGM_NODE_NEAREST);
	assert_int_equal(map("0-1", "2-3", 3), 3);
	assert_int_equal(map("0-1", "", 0), -1);
}

/* bitmap_bitremap() and do_migrate_pages() as plainly as can be. */
static int model(const cgm_nodeset *from, const cgm_nodeset *to, int node)
{
	int members[CGM_NODES_MAX], count = 0, rank = 0;

	for (int n = 0; n < CGM_NODES_MAX; n++)
		if (cgm_nodeset_has(to, n))
			members[count++] = n;
	if (!count)
		return -1;
	if (!cgm_nodeset_has(from, node))
		return cgm_nodeset_has(to, node) ? node : CGM_NODE_NEAREST;
	if (count != cgm_nodeset_weight(from) && cgm_nodeset_has(to, node))
		return node;
	for (int n = 0; n < node; n++)
		rank += cgm_nodeset_has(from, n);
	return members[rank % count];
}

static void map_random(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 3000; i++) {
		cgm_nodeset from = { 0 }, to = { 0 };

		for (int n = 0; n < 70; n++) {
			if (rand() % 8 == 0)
				cgm_nodeset_add(&from, n);
			if (rand() % 8 == 0)
				cgm_nodeset_add(&to, n);
		}
		for (int n = 0; n < 70; n++)
			assert_int_equal(cgm_nodemap(&from, &to, n), model(&from, &to, n));
	}
}

/*
 * What widening relies on: with old and new nodes together as the old set, no
 * page on a node of the new set moves.
 */
static void narrowing_keeps_pages(void **state)
{
	(void)state;
	srand(2);
	for (int i = 0; i < 3000; i++) {
		cgm_nodeset from = { 0 }, to = { 0 }, wide;

		for (int n = 0; n < 16; n++) {
			if (rand() % 3 == 0)
				cgm_nodeset_add(&from, n);
			if (rand() % 3 == 0)
				cgm_nodeset_add(&to, n);
		}
		if (!cgm_nodeset_weight(&from) || !cgm_nodeset_weight(&to))
			continue;
		cgm_nodeset_or(&wide, &from, &to);
		for (int n = cgm_nodeset_next(&from, -1); n >= 0;
		     n = cgm_nodeset_next(&from, n))
			assert_int_equal(cgm_nodemap(&from, &wide, n), n);
		for (int n = cgm_nodeset_next(&to, -1); n >= 0;
		     n = cgm_nodeset_next(&to, n))
			assert_int_equal(cgm_nodemap(&wide, &to, n), n);
	}
}

/* Two of three: no list is longer. */
static void write_longest(void **state)
{
	cgm_nodeset set = { 0 }, again;
	char *text;

	(void)state;
	for (int n = 0; n < CGM_NODES_MAX; n++)
		if (n % 3 < 2)
			cgm_nodeset_add(&set, n);
	text = nodes_to_write(&set);
	assert_non_null(text);
	assert_in_range(strlen(text), 2500, 4000);
	assert_int_equal(cgm_nodeset_parse(text, &again), 0);
	assert_true(cgm_nodeset_equal(&set, &again));
	free(text);
	cgm_nodeset_clear(&set);
	text = nodes_to_write(&set);
	assert_string_equal(text, "\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_good),
		cmocka_unit_test(parse_bad),
		cmocka_unit_test(format_cut),
		cmocka_unit_test(write_longest),
		cmocka_unit_test(outside_is_ignored),
		cmocka_unit_test(set_arithmetic),
		cmocka_unit_test(map_known),
		cmocka_unit_test(map_random),
		cmocka_unit_test(narrowing_keeps_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
