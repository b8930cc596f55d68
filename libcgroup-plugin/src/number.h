/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers as the kernel's files have them: digits, perhaps behind blanks. */
#ifndef CGM_NUMBER_H
#define CGM_NUMBER_H

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * The number at the start of a text. strtoull(3) alone would take a sign, and where
 * there is none on this line go on to the next; 0 then, and *end is @text.
 */
static inline uint64_t number_parse(const char *text, char **end)
{
	const char *p = text + strspn(text, " \t");

	if (isdigit((unsigned char)*p))
		return strtoull(p, end, 10);
	if (end)
		*end = (char *)text;
	return 0;
}

/* Of that many KiB the bytes, as far as they can be counted. */
static inline uint64_t number_kib(const char *text)
{
	uint64_t kib = number_parse(text, NULL);

	return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

#endif /* CGM_NUMBER_H */
