/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KUnit tests of worker.c: whose turn it is.
 *
 * Included at the end of worker.c, so that they reach its static functions.  The
 * cpusets and the jobs are made up: of a job there is what stands in line.
 */
#include <kunit/test.h>

#define NR_JOBS	8

/**
 * struct fake_cpuset - a cpuset and those who wait there
 * @cs: the cpuset
 * @job: they, where @name stands for each of them
 * @name: a letter
 */
struct fake_cpuset {
	struct cpuset		cs;
	struct list_head	job[NR_JOBS];
	char			name;
};

static struct fake_cpuset *fake_cpuset(struct kunit *test,
				       struct fake_cpuset *parent, char name)
{
	struct fake_cpuset *fake = kunit_kzalloc(test, sizeof(*fake),
						 GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->cs.css.parent = parent ? &parent->cs.css : NULL;
	fake->name = name;
	for (i = 0; i < CM_NR_LINES; i++)
		cm_line_init(&fake->cs.migrate.line[i]);
	return fake;
}

static void line_up(struct cm_pool *pool, struct fake_cpuset *fake, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		pool_line_up(pool, &fake->cs, &fake->job[i]);
}

/* Who has the next turn, by name; 0 if nobody waits. */
static char next_of(struct cm_pool *pool, struct fake_cpuset **all, int nr)
{
	struct list_head *next = pool_next(pool);
	int i;

	for (i = 0; next && i < nr; i++) {
		if (next < all[i]->job || next >= all[i]->job + NR_JOBS)
			continue;
		pool_leave_line(pool, &all[i]->cs, next);
		return all[i]->name;
	}
	return 0;
}

static void expect_turns(struct kunit *test, struct cm_pool *pool,
			 struct fake_cpuset **all, int nr, const char *turns)
{
	char seen[4 * NR_JOBS + 1] = "";
	unsigned int i;

	for (i = 0; i < sizeof(seen) - 1; i++) {
		seen[i] = next_of(pool, all, nr);
		if (!seen[i])
			break;
	}
	KUNIT_EXPECT_STREQ(test, seen, turns);
	KUNIT_EXPECT_TRUE(test, line_is_empty(&pool->line));
}

/* However many wait in one cpuset, the other one has every second turn. */
static void worker_test_neighbours(struct kunit *test)
{
	struct fake_cpuset *top = fake_cpuset(test, NULL, 't');
	struct fake_cpuset *a = fake_cpuset(test, top, 'a');
	struct fake_cpuset *b = fake_cpuset(test, top, 'b');
	struct fake_cpuset *all[] = { top, a, b };
	struct cm_pool pool = { .kind = 1 };

	cm_line_init(&pool.line);
	expect_turns(test, &pool, all, 3, "");
	line_up(&pool, a, 6);
	line_up(&pool, b, 2);
	expect_turns(test, &pool, all, 3, "ababaaaa");
}

/* Nor does it help to have many cpusets, or deep ones. */
static void worker_test_subtrees(struct kunit *test)
{
	struct fake_cpuset *top = fake_cpuset(test, NULL, 't');
	struct fake_cpuset *a = fake_cpuset(test, top, 'a');
	struct fake_cpuset *c = fake_cpuset(test, a, 'c');
	struct fake_cpuset *d = fake_cpuset(test, a, 'd');
	struct fake_cpuset *e = fake_cpuset(test, d, 'e');
	struct fake_cpuset *b = fake_cpuset(test, top, 'b');
	struct fake_cpuset *all[] = { top, a, b, c, d, e };
	struct cm_pool pool = { .kind = 0 };

	cm_line_init(&pool.line);
	line_up(&pool, c, 2);
	line_up(&pool, e, 3);
	line_up(&pool, b, 4);
	expect_turns(test, &pool, all, 6, "cbebcbebe");
}

/* What was written further up has as many turns as all below it. */
static void worker_test_above(struct kunit *test)
{
	struct fake_cpuset *top = fake_cpuset(test, NULL, 't');
	struct fake_cpuset *a = fake_cpuset(test, top, 'a');
	struct fake_cpuset *c = fake_cpuset(test, a, 'c');
	struct fake_cpuset *all[] = { top, a, c };
	struct cm_pool pool = { .kind = 0 };

	cm_line_init(&pool.line);
	line_up(&pool, c, 5);
	line_up(&pool, a, 3);
	expect_turns(test, &pool, all, 3, "acacaccc");
	line_up(&pool, c, 3);
	line_up(&pool, top, 2);
	expect_turns(test, &pool, all, 3, "tctcc");
}

/* Whoever leaves from the middle takes his place with him, and no other. */
static void worker_test_leave(struct kunit *test)
{
	struct fake_cpuset *top = fake_cpuset(test, NULL, 't');
	struct fake_cpuset *a = fake_cpuset(test, top, 'a');
	struct fake_cpuset *c = fake_cpuset(test, a, 'c');
	struct fake_cpuset *all[] = { top, a, c };
	struct cm_pool pool = { .kind = 0 };

	cm_line_init(&pool.line);
	line_up(&pool, c, 3);
	line_up(&pool, a, 1);
	pool_leave_line(&pool, &c->cs, &c->job[1]);
	pool_leave_line(&pool, &a->cs, &a->job[0]);
	KUNIT_EXPECT_TRUE(test, list_empty(&c->job[1]));
	pool_leave_line(&pool, &c->cs, &c->job[0]);
	KUNIT_EXPECT_FALSE(test, list_empty(&c->cs.migrate.line[0].sibling));
	pool_leave_line(&pool, &c->cs, &c->job[2]);
	KUNIT_EXPECT_TRUE(test, list_empty(&c->cs.migrate.line[0].sibling));
	KUNIT_EXPECT_TRUE(test, list_empty(&a->cs.migrate.line[0].sibling));
	expect_turns(test, &pool, all, 3, "");
}

static struct kunit_case worker_test_cases[] = {
	KUNIT_CASE(worker_test_neighbours),
	KUNIT_CASE(worker_test_subtrees),
	KUNIT_CASE(worker_test_above),
	KUNIT_CASE(worker_test_leave),
	{ }
};

static struct kunit_suite worker_test_suite = {
	.name = "cpuset_migrate_worker",
	.test_cases = worker_test_cases,
};

kunit_test_suite(worker_test_suite);
