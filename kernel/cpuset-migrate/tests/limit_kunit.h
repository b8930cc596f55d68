/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KUnit tests of limit.c.
 *
 * Included at the end of limit.c, so that they reach its static functions.  The
 * cpusets are made up and so is the time.
 */
#include <kunit/test.h>
#include <linux/prandom.h>

#define SEC	((s64)NSEC_PER_SEC)
#define KIB	((u64)1 << 10)
#define MIB	((u64)1 << 20)
#define GIB	((u64)1 << 30)

static struct cpuset *cpuset_with(struct kunit *test, struct cpuset *parent,
				  u64 max)
{
	struct cpuset *cs = kunit_kzalloc(test, sizeof(*cs), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, cs);
	cs->css.parent = parent ? &parent->css : NULL;
	cs->migrate.max = max;
	return cs;
}

/* What one take gets at this time, charged; 0 if it has to wait. */
static u64 take(struct cpuset *cs, u64 want, s64 now)
{
	if (limit_wait(cs, &want, true, now))
		return 0;
	limit_charge(cs, want, false, now);
	return want;
}

/* Everything that can be taken at this time. */
static u64 take_all(struct cpuset *cs, u64 want, s64 now)
{
	u64 sum = 0, got;

	while ((got = take(cs, want, now)))
		sum += got;
	return sum;
}

static void limit_test_arithmetic(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, bytes_to_nsec(0, 1), 0);
	KUNIT_EXPECT_EQ(test, bytes_to_nsec(4096, 4096), SEC);
	KUNIT_EXPECT_EQ(test, bytes_to_nsec(GIB, MIB), 1024 * SEC);
	KUNIT_EXPECT_EQ(test, bytes_to_nsec(16 * GIB, 1000), 17179869 * SEC +
			184000000);
	KUNIT_EXPECT_EQ(test, bytes_to_nsec(4096, U64_MAX - 1), 0);
	/* No quotient overflows, and none is a time that cannot be added */
	KUNIT_EXPECT_EQ(test, bytes_to_nsec(U64_MAX, 1), CM_DEBT_MAX_NSEC);
	KUNIT_EXPECT_EQ(test, bytes_to_nsec(U64_MAX, U64_MAX - 1), SEC);
	KUNIT_EXPECT_EQ(test, nsec_to_bytes(CM_SAVED_NSEC, U64_MAX - 1),
			(U64_MAX - 1) / 10);
	KUNIT_EXPECT_EQ(test, nsec_to_bytes(SEC / 2, 3), 1);
}

static void limit_test_has_rate(struct kunit *test)
{
	struct cpuset *top = cpuset_with(test, NULL, U64_MAX);
	struct cpuset *held = cpuset_with(test, top, 0);
	struct cpuset *cs = cpuset_with(test, held, U64_MAX);
	u64 want = MIB;

	KUNIT_EXPECT_FALSE(test, is_limited(cs));
	KUNIT_EXPECT_EQ(test, limit_wait(cs, &want, true, SEC), 0);
	KUNIT_EXPECT_EQ(test, want, MIB);
	limit_charge(cs, MIB, false, SEC);
	KUNIT_EXPECT_EQ(test, held->migrate.due, 0);
	top->migrate.max = 1;
	KUNIT_EXPECT_TRUE(test, is_limited(cs));
}

/* What is saved up in an hour is a tenth of a second's worth. */
static void limit_test_saved(struct kunit *test)
{
	struct cpuset *cs = cpuset_with(test, NULL, 100 * MIB);
	u64 got = take_all(cs, 64 * KIB, 3600 * SEC);

	KUNIT_EXPECT_LE(test, got, 10 * MIB);
	KUNIT_EXPECT_GE(test, got, 10 * MIB - 64 * KIB);
}

/* A page goes, however small the limit; the next one when it is paid for. */
static void limit_test_small(struct kunit *test)
{
	static const u64 rates[] = { 1, 100, 4096, 5000, 40 * KIB };
	struct cpuset *cs;
	s64 page;
	int i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		cs = cpuset_with(test, NULL, rates[i]);
		cs->migrate.due = SEC;
		page = bytes_to_nsec(PAGE_SIZE, rates[i]);
		KUNIT_EXPECT_EQ(test, take(cs, MIB, SEC), 0);
		KUNIT_EXPECT_EQ(test, take_all(cs, MIB, SEC + CM_TURN_NSEC),
				PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, take(cs, MIB, SEC + page), 0);
		KUNIT_EXPECT_EQ(test, take(cs, MIB, SEC + page + CM_TURN_NSEC),
				PAGE_SIZE);
	}
}

/* A huge page goes into debt; another limit forgives it. */
static void limit_test_debt(struct kunit *test)
{
	struct cpuset *cs = cpuset_with(test, NULL, MIB);
	u64 want = 2 * MIB;
	s64 wait;

	KUNIT_EXPECT_EQ(test, take(cs, want, SEC), 100 * KIB & PAGE_MASK);
	/* It turned out to be a GiB */
	limit_charge(cs, GIB - (100 * KIB & PAGE_MASK), false, SEC);
	wait = limit_wait(cs, &want, true, SEC);
	KUNIT_EXPECT_GT(test, wait, 1023 * SEC);
	KUNIT_EXPECT_LT(test, wait, 1025 * SEC);
	KUNIT_EXPECT_EQ(test, want, 2 * MIB);
	KUNIT_EXPECT_EQ(test, limit_wait(cs, &want, true, SEC + wait), 0);

	cm_limit_set(cs, 2 * MIB);
	KUNIT_EXPECT_LE(test, limit_wait(cs, &want, true, ktime_get_ns()),
			CM_TURN_NSEC);
	/* The same again is not another */
	limit_charge(cs, GIB, false, ktime_get_ns());
	cm_limit_set(cs, 2 * MIB);
	KUNIT_EXPECT_GT(test, limit_wait(cs, &want, true, ktime_get_ns()),
			500 * SEC);

	/* However often, a debt ends */
	cm_limit_set(cs, 1);
	for (int i = 0; i < 10; i++)
		limit_charge(cs, U64_MAX, false, 2 * SEC);
	KUNIT_EXPECT_LE(test, cs->migrate.due, 2 * SEC + CM_DEBT_MAX_NSEC);
	KUNIT_EXPECT_GT(test, limit_wait(cs, &want, true, 2 * SEC), 0);
}

/* Who waits for his turn gets it no earlier for wanting little. */
static void limit_test_turn(struct kunit *test)
{
	struct cpuset *cs = cpuset_with(test, NULL, 100 * MIB);
	u64 little = 64 * KIB, much = 2 * MIB;
	s64 now = SEC + CM_TURN_NSEC / 2;

	cs->migrate.due = SEC;
	KUNIT_EXPECT_EQ(test, limit_wait(cs, &little, false, now),
			CM_TURN_NSEC / 2);
	KUNIT_EXPECT_EQ(test, limit_wait(cs, &much, false, now),
			CM_TURN_NSEC / 2);
	KUNIT_EXPECT_EQ(test, limit_wait(cs, &little, true, now), 0);
	KUNIT_EXPECT_EQ(test, little, 64 * KIB);
	now = SEC + CM_TURN_NSEC;
	KUNIT_EXPECT_EQ(test, limit_wait(cs, &much, false, now), 0);
	KUNIT_EXPECT_EQ(test, much, 2 * MIB);
}

static void limit_test_give_back(struct kunit *test)
{
	struct cpuset *top = cpuset_with(test, NULL, 10 * MIB);
	struct cpuset *cs = cpuset_with(test, top, 3 * MIB);
	s64 due = SEC - 50 * NSEC_PER_MSEC;
	u64 got;

	top->migrate.due = due;
	cs->migrate.due = due;
	got = take(cs, 64 * KIB, SEC);
	KUNIT_EXPECT_EQ(test, got, 64 * KIB);
	KUNIT_EXPECT_GT(test, top->migrate.due, due);
	KUNIT_EXPECT_GT(test, cs->migrate.due, top->migrate.due);
	limit_charge(cs, got, true, SEC);
	KUNIT_EXPECT_EQ(test, top->migrate.due, due);
	KUNIT_EXPECT_EQ(test, cs->migrate.due, due);
}

/**
 * struct fake_job - somebody who moves as fast as the limit lets
 * @cs: charged from here upwards
 * @next: when the next chunk may begin
 * @moved: so far
 */
struct fake_job {
	struct cpuset	*cs;
	s64		next;
	u64		moved;
};

/* One chunk, or a wait, of whoever is next; returns the time. */
static s64 fake_step(struct fake_job *jobs, int nr, u64 speed,
		     struct rnd_state *rnd)
{
	struct fake_job *job = jobs;
	u64 want, got;
	s64 now, wait;
	int i;

	for (i = 1; i < nr; i++)
		if (jobs[i].next < job->next)
			job = &jobs[i];
	now = job->next;
	want = (16 + prandom_u32_state(rnd) % 497) * PAGE_SIZE;
	got = want;
	wait = limit_wait(job->cs, &got, true, now);
	if (wait) {
		/* Woken late, as the clock and others have it */
		job->next += wait + prandom_u32_state(rnd) % (20 * NSEC_PER_MSEC);
		return now;
	}
	limit_charge(job->cs, got, false, now);
	/* Now and then not all of it was there to move */
	if (prandom_u32_state(rnd) % 8 == 0) {
		limit_charge(job->cs, got / 2, true, now);
		got -= got / 2;
	}
	job->moved += got;
	job->next += bytes_to_nsec(got, speed) + 1;
	return now;
}

/* The limit is met over seconds, by one who is twice to fifty times as fast. */
static void limit_test_rate(struct kunit *test)
{
	static const u64 rates[] = {
		64 * KIB, MIB, 10 * MIB, 100 * MIB, GIB, 20 * GIB,
	};
	struct rnd_state rnd;
	struct fake_job job;
	u64 speed, wanted;
	int i;

	prandom_seed_state(&rnd, 20081224);
	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		for (speed = 2; speed <= 50; speed += 12) {
			job = (struct fake_job){
				.cs = cpuset_with(test, NULL, rates[i]),
				.next = SEC,
			};
			while (fake_step(&job, 1, speed * rates[i], &rnd) <
			       5 * SEC)
				;
			wanted = 4 * rates[i];
			KUNIT_EXPECT_LE(test, job.moved, wanted + wanted / 20);
			KUNIT_EXPECT_GE(test, job.moved, wanted - wanted / 20);
		}
	}
}

/* Children together stay under their parent's limit, each under its own. */
static void limit_test_hierarchy(struct kunit *test)
{
	struct cpuset *top = cpuset_with(test, NULL, 200 * MIB);
	struct cpuset *parent = cpuset_with(test, top, 100 * MIB);
	struct cpuset *slow = cpuset_with(test, parent, 10 * MIB);
	struct cpuset *fast = cpuset_with(test, parent, U64_MAX);
	struct cpuset *other = cpuset_with(test, top, U64_MAX);
	struct fake_job jobs[] = {
		{ .cs = slow, .next = SEC },
		{ .cs = fast, .next = SEC },
		{ .cs = fast, .next = SEC },
		{ .cs = other, .next = SEC },
	};
	u64 below, all;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 20141205);
	while (fake_step(jobs, ARRAY_SIZE(jobs), 300 * MIB, &rnd) < 11 * SEC)
		;
	below = jobs[0].moved + jobs[1].moved + jobs[2].moved;
	all = below + jobs[3].moved;
	KUNIT_EXPECT_LE(test, jobs[0].moved, 103 * MIB);
	KUNIT_EXPECT_GE(test, jobs[0].moved, 80 * MIB);
	KUNIT_EXPECT_LE(test, below, 1020 * MIB);
	KUNIT_EXPECT_GE(test, below, 950 * MIB);
	KUNIT_EXPECT_LE(test, all, 2040 * MIB);
	KUNIT_EXPECT_GE(test, all, 1900 * MIB);
}

static struct kunit_case limit_test_list[] = {
	KUNIT_CASE(limit_test_arithmetic),
	KUNIT_CASE(limit_test_has_rate),
	KUNIT_CASE(limit_test_saved),
	KUNIT_CASE(limit_test_small),
	KUNIT_CASE(limit_test_debt),
	KUNIT_CASE(limit_test_turn),
	KUNIT_CASE(limit_test_give_back),
	KUNIT_CASE(limit_test_rate),
	KUNIT_CASE(limit_test_hierarchy),
	{}
};

static struct kunit_suite limit_test_suite = {
	.name = "cpuset_migrate_limit",
	.test_cases = limit_test_list,
};

kunit_test_suite(limit_test_suite);
