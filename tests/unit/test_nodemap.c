// SPDX-License-Identifier: GPL-2.0
/* Which node's memory goes where: reading it, working it out, and the order. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nodemap.h"

#define NODES 8

static cgm_nodeset set_of(const char *text)
{
	cgm_nodeset set;

	assert_int_equal(cgm_nodeset_parse(text, &set), 0);
	return set;
}

/* ---- reading ---- */

static void reads_rules(void **state)
{
	enum cgm_map_rule rule = CGM_MAP_DISTANCE;
	struct cgm_node_pair *pairs;
	size_t count;

	(void)state;
	assert_int_equal(cgm_map_parse("relative", &rule, &pairs, &count), 0);
	assert_int_equal(rule, CGM_MAP_RELATIVE);
	assert_null(pairs);
	assert_int_equal(cgm_map_parse("distance", &rule, &pairs, &count), 0);
	assert_int_equal(rule, CGM_MAP_DISTANCE);
	assert_int_equal(count, 0);
	assert_string_equal(cgm_map_rule_name(CGM_MAP_RELATIVE), "relative");
	assert_string_equal(cgm_map_rule_name(CGM_MAP_DISTANCE), "distance");
}

static void reads_pairs(void **state)
{
	enum cgm_map_rule rule;
	struct cgm_node_pair *pairs;
	size_t count;

	(void)state;
	assert_int_equal(cgm_map_parse("0:3,12:2,5:5,7:1023", &rule, &pairs, &count), 0);
	assert_int_equal(rule, CGM_MAP_RELATIVE);
	assert_int_equal(count, 4);
	assert_int_equal(pairs[0].from, 0);
	assert_int_equal(pairs[0].to, 3);
	assert_int_equal(pairs[1].from, 12);
	assert_int_equal(pairs[1].to, 2);
	assert_int_equal(pairs[3].to, 1023);
	free(pairs);
}

static void refuses_others(void **state)
{
	static const struct {
		const char *text;
		int err;
	} bad[] = {
		{ "", -EINVAL }, { "0", -EINVAL }, { "0:", -EINVAL }, { ":1", -EINVAL },
		{ "0:1,", -EINVAL }, { ",0:1", -EINVAL }, { "0:1 ", -EINVAL },
		{ "0-1:2", -EINVAL }, { "0:1:2", -EINVAL }, { "relative,0:1", -EINVAL },
		{ "Distance", -EINVAL }, { "-1:2", -EINVAL }, { "0:1024", -ERANGE },
		{ "1024:0", -ERANGE }, { "0:1,0:2", -EEXIST }, { "0:1,1:2,0:1", -EEXIST },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cgm_node_pair *pairs;
		enum cgm_map_rule rule;
		size_t count;

		assert_int_equal(cgm_map_parse(bad[i].text, &rule, &pairs, &count),
				 bad[i].err);
		assert_null(pairs);
		assert_int_equal(count, 0);
	}
}

/* As many pairs as there are nodes, and no more: each is named once. */
static void reads_all_nodes(void **state)
{
	char *text = calloc(CGM_NODES_MAX + 1, 12);
	struct cgm_node_pair *pairs;
	enum cgm_map_rule rule;
	size_t count;

	(void)state;
	assert_non_null(text);
	for (int n = 0; n < CGM_NODES_MAX; n++)
		sprintf(text + strlen(text), "%s%d:0", n ? "," : "", n);
	assert_int_equal(cgm_map_parse(text, &rule, &pairs, &count), 0);
	assert_int_equal(count, CGM_NODES_MAX);
	free(pairs);
	strcat(text, ",5:1");
	assert_int_equal(cgm_map_parse(text, &rule, &pairs, &count), -EEXIST);
	free(text);
}

/* ---- working it out ---- */

/* Eight nodes in a ring: as far as the number of steps between them. */
static int setup(void **state)
{
	struct fixture *f = fixture_new(0);

	tree_write(&f->tree, "0-7\n", "sys/devices/system/node/online");
	tree_write(&f->tree, "0-7\n", "sys/devices/system/node/has_memory");
	for (int n = 0; n < NODES; n++) {
		char text[64] = "", *p = text;

		for (int to = 0; to < NODES; to++) {
			int steps = abs(n - to);

			p += sprintf(p, "%d ", 10 + (steps > 4 ? 8 - steps : steps));
		}
		tree_write(&f->tree, text, "sys/devices/system/node/node%d/distance", n);
		tree_write(&f->tree, "Node 0 MemFree: 1024 kB\n",
			   "sys/devices/system/node/node%d/meminfo", n);
	}
	f->ctx = tree_context(&f->tree);
	*state = f;
	return 0;
}

/* "relative", "distance" or pairs, perhaps from some nodes only: where it all goes. */
static void assert_places(const struct fixture *f, const char *how, const char *only,
			  const char *from, const char *to, const char *wanted)
{
	struct cgm_move move = { .size = sizeof(move) };
	cgm_nodeset old = set_of(from), new = set_of(to);
	struct cgm_node_pair *pairs;
	struct nodemap map;
	char text[64] = "";
	int dest[NODES];

	assert_int_equal(cgm_map_parse(how, &move.rule, &pairs, &move.pair_count), 0);
	move.pairs = pairs;
	move.only = set_of(only);
	assert_int_equal(nodemap_init(&map, &move), 0);
	nodemap_make(f->ctx, &map, &old, &new, dest, NODES);
	for (int n = cgm_nodeset_next(&old, -1); n >= 0; n = cgm_nodeset_next(&old, n))
		sprintf(text + strlen(text), "%s%d", *text ? " " : "", dest[n]);
	assert_string_equal(text, wanted);
	nodemap_exit(&map);
	free(pairs);
}

static void relative(void **state)
{
	assert_places(*state, "relative", "", "0-1", "2-3", "2 3");
	assert_places(*state, "relative", "", "0-1", "1-2", "1 2");
	assert_places(*state, "relative", "", "0-3", "1-2", "1 1 2 2");
}

static void by_distance(void **state)
{
	/* the ring: 0 is next to 7, 3 next to 4 */
	assert_places(*state, "distance", "", "0,3", "4,7", "7 4");
	assert_places(*state, "relative", "", "0,3", "4,7", "4 7");
	/* what is in both stays, and others see that load: 1 lies between 0 and 2 */
	assert_places(*state, "distance", "", "0-1", "0,2", "0 2");
	assert_places(*state, "distance", "", "1-2", "0,2", "0 2");
	/* fewer than there were, and more */
	assert_places(*state, "distance", "", "0-3", "5,6", "6 6 5 5");
	assert_places(*state, "distance", "", "1", "4-7", "7");
}

/* All as far: one after the other, by number, to the one that has fewest. */
static void ties_by_load_then_number(void **state)
{
	struct fixture *f = *state;

	for (int n = 0; n < NODES; n++)
		tree_write(&f->tree, "20 20 20 20 20 20 20 20\n",
			   "sys/devices/system/node/node%d/distance", n);
	assert_places(f, "distance", "", "0-3", "4-7", "4 5 6 7");
	assert_places(f, "distance", "", "0-3", "4-5", "4 5 4 5");
	/* what stays because it is not to leave counts: 4 */
	assert_places(f, "distance", "0-1", "0-1,4", "4-5", "5 4 4");
}

static void pairs(void **state)
{
	assert_places(*state, "0:3,1:2", "", "0-1", "2-3", "3 2");
	assert_places(*state, "0:1,1:0", "", "0-1", "0-1", "1 0");
	/* not named: relative */
	assert_places(*state, "0:3", "", "0-1", "2-3", "3 3");
	assert_places(*state, "2:5", "", "0-2", "4-6", "4 5 5");
	/* a node that a cgroup below has not among its new ones */
	assert_places(*state, "0:3", "", "0-1", "4-5", "4 5");
}

static void from_some_nodes_only(void **state)
{
	assert_places(*state, "relative", "0", "0-1", "1-2", "1 1");
	assert_places(*state, "distance", "0", "0-2", "1-3", "1 1 2");
	assert_places(*state, "1:3", "1", "0-2", "0-3", "0 3 2");
	/* nothing can stay where nothing is allowed */
	assert_places(*state, "relative", "0", "0-1", "2-3", "2 3");
}

/* A caller that was built when the struct ended sooner. */
static void knows_older_moves(void **state)
{
	struct cgm_move move = {
		.size = offsetof(struct cgm_move, rule), .rule = CGM_MAP_DISTANCE,
		.pair_count = 7,
	};
	struct nodemap map;

	(void)state;
	assert_int_equal(nodemap_init(&map, &move), 0);
	assert_true(nodemap_plain(&map));
	nodemap_exit(&map);
}

/* ---- the order ---- */

static void assert_order(const int (*dests)[4], size_t count, const char *wanted)
{
	const int *list[2] = { dests[0], count > 1 ? dests[1] : NULL };
	char text[32] = "";
	int order[4];
	int n = nodemap_order(list, count, 4, order);

	if (n < 0)
		strcpy(text, "none");
	for (int i = 0; i < n; i++)
		sprintf(text + strlen(text), "%s%d", i ? " " : "", order[i]);
	assert_string_equal(text, wanted);
}

static void leaves_before_it_enters(void **state)
{
	static const int nothing[1][4] = { { -1, 1, -1, -1 } };
	static const int apart[1][4] = { { 3, 2, -1, -1 } };
	static const int chain[1][4] = { { 1, 2, 3, -1 } };
	static const int fold[1][4] = { { 1, 2, -1, 2 } };
	static const int swap[1][4] = { { 1, 0, -1, -1 } };
	static const int ring[1][4] = { { -1, 2, 3, 1 } };
	static const int tail[1][4] = { { 1, 2, 1, -1 } };
	static const int both[2][4] = { { 1, -1, -1, -1 }, { -1, 2, -1, -1 } };
	static const int cross[2][4] = { { 1, -1, -1, -1 }, { -1, 0, -1, -1 } };

	(void)state;
	assert_order(nothing, 1, "");
	assert_order(apart, 1, "0 1");
	assert_order(chain, 1, "2 1 0");
	assert_order(fold, 1, "1 3 0");
	assert_order(swap, 1, "none");
	assert_order(ring, 1, "none");
	assert_order(tail, 1, "none");
	assert_order(both, 2, "1 0");
	assert_order(cross, 2, "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_rules),
		cmocka_unit_test(reads_pairs),
		cmocka_unit_test(refuses_others),
		cmocka_unit_test(reads_all_nodes),
		cmocka_unit_test_setup_teardown(relative, setup, fixture_end),
		cmocka_unit_test_setup_teardown(by_distance, setup, fixture_end),
		cmocka_unit_test_setup_teardown(ties_by_load_then_number, setup, fixture_end),
		cmocka_unit_test_setup_teardown(pairs, setup, fixture_end),
		cmocka_unit_test_setup_teardown(from_some_nodes_only, setup, fixture_end),
		cmocka_unit_test(knows_older_moves),
		cmocka_unit_test(leaves_before_it_enters),
	};

	return cmocka_run_group_tests_name("nodemap", tests, NULL, NULL);
}
