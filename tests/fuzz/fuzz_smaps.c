// SPDX-License-Identifier: GPL-2.0
/* /proc/PID/smaps, a mapping at a time. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "smaps.h"

/* The same mapping with nothing behind it. */
static void check_alone(const char *from, const char *to, const struct smaps_vma *vma)
{
	char *text = fuzz_text((const uint8_t *)from, to - from);
	struct smaps_vma alone;

	CHECK(smaps_next(text, &alone));
	CHECK(alone.start == vma->start && alone.huge == vma->huge &&
	      alone.locked == vma->locked);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	const char *at = text, *next;
	struct smaps_vma vma;

	while ((next = smaps_next(at, &vma))) {
		CHECK(next > at && next <= text + strlen(text));
		check_alone(at, next, &vma);
		at = next;
	}
	free(text);
	return 0;
}
