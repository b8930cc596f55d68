// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reading /proc/PID/smaps, a mapping at a time. Pure: text in, numbers out. */
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "smaps.h"

/* "7f0000000000-7f0000001000 rw-p ...": keys begin with a capital letter. */
static bool is_head(const char *line, uint64_t *start)
{
	char *end;

	if (!isxdigit((unsigned char)*line))
		return false;
	*start = strtoull(line, &end, 16);
	return *end == '-';
}

static bool has_flag(const char *flags, const char *flag)
{
	const char *end = flags + strcspn(flags, "\n");

	for (const char *p = flags; p < end; p += strcspn(p, " \n")) {
		p += strspn(p, " ");
		if (!strncmp(p, flag, 2))
			return true;
	}
	return false;
}

static void parse_key(const char *line, struct smaps_vma *vma)
{
	static const char * const huge[] = {
		"AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:",
	};

	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++)
		if (!strncmp(line, huge[i], strlen(huge[i])))
			vma->huge += number_kib(line + strlen(huge[i]));
	if (!strncmp(line, "VmFlags:", 8))
		vma->locked = has_flag(line + 8, "lo");
}

/* The first mapping of a text; returns where the next one begins, or NULL: no more. */
const char *smaps_next(const char *text, struct smaps_vma *vma)
{
	uint64_t other;

	memset(vma, 0, sizeof(*vma));
	if (!is_head(text, &vma->start))
		return NULL;
	for (;;) {
		const char *end = strchr(text, '\n');

		if (!end || is_head(end + 1, &other))
			return end ? end + 1 : text + strlen(text);
		text = end + 1;
		parse_key(text, vma);
	}
}
