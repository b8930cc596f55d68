// SPDX-License-Identifier: GPL-2.0
/* The engine's files of a cgroup: the account, the limit, the hold. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "group.h"

#define FOLDER "sys/fs/cgroup/fast/"

static void check_stat(const char *text)
{
	struct engine_stat stat;
	int err = engine_parse_stat(text, &stat);
	uint64_t pending;

	CHECK(!err || err == -EINVAL);
	CHECK(!err == fs_keyed_u64(text, "migrate_pending", &pending));
	CHECK(err || stat.value[EC_PENDING] == pending);
}

/* A limit that is told is one that can be written, and is the same then. */
static void check_rate(struct cgm_group *group)
{
	uint64_t rate = 4711, again;
	char text[32];

	if (engine_read_rate(group, &rate))
		return;
	if (rate == CGM_RATE_MAX)
		return;
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)rate);
	CHECK(machine_put(FOLDER "cpuset.mems.migrate.max", text, strlen(text)));
	CHECK(!engine_read_rate(group, &again) && again == rate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_activity now = { .size = sizeof(now), .pending = 4711 };
	static struct cgm_context *ctx;
	struct cgm_group *group;
	char *text = fuzz_text(data, size);
	int err;

	if (!ctx)
		ctx = machine_context();
	CHECK(ctx && !cgm_group_open(ctx, "/fast", &group));
	check_stat(text);
	CHECK(machine_put(FOLDER "cpuset.mems.stat", data, size));
	CHECK(machine_put(FOLDER "cpuset.mems.migrate.max", data, size));
	CHECK(machine_put(FOLDER "cpuset.mems.migrate.hold", data, size));
	check_rate(group);
	err = cgm_group_activity(group, &now);
	CHECK(!err || now.pending == 4711);
	CHECK(err || now.engine);
	cgm_group_unref(group);
	machine_reset();
	free(text);
	return 0;
}
