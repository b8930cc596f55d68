// SPDX-License-Identifier: GPL-2.0
/* What the fuzz programs share. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fuzz_failed(const char *condition, const char *file, int line)
{
	dprintf(STDERR_FILENO, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* The sanitizers and libFuzzer write to descriptor 2 and the stream they had before. */
void fuzz_silence(void)
{
	static bool silent;

	if (silent)
		return;
	silent = true;
	CHECK(freopen("/dev/null", "w", stdout));
	stderr = fopen("/dev/null", "w");
	CHECK(stderr);
}

void fuzz_check_nodes(const cgm_nodeset *set)
{
	int len = cgm_nodeset_format(set, NULL, 0);
	char *text = malloc(len + 1), *part = malloc(len / 2 + 1);
	cgm_nodeset again;

	CHECK(text && part);
	CHECK(cgm_nodeset_format(set, text, len + 1) == len);
	CHECK(strlen(text) == (size_t)len);
	CHECK(!cgm_nodeset_parse(text, &again) && cgm_nodeset_equal(set, &again));
	CHECK(cgm_nodeset_format(set, part, len / 2 + 1) == len);
	CHECK(!strncmp(text, part, len / 2) && !part[len / 2]);
	free(part);
	free(text);
}
