// SPDX-License-Identifier: GPL-2.0
/* The record of a job: told, waited for, and ended where its command was killed. */
#include "fuzz.h"

#include "cgmigrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CHECK(machine_put("run/cgmigrate/j1.json", data, size));
	command_run(cmd_report, "report");
	command_run(cmd_report, "report", "j1");
	command_run(cmd_report, "report", "-J", "j1");
	command_run(cmd_wait, "wait", "--timeout=1us", "j1");
	/* Changes nothing, and looks at what others have left. */
	command_run(cmd_undo, "undo", "--dry-run");
	return 0;
}
