// SPDX-License-Identifier: GPL-2.0
/* A plan, from its file to what is printed of it. */
#include "fuzz.h"

#include <stdlib.h>

#include "cgmigrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *file;

	CHECK(machine_put("plan", data, size));
	CHECK(asprintf(&file, "%s/plan", machine_dir()) > 0);
	command_run(cmd_plan, "plan", file);
	command_run(cmd_apply, "apply", "-J", "--dry-run", file);
	free(file);
	return 0;
}
