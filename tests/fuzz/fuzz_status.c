// SPDX-License-Identifier: GPL-2.0
/* /proc/PID/status, and the files beside it that are read for one value each. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>

#include "cpus.h"
#include "placement.h"
#include "procs.h"

static void check_process(struct cgm_context *ctx)
{
	struct cgm_marks marks = { .size = sizeof(marks) };
	struct thread_status thread = { 0 };
	struct process_status status;
	struct process_rollup rollup;
	cgm_nodeset nodes;
	char comm[16];
	int err = thread_read(ctx, 100, &thread);

	CHECK(!err || err == -ENOENT || err == -EINVAL || err == -ERANGE);
	if (!err)
		fuzz_check_nodes(&thread.cpus);
	CHECK(!cgm_process_marks(ctx, 100, &marks));
	process_allowed(ctx, 100, &nodes);
	fuzz_check_nodes(&nodes);
	CHECK(!process_status(ctx, 100, &status));
	process_rollup(ctx, 100, &rollup);
	process_comm(ctx, 100, comm, sizeof(comm));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cgm_context *ctx;
	pid_t *pids;
	size_t count;

	if (!ctx)
		ctx = machine_context();
	CHECK(ctx);
	CHECK(machine_put("proc/100/status", data, size));
	CHECK(machine_put("proc/100/smaps_rollup", data, size));
	CHECK(machine_put("proc/100/comm", data, size));
	check_process(ctx);
	CHECK(!cgm_user_pids(ctx, 1000, &pids, &count));
	CHECK(count == 2 || count == 3);	/* and the one in question */
	free(pids);
	return 0;
}
