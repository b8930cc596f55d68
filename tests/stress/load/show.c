// SPDX-License-Identifier: GPL-2.0
/*
 * The board as JSON, for the driver and for people. Names and texts are our own and
 * have nothing in them that JSON would want escaped.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "numastress.h"

static void show_failure(const struct failure *failure)
{
	printf("{\"slot\": %d, \"pid\": %d, \"what\": \"%s\", \"op\": \"%s\", ",
	       atomic_load(&failure->slot), failure->pid, failure->what, failure->op);
	printf("\"address\": %ju, \"page\": %u, \"word\": %u, ", (uintmax_t)failure->address,
	       failure->page, failure->word);
	printf("\"expected\": \"%016" PRIx64 "\", \"found\": \"%016" PRIx64
	       "\", \"again\": \"%016" PRIx64 "\", \"state\": \"%" PRIx64 "\", ",
	       failure->expected, failure->found, failure->again, failure->state);
	printf("\"named\": \"%s\", \"kernel\": \"%s\"}", failure->named, failure->kernel);
}

static void show_ops(const struct slot *slot)
{
	int i;

	for (i = 0; i < MAX_OPS && slot->ops[i].name[0]; i++)
		printf("%s\"%s\": [%" PRIu64 ", %" PRIu64 ", %d]", i ? ", " : "",
		       slot->ops[i].name, atomic_load(&slot->ops[i].done),
		       atomic_load(&slot->ops[i].refused), atomic_load(&slot->ops[i].error));
}

static void show_trace(const struct slot *slot)
{
	uint64_t end = atomic_load(&slot->traced);
	uint64_t at = end > MAX_TRACE ? end - MAX_TRACE : 0;
	const char *comma = "";

	for (; at < end; at++) {
		const struct trace *trace = &slot->trace[at % MAX_TRACE];

		printf("%s\"%" PRIu64 " us +%" PRIu64 " us: %s %s = %d\"", comma,
		       trace->at / 1000, trace->took / 1000, slot->ops[trace->op].name,
		       trace->text, trace->result);
		comma = ", ";
	}
}

static void show_slot(const struct slot *slot, bool traces)
{
	int now = atomic_load(&slot->now);

	printf("{\"name\": \"%s\", \"pid\": %d, \"beats\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"born\": %u, \"killed\": %u, \"addr\": %ju, \"pages\": %zu, ",
	       slot->name, atomic_load(&slot->pid), atomic_load(&slot->beats),
	       atomic_load(&slot->bytes), atomic_load(&slot->born),
	       atomic_load(&slot->killed), (uintmax_t)atomic_load(&slot->addr), slot->pages);
	printf("\"now\": \"%s\", \"since\": %" PRIu64 ", \"ops\": {",
	       now < 0 ? "" : slot->ops[now].name, atomic_load(&slot->since));
	show_ops(slot);
	printf("}, \"traced\": %" PRIu64 ", \"trace\": [", atomic_load(&slot->traced));
	if (traces)
		show_trace(slot);
	printf("]}");
}

/**
 * show_board - print all of it
 * @traces: with the last operations of everybody
 */
void show_board(const char *path, bool traces)
{
	const char *comma = "";
	int i;

	board_open(path);
	printf("{\"now\": %" PRIu64 ", \"failed\": %s, \"failure\": ", now_ns(),
	       atomic_load(&board->failed) ? "true" : "false");
	if (atomic_load(&board->failure.complete))
		show_failure(&board->failure);
	else
		printf("null");
	printf(", \"slots\": {");
	for (i = 0; i < MAX_SLOTS; i++) {
		if (!board->slots[i].name[0])
			continue;
		printf("%s\"%d\": ", comma, i);
		show_slot(&board->slots[i], traces);
		comma = ", ";
	}
	printf("}}\n");
}
