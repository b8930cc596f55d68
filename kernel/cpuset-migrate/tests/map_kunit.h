/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KUnit tests of map.c.
 *
 * Included at the end of map.c, so that they reach its static functions.
 */
#include <kunit/test.h>
#include <linux/prandom.h>

static nodemask_t nodes_of(const char *list)
{
	nodemask_t nodes;

	nodes_clear(nodes);
	if (*list)
		WARN_ON(nodelist_parse(list, nodes));
	return nodes;
}

struct map_case {
	const char	*from;
	const char	*to;
	bool		chained;
	int		dst[6];		/* of nodes 0-5 */
};

#define STRAY	NUMA_NO_NODE

static const struct map_case map_cases[] = {
	/* disjoint, same size: the n-th goes to the n-th */
	{ "0",   "1",   false, { 1, 1, STRAY, STRAY, STRAY, STRAY } },
	{ "0-1", "2-3", false, { 2, 3, 2, 3, STRAY, STRAY } },
	{ "0,4", "1,5", false, { 1, 1, STRAY, STRAY, 5, 5 } },
	/* overlapping, same size: chains, all pages move */
	{ "0-1", "1-2", true,  { 1, 2, 2, STRAY, STRAY, STRAY } },
	{ "0-2", "1-3", true,  { 1, 2, 3, 3, STRAY, STRAY } },
	{ "1-2", "0-1", true,  { 0, 0, 1, STRAY, STRAY, STRAY } },
	/* same set: nothing moves, strays come in */
	{ "0-3", "0-3", false, { 0, 1, 2, 3, STRAY, STRAY } },
	/* different size: a node in both keeps its pages, others fold */
	{ "0-3", "0-1", false, { 0, 1, 0, 1, STRAY, STRAY } },
	{ "0-3", "2-3", false, { 2, 3, 2, 3, STRAY, STRAY } },
	{ "0-5", "4",   false, { 4, 4, 4, 4, 4, 4 } },
	{ "0-1", "2-5", false, { 2, 3, 2, 3, 4, 5 } },
	{ "0-1", "1-3", false, { 1, 1, 2, 3, STRAY, STRAY } },
	{ "0-2", "4-5", false, { 4, 5, 4, STRAY, 4, 5 } },
	/* nothing known about the past: all that is outside is a stray */
	{ "",    "2-3", false, { STRAY, STRAY, 2, 3, STRAY, STRAY } },
};

static void map_test_cases(struct kunit *test)
{
	const struct map_case *c;
	struct cm_map map;
	nodemask_t from, to;
	int i, nid;

	for (i = 0; i < ARRAY_SIZE(map_cases); i++) {
		c = &map_cases[i];
		from = nodes_of(c->from);
		to = nodes_of(c->to);
		cm_map_init(&map, &from, &to);
		for (nid = 0; nid < ARRAY_SIZE(c->dst); nid++)
			KUNIT_EXPECT_EQ_MSG(test, map.dst[nid], c->dst[nid],
					    "%s to %s: node %d", c->from,
					    c->to, nid);
		KUNIT_EXPECT_EQ_MSG(test, map.chained, c->chained,
				    "%s to %s", c->from, c->to);
		KUNIT_EXPECT_TRUE(test, nodes_equal(map.to, to));
	}
}

/* Two changes in a row are the composition, also where that is a cycle. */
static void map_test_compose(struct kunit *test)
{
	struct cm_map first, second, both;
	nodemask_t a = nodes_of("0-1"), b = nodes_of("1-2"), c = nodes_of("0,2");
	nodemask_t d = nodes_of("0"), e = nodes_of("3");

	/* 0->1->0, 1->2->2: 0 is back where it was */
	cm_map_init(&first, &a, &b);
	cm_map_init(&second, &b, &c);
	cm_map_compose(&both, &first, &second);
	KUNIT_EXPECT_EQ(test, both.dst[0], 0);
	KUNIT_EXPECT_EQ(test, both.dst[1], 2);
	KUNIT_EXPECT_TRUE(test, nodes_equal(both.to, c));

	/* 0-1 -> 1-2 -> 0-1: everything is back, no page need move */
	cm_map_init(&second, &b, &a);
	cm_map_compose(&both, &first, &second);
	KUNIT_EXPECT_EQ(test, both.dst[0], 0);
	KUNIT_EXPECT_EQ(test, both.dst[1], 1);
	KUNIT_EXPECT_FALSE(test, both.chained);

	/* A stray of the first is whatever the second makes of it */
	cm_map_init(&first, &d, &e);
	cm_map_init(&second, &e, &a);
	cm_map_compose(&both, &first, &second);
	KUNIT_EXPECT_EQ(test, both.dst[0], 0);
	KUNIT_EXPECT_EQ(test, both.dst[1], 1);
	KUNIT_EXPECT_EQ(test, both.dst[2], STRAY);
}

static nodemask_t random_nodes(struct rnd_state *rnd)
{
	nodemask_t nodes;
	int nid;

	nodes_clear(nodes);
	for (nid = 0; nid < MAX_NUMNODES; nid++)
		if (prandom_u32_state(rnd) % 4 == 0)
			node_set(nid, nodes);
	if (nodes_empty(nodes))
		node_set(prandom_u32_state(rnd) % MAX_NUMNODES, nodes);
	return nodes;
}

/* What must hold for any two sets. */
static void map_test_properties(struct kunit *test)
{
	struct rnd_state rnd;
	nodemask_t from, to, hit;
	struct cm_map map;
	int round, nid, dst;

	prandom_seed_state(&rnd, 20061106);
	for (round = 0; round < 500; round++) {
		from = random_nodes(&rnd);
		to = random_nodes(&rnd);
		cm_map_init(&map, &from, &to);
		nodes_clear(hit);
		for (nid = 0; nid < MAX_NUMNODES; nid++) {
			dst = map.dst[nid];
			if (dst == STRAY) {
				KUNIT_EXPECT_FALSE(test, node_isset(nid, from));
				KUNIT_EXPECT_FALSE(test, node_isset(nid, to));
				continue;
			}
			/* Nothing goes, or stays, outside of the new set */
			KUNIT_EXPECT_TRUE(test, node_isset(dst, to));
			if (node_isset(nid, from))
				node_set(dst, hit);
		}
		/* Sets of one size: one to one, in order */
		if (nodes_weight(from) == nodes_weight(to))
			KUNIT_EXPECT_TRUE(test, nodes_equal(hit, to));
	}
}

/* A map without chains settles in one step: a second one moves nothing. */
static void map_test_chained(struct kunit *test)
{
	struct rnd_state rnd;
	nodemask_t from, to;
	struct cm_map map;
	bool again;
	int round, nid, dst;

	prandom_seed_state(&rnd, 20050917);
	for (round = 0; round < 500; round++) {
		from = random_nodes(&rnd);
		to = random_nodes(&rnd);
		cm_map_init(&map, &from, &to);
		again = false;
		for (nid = 0; nid < MAX_NUMNODES; nid++) {
			dst = map.dst[nid];
			if (dst != STRAY && dst != nid && map.dst[dst] != dst)
				again = true;
		}
		KUNIT_EXPECT_EQ(test, map.chained, again);
		if (!nodes_intersects(from, to))
			KUNIT_EXPECT_FALSE(test, map.chained);
	}
}

static struct kunit_case map_test_list[] = {
	KUNIT_CASE(map_test_cases),
	KUNIT_CASE(map_test_compose),
	KUNIT_CASE(map_test_properties),
	KUNIT_CASE(map_test_chained),
	{}
};

static struct kunit_suite map_test_suite = {
	.name = "cpuset_migrate_map",
	.test_cases = map_test_list,
};

kunit_test_suite(map_test_suite);
