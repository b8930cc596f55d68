// SPDX-License-Identifier: GPL-2.0
/* Values of options: sizes, rates, durations, CPUs, job names. */
#include "fuzz.h"

#include <stdlib.h>

#include "cgmigrate.h"

static void check_size(struct app *app, const char *text)
{
	uint64_t bytes = 4711, again;
	char exact[32];

	if (parse_size(app, "--rate", text, &bytes)) {
		CHECK(bytes == 4711);
		return;
	}
	CHECK(bytes >= 1 && bytes <= 1000000000000000000);
	if (bytes >> 53)
		return;		/* a double rounds those */
	snprintf(exact, sizeof(exact), "%llu", (unsigned long long)bytes);
	CHECK(!parse_size(app, "--rate", exact, &again) && again == bytes);
}

static void check_time(struct app *app, const char *text)
{
	uint64_t usec = 4711, again;
	char exact[32];

	if (parse_time(app, "--timeout", text, &usec)) {
		CHECK(usec == 4711);
		return;
	}
	CHECK(usec >= 1 && usec <= 1000000000000000);
	snprintf(exact, sizeof(exact), "%lluus", (unsigned long long)usec);
	CHECK(!parse_time(app, "--timeout", exact, &again) && again == usec);
}

static void check_cpus(struct app *app, const char *text)
{
	struct cpu_choice choice = { 0 };

	if (parse_cpus(app, "--cpus", text, &choice) || choice.mode != CPUS_LIST)
		return;
	CHECK(cgm_nodeset_weight(&choice.list));
	fuzz_check_nodes(&choice.list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct app app = { .verb = "move", .quiet = true };
	struct placing placing = { 0 };
	cgm_nodeset nodes;
	char *text = fuzz_text(data, size);

	fuzz_silence();
	check_size(&app, text);
	check_time(&app, text);
	check_cpus(&app, text);
	if (!parse_nodes(&app, "--to", text, &nodes))
		CHECK(cgm_nodeset_weight(&nodes));
	if (parse_map(&app, "--map", text, &placing))
		CHECK(!placing.count && !placing.pairs);
	placing_free(&placing);
	CHECK(job_number(text) >= 0);
	free(text);
	return 0;
}
