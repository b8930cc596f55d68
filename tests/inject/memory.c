// SPDX-License-Identifier: GPL-2.0
/*
 * Memory. What libc allocates for asprintf() and others comes by here too, but for
 * strdup(), which AddressSanitizer has a shorter way for.
 */
#include <stdlib.h>
#include <string.h>

#include "inject.h"

void *malloc(size_t size)
{
	return inject_fails(MEMORY) ? NULL : NEXT(malloc)(size);
}

void *calloc(size_t count, size_t size)
{
	return inject_fails(MEMORY) ? NULL : NEXT(calloc)(count, size);
}

void *realloc(void *old, size_t size)
{
	return inject_fails(MEMORY) ? NULL : NEXT(realloc)(old, size);
}

char *strndup(const char *text, size_t most)
{
	size_t len = strnlen(text, most);
	char *copy = malloc(len + 1);

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

char *strdup(const char *text)
{
	return strndup(text, strlen(text));
}
