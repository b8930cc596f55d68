// SPDX-License-Identifier: GPL-2.0
/* /proc/self/mountinfo and status, /proc/PID/cgroup: which hierarchies there are. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "private.h"

static void put(const char *name, const char *text, size_t len)
{
	if (strstr(name, "self/") || strstr(name, "/cgroup") || strstr(name, "osrelease"))
		machine_put(name, text, len);
}

static void check_features(const struct cgm_context *ctx)
{
	const struct cgm_features *f = &ctx->features;

	CHECK(f->cpuset_version >= 0 && f->cpuset_version <= 2);
	CHECK(!f->cpuset_version == !*f->cpuset_mount);
	CHECK(cgm_nodeset_weight(&f->online) && cgm_nodeset_weight(&f->memory));
	CHECK(*f->release || f->release);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_context *ctx;
	struct cgm_group *group;
	cgm_nodeset mems;

	machine_parts((const char *)data, size, put);
	ctx = machine_context();
	if (ctx) {
		check_features(ctx);
		for (int pid = 100; pid < 103; pid++) {
			if (cgm_group_open_pid(ctx, pid, &group))
				continue;
			CHECK(cgm_group_path(group)[0] == '/');
			cgm_group_effective_mems(group, &mems);
			cgm_group_unref(group);
		}
	}
	cgm_context_free(ctx);
	machine_reset();
	return 0;
}
