// SPDX-License-Identifier: GPL-2.0
/* The argument of --map, and where the memory of each node goes by it. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nodemap.h"

#define NODES 4

static char *format(const struct cgm_node_pair *pairs, size_t count)
{
	size_t size = count * 12 + 1, len = 0;
	char *text = malloc(size);

	CHECK(text);
	for (size_t i = 0; i < count; i++)
		len += snprintf(text + len, size - len, "%s%d:%d", i ? "," : "",
				pairs[i].from, pairs[i].to);
	CHECK(len < size);
	return text;
}

static void check_pairs(const struct cgm_node_pair *pairs, size_t count)
{
	struct cgm_node_pair *again;
	enum cgm_map_rule rule;
	cgm_nodeset from = { 0 };
	size_t number;
	char *text = format(pairs, count);

	CHECK(!cgm_map_parse(text, &rule, &again, &number));
	CHECK(rule == CGM_MAP_RELATIVE && number == count);
	CHECK(!memcmp(pairs, again, count * sizeof(*pairs)));
	for (size_t i = 0; i < count; i++) {
		CHECK(pairs[i].from >= 0 && pairs[i].from < CGM_NODES_MAX);
		CHECK(pairs[i].to >= 0 && pairs[i].to < CGM_NODES_MAX);
		CHECK(!cgm_nodeset_has(&from, pairs[i].from));
		cgm_nodeset_add(&from, pairs[i].from);
	}
	free(again);
	free(text);
}

/* An order leaves every node before it is entered. */
static void check_order(const int *dest)
{
	bool full[NODES];
	int order[NODES], count = nodemap_order(&dest, 1, NODES, order);

	for (int n = 0; n < NODES; n++)
		full[n] = dest[n] >= 0 && dest[n] != n;
	for (int i = 0; i < count; i++) {
		int n = order[i];

		CHECK(n >= 0 && n < NODES && full[n] && !full[dest[n]]);
		full[n] = false;
	}
	for (int n = 0; n < NODES && count >= 0; n++)
		CHECK(!full[n]);
}

static void check_move(const struct cgm_move *move, const cgm_nodeset *from)
{
	static struct cgm_context *ctx;
	struct nodemap map;
	int dest[NODES];

	if (!ctx)
		ctx = machine_context();
	CHECK(ctx);
	CHECK(!nodemap_init(&map, move));
	nodemap_make(ctx, &map, from, &move->to, dest, NODES);
	for (int n = 0; n < NODES; n++)
		CHECK(dest[n] == -1 || dest[n] == n || cgm_nodeset_has(&move->to, dest[n]));
	check_order(dest);
	nodemap_exit(&map);
}

/* Two bytes say which nodes are left and entered. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_MEMS };
	struct cgm_node_pair *pairs = (struct cgm_node_pair *)&move;
	cgm_nodeset from = { 0 };
	char *text;
	size_t count = 1;
	int err;

	if (size < 2)
		return 0;
	from.bits[0] = data[0] & 0xf;
	move.only.bits[0] = data[0] >> 4;
	move.to.bits[0] = data[1] & 0xf;
	text = fuzz_text(data + 2, size - 2);
	err = cgm_map_parse(text, &move.rule, &pairs, &count);
	CHECK(!err || err == -EINVAL || err == -ERANGE || err == -EEXIST);
	CHECK(!err || (!pairs && !count));
	CHECK(!count == !pairs);
	if (count)
		check_pairs(pairs, count);
	move.pairs = pairs;
	move.pair_count = count;
	if (!err)
		check_move(&move, &from);
	free(pairs);
	free(text);
	return 0;
}
