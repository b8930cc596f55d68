// SPDX-License-Identifier: GPL-2.0
/* Quantiles of durations that are counted by range, against those of a sorted list. */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

/* Of the command, which is no library: NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "../../tools/cgmigrate/stalls.c"

#define COUNT 5000

static struct stalls stalls;
static uint64_t values[COUNT];

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t wanted(size_t count, unsigned int permille)
{
	size_t rank = (count * permille + 999) / 1000;

	return values[rank ? rank - 1 : 0];
}

static void note_all(size_t count)
{
	memset(&stalls, 0, sizeof(stalls));
	for (size_t i = 0; i < count; i++)
		stalls_note(&stalls, values[i]);
	qsort(values, count, sizeof(*values), by_value);
}

static void nothing(void **state)
{
	(void)state;
	note_all(0);
	assert_int_equal(stalls_quantile(&stalls, 500), 0);
}

/* Short ones are exact, and so is the longest of all. */
static void exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < 100; i++)
		values[i] = i;
	values[100] = 123456789;
	note_all(101);
	for (unsigned int permille = 0; permille <= 990; permille += 10)
		assert_int_equal(stalls_quantile(&stalls, permille), wanted(101, permille));
	assert_int_equal(stalls_quantile(&stalls, 1000), 123456789);
	assert_int_equal(stalls.count, 101);
}

/* From nanoseconds to hours. */
static void close_by(void **state)
{
	(void)state;
	srand(7);
	for (size_t i = 0; i < COUNT; i++)
		values[i] = ((uint64_t)rand() << 11) >> (rand() % 41);
	note_all(COUNT);
	for (unsigned int permille = 1; permille <= 1000; permille++) {
		uint64_t real = wanted(COUNT, permille);
		uint64_t found = stalls_quantile(&stalls, permille);

		assert_true(found >= real);
		assert_true(found - real <= real / STALLS_PARTS);
	}
}

/* Every range ends just below where the next begins. */
static void no_gaps(void **state)
{
	(void)state;
	for (unsigned int range = 0; range < STALLS_RANGES; range++) {
		assert_int_equal(range_of(end_of(range)), range);
		if (range + 1 < STALLS_RANGES)
			assert_int_equal(range_of(end_of(range) + 1), range + 1);
	}
	assert_int_equal(range_of(UINT64_MAX), STALLS_RANGES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(exact),
		cmocka_unit_test(close_by),
		cmocka_unit_test(no_gaps),
	};

	return cmocka_run_group_tests_name("stalls", tests, NULL, NULL);
}
