// SPDX-License-Identifier: GPL-2.0
/* A recorded tree: what the verbs that only look, and plans, make of it. */
#include "fuzz.h"

#include "cgmigrate.h"

/* What is told of a plan grows with their square. */
#define NODES_MAX 64

static void put(const char *name, const char *text, size_t len)
{
	machine_put(name, text, len);
}

/* Is it a machine that can be looked at in no time? */
static bool is_small(void)
{
	struct cgm_features features = { .size = sizeof(features) };
	struct cgm_context *ctx = machine_context();
	bool small = ctx && !cgm_context_features(ctx, &features) &&
		     cgm_nodeset_next(&features.online, NODES_MAX - 1) < 0;

	cgm_context_free(ctx);
	return small;
}

static void look(uint8_t verb)
{
	switch (verb) {
	case 's':
		command_run(cmd_show, "show", "--all");
		break;
	case 'p':
		command_run(cmd_show, "show", "-J", "--by=process", "/db");
		break;
	case 'm':
		command_run(cmd_map, "map", "100");
		break;
	case 'd':
		command_run(cmd_move, "move", "--dry-run", "/db", "--to=2-3");
		break;
	case 'e':
		command_run(cmd_plan, "plan", "-J", "--evict=0");
		break;
	case 'b':
		command_run(cmd_plan, "plan", "--balance");
		break;
	default:
		command_run(cmd_features, "features", "-J");
	}
}

/* The first byte says which verb it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	machine_parts((const char *)data + 1, size - 1, put);
	if (is_small())
		look(*data);
	machine_reset();
	return 0;
}
