// SPDX-License-Identifier: GPL-2.0
/* Totals of all jobs: told, and added to by one that ends. */
#include "fuzz.h"

#include "cgmigrate.h"

static char *words[] = { "move", NULL };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct app app = {
		.verb = "move", .argv = words, .sysroot = machine_dir(),
		.write_sysroot = true,
	};
	json_t *object = json_pack("{s:s, s:s, s:{s:i, s:{s:i, s:i}}}", "command", "move",
				   "state", "done", "result", "elapsed_usec", 5, "totals",
				   "moved", 4096, "left", 0);
	json_t *plan = json_object();

	CHECK(machine_put("run/cgmigrate/totals.json", data, size));
	command_run(cmd_report, "report", "--openmetrics");
	record_end(&app, record_new(&app, plan), object);
	json_decref(plan);
	json_decref(object);
	command_run(cmd_report, "report", "--prometheus");
	return 0;
}
