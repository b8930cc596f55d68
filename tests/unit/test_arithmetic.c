// SPDX-License-Identifier: GPL-2.0
/* Steering of batches, sharing out of totals, sets of page frames. */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

#include "pfnset.h"
#include "result.h"
#include "steer.h"

static void median(void **state)
{
	struct samples s = { 0 };

	(void)state;
	assert_int_equal(samples_median(&s), 0);
	samples_add(&s, 5);
	assert_int_equal(samples_median(&s), 5);
	samples_add(&s, 1000000);
	samples_add(&s, 6);
	assert_int_equal(samples_median(&s), 6);
	for (int i = 0; i < STEER_SAMPLES; i++)
		samples_add(&s, 2);
	assert_int_equal(samples_median(&s), 2);
}

/* A machine that needs so many nanoseconds a KiB: the batch settles at the bound. */
static void steer_settles(void **state)
{
	(void)state;
	for (uint64_t cost = 50; cost <= 20000; cost *= 4) {
		struct steer st;
		uint64_t wanted = 2000 * 1000 / cost * 1024;

		steer_init(&st, 2000, 64 << 10, 64 << 10, 16 << 20);
		samples_add(&st.overhead, 300);
		for (int i = 0; i < 50; i++)
			steer_call(&st, st.batch, 300 + st.batch / 1024 * cost / 1000);
		if (wanted < 64 << 10)
			wanted = 64 << 10;
		if (wanted > 16 << 20)
			wanted = 16 << 20;
		assert_in_range(st.batch, wanted * 9 / 10, wanted * 12 / 10);
	}
}

static void steer_ignores_outliers(void **state)
{
	struct steer st;
	uint64_t before;

	(void)state;
	steer_init(&st, 2000, 64 << 10, 64 << 10, 16 << 20);
	for (int i = 0; i < 30; i++)
		steer_call(&st, st.batch, st.batch / 1024);
	before = st.batch;
	steer_call(&st, st.batch, 500000);
	assert_in_range(st.batch, before * 9 / 10, before * 11 / 10);
}

static void steer_grows_slowly(void **state)
{
	struct steer st;

	(void)state;
	steer_init(&st, 2000, 64 << 10, 64 << 10, 16 << 20);
	steer_call(&st, st.batch, 1);
	assert_int_equal(st.batch, 128 << 10);
	assert_int_equal(steer_call(&st, 1, 77), 77);
}

static const struct cell unknown = { .from = -1, .to = -1, .kind = CGM_KIND_MOVABLE };

static uint64_t sum_rows(const struct cgm_result *r, enum cgm_reason reason)
{
	struct cgm_row row = { .size = sizeof(row) };
	uint64_t sum = 0;

	for (size_t i = 0; !cgm_result_row(r, i, &row); i++)
		if (row.reason == reason)
			sum += row.bytes;
	return sum;
}

static void rows_merge(void **state)
{
	struct cell a = { .from = 0, .to = 2, .kind = CGM_KIND_ANON }, b = a;
	struct cgm_row row = { .size = sizeof(row) };
	struct cgm_result r;

	(void)state;
	b.to = 3;
	assert_int_equal(result_init(&r, 1), 0);
	result_add(&r, 0, &b, CGM_FAIL_BUSY, 7, 0);
	result_add(&r, 0, &a, CGM_MOVED, 4096, 0);
	result_add(&r, 0, &a, CGM_MOVED, 4096, 0);
	result_add(&r, 0, &b, CGM_MOVED, 100, 0);
	result_add(&r, 0, &b, CGM_MOVED, 0, 0);
	assert_int_equal(cgm_result_total(&r, CGM_MOVED), 8292);
	assert_int_equal(cgm_result_scanned(&r), 8299);
	result_sort(&r);
	assert_int_equal(cgm_result_row(&r, 0, &row), 0);
	assert_int_equal(row.bytes, 8192);
	assert_int_equal(cgm_result_row(&r, 2, &row), 0);
	assert_int_equal(row.reason, CGM_FAIL_BUSY);
	assert_true(cgm_result_row(&r, 3, &row) < 0);
	assert_true(result_partial(&r, 0));
	assert_false(result_partial(&r, 1));
	result_clear(&r);
}

static void left_is_not_scanned(void **state)
{
	struct cgm_result r;

	(void)state;
	assert_int_equal(result_init(&r, 1), 0);
	result_add(&r, 0, &unknown, CGM_SKIP_SHARED, 10, 0);
	assert_false(result_partial(&r, 0));
	result_add(&r, 0, &unknown, CGM_LEFT, 5, 0);
	assert_true(result_partial(&r, 0));
	assert_int_equal(cgm_result_scanned(&r), 10);
	result_clear(&r);
}

static void spread_adds_up(void **state)
{
	(void)state;
	srand(3);
	for (int i = 0; i < 500; i++) {
		struct cell cells[12] = { 0 };
		uint64_t units = rand() % 100000;
		struct cgm_result r;

		for (size_t c = 0; c < 12; c++)
			cells[c] = (struct cell){ .from = c, .to = -1,
						  .kind = CGM_KIND_ANON,
						  .weight = rand() % 3 ? rand() : 0 };
		assert_int_equal(result_init(&r, 1), 0);
		assert_int_equal(result_spread(&r, 0, cells, 12, CGM_MOVED, units, 4096), 0);
		assert_int_equal(cgm_result_total(&r, CGM_MOVED), units * 4096);
		assert_int_equal(sum_rows(&r, CGM_MOVED), units * 4096);
		result_clear(&r);
	}
}

static void spread_flags(void **state)
{
	struct cell cells[2] = {
		{ .from = 0, .to = 2, .kind = CGM_KIND_ANON, .weight = 3 },
		{ .from = 1, .to = 3, .kind = CGM_KIND_ANON, .weight = 1 },
	};
	struct cgm_row row = { .size = sizeof(row) };
	struct cgm_result r;

	(void)state;
	assert_int_equal(result_init(&r, 1), 0);
	result_spread(&r, 0, cells, 2, CGM_MOVED, 8, 1);
	cgm_result_row(&r, 0, &row);
	assert_int_equal(row.bytes, 6);
	assert_int_equal(row.flags, CGM_ROW_ESTIMATED);
	cells[0].weight = 0;
	result_spread(&r, 0, cells, 2, CGM_FAIL_BUSY, 8, 1);
	cgm_result_row(&r, 2, &row);
	assert_int_equal(row.from, 1);
	assert_int_equal(row.flags, 0);
	cells[1].weight = 0;
	result_spread(&r, 0, cells, 2, CGM_GONE, 8, 1);
	cgm_result_row(&r, 3, &row);
	assert_int_equal(row.from, -1);
	assert_int_equal(row.kind, CGM_KIND_MOVABLE);
	result_clear(&r);
}

static void pfns(void **state)
{
	struct pfnset set = { 0 };

	(void)state;
	assert_false(pfnset_has(&set, 1));
	for (uint64_t pfn = 1; pfn < 20000; pfn += 3)
		assert_int_equal(pfnset_add(&set, pfn), 0);
	assert_int_equal(pfnset_add(&set, 4), 0);
	for (uint64_t pfn = 1; pfn < 20000; pfn++)
		assert_int_equal(pfnset_has(&set, pfn), pfn % 3 == 1);
	pfnset_free(&set);
	assert_false(pfnset_has(&set, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(median),
		cmocka_unit_test(steer_settles),
		cmocka_unit_test(steer_ignores_outliers),
		cmocka_unit_test(steer_grows_slowly),
		cmocka_unit_test(rows_merge),
		cmocka_unit_test(left_is_not_scanned),
		cmocka_unit_test(spread_adds_up),
		cmocka_unit_test(spread_flags),
		cmocka_unit_test(pfns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
