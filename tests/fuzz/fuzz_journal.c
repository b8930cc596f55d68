// SPDX-License-Identifier: GPL-2.0
/* The journal of apply, as it is found when the command was killed, or later. */
#include "fuzz.h"

#include "cgmigrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CHECK(machine_put("var/lib/cgmigrate/apply.json", data, size));
	command_run(cmd_apply, "apply", "-J", "--continue", "--dry-run");
	command_run(cmd_undo, "undo", "--dry-run");
	return 0;
}
