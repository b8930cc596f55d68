// SPDX-License-Identifier: GPL-2.0
/* What the plugin is told in the environment, and the settings it takes apart. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Both have all of that for themselves: NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "../../libcgroup-plugin/plugin/config.c"
/* likewise: NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "../../libcgroup-plugin/plugin/values.c"

/* Not called: what a struct cgroup of libcgroup holds is not made up here. */
void *real_function(const char *name, const void *caller)
{
	(void)name;
	(void)caller;
	return NULL;
}

static const char * const names[] = { "RATE", "MAX_STALL", "WAIT", "SETTLE", "REPORT" };

/* Either it is in force, or there is a complaint. */
static void check_config(const char *text)
{
	const struct config none = { .report_fd = -1 };
	size_t complaints;

	config = none;
	read_config();
	complaints = json_array_size(config.complaints);
	CHECK(complaints <= 5);
	CHECK(config.rate <= INT64_MAX && config.max_stall_usec <= MOST_STALL_USEC);
	CHECK(config.settle <= SETTLE_NEVER && config.report_to <= REPORT_JOURNAL);
	CHECK(!config.report_file == (config.report_to != REPORT_FILE));
	CHECK((config.report_fd < 0) == (config.report_to != REPORT_FD));
	if (*text)	/* what is understood by one is not by the others, but numbers by two */
		CHECK(complaints >= 3);
	else
		CHECK(!complaints);
	json_decref(config.complaints);
	free((char *)config.report_file);
}

static void check_settings(const char *text)
{
	struct settings settings = { 0 };
	size_t len;

	read_setting(&settings, "cpuset.mems", text);
	read_setting(&settings, "cpuset.memory_migrate", text);
	read_setting(&settings, "cpuset.cpus", text);
	CHECK(settings.mems && settings.others == 1);
	CHECK(settings.migrate != settings.stay);
	len = strlen(settings.mems);
	CHECK(len <= strlen(text));
	CHECK(!len || (!isspace((unsigned char)settings.mems[len - 1]) &&
		       !isspace((unsigned char)settings.mems[0])));
	settings_clear(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), name[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), PREFIX "%s", names[i]);
		CHECK(!setenv(name, text, 1));
	}
	check_config(text);
	check_settings(text);
	free(text);
	return 0;
}
