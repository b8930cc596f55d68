// SPDX-License-Identifier: GPL-2.0
/* A map that was kept, drawn beside the one of now. */
#include "fuzz.h"

#include <stdlib.h>

#include "cgmigrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *diff, *output;

	CHECK(machine_put("before.json", data, size));
	CHECK(asprintf(&diff, "--diff=%s/before.json", machine_dir()) > 0);
	CHECK(asprintf(&output, "--output=%s/picture.svg", machine_dir()) > 0);
	command_run(cmd_map, "map", diff, "100");
	command_run(cmd_map, "map", diff, output, "100");
	free(output);
	free(diff);
	return 0;
}
