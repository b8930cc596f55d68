// SPDX-License-Identifier: LGPL-2.1-or-later
/* The account of a job: rows that add up to their totals. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "result.h"

int result_init(struct cgm_result *result, size_t items)
{
	memset(result, 0, sizeof(*result));
	result->after = calloc(items ? items : 1, sizeof(*result->after));
	result->items = items;
	return result->after ? 0 : -ENOMEM;
}

void result_clear(struct cgm_result *result)
{
	for (size_t i = 0; result->after && i < result->items; i++)
		cgm_placement_free(result->after[i]);
	free(result->after);
	free(result->rows);
	notes_free(&result->notes);
	memset(result, 0, sizeof(*result));
}

static bool same_row(const struct cgm_row *row, size_t item, const struct cell *cell,
		     enum cgm_reason reason, unsigned int flags)
{
	return row->item == item && row->from == cell->from && row->to == cell->to &&
	       row->kind == cell->kind && row->reason == reason && row->flags == flags;
}

/* Account bytes for a fate. Only the node and kind fields of the cell count. */
int result_add(struct cgm_result *result, size_t item, const struct cell *cell,
	       enum cgm_reason reason, uint64_t bytes, unsigned int flags)
{
	struct cgm_row *row = NULL;

	if (!bytes)
		return 0;
	for (size_t i = 0; i < result->count && !row; i++)
		if (same_row(&result->rows[i], item, cell, reason, flags))
			row = &result->rows[i];
	if (!row) {
		if (result->count == result->room) {
			size_t room = result->room ? result->room * 2 : 16;

			row = realloc(result->rows, room * sizeof(*row));
			if (!row)
				return -ENOMEM;
			result->rows = row;
			result->room = room;
		}
		row = &result->rows[result->count++];
		*row = (struct cgm_row){
			.size = sizeof(*row),
			.item = item,
			.from = cell->from,
			.to = cell->to,
			.kind = cell->kind,
			.reason = reason,
			.flags = flags,
		};
	}
	row->bytes += bytes;
	result->totals[reason] += bytes;
	return 0;
}

/*
 * Split so many units over cells by their weights, so that the shares add up
 * exactly: the largest remainders get what rounding left over.
 */
static void spread(struct cell *cells, size_t count, uint64_t units, uint64_t weight)
{
	uint64_t given = 0;

	for (size_t i = 0; i < count; i++) {
		cells[i].share = (uint64_t)((__uint128_t)units * cells[i].weight / weight);
		given += cells[i].share;
	}
	while (given < units) {
		struct cell *best = NULL;
		__uint128_t best_rest = 0;

		for (size_t i = 0; i < count; i++) {
			__uint128_t ideal = (__uint128_t)units * cells[i].weight;
			__uint128_t have = (__uint128_t)cells[i].share * weight;
			__uint128_t rest = ideal > have ? ideal - have : 0;

			if (cells[i].weight && (!best || rest > best_rest)) {
				best = &cells[i];
				best_rest = rest;
			}
		}
		if (!best)
			return;
		best->share++;
		given++;
	}
}

/*
 * Account a total the kernel gave without node and kind. One cell with weight:
 * it was all there. Several: an estimate, marked so. None: not known.
 */
int result_spread(struct cgm_result *result, size_t item, struct cell *cells,
		  size_t count, enum cgm_reason reason, uint64_t units, uint64_t unit)
{
	static const struct cell unknown = { .from = -1, .to = -1,
					     .kind = CGM_KIND_MOVABLE };
	uint64_t weight = 0;
	size_t used = 0;
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		weight += cells[i].weight;
		used += cells[i].weight > 0;
	}
	if (!weight)
		return result_add(result, item, &unknown, reason, units * unit, 0);
	spread(cells, count, units, weight);
	for (size_t i = 0; i < count && !err; i++)
		err = result_add(result, item, &cells[i], reason, cells[i].share * unit,
				 used > 1 ? CGM_ROW_ESTIMATED : 0);
	return err;
}

/* Where a reason comes among the others: what was dropped before what stayed. */
static int rank(enum cgm_reason reason)
{
	return reason == CGM_DROPPED ? CGM_SWAPPED : (int)reason;
}

static int compare_rows(const void *a, const void *b)
{
	const struct cgm_row *x = a, *y = b;

	if (x->item != y->item)
		return x->item < y->item ? -1 : 1;
	if (rank(x->reason) != rank(y->reason))
		return rank(x->reason) - rank(y->reason);
	if (x->reason != y->reason)
		return (int)x->reason - (int)y->reason;
	if (x->from != y->from)
		return x->from - y->from;
	if (x->to != y->to)
		return x->to - y->to;
	return (int)x->kind - (int)y->kind;
}

/* In the order people read them: what moved first, then what stayed and why. */
void result_sort(struct cgm_result *result)
{
	if (result->count)
		qsort(result->rows, result->count, sizeof(*result->rows), compare_rows);
}

/* Did what has this reason stay, although it was to move? */
bool reason_is_failure(enum cgm_reason reason)
{
	return reason >= CGM_FAIL_NOMEM && reason != CGM_DROPPED;
}

/* Did something of a move stay that should not have? What is skipped is policy. */
bool result_partial(const struct cgm_result *result, size_t item)
{
	for (size_t i = 0; i < result->count; i++) {
		const struct cgm_row *row = &result->rows[i];

		if (row->item == item &&
		    (reason_is_failure(row->reason) || row->reason == CGM_LEFT))
			return true;
	}
	return false;
}

CGM_PUBLIC int cgm_result_row(const struct cgm_result *result, size_t index,
			      struct cgm_row *row)
{
	if (index >= result->count)
		return -ENOENT;
	return FILL(row, &result->rows[index]);
}

CGM_PUBLIC uint64_t cgm_result_total(const struct cgm_result *result,
				     enum cgm_reason reason)
{
	return (unsigned int)reason < CGM_REASON_COUNT ? result->totals[reason] : 0;
}

CGM_PUBLIC uint64_t cgm_result_scanned(const struct cgm_result *result)
{
	uint64_t sum = 0;

	for (int r = 0; r < CGM_REASON_COUNT; r++)
		if (r != CGM_LEFT)
			sum += result->totals[r];
	return sum;
}

CGM_PUBLIC const struct cgm_placement *cgm_result_after(const struct cgm_result *result,
							size_t index)
{
	return index < result->items ? result->after[index] : NULL;
}

CGM_PUBLIC const char *cgm_result_note(const struct cgm_result *result, size_t index)
{
	return index < result->notes.count ? result->notes.list[index].text : NULL;
}
